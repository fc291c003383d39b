//! Frobenius norms over spectral norms, over the squared margin.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
use pgdl_measure_margin::{MarginPercentile, P, VARIANT};

use crate::layer_norms::{LayerNorms, Weights, frobenius_over_spectral, total};
use crate::norm::{NORM, Norm};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FroOverSpecOverMargin {
    /// Which norm of a layer.
    pub norm: Norm,
    /// Which percentile of the margins.
    pub quantile: MarginPercentile,
}

/// What `fro_over_spec_over_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "fro_over_spec_over_margin",
    family: "spectral",
    version: 2,
    title: "The sum over layers of the squared Frobenius norm of the kernel over the squared spectral norm, \
            over the squared margin.",
    formula: "Σ_ℓ ‖W_ℓ‖²_F / ‖W_ℓ‖²₂ / γ²",
    shapes: "W_ℓ: the L kernels, BatchNormalization folded in; ‖·‖₂: the layer's operator norm, [h · w · in] \
            → [h′ · w′ · out], by default; γ: the percentile p of the margins",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to \
            Find Them: eq. 33 over the squared margin",
    needs: &[Need::Labels],
    cost: "1 F, and some hundred products of each layer with one input, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(-2.0),
    },
    behaviour: "‖W_ℓ‖_F is that of the kernel, in which each weight counts once; with `norm=reshape` each part \
            is the kernel's stable rank. Undefined where a layer's norm is zero or γ ≤ 0.",
    stochastic: false,
    control: false,
    parameters: &[NORM, P, VARIANT],
};

impl Measure for FroOverSpecOverMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let gamma = self.quantile.positive(probe)?;
        let norms = probe.get(&LayerNorms { norm: self.norm, weights: Weights::Trained })?;
        let layers = frobenius_over_spectral(&norms)?;
        Ok(Measured::value(total(&layers) / gamma.powi(2)).with_layers(layers))
    }
}
