//! Registration, names, parameters and lists.

use pgdl_measure::{
    Asked, Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind,
    Parameters, Probe, Registry, RegistryError,
};

struct Fixed(&'static MeasureInfo, f64);

impl Measure for Fixed {
    fn info(&self) -> &MeasureInfo {
        self.0
    }

    fn evaluate(&self, _: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(self.1))
    }
}

const PLAIN: MeasureInfo = MeasureInfo {
    id: "plain",
    family: "examples",
    version: 1,
    title: "A number.",
    formula: "0",
    shapes: "none",
    paper: "none",
    needs: &[],
    cost: "O(1)",
    invariances: Invariances::ALL,
    behaviour: "none",
    stochastic: false,
    control: false,
    parameters: &[],
};

static FIRST: MeasureInfo = MeasureInfo { id: "first", ..PLAIN };
static SECOND: MeasureInfo = MeasureInfo { id: "second", family: "others", ..PLAIN };
static TUNED: MeasureInfo = MeasureInfo {
    id: "tuned",
    parameters: &[
        ParameterInfo {
            name: "width",
            kind: ParameterKind::Float { default: 0.5, min: 0.0, max: 2.0 },
            doc: "a width",
        },
        ParameterInfo {
            name: "count",
            kind: ParameterKind::Integer { default: 8, min: 1, max: i64::MAX },
            doc: "a count",
        },
        ParameterInfo {
            name: "graph",
            kind: ParameterKind::Choice { default: "rbf", options: &["rbf", "cosine"] },
            doc: "a graph",
        },
    ],
    ..PLAIN
};

fn tuned(parameters: &Parameters) -> Result<Box<dyn Measure>, RegistryError> {
    let graph = if parameters.choice("graph")? == "rbf" { 0.0 } else { 1.0 };
    Ok(Box::new(Fixed(&TUNED, parameters.float("width")? + parameters.integer("count")? as f64 + graph)))
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add(&FIRST, |_| Ok(Box::new(Fixed(&FIRST, 1.0)))).unwrap();
    registry.add(&TUNED, tuned).unwrap();
    registry.add(&SECOND, |_| Ok(Box::new(Fixed(&SECOND, 2.0)))).unwrap();
    registry
}

fn spelled(text: &str) -> String {
    registry().resolve(text).unwrap().spec.to_string()
}

fn refused(text: &str) -> RegistryError {
    registry().resolve(text).unwrap_err()
}

#[test]
fn ids_must_be_snake_case_free_and_new() {
    for id in ["", "Margin", "l2-norm", "_x", "x_", "a__b", "2nd", "mäß", "all", "family"] {
        let info: &'static MeasureInfo = Box::leak(Box::new(MeasureInfo { id, ..PLAIN }));
        let error = registry().add(info, |_| Ok(Box::new(Fixed(&FIRST, 0.0)))).unwrap_err();
        assert!(matches!(error, RegistryError::BadId { .. }), "{id}: {error}");
    }
    let error = registry().add(&FIRST, |_| Ok(Box::new(Fixed(&FIRST, 0.0)))).unwrap_err();
    assert!(matches!(error, RegistryError::Duplicate { .. }), "{error}");
}

#[test]
fn a_measure_has_one_spelling() {
    assert_eq!(spelled("first"), "first");
    assert_eq!(spelled(" first "), "first");
    // Sorted by name, numbers in their shortest form, defaults left out.
    assert_eq!(spelled("tuned:width=1.50,count=9"), "tuned:count=9,width=1.5");
    assert_eq!(spelled("tuned:graph=rbf,count=8,width=5e-1"), "tuned");
    assert_eq!(spelled("tuned: graph = cosine , width = -0"), "tuned:graph=cosine,width=0");
    assert_eq!(spelled("tuned:count=9223372036854775807"), "tuned:count=9223372036854775807");
    let resolved = registry().resolve("tuned:width=1").unwrap();
    assert_eq!((resolved.spec.id(), resolved.spec.parameters()), ("tuned", "width=1"));
}

#[test]
fn the_canonical_spelling_reads_back_as_itself() {
    for text in ["first", "tuned", "tuned:width=0.1,count=3,graph=cosine", "tuned:width=1e-300"] {
        assert_eq!(spelled(&spelled(text)), spelled(text));
    }
}

