//! [`Architecture`] → a model's JSON.

use std::path::Path;

use pgdl_network::{Activation, Architecture, Layer, Padding, Pool, Source};
use serde_json::{Map, Value, json};

use super::Dialect;
use super::activation::{Form, form};
use crate::{Result, ZooError};

/// A model's JSON, and the layers in it in the order of their weights.
#[derive(Debug, Clone)]
pub struct Written {
    /// The JSON.
    pub json: Value,
    /// Every layer's name, and its node where it has one.
    pub layers: Vec<(String, Option<usize>)>,
}

/// PGDL's form of a sequential model. An activation that a constructor cannot take by name becomes a layer of its
/// own. Only arguments that differ from Keras's defaults are written, so that old versions read it, too.
///
/// # Errors
/// When the network is no chain of layers, or has an activation that Keras 2 has not; `path` names the file to be
/// written.
pub fn to_pgdl_json(architecture: &Architecture, path: &Path) -> Result<Written> {
    if !architecture.is_sequential() {
        return Err(ZooError::unsupported(
            path,
            "a network that is no chain of layers",
            "PGDL's form of sequential models",
        ));
    }
    let mut entries = Vec::new();
    let mut layers = Vec::new();
    for (index, node) in architecture.nodes.iter().enumerate() {
        let (class, arguments, activation) = describe(&node.layer, Dialect::Keras2, path)?;
        let mut push = |class: &str, arguments: Map<String, Value>| {
            let mut entry = Map::new();
            entry.insert("layer_name".into(), class.into());
            entry.extend(arguments);
            entries.push(Value::Object(entry));
        };
        match activation {
            Some(Form::Layer(activation, its_arguments)) => {
                push(class, arguments);
                push(activation, its_arguments);
                layers.push((node.name.clone(), Some(index)));
                layers.push((unused(architecture, &format!("{}_activation", node.name)), None));
            }
            Some(Form::Function(name)) => {
                let mut arguments = arguments;
                arguments.insert("activation".into(), name.into());
                push(class, arguments);
                layers.push((node.name.clone(), Some(index)));
            }
            None => {
                push(class, arguments);
                layers.push((node.name.clone(), Some(index)));
            }
        }
    }
    let json = json!({ "model_config": entries, "input_shape": architecture.input_shape });
    Ok(Written { json, layers })
}

