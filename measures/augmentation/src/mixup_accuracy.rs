//! Accuracy on mixtures of two samples of a class.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::decisions::decisions;
use crate::draws::{DRAWS, SAMPLES, mean_of_draws, size};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MixupAccuracy {
    error: bool,
    samples: usize,
    draws: usize,
}

/// What `mixup_accuracy` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "mixup_accuracy",
    family: "augmentation",
    version: 2,
    title: "The share of mixtures of two inputs of one class that the network assigns to that class: an ingredient of \
            composites, or with `form=error` its complement, a measure.",
    formula: "E (1/m) Σᵢ [argmax f((xᵢ + x_π(i)) / 2) = yᵢ];  `form=error`: 1 − that",
    shapes: "f: [m, C] logits; π: a random permutation within each class; y: [m] labels; m: the first samples",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep \
            Learning: label-wise mixup",
    needs: &[Need::Labels],
    cost: "4 m/n F (one for each draw), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "An ingredient: the accuracy itself, as its name says and as `davies_bouldin * (1 - mixup_accuracy)`, the \
                winning entry's composite, needs it. Smaller values predict a larger gap, against the rule of all other \
                measures, so that its correlations with the gap have the other sign. `form=error`, the share of mixtures \
                that go to another class, keeps the rule: take it to rank networks. A sample may meet itself. Of equal \
                outputs the first class counts.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "form",
            kind: ParameterKind::Choice { default: "accuracy", options: &["accuracy", "error"] },
            doc: "`error` is 1 − the accuracy: larger predicts a larger gap",
        },
        SAMPLES,
        DRAWS,
    ],
};

impl MixupAccuracy {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            error: parameters.choice("form")? == "error",
            samples: size(parameters, "samples")?,
            draws: size(parameters, "draws")?,
        })
    }
}

impl Measure for MixupAccuracy {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let mut labels = Vec::<i64>::try_from(probe.labels())?;
        labels.truncate(self.samples);
        mean_of_draws(self.draws, |draw| {
            let partners = probe.generator(&format!("draw {draw}")).permutation_within(&labels);
            let mut right = 0;
            for batch in probe.batches_of(self.samples) {
                let batch = batch?;
                let (from, to) = (batch.start as usize, (batch.start + batch.len()) as usize);
                let index = Tensor::f_from_slice(&partners[from..to])?.f_to_device(probe.device())?;
                let others = probe.inputs().f_index_select(0, &index)?;
                let found = decisions(&probe.forward(&batch.inputs.f_add(&others)?.f_mul_scalar(0.5)?)?)?;
                right +=
                    found.classes.iter().zip(&labels[from..to]).filter(|(one, other)| one == other).count();
            }
            let counted = if self.error { labels.len() - right } else { right };
            Ok(counted as f64 / labels.len() as f64)
        })
    }
}
