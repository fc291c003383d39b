//! A whole model's JSON → [`Architecture`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use pgdl_network::{Architecture, Node, Source};
use serde_json::{Map, Value};

use super::layer::{canonical_class, parse};
use super::settings::{Settings, as_integer};
use crate::{Result, ZooError};

/// Which Keras a model is meant for. They differ in a few names and in one activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Keras 2: `tf.keras` up to TensorFlow 2.15, and `tf_keras`.
    Keras2,
    /// Keras 3.
    Keras3,
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Dialect::Keras2 => "Keras 2",
            Dialect::Keras3 => "Keras 3",
        })
    }
}

/// An architecture, and its layers as the file lists them.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network's graph; a final softmax is taken off.
    pub architecture: Architecture,
    /// The file's layers in the file's order, which is the order of weights in the legacy layout.
    pub layers: Vec<LayerRecord>,
}

/// A layer as a file lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecord {
    /// Its name in the file, or that of its node where the file gives none.
    pub name: String,
    /// Its Keras class.
    pub class: String,
    /// Its node; `None` for inputs, and for a final softmax that was taken off.
    pub node: Option<usize>,
}

impl Model {
    /// Reads a model's JSON: PGDL's form, or that of Keras 2 or 3 (`Sequential`, or `Functional` with one input and
    /// one output). Errors name `path`.
    pub fn parse(value: &Value, path: &Path) -> Result<Model> {
        let object = value.as_object().ok_or_else(|| ZooError::malformed(path, "not a JSON object"))?;
        if object.contains_key("model_config") {
            return pgdl(object, path);
        }
        let class = object.get("class_name").and_then(Value::as_str).unwrap_or_default();
        match (class, object.get("config")) {
            // Keras before 2.2.3 listed a Sequential's layers without anything around them.
            ("Sequential", Some(Value::Array(layers))) => sequential(layers, object, &Map::new(), path),
            ("Sequential", Some(Value::Object(config))) => {
                sequential(list(config, "layers", path)?, object, config, path)
            }
            ("Functional" | "Model", Some(Value::Object(config))) => functional(object, config, path),
            ("", _) => Err(ZooError::malformed(
                path,
                "neither PGDL's form of a model (`model_config`, `input_shape`) nor Keras's (`class_name`, `config`)",
            )),
            _ => Err(ZooError::unsupported(
                path,
                format!("a model of class {class}"),
                "Sequential, Functional",
            )),
        }
    }

    fn finish(architecture: Architecture, mut layers: Vec<LayerRecord>) -> Model {
        let architecture = architecture.strip_softmax();
        let nodes = architecture.nodes.len();
        for layer in &mut layers {
            layer.node = layer.node.filter(|node| *node < nodes);
        }
        Model { architecture, layers }
    }
}

fn list<'a>(object: &'a Map<String, Value>, key: &str, path: &Path) -> Result<&'a [Value]> {
    match object.get(key) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(ZooError::malformed(path, format!("`{key}` is not a list"))),
    }
}

fn pgdl(object: &Map<String, Value>, path: &Path) -> Result<Model> {
    let shape =
        object.get("input_shape").ok_or_else(|| ZooError::malformed(path, "`input_shape` is missing"))?;
    let mut builder = Builder::new(sizes(shape, path)?, Dialect::Keras2, path);
    for (position, layer) in list(object, "model_config", path)?.iter().enumerate() {
        let layer = layer.as_object().ok_or_else(|| not_a_layer(path, position))?;
        let class =
            layer.get("layer_name").and_then(Value::as_str).ok_or_else(|| not_a_layer(path, position))?;
        let class = class.rsplit('.').next().unwrap_or(class);
        match class {
            "InputLayer" => builder.record_input(layer, class),
            _ => {
                let input = builder.previous();
                builder.add(class, layer, &[input])?;
            }
        }
    }
    builder.finish()
}

fn not_a_layer(path: &Path, position: usize) -> ZooError {
    ZooError::malformed(path, format!("entry {position} of the layers is no layer"))
}

/// A Keras layer's entry: its class and its settings.
fn entry<'a>(value: &'a Value, position: usize, path: &Path) -> Result<(&'a str, &'a Map<String, Value>)> {
    let class = value.get("class_name").and_then(Value::as_str);
    let config = value.get("config").and_then(Value::as_object);
    class.zip(config).ok_or_else(|| not_a_layer(path, position))
}

