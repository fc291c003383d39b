//! Path norms against the enumeration of all paths.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{
    Activation, Architecture, Conv2d, Dense, Layer, Network, Node, Padding, Pool, Source,
};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Generator, MeasureError, Measured, Probe, ProbeInput, Registry};

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_norms::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

/// The network with one sample of zeros.
fn input(network: &Network) -> ProbeInput {
    let shape = [&[1], network.architecture().input_shape.as_slice()].concat();
    let inputs = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let train = Dataset::new(inputs, Tensor::from_slice(&[0i64])).unwrap();
    let specimen = tiny_networks().unwrap()[0].input();
    ProbeInput { network: network.shallow_clone(), initial: None, train_size: 1, train, ..specimen }
}

#[track_caller]
fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-9 * expected.abs(), "{value} is not {expected}");
}

/// A network as its neurons: edges with weights, and biases.
#[derive(Default)]
struct Neurons {
    /// Per neuron: where its edges go, with their weights.
    edges: Vec<Vec<(usize, f64)>>,
    /// Neurons where a path may begin, with the weight of the first step: inputs (1) and biases.
    beginnings: Vec<(usize, f64)>,
}

impl Neurons {
    fn add(&mut self, count: usize) -> Vec<usize> {
        let first = self.edges.len();
        self.edges.resize(first + count, Vec::new());
        (first..first + count).collect()
    }

    /// Σ over paths of Π|w|^power: one path after the other, each with its own product. Counts them as well.
    fn sum(&self, outputs: &[usize], power: i32) -> (f64, u64) {
        let mut total = (0.0, 0);
        let mut open = self.beginnings.clone();
        while let Some((at, product)) = open.pop() {
            if outputs.contains(&at) {
                total = (total.0 + product.abs().powi(power), total.1 + 1);
            }
            open.extend(self.edges[at].iter().map(|&(to, weight)| (to, product * weight)));
        }
        total
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

fn node(name: &str, layer: Layer, inputs: &[usize]) -> Node {
    let inputs = match inputs {
        [] => vec![Source::Input],
        _ => inputs.iter().map(|&at| Source::Node(at)).collect(),
    };
    Node { name: name.to_string(), layer, inputs }
}

fn conv() -> Layer {
    Layer::Conv2d(Conv2d {
        filters: 2,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation: Activation::Relu,
    })
}

/// conv – max pooling – (conv, and around it) – add – BatchNormalization – average pooling – flatten – dense, on 4 × 4
/// images of one channel. The BatchNormalization follows no linear layer and cannot be folded.
fn residual() -> Network {
    let max = Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid };
    let average = Pool { size: [2, 2], strides: [1, 1], padding: Padding::Same };
    let dense = Dense { units: 2, use_bias: true, activation: Activation::Linear };
    let normalization =
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.9 };
    let nodes = vec![
        node("first", conv(), &[]),
        node("pool", Layer::MaxPooling2d(max), &[0]),
        node("second", conv(), &[1]),
        node("add", Layer::Add, &[1, 2]),
        node("norm", normalization, &[3]),
        node("average", Layer::AveragePooling2d(average), &[4]),
        node("flatten", Layer::Flatten, &[5]),
        node("dense", Layer::Dense(dense), &[6]),
    ];
    let architecture = Architecture::graph(vec![4, 4, 1], nodes).unwrap();
    let network = Network::initialize(architecture, 3, Device::Cpu).unwrap();
    let mut random = Generator::new(&[b"paths"], Device::Cpu, Kind::Float);
    network
        .map_weights(|parameter| {
            let noise = random.normal_tensor(&parameter.spec.shape).unwrap();
            Ok(if parameter.spec.name == "moving_variance" { noise.exp() } else { noise })
        })
        .unwrap()
}

/// Edges of a 3 × 3 convolution with zeros around, from neurons `[size, size, inputs]` to as many places.
fn convolve(neurons: &mut Neurons, from: &[usize], size: usize, weights: &[Tensor]) -> Vec<usize> {
    let inputs = from.len() / (size * size);
    let (kernel, bias) = (numbers(&weights[0]), numbers(&weights[1]));
    let to = neurons.add(size * size * 2);
    for y in 0..size {
        for x in 0..size {
            for filter in 0..2 {
                let target = to[(y * size + x) * 2 + filter];
                neurons.beginnings.push((target, bias[filter]));
                for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
                    let (Some(row), Some(column)) = ((y + a).checked_sub(1), (x + b).checked_sub(1)) else {
                        continue;
                    };
                    if row >= size || column >= size {
                        continue;
                    }
                    for channel in 0..inputs {
                        let source = from[(row * size + column) * inputs + channel];
                        let weight = kernel[((a * 3 + b) * inputs + channel) * 2 + filter];
                        neurons.edges[source].push((target, weight));
                    }
                }
            }
        }
    }
    to
}

