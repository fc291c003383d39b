//! The controls against what they are by definition.

use pgdl_measure::contract::{tiny_networks, with_outputs};
use pgdl_measure::{HyperValue, MeasureError, Measured, Probe, ProbeInput, Registry, TrueNetwork, Truth};

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_controls::register(&mut registry).unwrap();
    let resolved = registry.resolve(spec).unwrap();
    Probe::new(input).unwrap().evaluate(&resolved).outcome
}

fn value(spec: &str, input: ProbeInput) -> f64 {
    evaluate(spec, input).unwrap().value
}

fn input() -> ProbeInput {
    tiny_networks().unwrap()[2].input()
}

fn with_truth(rows: &[(&[HyperValue], f64)], index: usize) -> ProbeInput {
    let networks = rows
        .iter()
        .map(|(hyperparameters, gap)| TrueNetwork { hyperparameters: hyperparameters.to_vec(), gap: *gap })
        .collect();
    ProbeInput { truth: Some(Truth { networks, index }), ..input() }
}

fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{value} {expected}");
}

#[test]
fn constant_is_the_same_for_all_networks() {
    let values: Vec<f64> =
        tiny_networks().unwrap().iter().map(|specimen| value("constant", specimen.input())).collect();
    assert_eq!(values, [0.0; 4]);
}

#[test]
fn random_is_uniform_over_networks_and_seeds() {
    let specimen = tiny_networks().unwrap().swap_remove(2);
    let draws: Vec<f64> =
        (0..2000).map(|id| value("random", ProbeInput { network_id: id, ..specimen.input() })).collect();
    assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
    let mean = draws.iter().sum::<f64>() / 2000.0;
    // Four standard errors, √(1/12 / 2000) each.
    assert!((mean - 0.5).abs() < 4.0 * (1.0f64 / 24000.0).sqrt(), "{mean}");
    assert_ne!(
        value("random", ProbeInput { seed: 5, ..input() }),
        value("random", ProbeInput { seed: 6, ..input() })
    );
}

#[test]
fn the_noisy_oracle_is_the_gap_plus_noise_of_the_given_size() {
    let specimen = tiny_networks().unwrap().swap_remove(2);
    let gap = specimen.truth.gap().unwrap();
    assert_eq!(value("noisy_oracle:sigma=0", input()), gap);
    let noise: Vec<f64> = (0..2000)
        .map(|id| value("noisy_oracle:sigma=0.5", ProbeInput { network_id: id, ..specimen.input() }) - gap)
        .collect();
    let mean = noise.iter().sum::<f64>() / 2000.0;
    let variance = noise.iter().map(|each| each * each).sum::<f64>() / 2000.0;
    // Four standard errors: σ/√n of the mean, σ² √(2/n) of the variance.
    assert!(mean.abs() < 4.0 * 0.5 / 2000f64.sqrt(), "{mean}");
    assert!((variance - 0.25).abs() < 4.0 * 0.25 * (2.0 / 2000f64).sqrt(), "{variance}");
}

#[test]
fn the_grid_predicts_a_gap_that_is_linear_in_it_exactly() {
    use HyperValue::{Number, Text};
    let level = |word: &str| Text(word.to_string());
    let mut rows: Vec<(Vec<HyperValue>, f64)> = Vec::new();
    for width in [8.0, 16.0, 64.0] {
        for (schedule, effect) in [("none", 0.0), ("step", 0.03), ("cosine", -0.02)] {
            // One number is written as text, as some zoos have it; the last axis has one value only.
            let batch = if width == 8.0 { level("32") } else { Number(32.0) };
            rows.push((vec![Number(width), level(schedule), batch], 0.1 + 0.001 * width + effect));
        }
    }
    let rows: Vec<(&[HyperValue], f64)> =
        rows.iter().map(|(values, gap)| (values.as_slice(), *gap)).collect();
    for (index, (_, gap)) in rows.iter().enumerate() {
        close(value("hyperparameters_only", with_truth(&rows, index)), *gap);
        // As levels the widths' effects are found from the other networks as well.
        close(value("hyperparameters_only:encoding=levels", with_truth(&rows, index)), *gap);
    }
}

#[test]
fn the_networks_own_gap_is_left_out() {
    use HyperValue::Number;
    let rows = |own: f64| {
        let axis: [&[HyperValue]; 4] = [&[Number(0.0)], &[Number(1.0)], &[Number(2.0)], &[Number(4.0)]];
        with_truth(&[(axis[0], 0.0), (axis[1], 1.0), (axis[2], 1.0), (axis[3], own)], 3)
    };
    // The line through (0, 0), (1, 1), (2, 1), at 4: 2/3 + 3/2.
    close(value("hyperparameters_only", rows(0.0)), 13.0 / 6.0);
    close(value("hyperparameters_only", rows(99.0)), 13.0 / 6.0);
    // As levels nothing is known of 4: the mean of the others.
    close(value("hyperparameters_only:encoding=levels", rows(0.0)), 2.0 / 3.0);
}

#[test]
fn a_grid_without_axes_or_others_has_no_prediction() {
    let alone: &[HyperValue] = &[HyperValue::Number(1.0)];
    let undefined =
        |input| matches!(evaluate("hyperparameters_only", input), Err(MeasureError::Undefined(_)));
    assert!(undefined(with_truth(&[(alone, 0.1)], 0)));
    assert!(undefined(with_truth(&[(&[], 0.1), (&[], 0.2)], 0)));
    let outside = evaluate("hyperparameters_only", with_truth(&[(alone, 0.1)], 1));
    assert!(matches!(outside, Err(MeasureError::Unavailable(_))));
}

#[test]
fn training_loss_and_error_by_hand() {
    let input = || with_outputs(&[[1.0, 3.0], [2.0, 0.0], [0.5, 0.5], [0.0, 1.0]], &[1, 1, 0, 1]).unwrap();
    assert_eq!(value("train_error", input()), 0.25);
    let softplus = |x: f64| (1.0 + x.exp()).ln();
    let expected = (softplus(-2.0) + softplus(2.0) + softplus(0.0) + softplus(-1.0)) / 4.0;
    close(value("train_loss", input()), expected);
}
