//! The main part of the spectral bound, measured from initialization.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorms, Weights, distance_over_spectral, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralInit {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `spectral_init` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_init",
    family: "spectral",
    version: 2,
    title: "The logarithm of the product of the squared spectral norms times the sum of the ratios of \
            squared Frobenius distances from initialization to squared spectral norms, over the squared \
            margin.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²₂ + ln Σ_ℓ (‖W_ℓ − W_ℓ⁰‖²_F / ‖W_ℓ‖²₂) − 2 ln γ",
    shapes: "W_ℓ, W_ℓ⁰: the L kernels after and before training, BatchNormalization folded in with the \
            statistics of its time; ‖·‖₂: the layer's operator norm, [h · w · in] → [h′ · w′ · out], by \
            default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 29, as a logarithm; Pitas, Davies, Vandergheynst 2017, PAC-Bayesian Margin Bounds \
            for Convolutional Neural Networks",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "‖W_ℓ‖_F is that of the kernel, in which each weight counts once; with `norm=reshape` each part \
            is the kernel's stable rank. The parts per layer are ln ‖W_ℓ‖²₂. Unavailable where a zoo keeps \
            no initial weights. Undefined where a layer's norm is zero, the weights are the initial ones, or \
            γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for SpectralInit {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        let ratios = total(&distance_over_spectral(probe, &norms)?);
        if ratios == 0.0 {
            return MeasureError::undefined(
                "the weights are the initial ones: their distance has no logarithm",
            );
        }
        let value = total(&layers) + ratios.ln() - 2.0 * gamma.ln();
        Ok(Measured::value(value).with_layers(layers))
    }
}
