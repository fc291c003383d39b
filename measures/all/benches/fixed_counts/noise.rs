//! Gaussian noise on the weights, a fixed count of draws on all samples.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Accuracy, Losses, MeasureError, Measured, Perturbed, Probe};
use pgdl_measure_pac_bayes::EPSILON;

use crate::Found;

/// 1/σ² with noise N(0, σ²) on every weight.
pub fn plain_scale(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let sigma = bisected(probe, &|weights, sigma| Ok(weights.f_full_like(sigma)?))?;
    Ok(Found::exact(sigma.powi(-2)))
}

/// 1/σ² with noise N(0, σ²w² + ε²).
pub fn magnitude_scale(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let sigma = bisected(probe, &|weights, sigma| {
        let variance = weights.f_square()?.f_mul_scalar(sigma * sigma)?;
        Ok(variance.f_add_scalar(EPSILON * EPSILON)?.f_sqrt()?)
    })?;
    Ok(Found::exact(sigma.powi(-2)))
}

/// σ by at most 15 bisections of [0, 2] with 10 draws at each, done when the mean drop of accuracy is within 0.01 of 0.1.
fn bisected(
    probe: &Probe,
    deviations: &dyn Fn(&Tensor, f64) -> Result<Tensor, MeasureError>,
) -> Result<f64, MeasureError> {
    let copies = Perturbed::folded(probe)?;
    let accuracy = *probe.get(&Accuracy)?;
    let all = Tensor::f_arange(probe.sample_size() as i64, (Kind::Int64, probe.device()))?.f_unsqueeze(0)?;
    let mut random = probe.generator("fixed count");
    let (mut low, mut high, mut sigma) = (0.0, 2.0, 1.0);
    for _ in 0..15 {
        sigma = 0.5 * (low + high);
        let deviations = deviations(copies.center(), sigma)?;
        let mut sum = 0.0;
        for _ in 0..10 {
            let noise = random.normal_tensor(&copies.center().size())?.f_mul(&deviations)?;
            let right = copies.correct(&copies.center().f_add(&noise)?.f_unsqueeze(0)?, &all)?;
            sum += right.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        }
        let drop = (accuracy - sum / 10.0).abs();
        if (drop - 0.1).abs() < 0.01 {
            break;
        }
        if drop > 0.1 { high = sigma } else { low = sigma }
    }
    Ok(sigma)
}

/// The mean rise of the loss, over 100 draws.
pub fn average_rise(probe: &Probe, ours: &Measured) -> Result<Found, MeasureError> {
    let copies = Perturbed::folded(probe)?;
    let before = probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?;
    let deviation = crate::detail(ours, "rho")?;
    let mut random = probe.generator("fixed count");
    let rises: Vec<f64> = (0..100)
        .map(|_| {
            let noise = random.normal_tensor(&copies.center().size())?.f_mul_scalar(deviation)?;
            let network = copies.network().with_trainable_vector(&copies.center().f_add(&noise)?)?;
            Ok(crate::weights::mean_loss(probe, &network)? - before)
        })
        .collect::<Result<_, MeasureError>>()?;
    Ok(Found::mean(&rises))
}
