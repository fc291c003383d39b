//! The bounds against their formulas, with norms of dense matrices.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Network, Node, Padding, SeparableConv2d,
    Source,
};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Kernel, MeasureError, Measured, Probe, ProbeInput, Registry, kernels};
use pgdl_measure_spectral::{LinearMap, OperatorProfile, Profile};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    pgdl_measure_spectral::register(&mut registry).unwrap();
    registry
}

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap()).outcome
}

fn value(spec: &str, specimen: &Specimen) -> f64 {
    evaluate(spec, input(specimen)).unwrap().value
}

/// The sample of 60 comes from a training set of 240.
fn input(specimen: &Specimen) -> ProbeInput {
    ProbeInput { train_size: 240, ..specimen.input() }
}

#[track_caller]
fn close(what: &str, value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{what}: {value} is not {expected}");
}

/// The matrix `[inputs, outputs]` of the map that each layer of a network applies.
fn matrices(network: &Network) -> Vec<Tensor> {
    let network = network.fold_batch_norm().unwrap();
    let matrix = |kernel: &Kernel<'_>| {
        let map = LinearMap::of(&network, kernel, kernel.tensor).unwrap();
        let shape = [&[map.inputs()], map.input_shape()].concat();
        let units = Tensor::eye(map.inputs(), (Kind::Double, Device::Cpu)).reshape(shape);
        map.apply(&units).unwrap().flatten(1, -1)
    };
    kernels(&network).iter().map(matrix).collect()
}

fn largest_singular(matrix: &Tensor) -> f64 {
    matrix.svd(true, false).1.max().double_value(&[])
}

/// ‖A‖₂, ‖Aᵀ‖_{2,1}, ‖A‖²_F and the rows of the matrix A of each layer of a tiny network.
fn dense_layers(specimen: &Specimen) -> Vec<[f64; 4]> {
    matrices(&specimen.network)
        .iter()
        .map(|matrix| {
            let rows = Vec::<f64>::try_from(&matrix.square().sum_dim_intlist(0, false, None)).unwrap();
            [
                largest_singular(matrix),
                rows.iter().map(|row| row.sqrt()).sum(),
                rows.iter().sum(),
                rows.len() as f64,
            ]
        })
        .collect()
}

#[test]
fn bounds_agree_with_their_formulas() {
    for specimen in tiny_networks().unwrap() {
        let layers = dense_layers(&specimen);
        let depth = layers.len() as f64;
        let n = 240.0f64;
        let inputs = specimen.train.inputs.to_kind(Kind::Double).flatten(1, -1);
        let squares = Vec::<f64>::try_from(&inputs.square().sum_dim_intlist(1, false, None)).unwrap();
        let data = (4.0 * squares.iter().sum::<f64>()).sqrt();
        let largest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let height = layers.iter().map(|layer| layer[3]).fold(0.0, f64::max);
        let width = height.max(inputs.size()[1] as f64);
        let product: f64 = layers.iter().map(|layer| layer[0]).product();
        let ratios: f64 = layers.iter().map(|[norm, rows, ..]| (rows / norm).powf(2.0 / 3.0)).sum();
        let complexity = product * ratios.powf(1.5);
        let stable: f64 = layers.iter().map(|[norm, _, square, _]| square / (norm * norm)).sum();
        let frobenius: f64 = layers.iter().map(|layer| layer[2].sqrt()).product();
        let gamma = -value("margin", &specimen);
        let entropy = data * data * (2.0 * width * width).ln() * complexity * complexity;
        // ln N(ε) = entropy · (2/γ)² / ε² in Dudley's 4α/√n + (12/n) ∫ √ln N(ε) dε from α = 1/n to √n, by the
        // trapezoidal rule on a geometric grid.
        let root = |epsilon: f64| (entropy * (2.0 / gamma / epsilon).powi(2)).sqrt();
        let (from, to, steps) = ((1.0 / n).ln(), n.sqrt().ln(), 20_000);
        let grid = |step: i32| (from + (to - from) * f64::from(step) / f64::from(steps)).exp();
        let trapezoid = |(low, high): (f64, f64)| 0.5 * (root(low) + root(high)) * (high - low);
        let integral: f64 = (0..steps).map(|step| trapezoid((grid(step), grid(step + 1)))).sum();
        let dudley = 4.0 / n / n.sqrt() + 12.0 / n * integral;
        let pac_bayes =
            largest * largest * depth * depth * height * (depth * height).ln() * product.powi(2) * stable;
        for (spec, expected) in [
            ("bartlett_2017", data * complexity * width.ln() / (gamma * n)),
            ("neyshabur_2018", (pac_bayes / (gamma * gamma * n)).sqrt()),
            ("golowich_2018", ((2.0 * 2f64.ln() * depth).sqrt() + 1.0) * data * frobenius / (gamma * n)),
            ("rademacher_spectral", dudley),
            ("covering_number", entropy),
            ("covering_number:epsilon=10", entropy / 100.0),
        ] {
            close(&format!("{spec} of {}", specimen.name), value(spec, &specimen), expected.ln());
        }
    }
}

