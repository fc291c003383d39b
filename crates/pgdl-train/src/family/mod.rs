//! Architecture families: hyperparameters in, [`Architecture`] out.

mod all_conv;
mod mlp;
mod nin;
mod resnet;
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
    /// Residual networks, ResNet-18 by default (He et al. 2016). They are no chains of layers: PGDL's form of zoos cannot hold
    /// them.
    Resnet,
}

impl Family {
    /// The settings that the family reads.
    pub fn settings(self) -> &'static [SettingInfo] {
        match self {
            Self::Vgg => vgg::SETTINGS,
            Self::Nin => nin::SETTINGS,
            Self::AllConv => all_conv::SETTINGS,
            Self::Mlp => mlp::SETTINGS,
            Self::Resnet => resnet::SETTINGS,
        }
    }

    /// The network of these settings, for inputs `[H, W, C]` (any shape for the MLP) and that many classes.
    ///
    /// # Errors
    /// When the settings do not fit the input or each other.
    pub fn architecture(
        self,
        settings: &Settings,
        input_shape: &[i64],
        classes: i64,
    ) -> Result<Architecture> {
        let layers = match self {
            Self::Vgg => vgg::layers(settings, classes)?,
            Self::Nin => nin::layers(settings, image(input_shape)?, classes)?,
            Self::AllConv => all_conv::layers(settings, image(input_shape)?, classes)?,
            Self::Mlp => mlp::layers(settings, classes)?,
            Self::Resnet => {
                let shape = image(input_shape)?.to_vec();
                return Ok(Architecture::graph(shape, resnet::nodes(settings, classes)?)?);
            }
        };
        Ok(Architecture::sequential(input_shape.to_vec(), layers)?)
    }
}

