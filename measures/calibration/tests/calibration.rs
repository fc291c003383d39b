//! Calibration measures against closed forms.

use pgdl_measure::contract::with_outputs;
use pgdl_measure::{MeasureError, Measured, Probe, ProbeInput, Registry};

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_calibration::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str, input: ProbeInput) -> f64 {
    evaluate(spec, input).unwrap().value
}

fn close(value: f64, expected: f64) {
    assert!((value / expected - 1.0).abs() < 1e-12, "{value} {expected}");
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Two classes, logits (a, 0) for each a.
fn two_classes(a: &[f32], labels: &[i64]) -> ProbeInput {
    let rows: Vec<[f32; 2]> = a.iter().map(|&a| [a, 0.0]).collect();
    with_outputs(&rows, labels).unwrap()
}

#[test]
fn two_class_outputs_by_hand() {
    let input = || two_classes(&[2.0, -1.0, 0.5, 3.0], &[0, 1, 1, 0]);
    let p = [sigmoid(2.0), sigmoid(1.0), sigmoid(0.5), sigmoid(3.0)];
    close(value("cross_entropy", input()), -(p[0].ln() + p[1].ln() + (1.0 - p[2]).ln() + p[3].ln()) / 4.0);
    close(value("confidence", input()), p.iter().sum::<f64>() / 4.0);
    let entropy = |p: f64| p * p.ln() + (1.0 - p) * (1.0 - p).ln();
    close(value("negative_entropy", input()), p.iter().map(|&p| entropy(p)).sum::<f64>() / 4.0);
    // Confidences 0.88, 0.73, 0.62, 0.95, and the third decision is wrong. With 2 bins all lie in the upper one; with
    // 4 bins the second and third share (0.5, 0.75], the others share (0.75, 1].
    let error = |bins: i64| value(&format!("expected_calibration_error:bins={bins}"), input());
    close(error(2), (0.75 - p.iter().sum::<f64>() / 4.0).abs());
    close(error(4), 0.5 * (0.5 - (p[1] + p[2]) / 2.0).abs() + 0.5 * (1.0 - (p[0] + p[3]) / 2.0).abs());
}

#[test]
fn undecided_and_certain_predictions_are_the_ends_of_the_scale() {
    let undecided = || with_outputs(&[[1.0, 1.0, 1.0, 1.0]], &[2]).unwrap();
    close(value("negative_entropy", undecided()), -(4f64.ln()));
    close(value("confidence", undecided()), 0.25);
    close(value("cross_entropy", undecided()), 4f64.ln());
    // Probabilities that underflow leave no NaN behind.
    let certain = || with_outputs(&[[2000.0, 0.0, -2000.0]], &[0]).unwrap();
    assert_eq!(value("negative_entropy", certain()), 0.0);
    assert_eq!(value("confidence", certain()), 1.0);
    assert_eq!(value("expected_calibration_error", certain()), 0.0);
}

#[test]
fn the_temperature_makes_confidence_equal_accuracy_where_all_logits_are_alike() {
    // k of n samples right at logits (a, 0): softmax(f/T) = k/n at T = a / ln(k/(n − k)).
    for (a, right, samples) in [(2.0f32, 15, 20), (30.0, 11, 20), (0.01, 19, 20), (5e4, 999, 1000)] {
        let labels: Vec<i64> = (0..samples).map(|sample| i64::from(sample >= right)).collect();
        let input = two_classes(&vec![a; samples as usize], &labels);
        let odds = f64::from(right) / f64::from(samples - right);
        close(value("temperature", input), f64::from(a) / odds.ln());
    }
}

#[test]
fn the_temperature_is_the_minimum_of_the_loss() {
    let rows = [[1.0f32, 0.2, -0.5], [0.1, 2.0, 0.3], [0.3, 0.4, -1.0], [5.0, 3.0, 4.0], [0.0, 0.1, 0.2]];
    let labels = [0, 1, 0, 2, 2];
    let best = value("temperature", with_outputs(&rows, &labels).unwrap());
    let loss = |temperature: f64| -> f64 {
        rows.iter()
            .zip(labels)
            .map(|(row, label)| {
                let scaled = row.map(|f| f64::from(f) / temperature);
                scaled.iter().map(|f| f.exp()).sum::<f64>().ln() - scaled[label as usize]
            })
            .sum()
    };
    for factor in [0.9, 0.999, 1.001, 1.1] {
        assert!(loss(best) < loss(best * factor), "{best} {factor}");
    }
}

#[test]
fn a_loss_without_minimum_has_no_temperature() {
    let undefined = |input: ProbeInput| match evaluate("temperature", input) {
        Err(MeasureError::Undefined(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(undefined(two_classes(&[2.0, -1.0], &[0, 1])).contains("T → 0"));
    assert!(undefined(two_classes(&[2.0, 1.0], &[1, 1])).contains("T → ∞"));
    assert!(undefined(two_classes(&[1.0, 1.0], &[0, 1])).contains("T → ∞"));
    assert!(undefined(two_classes(&[0.0, 0.0], &[0, 1])).contains("T → 0"));
}
