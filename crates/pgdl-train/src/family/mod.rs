//! Architecture families: hyperparameters in, [`Architecture`] out.

mod all_conv;
mod mlp;
mod nin;
mod vgg;

use pgdl_network::{Activation, Architecture, Conv2d, Dense, Layer, Padding, Pool};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::settings::{SettingInfo, Settings};

/// A family of architectures. Every network ends in logits: its last layer has no activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// PGDL's task 1: blocks of two 3×3 convolutions and a pooling, then dense layers with dropout.
    Vgg,
    /// PGDL's task 2: blocks of a 3×3 and two 1×1 convolutions, then global average pooling (Lin et al. 2014).
    Nin,
    /// PGDL's tasks 4 and 5: 3×3 convolutions only, with or without batch normalization, then global average
    /// pooling (Springenberg et al. 2015).
    AllConv,
    /// Dense layers with dropout.
    Mlp,
}

impl Family {
    /// The settings that the family reads.
    pub fn settings(self) -> &'static [SettingInfo] {
        match self {
            Self::Vgg => vgg::SETTINGS,
            Self::Nin => nin::SETTINGS,
            Self::AllConv => all_conv::SETTINGS,
            Self::Mlp => mlp::SETTINGS,
        }
    }

    /// The network of these settings, for inputs `[H, W, C]` (any shape for the MLP) and that many classes.
    ///
    /// # Errors
    /// When the settings do not fit the input or each other.
    pub fn architecture(self, settings: &Settings, input_shape: &[i64], classes: i64) -> Result<Architecture> {
        let layers = match self {
            Self::Vgg => vgg::layers(settings, classes)?,
            Self::Nin => nin::layers(settings, image(input_shape)?, classes)?,
            Self::AllConv => all_conv::layers(settings, image(input_shape)?, classes)?,
            Self::Mlp => mlp::layers(settings, classes)?,
        };
        Ok(Architecture::sequential(input_shape.to_vec(), layers)?)
    }
}

fn image(input_shape: &[i64]) -> Result<[i64; 3]> {
    input_shape
        .try_into()
        .map_err(|_| TrainError::Recipe(format!("this family takes images [H, W, C], not inputs {input_shape:?}")))
}

/// A `same` convolution with a square kernel.
fn conv(filters: i64, kernel: i64, stride: i64, activation: Activation) -> Layer {
    Layer::Conv2d(Conv2d {
        filters,
        kernel: [kernel, kernel],
        strides: [stride, stride],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation,
    })
}

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation })
}

/// 2×2 max pooling.
fn halving() -> Layer {
    Layer::MaxPooling2d(Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid })
}
