//! Small zoos, made on the fly: networks of two dense layers on a few samples. Their accuracies and losses are computed
//! here, by plain loops in 64 bits, so that nothing under test is compared with itself.

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_zoo::{Dataset, HyperValue, Hyperparameter, Listing, Metrics, NetworkEntry, Split, Zoo, ZooWriter};
use tch::{Device, Kind, Tensor};

pub const IDS: [u64; 4] = [3, 20, 100, 101];
pub const CLASSES: i64 = 3;

/// `count` samples of shape [2, 2, 1] in three classes.
pub fn data(count: i64, shift: f64) -> Dataset {
    let inputs = (Tensor::arange(count * 4, (Kind::Double, Device::Cpu)) * 0.9 + shift).sin();
    let labels = Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(CLASSES);
    Dataset::new(inputs.reshape([count, 2, 2, 1]), labels).unwrap()
}

pub fn train() -> Dataset {
    data(50, 0.0)
}

pub fn test() -> Dataset {
    data(30, 0.5)
}

/// Flatten, a hidden layer of `width` units with ReLU, and the logits.
pub fn architecture(input_shape: &[i64], width: i64, classes: i64) -> Architecture {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let layers = vec![Layer::Flatten, dense(width, Activation::Relu), dense(classes, Activation::Linear)];
    Architecture::sequential(input_shape.to_vec(), layers).unwrap()
}

/// Biases of 0 make ties wherever all hidden units are off; these make none.
fn with_biases(network: &Network) -> Network {
    let ramp = |tensor: &Tensor| Tensor::arange(tensor.size()[0], (Kind::Float, Device::Cpu)) * 0.1;
    network
        .map_weights(|parameter| {
            Ok(if parameter.spec.name == "bias" {
                ramp(parameter.tensor)
            } else {
                parameter.tensor.shallow_clone()
            })
        })
        .unwrap()
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.flatten(0, -1).to_kind(Kind::Double)).unwrap()
}

/// Accuracy and mean cross-entropy of a network of [`architecture`].
pub fn fit(network: &Network, data: &Dataset) -> (f64, f64) {
    let weights: Vec<Vec<f64>> = network.parameters().map(|parameter| floats(parameter.tensor)).collect();
    let [kernel, bias, out_kernel, out_bias] = weights.as_slice() else { panic!("two dense layers") };
    let (inputs, labels) = (floats(&data.inputs), floats(&data.labels));
    let features = inputs.len() / labels.len();
    let layer = |x: &[f64], kernel: &[f64], bias: &[f64]| -> Vec<f64> {
        (0..bias.len())
            .map(|unit| {
                bias[unit] + x.iter().enumerate().map(|(i, x)| x * kernel[i * bias.len() + unit]).sum::<f64>()
            })
            .collect()
    };
    let (mut right, mut loss) = (0, 0.0);
    for (x, label) in inputs.chunks(features).zip(&labels) {
        let hidden: Vec<f64> = layer(x, kernel, bias).into_iter().map(|value| value.max(0.0)).collect();
        let logits = layer(&hidden, out_kernel, out_bias);
        let label = *label as usize;
        // Among equal logits the first counts.
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        right += usize::from(logits.iter().position(|logit| *logit == largest) == Some(label));
        loss += logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[label];
    }
    (right as f64 / labels.len() as f64, loss / labels.len() as f64)
}

pub fn metrics(network: &Network, train: &Dataset, test: &Dataset) -> Metrics {
    let ((train_acc, train_loss), (test_acc, test_loss)) = (fit(network, train), fit(network, test));
    Metrics { train_acc, test_acc, train_loss: Some(train_loss), test_loss: Some(test_loss) }
}

/// Four networks of a 2 × 2 grid in `root`, for these samples, without the samples.
pub fn networks(root: &Path, train: &Dataset, test: &Dataset) -> Listing {
    let writer = ZooWriter::create(root).unwrap().compressed(4);
    let classes = train.classes().unwrap();
    let axis = |name: &str, values: [f64; 2]| Hyperparameter {
        name: name.into(),
        possible_values: values.map(HyperValue::Number).to_vec(),
    };
    let entry = |(position, id): (usize, u64)| {
        let width = [5, 9][position % 2];
        let architecture = architecture(&train.input_shape(), width, classes);
        let network = with_biases(&Network::initialize(architecture.clone(), id, Device::Cpu).unwrap());
        let initial = Network::initialize(architecture, id + 1, Device::Cpu).unwrap();
        writer.write_network(id, &network, Some(&initial)).unwrap();
        NetworkEntry {
            id,
            hyperparameters: vec![(width as f64).into(), ((position / 2) as f64).into()],
            metrics: Some(metrics(&network, train, test)),
            dev_name: Some(format!("network_{id}")),
        }
    };
    let networks = IDS.into_iter().enumerate().map(entry).collect();
    let listing =
        Listing { hyperparameters: vec![axis("width", [5.0, 9.0]), axis("run", [0.0, 1.0])], networks };
    writer.write_listing(&listing).unwrap();
    listing
}

/// The same with shards of 20 samples.
pub fn small_zoo(root: &Path) -> Zoo {
    networks(root, &train(), &test());
    let writer = ZooWriter::create(root).unwrap();
    writer.write_shards(Split::Train, &train(), 20).unwrap();
    writer.write_shards(Split::Test, &test(), 20).unwrap();
    Zoo::open(root).unwrap()
}

/// All files below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