#[test]
fn illegal_parameters_name_what_is_legal() {
    let error = refused("tuned:width=3");
    assert_eq!(
        error.to_string(),
        "measure `tuned`: parameter `width=3` is not legal: it takes a number from 0 to 2"
    );
    for text in ["tuned:width=nan", "tuned:width=inf", "tuned:width=wide", "tuned:count=0", "tuned:count=1.5"]
    {
        assert!(matches!(refused(text), RegistryError::IllegalValue { .. }), "{text}");
    }
    assert!(refused("tuned:graph=knn").to_string().ends_with("it takes one of rbf, cosine"));
    assert!(refused("tuned:count=0").to_string().ends_with("it takes an integer of at least 1"));
    let error = refused("tuned:depth=3");
    assert_eq!(
        error.hint().unwrap(),
        "its parameters: `width`, a number from 0 to 2; `count`, an integer of at least 1; `graph`, one of rbf, cosine"
    );
    assert!(matches!(refused("first:p=1"), RegistryError::UnknownParameter { .. }));
    assert!(matches!(refused("tuned:count=3,count=4"), RegistryError::IllegalCombination { .. }));
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    assert_eq!(refused("frist").hint().unwrap(), "did you mean `first`?");
    assert_eq!(refused("margin").hint().unwrap(), "`pgdl measures` lists them all");
    let error = registry().resolve_list("family:exampels").unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `examples`?");
    let error = registry().resolve_list("family:spectral").unwrap_err();
    assert_eq!(error.hint().unwrap(), "families are examples, others");
}

#[test]
fn lists_keep_order_and_drop_repetitions() {
    let list = |text: &str| -> Vec<String> {
        registry().resolve_list(text).unwrap().iter().map(|one| one.spec.to_string()).collect()
    };
    assert_eq!(list("all"), ["first", "tuned", "second"]);
    assert_eq!(list("family:examples"), ["first", "tuned"]);
    assert_eq!(
        list("second,tuned:width=1,count=2,first,tuned:count=2,width=1,all"),
        ["second", "tuned:count=2,width=1", "first", "tuned"]
    );
    assert!(registry().resolve_list("").is_err());
    assert!(matches!(refused("first,second"), RegistryError::Syntax { .. }));
    assert!(matches!(refused("all"), RegistryError::Syntax { .. }));
}

#[test]
fn a_measure_that_reads_what_it_did_not_declare_is_refused() {
    let mut registry = Registry::new();
    registry.add(&FIRST, |parameters| Ok(Box::new(Fixed(&FIRST, parameters.float("width")?)))).unwrap();
    let error = registry.resolve("first").unwrap_err();
    assert!(error.to_string().contains("does not declare"), "{error}");
}

fn mistakes(text: &str) -> String {
    let error = registry().request(text).unwrap_err();
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn a_request_names_what_is_asked_and_what_it_takes() {
    let request = registry()
        .request("best = 2*first/tuned:width=1.0,graph=rbf, second, min(first,second), tuned:width=1, second")
        .unwrap();
    let asked: Vec<String> = request
        .asked
        .iter()
        .map(|asked| match asked {
            Asked::Measure(spec) => spec.to_string(),
            Asked::Composite(composite) => composite.to_string(),
        })
        .collect();
    assert_eq!(
        asked,
        ["best = 2 * first / tuned:width=1", "second", "min(first, second)", "tuned:width=1"],
        "in order, each once, canonically spelled"
    );
    let measures: Vec<String> = request.measures.iter().map(|one| one.spec.to_string()).collect();
    assert_eq!(measures, ["first", "tuned:width=1", "second"], "each once");
    let labels: Vec<String> = request.composites().map(|composite| composite.label()).collect();
    assert_eq!(labels, ["best", "min(first, second)"]);
}

#[test]
fn mistakes_in_composites_are_placed() {
    assert_eq!(
        mistakes("2 * (1 - frist)"),
        "cannot read `2 * (1 - frist)` at character 10: unknown measure `frist` | did you mean `first`?"
    );
    assert_eq!(
        mistakes("second, x = abs(tuned:width=7)"),
        "cannot read `x = abs(tuned:width=7)` at character 9: measure `tuned`: parameter `width=7` is not legal: it takes a number from 0 to 2 | "
    );
    assert_eq!(mistakes("2 + 2"), "composite `2 + 2`: it has no measure in it | ");
    assert_eq!(mistakes("first = 2 * second"), "composite `first = 2 * second`: `first` is a measure | ");
    assert!(mistakes("ln = 2 * second").contains("reserved word"));
    assert!(mistakes("Best = 2 * second").contains("snake_case"));
    assert_eq!(
        mistakes("x = first + second, x = first - second"),
        "composite `x = first - second`: the name is taken by `x = first + second` | "
    );
    assert!(mistakes("x = first + second, x * 2").contains("unknown measure `x`"));
    assert!(
        registry().resolve("2 * first").unwrap_err().to_string().contains("only measures are possible here")
    );
    assert!(registry().resolve_list("first, x = 2 * first").is_err());
}

#[test]
fn all_mistakes_of_a_list_are_told() {
    assert_eq!(
        mistakes("frist, tuned:width=7, family:exampels, secnd / first:p=1"),
        "5 mistakes:\
         \n  unknown measure `frist` (did you mean `first`?)\
         \n  measure `tuned`: parameter `width=7` is not legal: it takes a number from 0 to 2\
         \n  unknown measure family `exampels` (did you mean `examples`?)\
         \n  cannot read `secnd / first:p=1` at character 1: unknown measure `secnd` (did you mean `second`?)\
         \n  cannot read `secnd / first:p=1` at character 9: measure `first` has no parameter `p` (it takes no parameters) | "
    );
}
