//! Frobenius norms over spectral norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_norms::{LayerNorms, Weights, frobenius_over_spectral, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FroOverSpec {
    /// Which norm of a layer.
    pub norm: Norm,
}

/// What `fro_over_spec` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "fro_over_spec",
    family: "spectral",
    version: 2,
    title: "The sum over layers of the squared Frobenius norm of the kernel over the squared spectral norm.",
    formula: "Σ_ℓ ‖W_ℓ‖²_F / ‖W_ℓ‖²₂",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them, eq. 33",
    needs: &[],
    cost: "some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "‖W_ℓ‖_F is that of the kernel, in which each weight counts once; with `norm=reshape` each part \
            is the kernel's stable rank. Undefined where a layer's norm is zero.",
    stochastic: false,
    control: false,
    parameters: &[NORM],
};

impl Measure for FroOverSpec {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = frobenius_over_spectral(&norms)?;
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