/// Both forms of the bound.
#[test]
fn the_bound_by_distance_agrees_with_its_formula() {
    for specimen in tiny_networks().unwrap() {
        let (now, then) = (matrices(&specimen.network), matrices(&specimen.initial));
        let inputs = specimen.train.inputs.to_kind(Kind::Double).flatten(1, -1);
        let chi = inputs.square().sum_dim_intlist(1, false, None).max().double_value(&[]).sqrt();
        let folded = specimen.network.fold_batch_norm().unwrap();
        let weights: f64 = kernels(&folded).iter().map(|kernel| kernel.tensor.numel() as f64).sum();
        let nu = then.iter().map(|matrix| largest_singular(matrix) - 1.0).fold(0.0, f64::max);
        let gamma = -value("margin", &specimen);
        let beta: f64 = now.iter().zip(&then).map(|(now, then)| largest_singular(&(now - then))).sum();
        let inner = beta + nu * now.len() as f64 + (chi * 2.0 / gamma * beta).ln();
        assert!(inner > 5f64.ln());
        let expected = 0.5 * (weights * inner / 240.0).ln();
        let measured = evaluate("long_sedghi_2020", input(&specimen)).unwrap();
        close(specimen.name, measured.value, expected);
        close("β", measured.layers.iter().map(|layer| layer.value).sum(), beta);
        // Initial weights so near to the trained ones that the other form holds.
        let trained = specimen.network.to_kind(Kind::Double).unwrap();
        let near = trained.map_weights(|parameter| {
            let then = specimen.initial.weights()[parameter.node][parameter.index].f_to_kind(Kind::Double)?;
            Ok(parameter.tensor.f_add(&then.f_sub(parameter.tensor)?.f_mul_scalar(1e-8)?)?)
        });
        let near = near.unwrap();
        let (now, then) = (matrices(&trained), matrices(&near));
        let nu = then.iter().map(|matrix| largest_singular(matrix) - 1.0).fold(0.0, f64::max);
        let beta: f64 = now.iter().zip(&then).map(|(now, then)| largest_singular(&(now - then))).sum();
        let in_double = ProbeInput { network: trained.shallow_clone(), ..input(&specimen) };
        let gamma = -evaluate("margin", in_double).unwrap().value;
        let inner = chi * 2.0 / gamma * beta * (beta + nu * now.len() as f64).exp();
        assert!(inner < 5.0, "{inner}");
        let moved = ProbeInput { network: trained, initial: Some(near), ..input(&specimen) };
        let found = evaluate("long_sedghi_2020", moved).unwrap().value;
        close(specimen.name, found, (inner * (weights / 240.0).sqrt()).ln());
    }
}

