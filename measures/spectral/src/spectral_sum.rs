//! The geometric mean of the layers' spectral norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_norms::{LayerNorms, Weights, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralSum {
    /// Which norm of a layer.
    pub norm: Norm,
}

/// What `spectral_sum` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_sum",
    family: "spectral",
    version: 2,
    title: "The logarithm of the number of layers times the geometric mean of their squared spectral norms.",
    formula: "ln L + (1/L) Σ_ℓ ln ‖W_ℓ‖²₂",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 35, as a logarithm",
    needs: &[],
    cost: "some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The sum of the layers' squared norms after rescaling them to be equal, so that depth enters as a \
            factor and not as an exponent. Undefined where a layer's norm is zero.",
    stochastic: false,
    control: false,
    parameters: &[NORM],
};

impl Measure for SpectralSum {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        let count = layers.len() as f64;
        Ok(Measured::value(count.ln() + total(&layers) / count).with_layers(layers))
    }
}
