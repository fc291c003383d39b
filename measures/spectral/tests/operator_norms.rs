//! Operator norms against dense matrices made entry by entry, and closed forms.

use pgdl_measure::network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Network, Padding, SeparableConv2d,
};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Generator, kernels};
use pgdl_measure_spectral::{LinearMap, circular_norm, largest_singular_value, reshape_norm};

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance * expected, "{value} is not {expected}");
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// By a full singular value decomposition.
fn largest_singular(matrix: &Tensor) -> f64 {
    matrix.svd(true, false).1.max().double_value(&[])
}

fn conv(filters: i64, kernel: [i64; 2], strides: [i64; 2], padding: Padding) -> Conv2d {
    let (dilation, activation) = ([1, 1], Activation::Relu);
    Conv2d { filters, kernel, strides, padding, dilation, groups: 1, use_bias: true, activation }
}

/// A network of one layer with normal weights, biases included.
fn network(input: &[i64], layer: Layer) -> Network {
    let architecture = Architecture::sequential(input.to_vec(), vec![layer]).unwrap();
    let network = Network::initialize(architecture, 1, Device::Cpu).unwrap();
    let mut random = Generator::new(&[b"operator norms"], Device::Cpu, Kind::Float);
    network.map_weights(|parameter| Ok(random.normal_tensor(&parameter.spec.shape).unwrap())).unwrap()
}

fn operator_norm(network: &Network, index: usize) -> f64 {
    let kernel = &kernels(network)[index];
    let map = LinearMap::of(network, kernel, kernel.tensor).unwrap();
    largest_singular_value(&map, || Ok(())).unwrap()
}

/// How a convolution reads its input.
struct Reading {
    stride: i64,
    dilation: i64,
    /// Cells before the first one.
    before: i64,
    output: i64,
}

/// TensorFlow's rule.
fn reading(input: i64, kernel: i64, stride: i64, dilation: i64, padding: Padding) -> Reading {
    let extent = (kernel - 1) * dilation + 1;
    let output = match padding {
        Padding::Valid => (input - extent + stride) / stride,
        Padding::Same => (input + stride - 1) / stride,
    };
    let total = match padding {
        Padding::Valid => 0,
        Padding::Same => ((output - 1) * stride + extent - input).max(0),
    };
    Reading { stride, dilation, before: total / 2, output }
}

/// The largest singular value of the matrix of a convolution, entry by entry from the definition. `kernel` is
/// `[kh, kw, in / groups, out]`. A circular one wraps around the map.
fn dense_norm(
    input: [i64; 3],
    kernel: &Tensor,
    [vertical, horizontal]: [Reading; 2],
    groups: i64,
    circular: bool,
) -> f64 {
    let [height, width, channels] = input;
    let [kh, kw, per_group, filters] = kernel.size()[..] else { panic!("a kernel has four axes") };
    let weights = numbers(kernel);
    let columns = height * width * channels;
    let mut matrix = vec![0.0; (vertical.output * horizontal.output * filters * columns) as usize];
    for (y, x) in (0..vertical.output).flat_map(|y| (0..horizontal.output).map(move |x| (y, x))) {
        for (a, b) in (0..kh).flat_map(|a| (0..kw).map(move |b| (a, b))) {
            let mut row = y * vertical.stride + a * vertical.dilation - vertical.before;
            let mut column = x * horizontal.stride + b * horizontal.dilation - horizontal.before;
            if circular {
                (row, column) = (row.rem_euclid(height), column.rem_euclid(width));
            } else if !(0..height).contains(&row) || !(0..width).contains(&column) {
                continue;
            }
            for (i, o) in (0..per_group).flat_map(|i| (0..filters).map(move |o| (i, o))) {
                let channel = o / (filters / groups) * per_group + i;
                let from = (row * width + column) * channels + channel;
                let to = (y * horizontal.output + x) * filters + o;
                matrix[(to * columns + from) as usize] +=
                    weights[(((a * kw + b) * per_group + i) * filters + o) as usize];
            }
        }
    }
    let matrix = Tensor::from_slice(&matrix).reshape([-1, columns]);
    largest_singular(&matrix)
}

