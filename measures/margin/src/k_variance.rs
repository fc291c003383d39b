//! The k-variance of each class's representations.

use pgdl_measure::network::Mode;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

use crate::assignment::least_assignment;
use crate::place::{Depth, Place};

/// The 1-Wasserstein distance between two random disjoint sets of k samples of each class, in the representation at
/// `depth`, for each of several draws.
///
/// Its passes: as many forward passes as it looks at samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KVariance {
    pub depth: Depth,
    /// Largest number 2k of samples of a class in a draw.
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
            let members: Vec<i64> =
                (0..labels.len()).filter(|&at| labels[at] == class).map(|at| at as i64).collect();
            let k = members.len().min(self.samples) / 2;
            if k == 0 {
                continue;
            }
            let mut draws = Vec::with_capacity(self.draws);
            for draw in 0..self.draws {
                probe.check_deadline()?;
                let order = probe.generator(&format!("class {class} draw {draw}")).permutation(members.len());
                let chosen: Vec<i64> = order[..2 * k].iter().map(|&at| members[at as usize]).collect();
                let features = features(probe, place, &chosen)?;
                let (one, other) =
                    (features.f_narrow(0, 0, k as i64)?, features.f_narrow(0, k as i64, k as i64)?);
                draws.push(wasserstein(&one, &other)?);
            }
            found.push(ClassVariance { class, count: members.len(), draws });
        }
        Ok(found)
    }
}

/// The exact 1-Wasserstein distance, Euclidean, between two sets of equally many points `[k, D]`.
pub(crate) fn wasserstein(one: &Tensor, other: &Tensor) -> Result<f64, MeasureError> {
    // Mode 2: differences, not inner products, which cancel where points are near.
    let costs =
        Tensor::f_cdist(&one.f_to_kind(Kind::Double)?, &other.f_to_kind(Kind::Double)?, 2.0, Some(2))?;
    let k = costs.size()[0] as usize;
    match least_assignment(&Vec::<f64>::try_from(&costs.f_reshape([-1])?)?, k) {
        Some(least) => Ok(least / k as f64),
        None => MeasureError::undefined("the representations are not finite"),
    }
}

/// The representation of some samples: `[m, D]`.
fn features(probe: &Probe, place: Place, chosen: &[i64]) -> Result<Tensor, MeasureError> {
    let mut parts = Vec::new();
    let size = usize::try_from(probe.batch_size()).unwrap_or(usize::MAX).max(1);
    for part in chosen.chunks(size) {
        let index = Tensor::f_from_slice(part)?.f_to_device(probe.device())?;
        let inputs = probe.inputs().f_index_select(0, &index)?;
        parts.push(match place {
            Place::Input => inputs,
            Place::Node(node) => {
                let features = representation(probe, node, &inputs)?;
                probe.count_forward(part.len() as i64);
                features
            }
        });
    }
    Ok(Tensor::f_cat(&parts, 0)?.f_flatten(1, -1)?)
}

/// The output of a node for a batch, without gradients.
pub(crate) fn representation(probe: &Probe, node: usize, inputs: &Tensor) -> Result<Tensor, MeasureError> {
    let mut found = None;
    let mut observe = |at: usize, output: &Tensor| {
        if at == node {
            found = Some(output.shallow_clone());
        }
        Ok(())
    };
    let _ = pgdl_measure::tch::no_grad(|| {
        probe.network().forward_observed(inputs, Mode::Evaluate, &mut observe)
    })?;
    found.ok_or_else(|| MeasureError::Failed(format!("the network has no output of node {node}")))
}

#[cfg(test)]
mod tests {
    use super::wasserstein;
    use pgdl_measure::tch::Tensor;

    #[test]
    fn shifted_points_are_as_far_apart_as_the_shift() {
        let points = Tensor::from_slice(&[0.3, -1.0, 2.5, 0.0, 1.0, 4.0, -2.0, 0.5]).reshape([4, 2]);
        let shift = Tensor::from_slice(&[3.0, -4.0]);
        let order = Tensor::from_slice(&[2i64, 0, 3, 1]);
        let shifted = (&points + &shift).index_select(0, &order);
        assert!((wasserstein(&points, &shifted).unwrap() - 5.0).abs() < 1e-12);
        assert_eq!(wasserstein(&points, &points.index_select(0, &order)).unwrap(), 0.0);
    }

    #[test]
    fn on_a_line_sorted_points_are_matched() {
        // scipy.stats.wasserstein_distance([0.5, 3, 1, 8], [2, 2, -1, 4]) = 1.875
        let (one, other) =
            (Tensor::from_slice(&[0.5, 3.0, 1.0, 8.0]), Tensor::from_slice(&[2.0, 2.0, -1.0, 4.0]));
        let found = wasserstein(&one.unsqueeze(1), &other.unsqueeze(1)).unwrap();
        assert!((found - 1.875).abs() < 1e-12, "{found}");
    }
}
