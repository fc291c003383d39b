//! The largest eigenvalue of the loss's Hessian.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::lanczos::{PROBES, SAMPLES, STEPS, Spectrum};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HessianMax {
    spectrum: Spectrum,
}

/// What `hessian_max` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hessian_max",
    family: "sharpness",
    version: 1,
    title: "The largest eigenvalue of the Hessian of the training loss.",
    formula: "λ₁(H),  H = ∇² L(w)",
    shapes: "H: [P, P], of the mean cross-entropy over the drawn samples",
    paper: "Yao, Gholami, Keutzer, Mahoney 2020, PyHessian: Neural Networks Through the Lens of the Hessian; \
             Lanczos 1950, with full reorthogonalization",
    needs: &[Need::Labels],
    cost: "probes · steps · samples/n HVP: at n = 5000 1.6 HVP, shared with `hessian_density`",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. The largest Ritz value of Lanczos from \
             random vectors, a lower bound; the detail `residual` is ‖H x − λ x‖, within which an eigenvalue \
             lies. It is that of the drawn samples' loss, whose outliers are higher than those of more samples. \
             Undefined where the Hessian is exactly zero.",
    stochastic: true,
    control: false,
    parameters: &[SAMPLES, PROBES, STEPS],
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
        let tops = spectrum.iter().filter_map(|run| Some((*run.nodes.last()?, *run.residuals.last()?)));
        let Some((value, residual)) = tops.max_by(|one, other| one.0.total_cmp(&other.0)) else {
            return MeasureError::failed("no run of Lanczos gave an eigenvalue");
        };
        let smallest = spectrum.iter().filter_map(|run| run.nodes.first()).copied().fold(value, f64::min);
        if value == 0.0 && smallest == 0.0 {
            return MeasureError::undefined(
                "the Hessian is exactly zero: the loss is flat in every direction",
            );
        }
        Ok(Measured::value(value)
            .with_detail("residual", residual)
            .with_detail("smallest_eigenvalue", smallest))
    }
}
