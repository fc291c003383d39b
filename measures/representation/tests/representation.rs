//! Hidden activations against scikit-learn and NumPy, closed forms, and degenerate input.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, MeasureError, Measured, Probe, ProbeInput, Registry};

const FAMILY: [&str; 9] =
    ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "cka", "label_variation", "vpm", "vr", "wcv"];

const LABELS: [i64; 24] = [0, 0, 1, 2, 1, 0, 2, 1, 0, 1, 2, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2, 1, 0, 0];

/// Entry (i, j): ((13 i² + 29 j² + 11 i j + 5 i) mod 32 − 16) / 8, and 1.5 more where j is the label of i.
fn points() -> Vec<f64> {
    let entry = |i: i64, j: i64| {
        let label = if LABELS[i as usize] == j { 1.5 } else { 0.0 };
        ((13 * i * i + 29 * j * j + 11 * i * j + 5 * i) % 32 - 16) as f64 / 8.0 + label
    };
    (0..24).flat_map(|i| (0..4).map(move |j| entry(i, j))).collect()
}

fn matrix(rows: i64, columns: i64, entry: impl Fn(i64, i64) -> f64) -> Tensor {
    let values: Vec<f64> = (0..rows * columns).map(|at| entry(at / columns, at % columns)).collect();
    Tensor::from_slice(&values).reshape([rows, columns])
}

/// 4 → 4 (the identity) → 6 (ReLU) → 3: the first hidden representation is the input.
fn network() -> Network {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: false, activation });
    let layers = vec![dense(4, Activation::Linear), dense(6, Activation::Relu), dense(3, Activation::Linear)];
    let weights = vec![
        vec![Tensor::eye(4, (Kind::Double, Device::Cpu))],
        vec![matrix(4, 6, |i, j| ((7 * i + 5 * j + 3) % 9 - 4) as f64 / 4.0)],
        vec![matrix(6, 3, |i, j| ((5 * i + 4 * j + 1) % 7 - 3) as f64 / 2.0)],
    ];
    Network::new(Architecture::sequential(vec![4], layers).unwrap(), weights).unwrap()
}

fn input(points: &[f64], labels: &[i64]) -> ProbeInput {
    let inputs = Tensor::from_slice(points).to_kind(Kind::Float).reshape([-1, 4]);
    let train = Dataset::new(inputs, Tensor::from_slice(labels)).unwrap();
    ProbeInput {
        network: network(),
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 10,
    }
}

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_representation::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str) -> f64 {
    evaluate(spec, input(&points(), &LABELS)).unwrap().value
}

#[track_caller]
fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{value} {expected}");
}

#[track_caller]
fn undefined(spec: &str, input: ProbeInput, word: &str) {
    match evaluate(spec, input) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{spec}: {reason}"),
        other => panic!("{spec}: {other:?}"),
    }
}

#[test]
fn values_agree_with_scikit_learn_and_numpy() {
    // scikit-learn 1.9.1: davies_bouldin_score. The others in NumPy 2.4.6 from the formulas, with explicit covariances,
    // numpy.linalg.pinv, and dense Laplacians.
    let golden = [
        ("davies_bouldin", 2.133638320030982, 2.4383423111306226),
        ("cdnv", 1.1073799196445389, 1.4522360154931564),
        ("neural_collapse", 1.2223788469971604, 1.8492457219453202),
        ("two_nn", 1.798094206049131, 1.3784192188892204),
        ("label_variation:k=3", 45.733151330460565, 59.439597807584846),
        ("label_variation:graph=rbf,k=3", 52.85106086083988, 60.374290050494714),
        ("label_variation:graph=binary,k=3", 62.0, 66.0),
    ];
    for (spec, first, last) in golden {
        let joint = if spec.contains(':') { ',' } else { ':' };
        close(value(&format!("{spec}{joint}layer=1")), first);
        close(value(&format!("{spec}{joint}layer=2")), last);
        close(value(spec), last);
    }
    close(value("wcv"), 18.757359312880716);
    close(value("vr:k=3"), 12.770073413683217);
    let cka = evaluate("cka", input(&points(), &LABELS)).unwrap();
    close(cka.value, 0.8381807163809015);
    close(cka.layers[0].value, (0.8420467219340468 + 0.787160230111411) / 2.0);
    close(cka.layers[2].value, (0.787160230111411 + 0.8853351970972465) / 2.0);
}

