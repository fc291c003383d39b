//! The largest eigenvalue of the loss's Hessian.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::lanczos::{FLAT, GROUPS, SAMPLES, STEPS, Spectrum};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HessianMax {
    spectrum: Spectrum,
}

/// What `hessian_max` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hessian_max",
    family: "sharpness",
    version: 2,
    title: "The largest eigenvalue of the Hessian of the training loss.",
    formula: "λ₁(H),  H = ∇² L(w)",
    shapes: "H: [P, P], of the mean cross-entropy over the sample",
    paper: "Yao, Gholami, Keutzer, Mahoney 2020, PyHessian: Neural Networks Through the Lens of the Hessian; \
             Lanczos 1950, with full reorthogonalization",
    needs: &[Need::Labels],
    cost: "1 F; groups · steps · samples/n HVP: at n = 5000 1.6 HVP, shared with `hessian_density`",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. Samples are drawn in \
             proportion to 1 − ‖p‖² + ‖p − y‖, p the softmax and y the label, since those that are fit with certainty hold \
             next to nothing of the Hessian, and weighted by 1/(n π), π their probability to be drawn: the Hessian of each \
             group has that of the whole sample for its expectation. The mean over the groups of the largest Ritz value of \
             Lanczos from a random vector; the standard error is over the groups, and the detail `residual` is the largest \
             ‖H x − λ x‖, within which an eigenvalue of a group's Hessian lies. The largest eigenvalue of few samples is \
             too large on average, which the standard error does not hold: by 7 and 12 % on mnist_width/0 and /37, and by \
             2 and 6 % with samples=256. Where `samples` is all of them it is exact. \
             Undefined where the Hessian is exactly zero.",
    stochastic: true,
    control: false,
    parameters: &[SAMPLES, GROUPS, STEPS],
};

impl HessianMax {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { spectrum: Spectrum::new(parameters)? })
    }
}

impl Measure for HessianMax {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let spectrum = probe.get(&self.spectrum)?;
        let tops: Vec<f64> = spectrum.iter().filter_map(|run| run.nodes.last().copied()).collect();
        let residuals = spectrum.iter().filter_map(|run| run.residuals.last().copied());
        let value = mean(&tops);
        let smallest = spectrum.iter().filter_map(|run| run.nodes.first()).copied().fold(value, f64::min);
        if value == 0.0 && smallest == 0.0 {
            return MeasureError::undefined(FLAT);
        }
        let mut measured = Measured::value(value)
            .with_detail("residual", residuals.fold(0.0, f64::max))
            .with_detail("smallest_eigenvalue", smallest);
        measured.standard_error = standard_error_of_mean(&tops);
        Ok(measured)
    }
}
