//! Curvature against closed forms and dense Hessians, and ascent against exhaustive search.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Mode, Network, hessian_products};
use pgdl_measure::tch::{Device, Kind, Reduction, Tensor};
use pgdl_measure::{
    Dataset, Detail, MeasureError, Measured, Perturbed, Probe, ProbeInput, Registry, kernels,
};

fn outcome(input: ProbeInput, measure: &str) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_sharpness::register(&mut registry).unwrap();
    let resolved = registry.resolve(measure).unwrap();
    Probe::new(input).unwrap().evaluate(&resolved).outcome
}

fn evaluate(input: ProbeInput, measure: &str) -> Measured {
    outcome(input, measure).unwrap_or_else(|error| panic!("{measure}: {error}"))
}

fn number(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        Detail::Text(ref text) => panic!("{name} is {text}"),
    }
}

const A: f64 = 0.7;
const B: f64 = -0.4;
const INPUTS: [f64; 5] = [0.5, -1.0, 2.0, 1.5, -0.25];
const LABELS: [i64; 5] = [0, 1, 0, 1, 1];

/// The network with two parameters: logits (a x, b x).
fn two_parameters() -> ProbeInput {
    let dense = Layer::Dense(Dense { units: 2, use_bias: false, activation: Activation::Linear });
    let architecture = Architecture::sequential(vec![1], vec![dense]).unwrap();
    let kernel = Tensor::from_slice(&[A, B]).reshape([1, 2]);
    dataset(Network::new(architecture, vec![vec![kernel]]).unwrap(), &INPUTS, &LABELS)
}

fn dataset(network: Network, inputs: &[f64], labels: &[i64]) -> ProbeInput {
    let train =
        Dataset::new(Tensor::from_slice(inputs).reshape([-1, 1]), Tensor::from_slice(labels)).unwrap();
    ProbeInput {
        network,
        network_id: 1,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 3,
        deadline: None,
        batch_size: 100,
    }
}

/// Σ cross-entropy / n of the two-parameter network at (a, b).
fn loss(a: f64, b: f64) -> f64 {
    let each = INPUTS.iter().zip(LABELS).map(|(x, label)| {
        let margin = if label == 0 { x * (a - b) } else { x * (b - a) };
        (-margin).exp().ln_1p()
    });
    each.sum::<f64>() / INPUTS.len() as f64
}

/// mean x² p (1 − p): the Hessian is that times ((1, −1), (−1, 1)).
fn curvature() -> f64 {
    let each = INPUTS.iter().map(|x| {
        let p = 1.0 / (1.0 + (-x * (A - B)).exp());
        x * x * p * (1.0 - p)
    });
    each.sum::<f64>() / INPUTS.len() as f64
}

#[track_caller]
fn close(found: f64, expected: f64, relative: f64) {
    assert!((found - expected).abs() <= relative * expected.abs(), "{found} is not {expected}");
}

