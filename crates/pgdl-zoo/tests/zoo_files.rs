//! Networks that are written and read.

use std::path::Path;

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, Node, Padding, Pool,
    SeparableConv2d, Source,
};
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{self, Dialect};
use pgdl_zoo::writer::write_network;
use tch::{Device, Kind, Tensor};

fn conv(filters: i64) -> Conv2d {
    Conv2d {
        filters,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation: Activation::Relu,
    }
}

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation })
}

/// Every layer that a chain can have.
fn chain() -> Architecture {
    let pool = Pool { size: [2, 2], strides: [1, 2], padding: Padding::Same };
    let layers = vec![
        Layer::Rescaling { scale: 0.5, offset: -0.25 },
        Layer::Conv2d(Conv2d {
            strides: [2, 2],
            activation: Activation::LeakyRelu { slope: 0.1 },
            ..conv(8)
        }),
        Layer::Conv2d(Conv2d { groups: 2, use_bias: false, dilation: [2, 2], ..conv(6) }),
        Layer::BatchNormalization { axis: -1, scale: true, center: false, epsilon: 1e-5, momentum: 0.9 },
        Layer::Activation(Activation::Elu { alpha: 0.7 }),
        Layer::DepthwiseConv2d(DepthwiseConv2d {
            kernel: [3, 2],
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            depth_multiplier: 2,
            use_bias: true,
            activation: Activation::Tanh,
        }),
        Layer::ZeroPadding2d { top: 1, bottom: 0, left: 2, right: 1 },
        Layer::SeparableConv2d(SeparableConv2d {
            filters: 5,
            kernel: [3, 3],
            strides: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            depth_multiplier: 1,
            use_bias: true,
            activation: Activation::Swish,
        }),
        Layer::PRelu { shared_axes: vec![1, 2] },
        Layer::MaxPooling2d(pool.clone()),
        Layer::AveragePooling2d(pool),
        Layer::SpatialDropout2d { rate: 0.25 },
        Layer::LayerNormalization { axes: vec![-1], scale: false, center: true, epsilon: 1e-3 },
        Layer::Permute { dims: vec![2, 1, 3] },
        Layer::Reshape { target: vec![-1, 5] },
        Layer::GaussianNoise { stddev: 0.1 },
        Layer::Flatten,
        Layer::Dropout { rate: 0.5 },
        dense(7, Activation::Gelu { approximate: false }),
        dense(3, Activation::Linear),
    ];
    Architecture::sequential(vec![8, 8, 4], layers).unwrap()
}

/// A residual block.
fn residual() -> Architecture {
    let node = |name: &str, layer: Layer, inputs: &[Source]| Node {
        name: name.into(),
        layer,
        inputs: inputs.to_vec(),
    };
    let nodes = vec![
        node("first", Layer::Conv2d(conv(4)), &[Source::Input]),
        node("second", Layer::Conv2d(conv(4)), &[Source::Node(0)]),
        node("sum", Layer::Add, &[Source::Node(1), Source::Node(0)]),
        node("pool", Layer::GlobalAveragePooling2d { keepdims: true }, &[Source::Node(2)]),
        node("flat", Layer::Flatten, &[Source::Node(3)]),
        node("logits", dense(3, Activation::Linear), &[Source::Node(4)]),
    ];
    Architecture::graph(vec![8, 8, 4], nodes).unwrap()
}

fn logits(network: &Network) -> Tensor {
    let count: i64 = network.architecture().input_shape.iter().product();
    let mut shape = vec![2];
    shape.extend(&network.architecture().input_shape);
    let inputs = (Tensor::arange(2 * count, (Kind::Float, Device::Cpu)) * 0.37).sin().reshape(shape);
    tch::no_grad(|| network.forward(&inputs, Mode::Evaluate)).unwrap()
}

fn assert_same(a: &Network, b: &Network) {
    let weights = |network: &Network| -> Vec<Vec<u32>> {
        let bits = |tensor: &Tensor| -> Vec<u32> {
            let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            values.iter().map(|value| value.to_bits()).collect()
        };
        network.weights().iter().flatten().map(bits).collect()
    };
    assert_eq!(weights(a), weights(b));
    assert_eq!(logits(a), logits(b));
}

#[test]
fn what_is_written_is_read_bit_for_bit() {
    for storage in [Storage::Plain, Storage::Compressed(6)] {
        for architecture in [chain(), residual()] {
            let folder = tempfile::tempdir().unwrap();
            let network = Network::initialize(architecture.clone(), 3, Device::Cpu).unwrap();
            let initial = Network::initialize(architecture, 4, Device::Cpu).unwrap();
            write_network(folder.path(), &network, Some(&initial), storage).unwrap();
            assert_same(&keras::read_network(folder.path(), None).unwrap(), &network);
            let start = folder.path().join("weights_init.hdf5");
            assert_same(&keras::read_network(folder.path(), Some(&start)).unwrap(), &initial);
        }
    }
}

#[test]
fn json_of_both_versions_of_keras_gives_the_same_architecture() {
    let path = Path::new("model.json");
    for dialect in [Dialect::Keras2, Dialect::Keras3] {
        for architecture in [chain(), residual()] {
            let written = keras::to_keras_json(&architecture, dialect, path).unwrap();
            let read = keras::Model::parse(&written.json, path).unwrap();
            assert_eq!(read.architecture, architecture, "{dialect}");
        }
    }
}

#[test]
fn old_kits_get_only_arguments_that_they_know() {
    let written = keras::to_pgdl_json(&chain(), Path::new("config.json")).unwrap();
    let first = &written.json["model_config"][1];
    assert_eq!(
        first.to_string(),
        r#"{"layer_name":"Conv2D","filters":8,"kernel_size":[3,3],"strides":[2,2],"padding":"same"}"#
    );
    let second = &written.json["model_config"][2];
    assert_eq!(second.to_string(), r#"{"layer_name":"LeakyReLU","alpha":0.1}"#);
}

#[test]
fn another_architecture_for_the_initial_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::initialize(chain(), 3, Device::Cpu).unwrap();
    let other = Network::initialize(residual(), 3, Device::Cpu).unwrap();
    assert!(write_network(folder.path(), &network, Some(&other), Storage::Plain).is_err());
}