/// Keras 3 renamed `batch_input_shape`, and writes data types as objects.
fn dialect(layers: &[Value], object: &Map<String, Value>) -> Dialect {
    if let Some(version) = object.get("keras_version").and_then(Value::as_str) {
        return if version.starts_with('3') { Dialect::Keras3 } else { Dialect::Keras2 };
    }
    let three = layers.iter().filter_map(|layer| layer.get("config")).any(|config| {
        config.get("batch_shape").is_some() || config.get("dtype").is_some_and(Value::is_object)
    });
    if three { Dialect::Keras3 } else { Dialect::Keras2 }
}

/// The shape that an input layer, or in Keras 2 any first layer, takes; with the batch's axis first.
fn batch_shape(config: &Map<String, Value>) -> Option<&Value> {
    config.get("batch_shape").or_else(|| config.get("batch_input_shape")).filter(|shape| !shape.is_null())
}

fn sequential(
    layers: &[Value],
    object: &Map<String, Value>,
    config: &Map<String, Value>,
    path: &Path,
) -> Result<Model> {
    let first = layers.first().map(|layer| entry(layer, 0, path)).transpose()?;
    let shape = first
        .and_then(|(_, config)| batch_shape(config))
        .or_else(|| config.get("build_input_shape").filter(|shape| !shape.is_null()))
        .or_else(|| object.get("build_config").and_then(|build| build.get("input_shape")))
        .ok_or_else(|| {
            ZooError::malformed(path, "the model's input shape is missing (it was never built)")
        })?;
    let mut builder = Builder::new(without_batch(shape, path)?, dialect(layers, object), path);
    for (position, layer) in layers.iter().enumerate() {
        let (class, config) = entry(layer, position, path)?;
        match class {
            "InputLayer" => builder.record_input(config, class),
            _ => {
                let input = builder.previous();
                builder.add(class, config, &[input])?;
            }
        }
    }
    builder.finish()
}

/// A use of a layer in a functional model: its name, and which of its uses.
type Use = (String, usize);

fn functional(object: &Map<String, Value>, config: &Map<String, Value>, path: &Path) -> Result<Model> {
    let layers = list(config, "layers", path)?;
    let mut input: Option<(&str, &Value)> = None;
    // Every use of a layer, with the layer's place in the list and what it reads.
    let mut uses: Vec<(Use, usize, Vec<Use>)> = Vec::new();
    for (position, layer) in layers.iter().enumerate() {
        let (class, config) = entry(layer, position, path)?;
        let name = name_of(layer, config).ok_or_else(|| not_a_layer(path, position))?;
        if class == "InputLayer" {
            let shape = batch_shape(config)
                .ok_or_else(|| ZooError::malformed(path, format!("input {name} has no shape")))?;
            if input.replace((name, shape)).is_some() {
                return Err(ZooError::unsupported(path, "a model with several inputs", "one input"));
            }
            continue;
        }
        for (index, node) in list_or_empty(layer.get("inbound_nodes")).iter().enumerate() {
            let mut reads = Vec::new();
            tensors(node, &mut reads);
            uses.push(((name.to_owned(), index), position, reads));
        }
    }
    let (input, shape) = input.ok_or_else(|| ZooError::malformed(path, "the model has no input layer"))?;
    let output = single_output(config.get("output_layers"), path)?;
    let mut builder = Builder::new(without_batch(shape, path)?, dialect(layers, object), path);
    let mut sources: HashMap<Use, Source> = HashMap::from([((input.to_owned(), 0), Source::Input)]);
    let mut used_layers: HashSet<usize> = HashSet::new();
    // Uses in the order of the file, each as soon as all it reads is there.
    let mut waiting = uses;
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for (this, position, reads) in waiting {
            let inputs: Option<Vec<Source>> = reads.iter().map(|read| sources.get(read).copied()).collect();
            let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else {
                later.push((this, position, reads));
                continue;
            };
            let (class, config) = entry(&layers[position], position, path)?;
            let class = operation(class, config);
            let named;
            let config = if config.contains_key("name") {
                config
            } else {
                named = with_name(config, &this.0);
                &named
            };
            let shared = !used_layers.insert(position);
            let node = builder.add_use(class, config, &inputs, shared.then_some(this.1))?;
            sources.insert(this, Source::Node(node));
        }
        waiting = later;
        if waiting.len() == before {
            let names: Vec<&str> = waiting.iter().map(|((name, _), ..)| name.as_str()).collect();
            return Err(ZooError::malformed(
                path,
                format!("layers read what is not there: {}", names.join(", ")),
            ));
        }
    }
    match sources.get(&output) {
        Some(Source::Node(node)) if node + 1 == builder.nodes.len() => {}
        Some(_) => {
            return Err(ZooError::malformed(path, format!("output {} is not the last layer", output.0)));
        }
        None => return Err(ZooError::malformed(path, format!("there is no output {}", output.0))),
    }
    // The records were made in the order of use; the weights follow the order of the list.
    let mut order: HashMap<String, usize> = HashMap::new();
    for (position, layer) in layers.iter().enumerate() {
        if let Some(name) =
            layer.get("config").and_then(Value::as_object).and_then(|config| name_of(layer, config))
        {
            order.insert(name.to_owned(), position);
        }
    }
    builder.layers.sort_by_key(|record| order.get(&record.name).copied().unwrap_or(usize::MAX));
    builder.finish()
}

