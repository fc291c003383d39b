//! The radius within which the worst perturbation found costs a given share of training accuracy.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Accuracy, Correct, MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Perturbed, Probe,
    Quantity, RegistryError,
};
use pgdl_measure_pac_bayes::EPSILON;

use crate::ascent::{Ascent, Ball, Objective, Samples};
use crate::loss::Blocks;

/// The parameter `drop`.
pub(crate) const DROP: ParameterInfo = ParameterInfo {
    name: "drop",
    kind: ParameterKind::Float { default: 0.1, min: 0.001, max: 0.9 },
    doc: "drop of training accuracy that defines α",
};

/// The parameter `starts`.
pub(crate) const STARTS: ParameterInfo = ParameterInfo {
    name: "starts",
    kind: ParameterKind::Integer { default: 3, min: 1, max: 100 },
    doc: "points from which the loss is climbed: the weights themselves, and random ones in the ball",
};

/// The parameter `steps`.
pub(crate) const STEPS: ParameterInfo = ParameterInfo {
    name: "steps",
    kind: ParameterKind::Integer { default: 16, min: 1, max: 1000 },
    doc: "steps of each ascent, at most",
};

/// Samples of each step of an ascent, other ones for each, and at most half of all; also samples that locate the radius. The whole sample decides.
const BATCH: i64 = 500;

/// Steps that locate the radius.
const FEW_STEPS: usize = 4;

/// After how many steps the drop on the whole sample is looked at for the first time, and then again and again.
const LOOKS: [usize; 2] = [8, 4];

/// An ascent ends where the drop gained no more than this share since the last look.
const LEVEL: f64 = 0.02;

/// Radii tried, in factors of two from the first.
const DOUBLINGS: usize = 24;

/// The drop on the whole sample is within this share of the target when the search ends.
const CLOSE: f64 = 0.1;

/// How many radii are tried on the whole sample.
const REFINEMENTS: usize = 4;

/// The largest α for which no perturbation |uᵢ| ≤ α (or α |wᵢ| + ε) that ascent finds costs more than `drop`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorstScale {
    pub magnitude: bool,
    pub drop: f64,
    pub starts: i64,
    pub steps: usize,
}

impl WorstScale {
    /// From `drop`, `starts` and `steps`.
    pub(crate) fn new(parameters: &Parameters, magnitude: bool) -> Result<Self, RegistryError> {
        Ok(Self {
            magnitude,
            drop: parameters.float("drop")?,
            starts: parameters.integer("starts")?,
            steps: usize::try_from(parameters.integer("steps")?).unwrap_or(1),
        })
    }

