//! The temperature at which the outputs fit best.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Accuracy, Effect, Invariances, Logits, Measure, MeasureError, MeasureInfo, Measured, Need, Probe,
};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Temperature;

/// What `temperature` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "temperature",
    family: "calibration",
    version: 1,
    title: "The temperature by which the logits must be divided to fit the training sample best.",
    formula: "argmin over T > 0 of −(1/n) Σᵢ ln softmax(f(xᵢ) / T)_yᵢ",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "Guo, Pleiss, Sun, Weinberger 2017, On Calibration of Modern Neural Networks, section 4.2, here fitted to \
            the training sample",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(1.0),
    },
    behaviour: "Above 1 the network is overconfident already where it was trained, below 1 underconfident. The loss is \
                convex in 1/T, and its minimum is found by Newton's method inside a bracket, to 1e-13. Undefined \
                where every sample is classified correctly (the loss falls as T → 0) and where the logits are no \
                better than uniform (it falls as T → ∞).",
    stochastic: false,
    control: false,
    parameters: &[],
};

/// Steps in which the minimum must be found: bisection alone needs 44, and ten more widen the bracket a millionfold.
const STEPS: usize = 400;

/// Relative width of the bracket at which the search ends.
const TOLERANCE: f64 = 1e-13;

impl Measure for Temperature {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let logits = probe.get(&Logits)?;
        let fit = Fit::new(&logits, probe.labels())?;
        if fit.shortfall()? <= 0.0 {
            let accuracy = *probe.get(&Accuracy)?;
            return MeasureError::undefined(format!(
                "no sample has a larger logit than its label's (accuracy {accuracy}): the loss falls as T → 0"
            ));
        }
        if fit.slope(0.0)?.0 >= 0.0 {
            return MeasureError::undefined("the logits are no better than uniform: the loss falls as T → ∞");
        }
        Ok(Measured::value(1.0 / fit.minimum(probe)?))
    }
}

/// The loss as a function of the inverse temperature β = 1/T.
struct Fit {
    /// `[n, C]`, f64, the largest of each row 0.
    logits: Tensor,
    /// `[n, 1]`: the labels' logits.
    own: Tensor,
    /// A typical size of the logits: where to begin.
    scale: f64,
}

impl Fit {
    fn new(logits: &Tensor, labels: &Tensor) -> Result<Self, MeasureError> {
        let logits = logits.f_to_kind(Kind::Double)?;
        let logits = logits.f_sub(&logits.f_amax([1], true)?)?;
        let own = logits.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
        let scale = logits.f_mean(Kind::Double)?.f_neg()?.f_double_value(&[])?;
        Ok(Self { logits, own, scale })
    }

    /// Mean distance of the label's logit from the largest: the slope of the loss as β → ∞.
    fn shortfall(&self) -> Result<f64, MeasureError> {
        Ok(self.own.f_mean(Kind::Double)?.f_neg()?.f_double_value(&[])?)
    }

    /// First and second derivative of the loss at β: the means of E_p f − f_y and of Var_p f under
    /// p = softmax(β f).
    fn slope(&self, beta: f64) -> Result<(f64, f64), MeasureError> {
        let probabilities = self.logits.f_mul_scalar(beta)?.f_softmax(1, Kind::Double)?;
        let weighted = probabilities.f_mul(&self.logits)?;
        let mean = weighted.f_sum_dim_intlist(1, true, None)?;
        let square = weighted.f_mul(&self.logits)?.f_sum_dim_intlist(1, true, None)?;
        let first = mean.f_sub(&self.own)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        let second = square.f_sub(&mean.f_square()?)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        Ok((first, second))
    }

    /// The β where the slope, which rises from below to above zero, vanishes.
    fn minimum(&self, probe: &Probe) -> Result<f64, MeasureError> {
        let mut beta = 1.0 / self.scale;
        let (mut low, mut high) = (0.0, f64::INFINITY);
        for _ in 0..STEPS {
            probe.check_deadline()?;
            let (first, second) = self.slope(beta)?;
            if first == 0.0 {
                return Ok(beta);
            }
            if first < 0.0 {
                low = beta;
            } else {
                high = beta;
            }
            if high.is_finite() && high - low <= TOLERANCE * high {
                return Ok(beta);
            }
            let newton = beta - first / second;
            let inside = newton > low && newton < high && newton.is_finite();
            let next = match (inside, high.is_finite()) {
                // Far from the minimum Newton's steps creep or leap: no more than a factor of 4.
                (true, _) => newton.clamp(beta / 4.0, beta * 4.0),
                (false, true) => 0.5 * (low + high),
                (false, false) => beta * 4.0,
            };
            if (next - beta).abs() <= TOLERANCE * beta {
                return Ok(next);
            }
            beta = next;
        }
        MeasureError::failed(format!("the temperature was not found in {STEPS} steps"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_the_derivatives_of_the_loss() {
        let logits = Tensor::from_slice(&[1.0, 2.0, 0.5, -1.0, 0.0, 3.0]).reshape([2, 3]);
        let fit = Fit::new(&logits, &Tensor::from_slice(&[0i64, 2])).unwrap();
        let loss = |beta: f64| {
            let row =
                |f: [f64; 3], y: usize| (f.iter().map(|x| (beta * x).exp()).sum::<f64>()).ln() - beta * f[y];
            0.5 * (row([1.0, 2.0, 0.5], 0) + row([-1.0, 0.0, 3.0], 2))
        };
        for beta in [0.1, 1.0, 2.5] {
            let step = 1e-4;
            let (first, second) = fit.slope(beta).unwrap();
            let first_difference = (loss(beta + step) - loss(beta - step)) / (2.0 * step);
            let second_difference =
                (loss(beta + step) - 2.0 * loss(beta) + loss(beta - step)) / (step * step);
            assert!((first - first_difference).abs() < 1e-7, "{first} {first_difference}");
            assert!((second - second_difference).abs() < 1e-6, "{second} {second_difference}");
        }
    }
}
