//! The prequential code against plain loops, and at its extremes.

use std::time::Instant;

use pgdl_measure::contract;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Detail, Generator, MeasureError, Measured, Probe, ProbeInput, Registry};

const INPUTS: usize = 4;
const CLASSES: usize = 3;
const SEED: u64 = 5;
const NETWORK: u64 = 2;

fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect()
}

/// Softmax regression: initial weights, kernel by rows and then the bias, and a sample.
struct Regression {
    initial: Vec<f64>,
    inputs: Vec<f64>,
    labels: Vec<usize>,
}

impl Regression {
    /// Labels are the largest of the first three inputs.
    fn separable(samples: usize) -> Self {
        let inputs = numbers(samples * INPUTS, 4.0);
        let largest = |x: &[f64]| (0..CLASSES).max_by(|a, b| x[*a].total_cmp(&x[*b])).unwrap();
        let labels = inputs.chunks(INPUTS).map(largest).collect();
        Self { initial: numbers((INPUTS + 1) * CLASSES, 1.0), inputs, labels }
    }

    fn network(weights: &[f64]) -> Network {
        let dense = Dense { units: CLASSES as i64, use_bias: true, activation: Activation::Linear };
        let architecture = Architecture::sequential(vec![INPUTS as i64], vec![Layer::Dense(dense)]).unwrap();
        let (kernel, bias) = weights.split_at(INPUTS * CLASSES);
        let kernel = Tensor::from_slice(kernel).reshape([INPUTS as i64, CLASSES as i64]);
        Network::new(architecture, vec![vec![kernel, Tensor::from_slice(bias)]]).unwrap()
    }

    fn input(&self) -> ProbeInput {
        let labels: Vec<i64> = self.labels.iter().map(|label| *label as i64).collect();
        let inputs = Tensor::from_slice(&self.inputs).reshape([-1, INPUTS as i64]);
        ProbeInput {
            network: Self::network(&numbers((INPUTS + 1) * CLASSES, 9.0)),
            network_id: NETWORK,
            initial: Some(Self::network(&self.initial)),
            train: Dataset { inputs, labels: Tensor::from_slice(&labels) },
            train_size: self.labels.len(),
            test_inputs: None,
            truth: None,
            seed: SEED,
            deadline: None,
            batch_size: 6,
        }
    }

    fn row(&self, sample: usize) -> Vec<f64> {
        self.inputs[sample * INPUTS..][..INPUTS].iter().copied().chain([1.0]).collect()
    }

    fn probabilities(&self, weights: &[f64], sample: usize) -> Vec<f64> {
        let x = self.row(sample);
        let logits: Vec<f64> =
            (0..CLASSES).map(|c| (0..=INPUTS).map(|k| x[k] * weights[k * CLASSES + c]).sum()).collect();
        let total: f64 = logits.iter().map(|z: &f64| z.exp()).sum();
        logits.iter().map(|z| z.exp() / total).collect()
    }

    /// −log₂ p of the labels of these samples.
    fn bits(&self, weights: &[f64], samples: &[usize]) -> f64 {
        samples.iter().map(|&at| -self.probabilities(weights, at)[self.labels[at]].log2()).sum()
    }

    /// The mean gradient of the cross-entropy over these samples.
    fn gradient(&self, weights: &[f64], samples: &[usize]) -> Vec<f64> {
        let mut sum = vec![0.0; weights.len()];
        for &at in samples {
            let (x, p) = (self.row(at), self.probabilities(weights, at));
            for (k, x) in x.iter().enumerate() {
                for c in 0..CLASSES {
                    let error = p[c] - f64::from(u8::from(c == self.labels[at]));
                    sum[k * CLASSES + c] += x * error / samples.len() as f64;
                }
            }
        }
        sum
    }
}

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_description_length::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str, input: ProbeInput) -> f64 {
    run(spec, input).unwrap().value
}

