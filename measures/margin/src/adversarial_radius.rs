//! The distance to the nearest other class.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::boundary::BoundarySearch;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct AdversarialRadius {
    samples: usize,
    steps: usize,
}

/// What `adversarial_radius` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "adversarial_radius",
    family: "margin",
    version: 2,
    title: "The negative of the mean distance from an input to the nearest point that the network takes for another \
            class.",
    formula: "−(1/m) Σᵢ ±‖rᵢ‖₂,  r ← r − m_k ∇m_k / ‖∇m_k‖² at xᵢ + r until the class changes,  m_k = f_y − f_k, k the \
              class with the least |m_k| / ‖∇m_k‖₂",
    shapes: "f: [m, C] logits; r: of the input's shape; + where the network is right at xᵢ, − where it errs; m: the \
             first samples of the sample",
    paper: "Moosavi-Dezfooli, Fawzi, Frossard 2016, DeepFool: a simple and accurate method to fool deep neural \
            networks, algorithm 2",
    needs: &[Need::Labels],
    cost: "each step m/n F and C · m/n backward passes (1 B = F + one backward pass) over the samples still on \
           their way, m = 250; few steps suffice in piecewise linear networks",
    invariances: Invariances::ALL,
    behaviour: "Exact on linear networks: min over k of |f_y − f_k| / ‖w_y − w_k‖₂. Elsewhere how far from x the steps lead before they \
                cross the boundary, an estimate from above. A misclassified sample walks to the boundary \
                between its label and the class that wins, and counts with the negative length. The boundary is \
                reached where the margin has fallen to 1e-4 of its first value or changed sign; the paper overshoots \
                by 2 % and divides by ‖x‖. Samples without a gradient are left out; those still on their way after the last step count with how far they came. Both \
                are counted in the details.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 250, min: 1, max: i64::MAX },
            doc: "number m of samples, the first ones; all when there are fewer",
        },
        ParameterInfo {
            name: "steps",
            kind: ParameterKind::Integer { default: 50, min: 1, max: 10_000 },
            doc: "most steps of a sample",
        },
    ],
};

impl AdversarialRadius {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let size = |name| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        Ok(Self { samples: size("samples")?, steps: size("steps")? })
    }
}

impl Measure for AdversarialRadius {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let search =
            BoundarySearch { samples: self.samples, steps: self.steps, all_rivals: true, subspace: None };
        Ok(search.run(probe)?.measured())
    }
}
