//! The geometric mean of the layers' spectral norms and the margin.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorms, Weights, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralSumOverMargin {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `spectral_sum_over_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_sum_over_margin",
    family: "spectral",
    version: 2,
    title: "The logarithm of the number of layers times the geometric mean of their squared spectral norms, \
            the product being over the squared margin.",
    formula: "ln L + (1/L) (Σ_ℓ ln ‖W_ℓ‖²₂ − 2 ln γ)",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 34, as a logarithm",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "As `spectral_sum`, with the scale of the logits taken out. Undefined where a layer's norm is \
            zero or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for SpectralSumOverMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        let count = layers.len() as f64;
        let value = count.ln() + (total(&layers) - 2.0 * gamma.ln()) / count;
        Ok(Measured::value(value).with_layers(layers))
    }
}
