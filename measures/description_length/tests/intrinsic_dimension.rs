//! The intrinsic dimension: what is trained, what is refused, when it ends.

use std::time::{Duration, Instant};

use pgdl_measure::contract::{Specimen, tiny_networks, with_outputs};
use pgdl_measure::{Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

fn outcome(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_description_length::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

/// A specimen whose own network was trained.
fn trained() -> Specimen {
    tiny_networks().unwrap().swap_remove(2)
}

#[test]
fn the_value_lies_between_dimensions_that_fail_and_those_that_are_enough() {
    for projection in ["fastfood", "sparse", "dense"] {
        let measured = outcome(
            &format!("intrinsic_dimension:projection={projection},accuracy=0.7,lr=0.02"),
            trained().input(),
        )
        .unwrap();
        let target = 0.7 * detail(&measured, "full_accuracy");
        assert!(measured.value >= 1.0 && measured.value <= detail(&measured, "parameters"));
        let tried: Vec<(f64, f64)> = measured
            .details
            .keys()
            .filter_map(|name| {
                let d = name.strip_prefix("accuracy_in_")?;
                Some((d.parse().unwrap(), detail(&measured, name)))
            })
            .collect();
        assert_eq!(tried.len() as f64, detail(&measured, "trainings"));
        let enough = |d: &f64| tried.iter().find(|(other, _)| other == d).unwrap().1 >= target;
        let above =
            tried.iter().map(|(d, _)| *d).filter(|d| *d >= measured.value).fold(f64::INFINITY, f64::min);
        assert!(enough(&above), "{measured:?}");
        if measured.value > 1.0 {
            let below = tried.iter().map(|(d, _)| *d).filter(|d| *d < measured.value).fold(0.0, f64::max);
            assert!(!enough(&below), "{measured:?}");
        }
    }
}

#[test]
fn several_searches_have_a_mean_and_a_standard_error() {
    let measured =
        outcome("intrinsic_dimension:accuracy=0.7,lr=0.02,steps=40,repeats=3", trained().input()).unwrap();
    let values: Vec<f64> = (0..3).map(|at| detail(&measured, &format!("run_{at}"))).collect();
    let mean = values.iter().sum::<f64>() / 3.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0;
    assert!(variance > 0.0, "{values:?}");
    assert!((measured.value - mean).abs() < 1e-9, "{measured:?}");
    assert!((measured.standard_error.unwrap() - (variance / 3.0).sqrt()).abs() < 1e-9, "{measured:?}");
}

#[test]
fn a_share_that_is_asked_for_less_needs_no_more_dimensions() {
    let value = |share| {
        outcome(&format!("intrinsic_dimension:accuracy={share},lr=0.02"), trained().input()).unwrap().value
    };
    // Nothing asked for: one dimension is enough.
    assert_eq!(value("0"), 1.0);
    assert!(value("0.7") > value("0.4"), "{} {}", value("0.7"), value("0.4"));
}

#[test]
fn dimensions_that_are_not_enough_are_no_value() {
    let error = outcome("intrinsic_dimension:most=1,accuracy=1,lr=0.02", trained().input()).unwrap_err();
    assert!(
        matches!(&error, MeasureError::Undefined(reason) if reason.starts_with("1 dimensions")),
        "{error:?}"
    );
}

#[test]
fn one_class_asks_for_nothing() {
    let mut input = with_outputs(&[[1.0, 0.0, 0.0]; 4], &[0; 4]).unwrap();
    input.initial = Some(input.network.shallow_clone());
    let error = outcome("intrinsic_dimension", input).unwrap_err();
    assert!(
        matches!(&error, MeasureError::Undefined(reason) if reason.contains("most frequent")),
        "{error:?}"
    );
}

#[test]
fn without_initial_weights_it_is_unavailable() {
    let input = ProbeInput { initial: None, ..trained().input() };
    assert!(matches!(outcome("intrinsic_dimension", input), Err(MeasureError::Unavailable(_))));
}

#[test]
fn it_ends_within_a_training_when_time_is_up() {
    let specimen = trained();
    let start = Instant::now();
    let input = ProbeInput { deadline: Some(start + Duration::from_millis(20)), ..specimen.input() };
    let error = outcome("intrinsic_dimension:steps=1000000,lr=0.02", input).unwrap_err();
    assert!(matches!(&error, MeasureError::Timeout(reason) if reason.contains("steps")), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}
