//! Weights in Keras's legacy layout: attribute `layer_names`, per layer a group with `weight_names`.

use std::path::Path;

use pgdl_network::{Network, ParameterSpec};
use tch::Tensor;

use super::{Model, Written};
use crate::atomic_file::write_file;
use crate::hdf5::{Array, Attribute, Group, Node, Object, Problem, Storage, write};
use crate::tensor_memory;
use crate::{Result, ZooError};

/// Keras's bound for one attribute; a longer list is split over `name0`, `name1`, …
const LONGEST_ATTRIBUTE: usize = 64_512;

/// The version of Keras that the files we write follow.
const KERAS_VERSION: &str = "2.15.0";

/// A list of strings that may be split over several attributes.
pub(super) fn names(group: &Object<'_>, attribute: &str, path: &Path) -> Result<Option<Vec<String>>> {
    let strings = |name: &str| group.strings(name).map_err(|problem| problem.at(path));
    if let Some(names) = strings(attribute)? {
        return Ok(Some(names));
    }
    let mut all: Option<Vec<String>> = None;
    for part in 0.. {
        match strings(&format!("{attribute}{part}"))? {
            Some(names) => all.get_or_insert_default().extend(names),
            None => break,
        }
    }
    Ok(all)
}

/// The layers' tensors, node by node. Layers are matched by their order, never by name; those without weights are
/// passed over on both sides.
pub(super) fn load(
    group: &Object<'_>,
    layer_names: &[String],
    model: &Model,
    path: &Path,
) -> Result<Vec<Vec<Tensor>>> {
    let specs = model.architecture.parameter_specs().map_err(|source| ZooError::network(path, source))?;
    let mut stored = Vec::new();
    for layer in layer_names {
        let Some(object) = group.child(layer).map_err(|problem| problem.at(path))? else {
            return Err(ZooError::malformed(path, format!("layer {layer} is listed, but not there")));
        };
        let weights = names(&object, "weight_names", path)?
            .ok_or_else(|| ZooError::malformed(path, format!("layer {layer} has no weight_names")))?;
        if !weights.is_empty() {
            stored.push((layer, object, weights));
        }
    }
    let expected: Vec<_> = model
        .layers
        .iter()
        .filter_map(|layer| layer.node.map(|node| (layer, node)))
        .filter(|(_, node)| specs.get(*node).is_some_and(|specs| !specs.is_empty()))
        .collect();
    if stored.len() != expected.len() {
        return Err(ZooError::malformed(
            path,
            format!(
                "weights of {} layers, but the architecture has {} layers with weights",
                stored.len(),
                expected.len()
            ),
        ));
    }
    let mut tensors: Vec<Vec<Tensor>> = specs.iter().map(|_| Vec::new()).collect();
    for ((layer, object, weights), (record, node)) in stored.iter().zip(expected) {
        let specs = &specs[node];
        if weights.len() != specs.len() {
            return Err(ZooError::malformed(
                path,
                format!(
                    "layer {layer} holds {} arrays, but {} has {}",
                    weights.len(),
                    record.name,
                    specs.len()
                ),
            ));
        }
        for (name, spec) in weights.iter().zip(specs) {
            let Some(object) = object.child(name).map_err(|problem| problem.at(path))? else {
                return Err(ZooError::malformed(
                    path,
                    format!("layer {layer}: array {name} is listed, but not there"),
                ));
            };
            tensors[node].push(read_tensor(&object, spec, &record.name, path)?);
        }
    }
    Ok(tensors)
}

