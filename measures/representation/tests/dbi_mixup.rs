//! The competition's winner against scikit-learn and NumPy on a small convolutional network.

use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::{Dataset, MeasureError, Measured, ProbeInput};

mod small_network;
use small_network::*;

#[track_caller]
fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} {expected}");
}

/// scikit-learn 1.9.1, davies_bouldin_score of the 4 × 4 max-pooled output of the convolution.
const INDEX: f64 = 1.0956600345803171;

#[test]
fn the_index_agrees_with_scikit_learn_and_the_accuracy_with_all_pairs() {
    // NumPy: of all pairs within a class 5/9, 1 and 1 are answered rightly.
    let all_pairs = 23.0 / 27.0;
    let runs: Vec<Measured> = (0..20)
        .map(|seed| {
            evaluate("dbi_mixup:draws=20", image_input(image_network(), &IMAGE_LABELS, seed)).unwrap()
        })
        .collect();
    for run in &runs {
        near(detail(run, "davies_bouldin"), INDEX, 1e-12);
        near(run.value, INDEX * (1.0 - detail(run, "mixup_accuracy")), 1e-12);
    }
    let count = runs.len() as f64;
    let mean = runs.iter().map(|run| run.value).sum::<f64>() / count;
    let error = runs.iter().map(|run| run.standard_error.unwrap()).sum::<f64>() / count;
    near(mean, INDEX * (1.0 - all_pairs), 3.0 * error / count.sqrt());
}

#[test]
fn as_coded_takes_all_pairs_of_ten_batches() {
    // NumPy: ten batches of 30 consecutive samples, over again from the first.
    let run = evaluate("dbi_mixup:variant=as_coded", image_input(image_network(), &IMAGE_LABELS, 3)).unwrap();
    near(detail(&run, "mixup_accuracy"), 0.845998445998446, 1e-12);
    // Draws of 120 from 24 samples: close to the index of all.
    near(detail(&run, "davies_bouldin"), INDEX, 0.05);
    near(run.value, detail(&run, "davies_bouldin") * (1.0 - detail(&run, "mixup_accuracy")), 1e-12);
    let refused = registry().resolve("dbi_mixup:variant=as_coded,draws=7").err().unwrap();
    assert!(refused.to_string().contains("its own sizes"), "{refused}");
}

#[test]
fn without_strides_pairs_or_classes_there_is_no_value() {
    let none = |input: ProbeInput, word: &str| {
        for spec in ["dbi_mixup", "dbi_mixup:variant=as_coded"] {
            let labels = input.train.labels.shallow_clone();
            let again = ProbeInput {
                network: input.network.shallow_clone(),
                initial: None,
                train: Dataset::new(input.train.inputs.shallow_clone(), labels).unwrap(),
                test_inputs: None,
                truth: None,
                ..input
            };
            match evaluate(spec, again) {
                Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{spec}: {reason}"),
                other => panic!("{spec}: {other:?}"),
            }
        }
    };
    none(image_input(image_network(), &[1; 24], 0), "one class");
    let flat = vec![
        Layer::Flatten,
        Layer::Dense(Dense { units: 3, use_bias: false, activation: Activation::Linear }),
    ];
    let architecture = Architecture::sequential(vec![8, 8, 2], flat).unwrap();
    let dense = Network::initialize(architecture, 1, pgdl_measure::tch::Device::Cpu).unwrap();
    none(image_input(dense, &IMAGE_LABELS, 0), "no convolution");
    let alone = image_input(image_network(), &[0, 1, 2], 0);
    match evaluate("dbi_mixup", alone) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("two samples"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
