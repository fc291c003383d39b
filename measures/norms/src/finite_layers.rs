//! Norms that are numbers.

use pgdl_measure::{LayerDetail, MeasureError};

/// The layers as they are, where each value is finite.
///
/// # Errors
/// A value is not: undefined.
pub(crate) fn finite(layers: Vec<LayerDetail>) -> Result<Vec<LayerDetail>, MeasureError> {
    match layers.iter().find(|layer| !layer.value.is_finite()) {
        Some(layer) => MeasureError::undefined(format!(
            "the weights of layer `{}` are not finite, or their norm is beyond the range of numbers",
            layer.layer
        )),
        None => Ok(layers),
    }
}