    /// 4 ln(2P/δ): how far the largest of P Gaussian numbers reaches, squared, but for a share δ = 0.05.
    pub(crate) fn tail(parameters: f64) -> f64 {
        4.0 * (2.0 * parameters / 0.05).ln()
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Radius {
    /// ln α.
    pub log: f64,
    /// Standard deviation of ln α over the starts, where there are several.
    pub spread: Option<f64>,
    /// The largest drop found at the last radius tried, on the whole sample.
    pub drop: f64,
    /// That radius.
    pub tried: f64,
    /// Radii tried.
    pub evaluations: usize,
}

impl Radius {
    /// A value of α, with what was found. The spread over the starts is no standard error: the best start counts.
    pub(crate) fn measured(
        &self,
        value: impl Fn(f64) -> Result<f64, MeasureError>,
    ) -> Result<Measured, MeasureError> {
        let measured = Measured::value(value(self.log.exp())?)
            .with_detail("alpha", self.log.exp())
            .with_detail("largest_radius_tried", self.tried)
            .with_detail("worst_drop_found", self.drop)
            .with_detail("radii", self.evaluations as f64);
        Ok(match self.spread {
            Some(spread) => measured.with_detail("alpha_relative_spread_over_starts", spread),
            None => measured,
        })
    }
}

impl Quantity for WorstScale {
    type Value = Radius;

    fn name(&self) -> String {
        let Self { magnitude, drop, starts, steps } = self;
        format!("worst_scale magnitude={magnitude} drop={drop} starts={starts} steps={steps}")
    }

    fn compute(&self, probe: &Probe) -> Result<Radius, MeasureError> {
        let accuracy = *probe.get(&Accuracy)?;
        if accuracy < self.drop {
            return MeasureError::undefined(format!(
                "the training accuracy {accuracy:.4} cannot fall by {}",
                self.drop
            ));
        }
        let moved = Perturbed::folded(probe)?;
        let size = moved.center().f_abs()?;
        let mean = size.f_mean(Kind::Double)?.f_double_value(&[])?;
        if mean == 0.0 {
            return MeasureError::undefined(
                "every weight is zero: a perturbation has no scale to begin with",
            );
        }
        let ranges = if self.magnitude { size } else { size.f_ones_like()? };
        let base = probe.get(&Correct)?.f_to_kind(Kind::Double)?;
        let mut search = Search {
            target: *self,
            ascent: Ascent {
                probe,
                moved: &moved,
                ranges: &ranges,
                ball: Ball::Linf,
                objective: Objective::Error,
            },
            base,
            blocks: Blocks::new(probe, BATCH.min(probe.sample_size() as i64 / 2))?,
            tried: Vec::new(),
        };
        let start = if self.magnitude { 0.01 } else { 0.01 * mean };
        search.run(start.ln()).map_err(|error| match error {
            MeasureError::Timeout(reason) => MeasureError::Timeout(format!("{reason}; {}", search.so_far())),
            other => other,
        })
    }
}

struct Search<'a> {
    target: WorstScale,
    ascent: Ascent<'a>,
    /// 1 where the network itself is right, `[n]`, f64.
    base: Tensor,
    blocks: Blocks,
    /// Logarithms of radii, with the largest drop found.
    tried: Vec<(f64, f64)>,
}

impl Search<'_> {
    fn run(&mut self, start: f64) -> Result<Radius, MeasureError> {
        let [low, high] = self.bracket(start)?;
        let target = self.target.drop;
        let mut exponent = power(low, high);
        let mut at = (high.0 + (target / high.1).ln() / exponent).clamp(low.0, high.0);
        let mut before: Option<(f64, f64)> = None;
        for refinement in 1.. {
            let drops = self.worst(at)?;
            let largest = drops.iter().copied().fold(0.0, f64::max);
            self.tried.push((at, largest));
            if let Some(before) = before
                && largest > 0.0
                && before.1 > 0.0
                && (before.0 - at).abs() > 1e-3
            {
                let here = (at, largest);
                exponent = if before.0 < at { power(before, here) } else { power(here, before) };
            }
            let close = (largest - target).abs() <= CLOSE * target;
            if close || refinement >= REFINEMENTS {
                if largest <= 0.0 {
                    return MeasureError::undefined(format!(
                        "ascent finds no drop of accuracy within {:.2e} on the whole sample, and one on a part of it",
                        at.exp()
                    ));
                }
                let log = at + (target / largest).ln() / exponent;
                return Ok(Radius {
                    log,
                    spread: spread(&drops, exponent),
                    drop: largest,
                    tried: at.exp(),
                    evaluations: self.tried.len(),
                });
            }
            before = (largest > 0.0).then_some((at, largest));
            let step = if largest > 0.0 { (target / largest).ln() / exponent } else { 2f64.ln() };
            at += step.clamp(-(2f64.ln()), 2f64.ln());
        }
        MeasureError::failed("the search for the radius does not end")
    }

    /// Two radii, a factor of two apart, between which the drop passes the target, by few samples and steps.
    fn bracket(&mut self, start: f64) -> Result<[(f64, f64); 2], MeasureError> {
        let few = self.blocks.get(FEW_STEPS as i64)?.f_unsqueeze(0)?;
        let at = |search: &mut Self, log: f64| -> Result<(f64, f64), MeasureError> {
            let v = search.climb(log, 1, FEW_STEPS, &mut |_, _| Ok(true))?;
            let drop = search.drops(&v, &few)?[0];
            search.tried.push((log, drop));
            Ok((log, drop))
        };
        let target = self.target.drop;
        let mut last = at(self, start)?;
        let up = last.1 < target;
        let step = if up { 2f64.ln() } else { -(2f64.ln()) };
        for _ in 0..DOUBLINGS {
            let next = at(self, last.0 + step)?;
            let (low, high) = if up { (last, next) } else { (next, last) };
            if low.1 < target && high.1 >= target {
                return Ok([(low.0, low.1.max(0.05 * target)), high]);
            }
            last = next;
        }
        let extreme = last.1;
        MeasureError::undefined(format!(
            "the worst perturbation found lowers the accuracy by {extreme:.4} at the radius {:.1e}, and nowhere on the \
             way there from {:.1e} by {target}",
            last.0.exp(),
            start.exp()
        ))
    }

