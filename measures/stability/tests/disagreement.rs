//! Disagreement against plain loops, closed forms and repeated runs.

use std::time::Instant;

use pgdl_measure::contract::spread_over_seeds;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Detail, Generator, MeasureError, Measured, Probe, ProbeInput, Registry};

const NETWORK: u64 = 2;

fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect()
}

/// Softmax regression without a bias: initial weights `[D, C]` and a sample.
struct Regression {
    initial: Vec<f64>,
    inputs: Vec<Vec<f64>>,
    labels: Vec<usize>,
    classes: usize,
}

impl Regression {
    /// Labels follow the largest of the first three of four inputs, loosely.
    fn learnable(samples: usize) -> Self {
        let (inputs, noise) = (numbers(samples * 4, 4.0), numbers(samples * 4, 7.0));
        let label = |(x, e): (&[f64], &[f64])| {
            (0..3).max_by(|a, b| (x[*a] + 0.6 * e[*a]).total_cmp(&(x[*b] + 0.6 * e[*b]))).unwrap()
        };
        let labels = inputs.chunks(4).zip(noise.chunks(4)).map(label).collect();
        let inputs = inputs.chunks(4).map(<[f64]>::to_vec).collect();
        Self { initial: numbers(12, 1.0), inputs, labels, classes: 3 }
    }

    /// Each input has an axis of its own, and labels are by chance: what is not trained on can only be guessed.
    fn by_heart(samples: usize, classes: usize, scale: f64) -> Self {
        let mut random = generator("by heart", "labels", 0);
        let labels: Vec<i64> = Vec::try_from(
            (random.uniform_tensor(&[samples as i64]).unwrap() * classes as f64).to_kind(Kind::Int64),
        )
        .unwrap();
        let initial = random.normal_tensor(&[(samples * classes) as i64]).unwrap() * scale;
        let axis = |at: usize| (0..samples).map(|k| if k == at { 1.0 } else { 0.0 }).collect();
        Self {
            initial: Vec::try_from(initial).unwrap(),
            inputs: (0..samples).map(axis).collect(),
            labels: labels.into_iter().map(|label| label as usize).collect(),
            classes,
        }
    }

    fn network(&self) -> Network {
        let (inputs, classes) = (self.inputs[0].len() as i64, self.classes as i64);
        let dense = Dense { units: classes, use_bias: false, activation: Activation::Linear };
        let architecture = Architecture::sequential(vec![inputs], vec![Layer::Dense(dense)]).unwrap();
        let kernel = Tensor::from_slice(&self.initial).reshape([inputs, classes]);
        Network::new(architecture, vec![vec![kernel]]).unwrap()
    }

    fn input(&self, seed: u64) -> ProbeInput {
        let labels: Vec<i64> = self.labels.iter().map(|label| *label as i64).collect();
        let inputs = Tensor::from_slice(&self.inputs.concat()).reshape([self.labels.len() as i64, -1]);
        ProbeInput {
            network: self.network(),
            network_id: NETWORK,
            initial: Some(self.network()),
            train: Dataset { inputs, labels: Tensor::from_slice(&labels) },
            train_size: self.labels.len(),
            test_inputs: None,
            truth: None,
            seed,
            deadline: None,
            batch_size: 50,
        }
    }

    fn logits(&self, weights: &[f64], sample: usize) -> Vec<f64> {
        let x = &self.inputs[sample];
        (0..self.classes)
            .map(|c| x.iter().enumerate().map(|(k, x)| x * weights[k * self.classes + c]).sum())
            .collect()
    }

    fn predicted(&self, weights: &[f64], sample: usize) -> usize {
        let logits = self.logits(weights, sample);
        (0..self.classes).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
    }

