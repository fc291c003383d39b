//! The mean margin in units of its spread. Put your own measure in its place.

use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Margins, Measure, MeasureError, MeasureInfo, Measured, Need, Probe,
};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MarginSpread;

/// What `my_measure` says of itself: `pgdl explain my_measure` prints it.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "my_measure",
    family: "my_family",
    // Raise it whenever values may change: records of another version are not used again.
    version: 1,
    title: "The negative of the mean margin over the standard deviation of the margins.",
    formula: "−γ̄ / s,  γᵢ = f_yᵢ(xᵢ) − max over j ≠ yᵢ of fⱼ(xᵢ),  s² = (1/n) Σᵢ (γᵢ − γ̄)²",
    shapes: "f: [n, C] logits; y: [n] labels",
    paper: "an example that comes with pgdl; for margins see Bartlett, Foster, Telgarsky 2017",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "Large margins that differ little predict a small gap, hence the minus. It has no value where all margins \
                are the same.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for MarginSpread {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        // The margins, [n], are shared: whichever measure asks first pays for the forward pass.
        let margins = probe.get(&Margins)?.f_to_kind(Kind::Double)?;
        let mean = margins.f_mean(Kind::Double)?;
        let variance = margins.f_sub(&mean)?.f_square()?.f_mean(Kind::Double)?;
        let deviation = variance.f_double_value(&[])?.sqrt();
        if deviation == 0.0 {
            return MeasureError::undefined("all margins are the same");
        }
        Ok(Measured::value(-mean.f_double_value(&[])? / deviation))
    }
}
