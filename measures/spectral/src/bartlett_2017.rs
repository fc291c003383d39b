//! The margin bound by spectral complexity.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::operator_profile::OperatorProfile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Bartlett2017 {
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `bartlett_2017` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "bartlett_2017",
    family: "spectral",
    version: 2,
    title: "The logarithm of the main term of the spectrally normalized margin bound.",
    formula: "ln [‖X‖_F R_A ln W / (γ n)], R_A = Π_ℓ ‖A_ℓ‖₂ · (Σ_ℓ (‖A_ℓᵀ‖_{2,1} / ‖A_ℓ‖₂)^{2/3})^{3/2}",
    shapes: "A_ℓ: the matrix of the map that layer ℓ of L applies, [outputs, inputs], BatchNormalization \
            folded in; ‖Aᵀ‖_{2,1}: the sum of the Euclidean norms of its rows; W: the largest number of \
            values between two layers; X: the n training inputs, its norm extrapolated from the sample; γ: \
            the percentile p of the margins",
    paper: "Bartlett, Foster, Telgarsky 2017, Spectrally-normalized Margin Bounds for Neural Networks, \
            Theorem 1.1 with R_A of eq. 1.2, reference matrices zero and 1-Lipschitz activations",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "For chains of layers with 1-Lipschitz functions between; biases are left out, and pooling \
                windows are taken not to overlap. It is the first term inside the theorem's Õ: what that \
                hides (a constant, and ln n) and the term in the confidence are left out; `rademacher_spectral` has \
                them. Convolutions count as their matrices, in which a weight stands \
                once for each position. Undefined for networks that branch, where a layer's norm is zero, \
                or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[P, VARIANT],
};

impl Measure for Bartlett2017 {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let profile = probe.get(&OperatorProfile)?;
        let complexity = profile.log_spectral_complexity();
        let value =
            profile.data_norm.ln() + complexity + profile.width.ln().ln() - gamma.ln() - profile.n.ln();
        Ok(Measured::value(value).with_detail("log_spectral_complexity", complexity))
    }
}
