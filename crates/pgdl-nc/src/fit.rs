//! How well a model's estimates fit the gaps.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{NcError, Result};
use crate::model::{Ready, Rows};
use crate::random::Draws;
use crate::snapshots::Snapshots;

/// Hypotheses per forward pass when a model is evaluated.
const BATCH: i64 = 512;

/// Agreement of estimates with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// How many hypotheses.
    pub count: i64,
    /// Share of the gaps' variance that the estimates explain: 1 − Σ(G − NC)² / Σ(G − Ḡ)².
    pub r2: f64,
    /// Mean of |G − NC|.
    pub mae: f64,
}

impl Fit {
    /// The fit of estimates to gaps, both `[B]`.
    ///
    /// # Errors
    /// [`NcError::Undefined`] when there is no hypothesis, when all gaps are equal, or a number is not finite.
    pub fn new(estimates: &Tensor, gaps: &Tensor) -> Result<Self> {
        let count = gaps.numel() as i64;
        if count == 0 || estimates.size() != gaps.size() {
            return Err(NcError::Undefined("R² needs one gap per estimate, and at least one".into()));
        }
        let gaps = gaps.f_to_kind(Kind::Double)?;
        let errors = gaps.f_sub(&estimates.f_to_kind(Kind::Double)?)?;
        let number = |tensor: Tensor| -> Result<f64> { Ok(f64::try_from(&tensor)?) };
        let left = number(errors.f_square()?.f_sum(Kind::Double)?)?;
        let total = number(gaps.f_sub(&gaps.f_mean(Kind::Double)?)?.f_square()?.f_sum(Kind::Double)?)?;
        let mae = number(errors.f_abs()?.f_mean(Kind::Double)?)?;
        if !(left.is_finite() && total.is_finite()) {
            return Err(NcError::Undefined("R²: an estimate or a gap is infinite or NaN".into()));
        }
        if total == 0.0 {
            return Err(NcError::Undefined("R²: all gaps are equal".into()));
        }
        Ok(Self { count, r2: 1.0 - left / total, mae })
    }
}

/// Estimates beside gaps, with what they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// NC of each hypothesis.
    pub estimates: Vec<f64>,
    /// G of each.
    pub gaps: Vec<f64>,
    /// The task of each.
    pub tasks: Vec<i64>,
    /// The steps that each learner had done.
    pub steps: Vec<i64>,
}

/// Resamples of an interval.
const RESAMPLES: usize = 1_000;

impl Observations {
    /// A model's estimates of snapshots.
    pub fn new(model: &Ready, snapshots: &Snapshots) -> Result<Self> {
        let numbers =
            |tensor: &Tensor| -> Result<Vec<f64>> { Ok(Vec::try_from(&tensor.f_to_kind(Kind::Double)?)?) };
        Ok(Self {
            estimates: numbers(&estimate(model, &snapshots.rows)?)?,
            gaps: numbers(&snapshots.gaps)?,
            tasks: Vec::try_from(&snapshots.tasks)?,
            steps: Vec::try_from(&snapshots.steps)?,
        })
    }

    /// Those of learners that had done this many steps: at most one per task.
    pub fn at_step(&self, step: u64) -> Self {
        let kept = |index: &usize| self.steps[*index] as u64 == step;
        let places: Vec<usize> = (0..self.steps.len()).filter(kept).collect();
        Self {
            estimates: places.iter().map(|&place| self.estimates[place]).collect(),
            gaps: places.iter().map(|&place| self.gaps[place]).collect(),
            tasks: places.iter().map(|&place| self.tasks[place]).collect(),
            steps: places.iter().map(|&place| self.steps[place]).collect(),
        }
    }

    /// Δ = G − NC of each.
    pub fn differences(&self) -> Vec<f64> {
        self.gaps.iter().zip(&self.estimates).map(|(gap, estimate)| gap - estimate).collect()
    }

    /// Their fit.
    ///
    /// # Errors
    /// As [`Fit::new`].
    pub fn fit(&self) -> Result<Fit> {
        Fit::new(&Tensor::f_from_slice(&self.estimates)?, &Tensor::f_from_slice(&self.gaps)?)
    }

