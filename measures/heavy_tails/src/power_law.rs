//! Fitting a power law to the tail of a sample.

/// A density ∝ λ^−α on λ ≥ λ_min.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// The exponent, above 1.
    pub alpha: f64,
    /// Where the tail begins: one of the values.
    pub minimum: f64,
    /// Number of values in the tail, those ≥ `minimum`.
    pub tail: usize,
    /// Kolmogorov–Smirnov distance between the tail and the fitted law, in [0, 1].
    pub distance: f64,
}

impl PowerLaw {
    /// Standard error of `alpha` to leading order, (α − 1) / √tail (Clauset, Shalizi, Newman 2009, eq. 3.2).
    pub fn standard_error(self) -> f64 {
        (self.alpha - 1.0) / (self.tail as f64).sqrt()
    }
}

/// Where the empirical distribution is held against the fitted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// On both sides of each of its steps: the Kolmogorov–Smirnov distance, a supremum.
    BothSides,
    /// Below each step alone, at 0, 1/n, …, (n − 1)/n, as the authors' `plfit` and the package `powerlaw` compute it.
    Below,
}

/// The fit of Clauset, Shalizi, Newman 2009: for each candidate λ_min among the values the maximum-likelihood exponent
/// α = 1 + n / Σ ln(λ / λ_min) over the n values λ ≥ λ_min, and of all candidates the one with the least KS distance,
/// the smallest of equals.
///
/// `values` are positive and ascending. `None` when all are equal, or there are fewer than two.
pub fn fit(values: &[f64], steps: Steps) -> Option<PowerLaw> {
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let largest = *logarithms.last()?;
    let mut best: Option<PowerLaw> = None;
    // Σ ln λ over the tail, from the top down, so that each candidate costs one pass for its distance only.
    let mut sum = 0.0;
    for start in (0..values.len()).rev() {
        sum += logarithms[start];
        let first_of_equals = start == 0 || values[start - 1] < values[start];
        if !first_of_equals || logarithms[start] >= largest {
            continue;
        }
        let tail = values.len() - start;
        let excess = sum - tail as f64 * logarithms[start];
        if excess <= 0.0 {
            continue;
        }
        let exponent = tail as f64 / excess;
        let apart = distance(&logarithms[start..], exponent, steps);
        if best.is_none_or(|best| apart <= best.distance) {
            best = Some(PowerLaw { alpha: 1.0 + exponent, minimum: values[start], tail, distance: apart });
        }
    }
    best
}

