//! Layers that act in training only. Random numbers come from libtorch's generator (`tch::manual_seed`).

use tch::Tensor;

use crate::error::Result;
use crate::layer::Layer;

/// Applies a training-only layer in training.
pub(super) fn apply(layer: &Layer, x: &Tensor) -> Result<Tensor> {
    Ok(match layer {
        Layer::Dropout { rate } => x.f_dropout(*rate, true)?,
        Layer::SpatialDropout2d { rate } => {
            let size = x.size();
            let ones = Tensor::f_ones([size[0], 1, 1, size[3]], (x.f_kind()?, x.device()))?;
            x.f_mul(&ones.f_dropout(*rate, true)?)?
        }
        Layer::AlphaDropout { rate } => x.f_alpha_dropout(*rate, true)?,
        Layer::GaussianNoise { stddev } => x.f_add(&x.f_randn_like()?.f_mul_scalar(*stddev)?)?,
        Layer::GaussianDropout { rate } => {
            let stddev = (rate / (1.0 - rate)).sqrt();
            x.f_mul(&x.f_randn_like()?.f_mul_scalar(stddev)?.f_add_scalar(1.0)?)?
        }
        _ => x.shallow_clone(),
    })
}
