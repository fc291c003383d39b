//! The Jacobian baseline against closed forms and difference quotients.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Mode, Network, Node, Source};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Measured, Probe, ProbeInput, Registry};

fn evaluate(spec: &str, input: ProbeInput) -> Measured {
    let mut registry = Registry::new();
    pgdl_measure_gradient::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome.unwrap()
}

fn double(specimen: &Specimen) -> ProbeInput {
    ProbeInput { network: specimen.network.to_kind(Kind::Double).unwrap(), ..specimen.input() }
}

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: false, activation })
}

fn probe_input(network: Network, inputs: Tensor) -> ProbeInput {
    let samples = inputs.size()[0];
    ProbeInput {
        network,
        network_id: 0,
        initial: None,
        train: Dataset { inputs, labels: Tensor::zeros([samples], (Kind::Int64, Device::Cpu)) },
        train_size: samples as usize,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 4,
    }
}

fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value / expected - 1.0).abs() < tolerance, "{value} {expected}");
}

#[test]
fn a_linear_network_has_its_matrices_for_jacobians() {
    // f = x A B with A [2, 3], B [3, 2]: ∂f/∂x = A B everywhere, ∂f/∂(x A) = B.
    let architecture = Architecture::sequential(
        vec![2],
        vec![dense(3, Activation::Linear), Layer::Dropout { rate: 0.5 }, dense(2, Activation::Linear)],
    )
    .unwrap();
    let a = Tensor::from_slice(&[1.0, 2.0, 0.0, -1.0, 0.5, 3.0]).reshape([2, 3]);
    let b = Tensor::from_slice(&[2.0, 0.0, 1.0, 1.0, -1.0, 4.0]).reshape([3, 2]);
    let network = Network::new(architecture, vec![vec![a], vec![], vec![b]]).unwrap();
    let inputs = Tensor::from_slice(&[0.3f32, -0.4, 1.0, 2.0, 0.0, 5.0]).reshape([3, 2]);
    let measured = evaluate("jacobian_norm", probe_input(network, inputs));
    // A B = [[4, 2], [−4.5, 12.5]]: squares 16 + 4 + 20.25 + 156.25 = 196.5, over 2 · 2. B: 4 + 1 + 1 + 1 + 16 = 23,
    // over 2 · 3, for what enters the dropout and again for what enters the last layer.
    let layers: Vec<f64> = measured.layers.iter().map(|layer| layer.value).collect();
    for (layer, expected) in layers.iter().zip([196.5 / 4.0, 23.0 / 6.0, 23.0 / 6.0]) {
        close(*layer, expected, 1e-14);
    }
    close(measured.value, (196.5 / 4.0 + 2.0 * 23.0 / 6.0) / 3.0, 1e-14);
}

#[test]
fn the_sum_of_two_branches_counts_both_inputs() {
    // f = relu(x A) + relu(x B), two branches from the input: the sum's inputs have the identity for Jacobian.
    let node = |name: &str, layer: Layer, inputs: Vec<Source>| Node { name: name.to_string(), layer, inputs };
    let architecture = Architecture::graph(
        vec![2],
        vec![
            node("a", dense(2, Activation::Linear), vec![Source::Input]),
            node("b", dense(2, Activation::Linear), vec![Source::Input]),
            node("sum", Layer::Add, vec![Source::Node(0), Source::Node(1)]),
        ],
    )
    .unwrap();
    let a = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0]).reshape([2, 2]);
    let b = Tensor::from_slice(&[0.0, -1.0, 1.0, 0.0]).reshape([2, 2]);
    let network = Network::new(architecture, vec![vec![a], vec![b], vec![]]).unwrap();
    let measured =
        evaluate("jacobian_norm", probe_input(network, Tensor::from_slice(&[1f32, 1.0]).reshape([1, 2])));
    // A + B = [[1, 1], [4, 4]]: 34 over 2 · 2. Two identities: 4 over 2 · 4.
    let layers: Vec<f64> = measured.layers.iter().map(|layer| layer.value).collect();
    assert_eq!(layers, [8.5, 8.5, 0.5]);
    close(measured.value, 17.5 / 3.0, 1e-14);
}

