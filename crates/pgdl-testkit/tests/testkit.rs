//! The tiny zoo is a zoo, and what breaks a promise on it is found.

use std::sync::atomic::{AtomicU64, Ordering};

use pgdl_measure::{
    Accuracy, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, Registry, RegistryError,
};
use pgdl_testkit::{Broken, TinyZoo, check, evaluate, with_outputs};
use pgdl_zoo::Gap;

type Evaluate = fn(&Probe) -> Result<Measured, MeasureError>;

static INFO: MeasureInfo = MeasureInfo {
    id: "example",
    family: "examples",
    version: 1,
    title: "The share of misclassified samples.",
    formula: "1 − accuracy",
    shapes: "a number",
    paper: "none",
    needs: &[Need::Labels],
    cost: "1 F",
    invariances: Invariances::ALL,
    behaviour: "none",
    stochastic: false,
    control: false,
    parameters: &[],
};

struct Example(Evaluate);

impl Measure for Example {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        (self.0)(probe)
    }
}

fn with(evaluate: Evaluate) -> impl FnOnce(&mut Registry) -> Result<(), RegistryError> {
    move |registry| registry.add(&INFO, move |_| Ok(Box::new(Example(evaluate))))
}

fn training_error(probe: &Probe) -> Result<Measured, MeasureError> {
    Ok(Measured::value(1.0 - *probe.get(&Accuracy)?))
}

/// Only the networks of the tiny zoo have 60 samples of 16 numbers.
fn on_the_tiny_zoo(probe: &Probe) -> bool {
    probe.inputs().size() == [60, 4, 4, 1]
}

#[test]
fn an_honest_measure_passes() -> Result<(), Broken> {
    check(with(training_error))
}

#[test]
fn no_measure_at_all_is_no_pass() {
    assert!(matches!(check(|_| Ok(())), Err(Broken::Empty)));
}

#[test]
fn what_fails_on_trained_networks_alone_is_found() {
    let message = |evaluate: Evaluate| check(with(evaluate)).unwrap_err().to_string();
    let fails = message(|probe| match on_the_tiny_zoo(probe) {
        true => MeasureError::failed("out of luck"),
        false => training_error(probe),
    });
    assert!(fails.contains("is failed (out of luck) on network 0 of the tiny zoo"), "{fails}");
    assert!(fails.contains("no value on any network of the tiny zoo"), "{fails}");
    let infinite = message(|probe| match on_the_tiny_zoo(probe) {
        true => Ok(Measured::value(f64::INFINITY)),
        false => training_error(probe),
    });
    assert!(infinite.contains("gave value inf"), "{infinite}");
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let restless = message(|probe| match on_the_tiny_zoo(probe) {
        true => Ok(Measured::value(CALLS.fetch_add(1, Ordering::Relaxed) as f64)),
        false => training_error(probe),
    });
    assert!(restless.contains("gives another value the second time"), "{restless}");
}

#[test]
fn the_contract_is_checked_as_well() {
    let broken = check(with(|_| Ok(Measured::value(f64::NAN)))).unwrap_err();
    assert!(broken.to_string().contains("tiny_conv"), "{broken}");
    assert_eq!(format!("{broken:?}"), broken.to_string(), "what a failing test shows is for people");
}

#[test]
fn golden_values_are_those_of_the_outputs_given() {
    let outputs = [[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]];
    let value = |labels: &[i64]| {
        evaluate(with(training_error), "example", with_outputs(&outputs, labels).unwrap()).unwrap().value
    };
    assert_eq!((value(&[0, 1]), value(&[0, 2]), value(&[1, 2])), (0.0, 0.5, 1.0));
    let unknown = evaluate(with(training_error), "exmaple", with_outputs(&outputs, &[0, 1]).unwrap());
    assert!(matches!(unknown, Err(Broken::Registry(_))));
}

#[test]
fn the_tiny_zoo_is_a_zoo_of_networks_that_learned_and_have_different_gaps() {
    let tiny = TinyZoo::train().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let zoo = tiny.write(&folder.path().join("tiny")).unwrap();
    assert_eq!((zoo.networks().len(), zoo.hyperparameters().len(), zoo.train_size().unwrap()), (8, 3, 60));
    let gaps = zoo.gaps(Gap::Accuracy).unwrap();
    let (least, largest) = gaps.iter().fold((f64::MAX, f64::MIN), |(a, b), gap| (a.min(*gap), b.max(*gap)));
    assert!(largest - least > 0.02, "{gaps:?}");
    for (position, network) in tiny.networks().iter().enumerate() {
        assert!(network.trained.train.accuracy > 0.95, "{network:?}");
        // The file says what the network does: the weights were not changed on the way.
        let mut input = tiny.input(position);
        input.network = zoo.load(network.id).unwrap();
        let measured = evaluate(with(training_error), "example", input).unwrap();
        assert!((1.0 - measured.value - network.trained.train.accuracy).abs() < 1e-12);
        assert_eq!(gaps[position], network.gap());
    }
}