/// Convolutions of all kinds, with the shapes of their inputs.
fn convolutions() -> Vec<([i64; 3], Conv2d)> {
    let mut found = Vec::new();
    for padding in [Padding::Valid, Padding::Same] {
        for strides in [[1, 1], [2, 2], [3, 1]] {
            found.push(([7, 6, 3], conv(4, [3, 3], strides, padding)));
            found.push(([6, 6, 4], conv(2, [2, 3], strides, padding)));
            found.push(([5, 8, 2], Conv2d { groups: 2, ..conv(6, [3, 2], strides, padding) }));
        }
        found.push(([8, 9, 2], Conv2d { dilation: [2, 3], ..conv(3, [3, 2], [1, 1], padding) }));
        found.push(([6, 5, 4], conv(3, [1, 1], [1, 1], padding)));
        found.push(([6, 5, 4], conv(3, [1, 1], [2, 2], padding)));
        found.push(([6, 5, 4], Conv2d { groups: 2, ..conv(4, [1, 1], [1, 1], padding) }));
    }
    // Kernels larger than the map: most taps fall on padding.
    found.push(([1, 1, 3], conv(2, [3, 3], [1, 1], Padding::Same)));
    found.push(([2, 3, 3], conv(2, [5, 5], [1, 1], Padding::Same)));
    found
}

#[test]
fn convolutions_have_the_norm_of_their_dense_matrix() {
    for (input, conv) in convolutions() {
        let network = network(&input, Layer::Conv2d(conv.clone()));
        let readings = [0, 1].map(|axis| {
            let Conv2d { kernel, strides, dilation, padding, .. } = conv;
            reading(input[axis], kernel[axis], strides[axis], dilation[axis], padding)
        });
        let expected = dense_norm(input, &network.weights()[0][0], readings, conv.groups, false);
        close(operator_norm(&network, 0), expected, 1e-7);
    }
}

#[test]
fn depthwise_and_separable_convolutions_have_the_norms_of_their_parts() {
    for padding in [Padding::Valid, Padding::Same] {
        for strides in [[1, 1], [2, 2]] {
            let (input, kernel, dilation, depth_multiplier) = ([7, 6, 3], [3, 2], [1, 1], 2);
            let (use_bias, activation) = (true, Activation::Relu);
            let depthwise = Layer::DepthwiseConv2d(DepthwiseConv2d {
                kernel,
                strides,
                padding,
                dilation,
                depth_multiplier,
                use_bias,
                activation,
            });
            let separable = Layer::SeparableConv2d(SeparableConv2d {
                filters: 5,
                kernel,
                strides,
                padding,
                dilation,
                depth_multiplier,
                use_bias,
                activation,
            });
            for layer in [depthwise, separable] {
                let network = network(&input, layer);
                // Output c · multiplier + m reads channel c alone: a convolution in as many groups as channels.
                let grouped = network.weights()[0][0].reshape([3, 2, 1, 6]);
                let readings =
                    [0, 1].map(|axis| reading(input[axis], kernel[axis], strides[axis], 1, padding));
                close(operator_norm(&network, 0), dense_norm(input, &grouped, readings, 3, false), 1e-7);
                if let [_, pointwise] = &kernels(&network)[..] {
                    let matrix = pointwise.tensor.to_kind(Kind::Double).reshape([6, 5]);
                    let expected = largest_singular(&matrix);
                    close(operator_norm(&network, 1), expected, 1e-7);
                }
            }
        }
    }
}

#[test]
fn dense_layers_have_the_norm_of_their_matrix_on_vectors_and_on_images() {
    for input in [vec![12], vec![3, 4, 12]] {
        let dense = Dense { units: 30, use_bias: true, activation: Activation::Relu };
        let network = network(&input, Layer::Dense(dense));
        let matrix = network.weights()[0][0].to_kind(Kind::Double);
        let expected = largest_singular(&matrix);
        close(operator_norm(&network, 0), expected, 1e-7);
    }
}

