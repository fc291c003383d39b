//! What can go wrong in building, moving and running a network.

use tch::{Device, Kind};

/// Result of this crate's operations.
pub type Result<T, E = NetworkError> = std::result::Result<T, E>;

/// An error of a network: its message is a fragment that completes "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A layer's settings are impossible, or do not fit its inputs.
    #[error("layer {layer}: {reason}")]
    Layer {
        /// Keras class name, with the node's name where it is known.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// The nodes do not form a network.
    #[error("architecture: {0}")]
    Graph(String),
    /// Tensors do not fit the architecture's parameters.
    #[error("weights of layer {layer}: {reason}")]
    Weights {
        /// The node's name.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// A batch does not fit the network.
    #[error("input: {0}")]
    Input(String),
    /// Batch and weights lie on two devices or have two element kinds.
    #[error("input is {found_kind:?} on {found_device:?}, but the network is {kind:?} on {device:?}")]
    Placement {
        /// The input's element kind.
        found_kind: Kind,
        /// The input's device.
        found_device: Device,
        /// The network's element kind.
        kind: Kind,
        /// The network's device.
        device: Device,
    },
    /// The rest of the network needs more than this node's output.
    #[error("node `{0}` is no cut point: later nodes also read what lies before it")]
    NotACutPoint(String),
    /// No such node.
    #[error("there is no node {index}: the network has {nodes}")]
    NoSuchNode {
        /// The index asked for.
        index: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// A gradient was asked of something that has none.
    #[error("gradient: {0}")]
    Gradient(String),
    /// A device request that cannot be met.
    #[error("device `{request}`: {reason}")]
    Device {
        /// The request as given.
        request: String,
        /// Why it cannot be met.
        reason: String,
        /// The way out, where there is one.
        hint: Option<String>,
    },
    /// The observer of a forward pass gave up.
    #[error("observer: {0}")]
    Observer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl NetworkError {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Device { hint, .. } => hint.clone(),
            Self::Placement { .. } => {
                Some("convert the input with to_kind and to_device, or move the network".into())
            }
            Self::NotACutPoint(_) => Some("Network::cut_points lists the nodes that are".into()),
            _ => None,
        }
    }

    /// Wraps an observer's own error, so that it passes through a forward pass.
    pub fn observer(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Observer(error.into())
    }

    /// The same error with the node's name beside the layer's class.
    pub(crate) fn at_node(self, name: &str) -> Self {
        match self {
            Self::Layer { layer, reason } => Self::Layer { layer: format!("`{name}` ({layer})"), reason },
            other => other,
        }
    }
}
