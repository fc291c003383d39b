//! The distance between confidence and accuracy.

use pgdl_measure::{
    Correct, Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Probe,
};

use crate::probabilities::Confidences;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ExpectedCalibrationError {
    /// Number of bins.
    pub bins: i64,
}

/// What `expected_calibration_error` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "expected_calibration_error",
    family: "calibration",
    version: 1,
    title: "The mean distance between confidence and accuracy, over bins of equal confidence.",
    formula: "Σ_b (|B_b| / n) · |acc(B_b) − conf(B_b)|,  B_b = {i : (b − 1)/M < maxⱼ pⱼ(xᵢ) ≤ b/M},  b = 1 … M",
    shapes: "p: [n, C] probabilities, softmax of the logits; y: [n] labels; acc, conf: share of correct decisions and \
             mean confidence in a bin",
    paper: "Naeini, Cooper, Hauskrecht 2015, Obtaining Well Calibrated Probabilities Using Bayesian Binning; Guo, \
            Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks, eq. 3",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "From 0 to 1. On a training sample that is fitted almost perfectly it is mostly underconfidence: one \
                minus the confidence. It jumps when a sample crosses the border of a bin.",
    stochastic: false,
    control: false,
    parameters: &[ParameterInfo {
        name: "bins",
        kind: ParameterKind::Integer { default: 15, min: 1, max: 100_000 },
        doc: "number M of bins",
    }],
};

impl Measure for ExpectedCalibrationError {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let confidences = probe.get(&Confidences)?;
        let correct: Vec<bool> = Vec::try_from(&*probe.get(&Correct)?)?;
        Ok(Measured::value(calibration_error(&confidences, &correct, self.bins)))
    }
}

/// The formula: per sample a confidence in [0, 1] and whether the decision is correct. At least one sample and one bin.
pub fn calibration_error(confidences: &[f64], correct: &[bool], bins: i64) -> f64 {
    let last = bins - 1;
    // |B| · (acc − conf) of each bin.
    let mut excess = vec![0.0; bins as usize];
    for (&confidence, &correct) in confidences.iter().zip(correct) {
        let bin = ((confidence * bins as f64).ceil() as i64 - 1).clamp(0, last) as usize;
        excess[bin] += f64::from(u8::from(correct)) - confidence;
    }
    excess.iter().map(|difference| difference.abs()).sum::<f64>() / confidences.len() as f64
}

#[cfg(test)]
mod tests {
    use super::calibration_error;

    #[test]
    fn two_bins_by_hand() {
        // Bin (0, 0.5]: confidences 0.4, 0.5, one of two correct: |1/2 − 0.45| = 0.05.
        // Bin (0.5, 1]: 0.6, 0.8, 1.0, all correct: |1 − 0.8| = 0.2. Together (2 · 0.05 + 3 · 0.2) / 5 = 0.14.
        let error = calibration_error(&[0.4, 0.5, 0.6, 0.8, 1.0], &[true, false, true, true, true], 2);
        assert!((error - 0.14).abs() < 1e-15, "{error}");
    }

    #[test]
    fn one_bin_is_the_difference_of_the_means() {
        let error = calibration_error(&[0.25, 0.75], &[false, false], 1);
        assert_eq!(error, 0.5);
    }
}
