//! Models against real Keras, both versions and both ways. Needs a Python with TensorFlow and tf-keras in
//! `PGDL_KERAS_PYTHON`; `scripts/interchange` makes one and runs these tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, Node, Padding, Pool,
    SeparableConv2d, Source,
};
use pgdl_zoo::data::npy::{read_npy, read_npz, write_npy};
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{Dialect, read_network, to_keras_json, write_weights};
use pgdl_zoo::writer::write_network;
use tch::{Device, Kind, Tensor};

fn python(script: &str, folder: &Path, version: &str) {
    let python =
        std::env::var_os("PGDL_KERAS_PYTHON").expect("PGDL_KERAS_PYTHON names a Python with TensorFlow");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/keras").join(script);
    let output = Command::new(python)
        .arg(&script)
        .arg(folder)
        .args(["--keras", version])
        .output()
        .expect("Python starts");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {messages}", script.display());
}

fn forward(network: &Network, inputs: &Tensor) -> Tensor {
    tch::no_grad(|| network.forward(inputs, Mode::Evaluate)).unwrap()
}

/// The largest difference of logits, relative to the largest of them where that is above 1.
fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let scale = expected.abs().max().double_value(&[]).max(1.0);
    (found - expected).abs().max().double_value(&[]) / scale
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn models_of_keras_give_its_logits_in_every_format() {
    for version in ["2", "3"] {
        let folder = tempfile::tempdir().unwrap();
        python("make_models.py", folder.path(), version);
        let mut models = 0;
        for entry in fs::read_dir(folder.path()).unwrap() {
            let arrays = entry.unwrap().path();
            if arrays.extension().is_none_or(|extension| extension != "npz") {
                continue;
            }
            models += 1;
            let (inputs, expected) = (read_npz(&arrays, "x").unwrap(), read_npz(&arrays, "logits").unwrap());
            let file = |extension: &str| arrays.with_extension(extension);
            let (archive, whole, config) = (file("keras"), file("model.h5"), file("json"));
            let mut cases = vec![(archive.clone(), None), (whole.clone(), None)];
            cases.extend(
                [file("weights.h5"), file("hdf5"), archive, whole]
                    .map(|weights| (config.clone(), Some(weights))),
            );
            for (path, weights) in cases {
                let case = format!("Keras {version}: {} with {:?}", path.display(), weights.as_deref());
                let network =
                    read_network(&path, weights.as_deref()).unwrap_or_else(|error| panic!("{case}: {error}"));
                let logits = forward(&network, &inputs);
                let found = difference(&logits, &expected);
                assert!(found <= 1e-5, "{case}: logits differ by {found}");
                // The same once more by way of our own files.
                let folder = tempfile::tempdir().unwrap();
                write_network(folder.path(), &network, None, Storage::Compressed(6)).unwrap();
                let again = read_network(folder.path(), None).unwrap();
                assert_eq!(forward(&again, &inputs), logits, "{case}");
            }
        }
        assert_eq!(models, 8);
    }
}

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

/// Every layer that a chain can have in both versions of Keras.
fn chain() -> Architecture {
    let pool = Pool { size: [2, 2], strides: [1, 2], padding: Padding::Same };
    let depthwise = DepthwiseConv2d {
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Valid,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias: true,
        activation: Activation::Tanh,
    };
    let separable = SeparableConv2d {
        filters: 5,
        kernel: [3, 3],
        strides: [2, 2],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias: true,
        activation: Activation::Swish,
    };
    let layers = vec![
        Layer::Rescaling { scale: 0.5, offset: -0.25 },
        Layer::Conv2d(Conv2d {
            strides: [2, 2],
            activation: Activation::LeakyRelu { slope: 0.1 },
            ..conv(8)
        }),
        Layer::Conv2d(Conv2d { use_bias: false, dilation: [2, 2], ..conv(6) }),
        Layer::Conv2d(Conv2d { groups: 2, activation: Activation::Relu6, ..conv(6) }),
        Layer::BatchNormalization { axis: -1, scale: true, center: false, epsilon: 1e-5, momentum: 0.9 },
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 1.0 },
        Layer::Activation(Activation::Elu { alpha: 0.7 }),
        Layer::DepthwiseConv2d(depthwise),
        Layer::ZeroPadding2d { top: 1, bottom: 0, left: 2, right: 1 },
        Layer::SeparableConv2d(separable),
        Layer::PRelu { shared_axes: vec![1, 2] },
        Layer::MaxPooling2d(pool.clone()),
        Layer::AveragePooling2d(pool),
        Layer::SpatialDropout2d { rate: 0.25 },
        Layer::LayerNormalization { axes: vec![-1], scale: false, center: true, epsilon: 1e-3 },
        Layer::Activation(Activation::GeneralRelu {
            max_value: Some(2.0),
            negative_slope: 0.1,
            threshold: 0.25,
        }),
        Layer::Permute { dims: vec![2, 1, 3] },
        Layer::Reshape { target: vec![-1, 5] },
        Layer::GaussianNoise { stddev: 0.1 },
        Layer::GaussianDropout { rate: 0.1 },
        Layer::AlphaDropout { rate: 0.1 },
        Layer::ActivityRegularization { l1: 0.0, l2: 0.5 },
        Layer::Flatten,
        Layer::Dropout { rate: 0.0 },
        dense(7, Activation::Gelu { approximate: false }),
        dense(7, Activation::Selu),
        dense(6, Activation::Softplus),
        dense(6, Activation::Softsign),
        dense(3, Activation::Linear),
    ];
    Architecture::sequential(vec![11, 12, 4], layers).unwrap()
}

