//! Two lists of numbers, one entry per network in each.

use crate::outcome::{Outcome, Undefined};

/// The entries where both lists have a number (not NaN).
///
/// Undefined where the lists are of different length.
pub(crate) fn complete_pairs(x: &[f64], y: &[f64]) -> Outcome<(Vec<f64>, Vec<f64>)> {
    if x.len() != y.len() {
        return Err(Undefined::because(format!(
            "the lists have {} and {} entries, and must have one each per network",
            x.len(),
            y.len()
        )));
    }
    Ok(x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan()).unzip())
}

/// Whether all entries are equal (true for fewer than two).
pub(crate) fn is_constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

/// Finite lists that vary, each divided by a power of two so that squares neither overflow nor vanish.
///
/// # Undefined
/// Fewer than `least` networks, an infinite entry, a constant list.
pub(crate) fn scaled_pairs(x: &[f64], y: &[f64], least: usize) -> Outcome<(Vec<f64>, Vec<f64>)> {
    if x.len() < least {
        return Err(Undefined::because(format!(
            "needs {least} networks with a value, there are {}",
            x.len()
        )));
    }
    for (values, what) in [(x, "measure"), (y, "gap")] {
        if values.iter().any(|value| value.is_infinite()) {
            return Err(Undefined::because(format!("the {what} is infinite for a network")));
        }
        if is_constant(values) {
            return Err(Undefined::because(format!("the {what} is the same for all networks")));
        }
    }
    Ok((scaled(x), scaled(y)))
}

fn scaled(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // A power of two scales without rounding.
    let exponent = largest.log2().floor().clamp(-1000.0, 1000.0) as i32;
    values.iter().map(|value| value * 2f64.powi(-exponent)).collect()
}

/// Deviations from the mean.
pub(crate) fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| value - mean).collect()
}
