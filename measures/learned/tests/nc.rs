//! Neural Complexity on networks made on the fly.

use std::path::Path;

use pgdl_measure::contract::{self, Specimen, tiny_networks};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Evaluation, Probe, ProbeInput, Registry};
use pgdl_nc::Checkpoint;
use pgdl_nc::images::{Scale, View};
use pgdl_nc::model::{Precision, Rows, Source};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_learned::register(&mut registry).unwrap();
    registry
}

fn run(spec: &str, input: ProbeInput) -> Evaluation {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap())
}

fn convolutional() -> Specimen {
    let mut specimens = tiny_networks().unwrap();
    let place = specimens.iter().position(|specimen| specimen.name.contains("convolutional")).unwrap();
    specimens.swap_remove(place)
}

#[test]
fn the_contract_is_kept() {
    let violations = contract::check(&registry()).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}
