//! Networks without BatchNormalization.

use pgdl_network::Network;

use crate::error::MeasureError;
use crate::probe::Probe;
use crate::quantity::Quantity;

/// The trained network with every BatchNormalization that directly follows a linear layer folded into it.
#[derive(Clone, Copy, Debug)]
pub struct FoldedNetwork;

impl Quantity for FoldedNetwork {
    type Value = Network;

    fn name(&self) -> String {
        "folded_network".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Network, MeasureError> {
        Ok(probe.network().fold_batch_norm()?)
    }
}

/// The network before training, folded like [`FoldedNetwork`].
#[derive(Clone, Copy, Debug)]
pub struct FoldedInitial;

impl Quantity for FoldedInitial {
    type Value = Network;

    fn name(&self) -> String {
        "folded_initial".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Network, MeasureError> {
        Ok(probe.initial()?.fold_batch_norm()?)
    }
}
