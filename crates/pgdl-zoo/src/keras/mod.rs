//! Keras models on disk: architectures as JSON, weights as HDF5, both in a `.keras` archive.
//!
//! | written by | architecture | weights |
//! |---|---|---|
//! | PGDL | `config.json`: a list of layer classes with constructor arguments | `weights.hdf5` (legacy layout) |
//! | Keras 2 and 3 | `to_json()`, the `model_config` attribute of a whole-model `.h5`, `config.json` in `.keras` | legacy layout, or the newer `.weights.h5` layout |
//!
//! [`read_network`] takes all of them.

mod activation;
mod archive;
mod layer;
mod layered_weights;
mod legacy_weights;
mod model;
mod model_file;
mod settings;
mod write_model;

pub use legacy_weights::{write_weights, write_weights_named};
pub use model::{Dialect, LayerRecord, Model};
pub use model_file::{load_network, load_weights, read_model, read_network};
pub use write_model::{Written, to_keras_json, to_pgdl_json};

/// Keras classes of layers that can be read, beside the aliases under which `keras.layers` also has them.
pub fn supported_layers() -> Vec<&'static str> {
    let mut names = pgdl_network::Layer::supported().to_vec();
    names.extend(activation::LAYERS);
    names.push("InputLayer");
    names
}