/// [`residual`], neuron by neuron.
fn residual_neurons(network: &Network) -> (Neurons, Vec<usize>) {
    let weights = network.weights();
    let mut neurons = Neurons::default();
    let inputs = neurons.add(16);
    neurons.beginnings.extend(inputs.iter().map(|&input| (input, 1.0)));
    let first = convolve(&mut neurons, &inputs, 4, &weights[0]);
    let pooled = neurons.add(8);
    for (at, &source) in first.iter().enumerate() {
        let (y, x, channel) = (at / 8, at / 2 % 4, at % 2);
        neurons.edges[source].push((pooled[(y / 2 * 2 + x / 2) * 2 + channel], 1.0));
    }
    let second = convolve(&mut neurons, &pooled, 2, &weights[2]);
    let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|index| numbers(&weights[4][index]));
    let (added, normal) = (neurons.add(8), neurons.add(8));
    for at in 0..8 {
        neurons.edges[pooled[at]].push((added[at], 1.0));
        neurons.edges[second[at]].push((added[at], 1.0));
        let channel = at % 2;
        let scale = gamma[channel] / (variance[channel] + 1e-3).sqrt();
        neurons.edges[added[at]].push((normal[at], scale));
        neurons.beginnings.push((normal[at], beta[channel] - scale * mean[channel]));
    }
    // Windows of 2 × 2 that begin at each cell of 2 × 2: the lower and right ones reach beyond the image.
    let averaged = neurons.add(8);
    for (y, x, channel) in (0..8).map(|at| (at / 4, at / 2 % 2, at % 2)) {
        let cells: Vec<(usize, usize)> =
            (y..2).flat_map(|row| (x..2).map(move |column| (row, column))).collect();
        for (row, column) in &cells {
            let share = 1.0 / cells.len() as f64;
            neurons.edges[normal[(row * 2 + column) * 2 + channel]]
                .push((averaged[(y * 2 + x) * 2 + channel], share));
        }
    }
    let outputs = neurons.add(2);
    let (kernel, bias) = (numbers(&weights[7][0]), numbers(&weights[7][1]));
    for (unit, &output) in outputs.iter().enumerate() {
        neurons.beginnings.push((output, bias[unit]));
        for (at, &source) in averaged.iter().enumerate() {
            neurons.edges[source].push((output, kernel[at * 2 + unit]));
        }
    }
    (neurons, outputs)
}

#[test]
fn every_path_counts_through_pooling_normalization_and_residual_connections() {
    let network = residual();
    let (neurons, outputs) = residual_neurons(&network);
    for power in [1, 2] {
        let (sum, paths) = neurons.sum(&outputs, power);
        assert!(paths > 9000, "{paths}");
        let spec = format!("path_norm:q={power}");
        let found = evaluate(&spec, input(&network)).unwrap().value;
        close(found, sum.powf(1.0 / f64::from(power)));
    }
}

#[test]
fn a_maximum_counts_its_heaviest_cell_on_request() {
    // 2 × 2 pixels and a maximum over all of them.
    let first = Layer::Conv2d(Conv2d {
        filters: 1,
        kernel: [1, 1],
        strides: [1, 1],
        padding: Padding::Valid,
        dilation: [1, 1],
        groups: 1,
        use_bias: false,
        activation: Activation::Relu,
    });
    let dense = Layer::Dense(Dense { units: 2, use_bias: false, activation: Activation::Linear });
    for pooling in [
        vec![
            Layer::MaxPooling2d(Pool { size: [2, 2], strides: [2, 2], padding: Padding::Same }),
            Layer::Flatten,
        ],
        vec![Layer::GlobalMaxPooling2d { keepdims: false }],
    ] {
        let layers = [vec![first.clone()], pooling, vec![dense.clone()]].concat();
        let architecture = Architecture::sequential(vec![2, 2, 1], layers).unwrap();
        let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
        let network = network.map_weights(|parameter| Ok(parameter.tensor.full_like(-3.0))).unwrap();
        let norm = |spec: &str| evaluate(spec, input(&network)).unwrap().value;
        // A path weighs 9; there are 4 cells and 2 outputs.
        close(norm("path_norm:q=1"), 9.0 * 8.0);
        close(norm("path_norm"), 9.0 * 8f64.sqrt());
        close(norm("path_norm:pooling=max,q=1"), 9.0 * 2.0);
        close(norm("path_norm:pooling=max"), 9.0 * 2f64.sqrt());
    }
}

#[test]
fn a_global_average_has_an_edge_of_its_share_from_each_cell() {
    let dense = Layer::Dense(Dense { units: 2, use_bias: false, activation: Activation::Linear });
    let layers = vec![Layer::GlobalAveragePooling2d { keepdims: false }, dense];
    let architecture = Architecture::sequential(vec![3, 2, 1], layers).unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    let network = network.map_weights(|parameter| Ok(parameter.tensor.full_like(5.0))).unwrap();
    let norm = |spec: &str| evaluate(spec, input(&network)).unwrap().value;
    close(norm("path_norm:q=1"), 2.0 * 6.0 * 5.0 / 6.0);
    close(norm("path_norm"), (2.0 * 6.0 * (5.0f64 / 6.0).powi(2)).sqrt());
}

#[test]
fn over_the_margin_it_is_squared() {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    pgdl_measure_norms::register(&mut registry).unwrap();
    for specimen in tiny_networks().unwrap() {
        let probe = Probe::new(specimen.input()).unwrap();
        let value = |spec: &str| probe.evaluate(&registry.resolve(spec).unwrap()).outcome.unwrap().value;
        for q in [1, 2] {
            let expected = (value(&format!("path_norm:q={q}")) / value("margin")).powi(2);
            close(value(&format!("path_norm_over_margin:q={q}")), expected);
        }
    }
}

#[test]
fn other_activations_have_no_paths() {
    let dense = Layer::Dense(Dense { units: 2, use_bias: true, activation: Activation::Tanh });
    let architecture = Architecture::sequential(vec![3], vec![dense]).unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    match evaluate("path_norm", input(&network)) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("`dense` has Tanh"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
