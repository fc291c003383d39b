//! The scale at which noise costs a given share of accuracy, as the root of a noisy function.
//!
//! D(s) is the expected drop at scale s. A few draws, the same at every scale (common random numbers), find a factor of
//! two that holds the root. Then fresh draws are spent near it only: first pairs of scales with the same draws, which give
//! the local power law D ∝ sᵖ, then one scale a draw, until the standard error is small enough. With dₖ the drop of draw k
//! at scale sₖ, the estimate solves Σ dₖ = target · Σ (sₖ / s)ᵖ, and its relative standard error is that of the mean
//! residual over p · target.

use std::ops::Range;

use pgdl_measure::MeasureError;

/// Draws that locate the root.
const PILOT: usize = 16;

/// Draws between two looks at the standard error.
const BATCH: usize = 16;

/// Fresh draws after which the search may stop.
const FEWEST: usize = 32;

/// Fresh draws after which it stops in any case.
const MOST: usize = 480;

/// Half the distance of the two scales of a pair, in ln s.
const HALF: f64 = 0.15;

/// The relative standard error of p at which no more pairs are drawn, and how many there are at most.
const EXPONENT: (f64, usize) = (0.2, 128);

/// The largest scale tried, and the smallest, in factors of the first.
const DOUBLINGS: u32 = 24;

/// Drops at a scale.
pub(crate) trait Drops {
    /// The drop of each of these draws at the scale e^`log_scale`. The same draw has the same noise at every scale.
    fn drops(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError>;
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The expected drop.
    pub drop: f64,
    /// The relative standard error to stop at.
    pub tolerance: f64,
    /// Logarithm of the scale to begin with.
    pub start: f64,
}

/// The scale, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// ln s.
    pub log: f64,
    /// Standard error of ln s: the relative standard error of s.
    pub standard_error: f64,
    /// p, by which the drop grows locally: D ∝ sᵖ.
    pub exponent: f64,
    /// Standard deviation of a draw's drop about its expectation.
    pub spread: f64,
    /// Evaluated pairs of a draw and a scale, those that located the root included.
    pub evaluations: usize,
    /// Fresh draws, on which the estimate rests.
    pub draws: usize,
}

impl Scale {
    /// s.
    pub fn value(&self) -> f64 {
        self.log.exp()
    }
}

/// Finds the scale.
///
/// # Errors
/// Undefined where the drop stays below the target at every scale, or above it; those of `drops`, with what is known so
/// far.
pub(crate) fn find(drops: &mut impl Drops, target: Target) -> Result<Scale, MeasureError> {
    let mut search = Search { drops, target, pilot: Vec::new(), evaluations: 0, fresh: Fresh::default() };
    search.run().map_err(|error| match error {
        MeasureError::Timeout(reason) => MeasureError::Timeout(format!("{reason}; {}", search.so_far())),
        other => other,
    })
}

struct Search<'a, D> {
    drops: &'a mut D,
    target: Target,
    /// Logarithms of scales with the mean drop of the pilot draws.
    pilot: Vec<(f64, f64)>,
    evaluations: usize,
    fresh: Fresh,
}

