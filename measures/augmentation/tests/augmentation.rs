//! Values by hand.

use pgdl_measure::contract::with_outputs;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, MeasureError, Measured, Probe, ProbeInput, Registry};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_augmentation::register(&mut registry).unwrap();
    registry
}

fn evaluate(input: ProbeInput, spec: &str) -> Result<Measured, MeasureError> {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap()).outcome
}

/// The network returns its input. In the class 0, the first sample is right and the second wrong, their mean is right.
#[test]
fn mixtures_of_a_class_are_right_or_wrong() {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let input = with_outputs(&[[3.0, 0.0], [-1.0, 1.0], [0.0, 1.0]], &[0, 0, 1]).unwrap();
        seen.push(evaluate(ProbeInput { seed, ..input }, "mixup_accuracy:draws=2").unwrap().value);
    }
    // Each draw mixes the two (3 of 3 right) or not (2 of 3).
    for expected in [2.0 / 3.0, 5.0 / 6.0, 1.0] {
        assert!(seen.iter().any(|value| (value - expected).abs() < 1e-12), "{expected}: {seen:?}");
    }
    assert!(seen.iter().all(|value| (value * 6.0 - (value * 6.0).round()).abs() < 1e-12));
}

/// Classes of equal samples leave nothing to chance: the first class is right, the second is wrong.
#[test]
fn the_error_on_mixtures_is_the_complement_of_the_accuracy() {
    let input = || with_outputs(&[[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [1.0, 0.5]], &[0, 0, 0, 1]).unwrap();
    assert_eq!(evaluate(input(), "mixup_accuracy").unwrap().value, 0.75);
    assert_eq!(evaluate(input(), "mixup_accuracy:form=error").unwrap().value, 0.25);
    assert_eq!(evaluate(input(), "mixup_accuracy:form=error,samples=3").unwrap().value, 0.0);
}

/// The network returns its input: (1, 0) in class 0, (0, 3) in class 1. With a share λ of the other, class 0 is right
/// up to λ = 1/4 (a tie, which the first class wins), class 1 always: A = 1 up to β = ½, and ½ from there on.
#[test]
fn the_response_to_mixtures_by_hand() {
    let input = || with_outputs(&[[1.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 3.0]], &[0, 1, 0, 1]).unwrap();
    let measured = evaluate(input(), "gi_score:magnitudes=4").unwrap();
    // ∫ C over the four pieces: 1/32 + 3/32, then ¼·½ + 1/32 − 2/(6·64), then 11/64 + 1/64.
    assert!((measured.value - 7.0 / 192.0).abs() < 1e-15, "{measured:?}");
    assert_eq!(measured.standard_error, Some(0.0));
    for (at, expected) in [("0.000", 1.0), ("0.250", 1.0), ("0.375", 0.5), ("0.500", 0.5)] {
        assert_eq!(measured.details[&format!("accuracy/{at}")], expected.into(), "{at}");
    }
    // Above the quarter of the largest magnitudes C = 11/16 + t/2, below the smallest half C = α.
    let measured = evaluate(input(), "pal_score:magnitudes=4,top=0.25,bottom=0.5").unwrap();
    assert!((measured.value + (12.0 / 64.0) / 0.125).abs() < 1e-15, "{measured:?}");
    // Within the classes nothing changes.
    assert_eq!(evaluate(input(), "gi_score:perturbation=intra_class").unwrap().value, 0.0);
    let flat = evaluate(input(), "pal_score:perturbation=intra_class").unwrap().value;
    assert!((flat + 84.0).abs() < 1e-9, "{flat}");
}

#[test]
fn what_has_no_response_says_why() {
    let one_class = || with_outputs(&[[1.0, 0.0], [2.0, 0.0]], &[0, 0]).unwrap();
    let wrong = || with_outputs(&[[0.0, 1.0], [2.0, 0.0]], &[0, 1]).unwrap();
    for (input, spec, reason) in [
        (one_class(), "gi_score", "of one class"),
        (one_class(), "pal_score", "of one class"),
        (wrong(), "pal_score:perturbation=intra_class", "correctly"),
        (wrong(), "gi_score:layer=first", "hidden representation"),
    ] {
        match evaluate(input, spec) {
            Err(MeasureError::Undefined(found)) => assert!(found.contains(reason), "{spec}: {found}"),
            other => panic!("{spec}: {other:?}"),
        }
    }
    assert_eq!(evaluate(wrong(), "gi_score:perturbation=intra_class").unwrap().value, 0.5);
    assert_eq!(evaluate(one_class(), "gi_score:perturbation=intra_class").unwrap().value, 0.0);
    // One sample is its own partner.
    let alone = || with_outputs(&[[1.0, 0.0]], &[0]).unwrap();
    assert_eq!(evaluate(alone(), "mixup_accuracy").unwrap().value, 1.0);
    assert_eq!(evaluate(alone(), "gi_score:perturbation=intra_class").unwrap().value, 0.0);
    // Weights so large that outputs overflow.
    let broken = || {
        let input = with_outputs(&[[10.0, 0.0], [0.0, 20.0]], &[0, 1]).unwrap();
        let network = input.network.map_weights(|weight| Ok(weight.tensor.f_mul_scalar(1e38)?)).unwrap();
        ProbeInput { network, ..input }
    };
    for spec in ["mixup_accuracy", "noise_response", "gi_score", "pal_score"] {
        assert!(matches!(evaluate(broken(), spec), Err(MeasureError::Undefined(_))), "{spec}");
    }
}

#[test]
fn the_entry_takes_its_own_samples() {
    let error = registry().resolve("always_generalize:variant=as_coded,samples=7").unwrap_err();
    assert!(error.to_string().contains("12864"), "{error}");
}

/// Outputs (x, 0) at x = ±1: noise of σ changes the sign with the probability Φ(−1/σ).
#[test]
fn noise_changes_the_sign_as_often_as_the_normal_distribution_says() {
    let outputs: Vec<[f32; 2]> =
        (0..1000).map(|at| if at % 2 == 0 { [1.0, -1.0] } else { [-1.0, 1.0] }).collect();
    let input = || with_outputs(&outputs, &[0; 1000]).unwrap();
    // The difference of the two outputs is 2, its noise √2 σ; Φ(−√2/1.5) by `scipy.stats.norm.cdf`.
    let expected = 0.17288929307558015;
    let measured = evaluate(input(), "noise_response:sigma=1.5,draws=20").unwrap();
    let error = (expected * (1.0 - expected) / 20_000f64).sqrt();
    assert!((measured.value - expected).abs() < 4.0 * error, "{measured:?}");
    let found = measured.standard_error.unwrap();
    assert!(found > 0.4 * error && found < 2.0 * error, "{found} {error}");
    assert_eq!(evaluate(input(), "noise_response:sigma=0").unwrap().value, 0.0);
    let constant = with_outputs(&[[1.0, 1.0]; 3], &[0; 3]).unwrap();
    assert!(matches!(evaluate(constant, "noise_response"), Err(MeasureError::Undefined(_))));
}

/// Images of 20 × 20, 5 on the left and −5 on the right; class 0 gets the sum of the left less that of the right, class
/// 1 gets 0.
fn halves(shape: &[i64], scale: f64) -> ProbeInput {
    let (height, width) = (shape[1], shape[2]);
    let sign = |column: i64| if column < width / 2 { 1.0 } else { -1.0 };
    let image: Vec<f64> = (0..height * width).map(|at| sign(at % width)).collect();
    let image = Tensor::from_slice(&image).reshape([1, height, width, 1]);
    let weights = Tensor::cat(
        &[image.reshape([-1, 1]) * scale, Tensor::zeros([height * width, 1], (Kind::Double, Device::Cpu))],
        1,
    );
    let layers = vec![
        Layer::Flatten,
        Layer::Dense(Dense { units: 2, use_bias: false, activation: Activation::Linear }),
    ];
    let architecture = Architecture::sequential(vec![height, width, 1], layers).unwrap();
    let inputs = (image * 5.0).repeat([shape[0], 1, 1, 1]).to_kind(Kind::Float);
    let train = Dataset::new(inputs, Tensor::zeros([shape[0]], (Kind::Int64, Device::Cpu))).unwrap();
    ProbeInput {
        network: Network::new(architecture, vec![vec![], vec![weights]]).unwrap(),
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 2,
    }
}

/// Both flips change the class: 6 + 12. The Sobel image is symmetric: a tie, which the first class wins with the
/// probability ½ instead of 1. Whatever else is done, the left stays larger than the right.
#[test]
fn the_penalties_of_two_halves() {
    assert_eq!(evaluate(halves(&[3, 20, 20, 1], 10.0), "always_generalize").unwrap().value, 18.5);
    let entry = evaluate(halves(&[3, 20, 20, 1], 10.0), "always_generalize:variant=as_coded").unwrap();
    assert_eq!((entry.value, entry.standard_error), (-3.0 * 18.5, Some(0.0)));
    // A network that says the same of everything.
    assert_eq!(evaluate(halves(&[3, 20, 20, 1], 0.0), "always_generalize").unwrap().value, 0.0);
}

#[test]
fn what_is_no_image_has_no_augmentation() {
    let vectors = with_outputs(&[[3.0, 0.0], [-1.0, 1.0]], &[0, 1]).unwrap();
    for (input, named) in [(vectors, "[2, 2]"), (halves(&[2, 1, 6, 1], 1.0), "1 × 6")] {
        match evaluate(input, "always_generalize") {
            Err(MeasureError::Undefined(reason)) => assert!(reason.contains(named), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
