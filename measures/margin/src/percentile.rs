//! A percentile of the margins: the parameters that the margin measures share.

use pgdl_measure::{Margins, MeasureError, ParameterInfo, ParameterKind, Parameters, Probe, RegistryError};

/// Parameters of every margin measure.
pub(crate) const PARAMETERS: &[ParameterInfo] = &[P, VARIANT];

/// The parameter `p`.
pub const P: ParameterInfo = ParameterInfo {
    name: "p",
    kind: ParameterKind::Float { default: 10.0, min: 0.0, max: 100.0 },
    doc: "which percentile of the margins; 0 is the smallest margin, 50 the median",
};

/// The parameter `variant`.
pub const VARIANT: ParameterInfo = ParameterInfo {
    name: "variant",
    kind: ParameterKind::Choice { default: "signed", options: &["signed", "as_coded"] },
    doc: "`as_coded` takes the margins' magnitudes, as common code does, which rewards misfits",
};

/// Which percentile of which margins.
#[derive(Clone, Copy, Debug)]
pub struct MarginPercentile {
    /// From 0 to 100.
    pub p: f64,
    /// Whether magnitudes are taken, as in common code.
    pub magnitudes: bool,
}

impl MarginPercentile {
    /// From the parameters [`P`] and [`VARIANT`].
    ///
    /// # Errors
    /// The measure does not declare them.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { p: parameters.float("p")?, magnitudes: parameters.choice("variant")? == "as_coded" })
    }

    /// γ > 0, where a formula divides by it.
    ///
    /// # Errors
    /// γ ≤ 0: undefined; or as [`Self::of`].
    pub fn positive(self, probe: &Probe) -> Result<f64, MeasureError> {
        let gamma = self.of(probe)?;
        if gamma <= 0.0 {
            return MeasureError::undefined(format!(
                "percentile {} of the margins is {gamma:.3e}, and the formula needs γ > 0",
                self.p
            ));
        }
        Ok(gamma)
    }

    /// γ: the percentile over the sample.
    ///
    /// # Errors
    /// There are no margins: undefined; the network or libtorch refuses.
    pub fn of(self, probe: &Probe) -> Result<f64, MeasureError> {
        let mut margins = Vec::<f64>::try_from(&*probe.get(&Margins)?)?;
        if self.magnitudes {
            margins.iter_mut().for_each(|margin| *margin = margin.abs());
        }
        match percentile(&mut margins, self.p) {
            Some(gamma) => Ok(gamma),
            None => MeasureError::undefined("there are no margins"),
        }
    }
}

/// The `p`-th percentile by linear interpolation between the two nearest of the sorted values (NumPy's default): the
/// value at position (n − 1) p / 100, counted from 0. `values` get sorted; `None` when there are none.
pub fn percentile(values: &mut [f64], p: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let position = values.len().checked_sub(1)? as f64 * p.clamp(0.0, 100.0) / 100.0;
    let below = position.floor();
    let (low, high) = (values[below as usize], values[position.ceil() as usize]);
    Some(low + (high - low) * (position - below))
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_interpolate_linearly() {
        // numpy.percentile([3, 1, 4, 1, 5], [0, 10, 25, 50, 90, 100]) = [1, 1, 1, 3, 4.6, 5]
        let values = [3.0, 1.0, 4.0, 1.0, 5.0];
        for (p, expected) in [(0.0, 1.0), (10.0, 1.0), (25.0, 1.0), (50.0, 3.0), (90.0, 4.6), (100.0, 5.0)] {
            let found = percentile(&mut values.clone(), p).unwrap();
            assert!((found - expected).abs() < 1e-12, "{p}: {found}");
        }
        assert_eq!(percentile(&mut [7.0], 30.0), Some(7.0));
        assert_eq!(percentile(&mut [], 30.0), None);
    }
}
