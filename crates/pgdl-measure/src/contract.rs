//! The contract tests: what every measure promises, checked on tiny networks made on the fly.
//!
//! [`check`] walks a registry and returns all violations. The built-in families and plugins use it in the same way:
//!
//! ```
//! # use pgdl_measure::{Registry, contract};
//! # fn register(_: &mut Registry) {}
//! let mut registry = Registry::new();
//! register(&mut registry);
//! let violations = contract::check(&registry).unwrap();
//! assert!(violations.is_empty(), "{}", contract::describe(&violations));
//! ```

mod changes;
mod documentation;
mod invariances;
mod specimen;
mod spread;

use std::fmt;
use std::time::Instant;

use tch::{Kind, Tensor};

use crate::error::MeasureError;
use crate::info::{MeasureInfo, Need};
use crate::parameter::ParameterKind;
use crate::probe::{Evaluation, Probe, ProbeInput};
use crate::registry::{Registry, Resolved};

pub use changes::{rescale_layers, scale_before_batch_norm, scale_logits};
pub use invariances::audit_invariances;
pub use specimen::{Specimen, tiny_networks, with_outputs};
pub use spread::{Spread, spread_over_seeds};

/// Relative difference that rounding in f64 explains, in whatever order sums are taken.
const ROUNDING: f64 = 1e-9;

/// The factor of the changes that invariances are about. No power of two: those would hide rounding.
const FACTOR: f64 = 1.7;

/// What a measure promises: the parts of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// It says all that the reference page holds, in the form that it asks for.
    Documentation,
    /// It has a finite value on a tiny network, and fails on none.
    Values,
    /// It gives the same bits again, whatever ran before it on the same probe.
    Determinism,
    /// Its value does not depend on how many samples pass at a time.
    BatchIndependence,
    /// It depends on the seed, on labels and on what zoos may lack exactly as it declares.
    Needs,
    /// It counts its passes as its cost says.
    Cost,
    /// When time is up it says so, or has a value.
    Deadline,
    /// It answers to changes of the network as it declares.
    Invariances,
}

impl Promise {
    /// All of them, in the order in which they are told.
    pub const ALL: [Promise; 8] = [
        Promise::Documentation,
        Promise::Values,
        Promise::Determinism,
        Promise::BatchIndependence,
        Promise::Needs,
        Promise::Cost,
        Promise::Deadline,
        Promise::Invariances,
    ];

    /// In a word or two.
    pub fn describe(self) -> &'static str {
        match self {
            Promise::Documentation => "documentation",
            Promise::Values => "finite values",
            Promise::Determinism => "determinism",
            Promise::BatchIndependence => "batch independence",
            Promise::Needs => "declared needs",
            Promise::Cost => "counted cost",
            Promise::Deadline => "deadline",
            Promise::Invariances => "invariances",
        }
    }
}

/// A promise that a measure does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The measure, in its canonical spelling.
    pub measure: String,
    /// Which promise.
    pub promise: Promise,
    /// What is wrong, and on which network.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: {}", self.measure, self.what)
    }
}

/// Violations as text, one per line.
pub fn describe(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

/// Checks every measure of `registry`, with default parameters and with each word of each choice:
///
/// - the documentation is complete ([`crate::explain`]);
/// - there is a value on at least one tiny network, and no failure on any;
/// - values are the same bits again, also after all other measures ran on the same probe, and so are the passes;
/// - values do not depend on the batch size; on the seed exactly when `stochastic`; on labels, initial weights, test
///   inputs and true gaps only when `needs` says so; what is needed and missing gives `unavailable`;
/// - passes are counted exactly when `cost` names any;
/// - a deadline that has passed gives `timeout`, or the value;
/// - the invariances are as declared (default parameters, f64).
///
/// # Errors
/// The tiny networks cannot be made: libtorch does not work here.
pub fn check(registry: &Registry) -> Result<Vec<Violation>, MeasureError> {
    check_measures(registry, &registry.infos().collect::<Vec<_>>())
}

/// As [`check`], of one measure alone.
///
/// # Errors
/// As [`check`], and where the registry has no measure of this id.
pub fn check_one(registry: &Registry, id: &str) -> Result<Vec<Violation>, MeasureError> {
    let info = registry.info(id).map_err(|error| MeasureError::Failed(error.to_string()))?;
    check_measures(registry, &[info])
}

fn check_measures(
    registry: &Registry,
    infos: &[&'static MeasureInfo],
) -> Result<Vec<Violation>, MeasureError> {
    let mut violations: Vec<Violation> = infos.iter().flat_map(|info| documentation::check(info)).collect();
    let specimens = tiny_networks()?;
    let all = specs(infos).iter().map(|text| resolve(registry, text)).collect::<Result<Vec<_>, _>>()?;
    let changed = invariances::ChangedNetworks::of(&specimens)?;
    let mut references = Vec::new();
    for resolved in &all {
        let mut report = Report { measure: resolved.spec.to_string(), violations: &mut violations };
        let alone = specimens
            .iter()
            .map(|specimen| evaluate(specimen.input(), resolved))
            .collect::<Result<Vec<_>, _>>()?;
        check_values(resolved, &specimens, &alone, &mut report)?;
        check_dependence(resolved, &specimens, &alone, &mut report)?;
        if resolved.spec.parameters().is_empty() {
            changed.check(resolved, &mut report);
        }
        references.push(alone);
    }
    check_order(&all, &specimens, &references, &mut violations)?;
    Ok(violations)
}

struct Report<'a> {
    measure: String,
    violations: &'a mut Vec<Violation>,
}

impl Report<'_> {
    fn add(&mut self, promise: Promise, what: impl Into<String>) {
        self.violations.push(Violation { measure: self.measure.clone(), promise, what: what.into() });
    }
}

