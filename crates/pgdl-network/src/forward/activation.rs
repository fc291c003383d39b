//! Elementwise functions, and softmax.

use tch::Tensor;

use crate::error::Result;
use crate::layer::Activation;

/// Applies an activation to a tensor of any shape, leaving the tensor as it is.
pub(crate) fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Linear => x.shallow_clone(),
        Activation::Relu => x.f_relu()?,
        Activation::GeneralRelu { max_value, negative_slope, threshold } => {
            general_relu(x, max_value, negative_slope, threshold)?
        }
        Activation::Relu6 => x.f_relu6()?,
        Activation::LeakyRelu { slope } => prelu(x, &constant(x, slope)?)?,
        Activation::Elu { alpha: 1.0 } => x.f_elu()?,
        Activation::Elu { alpha } => {
            let negative = x.f_clamp_max(0.0)?.f_expm1()?.f_mul_scalar(alpha)?;
            x.f_relu()?.f_add(&negative)?
        }
        Activation::Selu => x.f_selu()?,
        Activation::Gelu { approximate } => x.f_gelu(if approximate { "tanh" } else { "none" })?,
        Activation::Tanh => x.f_tanh()?,
        Activation::Sigmoid => x.f_sigmoid()?,
        // libtorch's softplus is linear above 20, which is wrong by 2e-9.
        Activation::Softplus => x.f_neg()?.f_log_sigmoid()?.f_neg()?,
        Activation::Softsign => x.f_div(&x.f_abs()?.f_add_scalar(1.0)?)?,
        Activation::Swish => x.f_silu()?,
        Activation::HardSwish => x.f_hardswish()?,
        Activation::Mish => x.f_mish()?,
        Activation::HardSigmoid { slope } => x.f_mul_scalar(slope)?.f_add_scalar(0.5)?.f_clamp(0.0, 1.0)?,
        Activation::Exponential => x.f_exp()?,
        Activation::Softmax => x.f_softmax(-1, None)?,
        Activation::LogSoftmax => x.f_log_softmax(-1, None)?,
    })
}

/// Applies an activation to a tensor that nothing else holds: ReLU overwrites it.
pub(super) fn activate_owned(mut x: Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Linear => Ok(x),
        // The gradient of ReLU needs its result alone, and that of a linear map not its own.
        Activation::Relu => Ok(x.f_relu_()?),
        _ => activate(&x, activation),
    }
}

/// x where x > 0, alpha · x elsewhere; `alpha` is `[1]` or broadcasts against a sample.
pub(super) fn prelu(x: &Tensor, alpha: &Tensor) -> Result<Tensor> {
    if alpha.dim() == 1 && alpha.size() == [1] {
        return Ok(x.f_prelu(alpha)?);
    }
    let negative = x.f_clamp_max(0.0)?.f_mul(alpha)?;
    Ok(x.f_relu()?.f_add(&negative)?)
}

fn general_relu(x: &Tensor, max_value: Option<f64>, negative_slope: f64, threshold: f64) -> Result<Tensor> {
    let below = x.f_add_scalar(-threshold)?.f_mul_scalar(negative_slope)?;
    let y = x.f_where_self(&x.f_ge(threshold)?, &below)?;
    match max_value {
        None => Ok(y),
        Some(max_value) => Ok(constant(x, max_value)?.f_where_self(&x.f_ge(max_value)?, &y)?),
    }
}

/// A tensor `[1]` of x's kind and device.
fn constant(x: &Tensor, value: f64) -> Result<Tensor> {
    Ok(Tensor::f_full([1], value, (x.f_kind()?, x.device()))?)
}