    /// Adam (Kingma and Ba 2015, algorithm 1) on batches of 8.
    fn trained(
        &self,
        start: Vec<f64>,
        samples: &[usize],
        order: &mut Generator,
        epochs: usize,
        lr: f64,
    ) -> Vec<f64> {
        let mut weights = start;
        let (mut first, mut second) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let steps = epochs * samples.len().div_ceil(8);
        let mut step = 0;
        for _ in 0..epochs {
            for batch in order.permutation(samples.len()).chunks(8) {
                let mut gradient = vec![0.0; weights.len()];
                for at in batch.iter().map(|at| samples[*at as usize]) {
                    let exponentials: Vec<f64> = self.logits(&weights, at).iter().map(|z| z.exp()).collect();
                    let total: f64 = exponentials.iter().sum();
                    for (k, x) in self.inputs[at].iter().enumerate() {
                        for (c, e) in exponentials.iter().enumerate() {
                            let error = e / total - f64::from(u8::from(c == self.labels[at]));
                            gradient[k * self.classes + c] += x * error / batch.len() as f64;
                        }
                    }
                }
                let rate = lr * (1.0 - step as f64 / steps as f64);
                step += 1;
                for (j, g) in gradient.iter().enumerate() {
                    first[j] = 0.9 * first[j] + 0.1 * g;
                    second[j] = 0.999 * second[j] + 0.001 * g * g;
                    let unbiased = (second[j] / (1.0 - 0.999f64.powi(step))).sqrt() + 1e-8;
                    weights[j] -= rate * first[j] / (1.0 - 0.9f64.powi(step)) / unbiased;
                }
            }
        }
        weights
    }
}

/// The generator that the measure has for this purpose.
fn generator(spec: &str, purpose: &str, seed: u64) -> Generator {
    let (seed, network) = (seed.to_le_bytes(), NETWORK.to_le_bytes());
    Generator::new(&[&seed, &network, spec.as_bytes(), purpose.as_bytes()], Device::Cpu, Kind::Double)
}

fn positions(order: Vec<i64>) -> Vec<usize> {
    order.into_iter().map(|at| at as usize).collect()
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_stability::register(&mut registry).unwrap();
    registry
}

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap()).outcome
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

fn share(of: usize, all: usize) -> f64 {
    of as f64 / all as f64
}

#[test]
fn it_is_the_share_of_a_plain_loop() {
    const SAMPLES: usize = 140;
    let regression = Regression::learnable(SAMPLES);
    for (spec, sets) in [
        ("disagreement:epochs=3,held_out=30,lr=0.2,pairs=3,samples=40", 1),
        ("disagreement:data=disjoint,epochs=3,held_out=30,lr=0.2,pairs=3,samples=40", 2),
    ] {
        let (mut shares, mut wrong, mut fitted, mut seen) = (Vec::new(), 0, Vec::new(), Vec::new());
        for pair in 0..3 {
            let order =
                positions(generator(spec, &format!("samples of pair {pair}"), 5).permutation(SAMPLES));
            let held_out = &order[sets * 40..sets * 40 + 30];
            let twins = [0, 1].map(|twin| {
                let generator =
                    |what: &str| generator(spec, &format!("{what} of twin {twin} of pair {pair}"), 5);
                let start = positions(generator("start").permutation(12));
                let start = start.into_iter().map(|at| regression.initial[at]).collect();
                let samples = if sets == 2 && twin == 1 { &order[40..80] } else { &order[..40] };
                let weights = regression.trained(start, samples, &mut generator("order"), 3, 0.2);
                let right = |at: &&usize| regression.predicted(&weights, **at) == regression.labels[**at];
                fitted.push(share(samples.iter().filter(right).count(), 40));
                seen.push(samples.to_vec());
                wrong += 30 - held_out.iter().filter(right).count();
                weights
            });
            let differ = held_out
                .iter()
                .filter(|at| regression.predicted(&twins[0], **at) != regression.predicted(&twins[1], **at));
            shares.push(share(differ.count(), 30));
        }
        let value = shares.iter().sum::<f64>() / 3.0;
        let variance = shares.iter().map(|share| (share - value).powi(2)).sum::<f64>() / 2.0;
        let found = run(spec, regression.input(5)).unwrap();
        assert!(value > 0.0 && (found.value - value).abs() < 1e-12, "{spec}: {} {value}", found.value);
        assert!((found.standard_error.unwrap() - (variance / 3.0).sqrt()).abs() < 1e-12);
        assert!((detail(&found, "held_out_error") - share(wrong, 180)).abs() < 1e-12);
        assert!((detail(&found, "train_accuracy") - fitted.iter().sum::<f64>() / 6.0).abs() < 1e-12);
        let most = |samples: &Vec<usize>| {
            let count = |label| samples.iter().filter(|at| regression.labels[**at] == label).count();
            share((0..3).map(count).max().unwrap(), 40) / 6.0
        };
        let chance: f64 = seen.iter().map(most).sum();
        assert!((detail(&found, "most_frequent_class") - chance).abs() < 1e-12);
        let least = fitted.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((detail(&found, "least_train_accuracy") - least).abs() < 1e-12);
    }
}

