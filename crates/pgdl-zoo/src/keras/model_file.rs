//! Models on disk, whatever their format.

use std::io::Read;
use std::path::{Path, PathBuf};

use pgdl_network::Network;
use tch::Tensor;

use super::archive::Archive;
use super::{Model, layered_weights, legacy_weights};
use crate::hdf5;
use crate::json_file::{parse_json, read_json};
use crate::{Result, ZooError, ordinary_file};

const FORMATS: &str =
    "a PGDL model folder, a .keras archive, a whole-model .h5 file, or a model's JSON with its weights";

/// Names of a model's weights in a PGDL folder.
const FINAL_WEIGHTS: [&str; 3] = ["weights.hdf5", "weights.h5", "model.weights.h5"];

/// What a file begins with.
enum Format {
    Zip,
    Hdf5,
    Json,
}

/// Reads a network, on the CPU, from a PGDL model folder, a `.keras` archive, a whole-model `.h5` file, or a model's
/// JSON, whose weights then are `weights`. With the other formats, `weights` replaces the weights they hold.
pub fn read_network(path: &Path, weights: Option<&Path>) -> Result<Network> {
    let (model, tensors) = if path.is_dir() {
        let model = read_model(path)?;
        let weights = match weights {
            Some(weights) => weights.to_path_buf(),
            None => folder_weights(path)?,
        };
        let tensors = load_weights(&model, &weights)?;
        (model, tensors)
    } else {
        match (format(path)?, weights) {
            (_, Some(weights)) => {
                let model = read_model(path)?;
                let tensors = load_weights(&model, weights)?;
                (model, tensors)
            }
            (Format::Zip, None) => {
                let mut archive = Archive::open(path)?;
                let model = Model::parse(&archive.config()?, path)?;
                let file = archive.weights(&model)?;
                let tensors = load_from(&file, &model)?;
                (model, tensors)
            }
            (Format::Hdf5, None) => {
                let file = hdf5::File::open(path)?;
                let model = embedded_model(&file)?;
                let tensors = load_from(&file, &model)?;
                (model, tensors)
            }
            (Format::Json, None) => {
                return Err(ZooError::Missing {
                    path: path.to_path_buf(),
                    what: "a file of weights for this architecture".into(),
                    hint: Some(format!("give the weights, too; a network is {FORMATS}")),
                });
            }
        }
    };
    network(model, tensors, path)
}

/// Reads a model's architecture alone, from any of the formats.
pub fn read_model(path: &Path) -> Result<Model> {
    if path.is_dir() {
        let config = path.join("config.json");
        if !config.is_file() && path.join("saved_model.pb").exists() {
            return Err(ZooError::unsupported(path, "TensorFlow's SavedModel format", FORMATS));
        }
        return Model::parse(&read_json(&config)?, &config);
    }
    match format(path)? {
        Format::Zip => Model::parse(&Archive::open(path)?.config()?, path),
        Format::Hdf5 => embedded_model(&hdf5::File::open(path)?),
        Format::Json => Model::parse(&read_json(path)?, path),
    }
}

/// Reads the weights of `model` from a file in the legacy or in the newer layout, or from a `.keras` archive: one
/// list of tensors per node, on the CPU, in Keras's order. Every value is finite.
pub fn load_weights(model: &Model, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    match format(path)? {
        Format::Zip => load_from(&Archive::open(path)?.weights(model)?, model),
        Format::Hdf5 => load_from(&hdf5::File::open(path)?, model),
        Format::Json => Err(ZooError::malformed(path, "not a file of weights")),
    }
}

/// Reads a network of this architecture, on the CPU, with the weights at `path`.
pub fn load_network(model: Model, path: &Path) -> Result<Network> {
    let tensors = load_weights(&model, path)?;
    network(model, tensors, path)
}

fn network(model: Model, tensors: Vec<Vec<Tensor>>, path: &Path) -> Result<Network> {
    Network::new(model.architecture, tensors).map_err(|source| ZooError::network(path, source))
}

fn folder_weights(path: &Path) -> Result<PathBuf> {
    let found = FINAL_WEIGHTS.iter().map(|name| path.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| ZooError::Missing {
        path: path.to_path_buf(),
        what: "weights.hdf5".into(),
        hint: Some("a PGDL model folder holds config.json and weights.hdf5".into()),
    })
}

fn format(path: &Path) -> Result<Format> {
    let io = |source| ZooError::io(path, source);
    let mut head = Vec::new();
    ordinary_file::open(path)?.take(8).read_to_end(&mut head).map_err(io)?;
    match head.as_slice() {
        [b'P', b'K', 3, 4, ..] => Ok(Format::Zip),
        b"\x89HDF\r\n\x1a\n" => Ok(Format::Hdf5),
        head if head.trim_ascii_start().first().is_some_and(|byte| *byte == b'{') => Ok(Format::Json),
        _ => Err(ZooError::unsupported(path, "a file that is neither zip, nor HDF5, nor JSON", FORMATS)),
    }
}

/// The architecture that a whole-model file holds.
fn embedded_model(file: &hdf5::File) -> Result<Model> {
    let path = file.path();
    let root = file.root()?;
    let attribute = |name: &str| -> Result<Option<String>> {
        let texts = root.strings(name).map_err(|problem| problem.at(path))?;
        Ok(texts.and_then(|texts| texts.into_iter().next()))
    };
    let Some(config) = attribute("model_config")? else {
        return Err(ZooError::Missing {
            path: path.to_path_buf(),
            what: "the model's architecture (attribute model_config)".into(),
            hint: Some(
                "this file holds weights alone: give the model's JSON, with this file as its weights".into(),
            ),
        });
    };
    let mut config = parse_json(config.as_bytes(), path)?;
    if let (Some(config), Some(version)) = (config.as_object_mut(), attribute("keras_version")?) {
        config.entry("keras_version").or_insert(version.into());
    }
    Model::parse(&config, path)
}

fn load_from(file: &hdf5::File, model: &Model) -> Result<Vec<Vec<Tensor>>> {
    let path = file.path();
    let root = file.root()?;
    if let Some(names) = legacy_weights::names(&root, "layer_names", path)? {
        return legacy_weights::load(&root, &names, model, path);
    }
    if let Some(group) = root.child("model_weights").map_err(|problem| problem.at(path))? {
        let names = legacy_weights::names(&group, "layer_names", path)?
            .ok_or_else(|| ZooError::malformed(path, "model_weights has no layer_names"))?;
        return legacy_weights::load(&group, &names, model, path);
    }
    match layered_weights::container(&root, path)? {
        Some(container) => layered_weights::load(&container, model, path),
        None => Err(ZooError::malformed(
            path,
            "no weights in a layout of Keras (neither layer_names, nor model_weights, nor layers)",
        )),
    }
}
