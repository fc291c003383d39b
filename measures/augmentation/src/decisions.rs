//! What a network decides, and how sure it is.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

/// Decisions on a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decisions {
    /// The strongest class, the first of equals.
    pub classes: Vec<i64>,
    /// Its softmax probability.
    pub probabilities: Vec<f64>,
}

impl Decisions {
    pub(crate) fn extend(&mut self, other: Self) {
        self.classes.extend(other.classes);
        self.probabilities.extend(other.probabilities);
    }
}

/// The decisions on the first samples as they are. A forward pass over them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainDecisions {
    pub samples: usize,
}

impl Quantity for PlainDecisions {
    type Value = Decisions;

    fn name(&self) -> String {
        format!("decisions samples={}", self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Decisions, MeasureError> {
        let mut all = Decisions::default();
        for batch in probe.batches_of(self.samples) {
            all.extend(decisions(&probe.forward(&batch?.inputs)?)?);
        }
        Ok(all)
    }
}

/// The decisions of logits `[b, C]`.
pub(crate) fn decisions(logits: &Tensor) -> Result<Decisions, MeasureError> {
    if logits.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined("the network's output is not finite");
    }
    let largest = logits.f_amax([1], true)?;
    // The first class that attains the maximum: on every device, which `argmax` does not promise.
    let attains = logits.f_eq_tensor(&largest)?.f_to_kind(Kind::Int64)?;
    let before = attains.f_cumsum(1, Kind::Int64)?.f_eq(0)?;
    let classes = before.f_sum_dim_intlist(1, false, Kind::Int64)?;
    let probabilities = logits.f_softmax(1, Kind::Double)?.f_amax([1], false)?;
    Ok(Decisions {
        classes: Vec::<i64>::try_from(&classes)?,
        probabilities: Vec::<f64>::try_from(&probabilities)?,
    })
}

#[cfg(test)]
mod tests {
    use super::decisions;
    use pgdl_measure::tch::Tensor;

    #[test]
    fn the_first_of_equal_outputs_counts() {
        let found = decisions(&Tensor::from_slice(&[0.0, 2.0, 2.0, 5.0, 1.0, 5.0]).reshape([2, 3])).unwrap();
        assert_eq!(found.classes, [1, 0]);
        let expected = 1.0 / (2.0 + (-2f64).exp());
        assert!((found.probabilities[0] - expected).abs() < 1e-15);
        assert!(decisions(&Tensor::from_slice(&[f64::NAN, 1.0]).reshape([1, 2])).is_err());
    }
}
