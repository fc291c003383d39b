//! The least trace of the Hessian among all rescalings of the layers.

use std::ops::Range;

use pgdl_measure::network::Network;
use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo,
    ParameterKind, Parameters, Perturbed, Probe, RegistryError, kernels,
};

use crate::gauss_newton::GaussNewton;

/// Draws before it may stop, and after which it stops in any case.
const DRAWS: [usize; 2] = [16, 320];

/// Draws side by side.
const BATCH: usize = 8;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MinimumSharpness {
    tolerance: f64,
}

/// What `minimum_sharpness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "minimum_sharpness",
    family: "sharpness",
    version: 2,
    title: "The least trace of the Hessian that rescaling the layers can reach.",
    formula: "min { Σ_ℓ tr(H_ℓ) / a_ℓ² : Π a_ℓ = 1 } = L (Π_ℓ tr H_ℓ)^{1/L}",
    shapes: "H_ℓ: the block of the Hessian of the mean cross-entropy that belongs to the kernel W_ℓ, of L kernels; a_ℓ > 0: \
             factors of the kernels",
    paper: "Ibayashi, Hamaguchi, Imaizumi 2021, Minimum Sharpness: Scale-invariant Parameter-robustness of \
             Neural Networks",
    needs: &[],
    cost: "1 F; 16 to 320 draws, each 1 B on copies of the network, one for each of 16 samples: at n = 5000 0.05 to 1 B",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. The blocks are those of the Gauss–Newton \
             matrix, which in a network that is piecewise linear in each layer are exactly the Hessian's, and for \
             which labels do not matter. Each draw has signs and 16 samples of its own, so that its standard \
             error holds both; samples are drawn in proportion to 1 − ‖p‖², their share in what the predictions \
             leave open. The parts per layer are tr H_ℓ. Undefined where the loss is exactly flat in a \
             layer.",
    stochastic: true,
    control: false,
    parameters: &[ParameterInfo {
        name: "tolerance",
        kind: ParameterKind::Float { default: 0.02, min: 0.001, max: 10.0 },
        doc: "relative standard error at which it stops (at the latest after 320 draws)",
    }],
};

impl MinimumSharpness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { tolerance: parameters.float("tolerance")? })
    }
}

impl Measure for MinimumSharpness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        let kernels = places(moved.network());
        if kernels.is_empty() {
            return MeasureError::undefined("the network has no kernel");
        }
        let Some(matrix) = GaussNewton::new(probe, &moved)? else {
            return MeasureError::undefined("the loss is exactly flat in every layer");
        };
        let places: Vec<_> = kernels.iter().map(|kernel| kernel.place.clone()).collect();
        // Of each draw the traces of all layers.
        let mut draws: Vec<Vec<f64>> = Vec::new();
        while draws.len() < DRAWS[1] {
            let next = draws.len()..draws.len() + BATCH;
            draws.extend(matrix.traces(&places, next).map_err(|error| {
                match (error, summary(&kernels, &draws)) {
                    (MeasureError::Timeout(reason), Ok((value, error))) => MeasureError::Timeout(format!(
                        "{reason}; after {} draws: {value:.4e} ± {error:.1e}",
                        draws.len()
                    )),
                    (error, _) => error,
                }
            })?);
            if draws.len() >= DRAWS[0] {
                let (value, error) = summary(&kernels, &draws)?;
                if error <= self.tolerance * value {
                    break;
                }
            }
        }
        let (value, error) = summary(&kernels, &draws)?;
        let layers = kernels.iter().zip(means(&draws));
        let layers = layers.map(|(kernel, value)| LayerDetail { layer: kernel.name.clone(), value });
        Ok(Measured::value(value)
            .with_standard_error(error)
            .with_layers(layers.collect())
            .with_detail("draws", draws.len() as f64))
    }
}

/// Where a kernel lies among the trainable parameters.
struct Place {
    name: String,
    place: Range<i64>,
}

fn places(network: &Network) -> Vec<Place> {
    let named = kernels(network);
    let mut start = 0;
    let mut places = Vec::new();
    for parameter in network.parameters().filter(|parameter| parameter.spec.role.trainable()) {
        let length = parameter.tensor.numel() as i64;
        let kernel =
            named.iter().find(|kernel| (kernel.node, kernel.index) == (parameter.node, parameter.index));
        places.extend(kernel.map(|kernel| Place { name: kernel.name.clone(), place: start..start + length }));
        start += length;
    }
    places
}

fn means(draws: &[Vec<f64>]) -> Vec<f64> {
    let layers = draws.first().map_or(0, Vec::len);
    (0..layers).map(|layer| draws.iter().map(|draw| draw[layer]).sum::<f64>() / draws.len() as f64).collect()
}

/// The value and its standard error by the delta method.
fn summary(kernels: &[Place], draws: &[Vec<f64>]) -> Result<(f64, f64), MeasureError> {
    let means = means(draws);
    if draws.len() < 2 {
        return MeasureError::undefined("there are fewer than two draws");
    }
    if let Some((kernel, _)) = kernels.iter().zip(&means).find(|(_, mean)| **mean <= 0.0) {
        return MeasureError::undefined(format!("the loss is exactly flat in layer `{}`", kernel.name));
    }
    let layers = means.len() as f64;
    let value = layers * (means.iter().map(|mean| mean.ln()).sum::<f64>() / layers).exp();
    let influence = draws
        .iter()
        .map(|draw| draw.iter().zip(&means).map(|(trace, mean)| trace / mean).sum::<f64>() / layers - 1.0);
    let variance = influence.map(|each| each * each).sum::<f64>() / (draws.len() as f64 - 1.0);
    Ok((value, value * (variance / draws.len() as f64).sqrt()))
}