/// Reads an array into a tensor's own memory, once its shape is the expected one and the file can hold it.
pub(super) fn read_tensor(
    object: &Object<'_>,
    spec: &ParameterSpec,
    layer: &str,
    path: &Path,
) -> Result<Tensor> {
    let problem = |problem: Problem| problem.at(path);
    let dataset = object.dataset().map_err(problem)?;
    let same = dataset.shape().len() == spec.shape.len()
        && dataset
            .shape()
            .iter()
            .zip(&spec.shape)
            .all(|(found, expected)| i64::try_from(*found) == Ok(*expected));
    if !same {
        return Err(ZooError::malformed(
            path,
            format!(
                "{} has shape {:?}, but {} of layer {layer} has shape {:?}",
                object.name(),
                dataset.shape(),
                spec.name,
                spec.shape
            ),
        ));
    }
    dataset.check_storage().map_err(problem)?;
    tensor_memory::filled(&spec.shape, |values: &mut [f32]| {
        dataset.read_f32(values).map_err(problem)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => Err(ZooError::malformed(
                path,
                format!("{} of layer {layer} ({}): value {at} is {}", spec.name, object.name(), values[at]),
            )),
        }
    })
}

/// Writes a network's weights as Keras's `save_weights("….hdf5")` does, in full or not at all. Layers are named as
/// their nodes.
pub fn write_weights(path: &Path, network: &Network, storage: Storage) -> Result<()> {
    let nodes = &network.architecture().nodes;
    let layers: Vec<_> =
        nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), Some(index))).collect();
    write_layers(path, network, &layers, storage)
}

/// The same for the layers of an architecture that was written before, and may have layers of its own for
/// activations.
pub fn write_weights_named(
    path: &Path,
    network: &Network,
    written: &Written,
    storage: Storage,
) -> Result<()> {
    write_layers(path, network, &written.layers, storage)
}

fn write_layers(
    path: &Path,
    network: &Network,
    layers: &[(String, Option<usize>)],
    storage: Storage,
) -> Result<()> {
    let specs = network.architecture().parameter_specs().map_err(|source| ZooError::network(path, source))?;
    // A slash would make a group inside a group.
    let names: Vec<String> = layers.iter().map(|(name, _)| name.replace('/', "_")).collect();
    let values: Vec<Vec<Vec<f32>>> = network
        .weights()
        .iter()
        .map(|tensors| {
            tensors.iter().map(|tensor| tensor_memory::with_elements(tensor, <[f32]>::to_vec)).collect()
        })
        .collect::<Result<_>>()?;
    let mut root = Group { attributes: attributes("layer_names", &names), members: Vec::new() };
    root.attributes.push(("backend".into(), Attribute::Text("tensorflow".into())));
    root.attributes.push(("keras_version".into(), Attribute::Text(KERAS_VERSION.into())));
    for ((_, node), name) in layers.iter().zip(&names) {
        let mut weight_names = Vec::new();
        let mut arrays = Group::default();
        let parts = node.map(|node| (&specs[node], &values[node]));
        for (spec, values) in parts.into_iter().flat_map(|(specs, values)| specs.iter().zip(values)) {
            let shape = spec.shape.iter().map(|size| *size as u64).collect();
            weight_names.push(format!("{name}/{}:0", spec.name));
            arrays.members.push((format!("{}:0", spec.name), Node::Array(Array { shape, values })));
        }
        let mut layer = Group { attributes: attributes("weight_names", &weight_names), members: Vec::new() };
        if !weight_names.is_empty() {
            layer.members.push((name.clone(), Node::Group(arrays)));
        }
        root.members.push((name.clone(), Node::Group(layer)));
    }
    write_file(path, |file| write(&root, storage, file).map_err(|problem| problem.at(path)))
}

/// A list of names as one attribute, or as several where one would be too long.
fn attributes(name: &str, names: &[String]) -> Vec<(String, Attribute)> {
    // Strings of fixed length: each takes as much room as the longest.
    let width = names.iter().map(String::len).max().unwrap_or(0).max(1);
    let per_attribute = (LONGEST_ATTRIBUTE / width).max(1);
    if names.len() <= per_attribute {
        return vec![(name.to_owned(), Attribute::Texts(names.to_vec()))];
    }
    let parts = names.chunks(per_attribute).enumerate();
    parts.map(|(part, names)| (format!("{name}{part}"), Attribute::Texts(names.to_vec()))).collect()
}
