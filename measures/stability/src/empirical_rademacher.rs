//! The empirical Rademacher complexity.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::network::per_sample_gradients;
use pgdl_measure::sums::sum_of_squares;
use pgdl_measure::tch::{Kind, Reduction, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};
use pgdl_measure_gradient::at_once;

use crate::last_layer::LastLayer;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct EmpiricalRademacher {
    form: Form,
    draws: i64,
    samples: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Last layers of no larger norm.
    LastLayer,
    /// Steps of length one from the weights.
    Local,
}

/// What `empirical_rademacher` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "empirical_rademacher",
    family: "stability",
    version: 1,
    title: "How well random signs can be fitted by last layers of no larger norm, or by small steps of all weights.",
    formula: "E_σ sup_{‖V‖_F ≤ B} (1/m) Σᵢ_c σᵢ_c ⟨V_c, φᵢ⟩ = (B/m) E_σ ‖Σᵢ σᵢ φᵢᵀ‖_F,  B = ‖W‖_F;  form=local: E_σ sup_{‖u‖ ≤ 1} (1/m) Σᵢ \
              σᵢ ⟨∇_w ℓᵢ, u⟩ = (1/m) E_σ ‖Σᵢ σᵢ ∇_w ℓᵢ‖",
    shapes: "σᵢ_c: independent signs, one for each sample and class (form=local: for each sample); φᵢ: [D] what the last layer \
             reads, W: [D, C] its kernel, its bias left aside; w: [P] all trainable parameters; ℓ: cross-entropy; m: the first samples",
    paper: "Bartlett & Mendelson 2002, Rademacher and Gaussian Complexities, definition 2 and lemma 22 (here without the \
            absolute value and the factor 2); for several outputs Maurer 2016",
    needs: &[Need::Labels],
    cost: "1 F; form=local: m/n B over copies of the network, one per sample, m = 1000, and room for 16 vectors like w",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(1.0),
    },
    behaviour: "BatchNormalization is folded first. The detail `bound` is Jensen's upper bound, which has a closed form: (B/m) √(C Σ‖φᵢ‖²), \
                or (1/m) √(Σ‖∇ℓᵢ‖²). Since E‖·‖² is known exactly, a draw x is read as the bound times 1 − (x/bound − 1)²/2, which has the \
                same mean and a small fraction of the variance. form=local is the complexity of the loss linearized \
                at the weights, per unit of distance; it vanishes with the training loss, and answers to rescaling of layers. \
                form=last_layer is undefined where the logits are no affine function of the last kernel.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "form",
            kind: ParameterKind::Choice { default: "last_layer", options: &["last_layer", "local"] },
            doc: "the functions that fit the signs",
        },
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 16, min: 2, max: 100_000 },
            doc: "draws of all signs",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 1000, min: 1, max: i64::MAX },
            doc: "number m of samples, the first ones; all when there are fewer",
        },
    ],
};

impl EmpiricalRademacher {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let form = if parameters.choice("form")? == "local" { Form::Local } else { Form::LastLayer };
        let samples = usize::try_from(parameters.integer("samples")?).unwrap_or(usize::MAX);
        Ok(Self { form, draws: parameters.integer("draws")?, samples })
    }

    /// ‖W‖_F, ‖Σᵢ σᵢ φᵢᵀ‖² of each draw, and their mean over all signs, C Σ‖φᵢ‖².
    fn last_layer(&self, probe: &Probe, count: i64) -> Result<(f64, Norms), MeasureError> {
        let model = probe.get(&LastLayer)?;
        let features = model.features.f_narrow(0, 0, count)?;
        let classes = probe.classes();
        let mut generator = probe.generator("signs");
        let squares = (0..self.draws)
            .map(|_| {
                probe.check_deadline()?;
                let signs = generator.sign_tensor(&[classes, count])?.f_to_kind(Kind::Double)?;
                sum_of_squares(&signs.f_mm(&features)?)
            })
            .collect::<Result<_, MeasureError>>()?;
        let mean_square = classes as f64 * sum_of_squares(&features)?;
        Ok((model.kernel_norm, Norms { squares, mean_square }))
    }

    /// ‖Σᵢ σᵢ ∇ℓᵢ‖² of each draw, and their mean over all signs, Σ‖∇ℓᵢ‖².
    fn local(&self, probe: &Probe, count: i64) -> Result<Norms, MeasureError> {
        let network = probe.folded()?;
        let signs = probe.generator("signs").sign_tensor(&[self.draws, count])?;
        let parameters = network.trainable_vector()?.size()[0];
        let sums = Tensor::f_zeros([self.draws, parameters], (probe.kind(), probe.device()))?;
        let mut mean_square = 0.0;
        for batch in probe.batches_of(self.samples).at_most(at_once(&network)) {
            let batch = batch?;
            let losses = |outputs: &Tensor| {
                Ok(outputs.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::None, -100, 0.0)?)
            };
            let gradients = per_sample_gradients(&network, &batch.inputs, losses)?.gradients;
            probe.count_forward(batch.len());
            probe.count_backward(batch.len());
            mean_square += sum_of_squares(&gradients)?;
            let signs = signs.f_narrow(1, batch.start, batch.len())?;
            let _ = sums.shallow_clone().f_addmm_(&signs, &gradients)?;
        }
        let squares =
            (0..self.draws).map(|draw| sum_of_squares(&sums.f_select(0, draw)?)).collect::<Result<_, _>>()?;
        Ok(Norms { squares, mean_square })
    }
}

