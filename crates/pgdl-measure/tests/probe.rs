//! The probe: sharing, accounts, needs, seeds and deadlines.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::rand::Rng;
use pgdl_measure::{
    Accuracy, Correct, Effect, Invariances, Logits, Losses, Measure, MeasureError, MeasureInfo, Measured,
    Need, Passes, Probe, ProbeInput, Quantity, Registry, Resolved,
};

const INFO: MeasureInfo = MeasureInfo {
    id: "example",
    family: "examples",
    version: 1,
    title: "An example.",
    formula: "0",
    shapes: "none",
    paper: "none",
    needs: &[],
    cost: "1 F",
    invariances: Invariances { logit_scale: Effect::Changes, ..Invariances::ALL },
    behaviour: "none",
    stochastic: false,
    control: false,
    parameters: &[],
};

type Evaluate = fn(&Probe) -> Result<Measured, MeasureError>;

struct Example(&'static MeasureInfo, Evaluate);

impl Measure for Example {
    fn info(&self) -> &MeasureInfo {
        self.0
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        (self.1)(probe)
    }
}

fn example(id: &'static str, needs: &'static [Need], evaluate: Evaluate) -> Resolved {
    let info: &'static MeasureInfo = Box::leak(Box::new(MeasureInfo { id, needs, ..INFO }));
    let mut registry = Registry::new();
    registry.add(info, move |_| Ok(Box::new(Example(info, evaluate)))).unwrap();
    registry.resolve(id).unwrap()
}

fn specimen() -> Specimen {
    tiny_networks().unwrap().swap_remove(2)
}

fn probe() -> Probe {
    Probe::new(specimen().input()).unwrap()
}

fn loss(probe: &Probe) -> Result<Measured, MeasureError> {
    Ok(Measured::value(probe.get(&Losses)?.mean(pgdl_measure::tch::Kind::Double).double_value(&[])))
}

fn error(probe: &Probe) -> Result<Measured, MeasureError> {
    Ok(Measured::value(1.0 - *probe.get(&Accuracy)?))
}

#[test]
fn a_quantity_is_computed_once() {
    let probe = probe();
    let first = probe.get(&Logits).unwrap();
    assert!(Rc::ptr_eq(&first, &probe.get(&Logits).unwrap()));
}

#[test]
fn shared_passes_count_for_each_measure_that_uses_them_and_once_within_it() {
    let probe = probe();
    let forward = |passes: Passes| (passes.forward, passes.backward, passes.hvp);
    // Losses, Accuracy and Correct all rest on the same logits.
    let both = example("both", &[], |probe| {
        probe.get(&Correct)?;
        probe.get(&Logits)?;
        loss(probe).and(error(probe))
    });
    assert_eq!(forward(probe.evaluate(&example("loss", &[], loss)).passes), (1.0, 0.0, 0.0));
    assert_eq!(forward(probe.evaluate(&example("error", &[], error)).passes), (1.0, 0.0, 0.0));
    assert_eq!(forward(probe.evaluate(&both).passes), (1.0, 0.0, 0.0));
    let own = example("own", &[], |probe| {
        let part = probe.inputs().narrow(0, 0, 15);
        let _ = probe.forward(&part)?;
        probe.count_backward(30);
        probe.count_hvp(60);
        loss(probe)
    });
    assert_eq!(forward(probe.evaluate(&own).passes), (1.25, 0.5, 1.0));
    let nothing = example("nothing", &[], |_| Ok(Measured::value(0.0)));
    assert_eq!(forward(probe.evaluate(&nothing).passes), (0.0, 0.0, 0.0));
}

struct Slow;

impl Quantity for Slow {
    type Value = ();

    fn name(&self) -> String {
        "slow".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<(), MeasureError> {
        probe.get(&Logits)?;
        // Time that certainly passes, without sleeping.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(20) {}
        Ok(())
    }
}

#[test]
fn seconds_of_shared_quantities_count_for_each_measure_that_uses_them() {
    let probe = probe();
    let slow = example("slow", &[], |probe| {
        probe.get(&Slow)?;
        Ok(Measured::value(0.0))
    });
    let (first, second) = (probe.evaluate(&slow).seconds, probe.evaluate(&slow).seconds);
    assert!(first >= 0.02 && second >= 0.02, "{first} {second}");
}

thread_local! {
    static COMPUTED: Cell<usize> = const { Cell::new(0) };
}

struct Hopeless;

impl Quantity for Hopeless {
    type Value = f64;

    fn name(&self) -> String {
        "hopeless".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
        COMPUTED.set(COMPUTED.get() + 1);
        probe.get(&Logits)?;
        MeasureError::undefined("there is none")
    }
}

#[test]
fn that_there_is_no_value_is_kept_too_and_costs_the_same_every_time() {
    let probe = probe();
    let hopeless = example("hopeless", &[], |probe| Ok(Measured::value(*probe.get(&Hopeless)?)));
    let before = COMPUTED.get();
    for _ in 0..2 {
        let evaluation = probe.evaluate(&hopeless);
        assert_eq!(evaluation.outcome, MeasureError::undefined("there is none"));
        assert_eq!(evaluation.passes.forward, 1.0);
    }
    assert_eq!(COMPUTED.get(), before + 1);
}

struct Snake;

impl Quantity for Snake {
    type Value = f64;

    fn name(&self) -> String {
        "snake".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
        Ok(*probe.get(&Snake)?)
    }
}

#[test]
fn a_quantity_that_needs_itself_is_an_error() {
    assert!(
        matches!(probe().get(&Snake), Err(MeasureError::Failed(text)) if text.contains("`snake` needs itself"))
    );
}

#[test]
fn numbers_that_are_not_finite_never_leave_the_probe() {
    let infinite = example("infinite", &[], |_| Ok(Measured::value(f64::INFINITY)));
    assert_eq!(probe().evaluate(&infinite).outcome, MeasureError::failed("the measure gave value inf"));
}

#[test]
fn what_is_missing_is_unavailable_and_what_is_not_declared_is_not_given() {
    let bare = || {
        let input = ProbeInput { initial: None, truth: None, test_inputs: None, ..specimen().input() };
        Probe::new(input).unwrap()
    };
    let cases: [(&'static [Need], Evaluate, bool); 3] = [
        (&[Need::InitialWeights], |probe| probe.initial().map(|_| Measured::value(1.0)), false),
        (&[Need::TrueGaps], |probe| probe.truth().map(|_| Measured::value(1.0)), true),
        (&[Need::TestInputs], |probe| probe.test_inputs().map(|_| Measured::value(1.0)), true),
    ];
    for (needs, evaluate, guarded) in cases {
        let declared = example("declared", needs, evaluate);
        let silent = example("silent", &[], evaluate);
        assert!(probe().evaluate(&declared).outcome.is_ok());
        assert!(matches!(bare().evaluate(&declared).outcome, Err(MeasureError::Unavailable(_))));
        let given = probe().evaluate(&silent).outcome;
        assert_eq!(matches!(given, Err(MeasureError::Unavailable(_))), guarded, "{needs:?}");
    }
}

#[test]
fn a_seed_decides_a_stream_for_each_measure_network_and_purpose() {
    let draw: Evaluate = |probe| Ok(Measured::value(probe.generator("draw").random()));
    let other: Evaluate = |probe| Ok(Measured::value(probe.generator("other").random()));
    let value = |input: ProbeInput, id: &'static str, evaluate: Evaluate| {
        Probe::new(input).unwrap().evaluate(&example(id, &[], evaluate)).outcome.unwrap().value
    };
    let reference = value(specimen().input(), "one", draw);
    assert_eq!(reference, value(specimen().input(), "one", draw));
    assert_ne!(reference, value(specimen().input(), "two", draw));
    assert_ne!(reference, value(specimen().input(), "one", other));
    assert_ne!(reference, value(ProbeInput { seed: 2, ..specimen().input() }, "one", draw));
    assert_ne!(reference, value(ProbeInput { network_id: 8, ..specimen().input() }, "one", draw));
}

struct Noise;

impl Quantity for Noise {
    type Value = f64;

    fn name(&self) -> String {
        "noise".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
        Ok(probe.generator("value").random())
    }
}

#[test]
fn a_random_quantity_is_the_same_whoever_asks_first() {
    let noise: Evaluate = |probe| Ok(Measured::value(*probe.get(&Noise)?));
    let first = |id: &'static str| probe().evaluate(&example(id, &[], noise)).outcome.unwrap().value;
    assert_eq!(first("one"), first("two"));
}

#[test]
fn batches_cover_the_sample_in_order_and_stop_at_the_deadline() {
    let probe = Probe::new(ProbeInput { batch_size: 25, ..specimen().input() }).unwrap();
    let starts = |batches: pgdl_measure::probe::Batches| -> Vec<(i64, i64)> {
        batches.map(|batch| batch.map(|batch| (batch.start, batch.len())).unwrap()).collect()
    };
    assert_eq!(starts(probe.batches()), [(0, 25), (25, 25), (50, 10)]);
    assert_eq!(starts(probe.batches_of(30)), [(0, 25), (25, 5)]);
    assert_eq!(starts(probe.batches_of(1000)).len(), 3);
    assert_eq!(starts(probe.batches_of(30).at_most(20)), [(0, 20), (20, 10)]);
    assert_eq!(starts(probe.batches().at_most(99)).len(), 3);
    probe.set_deadline(Some(Instant::now()));
    assert!(matches!(probe.batches().next(), Some(Err(MeasureError::Timeout(_)))));
    assert!(matches!(probe.get(&Logits), Err(MeasureError::Timeout(_))));
    // A timeout is not kept.
    probe.set_deadline(None);
    assert!(probe.get(&Logits).is_ok());
}

#[test]
fn a_sample_that_does_not_fit_is_refused() {
    let refused = |input: ProbeInput| Probe::new(input).unwrap_err().to_string();
    let mut narrow = specimen().input();
    narrow.train.inputs = narrow.train.inputs.narrow(1, 0, 9);
    assert!(refused(narrow).contains("shape"));
    let mut labels = specimen().input();
    labels.train.labels += 1;
    assert!(refused(labels).contains("class"));
    assert!(refused(ProbeInput { batch_size: 0, ..specimen().input() }).contains("batch"));
    assert!(refused(ProbeInput { train_size: 10, ..specimen().input() }).contains("training set of 10"));
    let other = tiny_networks().unwrap().swap_remove(0).initial;
    assert!(refused(ProbeInput { initial: Some(other), ..specimen().input() }).contains("architecture"));
    let mut empty = specimen().input();
    empty.train = empty.train.take(0).unwrap();
    assert!(refused(empty).contains("empty"));
}
