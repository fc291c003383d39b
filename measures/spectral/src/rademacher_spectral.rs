//! The Rademacher complexity by covering numbers.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::operator_profile::OperatorProfile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct RademacherSpectral {
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `rademacher_spectral` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "rademacher_spectral",
    family: "spectral",
    version: 2,
    title: "The logarithm of the bound on the Rademacher complexity of the margin loss that follows from \
            the covering numbers.",
    formula: "ln [4 / n^{3/2} + 36 ln(n) ‖X‖_F √ln(2W²) R_A / (γ n)], R_A = Π_ℓ ‖A_ℓ‖₂ · (Σ_ℓ (‖A_ℓᵀ‖_{2,1} \
            / ‖A_ℓ‖₂)^{2/3})^{3/2}",
    shapes: "A_ℓ: the matrix of the map that layer ℓ of L applies, [outputs, inputs], BatchNormalization \
            folded in; ‖Aᵀ‖_{2,1}: the sum of the Euclidean norms of its rows; W: the largest number of \
            values between two layers; X: the n training inputs, its norm extrapolated from the sample; γ: \
            the percentile p of the margins",
    paper: "Bartlett, Foster, Telgarsky 2017, Spectrally-normalized Margin Bounds for Neural Networks, \
            the step from Theorem 3.3 to Theorem 1.1: Dudley's integral 4α/√n + (12/n) ∫ √ln N(ε) dε from α = 1/n \
            to √n, the ramp loss being 2/γ-Lipschitz",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "For chains of layers with 1-Lipschitz functions between; biases are left out, and pooling \
            windows are taken not to overlap. It is `bartlett_2017` with its constants and logarithms, and \
            ranks alike on a zoo of one size and width. Undefined for networks that branch, where a \
            layer's norm is zero, or γ ≤ 0. So it is for a training set of one.",
    stochastic: false,
    control: false,
    parameters: &[P, VARIANT],
};

impl Measure for RademacherSpectral {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let profile = probe.get(&OperatorProfile)?;
        if profile.n < 2.0 {
            return MeasureError::undefined("one training example has no Rademacher bound");
        }
        let n = profile.n.ln();
        let first = 4f64.ln() - 1.5 * n;
        let second = 36f64.ln()
            + n.ln()
            + profile.data_norm.ln()
            + 0.5 * profile.log_twice_squared_width().ln()
            + profile.log_spectral_complexity()
            - gamma.ln()
            - n;
        let larger = first.max(second);
        Ok(Measured::value(larger + ((first - larger).exp() + (second - larger).exp()).ln()))
    }
}