#[test]
fn the_bound_by_distance_needs_a_distance() {
    let specimen = &tiny_networks().unwrap()[0];
    let still = ProbeInput { initial: Some(specimen.network.shallow_clone()), ..input(specimen) };
    match evaluate("long_sedghi_2020", still) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("initial ones"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let lost = ProbeInput { initial: None, ..input(specimen) };
    assert!(matches!(evaluate("long_sedghi_2020", lost), Err(MeasureError::Unavailable(_))));
}

fn profile(network: Network) -> Result<Profile, MeasureError> {
    let shape = [&[1], network.architecture().input_shape.as_slice()].concat();
    let train =
        Dataset::new(Tensor::ones(shape, (Kind::Float, Device::Cpu)), Tensor::from_slice(&[0i64])).unwrap();
    let specimen = tiny_networks().unwrap()[0].input();
    let probe = ProbeInput { network, initial: None, train, train_size: 1, ..specimen };
    Probe::new(probe).unwrap().get(&OperatorProfile).map(|profile| (*profile).clone())
}

/// Layers that act on each position by itself are known by one position; their matrices hold it once for each.
#[test]
fn every_position_counts_in_the_matrix() {
    let (use_bias, activation, padding) = (false, Activation::Relu, Padding::Same);
    let pointwise = Conv2d {
        filters: 3,
        kernel: [1, 1],
        strides: [2, 1],
        padding,
        dilation: [1, 1],
        groups: 1,
        use_bias,
        activation,
    };
    let separable = SeparableConv2d {
        filters: 2,
        kernel: [3, 3],
        strides: [1, 2],
        padding,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias,
        activation,
    };
    let dense = |units| Layer::Dense(Dense { units, use_bias, activation: Activation::Linear });
    let layers =
        vec![Layer::Conv2d(pointwise), Layer::SeparableConv2d(separable), dense(4), Layer::Flatten, dense(5)];
    let architecture = Architecture::sequential(vec![4, 5, 2], layers).unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    let found = profile(network.shallow_clone()).unwrap();
    // Maps: 4 × 5 × 2, 2 × 5 × 3, 2 × 3 × 6 (between the parts), 2 × 3 × 2, 2 × 3 × 4, 5.
    let outputs: Vec<f64> = found.layers.iter().map(|layer| layer.outputs).collect();
    assert_eq!(outputs, [30.0, 36.0, 12.0, 24.0, 5.0]);
    assert_eq!(found.width, 40.0);
    let squares = |node: usize, index: usize| {
        network.weights()[node][index].to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[])
    };
    let frobenius = |layer: usize| found.layers[layer].frobenius_squared;
    close("pointwise", frobenius(0), 10.0 * squares(0, 0));
    close("pointwise part", frobenius(2), 6.0 * squares(1, 1));
    close("dense on an image", frobenius(3), 6.0 * squares(2, 0));
    close("dense", frobenius(4), squares(4, 0));
    // The depthwise part is the same as a layer of its own.
    let depthwise = DepthwiseConv2d {
        kernel: [3, 3],
        strides: [1, 2],
        padding,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias,
        activation: Activation::Linear,
    };
    let layers = vec![Layer::DepthwiseConv2d(depthwise), Layer::GlobalAveragePooling2d { keepdims: false }];
    let alone = Architecture::sequential(vec![2, 5, 3], layers).unwrap();
    let weights = vec![vec![network.weights()[1][0].shallow_clone()], vec![]];
    let alone = profile(Network::new(alone, weights).unwrap()).unwrap();
    close("depthwise part", frobenius(1), alone.layers[0].frobenius_squared);
    close("depthwise rows", found.layers[1].rows, alone.layers[0].rows);
}

fn dense_node(name: &str, activation: Activation, source: Source) -> Node {
    let layer = Layer::Dense(Dense { units: 3, use_bias: false, activation });
    Node { name: name.to_string(), layer, inputs: vec![source] }
}

#[test]
fn branches_and_expansions_have_no_bound() {
    let add = |first: usize, second: usize| Node {
        name: "add".to_string(),
        layer: Layer::Add,
        inputs: vec![Source::Node(first), Source::Node(second)],
    };
    let relu = Activation::Relu;
    let branching =
        vec![dense_node("a", relu, Source::Input), dense_node("b", relu, Source::Node(0)), add(0, 1)];
    let expanding = vec![dense_node("a", Activation::Exponential, Source::Input)];
    for (nodes, expected) in [(branching, "branches"), (expanding, "layer `a`")] {
        let architecture = Architecture::graph(vec![3], nodes).unwrap();
        let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
        match profile(network) {
            Err(MeasureError::Undefined(reason)) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
