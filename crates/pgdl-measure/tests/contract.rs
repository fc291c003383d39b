//! The contract tests find what they are made to find.

use std::sync::atomic::{AtomicU64, Ordering};

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Accuracy, Effect, Invariances, Losses, Margins, Measure, MeasureError, MeasureInfo, Measured, Need,
    Probe, Registry, contract,
};

const HONEST: MeasureInfo = MeasureInfo {
    id: "example",
    family: "examples",
    version: 1,
    title: "The mean loss.",
    formula: "mean loss",
    shapes: "n losses",
    paper: "none",
    needs: &[Need::Labels],
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

fn violations(info: MeasureInfo, evaluate: Evaluate) -> String {
    let info: &'static MeasureInfo = Box::leak(Box::new(info));
    let mut registry = Registry::new();
    registry.add(info, move |_| Ok(Box::new(Example(info, evaluate)))).unwrap();
    contract::describe(&contract::check(&registry).unwrap())
}

fn mean_loss(probe: &Probe) -> Result<Measured, MeasureError> {
    Ok(Measured::value(probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?))
}

#[track_caller]
fn found(text: &str, what: &str) {
    assert!(text.contains(what), "`{what}` is not among:\n{text}");
}

#[test]
fn an_honest_measure_has_no_violation() {
    assert_eq!(violations(HONEST, mean_loss), "");
}

#[test]
fn incomplete_documentation_is_found() {
    let text = violations(
        MeasureInfo { title: "Mean loss", formula: " ", paper: "", version: 0, ..HONEST },
        mean_loss,
    );
    for what in ["not one sentence", "nothing under Formula", "nothing under Paper", "versions start at 1"] {
        found(&text, what);
    }
}

#[test]
fn values_that_change_from_call_to_call_are_found() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let text = violations(HONEST, |probe| {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) as f64;
        Ok(Measured::value(mean_loss(probe)?.value + calls))
    });
    found(&text, "another value");
    found(&text, "depends on the measures that ran before");
}

#[test]
fn a_mean_of_batch_means_depends_on_the_batch_size() {
    let text = violations(HONEST, |probe| {
        let mut means = Vec::new();
        let losses = probe.get(&Losses)?;
        for batch in probe.batches() {
            let batch = batch?;
            means.push(losses.narrow(0, batch.start, batch.len()).mean(Kind::Double).double_value(&[]));
        }
        Ok(Measured::value(means.iter().sum::<f64>() / means.len() as f64))
    });
    found(&text, "depends on the batch size");
}

#[test]
fn undeclared_dependence_is_found() {
    let needs: &'static [Need] = &[];
    found(&violations(MeasureInfo { needs, ..HONEST }, mean_loss), "depends on labels");
    let text = violations(HONEST, |probe| Ok(Measured::value(f64::from(u8::from(probe.initial().is_ok())))));
    found(&text, "depends on initial weights");
    found(
        &violations(HONEST, |probe| Ok(Measured::value(probe.generator("x").random()))),
        "depends on the seed",
    );
    let needs: &'static [Need] = &[Need::Labels, Need::InitialWeights];
    assert_eq!(violations(MeasureInfo { needs, ..HONEST }, mean_loss), "");
    found(&violations(MeasureInfo { stochastic: true, ..HONEST }, mean_loss), "seed changes nothing");
    found(&violations(HONEST, |probe| probe.truth().map(|_| Measured::value(1.0))), "is unavailable");
}

#[test]
fn costs_that_are_not_counted_are_found() {
    found(&violations(MeasureInfo { cost: "O(P)", ..HONEST }, mean_loss), "counts");
    let text = violations(HONEST, |probe| {
        let outputs = probe.network().forward(probe.inputs(), pgdl_measure::network::Mode::Evaluate)?;
        Ok(Measured::value(outputs.sum(Kind::Double).double_value(&[])))
    });
    found(&text, "counts 0 passes");
}

#[test]
fn failures_and_numbers_that_are_not_finite_are_found() {
    found(&violations(HONEST, |_| MeasureError::failed("broken")), "is failed");
    found(&violations(HONEST, |_| Ok(Measured::value(f64::NAN))), "gave value NaN");
    found(&violations(HONEST, |_| MeasureError::undefined("never")), "no value on any");
}

#[test]
fn wrong_invariances_are_found() {
    let invariances = Invariances::ALL;
    found(&violations(MeasureInfo { invariances, ..HONEST }, mean_loss), "logit scale by 1.7");
    let all_change = Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    };
    let text = violations(MeasureInfo { invariances: all_change, ..HONEST }, |probe| {
        Ok(Measured::value(*probe.get(&Accuracy)?))
    });
    for change in ["layer rescaling", "BatchNorm scale", "logit scale"] {
        found(&text, &format!("{change} is declared to change the value"));
    }
    let squares = |probe: &Probe| {
        let sums = probe.network().parameters().map(|one| pgdl_measure::sums::sum_of_squares(one.tensor));
        Ok(Measured::value(sums.sum::<Result<f64, _>>()?))
    };
    let text = violations(MeasureInfo { needs: &[], cost: "O(P)", ..HONEST }, squares);
    found(&text, "layer rescaling by 1.7");
    found(&text, "BatchNorm scale by 1.7");
    let homogeneous = |degree| MeasureInfo {
        invariances: Invariances { logit_scale: Effect::Homogeneous(degree), ..Invariances::ALL },
        ..HONEST
    };
    let margin: Evaluate =
        |probe| Ok(Measured::value(probe.get(&Margins)?.mean(Kind::Double).double_value(&[])));
    assert_eq!(violations(homogeneous(1.0), margin), "");
    found(&violations(homogeneous(2.0), margin), "in proportion");
}

#[test]
fn a_shared_quantity_that_is_changed_in_place_is_found() {
    let text = violations(HONEST, |probe| {
        let losses = probe.get(&Losses)?;
        let mean = losses.f_mean(Kind::Double)?.f_double_value(&[])?;
        let _ = losses.shallow_clone().f_add_scalar_(1.0)?;
        Ok(Measured::value(mean))
    });
    found(&text, "depends on the measures that ran before");
}

#[test]
fn a_violation_says_which_promise_is_broken_and_one_measure_can_be_checked_alone() {
    const BROKEN: MeasureInfo = MeasureInfo { id: "broken", paper: "", ..HONEST };
    let mut registry = Registry::new();
    for info in [&HONEST, &BROKEN] {
        registry.add(info, move |_| Ok(Box::new(Example(info, mean_loss)))).unwrap();
    }
    let promises = |violations: Vec<contract::Violation>| -> Vec<contract::Promise> {
        violations.iter().map(|violation| violation.promise).collect()
    };
    assert_eq!(promises(contract::check_one(&registry, "example").unwrap()), []);
    let broken = contract::check_one(&registry, "broken").unwrap();
    assert_eq!(promises(broken), [contract::Promise::Documentation]);
    assert!(contract::check_one(&registry, "absent").is_err());
}
