//! The geometric mean of the layers' Frobenius norms.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::frobenius_norms::FrobeniusNorms;
use crate::logarithms::{logarithms, total};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FrobeniusSum;

/// What `frobenius_sum` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "frobenius_sum",
    family: "norms",
    version: 1,
    title: "The logarithm of the number of layers times the geometric mean of their squared Frobenius norms.",
    formula: "ln L + (1/L) Σ_ℓ ln ‖W_ℓ‖²_F",
    shapes: "W_ℓ: the L kernels, [kh, kw, in, out] or [in, out], BatchNormalization folded in",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them, eq. 39, as a logarithm",
    needs: &[],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "The sum of the layers' squared norms after rescaling them to be equal, so that depth enters as a \
                factor and not as an exponent. Undefined where a tensor is all zero.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for FrobeniusSum {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let layers = logarithms(&probe.get(&FrobeniusNorms)?)?;
        let count = layers.len() as f64;
        Ok(Measured::value(count.ln() + total(&layers) / count).with_layers(layers))
    }
}