#[test]
fn the_network_with_two_parameters_has_its_hessian_by_hand() {
    let h = curvature();
    let top = evaluate(two_parameters(), "hessian_max");
    close(top.value, 2.0 * h, 1e-10);
    assert!(number(&top, "smallest_eigenvalue").abs() < 1e-12);
    // With q = 2 p (1 − p) of a sample, draws in proportion to q, and the product e of two signs, ‖Jᵀ B ε‖² / q is
    // x² (1 − 2 √(p (1 − p)) e).
    let trace = evaluate(two_parameters(), "hessian_trace:tolerance=0.01");
    let open: Vec<f64> = INPUTS
        .iter()
        .map(|x| {
            let p = 1.0 / (1.0 + (-x * (A - B)).exp());
            2.0 * p * (1.0 - p)
        })
        .collect();
    let total: f64 = open.iter().sum();
    let square = INPUTS.iter().zip(&open).map(|(x, q)| q / total * x.powi(4) * (1.0 + 2.0 * q)).sum::<f64>();
    let mean = INPUTS.iter().zip(&open).map(|(x, q)| q / total * x * x).sum::<f64>();
    let deviation = total / INPUTS.len() as f64 * (square - mean * mean).sqrt();
    let expected = deviation / (16.0 * number(&trace, "draws")).sqrt();
    close(trace.standard_error.unwrap(), expected, 0.15);
    close(trace.value, 2.0 * h, 4.0 * expected / (2.0 * h));
    // One vector sees λ = 2h or 0 only; of many, half.
    for moment in 1..=3 {
        let found = evaluate(two_parameters(), &format!("hessian_density:groups=64,moment={moment}"));
        let expected = 0.5 * (2.0 * h).powi(moment);
        close(found.value, expected, 0.5);
        assert!((found.value - expected).abs() < 4.0 * found.standard_error.unwrap());
    }
    close(evaluate(two_parameters(), "relative_flatness").value, h * (A - B).powi(2), 1e-12);
    let least = evaluate(two_parameters(), "minimum_sharpness:tolerance=0.01");
    assert!(
        (least.value - 2.0 * h).abs() < 4.0 * least.standard_error.unwrap(),
        "{} {}",
        least.value,
        2.0 * h
    );
}

#[test]
fn one_step_along_the_gradient() {
    let slope = (loss(A + 1e-6, B) - loss(A - 1e-6, B)) / 2e-6;
    // ∂L/∂b = −∂L/∂a: a unit step along the gradient is ±(1, −1)/√2.
    let direction = slope.signum() / 2f64.sqrt();
    let expected = loss(A + 0.3 * direction, B - 0.3 * direction) - loss(A, B);
    close(evaluate(two_parameters(), "sam:rho=0.3").value, expected, 1e-9);
    let (t, u) = (A.abs() + 0.01, B.abs() + 0.01);
    let length = (t * t + u * u).sqrt();
    let step = |scale: f64| 0.3 * slope.signum() * scale * scale / length;
    close(
        evaluate(two_parameters(), "asam:rho=0.3").value,
        loss(A + step(t), B - step(u)) - loss(A, B),
        1e-8,
    );
}

#[test]
fn the_worst_case_is_that_of_an_exhaustive_search() {
    let rho = 0.6;
    for (spec, square, adaptive) in [
        ("norm=l2,adaptive=no", false, false),
        ("norm=l2,adaptive=yes", false, true),
        ("norm=linf,adaptive=no", true, false),
        ("norm=linf,adaptive=yes", true, true),
    ] {
        let (r, s) = if adaptive { (A.abs(), B.abs()) } else { (1.0, 1.0) };
        let mut worst = f64::NEG_INFINITY;
        for i in 0..400 {
            let angle = f64::from(i) * std::f64::consts::TAU / 400.0;
            let (mut u, mut v) = (rho * angle.cos(), rho * angle.sin());
            if square {
                let stretch = rho / u.abs().max(v.abs());
                (u, v) = (u * stretch, v * stretch);
            }
            for part in [0.5, 1.0] {
                worst = worst.max(loss(A + part * r * u, B + part * s * v) - loss(A, B));
            }
        }
        let found = evaluate(two_parameters(), &format!("sharpness:{spec},m=0,rho={rho},steps=40"));
        close(found.value, worst, 1e-3);
        assert!(number(&found, "mean_rise_of_the_least_start") <= found.value);
    }
}

#[test]
fn groups_of_samples_have_perturbations_of_their_own() {
    let each = evaluate(two_parameters(), "sharpness:m=1,rho=0.3,steps=20");
    // A sample's worst direction is its own gradient: ℓ(margin − ρ √2 |x|) − ℓ(margin).
    let expected = INPUTS.iter().zip(LABELS).map(|(x, label)| {
        let margin = if label == 0 { x * (A - B) } else { x * (B - A) };
        let after = margin - 0.3 * 2f64.sqrt() * x.abs();
        (-after).exp().ln_1p() - (-margin).exp().ln_1p()
    });
    close(each.value, expected.sum::<f64>() / 5.0, 1e-6);
    assert!(each.standard_error.unwrap() > 0.0);
    let together = evaluate(two_parameters(), "sharpness:m=0,rho=0.3,steps=20");
    assert!(together.value < each.value);
}

