//! Weights in the layout of `.weights.h5` and `.keras`: `layers/<class>_<count>/vars/<number>`.
//!
//! Groups are named after the layers' classes, counted in the model's order, because layers' own names differ from
//! one instance of a model to the next.

use std::collections::HashMap;
use std::path::Path;

use tch::Tensor;

use super::Model;
use super::legacy_weights::read_tensor;
use super::model::snake_case;
use crate::hdf5::Object;
use crate::{Result, ZooError};

/// Names of the group of layers, the second in versions 2.12 and 2.13.
const CONTAINERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The group of layers, where the file has this layout.
pub(super) fn container<'f>(root: &Object<'f>, path: &Path) -> Result<Option<Object<'f>>> {
    for name in CONTAINERS {
        if let Some(container) = root.child(name).map_err(|problem| problem.at(path))? {
            return Ok(Some(container));
        }
    }
    Ok(None)
}

/// The layers' tensors, node by node.
pub(super) fn load(container: &Object<'_>, model: &Model, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    let specs = model.architecture.parameter_specs().map_err(|source| ZooError::network(path, source))?;
    let mut tensors: Vec<Vec<Tensor>> = specs.iter().map(|_| Vec::new()).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for layer in &model.layers {
        let base = snake_case(&layer.class);
        let count = counts.entry(base.clone()).or_insert(0);
        let group = if *count == 0 { base } else { format!("{base}_{count}") };
        *count += 1;
        let Some((node, specs)) = layer.node.and_then(|node| Some((node, specs.get(node)?))) else {
            continue;
        };
        if specs.is_empty() {
            continue;
        }
        let child = |name: &str| container.child(name).map_err(|problem| problem.at(path));
        let Some(vars) = child(&format!("{group}/vars"))? else {
            return Err(ZooError::malformed(
                path,
                format!("no group {group} for the weights of layer {}", layer.name),
            ));
        };
        let found = vars.children().map_err(|problem| problem.at(path))?.count();
        if found != specs.len() {
            return Err(ZooError::malformed(
                path,
                format!("{} holds {found} arrays, but layer {} has {}", vars.name(), layer.name, specs.len()),
            ));
        }
        for (index, spec) in specs.iter().enumerate() {
            let Some(array) = vars.child(&index.to_string()).map_err(|problem| problem.at(path))? else {
                return Err(ZooError::malformed(path, format!("{} has no array {index}", vars.name())));
            };
            tensors[node].push(read_tensor(&array, spec, &layer.name, path)?);
        }
    }
    Ok(tensors)
}
