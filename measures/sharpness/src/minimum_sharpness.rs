//! The least trace of the Hessian among all rescalings of the layers.

use pgdl_measure::network::{Graph, Mode, gradients};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Kernel, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, kernels,
};

use crate::loss::Blocks;

/// Samples whose cross terms one draw holds.
const CHUNK: i64 = 16;

/// Draws before it may stop, and after which it stops in any case.
const DRAWS: [usize; 2] = [32, 320];

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MinimumSharpness {
    tolerance: f64,
}

/// What `minimum_sharpness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "minimum_sharpness",
    family: "sharpness",
    version: 1,
    title: "The least trace of the Hessian that rescaling the layers can reach.",
    formula: "min { Σ_ℓ tr(H_ℓ) / a_ℓ² : Π a_ℓ = 1 } = L (Π_ℓ tr H_ℓ)^{1/L}",
    shapes: "H_ℓ: the block of the Hessian of the mean cross-entropy that belongs to the kernel W_ℓ, of L kernels; a_ℓ > 0: \
             factors of the kernels",
    paper: "Ibayashi, Hamaguchi, Imaizumi 2021, Minimum Sharpness: Scale-invariant Parameter-robustness of \
             Neural Networks",
    needs: &[],
    cost: "32 to 320 draws, each 1 B on 16 samples: at n = 5000 at most 1 B",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. The blocks are those of the Gauss–Newton \
             matrix, which in a network that is piecewise linear in each layer are exactly the Hessian's, and for \
             which labels do not matter. Each draw has signs and 16 samples of its own, so that its standard \
             error holds both; the parts per layer are tr H_ℓ. Undefined where the loss is exactly flat in a \
             layer.",
    stochastic: true,
    control: false,
    parameters: &[ParameterInfo {
        name: "tolerance",
        kind: ParameterKind::Float { default: 0.05, min: 0.001, max: 10.0 },
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
        let network = probe.folded()?.trainable()?;
        let kernels = kernels(&network);
        if kernels.is_empty() {
            return MeasureError::undefined("the network has no kernel");
        }
        let blocks = Blocks::new(probe, CHUNK)?;
        // Of each draw the traces of all layers.
        let mut draws: Vec<Vec<f64>> = Vec::new();
        loop {
            let enough = draws.len() >= DRAWS[0] && draws.len() % 8 == 0;
            if enough || draws.len() >= DRAWS[1] {
                let found = summary(&kernels, &draws)?;
                let small = found.1 <= self.tolerance * found.0;
                if small || draws.len() >= DRAWS[1] {
                    let count = draws.len() as f64;
                    let layers = kernels.iter().zip(means(&draws));
                    let layers =
                        layers.map(|(kernel, value)| LayerDetail { layer: kernel.name.clone(), value });
                    return Ok(Measured::value(found.0)
                        .with_standard_error(found.1)
                        .with_layers(layers.collect())
                        .with_detail("draws", count));
                }
            }
            let mut random = probe.generator(&format!("draw {}", draws.len()));
            let index = blocks.get(draws.len() as i64)?;
            let signs = random.sign_tensor(&[index.numel() as i64, probe.classes()])?;
            let traces = probe
                .check_deadline()
                .and_then(|()| gauss_newton_traces(probe, &network, &kernels, &index, &signs));
            draws.push(traces.map_err(|error| match (error, summary(&kernels, &draws)) {
                (MeasureError::Timeout(reason), Ok((value, error))) => MeasureError::Timeout(format!(
                    "{reason}; after {} draws: {value:.4e} ± {error:.1e}",
                    draws.len()
                )),
                (error, _) => error,
            })?);
        }
    }
}

/// ‖Σᵢ Jᵢᵀ Bᵢ εᵢ‖² / m for each kernel, with Jᵢ the Jacobian of the logits of sample i, Bᵢ Bᵢᵀ = diag(pᵢ) − pᵢ pᵢᵀ and signs
/// εᵢ, `[m, C]`: its expectation is the mean of tr(Jᵢᵀ (diag(pᵢ) − pᵢ pᵢᵀ) Jᵢ).
fn gauss_newton_traces(
    probe: &Probe,
    network: &pgdl_measure::network::Network,
    kernels: &[Kernel<'_>],
    index: &Tensor,
    signs: &Tensor,
) -> Result<Vec<f64>, MeasureError> {
    let count = index.numel() as i64;
    let logits = network.forward(&probe.inputs().f_index_select(0, index)?, Mode::Evaluate)?;
    probe.count_forward(count);
    let p = logits.f_detach()?.f_softmax(-1, Kind::Double)?;
    let root = p.f_sqrt()?;
    let signed = root.f_mul(&signs.f_to_kind(Kind::Double)?)?;
    // B ε = √p ∘ ε − p (√pᵀ ε)
    let inner = signed.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
    let along = signed.f_sub(&p.f_mul(&inner)?)?;
    let loss = logits.f_mul(&along.f_to_kind(probe.kind())?)?.f_sum(None)?;
    let leaves: Vec<&Tensor> = kernels.iter().map(|kernel| kernel.tensor).collect();
    let found = gradients(&loss, &leaves, Graph::Free)?;
    probe.count_backward(count);
    found
        .iter()
        .map(|gradient| {
            let square = pgdl_measure::sums::sum_of_squares(gradient)? / count as f64;
            if square.is_finite() { Ok(square) } else { MeasureError::undefined("a gradient is not finite") }
        })
        .collect()
}

fn means(draws: &[Vec<f64>]) -> Vec<f64> {
    let layers = draws.first().map_or(0, Vec::len);
    (0..layers).map(|layer| draws.iter().map(|draw| draw[layer]).sum::<f64>() / draws.len() as f64).collect()
}

/// The value and its standard error by the delta method.
fn summary(kernels: &[Kernel<'_>], draws: &[Vec<f64>]) -> Result<(f64, f64), MeasureError> {
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
