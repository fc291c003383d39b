//! A zoo of four tiny networks, made on the fly.

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_measure::tch::{Device, Tensor};
use pgdl_network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_zoo::data::shards;
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::keras::{to_pgdl_json, write_weights};
use pgdl_zoo::{Dataset, HyperValue, Hyperparameter, Listing, Metrics, NetworkEntry};
use tempfile::TempDir;

use crate::program::Orders;

/// The ids of its networks.
pub const NETWORKS: [u64; 4] = [3, 7, 20, 21];

/// Size of its training set.
pub const TRAIN_SIZE: usize = 60;

/// The zoo, and room for runs beside it.
pub struct TinyZoo {
    folder: TempDir,
}

impl TinyZoo {
    pub fn new() -> TinyZoo {
        let zoo = TinyZoo { folder: tempfile::tempdir().unwrap() };
        let root = zoo.path();
        for id in NETWORKS {
            write_network(&root.join(format!("model_{id}")), id);
        }
        shards::write(&root.join("dataset_1/train"), &data(TRAIN_SIZE), 32).unwrap();
        shards::write(&root.join("dataset_1/test"), &data(20), 32).unwrap();
        listing().write(&root.join("model_configs.json")).unwrap();
        zoo
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("tiny")
    }

    /// The folder of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.folder.path().join("runs").join(name)
    }

    /// Orders to evaluate measures on the zoo.
    pub fn orders(&self, run: &str, measures: &str) -> Orders {
        Orders::new(&self.path(), &self.run(run), measures)
    }

    pub fn remove(&self) {
        fs::remove_dir_all(self.path()).unwrap();
    }
}

/// Writes a network with initial weights; `seed` decides both.
pub fn write_network(folder: &Path, seed: u64) {
    fs::create_dir_all(folder).unwrap();
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let layers = vec![Layer::Flatten, dense(8, Activation::Relu), dense(3, Activation::Linear)];
    let architecture = Architecture::sequential(vec![4, 4, 1], layers).unwrap();
    let config = folder.join("config.json");
    let written = to_pgdl_json(&architecture, &config).unwrap();
    fs::write(&config, written.json.to_string()).unwrap();
    for (name, seed) in [("weights.hdf5", seed), ("weights_init.hdf5", seed + 1000)] {
        let network = Network::initialize(architecture.clone(), seed, Device::Cpu).unwrap();
        write_weights(&folder.join(name), &network, Storage::Plain).unwrap();
    }
}

/// Samples without meaning, all different.
fn data(samples: usize) -> Dataset {
    let inputs: Vec<f32> = (0..samples * 16).map(|index| (index * 7919 % 1000) as f32 / 1000.0).collect();
    let labels: Vec<i64> = (0..samples as i64).map(|index| index % 3).collect();
    Dataset::new(Tensor::from_slice(&inputs).reshape([-1, 4, 4, 1]), Tensor::from_slice(&labels)).unwrap()
}

/// A 2 × 2 grid with gaps.
fn listing() -> Listing {
    let axis = |name: &str, values: [f64; 2]| Hyperparameter {
        name: name.into(),
        possible_values: values.map(HyperValue::Number).into(),
    };
    let networks = NETWORKS.iter().enumerate().map(|(index, &id)| NetworkEntry {
        id,
        hyperparameters: vec![
            HyperValue::Number([8.0, 16.0][index / 2]),
            HyperValue::Number([0.0, 0.5][index % 2]),
        ],
        metrics: Some(Metrics {
            train_acc: 1.0,
            test_acc: 0.9 - 0.1 * index as f64,
            train_loss: None,
            test_loss: None,
        }),
        dev_name: None,
    });
    Listing {
        hyperparameters: vec![axis("width", [8.0, 16.0]), axis("dropout", [0.0, 0.5])],
        networks: networks.collect(),
    }
}
