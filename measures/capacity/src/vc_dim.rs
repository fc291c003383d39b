//! The competition's bound on the VC dimension.

use pgdl_measure::network::Architecture;
use pgdl_measure::{Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct VcDim;

/// What `vc_dim` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vc_dim",
    family: "capacity",
    version: 1,
    title: "The upper bound on the VC dimension that was a baseline of the 2020 competition.",
    formula: "d + 2 d · ln(22 · d · 32²) · Σ_ℓ Π shape(W_ℓ)",
    shapes: "W_ℓ: the d kernels, [kh, kw, in, out] or [in, out]; depthwise and pointwise kernels count each; biases \
             and normalizations do not",
    paper: "Jiang, Foret, Yak, Roy, Mobahi, Dziugaite, Bengio, Gunasekar, Guyon, Neyshabur 2020, NeurIPS 2020 \
            Competition: Predicting Generalization in Deep Learning; after Bartlett, Harvey, Liaw, Mehrabian 2019",
    needs: &[],
    cost: "O(1): the architecture alone",
    invariances: Invariances::ALL,
    behaviour: "The image side 32 and the natural logarithm are the competition's, for networks of any input. The \
                operations are in its order, so that values agree to the last bit. Networks of one architecture tie.",
    stochastic: false,
    control: false,
    parameters: &[],
};

/// The formula, for an architecture.
///
/// # Errors
/// The architecture is no network.
pub fn vc_dim(architecture: &Architecture) -> Result<f64, MeasureError> {
    let kernels: Vec<f64> = architecture
        .parameter_specs()?
        .iter()
        .flatten()
        .filter(|spec| spec.role.is_weight())
        .map(|spec| spec.shape.iter().product::<i64>() as f64)
        .collect();
    let depth = kernels.len() as f64;
    if kernels.is_empty() {
        return MeasureError::undefined("the network has no kernel, and ln 0 no value");
    }
    let weights: f64 = kernels.iter().sum();
    Ok(depth + 2.0 * depth * (22.0 * depth * 1024.0).ln() * weights)
}

impl Measure for VcDim {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(vc_dim(probe.network().architecture())?))
    }
}
