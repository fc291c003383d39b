//! Distances to the decision boundary in the input, by steps to the boundary of the network's linearization.

use pgdl_measure::network::{Graph, Mode, gradients, vector_jacobian};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Measured, Probe};

use crate::distance::{check_classes, strongest_rivals};

/// Where the boundary counts as reached: the margin is this share of its first value, or has changed sign.
const REACHED: f64 = 1e-4;

/// How to look for the boundary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundarySearch<'a> {
    /// Number of samples, the first ones.
    pub samples: usize,
    /// Most steps.
    pub steps: usize,
    /// Steps go to the nearest of all linearized boundaries (of correctly classified samples), at C backward passes
    /// each; else to that with the strongest class but y, at one.
    pub all_rivals: bool,
    /// Steps stay in the span of these orthonormal columns `[D, q]`; in the whole input space when there are none.
    pub subspace: Option<&'a Tensor>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Boundary {
    /// Signed Euclidean distances: the path's end from its start, negative where the network errs.
    pub distances: Vec<f64>,
    /// Samples, among those, that did not reach the boundary in the steps given.
    pub not_reached: usize,
    /// Samples without a distance: no gradient leads anywhere.
    pub left_out: usize,
}

impl Boundary {
    /// The negative mean of the distances, and what was counted.
    pub(crate) fn measured(&self) -> Measured {
        let mean = self.distances.iter().sum::<f64>() / self.distances.len() as f64;
        Measured::value(0.0 - mean)
            .with_detail("not_reached", self.not_reached as f64)
            .with_detail("left_out", self.left_out as f64)
    }
}

