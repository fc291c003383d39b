//! The mean influence of a sample on itself.

use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::influence::{FORM, Influence, RIDGE};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct InfluenceTrace {
    influence: Influence,
}

/// What `influence_trace` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "influence_trace",
    family: "stability",
    version: 1,
    title: "How much, to first order, the loss of a sample rises when the last layer is fitted without it.",
    formula: "(1/n²) Σᵢ gᵢᵀ (H + λI)⁻¹ gᵢ = tr((H + λI)⁻¹ C) / n,  gᵢ = rᵢ ⊗ φᵢ,  H = (1/n) Σᵢ Sᵢ ⊗ φᵢφᵢᵀ,  Sᵢ = diag(pᵢ) − pᵢpᵢᵀ,  rᵢ = pᵢ − \
              e_{yᵢ},  C = (1/n) Σᵢ gᵢgᵢᵀ",
    shapes: "gᵢ: [CD] the gradient of sample i's cross-entropy in the last layer's kernel and bias; H: [CD, CD] its generalized \
             Gauss–Newton matrix; φᵢ: [D] what the layer reads, with a 1 for the bias; pᵢ: [C]; n: the sample",
    paper: "Koh & Liang 2017, Understanding Black-box Predictions via Influence Functions, equation 2 (a sample's influence on its own \
            loss); Takeuchi 1976 (the trace)",
    needs: &[Need::Labels],
    cost: "1 F, and a matrix of CD rows: its assembly, its inverse and its forms, n(CD)² + (CD)³ each; shared with leave_one_out",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Takeuchi's correction for the last layer alone, with a ridge. It is what leave_one_out becomes for small \
                influences. form=class drops what couples the classes in H. Unavailable with form=full where CD is above 6000; \
                undefined where the logits are no affine function of the last kernel.",
    stochastic: false,
    control: false,
    parameters: &[RIDGE, FORM],
};

impl InfluenceTrace {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { influence: Influence::new(parameters)? })
    }
}

impl Measure for InfluenceTrace {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let effects = probe.get(&self.influence)?;
        Ok(Measured::value(effects.squares.f_mean(Kind::Double)?.f_double_value(&[])?))
    }
}
