//! σ against a closed form and against repeated runs; the measures against their formulas; reasons where there is no value.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network, Role};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};
use pgdl_measure_pac_bayes::{EPSILON, Noise, NoiseScale, Reference, magnitude_divergence};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_pac_bayes::register(&mut registry).unwrap();
    registry
}

fn outcome(probe: &Probe, measure: &str) -> Result<Measured, MeasureError> {
    probe.evaluate(&registry().resolve(measure).unwrap()).outcome
}

fn value(probe: &Probe, measure: &str) -> Measured {
    outcome(probe, measure).unwrap_or_else(|error| panic!("{measure}: {error}"))
}

fn number(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        Detail::Text(ref text) => panic!("{name} is {text}"),
    }
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{found} is not {expected}");
}

/// One sample x = 1 many times over, logits (a, b) with a > b: with noise σ on both the decision changes with probability
/// Φ(−(a − b) / (σ √2)).
fn two_weights(a: f64, b: f64, seed: u64) -> Probe {
    let dense = Layer::Dense(Dense { units: 2, use_bias: false, activation: Activation::Linear });
    let architecture = Architecture::sequential(vec![1], vec![dense]).unwrap();
    let kernel = Tensor::from_slice(&[a, b]).reshape([1, 2]);
    let network = Network::new(architecture, vec![vec![kernel]]).unwrap();
    let initial = network.map_weights(|one| Ok(one.tensor.f_mul_scalar(0.5)?)).unwrap();
    let inputs = Tensor::f_ones([400, 1], (Kind::Double, Device::Cpu)).unwrap();
    let train = Dataset::new(inputs, Tensor::zeros([400], (Kind::Int64, Device::Cpu))).unwrap();
    let input = ProbeInput {
        network,
        network_id: 5,
        initial: Some(initial),
        train_size: 1000,
        train,
        test_inputs: None,
        truth: None,
        seed,
        deadline: None,
        batch_size: 500,
    };
    Probe::new(input).unwrap()
}

/// Φ⁻¹(0.9).
const QUANTILE: f64 = 1.281_551_565_544_600_4;

#[test]
fn sigma_is_that_of_the_closed_form() {
    let (a, b) = (0.9, -0.4);
    let plain = (a - b) / (2f64.sqrt() * QUANTILE);
    // The deviation of the difference is √(σ²(a² + b²) + 2ε²).
    let total: f64 = ((a - b) / QUANTILE).powi(2);
    let magnitude = ((total - 2.0 * EPSILON * EPSILON) / (a * a + b * b)).sqrt();
    // As coded: √((σ²a² + ε²)² + (σ²b² + ε²)²), found by bisection.
    let deviation = |sigma: f64| {
        let part = |w: f64| (sigma * sigma * w * w + EPSILON * EPSILON).powi(2);
        (part(a) + part(b)).sqrt()
    };
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if deviation(middle) < (a - b) / QUANTILE { low = middle } else { high = middle }
    }
    for (noise, exact) in
        [(Noise::Plain, plain), (Noise::Magnitude, magnitude), (Noise::MagnitudeAsCoded, 0.5 * (low + high))]
    {
        // A draw changes all decisions or none: the spread is the largest possible. Eight seeds together.
        let runs: Vec<(f64, f64)> = (0..8)
            .map(|seed| {
                let probe = two_weights(a, b, seed);
                let found = probe.get(&NoiseScale { noise, drop: 0.1, tolerance: 0.03 }).unwrap();
                (found.log, found.standard_error)
            })
            .collect();
        let mean = runs.iter().map(|run| run.0).sum::<f64>() / 8.0;
        let error = (runs.iter().map(|run| run.1.powi(2)).sum::<f64>()).sqrt() / 8.0;
        assert!(
            (mean - exact.ln()).abs() < 4.0 * error,
            "{noise:?}: {} ± {error} is not {exact}",
            mean.exp()
        );
    }
}

