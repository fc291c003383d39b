//! Multilayer perceptrons.

use pgdl_network::{Activation, Layer};

use super::dense;
use crate::error::Result;
use crate::settings::{SettingInfo, Settings};

pub(super) const SETTINGS: &[SettingInfo] = &[
    SettingInfo::count("width", 1.0, 65_536.0, "units of each hidden layer"),
    SettingInfo::count("depth", 0.0, 64.0, "hidden layers"),
    SettingInfo::number("dropout_p", 0.0, 0.95, "dropout rate after each hidden layer").or(0.0),
];

/// Flatten, `[dense, dropout] × depth`, dense.
pub(super) fn layers(settings: &Settings, classes: i64) -> Result<Vec<Layer>> {
    let mut layers = vec![Layer::Flatten];
    for _ in 0..settings.count("depth")? {
        layers.push(dense(settings.count("width")?, Activation::Relu));
        layers.push(Layer::Dropout { rate: settings.number("dropout_p")? });
    }
    layers.push(dense(classes, Activation::Linear));
    Ok(layers)
}
