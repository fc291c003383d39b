//! Architectures from strangers' files: impossible and enormous settings are errors that name the layer, and
//! nothing is allocated for them.

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, NetworkError, Node,
    Padding, Pool, Source,
};
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::{network, tensor};

fn conv(filters: i64, kernel: [i64; 2], strides: [i64; 2], padding: Padding) -> Layer {
    let (dilation, groups, use_bias, activation) = ([1, 1], 1, true, Activation::Linear);
    Layer::Conv2d(Conv2d { filters, kernel, strides, padding, dilation, groups, use_bias, activation })
}

fn dense(units: i64) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation: Activation::Linear })
}

fn any_number() -> impl Strategy<Value = i64> {
    prop_oneof![-3i64..=9, any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(1 << 31), Just(1 << 62)]
}

fn any_layer() -> impl Strategy<Value = Layer> {
    let n = any_number;
    let padding = prop_oneof![Just(Padding::Valid), Just(Padding::Same)];
    prop_oneof![
        (n(), [n(), n()], [n(), n()], padding.clone(), [n(), n()], n()).prop_map(
            |(filters, kernel, strides, padding, dilation, groups)| Layer::Conv2d(Conv2d {
                filters,
                kernel,
                strides,
                padding,
                dilation,
                groups,
                use_bias: true,
                activation: Activation::Relu,
            })
        ),
        (n(), [n(), n()], [n(), n()], padding.clone(), [n(), n()]).prop_map(
            |(depth_multiplier, kernel, strides, padding, dilation)| {
                Layer::DepthwiseConv2d(DepthwiseConv2d {
                    depth_multiplier,
                    kernel,
                    strides,
                    padding,
                    dilation,
                    use_bias: true,
                    activation: Activation::Relu,
                })
            }
        ),
        ([n(), n()], [n(), n()], padding).prop_map(|(size, strides, padding)| Layer::MaxPooling2d(Pool {
            size,
            strides,
            padding
        })),
        n().prop_map(dense),
        n().prop_map(|axis| Layer::BatchNormalization {
            axis,
            scale: true,
            center: true,
            epsilon: 1e-3,
            momentum: 0.9
        }),
        prop::collection::vec(n(), 0..4).prop_map(|target| Layer::Reshape { target }),
        prop::collection::vec(n(), 0..4).prop_map(|dims| Layer::Permute { dims }),
        prop::collection::vec(n(), 0..4).prop_map(|shared_axes| Layer::PRelu { shared_axes }),
        prop::collection::vec(n(), 0..4).prop_map(|axes| Layer::LayerNormalization {
            axes,
            scale: true,
            center: true,
            epsilon: 1e-3
        }),
        [n(), n(), n(), n()].prop_map(|[top, bottom, left, right]| Layer::ZeroPadding2d {
            top,
            bottom,
            left,
            right
        }),
        any::<f64>().prop_map(|rate| Layer::Dropout { rate }),
        any::<f64>().prop_map(|slope| Layer::Activation(Activation::LeakyRelu { slope })),
        Just(Layer::Flatten),
        Just(Layer::Add),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_setting_overflows_or_panics(
        input in prop::collection::vec(any_number(), 0..5),
        layers in prop::collection::vec(any_layer(), 0..4),
    ) {
        if let Ok(architecture) = Architecture::sequential(input, layers) {
            let positive = |shape: &Vec<i64>| shape.iter().all(|&size| size > 0);
            prop_assert!(architecture.shapes().expect("shapes").iter().all(positive));
            prop_assert!(architecture.parameter_count().expect("a count") >= 0);
        }
    }
}

fn message(input: &[i64], layers: Vec<Layer>) -> String {
    Architecture::sequential(input.to_vec(), layers).expect_err("it must be refused").to_string()
}

#[test]
fn errors_name_the_layer_and_the_cause() {
    let same = Padding::Same;
    let cases = [
        (message(&[8, 8, 3], vec![conv(0, [3, 3], [1, 1], same)]), "`conv2d` (Conv2D)", "filters"),
        (message(&[8, 8, 3], vec![conv(4, [3, 0], [1, 1], same)]), "`conv2d` (Conv2D)", "window"),
        (message(&[8, 8, 3], vec![conv(4, [9, 9], [1, 1], Padding::Valid)]), "`conv2d` (Conv2D)", "8×8"),
        (message(&[8, 8, 3], vec![Layer::Flatten, conv(4, [3, 3], [1, 1], same)]), "`conv2d`", "[H, W, C]"),
        (message(&[4], vec![dense(i64::MAX)]), "`dense` (Dense)", "units"),
        (message(&[1 << 30], vec![dense(1 << 30)]), "`dense` (Dense)", "too large"),
        (message(&[4, 4], vec![Layer::Reshape { target: vec![3, -1] }]), "`reshape`", "cannot be reshaped"),
        (message(&[4], vec![Layer::Dropout { rate: f64::NAN }]), "`dropout`", "rate"),
        (message(&[4], vec![Layer::Add]), "`add`", "two or more"),
        (message(&[1 << 20, 1 << 20, 2], vec![Layer::Flatten]), "Input", "too large"),
        (message(&[], vec![Layer::Flatten]), "architecture", "no axis"),
        (message(&[4], vec![]), "architecture", "no layer"),
    ];
    for (message, layer, cause) in cases {
        assert!(message.contains(layer) && message.contains(cause), "{message}");
    }
}

#[test]
fn graphs_must_be_one_network() {
    let node = |name: &str, layer: Layer, inputs: Vec<Source>| Node { name: name.into(), layer, inputs };
    let refused = |nodes| Architecture::graph(vec![4], nodes).expect_err("it must be refused").to_string();
    let forward =
        vec![node("a", dense(4), vec![Source::Node(1)]), node("b", dense(4), vec![Source::Node(0)])];
    assert!(refused(forward).contains("does not come before"));
    let twice = vec![node("a", dense(4), vec![Source::Input]), node("a", dense(4), vec![Source::Node(0)])];
    assert!(refused(twice).contains("two layers are named `a`"));
    let unread = vec![node("a", dense(4), vec![Source::Input]), node("b", dense(4), vec![Source::Input])];
    assert!(refused(unread).contains("nothing reads layer `a`"));
    let shapes = vec![
        node("a", dense(4), vec![Source::Input]),
        node("b", dense(5), vec![Source::Input]),
        node("sum", Layer::Add, vec![Source::Node(0), Source::Node(1)]),
    ];
    assert!(refused(shapes).contains("different shapes"));
    assert!(refused(vec![node("a", dense(4), vec![])]).contains("no input"));
}

#[test]
fn weights_must_fit() {
    let architecture = Architecture::sequential(vec![4], vec![dense(3)]).expect("a valid architecture");
    let new =
        |weights| Network::new(architecture.clone(), weights).expect_err("it must be refused").to_string();
    let kernel = || tensor(&[4, 3], 1);
    let message = new(vec![vec![kernel()]]);
    assert!(message.contains("`dense`") || message.contains("layer dense"), "{message}");
    assert!(message.contains("kernel, bias"), "{message}");
    assert!(new(vec![vec![kernel(), tensor(&[4], 2)]]).contains("bias must be [3], found [4]"));
    assert!(new(vec![vec![kernel(), tensor(&[3], 2).to_kind(Kind::Float)]]).contains("Float"));
    let integers = vec![kernel().to_kind(Kind::Int64), tensor(&[3], 2).to_kind(Kind::Int64)];
    assert!(new(vec![integers]).contains("no floating-point kind"));
    assert!(new(vec![vec![kernel(), Tensor::new()]]).contains("undefined"));
    assert!(new(vec![]).contains("weights for 0"));
}

#[test]
fn batches_must_fit() {
    let network = network(&[4], vec![dense(3)]);
    let refused = |x: &Tensor| network.forward(x, Mode::Evaluate).expect_err("it must be refused");
    assert!(refused(&tensor(&[2, 5], 1)).to_string().contains("[4]"));
    assert!(refused(&tensor(&[4], 1)).to_string().contains("[4]"));
    let error = refused(&tensor(&[2, 4], 1).to_kind(Kind::Float));
    assert!(matches!(error, NetworkError::Placement { .. }) && error.hint().is_some(), "{error}");
    assert!(matches!(refused(&Tensor::new()), NetworkError::Input(_)));
    assert!(network.forward_from(7, &tensor(&[2, 3], 1), Mode::Evaluate).is_err());
    assert!(network.forward_from(0, &tensor(&[2, 4], 1), Mode::Evaluate).is_err());
}

/// 2³⁹ values pass the shape checks, but not this machine's memory: an error, not an abort.
#[test]
fn missing_memory_is_an_error() {
    let architecture = Architecture::sequential(vec![1 << 20], vec![dense(1 << 19)]).expect("it is allowed");
    if let Err(error) = Tensor::f_zeros([1i64 << 20, 1 << 19], (Kind::Float, Device::Cpu)) {
        assert!(matches!(NetworkError::from(error), NetworkError::Torch(_)));
        assert!(Network::initialize(architecture, 1, Device::Cpu).is_err());
    } else {
        println!("skipped: this machine promises 2 TB of memory");
    }
}
