//! What each layer does to its input.
//!
//! Images come and go as contiguous `[N, H, W, C]`. Convolutions and poolings see them through a permuted
//! view `[N, C, H, W]`, which is libtorch's channels-last format: nothing is copied.

mod activation;
mod convolution;
mod noise;
mod normalization;
mod pooling;

use tch::Tensor;

use crate::error::{NetworkError, Result};
use crate::layer::Layer;
use crate::shape::layer_error;

pub(crate) use activation::activate;

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Dropout is the identity; batch normalization uses its moving statistics.
    Evaluate,
    /// Dropout and noise act, drawing from libtorch's generator; batch normalization uses the batch's
    /// statistics and moves its own towards them.
    Train,
}

/// Applies one layer. `weights` are in the order of [`Layer::parameters`], shapes already checked.
pub(crate) fn layer_forward(
    layer: &Layer,
    weights: &[Tensor],
    inputs: &[&Tensor],
    mode: Mode,
) -> Result<Tensor> {
    let mut weights = Weights { layer, rest: weights.iter() };
    let &x = inputs.first().ok_or_else(|| layer_error(layer.kind(), "it has no input"))?;
    match layer {
        Layer::Conv2d(conv) => {
            let kernel = weights.take()?;
            let bias = weights.take_if(conv.use_bias)?;
            convolution::conv2d(conv, x, kernel, bias)
        }
        Layer::DepthwiseConv2d(conv) => {
            let kernel = weights.take()?;
            let bias = weights.take_if(conv.use_bias)?;
            convolution::depthwise(conv, x, kernel, bias)
        }
        Layer::SeparableConv2d(conv) => {
            let depthwise = weights.take()?;
            let pointwise = weights.take()?;
            let bias = weights.take_if(conv.use_bias)?;
            convolution::separable(conv, x, depthwise, pointwise, bias)
        }
        Layer::Dense(dense) => {
            let kernel = weights.take()?;
            let bias = weights.take_if(dense.use_bias)?;
            convolution::dense(x, kernel, bias, dense.activation)
        }
        Layer::BatchNormalization { axis, scale, center, epsilon, momentum } => {
            let tensors = normalization::BatchNorm {
                gamma: weights.take_if(*scale)?,
                beta: weights.take_if(*center)?,
                mean: weights.take()?,
                variance: weights.take()?,
            };
            normalization::batch(x, &tensors, *axis, *epsilon, *momentum, mode)
        }
        Layer::LayerNormalization { axes, scale, center, epsilon } => {
            let gamma = weights.take_if(*scale)?;
            let beta = weights.take_if(*center)?;
            normalization::layer(x, gamma, beta, axes, *epsilon)
        }
        Layer::Activation(activation) => activate(x, *activation),
        Layer::PRelu { .. } => activation::prelu(x, weights.take()?),
        Layer::MaxPooling2d(pool) => pooling::max(x, pool),
        Layer::AveragePooling2d(pool) => pooling::average(x, pool),
        Layer::GlobalAveragePooling2d { keepdims } => {
            Ok(x.f_mean_dim([1i64, 2].as_slice(), *keepdims, None)?)
        }
        Layer::GlobalMaxPooling2d { keepdims } => Ok(x.f_amax([1i64, 2].as_slice(), *keepdims)?),
        Layer::Flatten => {
            let size = x.size();
            Ok(x.f_reshape([size[0], size[1..].iter().product()])?)
        }
        Layer::Reshape { target } => reshape(x, target),
        Layer::Permute { dims } => {
            let order: Vec<i64> = std::iter::once(0).chain(dims.iter().copied()).collect();
            Ok(x.f_permute(order)?.f_contiguous()?)
        }
        Layer::ZeroPadding2d { top, bottom, left, right } => {
            Ok(x.f_constant_pad_nd([0, 0, *left, *right, *top, *bottom])?)
        }
        Layer::Rescaling { scale, offset } => Ok(x.f_mul_scalar(*scale)?.f_add_scalar(*offset)?),
        Layer::Dropout { .. }
        | Layer::SpatialDropout2d { .. }
        | Layer::AlphaDropout { .. }
        | Layer::GaussianNoise { .. }
        | Layer::GaussianDropout { .. }
        | Layer::ActivityRegularization { .. } => match mode {
            Mode::Evaluate => Ok(x.shallow_clone()),
            Mode::Train => noise::apply(layer, x),
        },
        Layer::Add => {
            let mut sum = x.shallow_clone();
            for input in &inputs[1..] {
                sum = sum.f_add(input)?;
            }
            Ok(sum)
        }
    }
}

/// Reshapes each sample; a −1 is worked out here, since libtorch cannot do so for an empty batch.
fn reshape(x: &Tensor, target: &[i64]) -> Result<Tensor> {
    let size = x.size();
    let total: i64 = size[1..].iter().product();
    let known: i64 = target.iter().filter(|&&size| size != -1).product();
    let sizes = target.iter().map(|&size| if size == -1 { total / known.max(1) } else { size });
    let shape: Vec<i64> = std::iter::once(size[0]).chain(sizes).collect();
    Ok(x.f_reshape(shape)?)
}

/// A layer's tensors, taken one after the other.
struct Weights<'a> {
    layer: &'a Layer,
    rest: std::slice::Iter<'a, Tensor>,
}

impl<'a> Weights<'a> {
    fn take(&mut self) -> Result<&'a Tensor> {
        self.rest.next().ok_or_else(|| NetworkError::Weights {
            layer: self.layer.kind().to_owned(),
            reason: "a tensor is missing".into(),
        })
    }

    fn take_if(&mut self, present: bool) -> Result<Option<&'a Tensor>> {
        if present { self.take().map(Some) } else { Ok(None) }
    }
}
