//! How much a representation varies over samples.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::{Kind, Tensor};

/// Variances of all coordinates of a representation, gathered batch by batch in f64 (Chan, Golub, LeVeque 1979).
#[derive(Debug, Default)]
pub(crate) struct Variation {
    count: f64,
    /// Mean and sum of squared deviations, `[D]` each.
    moments: Option<(Tensor, Tensor)>,
    /// Relative rounding of the numbers that come.
    rounding: f64,
}

/// Deviations of no more than this many roundings are none.
const ROUNDINGS: f64 = 16.0;

impl Variation {
    /// Adds a batch `[b, …]`.
    pub(crate) fn add(&mut self, batch: &Tensor) -> Result<(), MeasureError> {
        self.rounding = if batch.kind() == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let rows = batch.f_detach()?.f_flatten(1, -1)?.f_to_kind(Kind::Double)?;
        let added = rows.size()[0] as f64;
        // Sums over rows as a product with ones: far faster than a reduction.
        let ones = Tensor::f_ones([1, rows.size()[0]], (Kind::Double, rows.device()))?;
        let sums = |of: &Tensor| ones.f_matmul(of)?.f_squeeze_dim(0);
        let mean = sums(&rows)?.f_div_scalar(added)?;
        let squares = sums(&rows.f_sub(&mean)?.f_square_()?)?;
        let count = self.count + added;
        self.moments = Some(match self.moments.take() {
            None => (mean, squares),
            Some((old_mean, old_squares)) => {
                let shift = mean.f_sub(&old_mean)?;
                let between = shift.f_square()?.f_mul_scalar(self.count * added / count)?;
                (
                    old_mean.f_add(&shift.f_mul_scalar(added / count)?)?,
                    old_squares.f_add(&squares)?.f_add(&between)?,
                )
            }
        });
        self.count = count;
        Ok(())
    }

    /// The variance of each coordinate (over n, not n − 1); 0 where the deviations are rounding.
    pub(crate) fn variances(&self) -> Result<Vec<f64>, MeasureError> {
        let Some((mean, squares)) = &self.moments else { return Ok(Vec::new()) };
        let variances = squares.f_div_scalar(self.count)?;
        let floor = mean.f_square()?.f_mul_scalar((ROUNDINGS * self.rounding).powi(2))?;
        Ok(Vec::<f64>::try_from(&variances.f_mul(&variances.f_gt_tensor(&floor)?)?)?)
    }

    /// Σ of the variances: the trace of the covariance matrix.
    pub(crate) fn total(&self) -> Result<f64, MeasureError> {
        Ok(self.variances()?.iter().sum())
    }
}

/// The mean of the values without the ⌊share · n⌋ smallest and as many of the largest; `None` when nothing is left.
pub fn trimmed_mean(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let cut = (share * values.len() as f64) as usize;
    let kept = values.get(cut..values.len().checked_sub(cut)?)?;
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_by_parts_are_those_of_the_whole() {
        let rows = Tensor::from_slice(&[1e6, 2.0, 1e6 + 1.0, 4.0, 1e6 + 5.0, 9.0]).reshape([3, 2]);
        let mut parts = Variation::default();
        parts.add(&rows.narrow(0, 0, 1)).unwrap();
        parts.add(&rows.narrow(0, 1, 2)).unwrap();
        // numpy.var of each column
        for (found, expected) in parts.variances().unwrap().iter().zip([14.0 / 3.0, 26.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        assert!((parts.total().unwrap() - 40.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn deviations_within_rounding_are_none() {
        let mut variation = Variation::default();
        variation.add(&Tensor::from_slice(&[0.1, 0.1 + f64::EPSILON, 0.1]).unsqueeze(1)).unwrap();
        assert_eq!(variation.total().unwrap(), 0.0);
    }

    #[test]
    fn a_trimmed_mean_leaves_out_both_ends() {
        // scipy.stats.trim_mean(x, 0.05) of 0 … 18 and 1000: one of each end goes.
        let mut values: Vec<f64> = (0..19).map(f64::from).chain([1000.0]).collect();
        assert_eq!(trimmed_mean(&mut values, 0.05), Some(9.5));
        assert_eq!(trimmed_mean(&mut [3.0, 5.0], 0.05), Some(4.0));
        assert_eq!(trimmed_mean(&mut [], 0.05), None);
    }
}
