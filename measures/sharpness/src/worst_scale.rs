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

/// How many radii are tried on the whole sample, at most, first without and then with steps on it.
const REFINEMENTS: usize = 4;

/// Steps on the whole sample.
const POLISH: usize = 4;

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
        let base = probe.get(&Correct)?.f_to_kind(Kind::Double)?;
        let mut search = Search {
            target: *self,
            probe,
            moved: &moved,
            size: if self.magnitude { size } else { size.f_ones_like()? },
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
    probe: &'a Probe,
    moved: &'a Perturbed<'a>,
    /// What α multiplies, `[P]`: |w|, or 1.
    size: Tensor,
    /// 1 where the network itself is right, `[n]`, f64.
    base: Tensor,
    blocks: Blocks,
    /// Logarithms of radii, with the largest drop found.
    tried: Vec<(f64, f64)>,
}

impl Search<'_> {
    fn run(&mut self, start: f64) -> Result<Radius, MeasureError> {
        let target = self.target.drop;
        if self.target.magnitude {
            let alone = largest(&self.worst(f64::NEG_INFINITY, true)?);
            if alone >= target {
                return MeasureError::undefined(format!(
                    "perturbations |uᵢ| ≤ ε = {EPSILON} alone lower the accuracy by {alone:.4}, more than {target}"
                ));
            }
        }
        let [low, high] = self.bracket(start)?;
        let mut exponent = power(low, high);
        let mut at = (high.0 + (target / high.1).ln() / exponent).clamp(low.0, high.0);
        let mut spread = None;
        let mut last = (at, 0.0);
        for polished in [false, true] {
            let mut points: Vec<(f64, f64)> = Vec::new();
            for _ in 0..REFINEMENTS {
                let drops = self.worst(at, polished)?;
                last = (at, largest(&drops));
                self.tried.push(last);
                points.push(last);
                (at, exponent) = next(&points, target, exponent);
                spread = self::spread(&drops, exponent);
                if (last.1 - target).abs() <= CLOSE * target {
                    break;
                }
            }
            let between = bounds(&points, target).is_some();
            if polished && !between && (last.1 - target).abs() > CLOSE * target {
                return MeasureError::undefined(format!(
                    "the search for the radius ended at {:.2e}, where the accuracy falls by {:.4}, not {target}",
                    last.0.exp(),
                    last.1
                ));
            }
        }
        Ok(Radius { log: at, spread, drop: last.1, tried: last.0.exp(), evaluations: self.tried.len() })
    }

    /// Two radii, a factor of two apart, between which the drop passes the target, by few samples and steps.
    fn bracket(&mut self, start: f64) -> Result<[(f64, f64); 2], MeasureError> {
        let few = self.blocks.get(FEW_STEPS as i64)?.f_unsqueeze(0)?;
        let at = |search: &mut Self, log: f64| -> Result<(f64, f64), MeasureError> {
            let ranges = search.ranges(log)?;
            let ascent = search.ascent(&ranges);
            let v = search.climb(&ascent, 1, FEW_STEPS, &mut |_, _| Ok(true))?;
            let drop = search.drops(&ascent, &v, &few)?[0];
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

    /// How far each weight may go at α = e^`log`, `[P]`.
    fn ranges(&self, log: f64) -> Result<Tensor, MeasureError> {
        let ranges = self.size.f_mul_scalar(log.exp())?;
        Ok(if self.target.magnitude { ranges.f_add_scalar(EPSILON)? } else { ranges })
    }

    fn ascent<'b>(&'b self, ranges: &'b Tensor) -> Ascent<'b> {
        let (probe, moved) = (self.probe, self.moved);
        Ascent { probe, moved, ranges, ball: Ball::Linf, objective: Objective::Error }
    }

    /// The largest drop of the whole sample's accuracy on the way from each start, at the radius e^`log`; where `polished`,
    /// last that of ascents on the whole sample: from the weights, and from the best point so far.
    fn worst(&self, log: f64, polished: bool) -> Result<Vec<f64>, MeasureError> {
        let ranges = self.ranges(log)?;
        let ascent = self.ascent(&ranges);
        let mut way = Way { search: self, ascent: &ascent, largest: Vec::new(), best: None };
        let [first, every] = LOOKS;
        let (mut point, mut seen) = (0, false);
        let v = self.climb(&ascent, self.target.starts, self.target.steps, &mut |v, _| {
            seen = point >= first && (point - first).is_multiple_of(every);
            point += 1;
            Ok(!seen || way.look(v)?)
        })?;
        // An ascent that was ended has been looked at where it ended.
        if !seen || point == self.target.steps {
            way.look(&v)?;
        }
        let mut drops = way.largest.clone();
        if let (true, Some((_, best))) = (polished, way.best.take()) {
            let best = best.f_unsqueeze(0)?;
            // The middle one climbs the share of errors, the others the cross-entropy.
            let from = Tensor::f_cat(&[best.f_zeros_like()?, best.shallow_clone(), best], 0)?;
            way.largest = Vec::new();
            let whole = Samples {
                inputs: self.probe.inputs().shallow_clone(),
                labels: self.probe.labels().shallow_clone(),
            };
            let (mut v, mut goes_on) = (from, true);
            for _ in 0..POLISH {
                if goes_on {
                    v = ascent.climb(v, 1.0, 1, &|_| Ok(whole.shallow_clone()), &mut |_, _| Ok(true))?;
                    goes_on = way.look(&v)?;
                }
            }
            drops.push(largest(&way.largest));
        }
        Ok(drops)
    }

    /// Climbs from `starts` points.
    fn climb(
        &self,
        ascent: &Ascent<'_>,
        starts: i64,
        steps: usize,
        observe: &mut dyn FnMut(&Tensor, &Tensor) -> Result<bool, MeasureError>,
    ) -> Result<Tensor, MeasureError> {
        let v = ascent.starts(1.0, starts, &mut self.probe.generator("starts"))?;
        let samples = |at: usize| Samples::of(self.probe, &self.blocks.get(at as i64)?);
        ascent.climb(v, 1.0, steps, &samples, observe)
    }

    /// How far the accuracy on the samples `index`, `[1, m]`, falls at each row of `v`.
    fn drops(&self, ascent: &Ascent<'_>, v: &Tensor, index: &Tensor) -> Result<Vec<f64>, MeasureError> {
        let weights = ascent.weights(v)?;
        let before = self.base.f_take(index)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        (0..v.size()[0])
            .map(|start| {
                let right = self.moved.correct(&weights.f_narrow(0, start, 1)?, index)?;
                Ok(before - right.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?)
            })
            .collect()
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

/// Ascents at one radius, and what the whole sample says of them.
struct Way<'a> {
    search: &'a Search<'a>,
    ascent: &'a Ascent<'a>,
    /// The largest drop of each start so far.
    largest: Vec<f64>,
    /// The largest of all, and where it was.
    best: Option<(f64, Tensor)>,
}

impl Way<'_> {
    /// Looks at the whole sample at each row of `v`; whether the largest drop has risen since the last look.
    fn look(&mut self, v: &Tensor) -> Result<bool, MeasureError> {
        let probe = self.search.probe;
        let all = Tensor::f_arange(probe.sample_size() as i64, (Kind::Int64, probe.device()))?;
        let before = largest(&self.largest);
        let drops = self.search.drops(self.ascent, v, &all.f_unsqueeze(0)?)?;
        for (row, drop) in drops.iter().enumerate() {
            if self.best.as_ref().is_none_or(|(most, _)| drop > most) {
                self.best = Some((*drop, v.f_get(row as i64)?));
            }
        }
        self.largest = match self.largest.as_slice() {
            [] => drops,
            most => most.iter().zip(drops).map(|(most, drop)| most.max(drop)).collect(),
        };
        Ok(largest(&self.largest) > (1.0 + LEVEL) * before)
    }
}

fn largest(drops: &[f64]) -> f64 {
    drops.iter().copied().fold(0.0, f64::max)
}

/// Of points (ln α, drop) the largest α below the target and the smallest at or above it, where they are in this order.
fn bounds(points: &[(f64, f64)], target: f64) -> Option<[(f64, f64); 2]> {
    let low =
        points.iter().filter(|(_, drop)| *drop < target).max_by(|one, other| one.0.total_cmp(&other.0))?;
    let high =
        points.iter().filter(|(_, drop)| *drop >= target).min_by(|one, other| one.0.total_cmp(&other.0))?;
    (low.0 < high.0 && low.1 > 0.0).then_some([*low, *high])
}

/// Where the drop would be the target: between two points by the power law through them, else from the last point by the
/// law through it and the one before, at most a factor of two away. With the law's exponent.
fn next(points: &[(f64, f64)], target: f64, exponent: f64) -> (f64, f64) {
    if let Some([low, high]) = bounds(points, target) {
        let exponent = (high.1 / low.1).ln() / (high.0 - low.0);
        return (high.0 + (target / high.1).ln() / exponent, exponent);
    }
    let mut exponent = exponent;
    if let [.., one, other] = points
        && one.1 > 0.0
        && other.1 > 0.0
        && (one.0 - other.0).abs() > 1e-3
    {
        exponent = if one.0 < other.0 { power(*one, *other) } else { power(*other, *one) };
    }
    let far = 2f64.ln();
    match points.last() {
        Some((at, drop)) if *drop > 0.0 => {
            (at + ((target / drop).ln() / exponent).clamp(-far, far), exponent)
        }
        Some((at, _)) => (at + far, exponent),
        None => (0.0, exponent),
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
