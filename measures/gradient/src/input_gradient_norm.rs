//! How strongly the loss answers to the input.

use pgdl_measure::network::{Graph, Mode, gradients};
use pgdl_measure::tch::{Kind, Reduction, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::moments::{SAMPLES, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct InputGradientNorm {
    samples: usize,
}

/// What `input_gradient_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "input_gradient_norm",
    family: "gradient",
    version: 1,
    title: "The mean Euclidean norm of the gradient of a sample's loss with respect to its input.",
    formula: "(1/m) Σᵢ ‖∇ₓ ℓ(f(xᵢ), yᵢ)‖₂,  ℓ the cross-entropy",
    shapes: "f: [m, C] logits; xᵢ: the input's shape; m: the first samples of the sample",
    paper: "Drucker, Le Cun 1992, Improving Generalization Performance Using Double Backpropagation (the quantity that is \
            penalized there, unsquared)",
    needs: &[Need::Labels],
    cost: "m/n B, m = 1000",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "It depends on the function alone. Where the network is sure of the right class the gradient vanishes with the \
                loss: on networks that fit their data it says as much of the training loss as of smoothness.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES],
};

impl InputGradientNorm {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)? })
    }
}

impl Measure for InputGradientNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (mut sum, mut count) = (0.0, 0.0);
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let leaf = batch.inputs.f_detach()?.f_set_requires_grad(true)?;
            let logits = probe.network().forward(&leaf, Mode::Evaluate)?;
            // In evaluation mode no sample sees another: the gradient of the sum holds that of each.
            let loss =
                logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?;
            let slopes = gradients(&loss, &[&leaf], Graph::Free)?.swap_remove(0).f_flatten(1, -1)?;
            probe.count_forward(batch.len());
            probe.count_backward(batch.len());
            let norms = slopes.f_norm_scalaropt_dim_dtype(2.0, [1i64].as_slice(), false, Kind::Double)?;
            sum += norms.f_sum(Kind::Double)?.f_double_value(&[])?;
            count += batch.len() as f64;
        }
        let value: f64 = sum / count;
        if !value.is_finite() {
            return MeasureError::undefined("the gradients of the losses are not finite");
        }
        Ok(Measured::value(value))
    }
}