/// Twins that learn by heart and guess elsewhere, each by its own initial weights, disagree as often as they err:
/// 1 − 1/C (Jiang et al. 2022, theorem 4.1: guesses are calibrated). Where both guess the same, they never do.
#[test]
fn guesses_disagree_as_often_as_they_err() {
    let spec = "disagreement:epochs=20,held_out=200,lr=1,pairs=12,samples=40";
    let found = run(spec, Regression::by_heart(300, 4, 1.0).input(1)).unwrap();
    assert_eq!(detail(&found, "least_train_accuracy"), 1.0);
    let error = found.standard_error.unwrap();
    assert!(error < 0.02 && (found.value - 0.75).abs() < 4.0 * error, "{} ± {error}", found.value);
    assert!((detail(&found, "held_out_error") - 0.75).abs() < 4.0 * error);
    let same = run(spec, Regression::by_heart(300, 4, 0.0).input(1)).unwrap();
    assert_eq!((same.value, same.standard_error), (0.0, Some(0.0)));
    assert!(detail(&same, "held_out_error") > 0.5);
    assert_eq!(detail(&same, "train_accuracy"), 1.0);
}

/// The variance of the values of many seeds is the mean of the squared standard errors.
#[test]
fn repeated_runs_scatter_by_the_standard_error() {
    const RUNS: u64 = 150;
    let regression = Regression::learnable(400);
    for data in ["same", "disjoint"] {
        let spec = format!("disagreement:data={data},epochs=3,held_out=60,lr=0.2,samples=32");
        let spread = spread_over_seeds(&registry(), &spec, RUNS, || regression.input(0)).unwrap();
        // Relative standard errors: √(2/149) of the variance, √(2/3/150) of the claim from 4 pairs each; 4 of both.
        let ratio = 1.0 / spread.ratio();
        assert!((ratio - 1.0).abs() < 4.0 * (2.0 / 149.0 + 2.0 / 450.0f64).sqrt(), "{data}: {ratio}");
    }
}

#[test]
fn what_has_no_value() {
    let regression = Regression::learnable(60);
    let reason = |input: ProbeInput, spec: &str| match run(spec, input) {
        Err(MeasureError::Undefined(reason) | MeasureError::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let one_label = Regression { labels: vec![1; 60], ..Regression::learnable(60) };
    assert!(reason(one_label.input(0), "disagreement").contains("same label"));
    let none = ProbeInput { initial: None, ..regression.input(0) };
    assert!(reason(none, "disagreement").contains("no initial weights"));
    let broken = Regression { initial: vec![f64::NAN; 12], ..Regression::learnable(60) };
    assert!(reason(broken.input(0), "disagreement").contains("not finite"));
    let blank = Regression { inputs: vec![vec![0.0; 4]; 60], ..Regression::learnable(60) };
    assert!(reason(blank.input(0), "disagreement").contains("predicts one class"));
    let huge = Regression { inputs: vec![vec![1e308; 4]; 60], ..Regression::learnable(60) };
    assert!(reason(huge.input(0), "disagreement:lr=10").contains("not finite"));
    let two = Regression {
        inputs: numbers(8, 4.0).chunks(4).map(<[f64]>::to_vec).collect(),
        labels: vec![0, 1],
        ..regression
    };
    assert!(reason(two.input(0), "disagreement:data=disjoint").contains("too small"));
}

#[test]
fn a_late_one_says_how_far_it_came() {
    let input = ProbeInput { deadline: Some(Instant::now()), ..Regression::learnable(60).input(0) };
    let Err(MeasureError::Timeout(reason)) = run("disagreement", input) else { panic!() };
    assert!(reason.contains("after 0 of 60 steps of training on 30 samples; 0 of 8 networks"), "{reason}");
}
