//! Margins by hand.

use pgdl_measure::contract::with_outputs;
use pgdl_measure::{MeasureError, Measured, Probe, Registry};

/// Margins 2, −1, 0.5, 4, 3 for the label 0.
const OUTPUTS: [[f32; 3]; 5] =
    [[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, -2.0, -0.5], [1.0, -3.0, -4.0], [3.0, 0.0, -1.0]];

fn evaluate(spec: &str) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    let probe = Probe::new(with_outputs(&OUTPUTS, &[0; 5]).unwrap()).unwrap();
    probe.evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str) -> f64 {
    evaluate(spec).unwrap().value
}

fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{value} {expected}");
}

#[test]
fn the_margin_is_minus_a_percentile_of_the_signed_margins() {
    // Sorted: −1, 0.5, 2, 3, 4. Position of the 10th percentile: 0.4.
    close(value("margin"), 1.0 - 0.4 * 1.5);
    close(value("margin:p=0"), 1.0);
    close(value("margin:p=50"), -2.0);
    close(value("margin:p=100"), -4.0);
}

#[test]
fn the_inverse_margin_is_undefined_where_the_percentile_is_not_positive() {
    close(value("inverse_margin:p=50"), 0.25);
    match evaluate("inverse_margin") {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("-4.000e-1"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_coded_takes_magnitudes() {
    // Sorted magnitudes: 0.5, 1, 2, 3, 4.
    close(value("margin:variant=as_coded"), -(0.5 + 0.4 * 0.5));
    close(value("inverse_margin:variant=as_coded,p=25"), 1.0);
}
