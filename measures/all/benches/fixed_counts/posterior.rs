//! The local posterior by chains one after the other.

use pgdl_measure::network::{Graph, Mode, gradients};
use pgdl_measure::rand::RngCore;
use pgdl_measure::tch::{self, Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{Losses, MeasureError, Measured, Probe};

use crate::{Found, detail};

/// λ̂ = nβ (E L(w) − L(w*)) by SGLD (Welling and Teh 2011) on mini-batches, the mean loss of the batches in place of L(w).
/// As many chains, steps of burn-in and draws as ours took, at our step size and localization: common code leaves them to
/// the user. Our first steps of burn-in are longer than the last; whether these chains have arrived, the two values say.
pub fn chains_one_by_one(probe: &Probe, ours: &Measured) -> Result<Found, MeasureError> {
    const BATCH: usize = 64;
    let network = probe.network();
    let centre = network.trainable_vector()?;
    let before = probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?;
    let inverse_temperature = detail(ours, "inverse_temperature")?;
    let (step, localization) = (detail(ours, "step_size")?, detail(ours, "localization")?);
    let mut random = probe.generator("fixed count");
    let (count, burn_in) = (detail(ours, "chains")? as usize, detail(ours, "burn_in")? as usize);
    let draws = detail(ours, "draws")? as usize / count;
    tch::manual_seed((random.next_u64() >> 1) as i64);
    let mut chains = Vec::new();
    for _ in 0..count {
        let mut w = centre.shallow_clone();
        let mut order: Vec<i64> = Vec::new();
        let mut losses = Vec::new();
        for step_number in 0..burn_in + draws {
            if order.len() < BATCH {
                order = random.permutation(probe.sample_size());
            }
            let rows = Tensor::f_from_slice(&order.split_off(order.len() - BATCH))?;
            let rows = rows.f_to_device(probe.device())?;
            let (x, y) = (probe.inputs().f_index_select(0, &rows)?, probe.labels().f_index_select(0, &rows)?);
            let leaf = w.f_detach()?.f_set_requires_grad(true)?;
            let logits = network.with_trainable_vector(&leaf)?.forward(&x, Mode::Evaluate)?;
            let loss = logits.f_cross_entropy_loss::<Tensor>(&y, None, Reduction::Mean, -100, 0.0)?;
            let slope = gradients(&loss, &[&leaf], Graph::Free)?.swap_remove(0);
            probe.count_forward(BATCH as i64);
            probe.count_backward(BATCH as i64);
            if step_number >= burn_in {
                losses.push(loss.f_double_value(&[])?);
            }
            w = no_grad(|| {
                let pull = w.f_sub(&centre)?.f_mul_scalar(localization)?;
                let drift = slope.f_mul_scalar(inverse_temperature)?.f_add(&pull)?.f_mul_scalar(-step)?;
                let noise = Tensor::f_randn(w.size(), (w.kind(), w.device()))?;
                w.f_add(&drift)?.f_add(&noise.f_mul_scalar((2.0 * step).sqrt())?)
            })?;
        }
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        chains.push(inverse_temperature * (mean - before));
    }
    Ok(Found::mean(&chains))
}