/// Repeated runs on a network with many weights: their spread is the standard error that each reports.
#[test]
fn repeated_runs_confirm_the_standard_error() {
    let specimen = tiny_networks().unwrap().swap_remove(0);
    let runs: Vec<(f64, f64)> = (0..40)
        .map(|seed| {
            let probe = Probe::new(ProbeInput { seed, ..specimen.input() }).unwrap();
            let found = probe.get(&NoiseScale { noise: Noise::Plain, drop: 0.1, tolerance: 0.05 }).unwrap();
            (found.log, found.standard_error)
        })
        .collect();
    let count = runs.len() as f64;
    let mean = runs.iter().map(|run| run.0).sum::<f64>() / count;
    let variance = runs.iter().map(|run| (run.0 - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let reported = runs.iter().map(|run| run.1.powi(2)).sum::<f64>() / count;
    // Four standard deviations of the ratio, √(2/39).
    assert!((0.35..1.95).contains(&(variance / reported)), "{variance:e} {reported:e}");
}

#[test]
fn each_measure_is_its_formula() {
    let (a, b) = (0.9, -0.4);
    let probe = two_weights(a, b, 1);
    let flat = value(&probe, "pac_bayes_flatness");
    let sigma = number(&flat, "sigma");
    let relative = number(&flat, "sigma_relative_standard_error");
    close(flat.value, 1.0 / (sigma * sigma), 1e-12);
    close(flat.standard_error.unwrap(), 2.0 * relative * flat.value, 1e-6);
    let norm = a * a + b * b;
    let form = |squared: f64, sigma: f64| squared / (4.0 * sigma * sigma) + (1000.0 / sigma).ln() + 10.0;
    let orig = value(&probe, "pac_bayes_orig");
    close(orig.value, form(norm, sigma), 1e-12);
    close(orig.standard_error.unwrap(), relative * (norm / (2.0 * sigma * sigma) + 1.0), 1e-6);
    close(value(&probe, "pac_bayes_init").value, form(0.25 * norm, sigma), 1e-12);
    // As coded σ² is the deviation: the same noise has the square root for σ.
    let coded = value(&probe, "pac_bayes_orig:variant=as_coded");
    close(number(&coded, "sigma"), sigma.sqrt(), 1e-12);
    close(coded.value, form(norm, sigma.sqrt()), 1e-12);

    let flat = value(&probe, "pac_bayes_mag_flatness");
    let sigma = number(&flat, "sigma");
    close(flat.value, 1.0 / (sigma * sigma), 1e-12);
    let (square, floor) = (sigma * sigma, EPSILON * EPSILON);
    for (spec, squared) in [("pac_bayes_mag_init", 0.25 * norm), ("pac_bayes_mag_orig", norm)] {
        let numerator: f64 = floor + (square + 1.0) * squared / 2.0;
        let sum: f64 =
            [0.5 * a, 0.5 * b].iter().map(|moved| (numerator / (floor + square * moved * moved)).ln()).sum();
        close(value(&probe, spec).value, 0.25 * sum + (1000.0 / sigma).ln() + 10.0, 1e-12);
    }
}

#[test]
fn the_reference_is_zero_or_the_initial_weights() {
    let probe = two_weights(0.9, -0.4, 1);
    close(Reference::Origin.squared_distance(&probe).unwrap(), 0.97, 1e-12);
    close(Reference::Initial.squared_distance(&probe).unwrap(), 0.25 * 0.97, 1e-12);
    let moved = Tensor::from_slice(&[1.0, 0.0]);
    // ¼ [ln(N / (ε² + s²)) + ln(N / ε²)] with N = ε² + (s² + 3) · 5 / 2.
    let (square, floor) = (0.25, EPSILON * EPSILON);
    let numerator: f64 = floor + (square + 3.0) * 2.5;
    let expected = 0.25 * ((numerator / (floor + square)).ln() + (numerator / floor).ln());
    close(magnitude_divergence(5.0, &moved, 0.5, 3.0).unwrap(), expected, 1e-12);
}

#[track_caller]
fn undefined(input: ProbeInput, measure: &str, word: &str) {
    match outcome(&Probe::new(input).unwrap(), measure) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{measure}: {reason}"),
        other => panic!("{measure}: {other:?}"),
    }
}

#[test]
fn what_has_no_value_says_why() {
    let specimen = tiny_networks().unwrap().swap_remove(0);
    let changed = |change: &dyn Fn(Role, &Tensor) -> Tensor| {
        let network = specimen.network.map_weights(|one| Ok(change(one.spec.role, one.tensor))).unwrap();
        ProbeInput { network, ..specimen.input() }
    };
    let mut misfits = specimen.input();
    misfits.train.labels = (&misfits.train.labels + 1).remainder(specimen.classes);
    undefined(misfits, "pac_bayes_flatness", "cannot fall");
    undefined(changed(&|_, tensor| tensor.zeros_like()), "pac_bayes_orig", "zero");
    undefined(changed(&|_, tensor| tensor * f64::NAN), "pac_bayes_mag_flatness", "not finite");
    undefined(changed(&|_, tensor| tensor * f64::NAN), "pac_bayes_bound", "");
    // All samples in one class, and a bias that no noise of any scale tried reaches.
    let mut sure = changed(&|role, tensor| match role {
        Role::Bias if tensor.size() == [5] => Tensor::from_slice(&[1e30f32, 0.0, 0.0, 0.0, 0.0]),
        Role::Bias => tensor.shallow_clone(),
        _ => tensor * 1e-6,
    });
    sure.train.labels = sure.train.labels.zeros_like();
    undefined(sure, "pac_bayes_mag_flatness:drop=0.9", "lowers the accuracy");
    let lacking = ProbeInput { initial: None, ..specimen.input() };
    let found = outcome(&Probe::new(lacking).unwrap(), "pac_bayes_bound");
    assert!(matches!(found, Err(MeasureError::Unavailable(_))), "{found:?}");
}

/// Two of the zoo's own: bounds that hold, and say when they are vacuous.
#[test]
fn bounds_lie_above_the_empirical_error_and_below_one() {
    for specimen in tiny_networks().unwrap() {
        let probe = Probe::new(specimen.input()).unwrap();
        for measure in ["pac_bayes_bound", "pac_bayes_bound:prior=initial", "compression_bound:dimension=10"]
        {
            let found = value(&probe, measure);
            assert!(found.value > number(&found, "empirical_error") && found.value <= 1.0, "{measure}");
            let guess = 1.0 - 1.0 / specimen.classes as f64;
            let says = matches!(&found.details["vacuous"], Detail::Text(text) if text.starts_with("yes"));
            assert_eq!(says, found.value >= guess, "{measure}");
        }
    }
}
