//! Network in network, as in PGDL's task 2 (after Lin et al. 2014).

use pgdl_network::{Activation, Layer};

use super::{conv, halving};
use crate::error::{Result, TrainError};
use crate::settings::{SettingInfo, Settings};

pub(super) const SETTINGS: &[SettingInfo] = &[
    SettingInfo::count("depth", 3.0, 60.0, "convolutions in blocks, a multiple of 3"),
    SettingInfo::count("conv", 1.0, 65_536.0, "filters of every convolution in a block").or(512.0),
    SettingInfo::count("stride", 1.0, 8.0, "stride of the first convolution").or(1.0),
    SettingInfo::number("dropout_p", 0.0, 0.95, "dropout rate after each block").or(0.0),
];

/// `[conv 3×3, conv 1×1, conv 1×1, dropout] × depth / 3`, conv 1×1 to the classes, global average pooling. Between two
/// blocks stands a 2×2 max pooling, as long as both sides of the map are even.
pub(super) fn layers(settings: &Settings, [height, width, _]: [i64; 3], classes: i64) -> Result<Vec<Layer>> {
    let depth = settings.count("depth")?;
    if depth % 3 != 0 {
        return Err(TrainError::value(
            "depth",
            depth,
            "a multiple of 3: the family has blocks of three convolutions",
        ));
    }
    let filters = settings.count("conv")?;
    let stride = settings.count("stride")?;
    let [mut height, mut width] = [height, width].map(|side| (side + stride - 1) / stride);
    let mut layers = Vec::new();
    for block in 0..depth / 3 {
        if block > 0 && height % 2 == 0 && width % 2 == 0 {
            layers.push(halving());
            [height, width] = [height / 2, width / 2];
        }
        let strides = [if block == 0 { stride } else { 1 }, 1, 1];
        layers.extend(
            [3, 1, 1]
                .iter()
                .zip(strides)
                .map(|(kernel, stride)| conv(filters, *kernel, stride, Activation::Relu)),
        );
        layers.push(Layer::Dropout { rate: settings.number("dropout_p")? });
    }
    layers.push(conv(classes, 1, 1, Activation::Linear));
    layers.push(Layer::GlobalAveragePooling2d { keepdims: false });
    Ok(layers)
}
