//! What predictions leave open, sample by sample, and draws of the samples that matter.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, Logits, MeasureError, Probe};

/// tr(diag(pᵢ) − pᵢ pᵢᵀ) = 1 − ‖pᵢ‖² of each sample, with pᵢ its softmax: the curvature of the cross-entropy in the logits.
/// Samples that are fit with certainty have next to none.
#[derive(Debug)]
pub(crate) struct Open {
    /// Softmax, `[n, C]`, f64.
    pub p: Tensor,
    /// 1 − ‖pᵢ‖².
    each: Vec<f64>,
    /// Running sums.
    running: Vec<f64>,
}

impl Open {
    /// Of the probe's sample.
    ///
    /// # Errors
    /// Undefined where logits are not finite.
    pub(crate) fn new(probe: &Probe) -> Result<Self, MeasureError> {
        let p = probe.get(&Logits)?.f_softmax(-1, Kind::Double)?;
        // Σ p_c (1 − p_c), without the cancellation of 1 − Σ p_c².
        let each = p.f_mul(&p.f_neg()?.f_add_scalar(1.0)?)?;
        let each = Vec::<f64>::try_from(&each.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Double)?)?;
        let each: Vec<f64> = each.into_iter().map(|one| one.max(0.0)).collect();
        let running = each.iter().scan(0.0, |sum, one| {
            *sum += one;
            Some(*sum)
        });
        let running = running.collect();
        Ok(Self { p, each, running })
    }

    /// Number of samples n.
    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    /// The sum over all samples.
    pub(crate) fn total(&self) -> f64 {
        self.running.last().copied().unwrap_or(0.0)
    }

    /// That of one sample.
    pub(crate) fn of(&self, sample: usize) -> f64 {
        self.each[sample]
    }

    /// A sample, with a probability in proportion to what it leaves open; the last where none leaves anything.
    pub(crate) fn draw(&self, random: &mut Generator) -> usize {
        let at = random.random::<f64>() * self.total();
        self.running.partition_point(|sum| *sum <= at).min(self.len() - 1)
    }
}

/// Samples drawn without replacement, each with a probability of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn {
    /// Sample numbers.
    pub samples: Vec<usize>,
    /// 1 / π of each, π its probability to be drawn: Σ f / π over the drawn has the expectation Σ f over all whose size is
    /// not zero (Horvitz, Thompson 1952).
    pub weights: Vec<f64>,
}

/// Draws `count` samples, or all of a positive size where there are fewer, with probabilities in proportion to `sizes`, and
/// those for which that would be more than 1 certainly: systematically, along a random order (Madow 1949).
pub(crate) fn draw_by_size(sizes: &[f64], count: usize, random: &mut Generator) -> Drawn {
    let mut order: Vec<usize> =
        random.permutation(sizes.len()).into_iter().map(|sample| sample as usize).collect();
    let probabilities = probabilities(sizes, count);
    let start = random.random::<f64>();
    let mut sum = 0.0;
    order.retain(|sample| {
        let before = sum;
        sum += probabilities[*sample];
        probabilities[*sample] >= 1.0 || (sum + start).floor() > (before + start).floor()
    });
    let weights = order.iter().map(|sample| probabilities[*sample].recip()).collect();
    Drawn { samples: order, weights }
}

/// min(1, c s) of each size s, with c so that the sum is `count`, or 1 for all positive sizes.
fn probabilities(sizes: &[f64], count: usize) -> Vec<f64> {
    let mut descending: Vec<f64> = sizes.iter().copied().filter(|size| *size > 0.0).collect();
    if descending.len() <= count {
        return sizes.iter().map(|size| f64::from(u8::from(*size > 0.0))).collect();
    }
    descending.sort_by(|one, other| other.total_cmp(one));
    // With the k largest certain, the others share count − k.
    let mut rest: f64 = descending.iter().sum();
    let mut factor = f64::INFINITY;
    for (certain, size) in descending.iter().enumerate().take(count) {
        factor = (count - certain) as f64 / rest;
        if factor * size <= 1.0 {
            break;
        }
        rest -= size;
    }
    sizes.iter().map(|size| (factor * size).min(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use pgdl_measure::tch::Device;

    use super::*;

    #[test]
    fn probabilities_are_in_proportion_and_sum_to_the_count() {
        assert_eq!(probabilities(&[1.0, 2.0, 0.0, 5.0], 2), [1.0 / 3.0, 2.0 / 3.0, 0.0, 1.0]);
        assert_eq!(probabilities(&[1.0, 2.0, 0.0, 5.0], 3), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(probabilities(&[1.0; 4], 1), [0.25; 4]);
        assert_eq!(probabilities(&[0.0; 3], 2), [0.0; 3]);
    }

    #[test]
    fn a_weighted_sum_over_drawn_samples_is_unbiased() {
        let sizes: Vec<f64> = (0..30).map(|i| f64::from(i).exp2().recip() + 0.01).collect();
        let values: Vec<f64> = (0..30).map(|i| f64::from(i % 7) - 2.0).collect();
        let exact: f64 = values.iter().sum();
        let mut random = Generator::new(&[b"by size"], Device::Cpu, Kind::Double);
        let sums: Vec<f64> = (0..4000)
            .map(|_| {
                let drawn = draw_by_size(&sizes, 8, &mut random);
                assert_eq!(drawn.samples.len(), 8);
                drawn
                    .samples
                    .iter()
                    .zip(&drawn.weights)
                    .map(|(sample, weight)| weight * values[*sample])
                    .sum()
            })
            .collect();
        let mean = sums.iter().sum::<f64>() / 4000.0;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / 3999.0;
        assert!((mean - exact).abs() < 4.0 * (variance / 4000.0).sqrt(), "{mean} {exact}");
    }
}
