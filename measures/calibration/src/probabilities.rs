//! What the outputs say as probabilities.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Logits, MeasureError, Probe, Quantity};

/// ln softmax of the logits: `[n, C]`, f64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogProbabilities;

impl Quantity for LogProbabilities {
    type Value = Tensor;

    fn name(&self) -> String {
        "log_probabilities".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        Ok(probe.get(&Logits)?.f_log_softmax(1, Kind::Double)?)
    }
}

/// The largest probability of each sample: f64, on the CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confidences;

impl Quantity for Confidences {
    type Value = Vec<f64>;

    fn name(&self) -> String {
        "confidences".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<f64>, MeasureError> {
        let largest = probe.get(&LogProbabilities)?.f_amax([1], false)?.f_exp()?;
        Ok(Vec::try_from(&largest)?)
    }
}
