//! The norm of all paths over the margin.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::path_sum::{POOLING, PathSum, Q};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PathNormOverMargin {
    /// Which paths and which power.
    pub paths: PathSum,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `path_norm_over_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "path_norm_over_margin",
    family: "norms",
    version: 1,
    title: "The squared path norm over the squared margin.",
    formula: "(Σ over paths p of Π over w on p of |w|^q)^{2/q} / γ²",
    shapes: "p, w: as in `path_norm`; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find Them, \
            eq. 43, with the paths of Gonon, Brisebarre, Riccietti, Gribonval 2024",
    needs: &[Need::Labels],
    cost: "1 F, and one input forward in f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "As `path_norm`, with the scale of the logits taken out. Undefined where γ ≤ 0, and where `path_norm` is.",
    stochastic: false,
    control: false,
    parameters: &[Q, POOLING, P, VARIANT],
};

impl Measure for PathNormOverMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norm = self.paths.norm(probe)?;
        Ok(Measured::value((norm / gamma).powi(2)).with_detail("path_norm", norm))
    }
}