/// Every measure with its defaults, and with each other word of each of its choices.
fn specs(infos: &[&'static MeasureInfo]) -> Vec<String> {
    let mut specs = Vec::new();
    for info in infos {
        specs.push(info.id.to_string());
        for parameter in info.parameters {
            if let ParameterKind::Choice { default, options } = parameter.kind {
                let others = options.iter().filter(|option| **option != default);
                specs.extend(others.map(|option| format!("{}:{}={option}", info.id, parameter.name)));
            }
        }
    }
    specs
}

fn resolve(registry: &Registry, text: &str) -> Result<Resolved, MeasureError> {
    registry.resolve(text).map_err(|error| MeasureError::Failed(error.to_string()))
}

fn in_double(specimen: &Specimen) -> Result<ProbeInput, MeasureError> {
    let mut input = specimen.input();
    input.network = input.network.to_kind(Kind::Double)?;
    Ok(input)
}

fn evaluate(input: ProbeInput, resolved: &Resolved) -> Result<Evaluation, MeasureError> {
    Ok(Probe::new(input)?.evaluate(resolved))
}

fn value(input: ProbeInput, resolved: &Resolved) -> Result<Option<f64>, MeasureError> {
    Ok(evaluate(input, resolved)?.outcome.ok().map(|measured| measured.value))
}

/// Two outcomes are the same: equal values, or no value for the same reason.
fn same(one: &Evaluation, other: &Evaluation) -> bool {
    match (&one.outcome, &other.outcome) {
        (Ok(one), Ok(other)) => one == other && one.value.to_bits() == other.value.to_bits(),
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

fn close(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= ROUNDING * one.abs().max(other.abs()).max(1e-3),
        (None, None) => true,
        _ => false,
    }
}

/// Values exist, repeat, and do not depend on the batch size; costs are counted. `alone` holds those of the specimens, each
/// on a fresh probe.
fn check_values(
    resolved: &Resolved,
    specimens: &[Specimen],
    alone: &[Evaluation],
    report: &mut Report,
) -> Result<(), MeasureError> {
    let info = resolved.measure.info();
    let mut values = 0;
    let mut passes = 0.0;
    for (specimen, first) in specimens.iter().zip(alone) {
        let name = specimen.name;
        match &first.outcome {
            Ok(_) => values += 1,
            Err(MeasureError::Undefined(_)) => {}
            Err(error) => report.add(
                Promise::Values,
                format!("is {} on {name}, which has all that a measure may need: {error}", error.status()),
            ),
        }
        passes += first.passes.forward + first.passes.backward + first.passes.hvp;
        if !same(first, &evaluate(specimen.input(), resolved)?) {
            report.add(Promise::Determinism, format!("gives another value on {name} the second time"));
        }
        let whole = value(in_double(specimen)?, resolved)?;
        for batch_size in [1, 7] {
            let parts = value(ProbeInput { batch_size, ..in_double(specimen)? }, resolved)?;
            if !close(whole, parts) {
                report.add(
                    Promise::BatchIndependence,
                    format!(
                        "depends on the batch size on {name}: {whole:?} at once, {parts:?} by {batch_size}"
                    ),
                );
            }
        }
        let late = ProbeInput { deadline: Some(Instant::now()), ..specimen.input() };
        if let Err(error @ (MeasureError::Failed(_) | MeasureError::Unavailable(_))) =
            evaluate(late, resolved)?.outcome
        {
            report
                .add(Promise::Deadline, format!("is {} on {name} when time is up: {error}", error.status()));
        }
    }
    if values == 0 {
        report.add(Promise::Values, "has no value on any of the tiny networks");
    }
    if (passes > 0.0) != names_passes(info) {
        report.add(
            Promise::Cost,
            format!("counts {passes} passes in all, but its cost is given as `{}`", info.cost),
        );
    }
    Ok(())
}

/// Whether a cost speaks of passes: a word `F`, `B` or `HVP`, perhaps with a number in front.
fn names_passes(info: &MeasureInfo) -> bool {
    info.cost.split(|each: char| !each.is_alphanumeric()).any(|word| {
        matches!(word.trim_start_matches(|digit: char| digit.is_ascii_digit()), "F" | "B" | "HVP")
    })
}

/// Values depend on the seed and on what zoos may lack exactly as declared.
fn check_dependence(
    resolved: &Resolved,
    specimens: &[Specimen],
    alone: &[Evaluation],
    report: &mut Report,
) -> Result<(), MeasureError> {
    let info = resolved.measure.info();
    let mut seed_matters = false;
    for (specimen, reference) in specimens.iter().zip(alone) {
        let name = specimen.name;
        let reseeded =
            evaluate(ProbeInput { seed: specimen.input().seed + 1, ..specimen.input() }, resolved)?;
        seed_matters |= !same(reference, &reseeded);

        let without = [
            (Need::InitialWeights, ProbeInput { initial: None, ..specimen.input() }),
            (Need::TestInputs, ProbeInput { test_inputs: None, ..specimen.input() }),
            (Need::TrueGaps, ProbeInput { truth: None, ..specimen.input() }),
        ];
        for (need, input) in without {
            let lacking = evaluate(input, resolved)?;
            let what = need.describe();
            match (info.needs(need), &lacking.outcome) {
                (true, Err(MeasureError::Unavailable(_))) => {}
                (true, _) => {
                    report.add(Promise::Needs, format!("does not say `unavailable` on {name} without {what}"))
                }
                (false, _) if same(reference, &lacking) => {}
                (false, _) => report
                    .add(Promise::Needs, format!("depends on {what} on {name}, which it does not declare")),
            }
        }
        if !info.needs(Need::Labels) {
            let mut input = specimen.input();
            input.train.labels = rotated(&input.train.labels, specimen.classes)?;
            if !same(reference, &evaluate(input, resolved)?) {
                report.add(Promise::Needs, format!("depends on labels on {name}, which it does not declare"));
            }
        }
    }
    match (info.stochastic, seed_matters) {
        (true, false) => report.add(Promise::Needs, "is declared stochastic, but the seed changes nothing"),
        (false, true) => report.add(Promise::Needs, "depends on the seed, but is not declared stochastic"),
        _ => {}
    }
    Ok(())
}

/// Every label made another one.
fn rotated(labels: &Tensor, classes: i64) -> Result<Tensor, MeasureError> {
    Ok(labels.f_add_scalar(1)?.f_remainder(classes)?)
}

/// Values and passes are the same on a fresh probe (`references`, by measure and specimen) and on one that all measures
/// have used, in both orders.
fn check_order(
    all: &[Resolved],
    specimens: &[Specimen],
    references: &[Vec<Evaluation>],
    violations: &mut Vec<Violation>,
) -> Result<(), MeasureError> {
    for (which, specimen) in specimens.iter().enumerate() {
        let forwards = Probe::new(specimen.input())?;
        let backwards = Probe::new(specimen.input())?;
        let mut together: Vec<(usize, Evaluation)> =
            all.iter().map(|resolved| forwards.evaluate(resolved)).enumerate().collect();
        // A second time on the same probe: whoever changed a shared quantity meets it again.
        for probe in [&forwards, &backwards] {
            together
                .extend(all.iter().enumerate().rev().map(|(at, resolved)| (at, probe.evaluate(resolved))));
        }
        for (at, evaluation) in together {
            let (resolved, alone) = (&all[at], &references[at][which]);
            let mut report = Report { measure: resolved.spec.to_string(), violations };
            if !same(alone, &evaluation) {
                report.add(
                    Promise::Determinism,
                    format!("depends on the measures that ran before it on {}", specimen.name),
                );
            }
            if alone.passes != evaluation.passes {
                report.add(
                    Promise::Cost,
                    format!(
                        "costs {:?} alone and {:?} after others on {}",
                        alone.passes, evaluation.passes, specimen.name
                    ),
                );
            }
        }
    }
    Ok(())
}
