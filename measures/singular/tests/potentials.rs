//! The chains on potentials whose learning coefficients are known.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pgdl_measure::tch::{self, Device, Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};
use pgdl_measure_singular::deep_linear::{DeepLinear, DeepLinearPotential};
use pgdl_measure_singular::{Posterior, Potential, Sampling};

/// The chains' noise is drawn by libtorch's one generator: tests that ran side by side would take each other's numbers, and
/// others each time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random(seed: &str) -> Generator {
    tch::set_num_threads(1);
    Generator::new(&[seed.as_bytes()], Device::Cpu, Kind::Double)
}

/// One sample whose loss is a polynomial of the parameters, around zero.
struct Toy {
    centre: Tensor,
    loss: fn(&Tensor) -> Tensor,
}

impl Toy {
    fn new(parameters: i64, loss: fn(&Tensor) -> Tensor) -> Self {
        Self { centre: Tensor::zeros([parameters], (Kind::Double, Device::Cpu)), loss }
    }
}

impl Potential for Toy {
    fn centre(&self) -> &Tensor {
        &self.centre
    }

    fn samples(&self) -> i64 {
        1
    }

    fn losses(&self, copies: &Tensor, _: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        Ok((self.loss)(copies).unsqueeze(1))
    }

    fn centre_losses(&self) -> Result<Tensor, MeasureError> {
        Ok((self.loss)(&self.centre.unsqueeze(0)))
    }
}

fn coefficient(posterior: &Posterior) -> (f64, f64) {
    posterior.check().unwrap();
    let found = posterior.learning_coefficient().unwrap();
    (found.value, found.standard_error)
}

#[track_caller]
fn near(posterior: &Posterior, expected: f64, share: f64) {
    let (value, error) = coefficient(posterior);
    let off = (value - expected).abs();
    assert!(
        off < share * expected && off < 4.0 * error + 0.01 * expected,
        "{value} ± {error}, not {expected}"
    );
}

#[test]
fn a_quartic_has_a_quarter_for_each_direction() {
    let _turn = turn();
    let sampling = Sampling {
        localization: Some(1.0),
        draws: Some(400),
        chains: Some(400),
        tolerance: 0.0,
        ..Sampling::default()
    };
    for parameters in [1, 3] {
        let toy = Toy::new(parameters, |w| w.pow_tensor_scalar(4).sum_dim_intlist(1, false, Kind::Double));
        // The localization takes O((nβ)^(−1/2)) off: 0.2 % at nβ = 10⁵.
        let posterior = sampling.run(&toy, 1e5, &mut random("quartic")).unwrap();
        near(&posterior, 0.25 * parameters as f64, 0.03);
    }
}

#[test]
fn a_crossing_of_two_lines_has_one_half_and_at_the_crossing_its_logarithm() {
    let _turn = turn();
    let product = |w: &Tensor| w.square().prod_dim_int(1, false, Kind::Double);
    // On one of the lines: λ = 1/2, multiplicity 1.
    let sampling = Sampling {
        localization: Some(100.0),
        draws: Some(400),
        chains: Some(200),
        tolerance: 0.0,
        ..Sampling::default()
    };
    let on_a_line = Toy { centre: Tensor::from_slice(&[1.0, 0.0]), loss: product };
    near(&sampling.run(&on_a_line, 1e5, &mut random("line")).unwrap(), 0.5, 0.03);

    // At the origin: λ = 1/2, multiplicity 2. With a normal localization of precision 1, x is normal of precision
    // 1 + 2nβy² given y; what is left is an integral over y.
    let n_beta = 10.0;
    let (mut mass, mut sum) = (0.0f64, 0.0f64);
    for i in 0..200_000 {
        // y = exp(t), evenly in t from −20 to 3.
        let y = (-20.0 + 23.0 * (f64::from(i) + 0.5) / 200_000.0).exp();
        let precision = 1.0 + 2.0 * n_beta * y * y;
        let weight = y * (-0.5 * y * y).exp() / precision.sqrt();
        mass += weight;
        sum += weight * n_beta * y * y / precision;
    }
    let expected = sum / mass;
    assert!((0.15..0.4).contains(&expected), "the logarithm is felt: {expected}");
    let sampling = Sampling {
        localization: Some(1.0),
        draws: Some(1500),
        chains: Some(100),
        tolerance: 0.0,
        ..Sampling::default()
    };
    let posterior = sampling.run(&Toy::new(2, product), n_beta, &mut random("crossing")).unwrap();
    let (value, error) = coefficient(&posterior);
    assert!(
        (value - expected).abs() < 4.0 * error && error < 0.03 * expected,
        "{value} ± {error}, not {expected}"
    );
}

