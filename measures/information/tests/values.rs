//! Values against the divergence of two Gaussians, on softmax regression with its Fisher information by loops.

use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::Tensor;
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

const SAMPLES: usize = 20;
const INPUTS: usize = 4;
const CLASSES: usize = 3;
const TRAIN_SIZE: usize = 60;

fn numbers(count: usize, seed: f64) -> Vec<f64> {
    (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect()
}

fn network(seed: f64) -> Network {
    let dense = Dense { units: CLASSES as i64, use_bias: true, activation: Activation::Linear };
    let architecture = Architecture::sequential(vec![INPUTS as i64], vec![Layer::Dense(dense)]).unwrap();
    let kernel =
        Tensor::from_slice(&numbers(INPUTS * CLASSES, seed)).reshape([INPUTS as i64, CLASSES as i64]);
    Network::new(architecture, vec![vec![kernel, Tensor::from_slice(&numbers(CLASSES, seed + 0.5))]]).unwrap()
}

fn input() -> ProbeInput {
    let inputs = Tensor::from_slice(&numbers(SAMPLES * INPUTS, 4.0)).reshape([-1, INPUTS as i64]);
    let labels: Vec<i64> = (0..SAMPLES as i64).map(|sample| sample % CLASSES as i64).collect();
    ProbeInput {
        network: network(1.0),
        network_id: 0,
        initial: Some(network(3.0)),
        train: Dataset { inputs, labels: Tensor::from_slice(&labels) },
        train_size: TRAIN_SIZE,
        test_inputs: None,
        truth: None,
        seed: 7,
        deadline: None,
        batch_size: 6,
    }
}

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_information::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

fn vector(seed: f64) -> Vec<f64> {
    numbers(INPUTS * CLASSES, seed).into_iter().chain(numbers(CLASSES, seed + 0.5)).collect()
}

/// The diagonal of the Fisher information: (x, 1)² ⊗ p (1 − p), averaged.
fn fisher() -> Vec<f64> {
    let (inputs, weights) = (numbers(SAMPLES * INPUTS, 4.0), vector(1.0));
    let mut sum = vec![0.0; (INPUTS + 1) * CLASSES];
    for x in inputs.chunks(INPUTS) {
        let x: Vec<f64> = x.iter().copied().chain([1.0]).collect();
        let logits: Vec<f64> =
            (0..CLASSES).map(|c| (0..=INPUTS).map(|k| x[k] * weights[k * CLASSES + c]).sum()).collect();
        let total: f64 = logits.iter().map(|z: &f64| z.exp()).sum();
        for (k, x) in x.iter().enumerate() {
            for c in 0..CLASSES {
                let p = logits[c].exp() / total;
                sum[k * CLASSES + c] += x * x * p * (1.0 - p) / SAMPLES as f64;
            }
        }
    }
    sum
}

/// KL(N(w, diag(v)) ‖ N(w₀, λ²I)), by its definition's closed form.
fn divergence(distance: f64, variances: &[f64], prior: f64) -> f64 {
    0.5 * (distance / prior + variances.iter().map(|v| v / prior - 1.0 - (v / prior).ln()).sum::<f64>())
}

#[test]
fn it_is_the_divergence_of_laplaces_posterior_from_the_best_prior() {
    let (w, w0) = (vector(1.0), vector(3.0));
    let distance: f64 = w.iter().zip(&w0).map(|(a, b)| (a - b).powi(2)).sum();
    for temperature in [1.0, 4.0] {
        let precisions: Vec<f64> = fisher().iter().map(|f| f * TRAIN_SIZE as f64 / temperature).collect();
        // The objective at the best posterior for a prior, over a fine grid of priors.
        let at = |prior: f64| {
            let variances: Vec<f64> = precisions.iter().map(|c| 1.0 / (c + 1.0 / prior)).collect();
            let rise: f64 = precisions.iter().zip(&variances).map(|(c, v)| 0.5 * c * v).sum();
            let divergence = divergence(distance, &variances, prior);
            (rise + divergence, divergence, prior)
        };
        let grid = (0..40_000).map(|step| at((f64::from(step) * 1e-3 - 20.0).exp()));
        let (code, expected, prior) = grid.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
        let measured =
            run(&format!("weight_information:draws=1000,temperature={temperature}"), input()).unwrap();
        let error = measured.standard_error.unwrap();
        assert!(error < 0.005 * expected, "{error}");
        assert!((measured.value - expected).abs() < 4.0 * error, "{} ± {error}, {expected}", measured.value);
        assert!((detail(&measured, "code_length") / code - 1.0).abs() < 0.01);
        assert!((detail(&measured, "prior_scale") / prior.sqrt() - 1.0).abs() < 0.01);
        // MacKay's condition for the best prior.
        let gamma = detail(&measured, "effective_parameters");
        assert!((distance / detail(&measured, "prior_scale").powi(2) / gamma - 1.0).abs() < 1e-6);
    }
}

#[test]
fn more_data_and_lower_temperature_hold_more_information() {
    let value = |spec: &str, input: ProbeInput| run(spec, input).unwrap().value;
    let one = value("weight_information", input());
    assert!(one > value("weight_information", ProbeInput { train_size: SAMPLES, ..input() }));
    assert!(one < value("weight_information:temperature=0.1", input()));
}

#[test]
fn where_nothing_was_learned_there_is_none() {
    let untrained = ProbeInput { initial: Some(network(1.0)), ..input() };
    assert_eq!(run("weight_information", untrained).unwrap().value, 0.0);
    // A certain network: its predictions do not answer to small changes.
    let certain = network(1.0).map_weights(|one| {
        Ok(if one.index == 1 { Tensor::from_slice(&[5000.0, 0.0, 0.0]) } else { one.tensor.shallow_clone() })
    });
    let certain = ProbeInput { network: certain.unwrap(), ..input() };
    assert_eq!(run("weight_information", certain).unwrap().value, 0.0);
    let broken = network(1.0).map_weights(|one| Ok(one.tensor * f64::NAN)).unwrap();
    let outcome = run("weight_information", ProbeInput { network: broken, ..input() });
    assert!(matches!(outcome, Err(MeasureError::Undefined(_))), "{outcome:?}");
    let missing = run("weight_information", ProbeInput { initial: None, ..input() });
    assert!(matches!(missing, Err(MeasureError::Unavailable(_))), "{missing:?}");
}
