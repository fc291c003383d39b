//! What the chains sample from: a loss per sample, as a function of the parameters.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::Tensor;

/// A loss ℓᵢ(w) per sample i, for several parameter vectors at once, around a point w*.
pub trait Potential {
    /// The point w*: `[P]`, detached, of the kind and on the device to compute with.
    fn centre(&self) -> &Tensor;

    /// The number n of samples at hand.
    fn samples(&self) -> i64;

    /// The losses `[K, m]` of K parameter vectors `copies`, `[K, P]`: on samples `batch`, `[K, m]`, i64, each on its
    /// own; or on all samples in order. Gradients flow into `copies`.
    ///
    /// # Errors
    /// libtorch or the network refuses.
    fn losses(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError>;

    /// The losses at w*: `[n]`, f64.
    ///
    /// # Errors
    /// As [`Self::losses`].
    fn centre_losses(&self) -> Result<Tensor, MeasureError>;

    /// Told of every gradient, with the number of losses that went into it; says when time is up.
    ///
    /// # Errors
    /// The deadline has passed.
    fn spent(&self, losses: i64) -> Result<(), MeasureError> {
        let _ = losses;
        Ok(())
    }
}
