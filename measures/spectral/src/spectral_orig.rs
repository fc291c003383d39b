//! The main part of the spectral bound, measured from zero.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorms, Weights, frobenius_over_spectral, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralOrig {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `spectral_orig` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_orig",
    family: "spectral",
    version: 2,
    title: "The logarithm of the product of the squared spectral norms times the sum of the ratios of \
            squared Frobenius to squared spectral norms, over the squared margin.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²₂ + ln Σ_ℓ (‖W_ℓ‖²_F / ‖W_ℓ‖²₂) − 2 ln γ",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 30, as a logarithm; Neyshabur, Bhojanapalli, Srebro 2018, A PAC-Bayesian Approach \
            to Spectrally-Normalized Margin Bounds for Neural Networks",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "‖W_ℓ‖_F is that of the kernel, in which each weight counts once; with `norm=reshape` each part \
            is the kernel's stable rank. The parts per layer are ln ‖W_ℓ‖²₂. Undefined where a layer's norm \
            is zero or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for SpectralOrig {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        let ratios = total(&frobenius_over_spectral(&norms)?);
        let value = total(&layers) + ratios.ln() - 2.0 * gamma.ln();
        Ok(Measured::value(value).with_layers(layers))
    }
}
