//! The covering number of the networks with these norms.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind, Probe,
};

use crate::operator_profile::OperatorProfile;

const EPSILON: ParameterInfo = ParameterInfo {
    name: "epsilon",
    kind: ParameterKind::Float { default: 1.0, min: 1e-12, max: f64::INFINITY },
    doc: "radius of the cover: Euclidean distance between the outputs on all n training inputs",
};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct CoveringNumber {
    /// ε.
    pub epsilon: f64,
}

/// What `covering_number` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "covering_number",
    family: "spectral",
    version: 2,
    title: "The logarithm of the bound on the metric entropy of all networks whose layers have the norms \
            of this one.",
    formula: "ln [‖X‖²_F ln(2W²) R²_A / ε²], R_A = Π_ℓ ‖A_ℓ‖₂ · (Σ_ℓ (‖A_ℓᵀ‖_{2,1} / ‖A_ℓ‖₂)^{2/3})^{3/2}",
    shapes: "A_ℓ: the matrix of the map that layer ℓ of L applies, [outputs, inputs], BatchNormalization \
            folded in; ‖Aᵀ‖_{2,1}: the sum of the Euclidean norms of its rows; W: the largest number of \
            values between two layers; X: the n training inputs, its norm extrapolated from the sample; ε: \
            Euclidean distance between the outputs on all n inputs",
    paper: "Bartlett, Foster, Telgarsky 2017, Spectrally-normalized Margin Bounds for Neural Networks, \
            Theorem 3.3, with reference matrices zero and 1-Lipschitz activations, s_ℓ = ‖A_ℓ‖₂ and b_ℓ = \
            ‖A_ℓᵀ‖_{2,1}",
    needs: &[],
    cost: "some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "For chains of layers with 1-Lipschitz functions between; biases are left out, and pooling \
                windows are taken not to overlap. A change of ε adds the same to every network. Undefined \
                for networks that branch and where a layer's norm is zero.",
    stochastic: false,
    control: false,
    parameters: &[EPSILON],
};

impl Measure for CoveringNumber {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let profile = probe.get(&OperatorProfile)?;
        let value = 2.0 * (profile.data_norm.ln() + profile.log_spectral_complexity() - self.epsilon.ln())
            + profile.log_twice_squared_width().ln();
        Ok(Measured::value(value))
    }
}
