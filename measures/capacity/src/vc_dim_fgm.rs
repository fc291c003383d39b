//! The bound on the VC dimension of piecewise linear networks.

use pgdl_measure::network::Architecture;
use pgdl_measure::{Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::levels::levels;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct VcDimFgm;

/// What `vc_dim_fgm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vc_dim_fgm",
    family: "capacity",
    version: 1,
    title: "The upper bound on the VC dimension of a network of piecewise linear units.",
    formula: "d + [Σᵢ (d − i + 1) qᵢ] · log₂(8 e R · log₂(4 e R)),  R = Σᵢ i aᵢ,  i = 1 … d",
    shapes: "d: weight tensors on the longest path; qᵢ: parameters of the layers at depth i, kernels and biases \
             (and scales of a BatchNormalization that cannot be folded in); aᵢ: units (outputs) of the layers at depth i",
    paper: "Bartlett, Harvey, Liaw, Mehrabian 2019, Nearly-tight VC-dimension and Pseudodimension Bounds for \
            Piecewise Linear Neural Networks, theorem 6 with two pieces per unit; as restated in Jiang, Neyshabur, \
            Mobahi, Krishnan, Bengio 2019, for eq. 19",
    needs: &[],
    cost: "O(1): the architecture alone",
    invariances: Invariances::ALL,
    behaviour: "Derivation: the first i layers are piecewise polynomial of degree i in Σ over j ≤ i of q_j \
                parameters; counting sign patterns layer by layer gives Σᵢ Σ over j ≤ i of q_j = Σᵢ (d − i + 1) qᵢ \
                times a logarithm of the total degree R. Shared weights count once, as parameters of the graph. \
                Pooling adds no units here, nor does the inner part of a separable convolution; a BatchNormalization that cannot be folded \
                in does not raise the degree. For tanh and other curved units it is no bound, only a size. Networks of \
                one architecture tie. The constants 8e and 4e follow the derivation; neither paper's print was at hand to \
                compare. That the 22 of `vc_dim` is 8e rounded up agrees with them.",
    stochastic: false,
    control: false,
    parameters: &[],
};

/// The formula, for an architecture without BatchNormalization that could be folded.
///
/// # Errors
/// The architecture is no network, or has no kernel.
pub fn vc_dim_fgm(architecture: &Architecture) -> Result<f64, MeasureError> {
    let levels = levels(architecture)?;
    let depth = levels.last().copied().unwrap_or(0);
    if depth == 0 {
        return MeasureError::undefined("the network has no kernel");
    }
    let shapes = architecture.shapes()?;
    let specs = architecture.parameter_specs()?;
    let mut cumulative_parameters = 0.0;
    let mut degree = 0.0;
    for ((&level, shape), specs) in levels.iter().zip(&shapes).zip(&specs) {
        // Parameters in front of the first kernel act at depth 1.
        let level = level.max(1);
        let trainable = specs.iter().filter(|spec| spec.role.trainable());
        let parameters: f64 = trainable.map(|spec| spec.shape.iter().product::<i64>() as f64).sum();
        cumulative_parameters += (depth - level + 1) as f64 * parameters;
        if specs.iter().any(|spec| spec.role.is_weight()) {
            degree += level as f64 * shape.iter().product::<i64>() as f64;
        }
    }
    let e = std::f64::consts::E;
    let logarithm = (8.0 * e * degree * (4.0 * e * degree).log2()).log2();
    Ok(depth as f64 + cumulative_parameters * logarithm)
}

impl Measure for VcDimFgm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(vc_dim_fgm(probe.folded()?.architecture())?))
    }
}