#[test]
fn small_random_perturbations_see_half_the_trace() {
    let rho = 0.02;
    let found = evaluate(two_parameters(), &format!("average_sharpness:rho={rho},tolerance=0.02"));
    let expected = 0.5 * rho * rho * 2.0 * curvature();
    let error = found.standard_error.unwrap();
    assert!((found.value - expected).abs() < 4.0 * error + 1e-3 * expected, "{} {expected}", found.value);
    let adaptive =
        evaluate(two_parameters(), &format!("average_sharpness:adaptive=yes,rho={rho},tolerance=0.02"));
    let expected = 0.5 * rho * rho * (A * A + B * B) * curvature();
    assert!((adaptive.value - expected).abs() < 4.0 * adaptive.standard_error.unwrap() + 1e-3 * expected);
}

/// Logits (a x + c, b x + d) on a line of samples, which class 1 has where x < 0.3, and the accuracy where a − b and c − d are
/// others. Weights times `scale`.
struct OnALine {
    inputs: Vec<f64>,
    labels: Vec<i64>,
    scale: f64,
}

impl OnALine {
    const SLOPE: f64 = 1.4;
    const SHIFT: f64 = -0.38;

    fn new(scale: f64) -> Self {
        let count = 200;
        let at = |i| -2.0 + 4.0 * (f64::from(i) + 0.5) / f64::from(count);
        let inputs: Vec<f64> = (0..count).map(at).collect();
        let labels = inputs.iter().map(|x| i64::from(*x < 0.3)).collect();
        Self { inputs, labels, scale }
    }

    fn probe(&self) -> ProbeInput {
        let dense = Layer::Dense(Dense { units: 2, use_bias: true, activation: Activation::Linear });
        let architecture = Architecture::sequential(vec![1], vec![dense]).unwrap();
        let weights =
            vec![Tensor::from_slice(&[0.8, -0.6]).reshape([1, 2]), Tensor::from_slice(&[-0.12, 0.26])];
        let weights = weights.into_iter().map(|tensor| tensor * self.scale).collect();
        dataset(Network::new(architecture, vec![weights]).unwrap(), &self.inputs, &self.labels)
    }

    fn accuracy(&self, slope: f64, shift: f64) -> f64 {
        let right = |(x, label): &(&f64, &i64)| i64::from(slope * **x + shift <= 0.0) == **label;
        self.inputs.iter().zip(&self.labels).filter(right).count() as f64 / self.inputs.len() as f64
    }

    /// The largest drop where slope and shift move by at most these.
    fn worst(&self, slope: f64, shift: f64) -> f64 {
        let plain = self.accuracy(Self::SLOPE * self.scale, Self::SHIFT * self.scale);
        assert!(plain > 0.95);
        let steps = |most: f64| (-10..=10).map(move |i| 0.1 * most * f64::from(i));
        let drops = steps(slope)
            .flat_map(|u| steps(shift).map(move |v| (u, v)))
            .map(|(u, v)| plain - self.accuracy(Self::SLOPE * self.scale + u, Self::SHIFT * self.scale + v));
        drops.fold(0.0, f64::max)
    }

    /// The largest α at which that is below a tenth; how far slope and shift move at α.
    fn radius(&self, moves: impl Fn(f64) -> (f64, f64)) -> f64 {
        let (mut low, mut high) = (1e-6, 10.0);
        for _ in 0..50 {
            let middle: f64 = 0.5 * (low + high);
            let (slope, shift) = moves(middle);
            if self.worst(slope, shift) < 0.1 { low = middle } else { high = middle }
        }
        low
    }
}

