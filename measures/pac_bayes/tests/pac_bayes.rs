//! The family keeps its promises; in parts, so that they are checked side by side.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::Device;
use pgdl_measure::{MeasureError, Probe, ProbeInput, Registry, contract};

const PARTS: usize = 3;

fn check(part: usize) {
    let mut registry = Registry::new();
    pgdl_measure_pac_bayes::register(&mut registry).unwrap();
    let ids = registry.infos().map(|info| info.id).skip(part).step_by(PARTS);
    let violations: Vec<_> = ids.flat_map(|id| contract::check_one(&registry, id).unwrap()).collect();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

#[test]
fn every_measure_keeps_its_promises() {
    check(0);
}

#[test]
fn every_measure_keeps_its_promises_second_part() {
    check(1);
}

#[test]
fn every_measure_keeps_its_promises_third_part() {
    check(2);
}

/// Behind an activation a BatchNormalization cannot be folded. Its moments are those of the sample that the bound is about.
#[test]
fn no_bound_rests_on_moments_of_the_sample() {
    let mut registry = Registry::new();
    pgdl_measure_pac_bayes::register(&mut registry).unwrap();
    let specimen = tiny_networks().unwrap().remove(0);
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let normalization =
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.9 };
    let layers = vec![
        Layer::Flatten,
        dense(4, Activation::Relu),
        normalization,
        dense(specimen.classes, Activation::Linear),
    ];
    let shape = specimen.train.inputs.size()[1..].to_vec();
    let architecture = Architecture::sequential(shape, layers).unwrap();
    let network = |seed| Network::initialize(architecture.clone(), seed, Device::Cpu).unwrap();
    let input = ProbeInput { network: network(1), initial: Some(network(2)), ..specimen.input() };
    let probe = Probe::new(input).unwrap();
    for id in ["pac_bayes_bound", "compression_bound"] {
        match probe.evaluate(&registry.resolve(id).unwrap()).outcome {
            Err(MeasureError::Undefined(reason)) => {
                assert!(reason.contains("cannot be folded"), "{id}: {reason}")
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}
