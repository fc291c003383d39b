//! The true gap, with noise.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind, Probe,
};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct NoisyOracle {
    /// Standard deviation of the noise.
    pub sigma: f64,
}

/// What `noisy_oracle` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "noisy_oracle",
    family: "controls",
    version: 1,
    title: "The true gap plus Gaussian noise.",
    formula: "g + σ Z,  Z ~ N(0, 1)",
    shapes: "g: the network's true gap, a fraction",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them: its oracle with noise",
    needs: &[Need::TrueGaps],
    cost: "O(1)",
    invariances: Invariances::ALL,
    behaviour: "With σ = 0 it is the best that any measure can do; the σ at which it scores like a measure says how \
                far that measure is from the truth, in units of the gap.",
    stochastic: true,
    control: true,
    parameters: &[ParameterInfo {
        name: "sigma",
        kind: ParameterKind::Float { default: 0.02, min: 0.0, max: f64::INFINITY },
        doc: "standard deviation σ of the noise, in units of the gap",
    }],
};

impl Measure for NoisyOracle {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let Some(gap) = probe.truth()?.gap() else {
            return MeasureError::unavailable("the network's own gap is not known");
        };
        Ok(Measured::value(gap + self.sigma * probe.generator("noise").normal()))
    }
}
