//! The weights that bounds measure from: zero, or the initial ones.

use pgdl_measure::network::{Layer, Network, Node};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe};

use crate::noise_scale::EPSILON;

/// Where a prior has its mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The initial weights, BatchNormalization folded in with the statistics of its time.
    Initial,
    /// Zero.
    Origin,
}

impl Reference {
    /// The weights minus the reference, `[P]`, f64.
    ///
    /// # Errors
    /// The zoo keeps no initial weights, or libtorch refuses.
    pub fn difference(self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let weights = probe.folded()?.trainable_vector()?.f_to_kind(Kind::Double)?;
        match self {
            Self::Origin => Ok(weights),
            Self::Initial => {
                let initial = probe.folded_initial()?.trainable_vector()?.f_to_kind(Kind::Double)?;
                Ok(weights.f_sub(&initial)?)
            }
        }
    }

    /// ‖w − reference‖².
    ///
    /// # Errors
    /// As [`Self::difference`]; undefined where it is not finite.
    pub fn squared_distance(self, probe: &Probe) -> Result<f64, MeasureError> {
        let difference = self.difference(probe)?;
        finite(difference.f_dot(&difference)?.f_double_value(&[])?)
    }

    /// P.
    ///
    /// # Errors
    /// The network cannot fold a layer.
    pub fn count(probe: &Probe) -> Result<f64, MeasureError> {
        Ok(probe.folded()?.trainable_vector()?.numel() as f64)
    }
}

/// ¼ Σᵢ ln((ε² + (s² + `extra`) ‖w − reference‖² / P) / (ε² + s² (wᵢ − wᵢ⁰)²)): the divergence of the magnitude-aware
/// bounds at the scale s.
///
/// # Errors
/// Undefined where it is not finite.
pub fn magnitude_divergence(
    squared_distance: f64,
    from_initial: &Tensor,
    scale: f64,
    extra: f64,
) -> Result<f64, MeasureError> {
    let floor = EPSILON * EPSILON;
    let square = scale * scale;
    let count = from_initial.numel() as f64;
    let numerator = floor + (square + extra) * squared_distance / count;
    let denominators = from_initial.f_square()?.f_mul_scalar(square)?.f_add_scalar(floor)?.f_log()?;
    let sum = denominators.f_sum(Kind::Double)?.f_double_value(&[])?;
    finite(0.25 * (count * numerator.ln() - sum))
}

pub(crate) fn finite(value: f64) -> Result<f64, MeasureError> {
    if value.is_finite() {
        return Ok(value);
    }
    MeasureError::undefined(format!("the weights give {value}"))
}

/// That a network keeps nothing of its samples but its weights: a prior about it would have seen them.
///
/// # Errors
/// A BatchNormalization that could not be folded keeps their moments: undefined.
pub(crate) fn keeps_no_moments(network: &Network) -> Result<(), MeasureError> {
    let of_moments = |node: &&Node| matches!(node.layer, Layer::BatchNormalization { .. });
    match network.architecture().nodes.iter().find(of_moments) {
        None => Ok(()),
        Some(node) => MeasureError::undefined(format!(
            "`{}` cannot be folded into a layer with weights, and keeps moments of the training sample that no prior may have seen",
            node.name
        )),
    }
}