/// Largest distance between the empirical distribution of the ascending `logarithms` and 1 − (λ / λ_min)^−`exponent`.
fn distance(logarithms: &[f64], exponent: f64, steps: Steps) -> f64 {
    let count = logarithms.len() as f64;
    let lowest = logarithms[0];
    let mut largest = 0.0f64;
    for (position, logarithm) in logarithms.iter().enumerate() {
        let fitted = -(exponent * (lowest - logarithm)).exp_m1();
        let (before, after) = (position as f64 / count, (position + 1) as f64 / count);
        largest = largest.max((fitted - before).abs());
        if steps == Steps::BothSides {
            largest = largest.max((after - fitted).abs());
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use pgdl_measure::Generator;
    use pgdl_measure::rand::RngCore;
    use pgdl_measure::tch::{Device, Kind};

    use super::*;

    fn uniform(generator: &mut Generator) -> f64 {
        // In (0, 1].
        1.0 - (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    #[test]
    fn pareto_draws_give_their_exponent_within_its_standard_error() {
        for alpha in [1.5, 2.0, 3.0, 5.0] {
            let (mut misses, mut all) = (0, 0);
            for draw in 0u64..40 {
                let seed: [&[u8]; 2] = [b"pareto", &draw.to_le_bytes()];
                let mut generator = Generator::new(&seed, Device::Cpu, Kind::Double);
                let draws = (0..600).map(|_| 0.3 * uniform(&mut generator).powf(-1.0 / (alpha - 1.0)));
                let fitted = fit(&sorted(draws.collect()), Steps::BothSides).unwrap();
                all += 1;
                misses += i32::from((fitted.alpha - alpha).abs() > 2.0 * fitted.standard_error());
                assert!((fitted.alpha - alpha).abs() < 5.0 * fitted.standard_error(), "{alpha}: {fitted:?}");
            }
            // Two standard errors hold 95 % at a fixed λ_min; its choice widens the spread a little.
            assert!(misses <= all / 5, "{alpha}: {misses} of {all} beyond two standard errors");
        }
    }

    #[test]
    fn the_tail_begins_where_the_power_law_does() {
        let mut generator = Generator::new(&[b"body and tail"], Device::Cpu, Kind::Double);
        // 600 values spread evenly below 1, and 600 of a power law above.
        let body: Vec<f64> = (0..600).map(|_| uniform(&mut generator)).collect();
        let tail = (0..600).map(|_| uniform(&mut generator).powf(-1.0 / 1.5));
        let fitted = fit(&sorted(body.into_iter().chain(tail).collect()), Steps::BothSides).unwrap();
        assert!((0.9..1.5).contains(&fitted.minimum), "{fitted:?}");
        assert!((fitted.alpha - 2.5).abs() < 3.0 * fitted.standard_error(), "{fitted:?}");
    }

    #[test]
    fn four_values_by_hand() {
        // λ_min = 1: Σ ln λ = ln 64, α = 1 + 4 / ln 64, 1 + 1 / ln 2^1.5. Fitted CDF at 2ᵏ: 1 − e^−k/1.5, k = 0 … 3:
        // 0, 0.4866, 0.7364, 0.8647; steps at 1/4 … 1: largest distance 0.25 at λ = 1 … against 0.4866 − 0.25 = 0.2366
        // and 0.7364 − 0.5 = 0.2364. From λ_min = 2 on: at least 1/3 at the first step.
        let fitted = fit(&[1.0, 2.0, 4.0, 8.0], Steps::BothSides).unwrap();
        assert_eq!((fitted.minimum, fitted.tail), (1.0, 4));
        assert!((fitted.alpha - (1.0 + 4.0 / 64f64.ln())).abs() < 1e-14, "{fitted:?}");
        assert!((fitted.distance - 0.25).abs() < 1e-14, "{fitted:?}");
    }

    /// `alpha` and `xmin` of `powerlaw` 2.0 (Python), and of a loop over Clauset's definition in NumPy.
    #[test]
    fn below_steps_it_is_the_fit_of_common_code() {
        let growing = (0..24).map(|k| 1.7f64.powf(f64::from(k) * 0.37) + f64::from(k).sin().powi(2));
        let fitted = fit(&sorted(growing.collect()), Steps::Below).unwrap();
        assert!((fitted.alpha - 1.540768269077071).abs() < 1e-12, "{fitted:?}");
        assert!((fitted.minimum - 1.8220954252072425).abs() < 1e-12, "{fitted:?}");
        assert!((fitted.distance - 0.1604338072916826).abs() < 1e-12, "{fitted:?}");
        let waves = (0..40).map(|k| f64::from(k + 1).powf(1.6) / (1.0 + 0.5 * (2.3 * f64::from(k)).cos()));
        let fitted = fit(&sorted(waves.collect()), Steps::Below).unwrap();
        assert!((fitted.alpha - 2.766613437595644).abs() < 1e-12, "{fitted:?}");
        assert!((fitted.minimum - 142.32029735662465).abs() < 1e-11, "{fitted:?}");
    }

    #[test]
    fn scale_does_not_matter_and_equal_values_have_no_tail() {
        let values = [0.1, 0.4, 0.5, 1.7, 3.0, 3.0, 9.0];
        let one = fit(&values, Steps::BothSides).unwrap();
        let other = fit(&values.map(|value| 1024.0 * value), Steps::BothSides).unwrap();
        assert!((one.alpha - other.alpha).abs() < 1e-12);
        assert_eq!(fit(&[2.0; 12], Steps::BothSides), None);
        assert_eq!(fit(&[2.0], Steps::BothSides), None);
        assert_eq!(fit(&[], Steps::BothSides), None);
    }
}