#[test]
fn the_contract_is_kept() {
    let mut registry = Registry::new();
    pgdl_measure_description_length::register(&mut registry).unwrap();
    let violations = contract::check_one(&registry, "prequential").unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

/// The generator that the measure has for this purpose.
fn generator(spec: &str, purpose: &str) -> Generator {
    let (seed, network) = (SEED.to_le_bytes(), NETWORK.to_le_bytes());
    Generator::new(&[&seed, &network, spec.as_bytes(), purpose.as_bytes()], Device::Cpu, Kind::Double)
}

/// Blocks of 8, 8, 16, 32 and 6 labels, and Adam (Kingma and Ba 2015, algorithm 1) on batches of 32, by plain loops.
#[test]
fn it_is_the_code_of_a_plain_loop() {
    const SAMPLES: usize = 70;
    const EPOCHS: usize = 3;
    let spec = "prequential:epochs=3,lr=0.05";
    let regression = Regression::separable(SAMPLES);
    let positions = |order: Vec<i64>| -> Vec<usize> { order.into_iter().map(|at| at as usize).collect() };
    let order = positions(generator(spec, "samples").permutation(SAMPLES));
    let mut total = 8.0 * (CLASSES as f64).log2();
    for (known, next) in [(8usize, 16usize), (16, 32), (32, 64), (64, 70)] {
        let mut random = generator(spec, &format!("order of {known}"));
        let mut weights = regression.initial.clone();
        let (mut first, mut second) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let steps = EPOCHS * known.div_ceil(32);
        let mut step = 0;
        for _ in 0..EPOCHS {
            for batch in positions(random.permutation(known)).chunks(32) {
                let rate = 0.05 * (1.0 - step as f64 / steps as f64);
                step += 1;
                let batch: Vec<usize> = batch.iter().map(|at| order[*at]).collect();
                let gradient = regression.gradient(&weights, &batch);
                for (j, g) in gradient.iter().enumerate() {
                    first[j] = 0.9 * first[j] + 0.1 * g;
                    second[j] = 0.999 * second[j] + 0.001 * g * g;
                    let unbiased = (second[j] / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8;
                    weights[j] -= rate * first[j] / (1.0 - 0.9f64.powi(step)) / unbiased;
                }
            }
        }
        total += regression.bits(&weights, &order[known..next]);
    }
    let (found, expected) = (value(spec, regression.input()), total / SAMPLES as f64);
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
}

#[test]
fn without_training_it_is_the_code_of_the_initial_predictions() {
    let spec = "prequential:epochs=0,first=10";
    let regression = Regression::separable(50);
    let order: Vec<usize> =
        generator(spec, "samples").permutation(50).into_iter().map(|at| at as usize).collect();
    let expected = (10.0 * 3f64.log2() + regression.bits(&regression.initial, &order[10..])) / 50.0;
    let found = value(spec, regression.input());
    assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    // Initial weights of zero know nothing: every label has log₂ 3 bits. So it is where all is the first block.
    let blank = Regression { initial: vec![0.0; 15], ..regression };
    for spec in ["prequential:epochs=0", "prequential:first=50", "prequential:first=1000"] {
        assert!((value(spec, blank.input()) - 3f64.log2()).abs() < 1e-12, "{spec}");
    }
}

#[test]
fn labels_that_can_be_learned_have_a_short_code() {
    let learnable = Regression { initial: vec![0.0; 15], ..Regression::separable(200) };
    // What their frequencies alone make possible.
    let share = |label: usize| learnable.labels.iter().filter(|own| **own == label).count() as f64 / 200.0;
    let entropy: f64 = (0..CLASSES).map(|label| -share(label) * share(label).log2()).sum();
    let short = value("prequential:lr=0.1", learnable.input());
    assert!(short < 0.5 * entropy, "{short} {entropy}");
    // The same labels at other inputs, which say nothing about them.
    let shuffled = generator("any", "labels").permutation(200);
    let labels = shuffled.into_iter().map(|at| learnable.labels[at as usize]).collect();
    let long = value("prequential:lr=0.1", Regression { labels, ..learnable }.input());
    assert!(long > entropy, "{long} {entropy}");
}

#[test]
fn the_first_samples_are_taken_and_the_blocks_are_told() {
    let regression = Regression::separable(60);
    let few = run("prequential:samples=20", regression.input()).unwrap();
    let names: Vec<&str> = few.details.keys().map(String::as_str).collect();
    assert_eq!(names, ["bits_after_16", "bits_after_8"]);
    let inputs = regression.inputs[..20 * INPUTS].to_vec();
    let first = Regression { inputs, labels: regression.labels[..20].to_vec(), ..regression };
    assert_eq!(few.value, value("prequential:samples=20", first.input()));
}

#[test]
fn several_codes_have_a_mean_and_a_standard_error() {
    let regression = Regression::separable(60);
    let once = run("prequential:epochs=2", regression.input()).unwrap();
    assert_eq!(once.standard_error, None);
    let several = run("prequential:epochs=2,repeats=40", regression.input()).unwrap();
    let detail = |at: usize| match several.details[&format!("run_{at}")] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    };
    let values: Vec<f64> = (0..40).map(detail).collect();
    let mean = values.iter().sum::<f64>() / 40.0;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
    assert!((several.value - mean).abs() < 1e-12 && deviation > 0.0);
    assert!((several.standard_error.unwrap() - deviation / 40f64.sqrt()).abs() < 1e-12);
    // Another random order is another code: one more from elsewhere lies among them.
    assert!((once.value - mean).abs() < 5.0 * deviation, "{} {mean} {deviation}", once.value);
}

#[test]
fn late_and_broken_networks_have_no_value() {
    let regression = Regression::separable(60);
    let late = ProbeInput { deadline: Some(Instant::now()), ..regression.input() };
    let Err(MeasureError::Timeout(reason)) = run("prequential", late) else { panic!() };
    assert!(reason.contains("after 0 of 20 steps of training on 8 samples"), "{reason}");
    let broken = Regression { initial: vec![f64::NAN; 15], ..regression };
    assert!(matches!(run("prequential", broken.input()), Err(MeasureError::Undefined(_))));
}
