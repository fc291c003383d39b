//! Networks as computation graphs: layers, shapes, forward passes, gradients and parameters.
//!
//! A [`Network`] is an [`Architecture`] (a graph of [`Layer`]s) with one list of tensors per node. It knows
//! no file format. Activations and weights are kept in Keras's layout throughout: images are
//! `[N, H, W, C]`, convolution kernels `[kh, kw, in / groups, out]`, dense kernels `[in, out]`; so a file's
//! arrays go into tensors and back without being rearranged.
//!
//! ```
//! use pgdl_network::{Activation, Architecture, Dense, Layer, Mode, Network};
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> pgdl_network::Result<()> {
//! let hidden = Dense { units: 8, use_bias: true, activation: Activation::Relu };
//! let output = Dense { units: 3, use_bias: true, activation: Activation::Linear };
//! let architecture = Architecture::sequential(vec![4], vec![Layer::Dense(hidden), Layer::Dense(output)])?;
//! let network = Network::initialize(architecture, 7, Device::Cpu)?;
//! let x = Tensor::f_zeros([2, 4], (Kind::Float, Device::Cpu))?;
//! let logits = tch::no_grad(|| network.forward(&x, Mode::Evaluate))?;
//! assert_eq!(logits.size(), [2, 3]);
//! # Ok(())
//! # }
//! ```

pub mod device;

mod architecture;
mod digest;
mod error;
mod flat;
mod fold;
mod forward;
mod gradient;
mod hessian;
mod initialize;
mod layer;
mod network;
mod parameters;
mod per_sample;
mod perturbed;
mod shape;
mod subspace;

pub use architecture::{Architecture, Node, Source};
pub use error::{NetworkError, Result};
pub use forward::Mode;
pub use gradient::{Graph, gradients, vector_jacobian};
pub use hessian::{SecondOrder, hessian_products};
pub use initialize::Initializer;
pub use layer::{Activation, Conv2d, Dense, DepthwiseConv2d, Layer, Padding, Pool, SeparableConv2d};
pub use network::{Network, Parameter};
pub use parameters::{ParameterSpec, Role};
pub use per_sample::{PerSample, per_sample_gradients};
pub use shape::{MAX_DIMENSION, MAX_ELEMENTS, Window};
pub use subspace::{
    Adam, Batch, Descent, Projection, ProjectionKind, Subspace, Threshold, ThresholdSearch,
    hadamard_transform,
};

/// The version of libtorch that this crate is built against and needs at run time.
pub const fn libtorch_version() -> &'static str {
    "2.11.0"
}
