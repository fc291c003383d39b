//! The bound by the sum of the layers' distances from initialization.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, kernels};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::input_norms::InputNorms;
use crate::layer_norms::{LayerNorms, Weights, spectral_norms, total};
use crate::norm::{NORM, Norm};
use crate::operator_profile::check_chain;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LongSedghi2020 {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `long_sedghi_2020` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "long_sedghi_2020",
    family: "spectral",
    version: 1,
    title: "The logarithm of the main term of the bound for convolutional networks by parameters and distance \
            from initialization.",
    formula: "½ ln [W (β + νL + ln(χλβ)) / n], β = Σ_ℓ ‖A_ℓ − A_ℓ⁰‖₂, λ = 2/γ\n\
              ln [χλβ exp(β + νL)] + ½ ln [W / n], where χλβ exp(β + νL) < 5",
    shapes: "A_ℓ, A_ℓ⁰: the maps that the L layers apply after and before training, BatchNormalization folded in \
             with the statistics of its time; ‖·‖₂: the layer's operator norm by default; ν: the smallest number ≥ 0 \
             with ‖A_ℓ⁰‖₂ ≤ 1 + ν for all ℓ; W: number of values of the kernels, each counted once; χ: the largest \
             ‖x‖₂ in the sample; n: size of the training set; γ: the percentile p of the margins",
    paper: "Long, Sedghi 2020, Generalization Bounds for Deep Convolutional Neural Networks, Theorem 3.1, with losses \
            in [0, 1]: second and third bound",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "1 F, and thrice some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The only one of these bounds in which a shared weight counts once, and the only one that grows with the \
                sum of the layers' norms and not with their product. Its main factor is the number of parameters. The \
                theorem's constant and its term in the confidence are left out; the loss is the ramp of width γ, which \
                is 2/γ-Lipschitz as in `rademacher_spectral`. The paper bounds the Lipschitz constant of the network \
                in its parameters by χλβ exp(β + νL), and covers a class of this constant; below 5 the covering is \
                another one. Its experiments take `norm=fft` and show Wβ. For chains of layers with 1-Lipschitz \
                functions between; biases are left out, and pooling windows are taken not to overlap. Unavailable where \
                a zoo keeps no initial weights. Undefined for networks that branch, where the weights are the initial \
                ones, or γ ≤ 0. The parts per layer are ‖A_ℓ − A_ℓ⁰‖₂.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for LongSedghi2020 {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?;
        check_chain(&network)?;
        let gamma = self.quantile.positive(probe)?;
        let change = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Change })?;
        let distances = spectral_norms(&change);
        let initial = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Initial })?;
        let beta = total(&distances);
        if beta == 0.0 {
            return MeasureError::undefined(
                "the weights are the initial ones: their distance has no logarithm",
            );
        }
        let nu = initial.iter().map(|norm| norm.spectral - 1.0).fold(0.0, f64::max);
        let weights: f64 = kernels(&network).iter().map(|kernel| kernel.tensor.numel() as f64).sum();
        let chi = probe.get(&InputNorms)?.largest;
        let log_scale = (chi * 2.0 / gamma * beta).ln();
        let exponent = beta + nu * initial.len() as f64;
        let per_example = weights.ln() - (probe.train_size() as f64).ln();
        let value = if log_scale + exponent >= 5f64.ln() {
            0.5 * (per_example + (exponent + log_scale).ln())
        } else {
            log_scale + exponent + 0.5 * per_example
        };
        let measured = Measured::value(value).with_layers(distances);
        Ok(measured.with_detail("beta", beta).with_detail("nu", nu).with_detail("weights", weights))
    }
}