/// The operators `+` of both versions are additions.
fn operation<'a>(class: &'a str, config: &Map<String, Value>) -> &'a str {
    let function = config.get("function").and_then(Value::as_str);
    match (class, function) {
        ("TFOpLambda", Some("__operators__.add" | "math.add")) => "Add",
        _ => class,
    }
}

fn with_name(config: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let mut config = config.clone();
    config.insert("name".into(), name.into());
    config
}

fn name_of<'a>(layer: &'a Value, config: &'a Map<String, Value>) -> Option<&'a str> {
    layer.get("name").or_else(|| config.get("name")).and_then(Value::as_str)
}

fn list_or_empty(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

/// Collects the tensors that a use of a layer reads, wherever they stand in its arguments: as
/// `["name", use, output, …]` in Keras 2, as objects with a `keras_history` in Keras 3.
fn tensors(value: &Value, reads: &mut Vec<Use>) {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), Value::Number(node), Value::Number(_), rest @ ..] => {
                let node = node.as_u64().map_or(usize::MAX, |node| node as usize);
                reads.push((name.clone(), node));
                rest.iter().for_each(|rest| tensors(rest, reads));
            }
            items => items.iter().for_each(|item| tensors(item, reads)),
        },
        Value::Object(object) => match object.get("config").and_then(|config| config.get("keras_history")) {
            Some(history) => tensors(history, reads),
            None => object.values().for_each(|value| tensors(value, reads)),
        },
        _ => {}
    }
}

fn single_output(value: Option<&Value>, path: &Path) -> Result<Use> {
    let mut outputs = Vec::new();
    if let Some(value) = value {
        tensors(value, &mut outputs);
    }
    match outputs.as_slice() {
        [output] => Ok(output.clone()),
        _ => {
            Err(ZooError::unsupported(path, format!("a model with {} outputs", outputs.len()), "one output"))
        }
    }
}

fn without_batch(shape: &Value, path: &Path) -> Result<Vec<i64>> {
    // A functional model may wrap the shape of its only input.
    let shape = match shape {
        Value::Array(items) if items.len() == 1 && items[0].is_array() => &items[0],
        other => other,
    };
    match shape {
        Value::Array(items) if items.len() > 1 => sizes(&Value::Array(items[1..].to_vec()), path),
        _ => Err(ZooError::malformed(path, format!("{shape} is no shape of a batch"))),
    }
}

fn sizes(value: &Value, path: &Path) -> Result<Vec<i64>> {
    let Value::Array(items) = value else {
        return Err(ZooError::malformed(path, format!("{value} is no shape")));
    };
    if items.iter().any(Value::is_null) {
        return Err(ZooError::unsupported(
            path,
            format!("an input of open size ({value})"),
            "a fixed input shape",
        ));
    }
    let sizes: Option<Vec<i64>> = items.iter().map(as_integer).collect();
    sizes.ok_or_else(|| ZooError::malformed(path, format!("{value} is no shape")))
}

/// Puts nodes together, in order.
struct Builder<'a> {
    path: &'a Path,
    dialect: Dialect,
    input_shape: Vec<i64>,
    nodes: Vec<Node>,
    /// Every node's output shape, without the batch.
    shapes: Vec<Vec<i64>>,
    /// The file's layers, in the order in which they were added.
    layers: Vec<LayerRecord>,
    /// Names of nodes, each with how often a name like it was wanted.
    names: HashMap<String, usize>,
}

impl<'a> Builder<'a> {
    fn new(input_shape: Vec<i64>, dialect: Dialect, path: &'a Path) -> Self {
        let (nodes, shapes, layers, names) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Builder { path, dialect, input_shape, nodes, shapes, layers, names }
    }

