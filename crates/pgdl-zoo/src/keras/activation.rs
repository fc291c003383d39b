//! Activations: functions by name, layers by class.

use std::path::Path;

use pgdl_network::Activation;
use serde_json::{Map, Value, json};

use super::Dialect;
use super::settings::Settings;
use crate::{Result, ZooError};

/// Classes of activation layers; each becomes an `Activation` node.
pub(super) const LAYERS: [&str; 4] = ["ReLU", "LeakyReLU", "ELU", "Softmax"];

/// Names of activation functions that can be read.
const FUNCTIONS: [&str; 22] = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "softplus",
    "softsign",
    "swish",
    "silu",
    "hard_swish",
    "hard_silu",
    "mish",
    "exponential",
    "softmax",
    "log_softmax",
    "identity",
    "None",
];

impl Dialect {
    /// Slope of `hard_sigmoid`, which differs between the two versions.
    fn hard_sigmoid_slope(self) -> f64 {
        match self {
            Dialect::Keras2 => 0.2,
            Dialect::Keras3 => 1.0 / 6.0,
        }
    }
}

fn function(name: &str, dialect: Dialect) -> Option<Activation> {
    Some(match name {
        "linear" | "identity" | "None" => Activation::Linear,
        "relu" => Activation::Relu,
        "relu6" => Activation::Relu6,
        "leaky_relu" => Activation::LeakyRelu { slope: 0.2 },
        "elu" => Activation::Elu { alpha: 1.0 },
        "selu" => Activation::Selu,
        "gelu" => Activation::Gelu { approximate: false },
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "hard_sigmoid" => Activation::HardSigmoid { slope: dialect.hard_sigmoid_slope() },
        "softplus" => Activation::Softplus,
        "softsign" => Activation::Softsign,
        "swish" | "silu" => Activation::Swish,
        "hard_swish" | "hard_silu" => Activation::HardSwish,
        "mish" => Activation::Mish,
        "exponential" => Activation::Exponential,
        "softmax" => Activation::Softmax,
        "log_softmax" => Activation::LogSoftmax,
        _ => return None,
    })
}

/// The `activation` setting of a layer: a function's name, or an activation layer as an object. `rank` counts the
/// axes of the layer's output, batch included.
pub(super) fn fused(settings: &Settings<'_>, rank: usize) -> Result<Activation> {
    let value = match settings.get("activation") {
        None => return Ok(Activation::Linear),
        Some(value) => value,
    };
    let unsupported = || settings.unsupported("activation", &FUNCTIONS.join(", "));
    let name = match value {
        Value::String(name) => name.as_str(),
        Value::Object(object) => {
            let class = object.get("class_name").and_then(Value::as_str).unwrap_or_default();
            let empty = Map::new();
            match object.get("config") {
                // A function, as Keras 3 registers it.
                Some(Value::String(name)) => name.as_str(),
                config => {
                    let values = config.and_then(Value::as_object).unwrap_or(&empty);
                    let inner = Settings { class, values, ..*settings };
                    return match layer(&inner, rank)? {
                        Some(activation) => Ok(activation),
                        None if class == "Activation" => fused(&inner, rank),
                        None => Err(unsupported()),
                    };
                }
            }
        }
        _ => return Err(unsupported()),
    };
    function(name, settings.dialect).ok_or_else(unsupported)
}

/// An activation layer; `None` where the class is not one of [`LAYERS`].
pub(super) fn layer(settings: &Settings<'_>, rank: usize) -> Result<Option<Activation>> {
    let activation = match settings.class {
        "ReLU" => {
            let max_value = settings.number_or_none("max_value")?;
            let negative_slope = settings.number("negative_slope", 0.0)?;
            let threshold = settings.number("threshold", 0.0)?;
            match (max_value, negative_slope == 0.0 && threshold == 0.0) {
                (None, true) => Activation::Relu,
                (Some(6.0), true) => Activation::Relu6,
                _ => Activation::GeneralRelu { max_value, negative_slope, threshold },
            }
        }
        "LeakyReLU" => {
            // Keras 3 renamed the setting.
            let slope = match settings.number_or_none("negative_slope")? {
                Some(slope) => slope,
                None => settings.number("alpha", 0.3)?,
            };
            Activation::LeakyRelu { slope }
        }
        "ELU" => Activation::Elu { alpha: settings.number("alpha", 1.0)? },
        "Softmax" => {
            let last = rank as i64 - 1;
            match settings.integers("axis")?.as_deref() {
                None | Some([-1]) => {}
                Some([axis]) if *axis == last => {}
                Some(_) => return Err(settings.unsupported("axis", "-1")),
            }
            Activation::Softmax
        }
        _ => return Ok(None),
    };
    Ok(Some(activation))
}

/// How an activation is written.
pub(super) enum Form {
    /// A function's name.
    Function(&'static str),
    /// A layer's class with its constructor's arguments.
    Layer(&'static str, Map<String, Value>),
}

/// The form in which `activation` is written, for a fused setting or a layer of its own. `path` is the file to be
/// written.
pub(super) fn form(activation: Activation, dialect: Dialect, path: &Path) -> Result<Form> {
    let layer = |class, value: Value| match value {
        Value::Object(arguments) => Ok(Form::Layer(class, arguments)),
        _ => Ok(Form::Layer(class, Map::new())),
    };
    let unsupported = |name: &str| {
        let what = format!("activation {name} in a model of {dialect}");
        Err(ZooError::unsupported(path, what, "what both versions of Keras have"))
    };
    Ok(Form::Function(match activation {
        Activation::Linear => "linear",
        Activation::Relu => "relu",
        Activation::Selu => "selu",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Softplus => "softplus",
        Activation::Softsign => "softsign",
        Activation::Swish => "swish",
        Activation::Exponential => "exponential",
        Activation::Softmax => "softmax",
        Activation::Elu { alpha: 1.0 } => "elu",
        Activation::Elu { alpha } => return layer("ELU", json!({ "alpha": alpha })),
        Activation::Relu6 => return layer("ReLU", json!({ "max_value": 6.0 })),
        Activation::GeneralRelu { max_value, negative_slope, threshold } => {
            return layer(
                "ReLU",
                json!({ "max_value": max_value, "negative_slope": negative_slope, "threshold": threshold }),
            );
        }
        Activation::LeakyRelu { slope } => {
            return match dialect {
                Dialect::Keras2 => layer("LeakyReLU", json!({ "alpha": slope })),
                Dialect::Keras3 => layer("LeakyReLU", json!({ "negative_slope": slope })),
            };
        }
        Activation::Gelu { approximate: false } => "gelu",
        Activation::Mish => "mish",
        Activation::HardSwish if dialect == Dialect::Keras3 => "hard_silu",
        Activation::LogSoftmax if dialect == Dialect::Keras3 => "log_softmax",
        Activation::HardSigmoid { slope } if slope == dialect.hard_sigmoid_slope() => "hard_sigmoid",
        other => return unsupported(&format!("{other:?}")),
    }))
}
