//! Losses, gradients and Hessian products of the network with BatchNormalization folded in.

use pgdl_measure::network::{Graph, Mode, Network, gradients, hessian_products};
use pgdl_measure::tch::{Kind, Reduction, Tensor};
use pgdl_measure::{LossGradient, MeasureError, Perturbed, Probe, Quantity};

/// Samples whose graph is in memory at a time, at most.
pub(crate) const GRAPH: i64 = 128;

/// The gradient of the mean cross-entropy in the trainable parameters of the folded network: `[P]`, f64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedGradient;

impl Quantity for FoldedGradient {
    type Value = Tensor;

    fn name(&self) -> String {
        "folded_loss_gradient".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        if moved.network().architecture() == probe.network().architecture() {
            let gradient = probe.get(&LossGradient)?;
            let parts: Vec<Tensor> = gradient
                .tensors
                .iter()
                .flatten()
                .flatten()
                .map(|part| part.f_reshape([-1]))
                .collect::<Result<_, _>>()?;
            return finite(Tensor::f_cat(&parts, 0)?, "the gradient of the loss");
        }
        let point = moved.center().f_detach_copy()?.f_set_requires_grad(true)?;
        let network = moved.network().with_trainable_vector(&point)?;
        let mut sum = moved.center().f_to_kind(Kind::Double)?.f_zeros_like()?;
        for batch in probe.batches() {
            let batch = batch?;
            let loss = total_loss(&network, &batch.inputs, &batch.labels)?;
            let gradient = gradients(&loss, &[&point], Graph::Free)?.swap_remove(0);
            probe.count_forward(batch.len());
            probe.count_backward(batch.len());
            sum = sum.f_add(&gradient.f_to_kind(Kind::Double)?)?;
        }
        finite(sum.f_div_scalar(probe.sample_size() as f64)?, "the gradient of the loss")
    }
}

/// Σ cross-entropy over a batch.
pub(crate) fn total_loss(
    network: &Network,
    inputs: &Tensor,
    labels: &Tensor,
) -> Result<Tensor, pgdl_measure::network::NetworkError> {
    let logits = network.forward(inputs, Mode::Evaluate)?;
    Ok(logits.f_cross_entropy_loss::<Tensor>(labels, None, Reduction::Sum, -100, 0.0)?)
}

/// Cross-entropies of logits `[…, C]` at labels `[…]`, in f64: `[…]`.
pub(crate) fn losses(logits: &Tensor, labels: &Tensor) -> Result<Tensor, MeasureError> {
    let log_probabilities = logits.f_log_softmax(-1, Kind::Double)?;
    Ok(log_probabilities.f_gather(-1, &labels.f_unsqueeze(-1)?, false)?.f_squeeze_dim(-1)?.f_neg()?)
}

/// The mean cross-entropy over the whole sample at the trainable parameters `vector`, `[P]`; one forward pass.
pub(crate) fn mean_loss_at(
    probe: &Probe,
    moved: &Perturbed<'_>,
    vector: &Tensor,
) -> Result<f64, MeasureError> {
    let network = moved.network().with_trainable_vector(vector)?;
    let mut sum = 0.0;
    for batch in probe.batches() {
        let batch = batch?;
        let logits = pgdl_measure::tch::no_grad(|| network.forward(&batch.inputs, Mode::Evaluate))?;
        probe.count_forward(batch.len());
        sum += losses(&logits, &batch.labels)?.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(sum / probe.sample_size() as f64)
}

/// Cross-entropies `[R, m]`, f64: in each row those of the weights in that row of `vectors`, `[R, P]`, on the samples in that
/// row of `index`, `[R, m]`, without gradients.
pub(crate) fn losses_of(
    probe: &Probe,
    moved: &Perturbed<'_>,
    vectors: &Tensor,
    index: &Tensor,
) -> Result<Tensor, MeasureError> {
    let (copies, samples) = (index.size()[0], index.size()[1]);
    let at_once = moved.copies_at_once(samples);
    let mut found = Vec::new();
    let mut from = 0;
    while from < copies {
        probe.check_deadline()?;
        let count = at_once.min(copies - from);
        let rows = index.f_narrow(0, from, count)?;
        let logits = moved.outputs(&vectors.f_narrow(0, from, count)?, &rows)?;
        let labels = probe.labels().f_index_select(0, &rows.f_reshape([-1])?)?.f_reshape(rows.size())?;
        found.push(losses(&logits, &labels)?);
        from += count;
    }
    Ok(Tensor::f_cat(&found, 0)?)
}

/// H vᵢ of Σ w ℓ over the samples `index`, `[m]`, with weights `weights`, `[m]`, f64: `[P]`, f64 each.
pub(crate) fn loss_hessian_products(
    probe: &Probe,
    moved: &Perturbed<'_>,
    index: &Tensor,
    weights: &Tensor,
    vectors: &[Tensor],
) -> Result<Vec<Tensor>, MeasureError> {
    let count = index.numel() as i64;
    let vectors: Vec<Tensor> =
        vectors.iter().map(|vector| vector.f_to_kind(probe.kind())).collect::<Result<_, _>>()?;
    let mut sums: Vec<Option<Tensor>> = vectors.iter().map(|_| None).collect();
    let mut start = 0;
    while start < count {
        probe.check_deadline()?;
        let length = GRAPH.min(count - start);
        let rows = index.f_narrow(0, start, length)?;
        let weights = weights.f_narrow(0, start, length)?.f_to_kind(probe.kind())?;
        let (inputs, labels) =
            (probe.inputs().f_index_select(0, &rows)?, probe.labels().f_index_select(0, &rows)?);
        let loss = |network: &Network| {
            let logits = network.forward(&inputs, Mode::Evaluate)?;
            let each = logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::None, -100, 0.0)?;
            Ok(each.f_dot(&weights)?)
        };
        let found = hessian_products(moved.network(), loss, &vectors)?;
        for (sum, product) in sums.iter_mut().zip(found.products) {
            let product = product.f_to_kind(Kind::Double)?;
            *sum = Some(match sum.take() {
                Some(sum) => sum.f_add(&product)?,
                None => product,
            });
            probe.count_hvp(length);
        }
        start += length;
    }
    sums.into_iter().flatten().map(|sum| finite(sum, "a product with the Hessian")).collect()
}