#[test]
fn two_classes_by_hand() {
    // Class 0 at (±1, 0), class 1 at (10 ± 1, 0): S = 1, V = 1, distance 10.
    let points = [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 11.0, 0.0, 0.0, 0.0];
    let by_hand = |spec: &str| evaluate(spec, input(&points, &[0, 0, 1, 1])).unwrap().value;
    close(by_hand("davies_bouldin:layer=1"), 0.2);
    close(by_hand("cdnv:layer=1"), 0.01);
    // Σ_W = 1, Σ_B = 25 along the first axis.
    close(by_hand("neural_collapse:layer=1"), 1.0 / 25.0 / 2.0);
    // By cosine 1, 9 and 11 are all alike, and −1 is as far from each: the earliest one is the neighbour. The edges are
    // {−1, 1}, {1, 9} and {1, 11}, two of them between classes.
    close(by_hand("label_variation:graph=binary,k=1,layer=1"), 4.0);
}

#[test]
fn variations_repeat_and_scatter_as_their_standard_error_says() {
    let draws: Vec<Measured> = (0..30)
        .map(|seed| {
            let seeded = ProbeInput { seed, ..input(&points(), &LABELS) };
            evaluate("vpm:graphs=40", seeded).unwrap()
        })
        .collect();
    let count = draws.len() as f64;
    let mean = draws.iter().map(|one| one.value).sum::<f64>() / count;
    let spread = (draws.iter().map(|one| (one.value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let claimed = draws.iter().map(|one| one.standard_error.unwrap()).sum::<f64>() / count;
    // A standard deviation of 30 values is known to 13 %; the graphs' values are not quite normal.
    assert!((0.6..1.6).contains(&(spread / claimed)), "{spread} {claimed}");
}

#[test]
fn copies_of_all_samples_change_no_dimension() {
    let (points, labels) = (points(), LABELS.to_vec());
    let twice = input(&[points.clone(), points].concat(), &[labels.clone(), labels].concat());
    let measured = evaluate("two_nn:layer=1", twice).unwrap();
    close(measured.value, 1.798094206049131);
    assert_eq!(measured.details["points"], 24.0.into());
}

#[test]
fn degenerate_samples_have_no_value_and_a_reason() {
    for spec in ["davies_bouldin", "cdnv", "neural_collapse"] {
        undefined(spec, input(&points(), &[1; 24]), "one class");
        // Both classes at the same places.
        let half = &points()[..48];
        let labels = [[0i64; 12], [1; 12]].concat();
        undefined(spec, input(&[half, half].concat(), &labels), "same centroid");
    }
    let constant = [0.5; 96];
    for spec in ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "cka"] {
        undefined(spec, input(&constant, &LABELS), "the same on every sample");
    }
    for spec in ["label_variation", "vpm", "vr", "wcv"] {
        undefined(spec, input(&[0.0; 96], &LABELS), "zero on every sample");
        undefined(spec, input(&points()[..4], &LABELS[..1]), "neighbours");
        // One class or constant activations: nothing varies, or everything alike; both are values.
        assert!(evaluate(spec, input(&constant, &LABELS)).is_ok(), "{spec}");
        assert!(evaluate(spec, input(&points(), &[1; 24])).is_ok(), "{spec}");
    }
    close(evaluate("label_variation", input(&points(), &[1; 24])).unwrap().value, 0.0);
    undefined("two_nn", input(&points()[..28], &LABELS[..7]), "7 different points");
    undefined("label_variation:k=24", input(&points(), &LABELS), "24 neighbours");
    undefined("davies_bouldin:layer=3", input(&points(), &LABELS), "layer=3");
    for id in FAMILY {
        let mut broken = input(&points(), &LABELS);
        let network = &broken.network;
        let nan = network.map_weights(|one| Ok(one.tensor.f_mul_scalar(f64::NAN)?)).unwrap();
        broken.network = nan;
        undefined(id, broken, "not finite");
    }
}

#[test]
fn layer_zero_is_refused() {
    let mut registry = Registry::new();
    pgdl_measure_representation::register(&mut registry).unwrap();
    for id in ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "label_variation"] {
        let error = registry.resolve(&format!("{id}:layer=0")).err().unwrap();
        assert!(error.to_string().contains("layer=0"), "{error}");
    }
}

#[test]
fn representations_are_what_enters_the_layers_with_weights() {
    let networks = tiny_networks().unwrap();
    let names = |at: usize| -> Vec<String> {
        let found = pgdl_measure_representation::hidden_layers::hidden_and_output(&networks[at].network);
        found.into_iter().map(|one| one.layer).collect()
    };
    assert_eq!(names(0), ["max_pooling2d", "dropout", "dense"]);
    assert_eq!(names(1), ["activation", "global_average_pooling2d"]);
    assert_eq!(names(2), ["dense", "dense_1", "dense_2"]);
}
