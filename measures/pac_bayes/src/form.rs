//! What the measures of Jiang et al. 2020 share: parameters, the scale, and how its error becomes that of a value.

use pgdl_measure::{MeasureError, Measured, Parameters, Probe, RegistryError};

use crate::noise_scale::{Noise, NoiseScale};
use crate::scale_search::Scale;

/// The parameters of a measure that rests on σ.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    as_coded: bool,
    drop: f64,
    tolerance: f64,
}

impl Form {
    /// From `drop`, `tolerance` and `variant`.
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in the measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            as_coded: parameters.choice("variant")? == "as_coded",
            drop: parameters.float("drop")?,
            tolerance: parameters.float("tolerance")?,
        })
    }

    /// `value` at the σ of plain noise. As coded, the noise has the standard deviation σ².
    pub(crate) fn plain(
        &self,
        probe: &Probe,
        value: impl Fn(f64) -> Result<f64, MeasureError>,
    ) -> Result<Measured, MeasureError> {
        let scale = self.search(probe, Noise::Plain)?;
        let power = if self.as_coded { 0.5 } else { 1.0 };
        measured(&scale, |log| value((power * log).exp()), power)
    }

    /// `value` at the σ of magnitude-aware noise.
    pub(crate) fn magnitude(
        &self,
        probe: &Probe,
        value: impl Fn(f64) -> Result<f64, MeasureError>,
    ) -> Result<Measured, MeasureError> {
        let noise = if self.as_coded { Noise::MagnitudeAsCoded } else { Noise::Magnitude };
        measured(&*self.search(probe, noise)?, |log| value(log.exp()), 1.0)
    }

    fn search(&self, probe: &Probe, noise: Noise) -> Result<std::rc::Rc<Scale>, MeasureError> {
        probe.get(&NoiseScale { noise, drop: self.drop, tolerance: self.tolerance })
    }
}

/// A value of ln s with its standard error by the delta method.
fn measured(
    scale: &Scale,
    value: impl Fn(f64) -> Result<f64, MeasureError>,
    power: f64,
) -> Result<Measured, MeasureError> {
    const STEP: f64 = 1e-4;
    let slope = (value(scale.log + STEP)? - value(scale.log - STEP)?) / (2.0 * STEP);
    Ok(Measured::value(value(scale.log)?)
        .with_standard_error(slope.abs() * scale.standard_error)
        .with_detail("sigma", (power * scale.log).exp())
        .with_detail("sigma_relative_standard_error", power * scale.standard_error)
        .with_detail("drop_exponent", scale.exponent)
        .with_detail("draws", scale.draws as f64)
        .with_detail("evaluations", scale.evaluations as f64))
}
