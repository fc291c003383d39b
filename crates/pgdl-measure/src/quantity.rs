//! Shared quantities: what several measures need, computed once per network.

mod activations;
mod folded;
mod loss_gradient;
mod outputs;

pub use activations::Activations;
pub use folded::{FoldedInitial, FoldedNetwork};
pub use loss_gradient::{Gradient, LossGradient};
pub use outputs::{Accuracy, Answers, Correct, Logits, Losses, Margins, Outputs, correct, decisions};

use crate::error::MeasureError;
use crate::probe::Probe;

/// Something that is computed from a probe once, on first use, and kept for every later one ([`Probe::get`]).
///
/// A plugin adds its own by implementing this trait; there is nothing to register. The built-in quantities use the
/// same way.
///
/// ```
/// use pgdl_measure::{MeasureError, Probe, Quantity, Losses};
///
/// /// The largest loss of any sample.
/// struct WorstLoss;
///
/// impl Quantity for WorstLoss {
///     type Value = f64;
///     fn name(&self) -> String {
///         "worst_loss".to_string()
///     }
///     fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
///         Ok(probe.get(&Losses)?.f_max()?.f_double_value(&[])?)
///     }
/// }
/// ```
pub trait Quantity: 'static {
    /// What it is.
    type Value: 'static;

    /// Its name with all its parameters: two quantities of one type are the same exactly when their names are. The
    /// seeds of random quantities derive from it.
    fn name(&self) -> String;

    /// Computes it. Like a measure, it may depend on nothing but the network, the sample and the seed.
    ///
    /// # Errors
    /// As for a measure. `Undefined` and `Unavailable` are kept like values; other errors are not.
    fn compute(&self, probe: &Probe) -> Result<Self::Value, MeasureError>;
}
