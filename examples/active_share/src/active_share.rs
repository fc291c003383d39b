//! The share of active units.

use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind,
    Probe,
};

use crate::activity::Activity;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct ActiveShare {
    /// Whether only the last ReLU layer counts.
    pub last: bool,
}

/// What `active_share` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "active_share",
    family: "activity",
    version: 1,
    title: "The mean share of positive outputs of the ReLU layers over the training sample.",
    formula: "(1/L) Σ over ℓ of #{(i, u): h_ℓᵤ(xᵢ) > 0} / (n · U_ℓ)",
    shapes: "h_ℓ: [n, U_ℓ] outputs of the ℓ-th of L ReLU layers",
    paper: "an example; for networks whose units are rarely active see Glorot, Bordes, Bengio 2011, Deep Sparse Rectifier \
            Neural Networks",
    needs: &[],
    cost: "1 F",
    invariances: Invariances::ALL,
    behaviour: "Denser activity predicts a larger gap. It has no value in a network without ReLU layers.",
    stochastic: false,
    control: false,
    parameters: &[ParameterInfo {
        name: "layers",
        kind: ParameterKind::Choice { default: "all", options: &["all", "last"] },
        doc: "`last` takes the last ReLU layer alone",
    }],
};

impl Measure for ActiveShare {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let shares = probe.get(&Activity)?;
        let first = if self.last { shares.len().saturating_sub(1) } else { 0 };
        let shares = &shares[first..];
        if shares.is_empty() {
            return MeasureError::undefined("the network has no ReLU layers");
        }
        let mean = shares.iter().map(|(_, share)| share).sum::<f64>() / shares.len() as f64;
        let layers = shares.iter().map(|(layer, value)| LayerDetail { layer: layer.clone(), value: *value });
        Ok(Measured::value(mean).with_layers(layers.collect()))
    }
}