/// Linear regression with normal noise of variance 1: a regular model. w* is the least-squares solution.
struct Regression {
    inputs: Tensor,
    outputs: Tensor,
    centre: Tensor,
}

impl Regression {
    fn new(samples: i64, parameters: i64) -> Self {
        let mut random = random("regression");
        let inputs = random.normal_tensor(&[samples, parameters]).unwrap();
        let weights = random.normal_tensor(&[parameters, 1]).unwrap();
        let outputs = inputs.mm(&weights) + random.normal_tensor(&[samples, 1]).unwrap();
        let gram = inputs.tr().mm(&inputs);
        let centre = Tensor::linalg_inv(&gram).mm(&inputs.tr()).mm(&outputs).squeeze_dim(1);
        Self { inputs, outputs: outputs.squeeze_dim(1), centre }
    }
}

impl Potential for Regression {
    fn centre(&self) -> &Tensor {
        &self.centre
    }

    fn samples(&self) -> i64 {
        self.outputs.numel() as i64
    }

    fn losses(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        let (x, y) = match batch {
            None => (self.inputs.unsqueeze(0), self.outputs.unsqueeze(0)),
            Some(batch) => {
                let rows = self.inputs.index_select(0, &batch.reshape([-1]));
                (rows.reshape([batch.size()[0], batch.size()[1], -1]), self.outputs.take(batch))
            }
        };
        let predictions = (x * copies.unsqueeze(1)).sum_dim_intlist(2, false, Kind::Double);
        Ok((predictions - y).square() * 0.5)
    }

    fn centre_losses(&self) -> Result<Tensor, MeasureError> {
        Ok(self.losses(&self.centre.unsqueeze(0), None)?.squeeze_dim(0))
    }
}

#[test]
fn a_regular_model_has_half_its_parameters_and_so_has_its_fluctuation() {
    let _turn = turn();
    let (samples, parameters) = (2000, 8);
    let model = Regression::new(samples, parameters);
    let log_size = (samples as f64).ln();
    for batch in [samples, 500] {
        let sampling = Sampling { batch, localization: Some(1.0), draws: Some(1000), ..Sampling::default() };
        let posterior = sampling.run(&model, samples as f64 / log_size, &mut random("regular")).unwrap();
        let half = parameters as f64 / 2.0;
        let (value, error) = coefficient(&posterior);
        // Mini-batches add to the noise what the posterior says of it.
        let heated = half * (1.0 + 1.4 * posterior.heating.unwrap());
        assert!(posterior.heating.unwrap() < 0.031);
        assert!(value > half * 0.96 && value < heated * 1.03, "batches of {batch}: {value} ± {error}");
        let fluctuation =
            posterior.predictive(|found| 0.5 * samples as f64 / log_size * found.variance).unwrap();
        // The sample's noise has a variance of 1 ± √(2/n), and ν follows it.
        assert!((fluctuation.value / half - 1.0).abs() < 0.1, "batches of {batch}: {fluctuation:?}");
    }
}

/// The local learning coefficient of a case by the experiment's way.
fn deep_linear(rank: usize, input: usize, widths: &[usize], seed: &str) -> (f64, f64, f64) {
    let network = DeepLinear::new(rank, input, widths).unwrap();
    let exact = network.learning_coefficient().value;
    let mut random = random(seed);
    let centre = network.true_parameter(&mut random).unwrap();
    let potential = DeepLinearPotential::new(network, centre).unwrap();
    let n = 1e6f64;
    let posterior = Sampling::default().run(&potential, n / n.ln(), &mut random).unwrap();
    let (value, error) = coefficient(&posterior);
    (value, error, exact)
}

#[test]
fn deep_linear_networks_have_their_coefficients() {
    let _turn = turn();
    for (rank, input, widths) in [(1, 4, vec![3, 4]), (0, 3, vec![2, 3, 3])] {
        let (value, error, exact) = deep_linear(rank, input, &widths, "own cases");
        assert!(
            (value / exact - 1.0).abs() < 0.05,
            "{rank} {input} {widths:?}: {value} ± {error}, not {exact}"
        );
    }
}

