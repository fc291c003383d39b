//! The spectral density of the loss's Hessian, by its moments.

use pgdl_measure::draws::standard_error_of_mean;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::lanczos::{FLAT, GROUPS, Quadrature, SAMPLES, STEPS, Spectrum};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HessianDensity {
    spectrum: Spectrum,
    moment: i32,
}

/// What `hessian_density` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hessian_density",
    family: "sharpness",
    version: 2,
    title: "A moment of the spectral density of the Hessian of the training loss.",
    formula: "(1/P) tr Hᵏ = ∫ λᵏ dμ(λ),  H = ∇² L(w), k = 2",
    shapes: "H: [P, P], of the mean cross-entropy over the sample; μ: the density of its eigenvalues",
    paper: "Ghorbani, Krishnan, Xiao 2019, An Investigation into Neural Net Optimization via Hessian Eigenvalue \
             Density; Golub, Welsch 1969, for the quadrature",
    needs: &[Need::Labels],
    cost: "1 F; groups · steps · samples/n HVP: at n = 5000 1.6 HVP, shared with `hessian_max`",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. Samples are drawn in \
             proportion to 1 − ‖p‖² + ‖p − y‖, p the softmax and y the label, since those that are fit with certainty hold \
             next to nothing of the Hessian, and weighted by 1/(n π), π their probability to be drawn: the Hessian of each \
             group has that of the whole sample for its expectation. Stochastic Lanczos quadrature: the random vector of \
             each group gives nodes and weights (detail `density`) whose moments up to twice the steps are exact for it; the \
             standard error is over the groups, and holds samples and vectors. Moments above the first are too large on \
             average by what the Hessian varies between groups: over ten seeds the second came out 13 ± 7 and 11 ± 13 % too \
             large on mnist_width/0 and /37. The details hold four moments and the \
             share of the absolute mass that is negative. Undefined where the Hessian is exactly zero.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "moment",
            kind: ParameterKind::Integer { default: 2, min: 1, max: 20 },
            doc: "k, at most twice the steps",
        },
        SAMPLES,
        GROUPS,
        STEPS,
    ],
};

impl HessianDensity {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let moment = i32::try_from(parameters.integer("moment")?).unwrap_or(i32::MAX);
        Ok(Self { spectrum: Spectrum::new(parameters)?, moment })
    }
}

impl Measure for HessianDensity {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let runs = probe.get(&self.spectrum)?;
        let count = runs.len() as f64;
        let mean = |f: &dyn Fn(&Quadrature) -> f64| runs.iter().map(f).sum::<f64>() / count;
        let of_power = |power: i32| mean(&|run| run.integral(|node| node.powi(power)));
        let value = of_power(self.moment);
        if of_power(2) == 0.0 {
            return MeasureError::undefined(FLAT);
        }
        let negative = mean(&|run| run.integral(|node| f64::from(u8::from(node < 0.0)) * node.abs()));
        let total = mean(&|run| run.integral(f64::abs));
        let mut measured = Measured::value(value)
            .with_detail("density", density(&runs))
            .with_detail("negative_share_of_mass", negative / total);
        for power in 1..=4 {
            measured = measured.with_detail(&format!("moment_{power}"), of_power(power));
        }
        let moments = runs.iter().map(|run| run.integral(|node| node.powi(self.moment)));
        measured.standard_error = standard_error_of_mean(&moments.collect::<Vec<f64>>());
        Ok(measured)
    }
}

/// Nodes with weights of all runs, ascending: `node:weight`, separated by spaces.
fn density(runs: &[Quadrature]) -> String {
    let share = 1.0 / runs.len() as f64;
    let mut points: Vec<(f64, f64)> = runs
        .iter()
        .flat_map(|run| run.nodes.iter().zip(&run.weights).map(|(node, weight)| (*node, weight * share)))
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points.iter().map(|(node, weight)| format!("{node:.4e}:{weight:.3e}")).collect::<Vec<_>>().join(" ")
}
