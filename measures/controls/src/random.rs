//! A random number for each network.

use pgdl_measure::rand::Rng;
use pgdl_measure::{Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Random;

/// What `random` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "random",
    family: "controls",
    version: 1,
    title: "A random number that knows nothing of the network.",
    formula: "U, uniform in [0, 1), seeded by the run's seed and the network's id",
    shapes: "none",
    paper: "none: a control",
    needs: &[],
    cost: "O(1)",
    invariances: Invariances::ALL,
    behaviour: "Its scores over several seeds show what a statistic gives by chance on this zoo, which is above zero \
                for a CMI: a mutual information estimated from few networks is biased upwards.",
    stochastic: true,
    control: true,
    parameters: &[],
};

impl Measure for Random {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(probe.generator("value").random()))
    }
}