/// Squared norms X² of draws, of which the mean over all draws is known.
struct Norms {
    squares: Vec<f64>,
    mean_square: f64,
}

impl Norms {
    /// E X and its standard error. With T = E X² and u = X/√T, E u² = 1 makes E u = 1 − E (u − 1)²/2.
    fn mean(&self) -> (f64, f64) {
        if self.mean_square == 0.0 {
            return (0.0, 0.0);
        }
        let root = self.mean_square.sqrt();
        let draws: Vec<f64> =
            self.squares.iter().map(|square| (square.sqrt() / root - 1.0).powi(2) / 2.0).collect();
        (root * (1.0 - mean(&draws)), root * standard_error_of_mean(&draws).unwrap_or(f64::NAN))
    }
}

impl Measure for EmpiricalRademacher {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let count = self.samples.min(probe.sample_size()) as i64;
        let (radius, norms) = match self.form {
            Form::LastLayer => self.last_layer(probe, count)?,
            Form::Local => (1.0, self.local(probe, count)?),
        };
        if !norms.mean_square.is_finite() {
            return MeasureError::undefined("the gradients of the losses are not finite");
        }
        let scale = radius / count as f64;
        let (mean, error) = norms.mean();
        Ok(Measured::value(scale * mean)
            .with_standard_error(scale * error)
            .with_detail("bound", scale * norms.mean_square.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All 2ⁿ signs: the reading of a draw has the mean of the norms, exactly, and a smaller variance.
    #[test]
    fn over_all_signs_the_mean_is_that_of_the_norms() {
        let vectors: Vec<[f64; 3]> =
            (0..8).map(|i| [0, 1, 2].map(|k| (f64::from(7 * i + 3 * k) * 1.7).sin() + 0.2)).collect();
        let norms: Vec<f64> = (0..1u32 << vectors.len())
            .map(|signs| {
                let sum = |k: usize| -> f64 {
                    let sign = |i: usize| if signs >> i & 1 == 1 { 1.0 } else { -1.0 };
                    vectors.iter().enumerate().map(|(i, vector)| sign(i) * vector[k]).sum()
                };
                (0..3).map(|k| sum(k).powi(2)).sum::<f64>().sqrt()
            })
            .collect();
        let count = norms.len() as f64;
        let mean = norms.iter().sum::<f64>() / count;
        let error =
            (norms.iter().map(|norm| (norm - mean).powi(2)).sum::<f64>() / (count - 1.0) / count).sqrt();
        let mean_square = vectors.iter().flatten().map(|value| value * value).sum();
        let (found, found_error) =
            Norms { squares: norms.iter().map(|norm| norm * norm).collect(), mean_square }.mean();
        assert!((found / mean - 1.0).abs() < 1e-12, "{found} {mean}");
        assert!(found_error < 0.5 * error, "{found_error} {error}");
        assert!(mean < 0.99 * mean_square.sqrt());
    }
}
