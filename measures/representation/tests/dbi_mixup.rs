//! The competition's winner against scikit-learn and NumPy on a small convolutional network.

use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding};
use pgdl_measure::tch::Tensor;
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

const LABELS: [i64; 24] = [0, 0, 1, 2, 1, 0, 2, 1, 0, 1, 2, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2, 1, 0, 0];

/// Entry a of the flattened images [24, 8, 8, 2]: ((a² 7 + 13 a) mod 61 − 30) / 16 + 0.75 · label. All exact in f32.
fn images() -> Vec<f32> {
    let entry = |at: i64| {
        ((7 * at * at + 13 * at) % 61 - 30) as f32 / 16.0 + 0.75 * LABELS[(at / 128) as usize] as f32
    };
    (0..24 * 128).map(entry).collect()
}

/// 1 × 1 convolution with ReLU, mean over the image, then thresholds on the first channel.
fn network() -> Network {
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

fn input(network: Network, labels: &[i64], seed: u64) -> ProbeInput {
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

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_representation::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{name}: {other:?}"),
    }
}

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} {expected}");
}

/// scikit-learn 1.9.1, davies_bouldin_score of the 4 × 4 max-pooled output of the convolution.
const INDEX: f64 = 1.0956600345803171;

#[test]
fn the_index_agrees_with_scikit_learn_and_the_accuracy_with_all_pairs() {
    // NumPy: of all pairs within a class 5/9, 1 and 1 are answered rightly.
    let all_pairs = 23.0 / 27.0;
    let runs: Vec<Measured> = (0..20)
        .map(|seed| evaluate("dbi_mixup:draws=20", input(network(), &LABELS, seed)).unwrap())
        .collect();
    for run in &runs {
        close(detail(run, "davies_bouldin"), INDEX, 1e-12);
        close(run.value, INDEX * (1.0 - detail(run, "mixup_accuracy")), 1e-12);
    }
    let count = runs.len() as f64;
    let mean = runs.iter().map(|run| run.value).sum::<f64>() / count;
    let error = runs.iter().map(|run| run.standard_error.unwrap()).sum::<f64>() / count;
    close(mean, INDEX * (1.0 - all_pairs), 3.0 * error / count.sqrt());
    let spread = (runs.iter().map(|run| (run.value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    assert!((0.5..1.8).contains(&(spread / error)), "{spread} {error}");
}

#[test]
fn as_coded_takes_all_pairs_of_ten_batches() {
    // NumPy: ten batches of 30 consecutive samples, over again from the first.
    let run = evaluate("dbi_mixup:variant=as_coded", input(network(), &LABELS, 3)).unwrap();
    close(detail(&run, "mixup_accuracy"), 0.845998445998446, 1e-12);
    // Every draw of 120 holds each of the 24 samples five times: the same index each time.
    close(detail(&run, "davies_bouldin"), INDEX, 1e-12);
    close(run.standard_error.unwrap(), 0.0, 1e-12);
}

#[test]
fn without_strides_pairs_or_classes_there_is_no_value() {
    let undefined = |input: ProbeInput, word: &str| {
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
    undefined(input(network(), &[1; 24], 0), "one class");
    let flat = vec![
        Layer::Flatten,
        Layer::Dense(Dense { units: 3, use_bias: false, activation: Activation::Linear }),
    ];
    let architecture = Architecture::sequential(vec![8, 8, 2], flat).unwrap();
    let dense = Network::initialize(architecture, 1, pgdl_measure::tch::Device::Cpu).unwrap();
    undefined(input(dense, &LABELS, 0), "no convolution");
    let alone = input(network(), &[0, 1, 2], 0);
    match evaluate("dbi_mixup", alone) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("two samples"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
