//! Products over layers, as sums of logarithms.

use pgdl_measure::{LayerDetail, MeasureError};

/// The logarithm of each layer's value.
///
/// # Errors
/// There is no layer, or a value is zero: undefined.
pub(crate) fn logarithms(layers: &[LayerDetail]) -> Result<Vec<LayerDetail>, MeasureError> {
    if layers.is_empty() {
        return MeasureError::undefined("the network has no weight tensor");
    }
    if let Some(zero) = layers.iter().find(|layer| layer.value <= 0.0) {
        return MeasureError::undefined(format!(
            "the norm of layer `{}` is zero and has no logarithm",
            zero.layer
        ));
    }
    Ok(layers
        .iter()
        .map(|layer| LayerDetail { layer: layer.layer.clone(), value: layer.value.ln() })
        .collect())
}

/// The sum of the layers' values.
pub(crate) fn total(layers: &[LayerDetail]) -> f64 {
    layers.iter().map(|layer| layer.value).sum()
}
