//! The true gaps: what controls may see, and nothing else.

use pgdl_zoo::HyperValue;
use serde::{Deserialize, Serialize};

/// Hyperparameters and true gaps of a whole zoo, and which of its networks is under examination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// The zoo's networks that have a gap.
    pub networks: Vec<TrueNetwork>,
    /// Index in `networks` of the one under examination.
    pub index: usize,
}

/// One network of a zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueNetwork {
    /// Its hyperparameters, in the order of the zoo's axes.
    pub hyperparameters: Vec<HyperValue>,
    /// Its true gap.
    pub gap: f64,
}

impl Truth {
    /// The gap of the network under examination, if `index` is one.
    pub fn gap(&self) -> Option<f64> {
        self.networks.get(self.index).map(|network| network.gap)
    }
}
