//! The product of the layers' spectral norms, over the squared margin.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorms, Weights, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralProductOverMargin {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `spectral_product_over_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_product_over_margin",
    family: "spectral",
    version: 2,
    title: "The logarithm of the product of the squared spectral norms of the layers over the squared \
            margin.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²₂ − 2 ln γ",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 31, as a logarithm",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "The margin takes the scale of the logits out of `spectral_product`. Undefined where a layer's \
            norm is zero or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for SpectralProductOverMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        Ok(Measured::value(total(&layers) - 2.0 * gamma.ln()).with_layers(layers))
    }
}
