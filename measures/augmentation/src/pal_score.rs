//! The Palma-like summary of a perturbation response curve.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::mixture_response::{DRAWS, LAYER, MAGNITUDES, MixtureResponse, PERTURBATION, SAMPLES};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PalScore {
    response: MixtureResponse,
    top: f64,
    bottom: f64,
}

/// What `pal_score` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "pal_score",
    family: "augmentation",
    version: 2,
    title: "The negative of the area below the cumulative accuracy at the largest perturbations over that at the \
            smallest.",
    formula: "−∫_{1−t}^1 C(α) dα / ∫₀^b C(α) dα,  C(α) = ∫₀^α A(β) dβ,  A as in `gi_score`",
    shapes: "A: [K + 1] accuracies at magnitudes 0, 1/K, … 1, linear between; t, b: shares of the magnitudes",
    paper: "Schiff, Quanz, Das, Chen 2021, Predicting Deep Neural Network Generalization with Perturbation Response \
            Curves: Pal-score",
    needs: &[Need::Labels],
    cost: "(K · draws + 1) m/n F, K = 10, m = 500, 2 draws; inside the network as many again, up to `layer`; shared with `gi_score`",
    invariances: Invariances::ALL,
    behaviour: "An accuracy that holds at large perturbations makes the ratio large and predicts a small gap, hence the \
                minus; −(1 − (1 − t)²)/b² for every constant accuracy, −84 by default. Established from the paper: it is \
                modelled on the Palma ratio (income of the richest tenth over that of the poorest four tenths) and comes \
                from the area below the cumulative curve. Not established: which shares it compares; here they are \
                parameters. Undefined where nothing is classified correctly at small perturbations, and as `gi_score`.",
    stochastic: true,
    control: false,
    parameters: &[
        PERTURBATION,
        LAYER,
        SAMPLES,
        MAGNITUDES,
        DRAWS,
        ParameterInfo {
            name: "top",
            kind: ParameterKind::Float { default: 0.6, min: 0.01, max: 1.0 },
            doc: "share t of the largest magnitudes",
        },
        ParameterInfo {
            name: "bottom",
            kind: ParameterKind::Float { default: 0.1, min: 0.01, max: 1.0 },
            doc: "share b of the smallest magnitudes",
        },
    ],
};

impl PalScore {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let response = MixtureResponse::new(parameters)?;
        Ok(Self { response, top: parameters.float("top")?, bottom: parameters.float("bottom")? })
    }
}

impl Measure for PalScore {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        self.response.summary(probe, |curve| match curve.pal(self.top, self.bottom) {
            Some(ratio) => Ok(-ratio),
            None => MeasureError::undefined("no sample is classified correctly at small perturbations"),
        })
    }
}
