//! What the gradients of single samples say, against softmax regression by plain loops and against closed forms.

use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Evaluation, MeasureError, Measured, Probe, ProbeInput, Registry};

const SAMPLES: usize = 23;
const INPUTS: usize = 4;
const CLASSES: usize = 3;

/// f = W x + b on random inputs, with labels that have nothing to do with it.
struct Regression {
    kernel: Vec<f64>,
    bias: Vec<f64>,
    initial_kernel: Vec<f64>,
    inputs: Vec<f64>,
    labels: Vec<i64>,
}

fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect()
}

impl Regression {
    fn new() -> Self {
        Self {
            kernel: numbers(INPUTS * CLASSES, 1.0),
            bias: numbers(CLASSES, 2.0),
            initial_kernel: numbers(INPUTS * CLASSES, 3.0),
            inputs: numbers(SAMPLES * INPUTS, 4.0),
            labels: (0..SAMPLES as i64)
                .map(|sample| (sample * sample + sample / 3) % CLASSES as i64)
                .collect(),
        }
    }

    fn network(kernel: &[f64], bias: &[f64]) -> Network {
        let dense = Dense { units: CLASSES as i64, use_bias: true, activation: Activation::Linear };
        let architecture = Architecture::sequential(vec![INPUTS as i64], vec![Layer::Dense(dense)]).unwrap();
        let kernel = Tensor::from_slice(kernel).reshape([INPUTS as i64, CLASSES as i64]);
        Network::new(architecture, vec![vec![kernel, Tensor::from_slice(bias)]]).unwrap()
    }

    fn input(&self) -> ProbeInput {
        let inputs = Tensor::from_slice(&self.inputs).reshape([SAMPLES as i64, INPUTS as i64]);
        ProbeInput {
            network: Self::network(&self.kernel, &self.bias),
            network_id: 0,
            initial: Some(Self::network(&self.initial_kernel, &[0.0; CLASSES])),
            train: Dataset { inputs, labels: Tensor::from_slice(&self.labels) },
            train_size: 100,
            test_inputs: None,
            truth: None,
            seed: 7,
            deadline: None,
            batch_size: 5,
        }
    }

    fn row(&self, sample: usize) -> &[f64] {
        &self.inputs[sample * INPUTS..][..INPUTS]
    }

    fn probabilities(&self, sample: usize) -> Vec<f64> {
        let x = self.row(sample);
        let logits: Vec<f64> = (0..CLASSES)
            .map(|c| self.bias[c] + (0..INPUTS).map(|k| x[k] * self.kernel[k * CLASSES + c]).sum::<f64>())
            .collect();
        let total: f64 = logits.iter().map(|z| z.exp()).sum();
        logits.iter().map(|z| z.exp() / total).collect()
    }

    /// p − y.
    fn errors(&self, sample: usize) -> Vec<f64> {
        let mut errors = self.probabilities(sample);
        errors[self.labels[sample] as usize] -= 1.0;
        errors
    }

    /// ∇ℓᵢ = (x, 1) ⊗ (p − y): kernel, then bias.
    fn gradient(&self, sample: usize) -> Vec<f64> {
        let errors = self.errors(sample);
        let x = self.row(sample).iter().copied().chain([1.0]);
        x.flat_map(|x| errors.iter().map(move |error| x * error).collect::<Vec<_>>()).collect()
    }

    fn gradients(&self) -> Vec<Vec<f64>> {
        (0..SAMPLES).map(|sample| self.gradient(sample)).collect()
    }

    /// The diagonal of F: (x, 1)² ⊗ p (1 − p), averaged.
    fn fisher(&self) -> Vec<f64> {
        let mut sum = vec![0.0; (INPUTS + 1) * CLASSES];
        for sample in 0..SAMPLES {
            let p = self.probabilities(sample);
            for (k, x) in self.row(sample).iter().copied().chain([1.0]).enumerate() {
                for c in 0..CLASSES {
                    sum[k * CLASSES + c] += x * x * p[c] * (1.0 - p[c]) / SAMPLES as f64;
                }
            }
        }
        sum
    }
}

fn run(spec: &str, input: ProbeInput) -> Evaluation {
    let mut registry = Registry::new();
    pgdl_measure_gradient::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap())
}

fn evaluate(spec: &str) -> Measured {
    run(spec, Regression::new().input()).outcome.unwrap()
}

