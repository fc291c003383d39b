//! The k-variance of each class's representations.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

use crate::assignment::least_assignment;
use crate::place::{Depth, Place};

/// The 1-Wasserstein distance between two random disjoint sets of k samples of each class, in the representation at
/// `depth`, for each of several draws from the class's first samples.
///
/// Its passes: as many forward passes as it looks at samples, each once for all draws.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KVariance {
    pub depth: Depth,
    /// Largest number 2k of samples of a class.
    pub samples: usize,
    pub draws: usize,
}

/// The k-variance of a class.
#[derive(Debug)]
pub(crate) struct ClassVariance {
    pub class: i64,
    /// Number of the class's samples in the whole sample.
    pub count: usize,
    /// One number per draw.
    pub draws: Vec<f64>,
}

impl Quantity for KVariance {
    /// The classes that have at least two samples.
    type Value = Vec<ClassVariance>;

    fn name(&self) -> String {
        format!("k_variance at={} samples={} draws={}", self.depth.word(), self.samples, self.draws)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<ClassVariance>, MeasureError> {
        let place = self.depth.place(probe.network())?;
        let labels = Vec::<i64>::try_from(probe.labels())?;
        let mut found = Vec::new();
        for class in 0..probe.classes() {
            let mut members: Vec<i64> =
                (0..labels.len()).filter(|&at| labels[at] == class).map(|at| at as i64).collect();
            let count = members.len();
            members.truncate(self.samples);
            let k = members.len() / 2;
            if k == 0 {
                continue;
            }
            let features = features(probe, place, &members)?;
            let distances = pairwise_distances(&features)?;
            let mut generator = probe.generator(&format!("class {class}"));
            let mut draws = Vec::with_capacity(self.draws);
            for _ in 0..self.draws {
                probe.check_deadline()?;
                let order = generator.permutation(members.len());
                draws.push(wasserstein(&distances, members.len(), &order[..k], &order[k..2 * k])?);
            }
            found.push(ClassVariance { class, count, draws });
        }
        Ok(found)
    }
}

/// The exact 1-Wasserstein distance between two sets of k samples each, from distances `[m · m]` between all m by rows.
fn wasserstein(distances: &[f64], m: usize, one: &[i64], other: &[i64]) -> Result<f64, MeasureError> {
    let k = one.len();
    let row = |a: i64| other.iter().map(move |&b| distances[a as usize * m + b as usize]);
    let costs: Vec<f64> = one.iter().flat_map(|&a| row(a)).collect();
    match least_assignment(&costs, k) {
        Some(least) => Ok(least / k as f64),
        None => MeasureError::undefined("the representations are not finite"),
    }
}

/// Columns converted to f64 at a time.
const BLOCK: i64 = 1 << 13;

/// Squared distances of no more than this share of the squared lengths are rounding in f64.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Euclidean distances between all rows of `[m, D]`: `[m · m]` by rows. From inner products of the rows less their mean,
/// in f64; points that differ by rounding alone have the distance 0.
fn pairwise_distances(features: &Tensor) -> Result<Vec<f64>, MeasureError> {
    let (count, columns) = features.size2()?;
    let device = features.device();
    let mut products = Tensor::f_zeros([count, count], (Kind::Double, device))?;
    let mut lengths = Tensor::f_zeros([count], (Kind::Double, device))?;
    let mut start = 0;
    while start < columns {
        let width = BLOCK.min(columns - start);
        let block = features.f_narrow(1, start, width)?.f_to_kind(Kind::Double)?;
        lengths = lengths.f_add(&block.f_square()?.f_sum_dim_intlist(1, false, None)?)?;
        let block = block.f_sub(&block.f_mean_dim(0, true, None)?)?;
        products = products.f_add(&block.f_matmul(&block.f_tr()?)?)?;
        start += width;
    }
    let pair = |of: &Tensor| of.f_unsqueeze(0)?.f_add(&of.f_unsqueeze(1)?);
    let squares = pair(&products.f_diagonal(0, 0, 1)?)?.f_sub(&products.f_mul_scalar(2.0)?)?;
    let far = squares.f_gt_tensor(&pair(&lengths)?.f_mul_scalar(ROUNDING)?)?;
    // A comparison with a number that is not finite is false: such numbers must stay to be seen.
    let far = far.f_logical_or(&squares.f_isfinite()?.f_logical_not()?)?;
    let distances = squares.f_where_scalarother(&far, 0.0)?.f_sqrt()?;
    Ok(Vec::<f64>::try_from(&distances.f_reshape([-1])?)?)
}

/// The representation of some samples: `[m, D]`.
fn features(probe: &Probe, place: Place, chosen: &[i64]) -> Result<Tensor, MeasureError> {
    let mut parts = Vec::new();
    let size = usize::try_from(probe.batch_size()).unwrap_or(usize::MAX).max(1);
    for part in chosen.chunks(size) {
        let index = Tensor::f_from_slice(part)?.f_to_device(probe.device())?;
        parts.push(place.representation(probe, &probe.inputs().f_index_select(0, &index)?)?);
    }
    Ok(Tensor::f_cat(&parts, 0)?.f_flatten(1, -1)?)
}

#[cfg(test)]
mod tests {
    use super::{pairwise_distances, wasserstein};
    use pgdl_measure::tch::{Kind, Tensor};

