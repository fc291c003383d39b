//! The widely used approximations of a convolution's operator norm.

use pgdl_measure::network::{Layer, Role};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Kernel, MeasureError};

use crate::largest_singular_value::largest_of_matrices;

/// ‖W‖₂ of the kernel as a matrix `[incoming weights, units]`.
///
/// # Errors
/// libtorch refuses.
pub fn reshape_norm(kernel: &Kernel<'_>, tensor: &Tensor) -> Result<f64, MeasureError> {
    let shape = tensor.size();
    let units = match (kernel.role, shape.as_slice()) {
        (Role::DepthwiseKernel, [_, _, inputs, multiplier]) => inputs * multiplier,
        (_, [.., outputs]) => *outputs,
        (_, []) => 1,
    };
    let matrix = tensor.f_detach()?.f_to_kind(Kind::Double)?;
    largest_of_matrices(&matrix.f_reshape([-1, units])?)
}

/// The norm of the circular convolution with stride 1 on `input` `[H, W, C]` (Sedghi, Gupta, Long 2019, Theorem 6): the
/// largest singular value of the channel matrices at all frequencies. Dense kernels: that of the matrix.
///
/// A kernel larger than the map wraps around it. `check` is called for each row of frequencies.
///
/// # Errors
/// `check` says stop, or libtorch refuses.
pub fn circular_norm(
    kernel: &Kernel<'_>,
    tensor: &Tensor,
    input: &[i64],
    check: impl Fn() -> Result<(), MeasureError>,
) -> Result<f64, MeasureError> {
    let (dilation, groups) = match kernel.layer {
        Layer::Conv2d(conv) => (conv.dilation, conv.groups),
        Layer::DepthwiseConv2d(conv) => (conv.dilation, input[input.len() - 1]),
        Layer::SeparableConv2d(conv) if kernel.role == Role::DepthwiseKernel => {
            (conv.dilation, input[input.len() - 1])
        }
        _ => return reshape_norm(kernel, tensor),
    };
    let (&[height, width, _], &[rows, columns, third, fourth]) = (input, tensor.size().as_slice()) else {
        return MeasureError::failed(format!("layer `{}` is no convolution of images", kernel.name));
    };
    // [kh, kw, groups, in / groups, out / groups]
    let tensor = tensor.f_detach()?.f_to_kind(Kind::Double)?;
    let taps = if kernel.role == Role::DepthwiseKernel {
        tensor.f_reshape([rows, columns, third, 1, fourth])?
    } else {
        tensor.f_reshape([rows, columns, third, groups, fourth / groups])?.f_permute([0, 1, 3, 2, 4])?
    };
    let inner = taps.size()[2..].to_vec();
    let taps = complex(&taps.f_reshape([rows, -1])?)?;
    let vertical = waves(height, height, rows, dilation[0], tensor.device())?;
    // The kernel is real: the other half of the frequencies has the conjugate matrices.
    let horizontal = waves(width / 2 + 1, width, columns, dilation[1], tensor.device())?;
    let vertical = vertical.f_mm(&taps)?.f_reshape([height, columns, -1])?;
    let mut largest = 0.0f64;
    for row in 0..height {
        check()?;
        let matrices = horizontal.f_mm(&vertical.f_get(row)?)?;
        let shape = [&[width / 2 + 1], inner.as_slice()].concat();
        largest = largest.max(largest_of_matrices(&matrices.f_reshape(shape)?)?);
    }
    Ok(largest)
}

/// exp(−2πi · frequency · tap · dilation / size): `[frequencies, taps]`.
fn waves(
    frequencies: i64,
    size: i64,
    taps: i64,
    dilation: i64,
    device: Device,
) -> Result<Tensor, MeasureError> {
    let (mut real, mut imaginary) = (Vec::new(), Vec::new());
    for frequency in 0..frequencies {
        for tap in 0..taps {
            let turns = (frequency * tap * dilation).rem_euclid(size) as f64 / size as f64;
            let (sine, cosine) = (-std::f64::consts::TAU * turns).sin_cos();
            real.push(cosine);
            imaginary.push(sine);
        }
    }
    let shape = [frequencies, taps];
    let (real, imaginary) = (Tensor::f_from_slice(&real)?, Tensor::f_from_slice(&imaginary)?);
    Ok(Tensor::f_complex(&real.f_reshape(shape)?, &imaginary.f_reshape(shape)?)?.f_to_device(device)?)
}

fn complex(real: &Tensor) -> Result<Tensor, MeasureError> {
    let real = real.f_contiguous()?;
    Ok(Tensor::f_complex(&real, &real.f_zeros_like()?)?)
}
