//! The margin of the hardest samples.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};

use crate::percentile::{MarginPercentile, PARAMETERS};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Margin {
    /// Which percentile.
    pub quantile: MarginPercentile,
}

/// What `margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "margin",
    family: "margin",
    version: 1,
    title: "The negative of a low percentile of the signed margins in the output layer.",
    formula: "−γ,  γ = percentile_p of {f_yᵢ(xᵢ) − max over j ≠ yᵢ of fⱼ(xᵢ)}",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "Bartlett, Foster, Telgarsky 2017, Spectrally-normalized Margin Bounds for Neural Networks; Jiang, \
            Neyshabur, Mobahi, Krishnan, Bengio 2019, for the 10th percentile as a robust smallest margin",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(1.0),
    },
    behaviour: "A larger margin predicts a smaller gap, hence the minus. Positive where more than p % of the sample is \
                misclassified. It scales with the logits, so that it favours networks whose weights grew. Percentiles \
                interpolate linearly.",
    stochastic: false,
    control: false,
    parameters: PARAMETERS,
};

impl Measure for Margin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(-self.quantile.of(probe)?))
    }
}
