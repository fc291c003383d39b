//! The gradient-normalized margin over k-variance.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::distance::distances;
use crate::hidden_margins::HiddenMargins;
use crate::k_variance_margin::{PARAMETERS, Settings};
use crate::percentile::percentile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct KvGnMargin {
    settings: Settings,
}

/// What `kv_gn_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "kv_gn_margin",
    family: "margin",
    version: 3,
    title: "The negative of the median first-order distance to the decision boundary in a representation, divided by \
            the k-variance of each class there.",
    formula: "−median of {(f_y − f_j)(xᵢ) / ‖∇_h(f_y − f_j)(xᵢ)‖₂} / Σ_c w_c · Var_k(h | c),  Var_k(h | c) = E W₁(A, B)",
    shapes: "f: [n, C] logits; j: the strongest class but y; h: [n, …] the representation chosen by `layer`; A, B: \
             random halves, k each, of the first 200 samples of class c; w_c: the class's share; W₁: the 1-Wasserstein distance for \
             Euclidean distances",
    paper: "Chuang, Mroueh, Greenewald, Torralba, Jegelka 2021, Measuring Generalization with Optimal Transport: \
            kV-GN-Margin",
    needs: &[Need::Labels],
    cost: "1 B, and at most 1 F over the samples that are compared (200 of each class); O(k³) for each class and draw",
    invariances: Invariances::ALL,
    behaviour: "As `kv_margin`, with each margin divided by its own slope. Samples whose margin has no gradient are \
                left out. W₁ is exact; draws are averaged, and the standard error is what they leave. Undefined where \
                representations are constant in every class.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl KvGnMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { settings: Settings::new(parameters)? })
    }
}

impl Measure for KvGnMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let all = probe.get(&HiddenMargins)?;
        let entry = all.at(self.settings.depth.place(probe.network())?)?;
        let mut distances = distances(&all.margins, &entry.norms)?;
        match percentile(&mut distances, 50.0) {
            Some(median) => self.settings.value(probe, median, |_| 1.0),
            None => MeasureError::undefined("there are no margins"),
        }
    }
}
