//! One layer's class and settings → [`Layer`].

use pgdl_network::{Conv2d, Dense, DepthwiseConv2d, Layer, Padding, Pool, SeparableConv2d};
use serde_json::{Value, json};

use super::activation;
use super::settings::{Settings, as_integer};
use crate::{Result, ZooError};

/// The name under which a class is saved, for one of the names `keras.layers` has it under.
pub(super) fn canonical_class(class: &str) -> &str {
    match class {
        "Convolution2D" => "Conv2D",
        "DepthwiseConvolution2D" => "DepthwiseConv2D",
        "SeparableConvolution2D" => "SeparableConv2D",
        "MaxPool2D" => "MaxPooling2D",
        "AvgPool2D" => "AveragePooling2D",
        "GlobalAvgPool2D" => "GlobalAveragePooling2D",
        "GlobalMaxPool2D" => "GlobalMaxPooling2D",
        "BatchNormalizationV1" | "BatchNormalizationV2" | "SyncBatchNormalization" => "BatchNormalization",
        other => other,
    }
}

/// Reads one layer. `rank` counts the axes of its input, batch included.
pub(super) fn parse(settings: &Settings<'_>, rank: usize) -> Result<Layer> {
    let class = canonical_class(settings.class);
    if let Some(activation) = activation::layer(&Settings { class, ..*settings }, rank)? {
        return Ok(Layer::Activation(activation));
    }
    Ok(match class {
        "Conv2D" => {
            settings.channels_last()?;
            Layer::Conv2d(Conv2d {
                filters: settings.integer("filters", None)?,
                kernel: settings.pair("kernel_size", None)?,
                strides: settings.pair("strides", Some([1, 1]))?,
                padding: padding(settings)?,
                dilation: settings.pair("dilation_rate", Some([1, 1]))?,
                groups: settings.integer("groups", Some(1))?,
                use_bias: settings.boolean("use_bias", true)?,
                activation: activation::fused(settings, rank)?,
            })
        }
        "DepthwiseConv2D" => {
            settings.channels_last()?;
            Layer::DepthwiseConv2d(DepthwiseConv2d {
                kernel: settings.pair("kernel_size", None)?,
                strides: settings.pair("strides", Some([1, 1]))?,
                padding: padding(settings)?,
                dilation: settings.pair("dilation_rate", Some([1, 1]))?,
                depth_multiplier: settings.integer("depth_multiplier", Some(1))?,
                use_bias: settings.boolean("use_bias", true)?,
                activation: activation::fused(settings, rank)?,
            })
        }
        "SeparableConv2D" => {
            settings.channels_last()?;
            Layer::SeparableConv2d(SeparableConv2d {
                filters: settings.integer("filters", None)?,
                kernel: settings.pair("kernel_size", None)?,
                strides: settings.pair("strides", Some([1, 1]))?,
                padding: padding(settings)?,
                dilation: settings.pair("dilation_rate", Some([1, 1]))?,
                depth_multiplier: settings.integer("depth_multiplier", Some(1))?,
                use_bias: settings.boolean("use_bias", true)?,
                activation: activation::fused(settings, rank)?,
            })
        }
        "Dense" => Layer::Dense(Dense {
            units: settings.integer("units", None)?,
            use_bias: settings.boolean("use_bias", true)?,
            activation: activation::fused(settings, rank)?,
        }),
        "BatchNormalization" => {
            settings.only("renorm", &[json!(false)], "false")?;
            Layer::BatchNormalization {
                axis: match settings.integers("axis")?.as_deref() {
                    None => -1,
                    Some([axis]) => *axis,
                    Some(_) => return Err(settings.unsupported("axis", "one axis")),
                },
                scale: settings.boolean("scale", true)?,
                center: settings.boolean("center", true)?,
                epsilon: settings.number("epsilon", 1e-3)?,
                momentum: settings.number("momentum", 0.99)?,
            }
        }
        "LayerNormalization" => {
            settings.only("rms_scaling", &[json!(false)], "false")?;
            Layer::LayerNormalization {
                axes: settings.integers("axis")?.unwrap_or_else(|| vec![-1]),
                scale: settings.boolean("scale", true)?,
                center: settings.boolean("center", true)?,
                epsilon: settings.number("epsilon", 1e-3)?,
            }
        }
        "Activation" => Layer::Activation(activation::fused(settings, rank)?),
        "PReLU" => Layer::PRelu { shared_axes: settings.integers("shared_axes")?.unwrap_or_default() },
        "MaxPooling2D" => Layer::MaxPooling2d(pool(settings)?),
        "AveragePooling2D" => Layer::AveragePooling2d(pool(settings)?),
        "GlobalAveragePooling2D" => {
            settings.channels_last()?;
            Layer::GlobalAveragePooling2d { keepdims: settings.boolean("keepdims", false)? }
        }
        "GlobalMaxPooling2D" => {
            settings.channels_last()?;
            Layer::GlobalMaxPooling2d { keepdims: settings.boolean("keepdims", false)? }
        }
        "Flatten" => {
            settings.channels_last()?;
            Layer::Flatten
        }
        "Reshape" => Layer::Reshape {
            target: settings
                .integers("target_shape")?
                .ok_or_else(|| settings.malformed("target_shape is missing"))?,
        },
        "Permute" => Layer::Permute {
            dims: settings.integers("dims")?.ok_or_else(|| settings.malformed("dims is missing"))?,
        },
        "ZeroPadding2D" => zero_padding(settings)?,
        "Rescaling" => Layer::Rescaling {
            scale: settings.required_number("scale")?,
            offset: settings.number("offset", 0.0)?,
        },
        "Dropout" => {
            settings.only("noise_shape", &[], "null")?;
            Layer::Dropout { rate: settings.required_number("rate")? }
        }
        "SpatialDropout2D" => {
            settings.channels_last()?;
            Layer::SpatialDropout2d { rate: settings.required_number("rate")? }
        }
        "AlphaDropout" => {
            settings.only("noise_shape", &[], "null")?;
            Layer::AlphaDropout { rate: settings.required_number("rate")? }
        }
        "GaussianNoise" => Layer::GaussianNoise { stddev: settings.required_number("stddev")? },
        "GaussianDropout" => Layer::GaussianDropout { rate: settings.required_number("rate")? },
        "ActivityRegularization" => {
            Layer::ActivityRegularization { l1: settings.number("l1", 0.0)?, l2: settings.number("l2", 0.0)? }
        }
        "Add" => Layer::Add,
        _ => {
            return Err(ZooError::UnsupportedLayer {
                path: settings.path.to_path_buf(),
                name: settings.layer.to_owned(),
                class: settings.class.to_owned(),
            });
        }
    })
}