impl<D: Drops> Search<'_, D> {
    fn run(&mut self) -> Result<Scale, MeasureError> {
        let [low, high] = self.bracket()?;
        let first = power(low, high);
        let mut at = (high.0 + (self.target.drop / high.1).ln() / first).clamp(low.0, high.0);
        let exponent = self.pairs(at, first)?;
        if let Some(root) = self.fresh.root(self.target.drop, exponent) {
            at = root.clamp(at - 2f64.ln(), at + 2f64.ln());
        }
        loop {
            let from = PILOT + self.fresh.draws.len();
            let found = self.evaluate(at, from..from + BATCH)?;
            self.fresh.draws.extend(found.into_iter().map(|drop| Draw { at: [at; 2], drop }));
            let draws = self.fresh.draws.len();
            match self.fresh.root(self.target.drop, exponent) {
                Some(root) => {
                    let residuals = self.fresh.spread(self.target.drop, exponent, root);
                    let error = residuals / (draws as f64).sqrt() / (exponent * self.target.drop);
                    let enough = draws >= FEWEST && error <= self.target.tolerance;
                    if enough || draws >= MOST {
                        return Ok(Scale {
                            log: root,
                            standard_error: error,
                            exponent,
                            spread: residuals,
                            evaluations: self.evaluations,
                            draws,
                        });
                    }
                    // One batch says little: it moves the next by no more than a factor of two.
                    at = root.clamp(at - 2f64.ln(), at + 2f64.ln());
                }
                None if draws >= MOST => {
                    return MeasureError::undefined(format!(
                        "{draws} draws show no drop of accuracy near the scale {:.3e}, at which fewer showed one",
                        at.exp()
                    ));
                }
                None => at += 2f64.ln().min(1.0 / exponent),
            }
        }
    }

    /// Fresh draws at two scales about `at`: p from them, or `fallback` where they show no drop at the smaller one.
    fn pairs(&mut self, at: f64, fallback: f64) -> Result<f64, MeasureError> {
        let ends = [at - HALF, at + HALF];
        let mut pairs: Vec<[f64; 2]> = Vec::new();
        loop {
            let from = PILOT + pairs.len();
            let low = self.evaluate(ends[0], from..from + BATCH)?;
            let high = self.evaluate(ends[1], from..from + BATCH)?;
            pairs.extend(low.into_iter().zip(high).map(|(low, high)| [low, high]));
            let fit = local_power(&pairs);
            if pairs.len() >= EXPONENT.1 || fit.is_some_and(|(power, error)| error <= EXPONENT.0 * power) {
                self.fresh.draws =
                    pairs.iter().map(|pair| Draw { at: ends, drop: 0.5 * (pair[0] + pair[1]) }).collect();
                return Ok(fit.map_or(fallback.clamp(0.5, 8.0), |(power, _)| power.clamp(0.25, 20.0)));
            }
        }
    }

    /// Two scales, a factor of at most two apart, with positive drops below and above the target.
    fn bracket(&mut self) -> Result<[(f64, f64); 2], MeasureError> {
        let first = self.pilot_at(self.target.start)?;
        let up = first.1 < self.target.drop;
        let step = if up { 2f64.ln() } else { -(2f64.ln()) };
        let mut last = first;
        for _ in 0..DOUBLINGS {
            let next = self.pilot_at(last.0 + step)?;
            let (low, high) = if up { (last, next) } else { (next, last) };
            if low.1 < self.target.drop && high.1 >= self.target.drop {
                return self.positive(low, high);
            }
            last = next;
        }
        let (side, largest) =
            if up { ("at most", f64::max as fn(f64, f64) -> f64) } else { ("at least", f64::min as _) };
        let extreme = self.pilot.iter().map(|(_, drop)| *drop).reduce(largest).unwrap_or(0.0);
        MeasureError::undefined(format!(
            "noise lowers the accuracy by {side} {extreme:.4} at every scale from {:.1e} to {:.1e}, not by {}",
            first.0.min(last.0).exp(),
            first.0.max(last.0).exp(),
            self.target.drop
        ))
    }

    /// Raises the lower end until its drop is positive.
    fn positive(
        &mut self,
        mut low: (f64, f64),
        mut high: (f64, f64),
    ) -> Result<[(f64, f64); 2], MeasureError> {
        for _ in 0..DOUBLINGS {
            if low.1 > 0.0 {
                break;
            }
            let middle = self.pilot_at(0.5 * (low.0 + high.0))?;
            if middle.1 < self.target.drop { low = middle } else { high = middle }
        }
        // A step at one scale: any steep power will do.
        low.1 = low.1.max(self.target.drop * 1e-3);
        Ok([low, high])
    }

    fn pilot_at(&mut self, log_scale: f64) -> Result<(f64, f64), MeasureError> {
        let found = self.evaluate(log_scale, 0..PILOT)?;
        let point = (log_scale, found.iter().sum::<f64>() / found.len() as f64);
        self.pilot.push(point);
        Ok(point)
    }

    fn evaluate(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
        let found = self.drops.drops(log_scale, draws)?;
        self.evaluations += found.len();
        Ok(found)
    }

    /// What is known when time is up.
    fn so_far(&self) -> String {
        let below = self.pilot.iter().filter(|(_, drop)| *drop < self.target.drop).map(|(at, _)| *at);
        let above = self.pilot.iter().filter(|(_, drop)| *drop >= self.target.drop).map(|(at, _)| *at);
        let (below, above) = (below.reduce(f64::max), above.reduce(f64::min));
        let word = |at: Option<f64>| at.map_or("unknown".to_string(), |at| format!("{:.3e}", at.exp()));
        format!(
            "after {} evaluations the scale is between {} and {}",
            self.evaluations,
            word(below),
            word(above)
        )
    }
}

