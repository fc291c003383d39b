//! All-convolutional networks, as in PGDL's tasks 4 and 5 (after Springenberg et al. 2015).

use pgdl_network::{Activation, Layer};

use super::conv;
use crate::error::{Result, TrainError};
use crate::settings::{SettingInfo, Settings};

pub(super) const SETTINGS: &[SettingInfo] = &[
    SettingInfo::count(
        "nparams",
        1.0,
        1e9,
        "number of kernel values aimed at; the base width follows from it",
    ),
    SettingInfo::count("depth", 3.0, 96.0, "3×3 convolutions, in three stages"),
    SettingInfo::count("reverse", 0.0, 1.0, "1: stages are widest at the input, 0: at the output").or(0.0),
    SettingInfo::count("batch_norm", 0.0, 1.0, "1: batch normalization after each 3×3 convolution").or(1.0),
];

/// Stages of equal depth (the first ones take what is left over), of widths b, 2b, 4b or, reversed, 4b, 2b, b; the
/// second and third stage begin with stride 2. Then conv 1×1 to the classes and global average pooling. The base width b
/// is the largest one whose kernels hold at most `nparams` values, and at least 1.
pub(super) fn layers(settings: &Settings, [_, _, channels]: [i64; 3], classes: i64) -> Result<Vec<Layer>> {
    let depth = settings.count("depth")?;
    let limit = settings.count("nparams")?;
    let mut factors = [1, 2, 4];
    if settings.count("reverse")? == 1 {
        factors.reverse();
    }
    // (width factor, stride) of each convolution.
    let mut plan = Vec::new();
    for (stage, factor) in factors.into_iter().enumerate() {
        let convolutions = depth / 3 + i64::from((stage as i64) < depth % 3);
        plan.extend((0..convolutions).map(|i| (factor, if i == 0 && stage > 0 { 2 } else { 1 })));
    }
    let kernel_values = |base: i64| {
        let mut inputs = channels;
        let mut total = 0;
        for (factor, _) in &plan {
            total += 9 * inputs * base * factor;
            inputs = base * factor;
        }
        total + inputs * classes
    };
    if kernel_values(1) > limit {
        return Err(TrainError::value(
            "nparams",
            limit,
            format!("at least {} at depth {depth}", kernel_values(1)),
        ));
    }
    // Kernel values grow with the square of the base, so this ends within √nparams steps.
    let base = (1..).take_while(|base| kernel_values(*base) <= limit).last().unwrap_or(1);
    let normalized = settings.count("batch_norm")? == 1;
    let mut layers = Vec::new();
    for (factor, stride) in plan {
        if normalized {
            layers.extend([
                conv(base * factor, 3, stride, Activation::Linear),
                Layer::BatchNormalization {
                    axis: -1,
                    scale: true,
                    center: true,
                    epsilon: 1e-3,
                    momentum: 0.99,
                },
                Layer::Activation(Activation::Relu),
            ]);
        } else {
            layers.push(conv(base * factor, 3, stride, Activation::Relu));
        }
    }
    layers.push(conv(classes, 1, 1, Activation::Linear));
    layers.push(Layer::GlobalAveragePooling2d { keepdims: false });
    Ok(layers)
}
