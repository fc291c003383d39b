//! Norms of all layers: what the family shares.

use pgdl_measure::network::Network;
use pgdl_measure::sums::{sum_of_squared_differences, sum_of_squares};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Kernel, LayerDetail, MeasureError, Probe, Quantity, kernels};

use crate::largest_singular_value::largest_singular_value;
use crate::linear_map::{LinearMap, input_shape};
use crate::named_norms::{circular_norm, reshape_norm};
use crate::norm::Norm;

/// Which weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// W_ℓ, after training.
    Trained,
    /// W_ℓ⁰, before training.
    Initial,
    /// W_ℓ − W_ℓ⁰, what training added.
    Change,
}

/// The norms of one layer's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// The layer.
    pub layer: String,
    /// ‖W_ℓ‖₂, in the sense of [`Norm`].
    pub spectral: f64,
    /// ‖W_ℓ‖²_F of the kernel.
    pub frobenius_squared: f64,
}

/// The norms of each kernel of the network with BatchNormalization folded, in the network's order. Shared: the family
/// computes them once.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorms {
    /// Which spectral norm.
    pub norm: Norm,
    /// Of which weights.
    pub weights: Weights,
}

impl Quantity for LayerNorms {
    type Value = Vec<LayerNorm>;

    fn name(&self) -> String {
        let weights = match self.weights {
            Weights::Trained => "trained",
            Weights::Initial => "initial",
            Weights::Change => "change",
        };
        format!("layer_norms norm={} weights={weights}", self.norm.name())
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<LayerNorm>, MeasureError> {
        let network = probe.folded()?;
        let of = |network: &Network| -> Vec<Tensor> {
            kernels(network).iter().map(|kernel| kernel.tensor.shallow_clone()).collect()
        };
        let tensors = match self.weights {
            Weights::Trained => of(&network),
            Weights::Initial => {
                let initial = probe.folded_initial()?;
                of(&initial)
            }
            Weights::Change => {
                let difference = |(now, then): (Tensor, Tensor)| {
                    now.f_to_kind(Kind::Double)?.f_sub(&then.f_to_kind(Kind::Double)?)
                };
                let initial = probe.folded_initial()?;
                let pairs = of(&network).into_iter().zip(of(&initial));
                pairs.map(difference).collect::<Result<_, _>>()?
            }
        };
        let kernels = kernels(&network);
        if kernels.is_empty() {
            return MeasureError::undefined("the network has no weight tensor");
        }
        let norms = kernels.iter().zip(&tensors).map(|(kernel, tensor)| {
            let frobenius_squared = sum_of_squares(tensor)?;
            if !frobenius_squared.is_finite() {
                return MeasureError::undefined(format!(
                    "the weights of layer `{}` are not finite",
                    kernel.name
                ));
            }
            let spectral = match self.norm {
                _ if frobenius_squared == 0.0 => 0.0,
                Norm::Operator => {
                    let map = LinearMap::of(&network, kernel, tensor)?;
                    largest_singular_value(&map, || probe.check_deadline())?
                }
                Norm::Fft => {
                    let input = input_shape(&network, kernel.node)?;
                    circular_norm(kernel, tensor, &input, || probe.check_deadline())?
                }
                Norm::Reshape => reshape_norm(kernel, tensor)?,
            };
            Ok(LayerNorm { layer: kernel.name.clone(), spectral, frobenius_squared })
        });
        norms.collect()
    }
}

/// ‖W_ℓ‖₂ of each layer.
pub(crate) fn spectral_norms(norms: &[LayerNorm]) -> Vec<LayerDetail> {
    norms.iter().map(|norm| LayerDetail { layer: norm.layer.clone(), value: norm.spectral }).collect()
}

/// ln ‖W_ℓ‖²₂ of each layer.
///
/// # Errors
/// A norm is zero: undefined.
pub(crate) fn log_squared(norms: &[LayerNorm]) -> Result<Vec<LayerDetail>, MeasureError> {
    norms
        .iter()
        .map(|norm| match norm.spectral {
            0.0 => MeasureError::undefined(format!("the spectral norm of layer `{}` is zero", norm.layer)),
            spectral => Ok(LayerDetail { layer: norm.layer.clone(), value: 2.0 * spectral.ln() }),
        })
        .collect()
}

/// ‖W_ℓ‖²_F / ‖W_ℓ‖²₂ of each layer.
///
/// # Errors
/// A spectral norm is zero: undefined.
pub(crate) fn frobenius_over_spectral(norms: &[LayerNorm]) -> Result<Vec<LayerDetail>, MeasureError> {
    norms.iter().map(|norm| over_spectral(norm.frobenius_squared, norm)).collect()
}

/// ‖W_ℓ − W_ℓ⁰‖²_F / ‖W_ℓ‖²₂ of each layer.
///
/// # Errors
/// A spectral norm is zero: undefined; there are no initial weights: unavailable.
pub(crate) fn distance_over_spectral(
    probe: &Probe,
    norms: &[LayerNorm],
) -> Result<Vec<LayerDetail>, MeasureError> {
    let (network, initial) = (probe.folded()?, probe.folded_initial()?);
    let pairs = kernels(&network).into_iter().zip(kernels(&initial)).zip(norms);
    let ratio = |((now, then), norm): ((Kernel<'_>, Kernel<'_>), &LayerNorm)| {
        over_spectral(sum_of_squared_differences(now.tensor, then.tensor)?, norm)
    };
    pairs.map(ratio).collect()
}

fn over_spectral(square: f64, norm: &LayerNorm) -> Result<LayerDetail, MeasureError> {
    if norm.spectral == 0.0 {
        return MeasureError::undefined(format!("the spectral norm of layer `{}` is zero", norm.layer));
    }
    Ok(LayerDetail { layer: norm.layer.clone(), value: square / norm.spectral.powi(2) })
}

/// The sum of the layers' values.
pub(crate) fn total(layers: &[LayerDetail]) -> f64 {
    layers.iter().map(|layer| layer.value).sum()
}
