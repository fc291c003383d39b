//! What independent draws say together.

/// The mean; NaN of none.
#[must_use]
pub fn mean(draws: &[f64]) -> f64 {
    draws.iter().sum::<f64>() / draws.len() as f64
}

/// The standard error of the mean, s/√n; nothing for fewer than two draws.
#[must_use]
pub fn standard_error_of_mean(draws: &[f64]) -> Option<f64> {
    if draws.len() < 2 {
        return None;
    }
    let (centre, count) = (mean(draws), draws.len() as f64);
    let variance = draws.iter().map(|draw| (draw - centre).powi(2)).sum::<f64>() / (count - 1.0);
    Some((variance / count).sqrt())
}
