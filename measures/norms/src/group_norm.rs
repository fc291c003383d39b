//! Group norms ‖W‖_{p,q} of weight tensors.

use pgdl_measure::network::Role;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Kernel, LayerDetail, MeasureError, Measured, Probe, kernels};

use crate::finite_layers::finite;
use crate::logarithms::total;

/// ln ‖W‖²_{p,q}, the vector q-norm over the units of the p-norm of each unit's incoming weights; −∞ for zero weights.
///
/// `matrix` is `[in, out]`: a unit is a column. p ≥ 1; q ≥ 1, or infinite for the largest unit.
///
/// # Errors
/// libtorch refuses.
pub fn log_squared_group_norm(matrix: &Tensor, p: f64, q: f64) -> Result<f64, MeasureError> {
    // Magnitudes are taken relative to the largest, so that no power overflows.
    let magnitudes = matrix.f_detach()?.f_to_kind(Kind::Double)?.f_abs()?;
    let largest = if magnitudes.numel() == 0 { 0.0 } else { magnitudes.f_max()?.f_double_value(&[])? };
    if largest == 0.0 {
        return Ok(f64::NEG_INFINITY);
    }
    let units =
        magnitudes.f_div_scalar(largest)?.f_pow_tensor_scalar(p)?.f_sum_dim_intlist(0, false, None)?;
    let log_norm = if q.is_infinite() {
        units.f_max()?.f_double_value(&[])?.ln() / p
    } else {
        units.f_pow_tensor_scalar(q / p)?.f_sum(Kind::Double)?.f_double_value(&[])?.ln() / q
    };
    Ok(2.0 * (largest.ln() + log_norm))
}

/// Σ_ℓ ln ‖W_ℓ‖²_{p,q} over the kernels of the network with BatchNormalization folded.
///
/// # Errors
/// There is no kernel, or one is all zero: undefined.
pub(crate) fn group_norm_product(probe: &Probe, p: f64, q: f64) -> Result<Measured, MeasureError> {
    let network = probe.folded()?;
    let mut layers = Vec::new();
    for kernel in kernels(&network) {
        let value = log_squared_group_norm(&units_as_columns(&kernel)?, p, q)?;
        if value == f64::NEG_INFINITY {
            return MeasureError::undefined(format!(
                "the norm of layer `{}` is zero and has no logarithm",
                kernel.name
            ));
        }
        layers.push(LayerDetail { layer: kernel.name, value });
    }
    if layers.is_empty() {
        return MeasureError::undefined("the network has no weight tensor");
    }
    let layers = finite(layers)?;
    Ok(Measured::value(total(&layers)).with_layers(layers))
}

/// A kernel as `[incoming weights of a unit, units]`. A depthwise kernel `[kh, kw, in, multiplier]` has a unit for each
/// pair of the last two axes.
fn units_as_columns(kernel: &Kernel<'_>) -> Result<Tensor, MeasureError> {
    let shape = kernel.tensor.size();
    let units = match (kernel.role, shape.as_slice()) {
        (Role::DepthwiseKernel, [_, _, inputs, multiplier]) => inputs * multiplier,
        (_, [.., outputs]) => *outputs,
        (_, []) => 1,
    };
    Ok(kernel.tensor.f_reshape([-1, units])?)
}