#[test]
fn the_radius_is_that_of_an_exhaustive_search() {
    let line = OnALine::new(1.0);
    let expected = line.radius(|alpha| (2.0 * alpha, 2.0 * alpha));
    let found = evaluate(line.probe(), "sharpness_flatness:starts=8");
    let alpha = number(&found, "alpha");
    assert_eq!(found.standard_error, None);
    assert!(alpha > 0.93 * expected && alpha < 1.15 * expected, "{alpha} {expected}");
    close(found.value, alpha.powi(-2), 1e-12);
}

/// |uᵢ| ≤ α |wᵢ| + ε, ε = 10⁻³: where it counts for little, for much, and more than all that the network bears.
#[test]
fn the_ball_of_a_magnitude_aware_perturbation_holds_epsilon() {
    for scale in [1.0, 0.02, 0.012] {
        let line = OnALine::new(scale);
        let expected = line.radius(|alpha| (1.4 * scale * alpha + 2e-3, 0.38 * scale * alpha + 2e-3));
        let found = evaluate(line.probe(), "sharpness_mag_flatness:starts=8");
        let alpha = number(&found, "alpha");
        assert!(alpha > 0.93 * expected && alpha < 1.15 * expected, "{scale}: {alpha} {expected}");
    }
    let line = OnALine::new(0.002);
    assert!(line.worst(2e-3, 2e-3) > 0.1);
    match outcome(line.probe(), "sharpness_mag_flatness") {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("ε"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// The dense Hessian of a tiny network with BatchNormalization folded in, f64.
fn dense_hessian(input: &ProbeInput) -> Tensor {
    let network = input.network.fold_batch_norm().unwrap();
    let size = network.trainable_vector().unwrap().numel() as i64;
    let basis = Tensor::eye(size, (Kind::Double, Device::Cpu));
    let basis: Vec<Tensor> = (0..size).map(|i| basis.get(i)).collect();
    let (inputs, labels) = (input.train.inputs.to_kind(Kind::Double), input.train.labels.shallow_clone());
    let loss = |network: &Network| {
        let logits = network.forward(&inputs, Mode::Evaluate)?;
        Ok(logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)?)
    };
    Tensor::stack(&hessian_products(&network, loss, &basis).unwrap().products, 0)
}

fn doubles(at: usize) -> ProbeInput {
    let mut input = tiny_networks().unwrap()[at].input();
    input.network = input.network.to_kind(Kind::Double).unwrap();
    input
}

#[test]
fn spectra_are_those_of_dense_hessians() {
    for at in [1, 3] {
        let hessian = dense_hessian(&doubles(at));
        let size = hessian.size()[0] as f64;
        let (eigenvalues, _) = hessian.linalg_eigh("L");
        let top = eigenvalues.max().double_value(&[]);
        close(evaluate(doubles(at), "hessian_max:steps=60").value, top, 1e-6);
        let trace = evaluate(doubles(at), "hessian_trace:tolerance=0.03");
        let exact = hessian.trace().double_value(&[]);
        assert!((trace.value - exact).abs() < 4.0 * trace.standard_error.unwrap(), "{} {exact}", trace.value);
        let density = evaluate(doubles(at), "hessian_density:groups=24,steps=10");
        let exact = hessian.square().sum(Kind::Double).double_value(&[]) / size;
        assert!(
            (density.value - exact).abs() < 4.0 * density.standard_error.unwrap(),
            "{} {exact}",
            density.value
        );
        close(number(&density, "moment_2"), density.value, 1e-12);
    }
}

/// Of a network that is piecewise linear in each layer.
#[test]
fn layer_traces_are_those_of_the_dense_hessians_blocks() {
    let input = doubles(2);
    let hessian = dense_hessian(&input);
    let mut start = 0;
    let mut exact = Vec::new();
    for parameter in input.network.parameters() {
        let length = parameter.tensor.numel() as i64;
        if parameter.spec.role.is_weight() {
            let block = hessian.narrow(0, start, length).narrow(1, start, length);
            exact.push(block.trace().double_value(&[]));
        }
        start += length;
    }
    let found = evaluate(input, "minimum_sharpness:tolerance=0.02");
    assert_eq!(found.layers.len(), exact.len());
    let count = exact.len() as f64;
    let value = count * (exact.iter().map(|trace| trace.ln()).sum::<f64>() / count).exp();
    assert!((found.value - value).abs() < 4.0 * found.standard_error.unwrap(), "{} {value}", found.value);
    for (layer, exact) in found.layers.iter().zip(&exact) {
        close(layer.value, *exact, 0.4);
    }
}

/// Σ ⟨w_s, w_t⟩ tr H_{s,t} by its definition.
#[test]
fn relative_flatness_is_its_definition() {
    for (at, spec, from_the_end) in [
        (2, "relative_flatness", 1),
        (2, "relative_flatness:layer=penultimate", 2),
        (1, "relative_flatness", 1),
    ] {
        let input = doubles(at);
        let hessian = dense_hessian(&input);
        let network = input.network.fold_batch_norm().unwrap();
        let all = kernels(&network);
        let kernel = &all[all.len() - from_the_end];
        let before: i64 = network
            .parameters()
            .filter(|parameter| (parameter.node, parameter.index) < (kernel.node, kernel.index))
            .map(|parameter| parameter.tensor.numel() as i64)
            .sum();
        let units = *kernel.tensor.size().last().unwrap();
        let matrix = kernel.tensor.reshape([-1, units]);
        let (fan_in, length) = (matrix.size()[0], kernel.tensor.numel() as i64);
        let block = hessian.narrow(0, before, length).narrow(1, before, length);
        // [in, units, in, units] → the trace over the fan-in: [units, units]
        let traces = block.reshape([fan_in, units, fan_in, units]).diagonal(0, 0, 2).sum_dim_intlist(
            -1,
            false,
            Kind::Double,
        );
        let exact = (matrix.tr().matmul(&matrix) * traces).sum(Kind::Double).double_value(&[]);
        let found = evaluate(input, spec);
        match found.standard_error {
            None => close(found.value, exact, 1e-9),
            Some(error) => assert!((found.value - exact).abs() < 4.0 * error, "{} {exact}", found.value),
        }
    }
}

#[test]
fn what_is_moved_is_the_folded_network() {
    let input = doubles(1);
    let probe = Probe::new(input).unwrap();
    let moved = Perturbed::folded(&probe).unwrap();
    let layers = moved.network().architecture().nodes.iter();
    assert!(layers.clone().all(|node| node.layer.kind() != "BatchNormalization"));
    assert_eq!(moved.center().numel() as i64, moved.network().architecture().trainable_count().unwrap());
}

/// The first moment is linear in the Hessian: over few samples of many it is unbiased.
#[test]
fn spectra_of_few_samples_are_unbiased() {
    let exact = {
        let hessian = dense_hessian(&doubles(2));
        hessian.trace().double_value(&[]) / hessian.size()[0] as f64
    };
    let found = evaluate(doubles(2), "hessian_density:moment=1,samples=8,groups=64,steps=2");
    let error = found.standard_error.unwrap();
    assert!((found.value - exact).abs() < 4.0 * error, "{} ± {error}, {exact}", found.value);
    let top = evaluate(doubles(2), "hessian_max:samples=8");
    assert!(top.standard_error.unwrap() > 0.0);
}

#[test]
fn ascent_goes_on_until_nothing_is_gained() {
    for (at, form) in [(0, "norm=l2"), (2, "norm=l2"), (2, "norm=l2,adaptive=yes")] {
        let usual = evaluate(doubles(at), &format!("sharpness:{form},m=0"));
        let long = evaluate(doubles(at), &format!("sharpness:{form},m=0,starts=8,steps=200,tolerance=0"));
        assert!(usual.value > 0.97 * long.value, "{form}: {} {}", usual.value, long.value);
        assert!(number(&usual, "points") < number(&long, "points"));
    }
}
