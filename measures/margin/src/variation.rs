//! How much a representation varies over samples.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::{Kind, Tensor};

/// Variances of all coordinates of a representation, gathered batch by batch: sums of deviations from a point in their
/// midst, within a batch in the representation's own kind, over batches in f64.
#[derive(Debug, Default)]
pub(crate) struct Variation {
    count: f64,
    sums: Option<Sums>,
    /// Relative rounding of the numbers that come.
    rounding: f64,
}

/// `[D]` each.
#[derive(Debug)]
struct Sums {
    /// The mean c of the first batch, of its kind.
    point: Tensor,
    /// Σ (h − c), f64.
    deviations: Tensor,
    /// Σ (h − c)², f64.
    squares: Tensor,
}

/// Deviations of no more than this many roundings are none.
const ROUNDINGS: f64 = 16.0;

impl Variation {
    /// Adds a batch `[b, …]`.
    pub(crate) fn add(&mut self, batch: &Tensor) -> Result<(), MeasureError> {
        self.rounding = if batch.kind() == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let rows = batch.f_detach()?.f_flatten(1, -1)?;
        let added = rows.size()[0];
        // Sums over rows as a product with ones: far faster than a reduction.
        let ones = Tensor::f_ones([1, added], (rows.kind(), rows.device()))?;
        let sum = |of: &Tensor| ones.f_matmul(of)?.f_squeeze_dim(0);
        let sums = match &mut self.sums {
            Some(sums) => sums,
            nothing => {
                let point = sum(&rows)?.f_div_scalar(added as f64)?;
                let zeros = || point.f_zeros_like()?.f_to_kind(Kind::Double);
                nothing.insert(Sums { deviations: zeros()?, squares: zeros()?, point })
            }
        };
        let mut deviations = rows.f_sub(&sums.point)?;
        let _ = sums.deviations.f_add_(&sum(&deviations)?)?;
        let _ = sums.squares.f_add_(&sum(&deviations.f_square_()?)?)?;
        self.count += added as f64;
        Ok(())
    }

    /// The variance of each coordinate (over n, not n − 1); 0 where the deviations are rounding.
    pub(crate) fn variances(&self) -> Result<Vec<f64>, MeasureError> {
        let Some(Sums { point, deviations, squares }) = &self.sums else { return Ok(Vec::new()) };
        let shift = deviations.f_div_scalar(self.count)?;
        let variances = squares.f_div_scalar(self.count)?.f_sub(&shift.f_square()?)?;
        let mean = point.f_to_kind(Kind::Double)?.f_add(&shift)?;
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

    /// A first batch far from the rest, in f32: the whole's variance is lost in no cancellation.
    #[test]
    fn batches_apart_in_single_precision() {
        let column: Vec<f32> =
            (0..1000).map(|at| if at < 10 { -3.0 } else { 7.0 + (at % 10) as f32 }).collect();
        let rows = Tensor::from_slice(&column).unsqueeze(1);
        let mut parts = Variation::default();
        for start in (0..1000).step_by(10) {
            parts.add(&rows.narrow(0, start, 10)).unwrap();
        }
        // numpy.var
        assert!((parts.total().unwrap() - 10.248_975).abs() < 1e-6, "{:?}", parts.total());
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
