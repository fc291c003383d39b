use pgdl_network::{Activation, Conv2d, Dense, DepthwiseConv2d, Layer, Padding, SeparableConv2d};
use proptest::prelude::*;
use tch::{Kind, Tensor};

use crate::plain::{self, Images, Window};
use crate::{devices, evaluate, network, tensor, vector};

fn images(shape: [usize; 4], seed: u64) -> (Tensor, Images) {
    let x = tensor(&shape.map(|size| size as i64), seed);
    let data = vector(&x);
    (x, Images { shape, data })
}

fn assert_equals(found: &Tensor, expected: &Images) {
    assert_eq!(found.size(), expected.shape.map(|size| size as i64));
    for (found, expected) in vector(found).iter().zip(&expected.data) {
        assert!((found - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{found} is not {expected}");
    }
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

fn windows() -> impl Strategy<Value = Window> {
    (pair(1..=4), pair(1..=3), pair(1..=3), any::<bool>())
        .prop_map(|(kernel, strides, dilation, same)| Window { kernel, strides, dilation, same })
}

fn fits(window: &Window, size: [usize; 2]) -> bool {
    window.same || (0..2).all(|i| (window.kernel[i] - 1) * window.dilation[i] < size[i])
}

fn long(pair: [usize; 2]) -> [i64; 2] {
    pair.map(|size| size as i64)
}

fn padding(window: &Window) -> Padding {
    if window.same { Padding::Same } else { Padding::Valid }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn conv2d_is_the_plain_loop(
        size in pair(1..=8), groups in 1usize..=3, per_group in pair(1..=3), window in windows(), use_bias: bool,
    ) {
        prop_assume!(fits(&window, size));
        let [inputs, outputs] = per_group;
        let (channels, filters) = (inputs * groups, outputs * groups);
        let layer = Layer::Conv2d(Conv2d {
            filters: filters as i64,
            kernel: long(window.kernel),
            strides: long(window.strides),
            padding: padding(&window),
            dilation: long(window.dilation),
            groups: groups as i64,
            use_bias,
            activation: Activation::Linear,
        });
        let (x, plain) = images([2, size[0], size[1], channels], 1);
        let network = network(&x.size()[1..], vec![layer]);
        let weights = &network.weights()[0];
        let bias = if use_bias { vector(&weights[1]) } else { vec![0.0; filters] };
        let expected = plain::conv2d(&plain, &vector(&weights[0]), &bias, &window, groups, filters);
        assert_equals(&evaluate(&network, &x), &expected);
    }

    #[test]
    fn depthwise_and_separable_are_the_plain_loops(
        size in pair(1..=8), channels in 1usize..=3, multiplier in 1usize..=3, window in windows(), use_bias: bool,
    ) {
        prop_assume!(fits(&window, size));
        let (kernel, strides, dilation) = (long(window.kernel), long(window.strides), long(window.dilation));
        let (padding, depth_multiplier, activation) = (padding(&window), multiplier as i64, Activation::Linear);
        let depthwise =
            DepthwiseConv2d { kernel, strides, padding, dilation, depth_multiplier, use_bias, activation };
        let (x, plain) = images([2, size[0], size[1], channels], 2);
        let one = network(&x.size()[1..], vec![Layer::DepthwiseConv2d(depthwise)]);
        let weights = &one.weights()[0];
        let bias = if use_bias { vector(&weights[1]) } else { vec![0.0; channels * multiplier] };
        let expected = plain::depthwise(&plain, &vector(&weights[0]), &bias, &window, multiplier);
        assert_equals(&evaluate(&one, &x), &expected);

        let filters = 4;
        let separable = SeparableConv2d {
            filters, kernel, strides, padding, dilation, depth_multiplier, use_bias, activation,
        };
        let two = network(&x.size()[1..], vec![Layer::SeparableConv2d(separable)]);
        let weights = &two.weights()[0];
        let between = vec![0.0; channels * multiplier];
        let between = plain::depthwise(&plain, &vector(&weights[0]), &between, &window, multiplier);
        let bias = if use_bias { vector(&weights[2]) } else { vec![0.0; filters as usize] };
        let pointwise = Window { kernel: [1, 1], strides: [1, 1], dilation: [1, 1], same: false };
        let expected =
            plain::conv2d(&between, &vector(&weights[1]), &bias, &pointwise, 1, filters as usize);
        assert_equals(&evaluate(&two, &x), &expected);
    }
}

/// 3 cells, stride 2, `same`: the one cell of padding lies after the input, so the windows are (1, 2), (3, 0).
#[test]
fn odd_padding_lies_at_the_end() {
    let conv = Conv2d {
        filters: 1,
        kernel: [1, 2],
        strides: [1, 2],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: false,
        activation: Activation::Linear,
    };
    let network = network(&[1, 3, 1], vec![Layer::Conv2d(conv)])
        .with_weights(vec![vec![Tensor::from_slice(&[1.0f64, 10.0]).reshape([1, 2, 1, 1])]])
        .expect("the same shapes");
    let x = Tensor::from_slice(&[1.0f64, 2.0, 3.0]).reshape([1, 1, 3, 1]);
    assert_eq!(vector(&evaluate(&network, &x)), [21.0, 3.0]);
}

#[test]
fn dense_acts_on_the_last_axis_of_any_rank() {
    for shape in [vec![3i64, 5], vec![3, 4, 5], vec![3, 2, 4, 5]] {
        for use_bias in [true, false] {
            let dense = Dense { units: 6, use_bias, activation: Activation::Linear };
            let network = network(&shape[1..], vec![Layer::Dense(dense)]);
            let x = tensor(&shape, 3);
            let y = evaluate(&network, &x);
            let mut expected_shape = shape.clone();
            *expected_shape.last_mut().expect("an axis") = 6;
            assert_eq!(y.size(), expected_shape);
            let (x, y) = (vector(&x), vector(&y));
            let kernel = vector(&network.weights()[0][0]);
            for (row, outputs) in x.chunks(5).zip(y.chunks(6)) {
                for (j, output) in outputs.iter().enumerate() {
                    let bias = if use_bias { vector(&network.weights()[0][1])[j] } else { 0.0 };
                    let expected =
                        bias + row.iter().enumerate().map(|(i, x)| x * kernel[i * 6 + j]).sum::<f64>();
                    assert!((output - expected).abs() < 1e-13);
                }
            }
        }
    }
}

/// Every activation fused into a layer is the activation applied to the layer's linear output.
#[test]
fn fused_activations_are_applied_last() {
    let activations =
        [Activation::Relu, Activation::Softmax, Activation::Tanh, Activation::Elu { alpha: 0.5 }];
    for activation in activations {
        let conv = |kernel, activation| {
            Layer::Conv2d(Conv2d {
                filters: 3,
                kernel,
                strides: [1, 1],
                padding: Padding::Same,
                dilation: [1, 1],
                groups: 1,
                use_bias: true,
                activation,
            })
        };
        let dense = |activation| Layer::Dense(Dense { units: 3, use_bias: true, activation });
        let pairs = [
            (conv([3, 3], activation), conv([3, 3], Activation::Linear)),
            (conv([1, 1], activation), conv([1, 1], Activation::Linear)),
            (dense(activation), dense(Activation::Linear)),
        ];
        for (fused, linear) in pairs {
            let x = tensor(&[2, 4, 5, 2], 4);
            let fused = network(&[4, 5, 2], vec![fused]);
            let split = network(&[4, 5, 2], vec![linear, Layer::Activation(activation)]);
            assert_eq!(vector(&evaluate(&fused, &x)), vector(&evaluate(&split, &x)));
        }
    }
}

#[test]
fn outputs_are_contiguous_in_single_precision_on_every_device() {
    let conv = |filters, strides, groups| {
        Layer::Conv2d(Conv2d {
            filters,
            kernel: [3, 3],
            strides,
            padding: Padding::Same,
            dilation: [1, 1],
            groups,
            use_bias: true,
            activation: Activation::Relu,
        })
    };
    let layers = vec![conv(4, [1, 1], 1), conv(1, [2, 2], 1), conv(6, [1, 1], 1), conv(6, [1, 1], 3)];
    let double = network(&[9, 9, 1], layers);
    let x = tensor(&[3, 9, 9, 1], 5);
    let expected = evaluate(&double, &x);
    for device in devices() {
        let single = double.to_kind(Kind::Float).and_then(|n| n.to_device(device)).expect("a moved network");
        let x = x.to_kind(Kind::Float).to_device(device);
        let y = tch::no_grad(|| {
            single.forward_observed(&x, pgdl_network::Mode::Evaluate, &mut |_, output| {
                assert!(output.is_contiguous());
                Ok(())
            })
        })
        .expect("a forward pass");
        assert!(crate::largest_difference(&y, &expected) < 1e-5, "on {device:?}");
    }
}