/// p of the power law through two points.
fn power(low: (f64, f64), high: (f64, f64)) -> f64 {
    ((high.1 / low.1).ln() / (high.0 - low.0)).clamp(0.1, 20.0)
}

/// p from drops at both ends of pairs, with its standard error; none where the drop does not grow.
fn local_power(pairs: &[[f64; 2]]) -> Option<(f64, f64)> {
    let count = pairs.len() as f64;
    let mean = |end: usize| pairs.iter().map(|pair| pair[end]).sum::<f64>() / count;
    let (low, high) = (mean(0), mean(1));
    if low <= 0.0 || high <= low {
        return None;
    }
    let influences = pairs.iter().map(|pair| (pair[1] / high - pair[0] / low) / (2.0 * HALF));
    let variance = influences.map(|each| each * each).sum::<f64>() / (count - 1.0);
    Some(((high / low).ln() / (2.0 * HALF), (variance / count).sqrt()))
}

/// A draw near the root, seen at one scale (twice the same) or at two.
struct Draw {
    at: [f64; 2],
    /// Mean over the two.
    drop: f64,
}

impl Draw {
    /// (sₖ / e^`origin`)ᵖ, the mean over the two.
    fn growth(&self, exponent: f64, origin: f64) -> f64 {
        0.5 * self.at.iter().map(|at| (exponent * (at - origin)).exp()).sum::<f64>()
    }
}

/// Draws near the root.
#[derive(Default)]
struct Fresh {
    draws: Vec<Draw>,
}

impl Fresh {
    /// ln s of Σ dₖ = target · Σ (sₖ / s)ᵖ; none where no drop shows.
    fn root(&self, target: f64, exponent: f64) -> Option<f64> {
        let dropped: f64 = self.draws.iter().map(|draw| draw.drop).sum();
        // Relative to the first scale: nothing overflows.
        let origin = self.draws.first()?.at[0];
        let expected: f64 = self.draws.iter().map(|draw| draw.growth(exponent, origin)).sum();
        (dropped > 0.0).then(|| origin + (target * expected / dropped).ln() / exponent)
    }

