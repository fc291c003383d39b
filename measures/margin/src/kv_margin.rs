//! The margin over k-variance and the largest slope.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::hidden_margins::HiddenMargins;
use crate::k_variance::ClassVariance;
use crate::k_variance_margin::{PARAMETERS, Settings};
use crate::percentile::percentile;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct KvMargin {
    settings: Settings,
}

/// What `kv_margin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "kv_margin",
    family: "margin",
    version: 3,
    title: "The negative of the median margin, divided by the k-variance of each class's representation times the \
            largest slope of its margins.",
    formula: "−median of {f_yᵢ − max over j ≠ yᵢ of fⱼ} / Σ_c w_c · Var_k(h | c) · Lip_c,  Var_k(h | c) = E W₁(A, B),  \
              Lip_c = max over i in c of ‖∇_h(f_y − f_j)(xᵢ)‖₂",
    shapes: "f: [n, C] logits; h: [n, …] the representation chosen by `layer`; A, B: random halves, k each, of the first 200 \
             samples of class c; w_c: the class's share; W₁: the 1-Wasserstein distance for Euclidean distances",
    paper: "Chuang, Mroueh, Greenewald, Torralba, Jegelka 2021, Measuring Generalization with Optimal Transport: \
            kV-Margin",
    needs: &[Need::Labels],
    cost: "1 B, and at most 1 F over the samples that are compared (200 of each class); O(k³) for each class and draw",
    invariances: Invariances::ALL,
    behaviour: "Classes whose representations are concentrated allow smaller margins. W₁ is exact: an assignment \
                problem, not a regularized one. Draws are averaged; the standard error is what they leave. Slopes \
                are maxima over the whole sample, as margins are taken on the whole sample; published code draws 200 \
                · C samples for everything, once. Classes with one sample are left out. Undefined where \
                representations are constant in every class.",
    stochastic: true,
    control: false,
    parameters: PARAMETERS,
};

impl KvMargin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { settings: Settings::new(parameters)? })
    }
}

impl Measure for KvMargin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let all = probe.get(&HiddenMargins)?;
        let entry = all.at(self.settings.depth.place(probe.network())?)?;
        if all.margins.iter().chain(&entry.norms).any(|number| !number.is_finite()) {
            return MeasureError::undefined("the network's outputs or their gradients are not finite");
        }
        let labels = Vec::<i64>::try_from(probe.labels())?;
        let slope = |class: &ClassVariance| {
            let of_class = labels.iter().zip(&entry.norms).filter(|(label, _)| **label == class.class);
            of_class.fold(0.0, |largest: f64, (_, norm)| largest.max(*norm))
        };
        match percentile(&mut all.margins.clone(), 50.0) {
            Some(median) => self.settings.value(probe, median, slope),
            None => MeasureError::undefined("there are no margins"),
        }
    }
}
