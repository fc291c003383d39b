//! A small network whose numbers are exact in f32, with 24 samples of three classes, and how to evaluate measures on it.
#![allow(dead_code, reason = "every test program uses its own part")]

use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

pub const LABELS: [i64; 24] = [0, 0, 1, 2, 1, 0, 2, 1, 0, 1, 2, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2, 1, 0, 0];

/// Entry (i, j): ((13 i² + 29 j² + 11 i j + 5 i) mod 32 − 16) / 8, and 1.5 more where j is the label of i.
pub fn points() -> Vec<f64> {
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
pub fn network() -> Network {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: false, activation });
    let layers = vec![dense(4, Activation::Linear), dense(6, Activation::Relu), dense(3, Activation::Linear)];
    let weights = vec![
        vec![Tensor::eye(4, (Kind::Double, Device::Cpu))],
        vec![matrix(4, 6, |i, j| ((7 * i + 5 * j + 3) % 9 - 4) as f64 / 4.0)],
        vec![matrix(6, 3, |i, j| ((5 * i + 4 * j + 1) % 7 - 3) as f64 / 2.0)],
    ];
    Network::new(Architecture::sequential(vec![4], layers).unwrap(), weights).unwrap()
}

pub fn input(points: &[f64], labels: &[i64]) -> ProbeInput {
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

pub fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_representation::register(&mut registry).unwrap();
    registry
}

pub fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap()).outcome
}

/// The network with every weight times `factor`.
pub fn with_weights_of(factor: f64) -> Network {
    network().map_weights(|one| Ok(one.tensor.f_mul_scalar(factor)?)).unwrap()
}

pub fn value(spec: &str) -> f64 {
    evaluate(spec, input(&points(), &LABELS)).unwrap().value
}

#[track_caller]
pub fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{value} {expected}");
}

#[track_caller]
pub fn undefined(spec: &str, input: ProbeInput, word: &str) {
    match evaluate(spec, input) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{spec}: {reason}"),
        other => panic!("{spec}: {other:?}"),
    }
}

/// A number among the details.
pub fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{name}: {other:?}"),
    }
}

/// Labels of [`image_input`].
pub const IMAGE_LABELS: [i64; 24] = LABELS;

/// Entry a of the flattened images [24, 8, 8, 2]: ((a² 7 + 13 a) mod 61 − 30) / 16 + 0.75 · label. All exact in f32.
fn images() -> Vec<f32> {
    let entry = |at: i64| {
        ((7 * at * at + 13 * at) % 61 - 30) as f32 / 16.0 + 0.75 * IMAGE_LABELS[(at / 128) as usize] as f32
    };
    (0..24 * 128).map(entry).collect()
}

/// 1 × 1 convolution with ReLU, mean over the image, then thresholds on the first channel.
pub fn image_network() -> Network {
    let layers = vec![
        Layer::Conv2d(Conv2d {
            filters: 3,
            kernel: [1, 1],
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            groups: 1,
            use_bias: false,
            activation: Activation::Relu,
        }),
        Layer::GlobalAveragePooling2d { keepdims: false },
        Layer::Dense(Dense { units: 3, use_bias: true, activation: Activation::Linear }),
    ];
    let tensor = |values: &[f64], shape: &[i64]| Tensor::from_slice(values).reshape(shape);
    let weights = vec![
        vec![tensor(&[1.0, -1.0, 0.5, 0.5, 2.0, -1.0], &[1, 1, 2, 3])],
        vec![],
        vec![
            tensor(&[0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[3, 3]),
            tensor(&[0.0, -0.3435, -2.3435], &[3]),
        ],
    ];
    Network::new(Architecture::sequential(vec![8, 8, 2], layers).unwrap(), weights).unwrap()
}

pub fn image_input(network: Network, labels: &[i64], seed: u64) -> ProbeInput {
    let inputs = Tensor::from_slice(&images()).reshape([24, 8, 8, 2]);
    let train = Dataset::new(inputs.narrow(0, 0, labels.len() as i64), Tensor::from_slice(labels)).unwrap();
    ProbeInput {
        network,
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed,
        deadline: None,
        batch_size: 10,
    }
}
