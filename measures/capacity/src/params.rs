//! The number of parameters.

use pgdl_measure::{Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Probe};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Params;

/// What `params` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "params",
    family: "capacity",
    version: 1,
    title: "The number of trainable parameters.",
    formula: "P",
    shapes: "P counts kernels, biases, and the γ and β of normalizations; not their moving statistics",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them, eq. 20",
    needs: &[],
    cost: "O(1): the architecture alone",
    invariances: Invariances::ALL,
    behaviour: "Networks of one architecture tie. In over-parametrized families it tends to fall where the gap rises.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for Params {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let architecture = probe.network().architecture();
        let mut total = 0.0;
        let mut layers = Vec::new();
        for (node, specs) in architecture.nodes.iter().zip(architecture.parameter_specs()?) {
            let trainable = specs.iter().filter(|spec| spec.role.trainable());
            let count: f64 = trainable.map(|spec| spec.shape.iter().product::<i64>() as f64).sum();
            total += count;
            if count > 0.0 {
                layers.push(LayerDetail { layer: node.name.clone(), value: count });
            }
        }
        Ok(Measured::value(total).with_layers(layers))
    }
}
