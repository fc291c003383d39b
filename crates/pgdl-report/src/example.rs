//! A small zoo and its records, for tests.

use pgdl_run::Record;
use pgdl_zoo::{HyperValue, Hyperparameter};
use serde_json::json;

use crate::population::{GapKind, Population, PopulationNetwork};
use crate::values::{Entry, MeasureValues};

/// Eight networks on a complete grid of depth × width × lr; ids 10, 20, …; gaps 0.01, 0.02, ….
pub(crate) fn population() -> Population {
    let axis = |name: &str, values: [f64; 2]| Hyperparameter {
        name: name.into(),
        possible_values: values.map(HyperValue::Number).to_vec(),
    };
    let hyperparameters =
        vec![axis("depth", [2.0, 6.0]), axis("width", [64.0, 128.0]), axis("lr", [0.01, 0.1])];
    let networks = (0..8_usize)
        .map(|place| PopulationNetwork {
            id: Some(10 * (place as u64 + 1)),
            label: (10 * (place + 1)).to_string(),
            hyperparameters: (0..3)
                .map(|axis| hyperparameters[axis].possible_values[(place >> (2 - axis)) & 1].clone())
                .collect(),
            seed: None,
            gap: (place + 1) as f64 / 100.0,
        })
        .collect();
    Population { name: "tiny".into(), gap: GapKind::Accuracy, hyperparameters, networks }
}

/// A measure that gives every network ten times its gap.
pub(crate) fn perfect(population: &Population, measure: &str) -> MeasureValues {
    let entries = population.networks.iter().map(|network| Entry::number(10.0 * network.gap)).collect();
    MeasureValues { measure: measure.into(), entries, seconds: Some(1.5), expression: None }
}

/// A record of the small zoo: value 0.5 if `status` is `ok`.
pub(crate) fn record(
    network: u64,
    measure: &str,
    parameters: &str,
    status: &str,
    seed: u64,
    utc: &str,
) -> Record {
    let line = json!({
        "schema": pgdl_run::SCHEMA, "zoo": "tiny", "zoo_digest": "z", "network": network, "measure": measure,
        "version": 1, "parameters": parameters, "seed": seed, "device": "cpu", "dtype": "float32", "sample": 100,
        "batch_size": 64, "threads": 1, "weights_digest": "w", "data_digest": "d", "pgdl_version": "0.1.0",
        "libtorch_version": "2.11.0", "status": status, "value": (status == "ok").then_some(0.5),
        "standard_error": (status == "ok").then_some(0.125), "message": (status != "ok").then_some("a reason"),
        "layers": [], "details": {"kept": 3.0}, "passes": {"forward": 1.0, "backward": 0.0, "hvp": 0.0},
        "seconds": 0.25, "peak_memory_bytes": null, "utc": utc,
    });
    Record::from_line(&line.to_string()).expect("a record of the current schema")
}