impl BoundarySearch<'_> {
    /// Walks from each sample to the boundary of its class.
    pub(crate) fn run(self, probe: &Probe) -> Result<Boundary, MeasureError> {
        check_classes(probe.classes())?;
        let mut found = Boundary::default();
        // The gradients of all classes are in memory together.
        let at_once = if self.all_rivals { (1280 / probe.classes()).clamp(1, 128) } else { 128 };
        for batch in probe.batches_of(self.samples).at_most(at_once) {
            let batch = batch?;
            self.walk(probe, &batch.inputs, &batch.labels, &mut found)?;
        }
        if found.distances.is_empty() {
            return MeasureError::undefined("the margins have no gradient on any sample");
        }
        Ok(found)
    }

    fn walk(
        self,
        probe: &Probe,
        inputs: &Tensor,
        labels: &Tensor,
        found: &mut Boundary,
    ) -> Result<(), MeasureError> {
        let shape = inputs.size();
        let count = shape[0] as usize;
        let mut paths = inputs.f_flatten(1, -1)?.f_zeros_like()?;
        let mut first: Vec<f64> = Vec::new();
        let mut first_rivals: Vec<i64> = Vec::new();
        let mut active: Vec<i64> = (0..shape[0]).collect();
        let mut stuck = vec![false; count];
        for step in 0..=self.steps {
            probe.check_deadline()?;
            let index = Tensor::f_from_slice(&active)?.f_to_device(probe.device())?;
            let path = paths.f_index_select(0, &index)?;
            let start = inputs.f_index_select(0, &index)?;
            let leaf = start.f_add(&path.f_reshape(start.size())?)?.f_contiguous()?;
            let leaf = leaf.f_detach()?.f_set_requires_grad(true)?;
            let logits = probe.network().forward(&leaf, Mode::Evaluate)?;
            probe.count_forward(active.len() as i64);
            let labels = labels.f_index_select(0, &index)?;
            let mut rivals = Vec::<i64>::try_from(&strongest_rivals(&logits, &labels)?.f_squeeze_dim(1)?)?;
            if step == 0 {
                first_rivals.clone_from(&rivals);
            }
            // A misclassified sample walks to the boundary with the class that won at its start.
            for (rival, &at) in rivals.iter_mut().zip(&active) {
                if first.get(at as usize).is_some_and(|start| *start < 0.0) {
                    *rival = first_rivals[at as usize];
                }
            }
            let rival = Tensor::f_from_slice(&rivals)?.f_to_device(probe.device())?.f_unsqueeze(1)?;
            let own = logits.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
            let difference = own.f_sub(&logits.f_gather(1, &rival, false)?)?.f_squeeze_dim(1)?;
            let margins = Vec::<f64>::try_from(&difference.f_detach()?.f_to_kind(Kind::Double)?)?;
            if margins.iter().any(|margin| !margin.is_finite()) {
                return MeasureError::undefined(
                    "the network's outputs are not finite on the way to the boundary",
                );
            }
            if step == 0 {
                first.clone_from(&margins);
            }
            let reached = |margin: f64, start: f64| margin * start.signum() <= REACHED * start.abs();
            // All samples take the first step, though it may have no length: it shows whether there is a gradient.
            let walks = |(margin, &at): (&f64, &i64)| step == 0 || !reached(*margin, first[at as usize]);
            let walking: Vec<bool> = margins.iter().zip(&active).map(walks).collect();
            if step == self.steps || !walking.contains(&true) {
                found.not_reached += walking.iter().filter(|&&walks| walks).count();
                break;
            }
            let correct: Vec<bool> = active.iter().map(|&at| first[at as usize] > 0.0).collect();
            let (moves, norms) = if self.all_rivals {
                self.nearest(&leaf, &logits, &labels, &rival, &correct)?
            } else {
                let slope = gradients(&difference.f_sum(None)?, &[&leaf], Graph::Free)?.swap_remove(0);
                let slope = self.inside(&slope.f_flatten(1, -1)?)?;
                let norms = slope.f_square()?.f_sum_dim_intlist(1, true, None)?;
                (slope.f_mul(&difference.f_detach()?.f_unsqueeze(1)?)?.f_neg()?, norms)
            };
            let passes = if self.all_rivals { probe.classes() } else { 1 };
            probe.count_backward(active.len() as i64 * passes);
            let squares = Vec::<f64>::try_from(&norms.f_squeeze_dim(1)?.f_to_kind(Kind::Double)?)?;
            let moved = path.f_add(&moves.f_div(&norms)?)?;
            let mut kept = Vec::new();
            for (row, &at) in active.iter().enumerate() {
                if !walking[row] {
                    continue;
                }
                if squares[row] > 0.0 && squares[row].is_finite() {
                    kept.push(row as i64);
                } else {
                    stuck[at as usize] = true;
                }
            }
            if kept.is_empty() {
                break;
            }
            active = kept.iter().map(|&row| active[row as usize]).collect();
            let rows = Tensor::f_from_slice(&kept)?.f_to_device(probe.device())?;
            let target = Tensor::f_from_slice(&active)?.f_to_device(probe.device())?;
            paths = paths.f_index_copy(0, &target, &moved.f_index_select(0, &rows)?)?;
        }
        let lengths = crate::distance::row_norms(&paths)?;
        for ((length, start), stuck) in lengths.into_iter().zip(first).zip(stuck) {
            if stuck {
                found.left_out += 1;
            } else if length.is_finite() {
                found.distances.push(if start < 0.0 { -length } else { length });
            } else {
                return MeasureError::undefined("the way to the boundary is not finite");
            }
        }
        Ok(())
    }

    /// For each row the step's numerator −m ∇m and ‖∇m‖², for the difference m = f_y − f_k whose linearized zero is
    /// nearest; for samples of which the network is wrong, k is `strongest` `[b, 1]`.
    fn nearest(
        self,
        leaf: &Tensor,
        logits: &Tensor,
        labels: &Tensor,
        strongest: &Tensor,
        correct: &[bool],
    ) -> Result<(Tensor, Tensor), MeasureError> {
        let classes = logits.size()[1];
        let mut slopes = Vec::new();
        for class in 0..classes {
            let chosen = logits.f_detach()?.f_zeros_like()?;
            let _ = chosen.f_select(1, class)?.f_fill_(1.0)?;
            let graph = if class + 1 < classes { Graph::Keep } else { Graph::Free };
            let slope = vector_jacobian(logits, &chosen, &[leaf], graph)?.swap_remove(0);
            slopes.push(self.inside(&slope.f_flatten(1, -1)?)?);
        }
        // [b, C, D] and [b, C]: f_y − f_k and its gradient.
        let slopes = Tensor::f_stack(&slopes, 1)?;
        let width = slopes.size()[2];
        let logits = logits.f_detach()?;
        let own_index = labels.f_unsqueeze(1)?;
        let own = slopes.f_gather(1, &own_index.f_unsqueeze(2)?.f_expand([-1, 1, width], false)?, false)?;
        let slopes = own.f_sub(&slopes)?;
        let margins = logits.f_gather(1, &own_index, false)?.f_sub(&logits)?;
        let squares = slopes.f_square()?.f_sum_dim_intlist(2, false, None)?;
        let distances = margins.f_abs()?.f_div(&squares.f_sqrt()?)?;
        let distances = distances.f_nan_to_num(f64::INFINITY, f64::INFINITY, f64::INFINITY)?;
        let nearest = distances.f_scatter_value(1, &own_index, f64::INFINITY)?.f_argmin(1, true)?;
        let correct: Vec<i64> = correct.iter().map(|&right| i64::from(right)).collect();
        let correct =
            Tensor::f_from_slice(&correct)?.f_to_device(logits.device())?.f_unsqueeze(1)?.f_gt(0)?;
        let rival = nearest.f_where_self(&correct, strongest)?;
        let slope = slopes.f_gather(1, &rival.f_unsqueeze(2)?.f_expand([-1, 1, width], false)?, false)?;
        let margin = margins.f_gather(1, &rival, false)?;
        Ok((slope.f_squeeze_dim(1)?.f_mul(&margin)?.f_neg()?, squares.f_gather(1, &rival, false)?))
    }

    /// The part of each row `[b, D]` that lies in the subspace.
    fn inside(self, rows: &Tensor) -> Result<Tensor, MeasureError> {
        match self.subspace {
            None => Ok(rows.f_detach()?),
            Some(basis) => Ok(rows.f_detach()?.f_matmul(basis)?.f_matmul(&basis.f_tr()?)?),
        }
    }
}
