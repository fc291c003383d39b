//! Changes of a network that leave its decisions as they are.

use pgdl_network::{Network, Parameter, Role};
use tch::Tensor;

use crate::contract::Specimen;
use crate::error::MeasureError;

/// The first of two consecutive linear layers with ReLU between (kernel and bias; or γ and β of the BatchNormalization in
/// its place) times `factor`, the second's kernel divided by it: the same function. `None` where the specimen has no such
/// pair.
///
/// # Errors
/// libtorch refuses.
pub fn rescale_layers(
    specimen: &Specimen,
    network: &Network,
    factor: f64,
) -> Result<Option<Network>, MeasureError> {
    let Some((first, second)) = specimen.consecutive else { return Ok(None) };
    scaled(network, |parameter| match parameter.node {
        node if node == first => parameter.spec.role.trainable().then_some(factor),
        node if node == second && parameter.spec.role.is_weight() => Some(1.0 / factor),
        _ => None,
    })
    .map(Some)
}

/// The linear layer in front of a BatchNormalization times `factor`, and the moving statistics with it, such that the
/// function stays exactly the same: mean · α, and α² (variance + ε) − ε. `None` where the specimen has none.
///
/// # Errors
/// libtorch refuses.
pub fn scale_before_batch_norm(
    specimen: &Specimen,
    network: &Network,
    factor: f64,
) -> Result<Option<Network>, MeasureError> {
    let Some((linear, normalization, epsilon)) = specimen.normalized else { return Ok(None) };
    let network = scaled(network, |parameter| {
        let mean = parameter.node == normalization && parameter.spec.role == Role::MovingMean;
        (parameter.node == linear || mean).then_some(factor)
    })?;
    let changed = network.map_weights(|parameter| {
        if parameter.node == normalization && parameter.spec.role == Role::MovingVariance {
            let variance = parameter.tensor.f_add_scalar(epsilon)?.f_mul_scalar(factor * factor)?;
            return Ok(variance.f_sub_scalar(epsilon)?);
        }
        Ok(parameter.tensor.shallow_clone())
    })?;
    Ok(Some(changed))
}

/// The last layer (kernel and bias) times `factor`: every logit times `factor`.
///
/// # Errors
/// libtorch refuses.
pub fn scale_logits(
    specimen: &Specimen,
    network: &Network,
    factor: f64,
) -> Result<Option<Network>, MeasureError> {
    scaled(network, |parameter| (parameter.node == specimen.last).then_some(factor)).map(Some)
}

fn scaled(
    network: &Network,
    factor: impl Fn(&Parameter<'_>) -> Option<f64>,
) -> Result<Network, MeasureError> {
    let scaled = network.map_weights(|parameter| -> Result<Tensor, pgdl_network::NetworkError> {
        match factor(parameter) {
            Some(factor) => Ok(parameter.tensor.f_mul_scalar(factor)?),
            None => Ok(parameter.tensor.shallow_clone()),
        }
    })?;
    Ok(scaled)
}
