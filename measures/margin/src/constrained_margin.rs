//! The distance to the decision boundary along the data.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::boundary::BoundarySearch;
use crate::principal_components::{PrincipalComponents, elbow};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ConstrainedMargin {
    samples: usize,
    steps: usize,
    /// Zero: up to the elbow.
    components: usize,
}

/// What `constrained_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "constrained_margin",
    family: "margin",
    version: 1,
    title: "The negative of the mean distance from an input to the decision boundary within the leading principal \
            components of the inputs.",
    formula: "−(1/m) Σᵢ ±‖rᵢ‖₂,  r ← r − (f_y − f_j) g / ‖g‖² at xᵢ + r until f_y = f_j,  g = U Uᵀ ∇ₓ(f_y − f_j)",
    shapes: "f: [m, C] logits; j: the strongest class but y (at the start, where the network errs); U: [D, q] the q leading principal components of the first \
             1000 inputs; r: [D]; + where the network is right at xᵢ, − where it errs; m: the first samples of the \
             sample",
    paper: "Mouton, Theunissen, Davel 2023, Input Margins Can Predict Generalization Too",
    needs: &[Need::Labels],
    cost: "each step m/n B over the samples still on their way, m = 1000; an eigendecomposition of at most 1000 × \
           1000",
    invariances: Invariances::ALL,
    behaviour: "Directions in which the data do not vary do not count: there even good networks have small margins. q is \
                where the curve of the positive variances is farthest below its chord, unless given. Steps are full Newton \
                steps; the paper damps them and clips inputs to their range, which is left out here, and takes \
                correctly classified samples alone, where here the others count with a negative distance. The boundary is \
                reached where the margin has fallen to 1e-4 of its first value or changed sign. Samples without a \
                gradient are left out; those still on their way after the last step count with how far they came. Both \
                are counted in the details. Undefined where all inputs are the same.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "components",
            kind: ParameterKind::Integer { default: 0, min: 0, max: 1000 },
            doc: "number q of principal components; 0 for those up to the elbow",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 1000, min: 1, max: i64::MAX },
            doc: "number m of samples, the first ones; all when there are fewer",
        },
        ParameterInfo {
            name: "steps",
            kind: ParameterKind::Integer { default: 50, min: 1, max: 10_000 },
            doc: "most steps of a sample",
        },
    ],
};

impl ConstrainedMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let size = |name| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        Ok(Self { samples: size("samples")?, steps: size("steps")?, components: size("components")? })
    }
}

impl Measure for ConstrainedMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let components = probe.get(&PrincipalComponents)?;
        let count = match self.components {
            0 => elbow(&components.strengths),
            given => given.min(components.strengths.len()),
        };
        let basis = components.directions(count)?.f_to_kind(probe.kind())?.f_to_device(probe.device())?;
        let search = BoundarySearch {
            samples: self.samples,
            steps: self.steps,
            all_rivals: false,
            subspace: Some(&basis),
        };
        Ok(search.run(probe)?.measured().with_detail("components", count as f64))
    }
}