/// The filter of ones on a line of n cells with zeros around has eigenvalues 1 + 2 cos(πk / (n + 1)), and on an image
/// the products of two such. At 60 × 90 the largest are close together, and the basis is restarted.
#[test]
fn a_filter_of_ones_in_closed_form_to_the_stated_tolerance() {
    let network = network(&[60, 90, 1], Layer::Conv2d(conv(1, [3, 3], [1, 1], Padding::Same)));
    let network = network.map_weights(|parameter| Ok(parameter.tensor.ones_like())).unwrap();
    let line = |cells: f64| 1.0 + 2.0 * (std::f64::consts::PI / (cells + 1.0)).cos();
    close(operator_norm(&network, 0), line(60.0) * line(90.0), pgdl_measure_spectral::TOLERANCE / 2.0);
}

#[test]
fn a_map_that_is_zero_has_norm_zero_though_its_kernel_is_not() {
    let network = network(&[1, 1, 1], Layer::Conv2d(conv(1, [3, 3], [1, 1], Padding::Same)));
    let weights: Vec<f32> = vec![1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let kernel = Tensor::from_slice(&weights).reshape([3, 3, 1, 1]);
    let network = network.with_weights(vec![vec![kernel, network.weights()[0][1].shallow_clone()]]).unwrap();
    assert_eq!(operator_norm(&network, 0), 0.0);
}

#[test]
fn circular_norms_are_those_of_the_dense_circular_matrix() {
    for (input, conv) in convolutions() {
        let network = network(&input, Layer::Conv2d(conv.clone()));
        let readings = [0, 1].map(|axis| Reading {
            stride: 1,
            dilation: conv.dilation[axis],
            before: 1,
            output: input[axis],
        });
        let kernel = &kernels(&network)[0];
        let found = circular_norm(kernel, kernel.tensor, &input, || Ok(())).unwrap();
        close(found, dense_norm(input, kernel.tensor, readings, conv.groups, true), 1e-10);
    }
    let depthwise = DepthwiseConv2d {
        kernel: [3, 3],
        strides: [2, 2],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias: false,
        activation: Activation::Linear,
    };
    let network = network(&[5, 6, 3], Layer::DepthwiseConv2d(depthwise));
    let kernel = &kernels(&network)[0];
    let readings = [5, 6].map(|output| Reading { stride: 1, dilation: 1, before: 1, output });
    let expected = dense_norm([5, 6, 3], &kernel.tensor.reshape([3, 3, 1, 6]), readings, 3, true);
    close(circular_norm(kernel, kernel.tensor, &[5, 6, 3], || Ok(())).unwrap(), expected, 1e-10);
}

#[test]
fn reshaped_kernels_have_a_unit_per_column() {
    let network = network(&[6, 6, 3], Layer::Conv2d(conv(4, [3, 2], [2, 2], Padding::Same)));
    let kernel = &kernels(&network)[0];
    let weights = numbers(kernel.tensor);
    // The Gram matrix of the columns by plain loops.
    let mut gram = vec![0.0; 16];
    for row in weights.chunks(4) {
        for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
            gram[4 * i + j] += row[i] * row[j];
        }
    }
    let gram = Tensor::from_slice(&gram).reshape([4, 4]);
    let expected = gram.linalg_eigvalsh("L").max().double_value(&[]).sqrt();
    close(reshape_norm(kernel, kernel.tensor).unwrap(), expected, 1e-12);
}

#[test]
fn squared_row_norms_are_those_of_the_map_on_unit_vectors() {
    let network = network(&[4, 5, 2], Layer::Conv2d(conv(3, [3, 3], [2, 1], Padding::Same)));
    let kernel = &kernels(&network)[0];
    let map = LinearMap::of(&network, kernel, kernel.tensor).unwrap();
    let units = Tensor::eye(40, (Kind::Double, Device::Cpu)).reshape([40, 4, 5, 2]);
    let expected = map.apply(&units).unwrap().square().sum_dim_intlist(0, false, None);
    let found = map.squared_row_norms().unwrap();
    assert_eq!(found.size(), expected.size());
    assert!((found - expected).abs().max().double_value(&[]) < 1e-12);
}