#[test]
fn the_cases_of_the_reference_are_met() {
    let _turn = turn();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/dln.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("not tested: there is no {}", path.display());
        return;
    };
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let count = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
        let widths: Vec<usize> = case["widths"].as_array().unwrap().iter().map(count).collect();
        let (rank, input) = (count(&case["rank"]), count(&case["input"]));
        let fraction: Vec<f64> =
            case["lambda"].as_str().unwrap().split('/').map(|part| part.parse().unwrap()).collect();
        let expected = fraction[0] / fraction.get(1).unwrap_or(&1.0);
        let closed = DeepLinear::new(rank, input, &widths).unwrap().learning_coefficient();
        assert!((closed.value - expected).abs() < 1e-12, "{case}");
        assert_eq!(closed.multiplicity, count(&case["multiplicity"]), "{case}");
        let (value, error, _) = deep_linear(rank, input, &widths, "reference");
        eprintln!("{case}: {value:.4} ± {error:.4}");
        assert!((value / expected - 1.0).abs() < 0.05, "{case}: {value} ± {error}");
    }
}

const MANY_CHAINS: Sampling = Sampling {
    chains: Some(256),
    draws: Some(400),
    batch: 64,
    localization: Some(1.0),
    step: None,
    tolerance: 0.0,
};

/// One stiff direction, and 100 with as much curvature as the localization: λ̂ is 1/2 · 1000/1001 and 1/4 for each of the
/// others. Steps are as small as the stiff one asks for: the others need thousands of them.
#[test]
fn what_only_the_localization_holds_spreads_before_the_first_draw() {
    let _turn = turn();
    let loss = |w: &Tensor| {
        (w.square().sum_dim_intlist(1, false, Kind::Double) + w.select(1, 0).square() * 999.0) * 0.5
    };
    let expected = 0.5 * 1000.0 / 1001.0 + 100.0 * 0.25;
    let posterior = MANY_CHAINS.run(&Toy::new(101, loss), 1.0, &mut random("spread")).unwrap();
    assert!(
        posterior.spread >= 1.5 && posterior.burn_in > 2000,
        "{} {}",
        posterior.spread,
        posterior.burn_in
    );
    near(&posterior, expected, 0.05);
    // The same with steps so small that no budget is enough.
    let small = Sampling { step: Some(1e-9), ..MANY_CHAINS };
    match small.run(&Toy::new(101, loss), 1.0, &mut random("spread")) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("spread too slowly"), "{reason}"),
        _ => panic!("a value without a burn-in"),
    }
}

/// ℓᵢ = ½ a (w₀ − xᵢ)² + ½ Σ w_j², xᵢ = ±1: the gradient of a batch is noisy, that of all samples is not.
struct Noisy {
    centre: Tensor,
    signs: Tensor,
}

const STEEP: f64 = 1000.0;

impl Potential for Noisy {
    fn centre(&self) -> &Tensor {
        &self.centre
    }

    fn samples(&self) -> i64 {
        self.signs.size()[0]
    }

    fn losses(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        let signs = match batch {
            Some(batch) => self.signs.take(batch),
            None => self.signs.unsqueeze(0),
        };
        let rest = copies.narrow(1, 1, copies.size()[1] - 1).square().sum_dim_intlist(1, true, Kind::Double);
        Ok(((copies.narrow(1, 0, 1) - signs).square() * STEEP + rest) * 0.5)
    }

    fn centre_losses(&self) -> Result<Tensor, MeasureError> {
        Ok(self.losses(&self.centre.unsqueeze(0), None)?.squeeze_dim(0))
    }
}

#[test]
fn batches_grow_where_their_noise_keeps_the_steps_too_small() {
    let _turn = turn();
    let signs = Tensor::arange(512, (Kind::Double, Device::Cpu)).remainder(2.0) * 2.0 - 1.0;
    let noisy = Noisy { centre: Tensor::zeros([41], (Kind::Double, Device::Cpu)), signs };
    let posterior = MANY_CHAINS.run(&noisy, 1.0, &mut random("noisy")).unwrap();
    assert_eq!(posterior.batch, 512);
    assert!(posterior.spread >= 1.5 && posterior.step > 1e-4, "{} {}", posterior.spread, posterior.step);
    near(&posterior, 0.5 * STEEP / (STEEP + 1.0) + 40.0 * 0.25, 0.12);
}