/// What `to_json()` of that version of Keras gives, without the settings that do not matter to the function.
pub fn to_keras_json(architecture: &Architecture, dialect: Dialect, path: &Path) -> Result<Written> {
    let sequential = architecture.is_sequential();
    let mut batch_shape = vec![Value::Null];
    batch_shape.extend(architecture.input_shape.iter().map(|size| json!(size)));
    let shapes = architecture.shapes().map_err(|source| ZooError::network(path, source))?;
    let input = unused(architecture, "input");
    let entry = |class: &str, name: &str, mut config: Map<String, Value>| {
        config.insert("name".into(), name.into());
        let mut entry = Map::new();
        if dialect == Dialect::Keras3 {
            entry.insert("module".into(), "keras.layers".into());
            entry.insert("registered_name".into(), Value::Null);
        }
        entry.insert("class_name".into(), class.into());
        entry.insert("config".into(), config.into());
        entry
    };
    let shape_key = match dialect {
        Dialect::Keras2 => "batch_input_shape",
        Dialect::Keras3 => "batch_shape",
    };
    let mut config = Map::new();
    config.insert(shape_key.into(), batch_shape.clone().into());
    config.insert("dtype".into(), "float32".into());
    let mut first = entry("InputLayer", &input, config);
    if !sequential {
        first.insert("name".into(), input.as_str().into());
        first.insert("inbound_nodes".into(), json!([]));
    }
    let mut entries = vec![Value::Object(first)];
    let mut layers = Vec::new();
    let tensor = |source: &Source| {
        let (name, shape) = match source {
            Source::Input => (input.as_str(), &architecture.input_shape),
            Source::Node(node) => (architecture.nodes[*node].name.as_str(), &shapes[*node]),
        };
        match dialect {
            Dialect::Keras2 => json!([name, 0, 0, {}]),
            Dialect::Keras3 => {
                let mut batch = vec![Value::Null];
                batch.extend(shape.iter().map(|size| json!(size)));
                json!({
                    "class_name": "__keras_tensor__",
                    "config": { "shape": batch, "dtype": "float32", "keras_history": [name, 0, 0] },
                })
            }
        }
    };
    for (index, node) in architecture.nodes.iter().enumerate() {
        let (class, mut arguments, activation) = describe(&node.layer, dialect, path)?;
        match activation {
            Some(Form::Function(name)) => {
                arguments.insert("activation".into(), name.into());
            }
            Some(Form::Layer(class, config)) => {
                let name = format!("{}_activation", node.name);
                arguments.insert("activation".into(), entry(class, &name, config).into());
            }
            None => {}
        }
        let mut entry = entry(class, &node.name, arguments);
        if !sequential {
            let tensors: Vec<Value> = node.inputs.iter().map(tensor).collect();
            let inbound = match dialect {
                Dialect::Keras2 => json!([tensors]),
                Dialect::Keras3 if tensors.len() == 1 => json!([{ "args": tensors, "kwargs": {} }]),
                Dialect::Keras3 => json!([{ "args": [tensors], "kwargs": {} }]),
            };
            entry.insert("name".into(), node.name.as_str().into());
            entry.insert("inbound_nodes".into(), inbound);
        }
        entries.push(entry.into());
        layers.push((node.name.clone(), Some(index)));
    }
    let mut config = Map::new();
    config.insert("name".into(), "model".into());
    config.insert("layers".into(), entries.into());
    if !sequential {
        let output = architecture.nodes.last().map_or("", |node| node.name.as_str());
        let ends = |name: &str| match dialect {
            Dialect::Keras2 => json!([[name, 0, 0]]),
            Dialect::Keras3 => json!([name, 0, 0]),
        };
        config.insert("input_layers".into(), ends(&input));
        config.insert("output_layers".into(), ends(output));
    }
    let mut json = Map::new();
    if dialect == Dialect::Keras3 {
        let module = if sequential { "keras" } else { "keras.src.models.functional" };
        json.insert("module".into(), module.into());
        json.insert("registered_name".into(), Value::Null);
    }
    json.insert("class_name".into(), if sequential { "Sequential" } else { "Functional" }.into());
    json.insert("config".into(), config.into());
    match dialect {
        Dialect::Keras2 => {
            json.insert("keras_version".into(), "2.15.0".into());
            json.insert("backend".into(), "tensorflow".into());
        }
        Dialect::Keras3 => {
            json.insert("build_config".into(), json!({ "input_shape": batch_shape }));
        }
    }
    Ok(Written { json: json.into(), layers })
}

/// The name, or one like it that no node has.
fn unused(architecture: &Architecture, name: &str) -> String {
    let mut candidate = name.to_owned();
    while architecture.nodes.iter().any(|node| node.name == candidate) {
        candidate.push('_');
    }
    candidate
}

/// Arguments of a constructor, those that differ from the default.
#[derive(Default)]
struct Arguments(Map<String, Value>);

impl Arguments {
    fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    fn unless<T: PartialEq + Into<Value>>(self, key: &str, value: T, default: T) -> Self {
        if value == default { self } else { self.set(key, value) }
    }

    fn pair(self, key: &str, value: [i64; 2], default: [i64; 2]) -> Self {
        if value == default { self } else { self.set(key, value.to_vec()) }
    }

    fn padding(self, padding: Padding) -> Self {
        match padding {
            Padding::Valid => self,
            Padding::Same => self.set("padding", "same"),
        }
    }

    fn pool(pool: &Pool) -> Self {
        Arguments::default()
            .set("pool_size", pool.size.to_vec())
            .set("strides", pool.strides.to_vec())
            .padding(pool.padding)
    }
}