    /// Between the first and the second half of the rows.
    fn between_halves(rows: &Tensor) -> f64 {
        let m = rows.size()[0];
        let distances = pairwise_distances(rows).unwrap();
        let order: Vec<i64> = (0..m).collect();
        let (one, other) = order.split_at(order.len() / 2);
        wasserstein(&distances, order.len(), one, other).unwrap()
    }

    #[test]
    fn shifted_points_are_as_far_apart_as_the_shift() {
        let points = Tensor::from_slice(&[0.3, -1.0, 2.5, 0.0, 1.0, 4.0, -2.0, 0.5]).reshape([4, 2]);
        let shift = Tensor::from_slice(&[3.0, -4.0]);
        let order = Tensor::from_slice(&[2i64, 0, 3, 1]);
        let shifted = (&points + &shift).index_select(0, &order);
        let found = between_halves(&Tensor::cat(&[&points, &shifted], 0));
        assert!((found - 5.0).abs() < 1e-12, "{found}");
        assert_eq!(between_halves(&Tensor::cat(&[&points, &points.index_select(0, &order)], 0)), 0.0);
    }

    #[test]
    fn on_a_line_sorted_points_are_matched() {
        // scipy.stats.wasserstein_distance([0.5, 3, 1, 8], [2, 2, -1, 4]) = 1.875
        let line = Tensor::from_slice(&[0.5, 3.0, 1.0, 8.0, 2.0, 2.0, -1.0, 4.0]);
        let found = between_halves(&line.unsqueeze(1));
        assert!((found - 1.875).abs() < 1e-12, "{found}");
    }

    /// More columns than are taken at a time, far from the origin, against differences row by row.
    #[test]
    fn distances_are_those_of_differences() {
        let values: Vec<f32> =
            (0..5 * 9000).map(|k| 100.0 + ((k as f32 * 0.37) % 1.0) + (k / 9000) as f32).collect();
        let rows = Tensor::from_slice(&values).reshape([5, 9000]);
        let found = pairwise_distances(&rows).unwrap();
        for a in 0..5 {
            for b in 0..5 {
                let difference = rows.get(a).to_kind(Kind::Double) - rows.get(b).to_kind(Kind::Double);
                let expected = difference.norm().double_value(&[]);
                let found = found[(a * 5 + b) as usize];
                assert!((found - expected).abs() <= 1e-12 * expected, "{a} {b}: {found} {expected}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_no_distance() {
        let rows = Tensor::from_slice(&[1.0, f64::INFINITY, 2.0, 3.0]).unsqueeze(1);
        let distances = pairwise_distances(&rows).unwrap();
        assert!(wasserstein(&distances, 4, &[0, 1], &[2, 3]).is_err());
    }
}
