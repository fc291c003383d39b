//! What a network loses without its small weights.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::fit::{SAMPLES, WholeFit, fit, samples};
use crate::quantize::with_kernels;

/// Shares of the weights that are set to zero, in percent: whole numbers, which are not rounded.
const PERCENT: [i64; 10] = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95];

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PruningCurve {
    samples: usize,
    whole_network: bool,
}

/// What `pruning_curve` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "pruning_curve",
    family: "description_length",
    version: 2,
    title: "The training accuracy that is lost when the smallest weights are set to zero, averaged over how many.",
    formula: "mean over s of A(w) − A(w without the share s of the smallest |w|),  s = 0.1, 0.2 … 0.9, 0.95",
    shapes: "A: accuracy on the first m samples; w: kernels and matrices, BatchNormalization folded into them; biases stay",
    paper: "magnitude pruning: Han, Pool, Tran, Dally 2015, Learning both Weights and Connections for Efficient Neural Networks \
            (without their retraining)",
    needs: &[Need::Labels],
    cost: "11 m/n F, m = 1000",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "A network that needs few of its weights has a short description. The details are the accuracies at each s. Weights are \
                compared within their tensor; `scope=network` compares all with each other, and then depends on how layers \
                are scaled against each other. Of equal magnitudes those at the front are kept.",
    stochastic: false,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "scope",
            kind: ParameterKind::Choice { default: "tensor", options: &["tensor", "network"] },
            doc: "where the smallest weights are looked for",
        },
    ],
};

impl PruningCurve {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)?, whole_network: parameters.choice("scope")? == "network" })
    }
}

/// 0 where a value is among the ⌊share · N⌋ smallest magnitudes, else 1; of equal ones the first are kept.
fn kept(values: &Tensor, percent: i64) -> Result<Tensor, MeasureError> {
    let flat = values.f_reshape([-1])?.f_abs()?;
    let count = flat.size()[0];
    let keep = count - count * percent / 100;
    let (_, order) = flat.f_sort_stable(true, 0, true)?;
    let mask = flat.f_zeros_like()?;
    Ok(mask.f_index_fill(0, &order.f_narrow(0, 0, keep)?, 1.0)?.f_reshape(values.size())?)
}

impl Measure for PruningCurve {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?;
        let whole = probe.get(&WholeFit { samples: self.samples })?.accuracy;
        let flat: Vec<Tensor> = network
            .parameters()
            .filter(|parameter| parameter.spec.role.is_weight())
            .map(|parameter| Ok(parameter.tensor.f_reshape([-1])?))
            .collect::<Result<_, MeasureError>>()?;
        if flat.is_empty() {
            return MeasureError::undefined("the network has no weights");
        }
        let all = Tensor::f_cat(&flat, 0)?;
        let mut accuracies = Vec::with_capacity(PERCENT.len());
        for percent in PERCENT {
            let mask = if self.whole_network { Some(kept(&all, percent)?) } else { None };
            let mut start = 0;
            let pruned = with_kernels(&network, |kernel| {
                let own = match &mask {
                    Some(mask) => {
                        let length = kernel.numel() as i64;
                        let own = mask.f_narrow(0, start, length)?.f_reshape(kernel.size())?;
                        start += length;
                        own
                    }
                    None => kept(kernel, percent)?,
                };
                Ok(kernel.f_mul(&own)?)
            })?;
            accuracies.push(fit(probe, &pruned, self.samples)?.accuracy);
        }
        let lost = accuracies.iter().map(|accuracy| whole - accuracy).sum::<f64>() / accuracies.len() as f64;
        let mut measured = Measured::value(lost).with_detail("accuracy", whole);
        for (percent, accuracy) in PERCENT.iter().zip(&accuracies) {
            let share = *percent as f64 / 100.0;
            measured = measured.with_detail(&format!("accuracy_without_{share}"), *accuracy);
        }
        Ok(measured)
    }
}
