//! The PAC-Bayesian margin bound.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::operator_profile::OperatorProfile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Neyshabur2018 {
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `neyshabur_2018` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "neyshabur_2018",
    family: "spectral",
    version: 2,
    title: "The logarithm of the main term of the PAC-Bayesian spectrally normalized margin bound.",
    formula: "½ ln [B² L² h ln(L h) Π_ℓ ‖A_ℓ‖²₂ Σ_ℓ (‖A_ℓ‖²_F / ‖A_ℓ‖²₂) / (γ² n)]",
    shapes: "A_ℓ: the matrix of the map that layer ℓ of L applies, [outputs, inputs], BatchNormalization \
            folded in; B: the largest ‖x‖₂ in the sample; h: the largest number of outputs of a layer; n: \
            size of the training set; γ: the percentile p of the margins",
    paper: "Neyshabur, Bhojanapalli, Srebro 2018, A PAC-Bayesian Approach to Spectrally-Normalized Margin \
            Bounds for Neural Networks, Theorem 1",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "For chains of layers with 1-Lipschitz functions between; biases are left out, and pooling \
                windows are taken not to overlap. The constant of the theorem and its term in the \
                confidence, ln(L n/δ), are left out. Undefined for networks that branch, where a layer's norm is zero, \
                or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[P, VARIANT],
};

impl Measure for Neyshabur2018 {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let profile = probe.get(&OperatorProfile)?;
        let depth = profile.layers.len() as f64;
        let height = profile.layers.iter().map(|layer| layer.outputs).fold(1.0, f64::max);
        let ratios = profile.layers.iter().map(|layer| layer.frobenius_squared / layer.spectral.powi(2));
        let log_size = (height * (depth * height).ln()).ln() + ratios.sum::<f64>().ln() - profile.n.ln();
        let value =
            profile.largest_input.ln() + depth.ln() + profile.log_lipschitz() + 0.5 * log_size - gamma.ln();
        Ok(Measured::value(value))
    }
}
