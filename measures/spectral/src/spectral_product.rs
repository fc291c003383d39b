//! The product of the layers' spectral norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_norms::{LayerNorms, Weights, log_squared, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct SpectralProduct {
    /// Which norm of a layer.
    pub norm: Norm,
}

/// What `spectral_product` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "spectral_product",
    family: "spectral",
    version: 2,
    title: "The logarithm of the product of the squared spectral norms of the layers.",
    formula: "Σ_ℓ ln ‖W_ℓ‖²₂",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 32, as a logarithm; Bartlett, Foster, Telgarsky 2017, Spectrally-normalized \
            Margin Bounds for Neural Networks",
    needs: &[],
    cost: "some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Half of it bounds the logarithm of the network's Lipschitz constant, where activations and \
            pooling are 1-Lipschitz, nothing is added in parallel and every BatchNormalization is folded in. It grows with depth whatever the gap \
            does; `spectral_sum` takes the depth out. Undefined where a layer's norm is zero.",
    stochastic: false,
    control: false,
    parameters: &[NORM],
};

impl Measure for SpectralProduct {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = log_squared(&norms)?;
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
