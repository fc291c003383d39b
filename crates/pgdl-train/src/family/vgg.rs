//! VGG-like networks, as in PGDL's task 1 (after Simonyan and Zisserman 2015).

use pgdl_network::{Activation, Layer};

use super::{conv, dense, halving};
use crate::error::{Result, TrainError};
use crate::settings::{SettingInfo, Settings};

pub(super) const SETTINGS: &[SettingInfo] = &[
    SettingInfo::count(
        "convwidth",
        1.0,
        65_536.0,
        "filters of the last block; each earlier block has half as many",
    ),
    SettingInfo::count("num_conv_blocks", 1.0, 8.0, "blocks of two 3×3 convolutions and a 2×2 max pooling"),
    SettingInfo::count("num_dense_layers", 0.0, 8.0, "hidden dense layers"),
    SettingInfo::count("dense_width", 1.0, 65_536.0, "units of each hidden dense layer").or(128.0),
    SettingInfo::number("dropout_p", 0.0, 0.95, "dropout rate after each hidden dense layer").or(0.0),
];

/// `[conv 3×3, conv 3×3, pool] × blocks`, flatten, `[dense, dropout] × dense layers`, dense.
///
/// Task 1 has blocks of width (W) or (W/4, W/2, W): the last block is as wide as `convwidth`, and widths halve towards
/// the input.
pub(super) fn layers(settings: &Settings, classes: i64) -> Result<Vec<Layer>> {
    let width = settings.count("convwidth")?;
    let blocks = settings.count("num_conv_blocks")?;
    if width % (1 << (blocks - 1)) != 0 {
        return Err(TrainError::Recipe(format!(
            "convwidth {width} cannot be halved {} times for num_conv_blocks {blocks}",
            blocks - 1
        )));
    }
    let mut layers = Vec::new();
    for block in 0..blocks {
        let filters = width >> (blocks - 1 - block);
        layers.extend([
            conv(filters, 3, 1, Activation::Relu),
            conv(filters, 3, 1, Activation::Relu),
            halving(),
        ]);
    }
    layers.push(Layer::Flatten);
    for _ in 0..settings.count("num_dense_layers")? {
        layers.push(dense(settings.count("dense_width")?, Activation::Relu));
        layers.push(Layer::Dropout { rate: settings.number("dropout_p")? });
    }
    layers.push(dense(classes, Activation::Linear));
    Ok(layers)
}