    /// Standard deviation of the residuals.
    fn spread(&self, target: f64, exponent: f64, root: f64) -> f64 {
        let residuals = self.draws.iter().map(|draw| draw.drop - target * draw.growth(exponent, root));
        (residuals.map(|each| each * each).sum::<f64>() / (self.draws.len() as f64 - 1.0)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_measure::Generator;
    use pgdl_measure::rand::Rng;
    use pgdl_measure::tch::{Device, Kind};

    /// Each draw falls by a power of the scale with a factor of its own, and is seen through rounding noise.
    struct Synthetic {
        seed: u64,
        exponent: f64,
        saturation: f64,
    }

    impl Drops for Synthetic {
        fn drops(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
            Ok(draws
                .map(|draw| {
                    let parts: [&[u8]; 2] = [&self.seed.to_le_bytes(), &(draw as u64).to_le_bytes()];
                    let mut random = Generator::new(&parts, Device::Cpu, Kind::Double);
                    let factor = (0.6 * random.normal() - 0.18).exp();
                    let growth = factor * (self.exponent * log_scale).exp();
                    self.saturation * growth / (1.0 + growth) + 0.02 * (random.random::<f64>() - 0.5)
                })
                .collect())
        }
    }

    fn search(seed: u64, start: f64, tolerance: f64) -> Result<Scale, MeasureError> {
        let mut drops = Synthetic { seed, exponent: 2.0, saturation: 0.9 };
        find(&mut drops, Target { drop: 0.1, tolerance, start })
    }

    /// The root of the expectation, by the trapezoidal rule.
    fn truth() -> f64 {
        let mean = |at: f64| -> f64 {
            let part = |z: f64| {
                let growth = (0.6 * z - 0.18 + 2.0 * at).exp();
                0.9 * growth / (1.0 + growth) * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
            };
            (-800..=800).map(|i| 0.01 * part(0.01 * f64::from(i))).sum()
        };
        let (mut low, mut high) = (-3.0, 0.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if mean(middle) < 0.1 { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    #[test]
    fn standard_errors_are_the_spread_over_seeds_and_the_root_is_right() {
        let truth = truth();
        let runs: Vec<Scale> = (0..100).map(|seed| search(seed, -2.5, 0.04).unwrap()).collect();
        let count = runs.len() as f64;
        let mean = runs.iter().map(|run| run.log).sum::<f64>() / count;
        let variance = runs.iter().map(|run| (run.log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let reported = runs.iter().map(|run| run.standard_error.powi(2)).sum::<f64>() / count;
        assert!((mean - truth).abs() < 4.0 * (variance / count).sqrt() + 0.005, "{mean} {truth}");
        assert!((0.55..1.7).contains(&(variance / reported)), "{variance:e} {reported:e}");
        assert!(runs.iter().all(|run| run.standard_error <= 0.04));
    }

    #[test]
    fn a_start_far_off_costs_draws_and_changes_nothing_else() {
        let far = search(1, 9.0, 0.05).unwrap();
        let near = search(1, -1.0, 0.05).unwrap();
        assert!((far.log - near.log).abs() < 4.0 * 0.05 * 2f64.sqrt());
        assert!(far.evaluations > near.evaluations);
    }

    #[test]
    fn a_drop_that_never_comes_or_never_goes_is_undefined() {
        struct Flat(f64);
        impl Drops for Flat {
            fn drops(&mut self, _: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
                Ok(draws.map(|_| self.0).collect())
            }
        }
        let target = Target { drop: 0.1, tolerance: 0.03, start: 0.0 };
        for (level, word) in [(0.0, "at most 0.0000"), (0.05, "at most 0.0500"), (0.3, "at least 0.3000")] {
            let Err(MeasureError::Undefined(reason)) = find(&mut Flat(level), target) else {
                panic!("{level}")
            };
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn a_step_is_found() {
        struct Step;
        impl Drops for Step {
            fn drops(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
                Ok(draws.map(|_| if log_scale < 0.3 { 0.0 } else { 0.5 }).collect())
            }
        }
        let found = find(&mut Step, Target { drop: 0.1, tolerance: 0.03, start: -2.0 }).unwrap();
        assert!((found.log - 0.3).abs() < 0.35, "{found:?}");
    }

    #[test]
    fn when_time_is_up_it_says_what_it_knows() {
        struct Slow(usize);
        impl Drops for Slow {
            fn drops(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
                self.0 += 1;
                if self.0 > 4 {
                    return Err(MeasureError::Timeout("the time budget is used up".into()));
                }
                Ok(draws.map(|_| 0.1 * (2.0 * log_scale).exp()).collect())
            }
        }
        let Err(MeasureError::Timeout(reason)) =
            find(&mut Slow(0), Target { drop: 0.1, tolerance: 0.03, start: -1.5 })
        else {
            panic!("it has no time")
        };
        assert!(reason.contains("64 evaluations the scale is between 8.9"), "{reason}");
    }
}