    /// 95 % intervals of R² and of the mean absolute error, by resampling tasks: what one task's learners have in common
    /// does not count as evidence more than once.
    ///
    /// # Errors
    /// As [`Fit::new`].
    pub fn intervals(&self, draws: &mut Draws) -> Result<[[f64; 2]; 2]> {
        self.fit()?;
        // Per task the sums that both numbers are made of: count, Σ(G − NC)², ΣG, ΣG², Σ|G − NC|.
        let mut sums = std::collections::BTreeMap::<i64, [f64; 5]>::new();
        for ((task, gap), estimate) in self.tasks.iter().zip(&self.gaps).zip(&self.estimates) {
            let error = gap - estimate;
            let terms = [1.0, error * error, *gap, gap * gap, error.abs()];
            let sum = sums.entry(*task).or_default();
            sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        let sums: Vec<[f64; 5]> = sums.into_values().collect();
        let (mut r2, mut mae) = (Vec::new(), Vec::new());
        for _ in 0..RESAMPLES {
            let mut total = [0.0; 5];
            for place in draws.places(sums.len(), sums.len()) {
                total.iter_mut().zip(sums[place]).for_each(|(total, sum)| *total += sum);
            }
            let [count, left, gaps, squares, errors] = total;
            r2.push(1.0 - left / (squares - gaps * gaps / count));
            mae.push(errors / count);
        }
        let interval = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
            [at(0.025), at(0.975)]
        };
        Ok([interval(r2), interval(mae)])
    }
}

/// NC of any number of hypotheses, `[B]`, without derivatives, in passes of bounded size.
pub fn estimate(model: &Ready, rows: &Rows) -> Result<Tensor> {
    tch::no_grad(|| {
        let count = rows.train_inputs.size().first().copied().unwrap_or(0);
        let mut estimates = Vec::new();
        for start in (0..count).step_by(BATCH as usize) {
            let size = BATCH.min(count - start);
            estimates.push(model.complexity(&rows.narrow(start, size)?)?);
        }
        Ok(Tensor::f_cat(&estimates, 0)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_squared_by_hand() {
        let gaps = Tensor::from_slice(&[1.0, 2.0, 3.0, 6.0]);
        let estimates = Tensor::from_slice(&[1.5, 2.0, 2.0, 6.5]);
        // Σ(G − NC)² = 0.25 + 0 + 1 + 0.25; Ḡ = 3; Σ(G − Ḡ)² = 4 + 1 + 0 + 9.
        let fit = Fit::new(&estimates, &gaps).unwrap();
        assert!((fit.r2 - (1.0 - 1.5 / 14.0)).abs() < 1e-12);
        assert!((fit.mae - 0.5).abs() < 1e-12);
        assert!(Fit::new(&gaps, &Tensor::from_slice(&[2.0; 4])).is_err());
        assert!(Fit::new(&gaps, &Tensor::from_slice(&[2.0, 1.0, f64::NAN, 0.0])).is_err());
    }

    /// Estimates with independent errors of variance 1 on gaps of variance 4: R² is about 3/4, and in about 95 % of
    /// repetitions the interval holds that. With 16 equal copies of each, it must stay as wide.
    #[test]
    fn intervals_cover_and_do_not_shrink_with_copies() {
        let mut held = 0;
        for repetition in 0..60 {
            let mut draws = Draws::new(repetition, "intervals", 0);
            let mut normal = |scale: f64| -> Vec<f64> {
                let parts = draws.uniform(&[100, 12], -0.5, 0.5, tch::Device::Cpu).unwrap();
                Vec::try_from(&(parts.sum_dim_intlist(1, false, Kind::Double) * scale)).unwrap()
            };
            let (gaps, errors) = (normal(2.0), normal(1.0));
            let estimates: Vec<f64> = gaps.iter().zip(&errors).map(|(gap, error)| gap + error).collect();
            let once = Observations { estimates, gaps, tasks: (0..100).collect(), steps: vec![1; 100] };
            let [[low, high], _] = once.intervals(&mut Draws::new(repetition, "resamples", 0)).unwrap();
            held += usize::from(low < 0.75 && 0.75 < high);
            let many = Observations {
                estimates: once.estimates.repeat(16),
                gaps: once.gaps.repeat(16),
                tasks: once.tasks.repeat(16),
                steps: once.steps.repeat(16),
            };
            let [[low_of_many, high_of_many], _] =
                many.intervals(&mut Draws::new(repetition, "resamples", 0)).unwrap();
            assert!((low - low_of_many).abs() < 1e-9 && (high - high_of_many).abs() < 1e-9);
        }
        assert!((50..60).contains(&held), "{held} of 60 intervals hold the truth");
    }
}
