//! The inverse of the squared margin.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};

use crate::percentile::{MarginPercentile, PARAMETERS};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct InverseMargin {
    /// Which percentile.
    pub quantile: MarginPercentile,
}

/// What `inverse_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "inverse_margin",
    family: "margin",
    version: 1,
    title: "The inverse of the squared low percentile of the signed margins in the output layer.",
    formula: "1 / γ²,  γ = percentile_p of {f_yᵢ(xᵢ) − max over j ≠ yᵢ of fⱼ(xᵢ)}",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them: its inverse margin",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(-2.0),
    },
    behaviour: "It ranks as `margin` does wherever it has a value. Undefined where γ ≤ 0: then at least p % of the \
                sample is misclassified, and the bounds with 1/γ² say nothing. Percentiles interpolate linearly.",
    stochastic: false,
    control: false,
    parameters: PARAMETERS,
};

impl Measure for InverseMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.of(probe)?;
        let value = (gamma * gamma).recip();
        if gamma <= 0.0 || !value.is_finite() {
            return MeasureError::undefined(format!(
                "percentile {} of the margins is {gamma:.3e}, and 1/γ² needs γ > 0",
                self.quantile.p
            ));
        }
        Ok(Measured::value(value))
    }
}
