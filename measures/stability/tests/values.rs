//! Values against real refits, dense matrices and all signs.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::{Activation, Architecture, Dense, Graph, Layer, Mode, Network, gradients};
use pgdl_measure::tch::{Device, Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_stability::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn evaluate(spec: &str, input: ProbeInput) -> Measured {
    run(spec, input).unwrap()
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

fn numbers(count: i64, seed: f64) -> Tensor {
    let values: Vec<f64> =
        (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect();
    Tensor::from_slice(&values)
}

fn kron(a: &Tensor, b: &Tensor) -> Tensor {
    let shape: Vec<i64> = a.size().iter().zip(b.size()).map(|(a, b)| a * b).collect();
    (a.unsqueeze(1).unsqueeze(3) * b.unsqueeze(0).unsqueeze(2)).reshape(shape)
}

const INPUTS: i64 = 3;
const CLASSES: i64 = 3;

/// Softmax regression with a ridge: weights `[4, 3]`, the last row the bias.
struct Regression {
    features: Tensor,
    labels: Tensor,
    ridge: f64,
}

impl Regression {
    /// Labels that follow the inputs loosely.
    fn new(samples: i64, ridge: f64) -> Self {
        let inputs = numbers(samples * INPUTS, 1.0).reshape([samples, INPUTS]);
        let labels = (&inputs + numbers(samples * INPUTS, 2.0).reshape([samples, INPUTS])).argmax(1, false);
        let features = Tensor::cat(&[&inputs, &Tensor::ones([samples, 1], DOUBLE)], 1);
        Self { features, labels, ridge }
    }

    fn without(&self, sample: i64) -> Self {
        let samples = self.labels.size()[0];
        let kept: Vec<i64> = (0..samples).filter(|at| *at != sample).collect();
        let rows = Tensor::from_slice(&kept);
        let (features, labels) = (self.features.index_select(0, &rows), self.labels.index_select(0, &rows));
        Self { features, labels, ..*self }
    }

    fn losses(&self, weights: &Tensor) -> Tensor {
        self.features.mm(weights).cross_entropy_loss::<Tensor>(&self.labels, None, Reduction::None, -100, 0.0)
    }

    /// The sum of the losses' Hessians in the weights by row, and the ridge: dense, by loops.
    fn hessian(&self, weights: &Tensor) -> Tensor {
        let p = self.features.mm(weights).softmax(1, Kind::Double);
        let size = (INPUTS + 1) * CLASSES;
        let mut sum = Tensor::eye(size, DOUBLE) * self.ridge;
        for sample in 0..self.labels.size()[0] {
            let (p, x) = (p.select(0, sample), self.features.select(0, sample));
            sum += kron(&x.outer(&x), &(p.diag(0) - p.outer(&p)));
        }
        sum
    }

    /// Σ ℓ + ½ ridge ‖W‖²: its gradient.
    fn gradient(&self, weights: &Tensor) -> Tensor {
        let own = self.labels.one_hot(CLASSES).to_kind(Kind::Double);
        let residuals = self.features.mm(weights).softmax(1, Kind::Double) - own;
        self.features.tr().mm(&residuals) + weights * self.ridge
    }

    /// The minimum, by Newton steps until the gradient is rounding.
    fn fitted(&self, start: &Tensor) -> Tensor {
        let mut weights = start.copy();
        for _ in 0..50 {
            let gradient = self.gradient(&weights);
            if gradient.abs().max().double_value(&[]) < 1e-11 {
                return weights;
            }
            let step = Tensor::linalg_solve(&self.hessian(&weights), &gradient.reshape([-1, 1]), true);
            weights -= step.reshape([INPUTS + 1, CLASSES]);
        }
        panic!("Newton's method does not converge");
    }

    /// The network that this is, with what a measure is given.
    fn input(&self, weights: &Tensor) -> ProbeInput {
        let dense = Dense { units: CLASSES, use_bias: true, activation: Activation::Linear };
        let architecture = Architecture::sequential(vec![INPUTS], vec![Layer::Dense(dense)]).unwrap();
        let tensors = vec![vec![weights.narrow(0, 0, INPUTS), weights.select(0, INPUTS)]];
        let train =
            Dataset { inputs: self.features.narrow(1, 0, INPUTS), labels: self.labels.shallow_clone() };
        ProbeInput {
            network: Network::new(architecture, tensors).unwrap(),
            network_id: 0,
            initial: None,
            train_size: train.len(),
            train,
            test_inputs: None,
            truth: None,
            seed: 3,
            deadline: None,
            batch_size: 5,
        }
    }
}

/// With λ n as the ridge of the fit, what the measure says is what refitting without each sample gives.
#[test]
fn the_leave_one_out_loss_is_that_of_real_refits() {
    let samples = 40;
    let regression = Regression::new(samples, 0.05 * samples as f64);
    let weights = regression.fitted(&Tensor::zeros([INPUTS + 1, CLASSES], DOUBLE));
    let loss = regression.losses(&weights).mean(Kind::Double).double_value(&[]);
    let refitted: f64 = (0..samples)
        .map(|sample| regression.losses(&regression.without(sample).fitted(&weights)).double_value(&[sample]))
        .sum();
    let expected = refitted / samples as f64 - loss;
    let measured = evaluate("leave_one_out:ridge=0.05", regression.input(&weights));
    assert!((detail(&measured, "loss") - loss).abs() < 1e-12);
    assert!(expected > 0.01, "{expected}");
    assert!((measured.value / expected - 1.0).abs() < 0.01, "{} {expected}", measured.value);
    // One class at a time is another approximation, and a coarser one.
    let by_class = evaluate("leave_one_out:ridge=0.05,form=class", regression.input(&weights)).value;
    let error = (by_class / expected - 1.0).abs();
    assert!(error > 0.01 && error < 0.5, "{by_class} {expected}");
}

#[test]
fn the_influence_trace_is_that_of_the_dense_matrix() {
    let samples = 15;
    let regression = Regression::new(samples, 0.02 * samples as f64);
    let weights = numbers((INPUTS + 1) * CLASSES, 5.0).reshape([INPUTS + 1, CLASSES]);
    let hessian = regression.hessian(&weights) / samples as f64;
    let mut expected = 0.0;
    for sample in 0..samples {
        let leaf = weights.copy().set_requires_grad(true);
        let loss = regression.losses(&leaf).get(sample);
        let gradient = gradients(&loss, &[&leaf], Graph::Free).unwrap()[0].reshape([-1, 1]);
        let solved = Tensor::linalg_solve(&hessian, &gradient, true);
        expected += gradient.tr().mm(&solved).double_value(&[0, 0]) / (samples * samples) as f64;
    }
    let found = evaluate("influence_trace:ridge=0.02", regression.input(&weights)).value;
    assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
}

/// Leaving a sample out raises its loss by its influence on itself, where that is small.
#[test]
fn small_influences_are_leave_one_out_differences() {
    let regression = Regression::new(40, 40.0 * 50.0);
    let weights = regression.fitted(&Tensor::zeros([INPUTS + 1, CLASSES], DOUBLE));
    let value = |id: &str| evaluate(&format!("{id}:ridge=50"), regression.input(&weights)).value;
    let (trace, difference) = (value("influence_trace"), value("leave_one_out"));
    assert!((difference / trace - 1.0).abs() < 0.01, "{difference} {trace}");
}

/// On every tiny network (among them a strided convolution whose outputs are averaged) by gradients in the last kernel
/// and bias, and the dense matrix of all of them.
#[test]
fn the_last_layer_of_any_network_is_a_linear_model() {
    for Specimen { name, network, train, .. } in tiny_networks().unwrap() {
        let network = network.fold_batch_norm().unwrap().to_kind(Kind::Double).unwrap();
        let inputs = train.inputs.to_kind(Kind::Double);
        let samples = train.len() as i64;
        let trainable = network.trainable().unwrap();
        let last = trainable.weights().iter().rev().find(|tensors| !tensors.is_empty()).unwrap();
        // ∂f_c(xᵢ) in kernel and bias: [n, C, P].
        let logits = trainable.forward(&inputs, Mode::Evaluate).unwrap();
        let classes = logits.size()[1];
        let row = |sample: i64, class: i64| {
            let found = gradients(&logits.get(sample).get(class), last, Graph::Keep).unwrap();
            Tensor::cat(&found.iter().map(|tensor| tensor.reshape([-1])).collect::<Vec<_>>(), 0)
        };
        let jacobians: Vec<Tensor> = (0..samples)
            .map(|sample| Tensor::stack(&(0..classes).map(|class| row(sample, class)).collect::<Vec<_>>(), 0))
            .collect();
        let p = logits.detach().softmax(1, Kind::Double);
        let residuals = &p - train.labels.one_hot(classes);
        let curvature = |sample: i64| p.get(sample).diag(0) - p.get(sample).outer(&p.get(sample));
        let ridge = 5e-4 * samples as f64;
        let mut hessian = Tensor::eye(jacobians[0].size()[1], DOUBLE) * ridge;
        for (sample, jacobian) in jacobians.iter().enumerate() {
            hessian += jacobian.tr().mm(&curvature(sample as i64)).mm(jacobian);
        }
        let (mut trace, mut difference) = (0.0, 0.0);
        let loss = |logits: &Tensor, label: i64| -logits.log_softmax(0, Kind::Double).double_value(&[label]);
        for (sample, jacobian) in jacobians.iter().enumerate() {
            let sample = sample as i64;
            let gradient = jacobian.tr().mm(&residuals.narrow(0, sample, 1).tr());
            trace += gradient.tr().mm(&Tensor::linalg_solve(&hessian, &gradient, true)).double_value(&[0, 0]);
            let others = &hessian - jacobian.tr().mm(&curvature(sample)).mm(jacobian);
            let shift = jacobian.mm(&Tensor::linalg_solve(&others, &gradient, true)).reshape([-1]);
            let (logits, label) = (logits.get(sample).detach(), train.labels.int64_value(&[sample]));
            difference += loss(&(&logits + shift), label) - loss(&logits, label);
        }
        let input = || {
            let network = network.shallow_clone();
            let train = Dataset { inputs: inputs.shallow_clone(), labels: train.labels.shallow_clone() };
            ProbeInput { network, train, initial: None, batch_size: 7, ..tiny_networks().unwrap()[0].input() }
        };
        for (id, expected) in [("influence_trace", trace), ("leave_one_out", difference)] {
            let found = evaluate(id, input()).value;
            let expected = expected / samples as f64;
            assert!((found / expected - 1.0).abs() < 1e-8, "{id} on {name}: {found} {expected}");
        }
    }
}

/// Every combination of signs, against the draws: the same mean within their standard error, which is small.
#[test]
fn the_complexity_is_the_mean_over_all_signs() {
    let samples = 4;
    let regression = Regression::new(samples, 0.0);
    let weights = numbers((INPUTS + 1) * CLASSES, 5.0).reshape([INPUTS + 1, CLASSES]);
    let inputs = regression.features.narrow(1, 0, INPUTS);
    let signs = |bits: u32, count: i64| -> Tensor {
        let all: Vec<f64> = (0..count).map(|at| if bits >> at & 1 == 1 { 1.0 } else { -1.0 }).collect();
        Tensor::from_slice(&all)
    };
    let mean = |count: i64, norm: &dyn Fn(Tensor) -> Tensor| -> f64 {
        let all = (0..1u32 << count).map(|bits| norm(signs(bits, count)).double_value(&[]));
        all.sum::<f64>() / f64::from(1u32 << count)
    };
    let size = samples * CLASSES;
    let radius = weights.narrow(0, 0, INPUTS).norm().double_value(&[]);
    let last_layer = radius * mean(size, &|signs| signs.reshape([CLASSES, samples]).mm(&inputs).norm());

    let leaf = weights.copy().set_requires_grad(true);
    let losses = regression.losses(&leaf);
    let local = mean(samples, &|signs| {
        let found = gradients(&(&losses * signs).sum(Kind::Double), &[&leaf], Graph::Keep).unwrap();
        found[0].norm()
    });
    for (spec, expected) in [("draws=4000", last_layer), ("draws=4000,form=local", local)] {
        let found = evaluate(&format!("empirical_rademacher:{spec}"), regression.input(&weights));
        let (expected, error) = (expected / samples as f64, found.standard_error.unwrap());
        assert!(error < 0.005 * expected, "{error} {expected}");
        assert!((found.value - expected).abs() < 4.0 * error, "{} ± {error}, {expected}", found.value);
        assert!(expected < detail(&found, "bound"));
    }
}

#[test]
fn the_number_of_samples_of_the_complexity_can_be_chosen() {
    let regression = Regression::new(30, 0.0);
    let weights = numbers((INPUTS + 1) * CLASSES, 5.0).reshape([INPUTS + 1, CLASSES]);
    let rows = Tensor::arange(11, (Kind::Int64, Device::Cpu));
    let first = Regression {
        features: regression.features.index_select(0, &rows),
        labels: regression.labels.index_select(0, &rows),
        ridge: 0.0,
    };
    for form in ["last_layer", "local"] {
        let few =
            evaluate(&format!("empirical_rademacher:form={form},samples=11"), regression.input(&weights));
        let whole = evaluate(&format!("empirical_rademacher:form={form}"), first.input(&weights));
        // Other parameters seed other signs; the bound has none.
        assert!((detail(&few, "bound") / detail(&whole, "bound") - 1.0).abs() < 1e-12);
    }
}

#[test]
fn leave_one_out_and_the_trace_share_their_passes() {
    let regression = Regression::new(30, 0.0);
    let weights = numbers((INPUTS + 1) * CLASSES, 5.0).reshape([INPUTS + 1, CLASSES]);
    let mut registry = Registry::new();
    pgdl_measure_stability::register(&mut registry).unwrap();
    let probe = Probe::new(regression.input(&weights)).unwrap();
    for id in ["leave_one_out", "influence_trace", "leave_one_out:form=class", "empirical_rademacher"] {
        probe.evaluate(&registry.resolve(id).unwrap()).outcome.unwrap();
    }
    assert_eq!((probe.passes().forward, probe.passes().backward), (1.0, 0.0));
}

#[test]
fn where_the_logits_are_no_linear_model_there_is_no_value() {
    let specimen = &tiny_networks().unwrap()[2];
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let architecture =
        Architecture::sequential(vec![10], vec![dense(4, Activation::Relu), dense(3, Activation::Tanh)])
            .unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    for id in ["leave_one_out", "influence_trace", "empirical_rademacher"] {
        let input = ProbeInput { network: network.shallow_clone(), initial: None, ..specimen.input() };
        let outcome = run(id, input);
        let Err(MeasureError::Undefined(reason)) = &outcome else { panic!("{id}: {outcome:?}") };
        assert!(reason.contains("no affine function"), "{reason}");
    }
    // Its gradients exist all the same.
    let input = ProbeInput { network, initial: None, ..specimen.input() };
    assert!(evaluate("empirical_rademacher:form=local", input).value > 0.0);
    // Weights that are not finite.
    for id in ["leave_one_out", "influence_trace", "empirical_rademacher", "empirical_rademacher:form=local"]
    {
        let broken = specimen.network.map_weights(|parameter| Ok(parameter.tensor * f64::NAN)).unwrap();
        let outcome = run(id, ProbeInput { network: broken, ..specimen.input() });
        assert!(matches!(outcome, Err(MeasureError::Undefined(_))), "{id}: {outcome:?}");
    }
    // Weights of zero: features and gradients of zero, but for the bias.
    let zero = || specimen.network.map_weights(|parameter| Ok(parameter.tensor.zeros_like())).unwrap();
    assert!(
        no_grad(|| zero().forward(&specimen.train.inputs, Mode::Evaluate))
            .unwrap()
            .abs()
            .max()
            .double_value(&[])
            == 0.0
    );
    let value = |id: &str| evaluate(id, ProbeInput { network: zero(), ..specimen.input() }).value;
    assert_eq!(value("empirical_rademacher"), 0.0);
    assert!(value("influence_trace") > 0.0 && value("leave_one_out") > 0.0);
}