/// Mean squared entry of ∂f/∂h for what leaves `node` (or the input), by difference quotients, over all samples.
fn by_differences(specimen: &Specimen, node: Option<usize>) -> f64 {
    let network = specimen.network.to_kind(Kind::Double).unwrap();
    let inputs = specimen.train.inputs.to_kind(Kind::Double);
    let mut entering = inputs.shallow_clone();
    let _ = network
        .forward_observed(&inputs, Mode::Evaluate, &mut |at, output| {
            if Some(at) == node {
                entering = output.copy();
            }
            Ok(())
        })
        .unwrap();
    let rest = |h: &Tensor| match node {
        None => network.forward(h, Mode::Evaluate).unwrap(),
        Some(node) => network.forward_from(node, h, Mode::Evaluate).unwrap(),
    };
    let samples = entering.size()[0];
    let flat = entering.reshape([samples, -1]);
    let size = flat.size()[1];
    let step = 1e-6;
    let mut squares = 0.0;
    for entry in 0..size {
        let moved = |sign: f64| {
            let moved = flat.copy();
            let _ = moved.select(1, entry).f_add_scalar_(sign * step).unwrap();
            rest(&moved.reshape(entering.size()))
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        squares += slope.square().sum(Kind::Double).double_value(&[]);
    }
    squares / (samples * size * specimen.classes) as f64
}

#[test]
fn every_layer_agrees_with_difference_quotients() {
    for specimen in tiny_networks().unwrap() {
        let measured = evaluate("jacobian_norm", double(&specimen));
        assert_eq!(measured.layers.len(), specimen.network.architecture().nodes.len());
        for (layer, detail) in measured.layers.iter().enumerate() {
            // A kink of ReLU or max pooling between the two points of a difference would spoil it; none is that near.
            close(detail.value, by_differences(&specimen, layer.checked_sub(1)), 1e-5);
        }
        let mean =
            measured.layers.iter().map(|layer| layer.value).sum::<f64>() / measured.layers.len() as f64;
        close(measured.value, mean, 1e-14);
    }
}

#[test]
fn as_coded_weighs_a_short_last_batch_like_a_full_one() {
    let specimen = &tiny_networks().unwrap()[2];
    let part = |start: i64, length: i64| {
        let mut input = double(specimen);
        input.train.inputs = input.train.inputs.narrow(0, start, length);
        input.train.labels = input.train.labels.narrow(0, start, length);
        evaluate("jacobian_norm", input).value
    };
    // 60 samples: three batches of 16 and one of 12.
    let expected = (part(0, 16) + part(16, 16) + part(32, 16) + part(48, 12)) / 4.0;
    close(evaluate("jacobian_norm:variant=as_coded", double(specimen)).value, expected, 1e-12);
    let plain = (16.0 * (part(0, 16) + part(16, 16) + part(32, 16)) + 12.0 * part(48, 12)) / 60.0;
    close(evaluate("jacobian_norm", double(specimen)).value, plain, 1e-12);
    assert!((plain / expected - 1.0).abs() > 1e-6);
}

#[test]
fn only_the_first_samples_are_taken() {
    let specimen = &tiny_networks().unwrap()[1];
    let first = {
        let mut input = double(specimen);
        input.train = input.train.take(10).unwrap();
        evaluate("jacobian_norm", input).value
    };
    close(evaluate("jacobian_norm:samples=10", double(specimen)).value, first, 1e-12);
    let mut registry = Registry::new();
    pgdl_measure_gradient::register(&mut registry).unwrap();
    assert!(registry.resolve("jacobian_norm:samples=10,variant=as_coded").is_err());
}
