//! Convolutions and dense layers: the linear maps.

use tch::Tensor;

use super::activation::activate_owned;
use crate::error::Result;
use crate::layer::{Activation, Conv2d, DepthwiseConv2d, Padding, SeparableConv2d};
use crate::shape::{Window, layer_error};

/// How a kernel moves over an image.
struct Sweep {
    kernel: [i64; 2],
    strides: [i64; 2],
    padding: Padding,
    dilation: [i64; 2],
    groups: i64,
}

pub(super) fn conv2d(conv: &Conv2d, x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let &Conv2d { kernel: size, strides, padding, dilation, groups, .. } = conv;
    if size == [1, 1] && strides == [1, 1] && groups == 1 {
        // A matrix product, of which libtorch computes the gradients in half the time.
        let matrix = kernel.f_reshape(&kernel.size()[2..])?;
        return dense(x, &matrix, bias, conv.activation);
    }
    // [kh, kw, in / groups, out] → [out, in / groups, kh, kw]
    let weight = kernel.f_permute([3, 2, 0, 1])?;
    let sweep = Sweep { kernel: size, strides, padding, dilation, groups };
    convolve(x, &weight, bias, &sweep, conv.activation)
}

pub(super) fn depthwise(
    conv: &DepthwiseConv2d,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let &DepthwiseConv2d { kernel: size, strides, padding, dilation, depth_multiplier, .. } = conv;
    let weight = depthwise_weight(kernel, size, depth_multiplier)?;
    let groups = weight.size()[0] / depth_multiplier;
    let sweep = Sweep { kernel: size, strides, padding, dilation, groups };
    convolve(x, &weight, bias, &sweep, conv.activation)
}

pub(super) fn separable(
    conv: &SeparableConv2d,
    x: &Tensor,
    depthwise: &Tensor,
    pointwise: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let &SeparableConv2d { kernel: size, strides, padding, dilation, depth_multiplier, .. } = conv;
    let weight = depthwise_weight(depthwise, size, depth_multiplier)?;
    let groups = weight.size()[0] / depth_multiplier;
    let sweep = Sweep { kernel: size, strides, padding, dilation, groups };
    let between = convolve(x, &weight, None, &sweep, Activation::Linear)?;
    let pointwise = pointwise.f_reshape([weight.size()[0], conv.filters])?;
    dense(&between, &pointwise, bias, conv.activation)
}

/// `[kh, kw, in, multiplier]` → `[in · multiplier, 1, kh, kw]`, a view.
fn depthwise_weight(kernel: &Tensor, size: [i64; 2], multiplier: i64) -> Result<Tensor> {
    let channels = kernel.size()[2];
    Ok(kernel.f_permute([2, 3, 0, 1])?.f_reshape([channels * multiplier, 1, size[0], size[1]])?)
}

/// Convolves `[N, H, W, C]` with `[out, in / groups, kh, kw]`.
fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    sweep: &Sweep,
    activation: Activation,
) -> Result<Tensor> {
    let size = x.size();
    let place = |i: usize| {
        let [kernel, stride, dilation] = [sweep.kernel[i], sweep.strides[i], sweep.dilation[i]];
        Window::place(size[i + 1], kernel, stride, dilation, sweep.padding)
            .ok_or_else(|| layer_error("convolution", format!("its window does not fit {size:?}")))
    };
    let (vertical, horizontal) = (place(0)?, place(1)?);
    let symmetric = vertical.before == vertical.after && horizontal.before == horizontal.after;
    let (x, padding) = if symmetric {
        (x.shallow_clone(), [vertical.before, horizontal.before])
    } else {
        let padding = [0, 0, horizontal.before, horizontal.after, vertical.before, vertical.after];
        (x.f_constant_pad_nd(padding)?, [0, 0])
    };
    let x = x.f_permute([0, 3, 1, 2])?;
    // libtorch takes one filter for contiguous and its gradient for channels-last, and then refuses its own tensor
    // ("slow_conv2d: grad_weight must be contiguous"): the filter is laid out so that both are the same.
    let weight = if weight.size()[0] == 1 { weight.f_contiguous()? } else { weight.shallow_clone() };
    let y = x.f_conv2d(&weight, bias, sweep.strides, padding, sweep.dilation, sweep.groups)?;
    if activation == Activation::Relu {
        return Ok(activate_owned(y, activation)?.f_permute([0, 2, 3, 1])?.f_contiguous()?);
    }
    activate_owned(y.f_permute([0, 2, 3, 1])?.f_contiguous()?, activation)
}

/// x · kernel + bias over the last axis.
pub(super) fn dense(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
) -> Result<Tensor> {
    let mut shape = x.size();
    let (inputs, outputs) = (kernel.size()[0], kernel.size()[1]);
    let flat = shape.len() == 2;
    let rows: i64 = shape[..shape.len() - 1].iter().product();
    let rows_of_x = if flat { x.shallow_clone() } else { x.f_reshape([rows, inputs])? };
    let y = match bias {
        Some(bias) => bias.f_addmm(&rows_of_x, kernel)?,
        None => rows_of_x.f_mm(kernel)?,
    };
    if flat {
        return activate_owned(y, activation);
    }
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    if activation == Activation::Relu {
        return Ok(activate_owned(y, activation)?.f_reshape(shape)?);
    }
    activate_owned(y.f_reshape(shape)?, activation)
}