fn image(input_shape: &[i64]) -> Result<[i64; 3]> {
    input_shape.try_into().map_err(|_| {
        TrainError::Recipe(format!("this family takes images [H, W, C], not inputs {input_shape:?}"))
    })
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

#[cfg(test)]
mod tests {
    use pgdl_network::{Network, Role};
    use tch::{Device, Kind, Tensor};

    use super::*;

    fn settings(family: Family, values: &[(&str, f64)]) -> Settings {
        let defaults =
            family.settings().iter().filter_map(|info| Some((info.name.to_owned(), info.default?)));
        let mut all: std::collections::BTreeMap<String, f64> = defaults.collect();
        all.extend(values.iter().map(|(name, value)| ((*name).to_owned(), *value)));
        Settings::new(all)
    }

    fn build(family: Family, values: &[(&str, f64)], shape: &[i64]) -> Result<Architecture> {
        family.architecture(&settings(family, values), shape, 10)
    }

    fn kernels(architecture: &Architecture) -> Vec<Vec<i64>> {
        let specs = architecture.parameter_specs().unwrap();
        specs.into_iter().flatten().filter(|spec| spec.role == Role::Kernel).map(|spec| spec.shape).collect()
    }

    fn kinds(architecture: &Architecture) -> Vec<&'static str> {
        architecture.nodes.iter().map(|node| node.layer.kind()).collect()
    }

    fn gives_logits(architecture: Architecture) {
        let mut shape = architecture.input_shape.clone();
        shape.insert(0, 2);
        let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
        let x = Tensor::ones(shape, (Kind::Float, Device::Cpu));
        let logits = tch::no_grad(|| network.forward(&x, pgdl_network::Mode::Evaluate)).unwrap();
        assert_eq!(logits.size(), [2, 10]);
    }

    /// The published range of task 1's parameter counts, 1.67 to 19.2 million, and its two corners counted by hand.
    #[test]
    fn vgg_has_the_parameter_counts_of_task_1() {
        let count = |width: f64, blocks: f64, hidden: f64| {
            let values = [("convwidth", width), ("num_conv_blocks", blocks), ("num_dense_layers", hidden)];
            build(Family::Vgg, &values, &[32, 32, 3]).unwrap().parameter_count().unwrap()
        };
        // Three blocks of 64, 128, 256, flattened to 4·4·256, one hidden layer of 128.
        let convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)];
        let by_hand: i64 = convolutions.iter().map(|(inputs, outputs)| 9 * inputs * outputs + outputs).sum();
        assert_eq!(count(256.0, 3.0, 1.0), by_hand + (4096 * 128 + 128) + (128 * 10 + 10));
        // One block of 512, flattened to 16·16·512, two hidden layers.
        let by_hand =
            (27 * 512 + 512) + (9 * 512 * 512 + 512) + (131_072 * 128 + 128) + (128 * 128 + 128) + 1290;
        assert_eq!(count(512.0, 1.0, 2.0), by_hand);
        let mut counts = Vec::new();
        for width in [256.0, 512.0] {
            for blocks in [1.0, 3.0] {
                counts.extend([1.0, 2.0].map(|hidden| count(width, blocks, hidden)));
            }
        }
        assert_eq!((counts.iter().min(), counts.iter().max()), (Some(&1_671_114), Some(&19_169_290)));
    }

    #[test]
    fn vgg_has_the_layers_of_task_1() {
        let values =
            [("convwidth", 8.0), ("num_conv_blocks", 2.0), ("num_dense_layers", 1.0), ("dropout_p", 0.5)];
        let architecture = build(Family::Vgg, &values, &[8, 8, 3]).unwrap();
        let expected = [
            "Conv2D",
            "Conv2D",
            "MaxPooling2D",
            "Conv2D",
            "Conv2D",
            "MaxPooling2D",
            "Flatten",
            "Dense",
            "Dropout",
            "Dense",
        ];
        assert_eq!(kinds(&architecture), expected);
        assert_eq!(kernels(&architecture)[..4], [[3, 3, 3, 4], [3, 3, 4, 4], [3, 3, 4, 8], [3, 3, 8, 8]]);
        assert_eq!(architecture.nodes[8].layer, Layer::Dropout { rate: 0.5 });
        assert_eq!(architecture.nodes[9].layer.activation(), Some(Activation::Linear));
        gives_logits(architecture);
        let odd = [("convwidth", 6.0), ("num_conv_blocks", 3.0), ("num_dense_layers", 1.0)];
        let message = build(Family::Vgg, &odd, &[8, 8, 3]).unwrap_err().to_string();
        assert!(message.contains("convwidth 6 cannot be halved 2 times"), "{message}");
        // Four poolings leave nothing of an 8×8 image.
        let deep = [("convwidth", 8.0), ("num_conv_blocks", 4.0), ("num_dense_layers", 1.0)];
        assert!(build(Family::Vgg, &deep, &[8, 8, 3]).is_err());
    }

    #[test]
    fn nin_has_blocks_of_three_convolutions_of_512_channels() {
        for depth in [6.0, 9.0, 12.0] {
            let architecture = build(Family::Nin, &[("depth", depth)], &[32, 32, 3]).unwrap();
            let kernels = kernels(&architecture);
            assert_eq!(kernels.len(), depth as usize + 1);
            assert_eq!(kernels[..4], [[3, 3, 3, 512], [1, 1, 512, 512], [1, 1, 512, 512], [3, 3, 512, 512]]);
            assert_eq!(kernels.last().unwrap(), &[1, 1, 512, 10]);
            let blocks = depth as i64 / 3;
            let inner = (9 + 1 + 1) * 512 * 512 * blocks - 9 * 512 * 512 + 9 * 3 * 512 + 512 * 10;
            assert_eq!(architecture.parameter_count().unwrap(), inner + 512 * 3 * blocks + 10);
            assert_eq!(kinds(&architecture).last(), Some(&"GlobalAveragePooling2D"));
        }
        let strided =
            build(Family::Nin, &[("depth", 9.0), ("conv", 4.0), ("stride", 2.0)], &[28, 28, 1]).unwrap();
        // 28 → 14 by the stride, → 7 by the pooling; 7 is odd, so that nothing is pooled before the third block.
        let sides: Vec<i64> =
            strided.shapes().unwrap().iter().filter(|shape| shape.len() == 3).map(|shape| shape[0]).collect();
        assert_eq!((sides[0], sides.iter().min()), (14, Some(&7)));
        assert!(build(Family::Nin, &[("depth", 7.0)], &[32, 32, 3]).is_err());
        assert!(build(Family::Nin, &[("depth", 6.0)], &[32]).is_err());
        gives_logits(build(Family::Nin, &[("depth", 12.0), ("conv", 5.0)], &[28, 28, 1]).unwrap());
    }

    #[test]
    fn all_conv_comes_close_to_its_number_of_parameters_and_can_be_reversed() {
        for depth in [3.0, 7.0, 10.0] {
            for reverse in [0.0, 1.0] {
                for nparams in [5e4, 1e6] {
                    let values =
                        [("nparams", nparams), ("depth", depth), ("reverse", reverse), ("batch_norm", 0.0)];
                    let architecture = build(Family::AllConv, &values, &[32, 32, 3]).unwrap();
                    let kernels = kernels(&architecture);
                    let total: i64 = kernels.iter().map(|shape| shape.iter().product::<i64>()).sum();
                    assert!(total as f64 <= nparams && total as f64 > 0.7 * nparams, "{values:?}: {total}");
                    let widths: Vec<i64> = kernels[..depth as usize].iter().map(|shape| shape[3]).collect();
                    let (first, last) = (widths[0], widths[depth as usize - 1]);
                    assert_eq!(
                        (first, last),
                        if reverse == 0.0 { (last / 4, last) } else { (first, first / 4) }
                    );
                    assert_eq!(architecture.shapes().unwrap()[depth as usize - 1][..2], [8, 8]);
                }
            }
        }
        assert!(build(Family::AllConv, &[("nparams", 10.0), ("depth", 9.0)], &[32, 32, 3]).is_err());
    }

    #[test]
    fn all_conv_normalizes_between_convolution_and_activation() {
        let with = |batch_norm: f64| {
            let values = [("nparams", 5e3), ("depth", 3.0), ("batch_norm", batch_norm)];
            build(Family::AllConv, &values, &[16, 16, 3]).unwrap()
        };
        assert_eq!(kinds(&with(1.0))[..3], ["Conv2D", "BatchNormalization", "Activation"]);
        assert_eq!(with(1.0).nodes[0].layer.activation(), Some(Activation::Linear));
        assert_eq!(kinds(&with(0.0)), ["Conv2D", "Conv2D", "Conv2D", "Conv2D", "GlobalAveragePooling2D"]);
        gives_logits(with(1.0));
    }

    /// 11,173,962 is the well-known count of ResNet-18 for CIFAR-10; by hand for one block of width 5 in two stages.
    #[test]
    fn resnet_is_resnet_18_by_default() {
        let architecture = build(Family::Resnet, &[], &[32, 32, 3]).unwrap();
        assert_eq!(architecture.trainable_count().unwrap(), 11_173_962);
        // 1 + 2 · 2 · 4 convolutions, three of shortcuts, and the dense layer.
        assert_eq!(kernels(&architecture).len(), 21);
        let small = [("width", 5.0), ("stages", 2.0), ("blocks", 1.0)];
        let architecture = build(Family::Resnet, &small, &[8, 8, 1]).unwrap();
        let convolutions = 9 * (5 + 25 + 25 + 50 + 100) + 50;
        let normalizations = 2 * (3 * 5 + 3 * 10);
        assert_eq!(architecture.trainable_count().unwrap(), convolutions + normalizations + 110);
        gives_logits(architecture);
        assert!(build(Family::Resnet, &small, &[8]).is_err());
    }

    #[test]
    fn mlp_counts() {
        let values = [("width", 7.0), ("depth", 2.0)];
        let architecture = build(Family::Mlp, &values, &[4, 4, 1]).unwrap();
        assert_eq!(architecture.parameter_count().unwrap(), (16 * 7 + 7) + (7 * 7 + 7) + (7 * 10 + 10));
        gives_logits(architecture);
        let linear = build(Family::Mlp, &[("width", 7.0), ("depth", 0.0)], &[5]).unwrap();
        assert_eq!(linear.parameter_count().unwrap(), 60);
    }
}
