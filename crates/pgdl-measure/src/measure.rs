//! The trait that every measure implements.

use crate::error::MeasureError;
use crate::info::MeasureInfo;
use crate::measured::Measured;
use crate::probe::Probe;

/// A complexity measure: a function of one network and its training sample.
///
/// ```
/// use pgdl_measure::{Measure, MeasureError, MeasureInfo, Measured, Probe};
///
/// struct TrainError;
///
/// # fn info() -> &'static MeasureInfo { unimplemented!() }
/// impl Measure for TrainError {
///     fn info(&self) -> &MeasureInfo {
///         info()
///     }
///     fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
///         let accuracy = *probe.get(&pgdl_measure::Accuracy)?;
///         Ok(Measured::value(1.0 - accuracy))
///     }
/// }
/// ```
pub trait Measure: Send + Sync {
    /// What the measure says of itself.
    fn info(&self) -> &MeasureInfo;

    /// The value on the network under `probe`.
    ///
    /// The value must depend on nothing but the network, the sample and the probe's seed: not on the batch size, the
    /// measures that ran before, the time, or the machine (beyond the rounding of floating point).
    ///
    /// # Errors
    /// Where the formula has no value, something is missing, the deadline has passed, or the computation broke.
    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError>;
}
