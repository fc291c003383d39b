//! Batch and layer normalization.

use tch::Tensor;

use super::Mode;
use crate::error::Result;
use crate::shape::{layer_error, resolve_axis};

/// The tensors of a batch normalization, each `[size of the axis]`.
pub(super) struct BatchNorm<'a> {
    pub(super) gamma: Option<&'a Tensor>,
    pub(super) beta: Option<&'a Tensor>,
    pub(super) mean: &'a Tensor,
    pub(super) variance: &'a Tensor,
}

/// (x − mean) / √(variance + ε) · γ + β along one axis. In training the mean and the biased variance are the
/// batch's, and the moving ones become momentum · moving + (1 − momentum) · batch.
pub(super) fn batch(
    x: &Tensor,
    tensors: &BatchNorm<'_>,
    axis: i64,
    epsilon: f64,
    momentum: f64,
    mode: Mode,
) -> Result<Tensor> {
    let rank = x.dim();
    let axis = resolve_axis(axis, rank)
        .ok_or_else(|| layer_error("BatchNormalization", format!("there is no axis {axis}")))?;
    // libtorch normalizes axis 1.
    let to_front: Vec<i64> = std::iter::once(0)
        .chain(std::iter::once(axis))
        .chain((1..rank).filter(|&i| i != axis))
        .map(|i| i as i64)
        .collect();
    let mut to_back = vec![0; rank];
    for (position, &from) in to_front.iter().enumerate() {
        to_back[from as usize] = position as i64;
    }
    let view = x.f_permute(to_front)?;
    let BatchNorm { gamma, beta, mean, variance } = *tensors;
    let y = match mode {
        Mode::Evaluate => {
            view.f_batch_norm(gamma, beta, Some(mean), Some(variance), false, 0.0, epsilon, true)?
        }
        Mode::Train => {
            // With momentum 1 libtorch leaves the batch's own statistics in these two.
            let batch_mean = mean.f_detach_copy()?;
            let batch_variance = variance.f_detach_copy()?;
            let y = view.f_batch_norm(
                gamma,
                beta,
                Some(&batch_mean),
                Some(&batch_variance),
                true,
                1.0,
                epsilon,
                true,
            )?;
            let size = x.size();
            let count = size.iter().product::<i64>() / size[axis].max(1);
            move_statistics(tensors, &batch_mean, &batch_variance, count, momentum)?;
            y
        }
    };
    Ok(y.f_permute(to_back)?.f_contiguous()?)
}

/// `unbiased` is the batch's variance with divisor count − 1; Keras moves towards the one with divisor count.
fn move_statistics(
    tensors: &BatchNorm<'_>,
    mean: &Tensor,
    unbiased: &Tensor,
    count: i64,
    momentum: f64,
) -> Result<()> {
    let _guard = tch::no_grad_guard();
    let biased = if count > 1 {
        unbiased.f_mul_scalar((count - 1) as f64 / count as f64)?
    } else {
        unbiased.f_zeros_like()?
    };
    for (moving, batch) in [(tensors.mean, mean), (tensors.variance, &biased)] {
        let target = moving.f_mul_scalar(momentum)?.f_add(&batch.f_mul_scalar(1.0 - momentum)?)?;
        moving.shallow_clone().f_copy_(&target)?;
    }
    Ok(())
}

/// (x − mean) / √(variance + ε) · γ + β, with the mean and the biased variance of each sample over some axes.
pub(super) fn layer(
    x: &Tensor,
    gamma: Option<&Tensor>,
    beta: Option<&Tensor>,
    axes: &[i64],
    epsilon: f64,
) -> Result<Tensor> {
    let rank = x.dim();
    let axes: Vec<usize> = axes
        .iter()
        .map(|&axis| {
            resolve_axis(axis, rank)
                .ok_or_else(|| layer_error("LayerNormalization", format!("there is no axis {axis}")))
        })
        .collect::<Result<_>>()?;
    // libtorch normalizes the last axes.
    let order: Vec<i64> =
        (0..rank).filter(|i| !axes.contains(i)).chain(axes.iter().copied()).map(|i| i as i64).collect();
    let mut back = vec![0; rank];
    for (position, &from) in order.iter().enumerate() {
        back[from as usize] = position as i64;
    }
    let size = x.size();
    let normalized: Vec<i64> = axes.iter().map(|&axis| size[axis]).collect();
    let y = x.f_permute(order)?.f_layer_norm(normalized, gamma, beta, epsilon, true)?;
    Ok(y.f_permute(back)?.f_contiguous()?)
}
