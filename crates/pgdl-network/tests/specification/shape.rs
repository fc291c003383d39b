use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, Padding, Pool,
    SeparableConv2d, Window,
};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

fn pair(range: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = [i64; 2]> + Clone {
    [range.clone(), range]
}

fn paddings() -> impl Strategy<Value = Padding> + Clone {
    prop_oneof![Just(Padding::Valid), Just(Padding::Same)]
}

fn image_layers() -> impl Strategy<Value = Layer> {
    let window = (pair(1..=4), pair(1..=3), paddings(), pair(1..=2));
    let convolutions = (window.clone(), 1i64..=6, 1i64..=3, any::<bool>()).prop_flat_map(
        |((kernel, strides, padding, dilation), filters, few, use_bias)| {
            let activation = Activation::Relu;
            prop_oneof![
                Just(Layer::Conv2d(Conv2d {
                    filters,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    groups: few,
                    use_bias,
                    activation
                })),
                Just(Layer::DepthwiseConv2d(DepthwiseConv2d {
                    kernel,
                    strides,
                    padding,
                    dilation,
                    depth_multiplier: few,
                    use_bias,
                    activation
                })),
                Just(Layer::SeparableConv2d(SeparableConv2d {
                    filters,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    depth_multiplier: few,
                    use_bias,
                    activation
                })),
            ]
        },
    );
    let pools = (window, any::<bool>()).prop_map(|((size, strides, padding, _), max)| {
        let pool = Pool { size, strides, padding };
        if max { Layer::MaxPooling2d(pool) } else { Layer::AveragePooling2d(pool) }
    });
    let zeros = [0i64..=2, 0..=2, 0..=2, 0..=2].prop_map(|[top, bottom, left, right]| Layer::ZeroPadding2d {
        top,
        bottom,
        left,
        right,
    });
    prop_oneof![
        4 => convolutions,
        2 => pools,
        1 => zeros,
        1 => any::<bool>().prop_map(|keepdims| Layer::GlobalAveragePooling2d { keepdims }),
        1 => any::<bool>().prop_map(|keepdims| Layer::GlobalMaxPooling2d { keepdims }),
    ]
}

fn any_rank_layers() -> impl Strategy<Value = Layer> {
    prop_oneof![
        (1i64..=5).prop_map(|units| {
            Layer::Dense(Dense { units, use_bias: true, activation: Activation::Linear })
        }),
        (-4i64..=4, any::<bool>(), any::<bool>()).prop_map(|(axis, scale, center)| {
            Layer::BatchNormalization { axis, scale, center, epsilon: 1e-3, momentum: 0.99 }
        }),
        (prop::collection::vec(1i64..=3, 1..=3), any::<bool>()).prop_map(|(axes, scale)| {
            Layer::LayerNormalization { axes, scale, center: true, epsilon: 1e-3 }
        }),
        prop::collection::vec(1i64..=3, 0..=3).prop_map(|shared_axes| Layer::PRelu { shared_axes }),
        Just(Layer::Flatten),
        prop::collection::vec(prop_oneof![Just(-1i64), 1i64..=6], 1..=3)
            .prop_map(|target| Layer::Reshape { target }),
        Just(vec![1i64, 2, 3]).prop_shuffle().prop_map(|dims| Layer::Permute { dims }),
        Just(Layer::Activation(Activation::Softmax)),
        Just(Layer::Rescaling { scale: 0.5, offset: 1.0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Wherever shape inference gives a shape, the forward pass gives that shape too, for every node, and for
    /// empty batches.
    #[test]
    fn inference_agrees_with_the_forward_pass(
        input in [1i64..=7, 1..=7, 1..=6],
        layers in prop::collection::vec(prop_oneof![image_layers(), any_rank_layers()], 1..=4),
        batch in 0i64..=2,
    ) {
        let Ok(architecture) = Architecture::sequential(input.to_vec(), layers) else { return Ok(()) };
        let shapes = architecture.shapes().expect("an accepted architecture has shapes");
        let network = Network::initialize(architecture, 1, Device::Cpu).expect("initial weights");
        let x = Tensor::ones([batch, input[0], input[1], input[2]], (Kind::Float, Device::Cpu));
        let mut seen = Vec::new();
        let result = tch::no_grad(|| network.forward_observed(&x, Mode::Evaluate, &mut |_, output| {
            seen.push(output.size());
            Ok(())
        }));
        // libtorch has no empty batches for all layers: an error is right, a panic is not.
        if batch == 0 && result.is_err() {
            return Ok(());
        }
        let _outputs = result.expect("a forward pass");
        let expected: Vec<Vec<i64>> =
            shapes.iter().map(|shape| std::iter::once(batch).chain(shape.iter().copied()).collect()).collect();
        prop_assert_eq!(seen, expected);
    }

    /// `same` padding is the least that lets the windows cover ⌈input / stride⌉ positions.
    #[test]
    fn same_padding_is_least_and_leans_to_the_end(
        input in 1i64..=40, kernel in 1i64..=7, stride in 1i64..=5, dilation in 1i64..=3,
    ) {
        let window = Window::place(input, kernel, stride, dilation, Padding::Same).expect("it always fits");
        let extent = (kernel - 1) * dilation + 1;
        let covered = (window.output - 1) * stride + extent;
        prop_assert_eq!(window.output, (input + stride - 1) / stride);
        prop_assert!(window.before + input + window.after >= covered);
        prop_assert!(window.before + window.after == 0 || window.before + input + window.after == covered);
        prop_assert!((0..=1).contains(&(window.after - window.before)));
    }
}
