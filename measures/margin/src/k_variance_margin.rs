//! What the margins over k-variance share.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::{MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, RegistryError};

use crate::k_variance::{ClassVariance, KVariance};
use crate::place::Depth;

/// Parameters of both measures.
pub(crate) const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo {
        name: "layer",
        kind: ParameterKind::Choice { default: "first", options: &["input", "first", "middle", "last"] },
        doc: "where representations are compared: the input, or what enters the second, a middle or the last layer \
              with weights",
    },
    ParameterInfo {
        name: "samples",
        kind: ParameterKind::Integer { default: 200, min: 2, max: 10_000 },
        doc: "most samples 2k of a class, its first ones",
    },
    ParameterInfo {
        name: "draws",
        kind: ParameterKind::Integer { default: 8, min: 2, max: 10_000 },
        doc: "how often these samples are halved at random",
    },
];

/// How k-variances are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub depth: Depth,
    samples: usize,
    draws: usize,
}

impl Settings {
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let size = |name| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        let depth = Depth::named(parameters.choice("layer")?);
        Ok(Self { depth, samples: size("samples")?, draws: size("draws")? })
    }

    /// −`numerator` / Σ_c w_c · `weight`(c) · (k-variance of c, averaged over draws), with the standard error that
    /// the draws leave.
    pub(crate) fn value(
        self,
        probe: &Probe,
        numerator: f64,
        weight: impl Fn(&ClassVariance) -> f64,
    ) -> Result<Measured, MeasureError> {
        let classes =
            probe.get(&KVariance { depth: self.depth, samples: self.samples, draws: self.draws })?;
        let total: usize = classes.iter().map(|class| class.count).sum();
        if total == 0 {
            return MeasureError::undefined("no class has two samples to compare");
        }
        let normalizers: Vec<f64> = (0..self.draws)
            .map(|draw| {
                let part = |class: &ClassVariance| {
                    class.count as f64 / total as f64 * weight(class) * class.draws[draw]
                };
                classes.iter().map(part).sum()
            })
            .collect();
        let mean = mean(&normalizers);
        let value = -numerator / mean;
        if !value.is_finite() {
            return MeasureError::undefined(format!(
                "the k-variances are {mean:e} on average over classes, and margins are divided by them"
            ));
        }
        let mut measured = Measured::value(value)
            .with_detail("margin", numerator)
            .with_detail("normalizer", mean)
            .with_detail("classes_compared", classes.len() as f64);
        measured.standard_error =
            standard_error_of_mean(&normalizers).map(|error| (value / mean).abs() * error);
        Ok(measured)
    }
}
