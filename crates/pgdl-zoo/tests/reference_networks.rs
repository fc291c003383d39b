//! Networks of others: the competition's sample task, and models saved by real Keras in every format it writes.
//!
//! Accuracies and cross-entropies of the sample task were computed by an independent reader and forward pass in NumPy;
//! logits and probabilities by Keras itself.

use std::path::{Path, PathBuf};

use pgdl_network::{Mode, Network};
use pgdl_zoo::data::npy::read_npz;
use pgdl_zoo::{Dataset, Zoo, keras};
use serde_json::Value;
use tch::{Kind, Tensor};

fn reference(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let path = std::env::var_os("PGDL_REFERENCE").map_or_else(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}

fn forward(network: &Network, inputs: &Tensor) -> Tensor {
    tch::no_grad(|| network.forward(inputs, Mode::Evaluate)).unwrap()
}

fn accuracy_and_loss(network: &Network, data: &Dataset) -> (f64, f64) {
    let logits = forward(network, &data.inputs).to_kind(Kind::Double);
    let right = logits.argmax(1, false).eq_tensor(&data.labels).to_kind(Kind::Double).mean(Kind::Double);
    let picked = logits.log_softmax(1, Kind::Double).gather(1, &data.labels.unsqueeze(1), false);
    (right.double_value(&[]), -picked.mean(Kind::Double).double_value(&[]))
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn the_sample_task_has_its_listed_accuracies_and_known_losses() {
    let (Some(task), Some(expected)) = (reference("pgdl_toy"), reference("pgdl_toy_expected.json")) else {
        return;
    };
    let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let zoo = Zoo::open(&task).unwrap();
    assert_eq!(zoo.networks().len(), 18);
    let (train, test) = (zoo.train_data().unwrap(), zoo.test_data().unwrap());
    for entry in zoo.networks() {
        let network = zoo.load(entry.id).unwrap();
        let known = |key: &str| expected[format!("model_{}", entry.id)][key].as_f64().unwrap();
        let listed = entry.metrics.unwrap();
        let (train_accuracy, train_loss) = accuracy_and_loss(&network, &train);
        let (test_accuracy, test_loss) = accuracy_and_loss(&network, &test);
        for (found, value) in [(train_accuracy, listed.train_acc), (test_accuracy, listed.test_acc)] {
            assert!((found - value).abs() < 1e-12, "network {}: {found} is not {value}", entry.id);
        }
        for (found, value) in [(train_loss, known("train_ce")), (test_loss, known("test_ce"))] {
            assert!((found - value).abs() < 1e-6, "network {}: {found} is not {value}", entry.id);
        }
        let parameters = network.architecture().parameter_count().unwrap();
        assert_eq!(parameters as f64, known("nparams"), "network {}", entry.id);
        let initial = zoo.load_initial(entry.id).unwrap().unwrap();
        let mut distance = 0.0;
        for (now, before) in network.weights().iter().flatten().zip(initial.weights().iter().flatten()) {
            distance += (now - before).to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
        }
        let value = known("dist_init_sq");
        assert!(
            (distance - value).abs() < 1e-6 * value.max(1.0),
            "network {}: {distance} is not {value}",
            entry.id
        );
    }
}

/// Reads a model of `reference/keras`, and compares its logits with those that Keras gave.
fn check_keras(folder: &Path, model: &str, weights: Option<&str>, arrays: &str) {
    let weights = weights.map(|name| folder.join(name));
    let network = keras::read_network(&folder.join(model), weights.as_deref())
        .unwrap_or_else(|error| panic!("{model}: {error}"));
    assert!(network.architecture().stripped_softmax, "{model}");
    let arrays = folder.join(arrays);
    let logits = forward(&network, &read_npz(&arrays, "x").unwrap());
    let difference = largest_difference(&logits, &read_npz(&arrays, "act/logits").unwrap());
    assert!(difference < 1e-5, "{model}: logits differ by {difference}");
    let probabilities = logits.softmax(-1, Kind::Float);
    let difference = largest_difference(&probabilities, &read_npz(&arrays, "probs").unwrap());
    assert!(difference < 1e-5, "{model}: probabilities differ by {difference}");
}

#[test]
fn keras_2_models_in_every_format_give_the_logits_of_keras() {
    let Some(folder) = reference("keras") else { return };
    let arrays = "tfk_gap_io.npz";
    check_keras(&folder, "tfk_gap.keras", None, arrays);
    check_keras(&folder, "tfk_gap_model.h5", None, arrays);
    for config in ["tfk_gap_config.json", "tfk_gap_config_old.json", "tfk_gap.keras", "tfk_gap_model.h5"] {
        for weights in ["tfk_gap_weights.hdf5", "tfk_gap.weights.h5", "tfk_gap.keras", "tfk_gap_model.h5"] {
            check_keras(&folder, config, Some(weights), arrays);
        }
    }
}

#[test]
fn keras_3_models_in_every_format_give_the_logits_of_keras() {
    let Some(folder) = reference("keras") else { return };
    let arrays = "k3_io.npz";
    check_keras(&folder, "k3.keras", None, arrays);
    check_keras(&folder, "k3_legacy.h5", None, arrays);
    for weights in ["k3.weights.h5", "k3_legacy.h5", "k3.keras"] {
        check_keras(&folder, "k3_config.json", Some(weights), arrays);
    }
}

#[test]
fn every_layer_of_a_keras_model_gives_the_activations_of_keras() {
    let Some(folder) = reference("keras") else { return };
    for (model, arrays) in [("tfk_gap.keras", "tfk_gap_io.npz"), ("k3.keras", "k3_io.npz")] {
        let network = keras::read_network(&folder.join(model), None).unwrap();
        let arrays = folder.join(arrays);
        let nodes = network.architecture().nodes.clone();
        let inputs = read_npz(&arrays, "x").unwrap();
        let mut seen = 0;
        let mut observe = |node: usize, output: &Tensor| {
            let name = &nodes[node].name;
            let expected = read_npz(&arrays, &format!("act/{name}")).unwrap();
            let difference = largest_difference(output, &expected);
            assert!(difference < 1e-5, "{model}: {name} differs by {difference}");
            seen += 1;
            Ok(())
        };
        let output = tch::no_grad(|| network.forward_observed(&inputs, Mode::Evaluate, &mut observe));
        assert_eq!(output.unwrap().size(), [16, 10]);
        assert_eq!(seen, nodes.len());
    }
}

#[test]
fn a_zoo_of_listings_opens_and_says_what_it_lacks() {
    let Some(folder) = reference("pgdl_public") else { return };
    for (task, networks, axes) in [("task1_v4", 96, 7), ("task2_v1", 54, 4)] {
        let zoo = Zoo::open(folder.join(task)).unwrap();
        assert_eq!((zoo.networks().len(), zoo.hyperparameters().len()), (networks, axes));
        let id = zoo.networks()[0].id;
        let message = zoo.load(id).unwrap_err().to_string();
        assert!(message.contains(&format!("model_{id}")), "{message}");
    }
}