    /// What a sequential model's next layer reads.
    fn previous(&self) -> Source {
        match self.nodes.len() {
            0 => Source::Input,
            count => Source::Node(count - 1),
        }
    }

    fn record_input(&mut self, config: &Map<String, Value>, class: &str) {
        let name = config.get("name").and_then(Value::as_str).unwrap_or("input").to_owned();
        self.layers.push(LayerRecord { name, class: class.to_owned(), node: None });
    }

    fn add(&mut self, class: &str, config: &Map<String, Value>, inputs: &[Source]) -> Result<usize> {
        self.add_use(class, config, inputs, None)
    }

    /// Adds a layer, or, for a `further_use`, a layer that is there already and may not have weights.
    fn add_use(
        &mut self,
        class: &str,
        config: &Map<String, Value>,
        inputs: &[Source],
        further_use: Option<usize>,
    ) -> Result<usize> {
        let class = canonical_class(class);
        let index = self.nodes.len();
        let given = config.get("name").and_then(Value::as_str);
        let name = match (given, further_use) {
            (Some(name), Some(index)) => self.unique(&format!("{name}@{index}")),
            (Some(name), None) => self.unique(name),
            (None, _) => self.unique(&snake_case(class)),
        };
        let shapes: Vec<Vec<i64>> = inputs
            .iter()
            .map(|source| match source {
                Source::Input => self.input_shape.clone(),
                Source::Node(node) => self.shapes.get(*node).cloned().unwrap_or_default(),
            })
            .collect();
        let rank = shapes.first().map_or(1, |shape| shape.len() + 1);
        let position = format!("{name} (number {})", index + 1);
        let layer = given.unwrap_or(&position);
        let settings = Settings { path: self.path, layer, class, values: config, dialect: self.dialect };
        let layer = parse(&settings, rank)?;
        let network_error = |source| ZooError::network(self.path, source);
        let error_at = |error: pgdl_network::NetworkError| match error {
            pgdl_network::NetworkError::Layer { layer, reason } => {
                network_error(pgdl_network::NetworkError::Layer {
                    layer: format!("`{name}` ({layer})"),
                    reason,
                })
            }
            other => network_error(other),
        };
        let shape = layer.output_shape(&shapes).map_err(error_at)?;
        if further_use.is_some() && !layer.parameters(&shapes).map_err(error_at)?.is_empty() {
            return Err(ZooError::unsupported(
                self.path,
                format!("layer {name}: weights that are used twice"),
                "shared layers without weights",
            ));
        }
        if further_use.is_none() {
            let name = given.unwrap_or(&name).to_owned();
            self.layers.push(LayerRecord { name, class: class.to_owned(), node: Some(index) });
        }
        self.nodes.push(Node { name, layer, inputs: inputs.to_vec() });
        self.shapes.push(shape);
        Ok(index)
    }

    /// The name, or the name with the first number that makes it new, as Keras counts.
    fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        while self.names.contains_key(&candidate) {
            let count = self.names.entry(name.to_owned()).or_insert(0);
            *count += 1;
            candidate = format!("{name}_{count}");
        }
        self.names.insert(candidate.clone(), 0);
        candidate
    }

    fn finish(self) -> Result<Model> {
        let architecture = Architecture::graph(self.input_shape, self.nodes)
            .map_err(|source| ZooError::network(self.path, source))?;
        Ok(Model::finish(architecture, self.layers))
    }
}

/// Keras's group name for a class: an underscore before a capital that begins a word (`PReLU` → `p_re_lu`).
pub(super) fn snake_case(class: &str) -> String {
    let characters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut name = String::with_capacity(class.len() + 4);
    for (index, &character) in characters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(index + 1);
        // First pass of Keras: before a capital that a small letter follows. Second: between small and capital.
        let starts_word = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                after.is_some_and(char::is_ascii_lowercase) || before.is_ascii_lowercase()
            });
        if starts_word && before != Some('_') {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn group_names_are_those_of_keras() {
        // Made with keras.src.utils.naming.to_snake_case.
        let expected = [
            ("Conv2D", "conv2d"),
            ("PReLU", "p_re_lu"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("ELU", "elu"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("ZeroPadding2D", "zero_padding2d"),
            ("BatchNormalization", "batch_normalization"),
            ("InputLayer", "input_layer"),
            ("Add", "add"),
            ("SpatialDropout2D", "spatial_dropout2d"),
        ];
        for (class, name) in expected {
            assert_eq!(snake_case(class), name);
        }
    }
}