/// vᵣᵀ Hᵣ vᵣ for each row of `vectors`, `[R, P]`, with Hᵣ the Hessian of the mean cross-entropy over the samples in that
/// row of `index`, `[R, m]`: copies of the network side by side.
pub(crate) fn curvatures_along(
    probe: &Probe,
    moved: &Perturbed<'_>,
    index: &Tensor,
    vectors: &Tensor,
) -> Result<Vec<f64>, MeasureError> {
    let (copies, samples) = (index.size()[0], index.size()[1]);
    let at_once = moved.copies_at_once(samples);
    let mut found = Vec::new();
    let mut from = 0;
    while from < copies {
        probe.check_deadline()?;
        let count = at_once.min(copies - from);
        let rows = index.f_narrow(0, from, count)?;
        let vectors = vectors.f_narrow(0, from, count)?;
        let point = moved.repeated(count)?.f_set_requires_grad(true)?;
        let logits = moved.network().forward_copies(&point, &moved.inputs_of(&rows)?)?;
        let labels = probe.labels().f_index_select(0, &rows.f_reshape([-1])?)?;
        let flat = logits.f_reshape([count * samples, -1])?;
        let loss = flat.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0)?;
        let slope = gradients(&loss, &[&point], Graph::Differentiable)?.swap_remove(0);
        probe.count_hvp(count * samples);
        if slope.requires_grad() {
            let along = slope.f_mul(&vectors)?.f_sum(None)?;
            let product = gradients(&along, &[&point], Graph::Free)?.swap_remove(0).f_detach()?;
            let forms = product.f_to_kind(Kind::Double)?.f_mul(&vectors.f_to_kind(Kind::Double)?)?;
            let forms = forms.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
            found.extend(Vec::<f64>::try_from(&forms.f_div_scalar(samples as f64)?)?);
        } else {
            found.extend(std::iter::repeat_n(0.0, count as usize));
        }
        from += count;
    }
    if found.iter().any(|form| !form.is_finite()) {
        return MeasureError::undefined("a product with the Hessian is not finite");
    }
    Ok(found)
}

pub(crate) fn finite(tensor: Tensor, what: &str) -> Result<Tensor, MeasureError> {
    if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined(format!("{what} is not finite"));
    }
    Ok(tensor)
}

/// Blocks of a random order of the sample, in turn: block k holds `size` samples, and every sample comes equally often.
#[derive(Debug)]
pub(crate) struct Blocks {
    order: Tensor,
    size: i64,
}

impl Blocks {
    pub(crate) fn new(probe: &Probe, size: i64) -> Result<Self, MeasureError> {
        let samples = probe.sample_size();
        let order = Tensor::f_from_slice(&probe.generator("samples").permutation(samples))?;
        Ok(Self { order: order.f_to_device(probe.device())?, size: size.clamp(1, samples as i64) })
    }

    /// Sample indices of several blocks, `[R, size]`.
    pub(crate) fn rows(&self, blocks: std::ops::Range<usize>) -> Result<Tensor, MeasureError> {
        let each = blocks.map(|block| self.get(block as i64)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_stack(&each, 0)?)
    }

    /// Sample indices, `[size]`.
    pub(crate) fn get(&self, block: i64) -> Result<Tensor, MeasureError> {
        let count = self.order.numel() as i64;
        let first = (block * self.size) % count;
        let length = self.size.min(count - first);
        let head = self.order.f_narrow(0, first, length)?;
        let tail = self.order.f_narrow(0, 0, self.size - length)?;
        Ok(Tensor::f_cat(&[head, tail], 0)?)
    }
}
