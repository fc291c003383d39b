//! The parameters of the chains, which all measures of the family have.

use pgdl_measure::{ParameterInfo, ParameterKind};

/// How the chains are run.
pub(crate) const PARAMETERS: &[ParameterInfo] = &[
    ParameterInfo {
        name: "chains",
        kind: ParameterKind::Integer { default: 0, min: 0, max: 1000 },
        doc: "number of chains, at least 2; 0 for 2,000 / P, but 4 at the least and 64 at the most",
    },
    ParameterInfo {
        name: "draws",
        kind: ParameterKind::Integer { default: 0, min: 0, max: 10_000_000 },
        doc: "most draws of each chain, after half as many steps of burn-in, or as many more as it takes to spread; 0 for 100,000 / P, but 100 at the \
              least and 10,000 at the most",
    },
    ParameterInfo {
        name: "batch",
        kind: ParameterKind::Integer { default: 64, min: 1, max: i64::MAX },
        doc: "samples in each gradient; all when there are fewer, more where their noise keeps the steps too small",
    },
    ParameterInfo {
        name: "localization",
        kind: ParameterKind::Float { default: 0.0, min: 0.0, max: f64::INFINITY },
        doc: "precision γ of the normal distribution around w*; 0 for 10 / mean(w*²)",
    },
    ParameterInfo {
        name: "step",
        kind: ParameterKind::Float { default: 0.0, min: 0.0, max: f64::INFINITY },
        doc: "step size; 0 for calibration",
    },
    ParameterInfo {
        name: "tolerance",
        kind: ParameterKind::Float { default: 0.01, min: 0.0, max: 1.0 },
        doc: "the chains end when the standard error of the learning coefficient is below this share of it",
    },
];
