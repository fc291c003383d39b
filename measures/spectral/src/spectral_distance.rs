//! How far the layers' maps went in training.

use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, Probe,
};

use crate::layer_norms::{LayerNorm, LayerNorms, Weights, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralDistance {
    /// Which norm of a layer.
    pub norm: Norm,
}

/// What `spectral_distance` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_distance",
    family: "spectral",
    version: 2,
    title: "The sum of the squared spectral norms of what training added to the layers.",
    formula: "Σ_ℓ ‖W_ℓ − W_ℓ⁰‖²₂",
    shapes: "W_ℓ, W_ℓ⁰: the L kernels after and before training, BatchNormalization folded in with the \
            statistics of its time; ‖·‖₂: the layer's operator norm, [h · w · in] → [h′ · w′ · out], by \
            default",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 41",
    needs: &[Need::InitialWeights],
    cost: "some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "As `frobenius_distance`, but for the one direction in which a layer changed most. Unavailable \
            where a zoo keeps no initial weights.",
    stochastic: false,
    control: false,
    parameters: &[NORM],
};

impl Measure for SpectralDistance {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Change })?;
        let detail =
            |norm: &LayerNorm| LayerDetail { layer: norm.layer.clone(), value: norm.spectral.powi(2) };
        let layers: Vec<LayerDetail> = norms.iter().map(detail).collect();
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
