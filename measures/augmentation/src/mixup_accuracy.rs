//! Accuracy on mixtures of two samples of a class.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::decisions::decisions;
use crate::draws::{DRAWS, draws, mean_of_draws};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MixupAccuracy {
    draws: usize,
}

/// What `mixup_accuracy` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "mixup_accuracy",
    family: "augmentation",
    version: 1,
    title: "The share of mixtures of two inputs of one class that the network assigns to that class.",
    formula: "E (1/n) Σᵢ [argmax f((xᵢ + x_π(i)) / 2) = yᵢ]",
    shapes: "f: [n, C] logits; π: a random permutation within each class; y: [n] labels",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning: label-wise mixup",
    needs: &[Need::Labels],
    cost: "4 F (one for each draw)",
    invariances: Invariances::ALL,
    behaviour: "An accuracy, with its natural sign: here smaller values predict a larger gap, and `1 - mixup_accuracy` \
                is the factor of the winning entry. A sample may meet itself. Of equal outputs the first class \
                counts.",
    stochastic: true,
    control: false,
    parameters: &[DRAWS],
};

impl MixupAccuracy {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { draws: draws(parameters)? })
    }
}

impl Measure for MixupAccuracy {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let labels = Vec::<i64>::try_from(probe.labels())?;
        mean_of_draws(self.draws, |draw| {
            let partners = probe.generator(&format!("draw {draw}")).permutation_within(&labels);
            let mut right = 0;
            for batch in probe.batches() {
                let batch = batch?;
                let (from, to) = (batch.start as usize, (batch.start + batch.len()) as usize);
                let index = Tensor::f_from_slice(&partners[from..to])?.f_to_device(probe.device())?;
                let others = probe.inputs().f_index_select(0, &index)?;
                let found = decisions(&probe.forward(&batch.inputs.f_add(&others)?.f_mul_scalar(0.5)?)?)?;
                right +=
                    found.classes.iter().zip(&labels[from..to]).filter(|(one, other)| one == other).count();
            }
            Ok(right as f64 / labels.len() as f64)
        })
    }
}