/// A layer's class, its arguments, and its fused activation unless that is linear.
fn describe(
    layer: &Layer,
    dialect: Dialect,
    path: &Path,
) -> Result<(&'static str, Map<String, Value>, Option<Form>)> {
    let new = Arguments::default;
    let one = [1, 1];
    let arguments = match layer {
        Layer::Conv2d(conv) => new()
            .set("filters", conv.filters)
            .set("kernel_size", conv.kernel.to_vec())
            .pair("strides", conv.strides, one)
            .padding(conv.padding)
            .pair("dilation_rate", conv.dilation, one)
            .unless("groups", conv.groups, 1)
            .unless("use_bias", conv.use_bias, true),
        Layer::DepthwiseConv2d(conv) => new()
            .set("kernel_size", conv.kernel.to_vec())
            .pair("strides", conv.strides, one)
            .padding(conv.padding)
            .pair("dilation_rate", conv.dilation, one)
            .unless("depth_multiplier", conv.depth_multiplier, 1)
            .unless("use_bias", conv.use_bias, true),
        Layer::SeparableConv2d(conv) => new()
            .set("filters", conv.filters)
            .set("kernel_size", conv.kernel.to_vec())
            .pair("strides", conv.strides, one)
            .padding(conv.padding)
            .pair("dilation_rate", conv.dilation, one)
            .unless("depth_multiplier", conv.depth_multiplier, 1)
            .unless("use_bias", conv.use_bias, true),
        Layer::Dense(dense) => new().set("units", dense.units).unless("use_bias", dense.use_bias, true),
        Layer::BatchNormalization { axis, scale, center, epsilon, momentum } => new()
            .unless("axis", *axis, -1)
            .unless("momentum", *momentum, 0.99)
            .unless("epsilon", *epsilon, 1e-3)
            .unless("center", *center, true)
            .unless("scale", *scale, true),
        Layer::LayerNormalization { axes, scale, center, epsilon } => new()
            .set("axis", axes.clone())
            .unless("epsilon", *epsilon, 1e-3)
            .unless("center", *center, true)
            .unless("scale", *scale, true),
        Layer::PRelu { shared_axes } => {
            if shared_axes.is_empty() {
                new()
            } else {
                new().set("shared_axes", shared_axes.clone())
            }
        }
        Layer::MaxPooling2d(pool) | Layer::AveragePooling2d(pool) => Arguments::pool(pool),
        Layer::GlobalAveragePooling2d { keepdims } | Layer::GlobalMaxPooling2d { keepdims } => {
            new().unless("keepdims", *keepdims, false)
        }
        Layer::Reshape { target } => new().set("target_shape", target.clone()),
        Layer::Permute { dims } => new().set("dims", dims.clone()),
        Layer::ZeroPadding2d { top, bottom, left, right } => {
            new().set("padding", json!([[top, bottom], [left, right]]))
        }
        Layer::Rescaling { scale, offset } => new().set("scale", *scale).unless("offset", *offset, 0.0),
        Layer::Dropout { rate }
        | Layer::SpatialDropout2d { rate }
        | Layer::AlphaDropout { rate }
        | Layer::GaussianDropout { rate } => new().set("rate", *rate),
        Layer::GaussianNoise { stddev } => new().set("stddev", *stddev),
        Layer::ActivityRegularization { l1, l2 } => new().set("l1", *l1).set("l2", *l2),
        Layer::Flatten | Layer::Add => new(),
        Layer::Activation(activation) => {
            return Ok(match form(*activation, dialect, path)? {
                Form::Function(name) => ("Activation", new().set("activation", name).0, None),
                Form::Layer(class, arguments) => (class, arguments, None),
            });
        }
        other => {
            return Err(ZooError::unsupported(path, format!("writing a layer {}", other.kind()), ""));
        }
    };
    let fused = match layer.activation() {
        None | Some(Activation::Linear) => None,
        Some(activation) => Some(form(activation, dialect, path)?),
    };
    Ok((layer.kind(), arguments.0, fused))
}
