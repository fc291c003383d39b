//! Curvature, and networks with changed weights, one after the other.

use pgdl_measure::network::{Mode, Network, hessian_products};
use pgdl_measure::tch::{Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{MeasureError, Measured, Perturbed, Probe, correct};

use crate::Found;

/// Samples whose graph is in memory at a time.
const GRAPH: i64 = 128;

/// H v of the mean cross-entropy over all samples, `[P]`.
fn hessian_product(probe: &Probe, network: &Network, vector: &Tensor) -> Result<Tensor, MeasureError> {
    let mut sum = vector.f_zeros_like()?;
    for batch in probe.batches().at_most(GRAPH) {
        let batch = batch?;
        let loss = |network: &Network| {
            let logits = network.forward(&batch.inputs, Mode::Evaluate)?;
            Ok(logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?)
        };
        let found = hessian_products(network, loss, std::slice::from_ref(vector))?;
        probe.count_hvp(batch.len());
        sum = found.products.iter().try_fold(sum, |sum, product| sum.f_add(product))?;
    }
    Ok(sum.f_div_scalar(probe.sample_size() as f64)?)
}

fn dot(one: &Tensor, other: &Tensor) -> Result<f64, MeasureError> {
    let product = one.f_to_kind(Kind::Double)?.f_dot(&other.f_to_kind(Kind::Double)?)?;
    Ok(product.f_double_value(&[])?)
}

/// tr H from 20 vectors of signs, a fifth of the customary count: its error, too, is measured.
pub fn hutchinson(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let moved = Perturbed::folded(probe)?;
    let mut random = probe.generator("fixed count");
    let forms: Vec<f64> = (0..20)
        .map(|_| {
            let signs = random.sign_tensor(&moved.center().size())?;
            dot(&signs, &hessian_product(probe, moved.network(), &signs)?)
        })
        .collect::<Result<_, MeasureError>>()?;
    Ok(Found::mean(&forms))
}

/// λ₁ of H, the larger of two runs.
pub fn power_iteration(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let moved = Perturbed::folded(probe)?;
    let mut random = probe.generator("fixed count");
    let mut largest = f64::NEG_INFINITY;
    for _ in 0..2 {
        let mut vector = random.normal_tensor(&moved.center().size())?;
        let mut before: Option<f64> = None;
        for _ in 0..100 {
            vector = vector.f_div_scalar(dot(&vector, &vector)?.sqrt())?;
            let product = hessian_product(probe, moved.network(), &vector)?;
            let value = dot(&vector, &product)?;
            largest = largest.max(value);
            vector = product;
            if before.is_some_and(|before| (value - before).abs() < 1e-3 * value.abs()) {
                break;
            }
            before = Some(value);
        }
    }
    Ok(Found::exact(largest))
}

/// The mean cross-entropy of another network on all samples.
pub fn mean_loss(probe: &Probe, network: &Network) -> Result<f64, MeasureError> {
    let mut sum = 0.0;
    for batch in probe.batches() {
        let batch = batch?;
        let logits = no_grad(|| network.forward(&batch.inputs, Mode::Evaluate))?.f_to_kind(Kind::Double)?;
        probe.count_forward(batch.len());
        let loss = logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Sum, -100, 0.0)?;
        sum += loss.f_double_value(&[])?;
    }
    Ok(sum / probe.sample_size() as f64)
}

/// The accuracy of another network on the first samples.
fn accuracy(probe: &Probe, network: &Network, samples: usize) -> Result<f64, MeasureError> {
    let (mut right, mut count) = (0.0, 0.0);
    for batch in probe.batches_of(samples) {
        let batch = batch?;
        let logits = no_grad(|| network.forward(&batch.inputs, Mode::Evaluate))?;
        probe.count_forward(batch.len());
        right += correct(&logits, &batch.labels)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        count += batch.len() as f64;
    }
    Ok(right / count)
}

/// `network` with some of its tensors changed; `change` takes node, position in the node, and tensor.
fn changed(
    network: &Network,
    change: &dyn Fn(usize, usize, &Tensor) -> Result<Tensor, MeasureError>,
) -> Result<Network, MeasureError> {
    let mut weights: Vec<Vec<Tensor>> = network.weights().iter().map(|_| Vec::new()).collect();
    for (node, tensors) in network.weights().iter().enumerate() {
        for (index, tensor) in tensors.iter().enumerate() {
            weights[node].push(change(node, index, tensor)?);
        }
    }
    Ok(network.with_weights(weights)?)
}

/// The mean over the layers of what accuracy loses when one goes back to its initial weights.
pub fn layers_one_by_one(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    const SAMPLES: usize = 500;
    let (network, initial) = (probe.folded()?, probe.folded_initial()?);
    let whole = accuracy(probe, &network, SAMPLES)?;
    let mut lost = Vec::new();
    for layer in (0..network.weights().len()).filter(|&node| !network.weights()[node].is_empty()) {
        let set_back = changed(&network, &|node, index, tensor| {
            let from = if node == layer { &initial.weights()[node][index] } else { tensor };
            Ok(from.shallow_clone())
        })?;
        lost.push(whole - accuracy(probe, &set_back, SAMPLES)?);
    }
    Ok(Found::exact(lost.iter().sum::<f64>() / lost.len() as f64))
}

/// log₂ of the fewest levels with which accuracy loses no more than 0.01.
pub fn levels_one_by_one(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    const SAMPLES: usize = 1000;
    let network = probe.folded()?;
    let whole = accuracy(probe, &network, SAMPLES)?;
    let is_kernel = |node, index| {
        network.parameters().any(|one| (one.node, one.index) == (node, index) && one.spec.role.is_weight())
    };
    for levels in 2..=65_536 {
        let quantized = changed(&network, &|node, index, tensor| {
            if !is_kernel(node, index) {
                return Ok(tensor.shallow_clone());
            }
            let largest = tensor.f_abs()?.f_max()?.f_double_value(&[])?;
            // In the same arithmetic as ours: written otherwise, rounding took other levels for some weights.
            let unit = tensor
                .f_to_kind(Kind::Double)?
                .f_div_scalar(largest)?
                .f_add_scalar(1.0)?
                .f_mul_scalar(0.5)?;
            let place = unit.f_mul_scalar(f64::from(levels - 1))?.f_round()?;
            let value =
                place.f_mul_scalar(2.0 / f64::from(levels - 1))?.f_sub_scalar(1.0)?.f_mul_scalar(largest)?;
            Ok(value.f_to_kind(tensor.kind())?)
        })?;
        if whole - accuracy(probe, &quantized, SAMPLES)? <= 0.01 {
            return Ok(Found::exact(f64::from(levels).log2()));
        }
    }
    MeasureError::undefined("16 bits are too few")
}