/// Pools over whole images.
fn pooled(keepdims: bool) -> Architecture {
    let mut layers = vec![Layer::Conv2d(conv(6)), Layer::GlobalMaxPooling2d { keepdims }];
    if keepdims {
        layers.push(Layer::GlobalAveragePooling2d { keepdims: false });
    }
    layers.push(dense(4, Activation::Linear));
    Architecture::sequential(vec![6, 5, 2], layers).unwrap()
}

/// A residual block.
fn residual() -> Architecture {
    let node = |name: &str, layer: Layer, inputs: &[Source]| Node {
        name: name.into(),
        layer,
        inputs: inputs.to_vec(),
    };
    let nodes = vec![
        node("z_first", Layer::Conv2d(conv(4)), &[Source::Input]),
        node(
            "norm",
            Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.9 },
            &[Source::Node(0)],
        ),
        node(
            "a_second",
            Layer::Conv2d(Conv2d { activation: Activation::LeakyRelu { slope: 0.3 }, ..conv(4) }),
            &[Source::Node(1)],
        ),
        node("sum", Layer::Add, &[Source::Node(2), Source::Node(0)]),
        node("pool", Layer::GlobalAveragePooling2d { keepdims: false }, &[Source::Node(3)]),
        node("logits", dense(3, Activation::Linear), &[Source::Node(4)]),
    ];
    Architecture::graph(vec![8, 8, 4], nodes).unwrap()
}

/// A chain so long, of names so long, that their list does not fit into one attribute.
fn long_names() -> Architecture {
    let mut nodes = Vec::new();
    for index in 0..170 {
        let layer =
            if index % 40 == 0 { dense(3, Activation::Linear) } else { Layer::Activation(Activation::Tanh) };
        let source = if index == 0 { Source::Input } else { Source::Node(index - 1) };
        nodes.push(Node { name: format!("{}_{index:03}", "name".repeat(100)), layer, inputs: vec![source] });
    }
    Architecture::graph(vec![3], nodes).unwrap()
}

/// A network none of whose values is one that an initializer gives.
fn network(architecture: Architecture) -> Network {
    let network = Network::initialize(architecture, 5, Device::Cpu).unwrap();
    let change = |tensor: &Tensor| {
        let shift = Tensor::arange(tensor.numel() as i64, (Kind::Float, Device::Cpu)).sin() * 0.2;
        tensor + shift.reshape(tensor.size())
    };
    let weights = network.weights().iter().map(|tensors| tensors.iter().map(change).collect()).collect();
    network.with_weights(weights).unwrap()
}

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn keras_reads_what_we_write() {
    for (version, dialect) in [("2", Dialect::Keras2), ("3", Dialect::Keras3)] {
        let folder = tempfile::tempdir().unwrap();
        let mut cases = Vec::new();
        for (name, architecture) in [
            ("chain", chain()),
            ("pooled", pooled(false)),
            ("kept", pooled(true)),
            ("residual", residual()),
            ("long", long_names()),
        ] {
            let network = network(architecture);
            for (form, storage) in [("pgdl", Storage::Compressed(6)), ("keras", Storage::Plain)] {
                let place = folder.path().join(format!("{name}_{form}"));
                if form == "pgdl" {
                    // What PGDL's form cannot express is written for Keras 3 alone.
                    if name == "residual" && version == "2" {
                        continue;
                    }
                    write_network(&place, &network, None, storage).unwrap();
                } else {
                    fs::create_dir(&place).unwrap();
                    let config = place.join("config.json");
                    let written = to_keras_json(network.architecture(), dialect, &config).unwrap();
                    fs::write(config, written.json.to_string()).unwrap();
                    write_weights(&place.join("weights.hdf5"), &network, storage).unwrap();
                }
                let mut shape = vec![6];
                shape.extend(&network.architecture().input_shape);
                let count = shape.iter().product::<i64>();
                let inputs = (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37).sin().reshape(shape);
                write_npy(&place.join("x.npy"), &inputs).unwrap();
                cases.push((place, forward(&network, &inputs)));
            }
        }
        python("read_models.py", folder.path(), version);
        for (place, logits) in cases {
            let found = difference(&logits, &read_npy(&place.join("logits.npy")).unwrap());
            assert!(found <= 1e-5, "Keras {version}: {}: logits differ by {found}", place.display());
        }
    }
}
