//! What has no value says why, and nothing breaks.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::{Mode, Network, Role};
use pgdl_measure::tch::Tensor;
use pgdl_measure::{Dataset, MeasureError, Measured, Probe, ProbeInput, Registry};

/// A small convolutional network with 60 samples of five classes.
fn specimen() -> Specimen {
    tiny_networks().unwrap().swap_remove(0)
}

fn evaluate(network: Network, inputs: Tensor, labels: &[i64], spec: &str) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    let train = Dataset::new(inputs, Tensor::from_slice(labels)).unwrap();
    let input = ProbeInput { network, train_size: train.len(), train, ..specimen().input() };
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

#[track_caller]
fn assert_undefined(what: &str, outcome: &Result<Measured, MeasureError>, reason: &str) {
    match outcome {
        Err(MeasureError::Undefined(found)) => assert!(found.contains(reason), "{what}: {found}"),
        other => panic!("{what}: {other:?}"),
    }
}

fn labels(specimen: &Specimen) -> Vec<i64> {
    Vec::try_from(&specimen.train.labels).unwrap()
}

/// All units of the second convolution are off: the outputs are the last bias, whatever comes in.
#[test]
fn behind_a_dead_layer_nothing_changes() {
    let specimen = specimen();
    let dead = specimen
        .network
        .map_weights(|parameter| match (parameter.spec.role, parameter.node) {
            (Role::Bias, 2) => Ok(parameter.tensor.f_sub_scalar(1e4)?),
            _ => Ok(parameter.tensor.shallow_clone()),
        })
        .unwrap();
    for (spec, reason) in [
        ("hidden_margin", "no gradient"),
        ("hidden_margin:layer=last", "total variation"),
        ("augment_margin", "no gradient"),
        ("mixup_margin", "no gradient"),
        ("manifold_mixup_margin", "no gradient"),
        ("manifold_mixup_margin:layer=last", "trimmed variance"),
        ("kv_margin", "k-variances"),
        ("kv_margin:layer=last", "k-variances"),
        ("kv_gn_margin", "no gradient"),
        ("kv_gn_margin:layer=last", "k-variances"),
        ("adversarial_radius", "no gradient"),
        ("constrained_margin", "no gradient"),
    ] {
        let inputs = specimen.train.inputs.shallow_clone();
        let outcome = evaluate(dead.shallow_clone(), inputs, &labels(&specimen), spec);
        assert_undefined(spec, &outcome, reason);
    }
    // The outputs themselves have margins.
    let inputs = specimen.train.inputs.shallow_clone();
    assert!(evaluate(dead, inputs, &labels(&specimen), "margin").is_ok());
}

#[test]
fn one_sample_varies_in_nothing() {
    let specimen = specimen();
    for (spec, reason) in [
        ("hidden_margin", "total variation"),
        ("augment_margin", "trimmed variance"),
        ("mixup_margin", "trimmed variance"),
        ("mixup_margin:variant=as_coded", "trimmed variance"),
        ("manifold_mixup_margin", "trimmed variance"),
        ("kv_margin", "two samples"),
        ("kv_gn_margin", "two samples"),
        ("constrained_margin", "all the same"),
    ] {
        let outcome =
            evaluate(specimen.network.shallow_clone(), specimen.train.inputs.narrow(0, 0, 1), &[1], spec);
        assert_undefined(spec, &outcome, reason);
    }
    for spec in ["margin", "adversarial_radius"] {
        let inputs = specimen.train.inputs.narrow(0, 0, 1);
        assert!(evaluate(specimen.network.shallow_clone(), inputs, &[1], spec).is_ok(), "{spec}");
    }
}

/// Each class is one input over and over: no distance within a class, and mixtures that are the inputs.
#[test]
fn duplicates_have_no_distance() {
    let specimen = specimen();
    let inputs = specimen.train.inputs.narrow(0, 0, 5).repeat([6, 1, 1, 1]);
    let labels: Vec<i64> = (0..30).map(|sample| sample % 5).collect();
    let run = |spec: &str| evaluate(specimen.network.shallow_clone(), inputs.shallow_clone(), &labels, spec);
    for spec in ["kv_margin", "kv_gn_margin", "kv_margin:layer=input", "kv_gn_margin:layer=last"] {
        assert_undefined(spec, &run(spec), "k-variances");
    }
    for spec in ["mixup_margin", "manifold_mixup_margin"] {
        let measured = run(spec).unwrap();
        assert!(measured.standard_error.unwrap() < 1e-6 * measured.value.abs(), "{spec}: {measured:?}");
    }
    for spec in ["hidden_margin", "augment_margin", "adversarial_radius", "constrained_margin"] {
        assert!(run(spec).is_ok(), "{spec}");
    }
}

/// In a class of an odd number of samples a random one is left out: of three samples, the distance between two others.
#[test]
fn an_odd_class_is_halved_without_one() {
    let specimen = specimen();
    let inputs = specimen.train.inputs.narrow(0, 0, 3);
    let rows = inputs.flatten(1, -1).to_kind(pgdl_measure::tch::Kind::Double);
    let distance = |one: i64, other: i64| (rows.get(one) - rows.get(other)).norm().double_value(&[]);
    let pairs = [distance(0, 1), distance(0, 2), distance(1, 2)];
    let spec = "kv_gn_margin:layer=input,draws=2";
    let mut seen = [false; 3];
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    for seed in 0..20 {
        let train = Dataset::new(inputs.shallow_clone(), Tensor::from_slice(&[2i64; 3])).unwrap();
        let input = ProbeInput { train_size: 3, train, seed, ..specimen.input() };
        let measured = Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome.unwrap();
        let Some(pgdl_measure::Detail::Number(mean)) = measured.details.get("normalizer").cloned() else {
            panic!("{measured:?}")
        };
        let found = (0..9).find(|at| ((pairs[at / 3] + pairs[at % 3]) / 2.0 - mean).abs() < 1e-5 * mean);
        let found = found.unwrap_or_else(|| panic!("{mean}: {pairs:?}"));
        (seen[found / 3], seen[found % 3]) = (true, true);
    }
    assert_eq!(seen, [true; 3]);
}

/// The label is the weakest class everywhere: no percentile is positive, and every distance is negative.
#[test]
fn where_everything_is_wrong_margins_are_negative() {
    let specimen = specimen();
    let outputs = specimen.network.forward(&specimen.train.inputs, Mode::Evaluate).unwrap();
    let wrong: Vec<i64> = Vec::try_from(outputs.argmin(1, false)).unwrap();
    let run = |spec: &str| {
        evaluate(specimen.network.shallow_clone(), specimen.train.inputs.shallow_clone(), &wrong, spec)
    };
    assert!(run("margin:p=100").unwrap().value > 0.0);
    assert_undefined("inverse_margin", &run("inverse_margin"), "needs γ > 0");
    assert!(run("inverse_margin:variant=as_coded").is_ok());
    for spec in ["hidden_margin:p=100", "adversarial_radius", "constrained_margin", "kv_margin"] {
        assert!(run(spec).unwrap().value > 0.0, "{spec}");
    }
}