fn padding(settings: &Settings<'_>) -> Result<Padding> {
    // Keras lowers the case of what it is given.
    match settings.text("padding")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("valid") => Ok(Padding::Valid),
        Some("same") => Ok(Padding::Same),
        Some(_) => Err(settings.unsupported("padding", "valid or same")),
    }
}

fn pool(settings: &Settings<'_>) -> Result<Pool> {
    settings.channels_last()?;
    let size = settings.pair("pool_size", Some([2, 2]))?;
    Ok(Pool { size, strides: settings.pair("strides", Some(size))?, padding: padding(settings)? })
}

/// `padding`: one number for all sides; one for rows, one for columns; or a pair for each.
fn zero_padding(settings: &Settings<'_>) -> Result<Layer> {
    settings.channels_last()?;
    let value = settings.get("padding").cloned().unwrap_or(json!(1));
    let both = |value: &Value| match value {
        Value::Array(items) => match items.as_slice() {
            [a, b] => as_integer(a).zip(as_integer(b)),
            _ => None,
        },
        one => as_integer(one).map(|one| (one, one)),
    };
    let sides = match &value {
        Value::Array(items) => match items.as_slice() {
            [rows, columns] => both(rows).zip(both(columns)),
            _ => None,
        },
        one => as_integer(one).map(|one| ((one, one), (one, one))),
    };
    match sides {
        Some(((top, bottom), (left, right))) => Ok(Layer::ZeroPadding2d { top, bottom, left, right }),
        None => Err(settings
            .malformed(format_args!("padding must be one, two or two pairs of integers, not {value}"))),
    }
}
