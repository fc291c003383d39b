//! Weights on a grid of few values.

use pgdl_measure::MeasureError;
use pgdl_measure::network::Network;
use pgdl_measure::tch::{Kind, Tensor};

/// The most levels that are looked at: 16 bits.
pub(crate) const MOST_LEVELS: i64 = 1 << 16;

/// Indices of a tensor's values on the grid −a … a of `levels` equidistant values, a the largest magnitude; and a.
fn indices(tensor: &Tensor, levels: i64) -> Result<(Tensor, f64), MeasureError> {
    let largest = tensor.f_abs()?.f_max()?.f_double_value(&[])?;
    if largest == 0.0 {
        return Ok((tensor.f_zeros_like()?, 0.0));
    }
    let unit = tensor.f_to_kind(Kind::Double)?.f_div_scalar(largest)?.f_add_scalar(1.0)?.f_mul_scalar(0.5)?;
    Ok((unit.f_mul_scalar((levels - 1) as f64)?.f_round()?, largest))
}

/// The tensor with each value at the nearest point of its grid of `levels` values (at least 2).
pub(crate) fn quantized(tensor: &Tensor, levels: i64) -> Result<Tensor, MeasureError> {
    let (indices, largest) = indices(tensor, levels)?;
    let unit = indices.f_mul_scalar(2.0 / (levels - 1) as f64)?.f_sub_scalar(1.0)?;
    Ok(unit.f_mul_scalar(largest)?.f_to_kind(tensor.kind())?)
}

/// The network with every kernel on a grid of its own; biases stay.
pub(crate) fn quantized_network(network: &Network, levels: i64) -> Result<Network, MeasureError> {
    with_kernels(network, |kernel| quantized(kernel, levels))
}

/// The network with its kernels changed.
pub(crate) fn with_kernels(
    network: &Network,
    mut change: impl FnMut(&Tensor) -> Result<Tensor, MeasureError>,
) -> Result<Network, MeasureError> {
    let mut weights: Vec<Vec<Tensor>> =
        network.weights().iter().map(|node| node.iter().map(Tensor::shallow_clone).collect()).collect();
    for parameter in network.parameters().filter(|parameter| parameter.spec.role.is_weight()) {
        weights[parameter.node][parameter.index] = change(parameter.tensor)?;
    }
    Ok(network.with_weights(weights)?)
}

/// Bits for a tensor's indices on its grid with the best code for their frequencies (each value −log₂ of its share), and for
/// the frequencies themselves: `levels` numbers up to the tensor's size.
pub(crate) fn code_length(tensor: &Tensor, levels: i64) -> Result<f64, MeasureError> {
    let (indices, _) = indices(tensor, levels)?;
    let counts = indices.f_reshape([-1])?.f_to_kind(Kind::Int64)?.f_bincount::<Tensor>(None, levels)?;
    let counts = Vec::<f64>::try_from(counts.f_to_kind(Kind::Double)?)?;
    let total: f64 = counts.iter().sum();
    let values: f64 =
        counts.iter().filter(|count| **count > 0.0).map(|count| count * (total / count).log2()).sum();
    Ok(values + levels as f64 * (total + 1.0).log2())
}