#[track_caller]
fn close(value: f64, expected: f64) {
    assert!((value / expected - 1.0).abs() < 1e-12, "{value} {expected}");
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn moments_of_softmax_regression() {
    let regression = Regression::new();
    let all = regression.gradients();
    let parameters = all[0].len();
    let average: Vec<f64> = (0..parameters).map(|j| mean(all.iter().map(|g| g[j]))).collect();
    let square = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>();
    let m = SAMPLES as f64;
    let variances: Vec<f64> = (0..parameters)
        .map(|j| all.iter().map(|g| (g[j] - average[j]).powi(2)).sum::<f64>() / (m - 1.0))
        .collect();
    let total: f64 = variances.iter().sum();

    close(evaluate("gradient_noise").value, total * (m - 1.0) / m);
    close(evaluate("gradient_noise:batch=4").value, total * (m - 4.0) / (m * 4.0));
    close(evaluate("gsnr").value, -mean(variances.iter().zip(&average).map(|(v, g)| g * g / v)));
    let coherence = evaluate("gradient_coherence");
    close(coherence.value, -square(&average) / mean(all.iter().map(|g| square(g))));

    let weights: Vec<f64> = regression.kernel.iter().chain(&regression.bias).copied().collect();
    let along = |direction: &[f64]| mean(all.iter().map(|g| dot(g, direction).powi(2)));
    close(evaluate("fisher_rao").value, along(&weights).sqrt());
    let initial = regression.initial_kernel.iter().copied().chain([0.0; CLASSES]);
    let way: Vec<f64> = weights.iter().zip(initial).map(|(w, w0)| w - w0).collect();
    close(evaluate("iiw").value, 100.0 * along(&way));
    // One sample in two, and no more.
    close(evaluate("iiw:samples=11").value, 100.0 * mean(all.iter().take(11).map(|g| dot(g, &way).powi(2))));
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The variance of mini-batch gradients, by going through all batches of two.
#[test]
fn gradient_noise_is_the_variance_over_all_batches() {
    let all = Regression::new().gradients();
    let average: Vec<f64> = (0..all[0].len()).map(|j| mean(all.iter().map(|g| g[j]))).collect();
    let mut deviations = Vec::new();
    for a in 0..SAMPLES {
        for b in 0..a {
            let deviation = |j: usize| ((all[a][j] + all[b][j]) / 2.0 - average[j]).powi(2);
            deviations.push((0..average.len()).map(deviation).sum::<f64>());
        }
    }
    close(evaluate("gradient_noise:batch=2").value, mean(deviations.into_iter()));
}

#[test]
fn input_gradients_of_softmax_regression() {
    let regression = Regression::new();
    let norm = |sample: usize| {
        let errors = regression.errors(sample);
        (0..INPUTS)
            .map(|k| dot(&regression.kernel[k * CLASSES..][..CLASSES], &errors).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    close(evaluate("input_gradient_norm").value, mean((0..SAMPLES).map(norm)));
}

/// Softmax regression is linear in its parameters: its Hessian is the Fisher information.
#[test]
fn the_criterion_by_fisher_and_by_hessian_is_that_of_softmax_regression() {
    let regression = Regression::new();
    let all = regression.gradients();
    let second: Vec<f64> = (0..all[0].len()).map(|j| mean(all.iter().map(|g| g[j] * g[j]))).collect();
    let fisher = regression.fisher();
    let total = second.iter().sum::<f64>() / fisher.iter().sum::<f64>();
    let damping = 1e-3 * mean(fisher.iter().copied());
    let diagonal: f64 = second.iter().zip(&fisher).map(|(c, f)| c / (f + damping)).sum();
    for (form, draws, expected) in
        [("trace", 400, total), ("hessian_trace", 3000, total), ("diagonal", 400, diagonal)]
    {
        let found = evaluate(&format!("tic:form={form},draws={draws}"));
        let error = found.standard_error.unwrap();
        assert!(error < 0.02 * expected, "{form}: {error}");
        assert!(
            (found.value - expected).abs() < 4.0 * error,
            "{form}: {} ± {error}, {expected}",
            found.value
        );
    }
}

/// Bias-free ReLU layers: ⟨w, ∇f⟩ = L f.
#[test]
fn both_forms_of_the_fisher_rao_norm_agree_on_homogeneous_networks() {
    let layer = |units, activation| Layer::Dense(Dense { units, use_bias: false, activation });
    let layers = vec![
        layer(6, Activation::Relu),
        layer(5, Activation::Relu),
        layer(CLASSES as i64, Activation::Linear),
    ];
    let architecture = Architecture::sequential(vec![INPUTS as i64], layers).unwrap();
    let network = Network::initialize(architecture, 3, Device::Cpu).unwrap().to_kind(Kind::Double).unwrap();
    let input =
        || ProbeInput { network: network.deep_clone().unwrap(), initial: None, ..Regression::new().input() };
    let by_gradients = run("fisher_rao", input()).outcome.unwrap().value;
    let closed = run("fisher_rao:form=closed", input()).outcome.unwrap().value;
    assert!(closed > 0.1);
    close(by_gradients, closed);
    assert!(matches!(run("iiw", input()).outcome, Err(MeasureError::Unavailable(_))));
}

#[test]
fn passes_are_shared() {
    let mut registry = Registry::new();
    pgdl_measure_gradient::register(&mut registry).unwrap();
    let probe = Probe::new(Regression::new().input()).unwrap();
    for id in
        ["gradient_noise", "gsnr", "gradient_coherence", "fisher_rao", "iiw", "tic", "tic:form=diagonal"]
    {
        probe.evaluate(&registry.resolve(id).unwrap()).outcome.unwrap();
    }
    let passes = probe.passes();
    assert_eq!(
        (passes.forward, passes.backward),
        (5.0, 5.0),
        "the moments, and four draws for the criterion"
    );
}

#[test]
fn where_there_is_nothing_to_divide_by_there_is_no_value() {
    // One class is certain: no gradient, no curvature.
    let mut regression = Regression::new();
    regression.kernel.fill(0.0);
    regression.bias = vec![1000.0, 0.0, 0.0];
    regression.labels.fill(0);
    for id in ["gsnr", "gradient_coherence", "tic", "tic:form=diagonal", "tic:form=hessian_trace"] {
        let outcome = run(id, regression.input()).outcome;
        assert!(matches!(outcome, Err(MeasureError::Undefined(_))), "{id}: {outcome:?}");
    }
    for id in ["gradient_noise", "fisher_rao", "iiw", "input_gradient_norm"] {
        assert_eq!(run(id, regression.input()).outcome.unwrap().value, 0.0, "{id}");
    }
    assert!(matches!(
        run("gradient_noise:batch=23", Regression::new().input()).outcome,
        Err(MeasureError::Undefined(_))
    ));
}