    /// The largest drop of the whole sample's accuracy on the way from each start, at the radius e^`log`.
    fn worst(&self, log: f64) -> Result<Vec<f64>, MeasureError> {
        let probe = self.ascent.probe;
        let all = Tensor::f_arange(probe.sample_size() as i64, (Kind::Int64, probe.device()))?;
        let all = all.f_unsqueeze(0)?;
        let mut largest: Vec<f64> = Vec::new();
        let look = |largest: &mut Vec<f64>, v: &Tensor| -> Result<bool, MeasureError> {
            let top = |drops: &[f64]| drops.iter().copied().fold(0.0, f64::max);
            let before = top(largest);
            let drops = self.drops(v, &all)?;
            *largest = match largest.as_slice() {
                [] => drops,
                most => most.iter().zip(drops).map(|(most, drop)| most.max(drop)).collect(),
            };
            Ok(top(largest) > (1.0 + LEVEL) * before)
        };
        let [first, every] = LOOKS;
        let (mut point, mut seen) = (0, false);
        let v = self.climb(log, self.target.starts, self.target.steps, &mut |v, _| {
            seen = point >= first && (point - first).is_multiple_of(every);
            point += 1;
            Ok(!seen || look(&mut largest, v)?)
        })?;
        // An ascent that was ended has been looked at where it ended.
        if !seen || point == self.target.steps {
            look(&mut largest, &v)?;
        }
        Ok(largest)
    }

    /// Climbs from `starts` points at the radius e^`log`.
    fn climb(
        &self,
        log: f64,
        starts: i64,
        steps: usize,
        observe: &mut dyn FnMut(&Tensor, &Tensor) -> Result<bool, MeasureError>,
    ) -> Result<Tensor, MeasureError> {
        let ascent = &self.ascent;
        let radius = log.exp();
        let v = ascent.starts(radius, starts, &mut ascent.probe.generator("starts"))?;
        let samples = |at: usize| Samples::of(ascent.probe, &self.blocks.get(at as i64)?);
        ascent.climb(v, radius, steps, &samples, observe)
    }

    /// How far the accuracy on the samples `index`, `[1, m]`, falls at each row of `v`.
    fn drops(&self, v: &Tensor, index: &Tensor) -> Result<Vec<f64>, MeasureError> {
        let weights = self.weights(v)?;
        let before = self.base.f_take(index)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        (0..v.size()[0])
            .map(|start| {
                let right = self.ascent.moved.correct(&weights.f_narrow(0, start, 1)?, index)?;
                Ok(before - right.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?)
            })
            .collect()
    }

    /// The weights at v; magnitude-aware perturbations have ε more in the same direction.
    fn weights(&self, v: &Tensor) -> Result<Tensor, MeasureError> {
        let weights = self.ascent.weights(v)?;
        if self.target.magnitude {
            return Ok(weights.f_add(&v.f_sign()?.f_mul_scalar(EPSILON)?)?);
        }
        Ok(weights)
    }

    fn so_far(&self) -> String {
        let below = self.tried.iter().filter(|(_, drop)| *drop < self.target.drop).map(|(at, _)| *at);
        let above = self.tried.iter().filter(|(_, drop)| *drop >= self.target.drop).map(|(at, _)| *at);
        let word = |at: Option<f64>| at.map_or("unknown".to_string(), |at| format!("{:.3e}", at.exp()));
        format!(
            "after {} radii, α is between {} and {}",
            self.tried.len(),
            word(below.reduce(f64::max)),
            word(above.reduce(f64::min))
        )
    }
}

/// p of the power law through two points.
fn power(low: (f64, f64), high: (f64, f64)) -> f64 {
    ((high.1 / low.1).ln() / (high.0 - low.0)).clamp(0.25, 10.0)
}

/// The spread of ln α if each start alone decided.
fn spread(drops: &[f64], exponent: f64) -> Option<f64> {
    let logs: Vec<f64> = drops.iter().filter(|drop| **drop > 0.0).map(|drop| drop.ln() / exponent).collect();
    let count = logs.len() as f64;
    if logs.len() < 2 {
        return None;
    }
    let mean = logs.iter().sum::<f64>() / count;
    Some((logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt())
}
