//! How far the layers' maps went in training, over the squared margin.

use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, Probe,
};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorm, LayerNorms, Weights, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralDistanceOverMargin {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `spectral_distance_over_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_distance_over_margin",
    family: "spectral",
    version: 2,
    title: "The sum of the squared spectral norms of what training added to the layers, over the squared \
            margin.",
    formula: "Σ_ℓ ‖W_ℓ − W_ℓ⁰‖²₂ / γ²",
    shapes: "W_ℓ, W_ℓ⁰: the L kernels after and before training, BatchNormalization folded in with the \
            statistics of its time; ‖·‖₂: the layer's operator norm, [h · w · in] → [h′ · w′ · out], by \
            default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them: eq. 41 over the squared margin",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "As `spectral_distance`, relative to the margin. Unavailable where a zoo keeps no initial \
            weights. Undefined where γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for SpectralDistanceOverMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Change })?;
        let detail =
            |norm: &LayerNorm| LayerDetail { layer: norm.layer.clone(), value: norm.spectral.powi(2) };
        let layers: Vec<LayerDetail> = norms.iter().map(detail).collect();
        Ok(Measured::value(total(&layers) / gamma.powi(2)).with_layers(layers))
    }
}
