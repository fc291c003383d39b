use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Layer, Mode, Network, Padding, SeparableConv2d,
};
use tch::Kind;

use crate::graph::resnet18;
use crate::{evaluate, network, tensor, vector, with_values};

fn batch_norm(axis: i64, scale: bool, center: bool) -> Layer {
    Layer::BatchNormalization { axis, scale, center, epsilon: 1e-3, momentum: 0.9 }
}

fn conv(use_bias: bool, activation: Activation) -> Layer {
    Layer::Conv2d(Conv2d {
        filters: 4,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias,
        activation,
    })
}

fn depthwise(use_bias: bool) -> Layer {
    Layer::DepthwiseConv2d(DepthwiseConv2d {
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias,
        activation: Activation::Linear,
    })
}

fn separable(use_bias: bool) -> Layer {
    Layer::SeparableConv2d(SeparableConv2d {
        filters: 3,
        kernel: [3, 3],
        strides: [2, 2],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 1,
        use_bias,
        activation: Activation::Linear,
    })
}

fn dense(use_bias: bool, activation: Activation) -> Layer {
    Layer::Dense(Dense { units: 5, use_bias, activation })
}

fn kinds(network: &Network) -> Vec<&'static str> {
    network.architecture().nodes.iter().map(|node| node.layer.kind()).collect()
}

/// Largest difference of the outputs, relative to the largest output.
fn error(a: &Network, b: &Network, shape: &[i64]) -> f64 {
    let x = tensor(shape, 40).to_kind(a.kind());
    let (a, b) = (evaluate(a, &x), evaluate(b, &x));
    let largest = vector(&a).into_iter().map(f64::abs).fold(0.0, f64::max);
    crate::largest_difference(&a, &b) / largest
}

#[test]
fn folding_keeps_the_function() {
    for use_bias in [true, false] {
        for (scale, center) in [(true, true), (true, false), (false, true), (false, false)] {
            let norm = || batch_norm(-1, scale, center);
            let layers = vec![
                conv(use_bias, Activation::Linear),
                norm(),
                Layer::Activation(Activation::Relu),
                depthwise(use_bias),
                batch_norm(3, scale, center),
                norm(),
                Layer::Activation(Activation::Tanh),
                separable(use_bias),
                norm(),
                Layer::Flatten,
                dense(use_bias, Activation::Linear),
                norm(),
                Layer::Activation(Activation::Relu),
                dense(use_bias, Activation::Linear),
            ];
            let network = network(&[6, 6, 2], layers);
            let folded = network.fold_batch_norm().expect("a folded network");
            assert!(!kinds(&folded).contains(&"BatchNormalization"));
            assert_eq!(folded.architecture().nodes.len(), 9);
            assert!(error(&network, &folded, &[3, 6, 6, 2]) < 1e-12);
            let single = network.to_kind(Kind::Float).expect("a converted network");
            let folded = single.fold_batch_norm().expect("a folded network");
            assert_eq!(folded.kind(), Kind::Float);
            assert!(error(&single, &folded, &[3, 6, 6, 2]) < 1e-5);
        }
    }
}

/// Before the linear layer, behind an activation, on another axis, behind other layers: nothing is folded.
#[test]
fn what_cannot_be_folded_stays() {
    let chains = [
        vec![batch_norm(-1, true, true), conv(true, Activation::Linear)],
        vec![conv(true, Activation::Relu), batch_norm(-1, true, true)],
        vec![conv(true, Activation::Linear), batch_norm(1, true, true)],
        vec![conv(true, Activation::Linear), Layer::Flatten, batch_norm(-1, true, true)],
    ];
    for layers in chains {
        let network = network(&[6, 6, 2], layers);
        let folded = network.fold_batch_norm().expect("a folded network");
        assert_eq!(folded.architecture(), network.architecture());
        assert_eq!(folded.digest().expect("a digest"), network.digest().expect("a digest"));
    }
}

#[test]
fn folding_respects_other_readers() {
    let mut nodes = resnet18([2, 3, 4, 5], 3).nodes;
    // The sum of a block that adds what the batch normalization reads: the stem's convolution has two readers.
    nodes.truncate(2);
    nodes.push(pgdl_network::Node {
        name: "sum".into(),
        layer: Layer::Add,
        inputs: vec![pgdl_network::Source::Node(0), pgdl_network::Source::Node(1)],
    });
    let both = with_values(Architecture::graph(vec![8, 8, 3], nodes).expect("a graph"));
    let folded = both.fold_batch_norm().expect("a folded network");
    assert_eq!(kinds(&folded), ["Conv2D", "BatchNormalization", "Add"]);

    let residual = with_values(resnet18([2, 3, 4, 5], 3));
    let folded = residual.fold_batch_norm().expect("a folded network");
    assert!(!kinds(&folded).contains(&"BatchNormalization"));
    assert_eq!(folded.architecture().nodes.len(), residual.architecture().nodes.len() - 20);
    assert!(error(&residual, &folded, &[2, 32, 32, 3]) < 1e-12);
}

#[test]
fn splitting_activations_keeps_the_function() {
    let layers =
        vec![conv(true, Activation::Relu), depthwise(true), Layer::Flatten, dense(true, Activation::Softmax)];
    let network = network(&[4, 4, 2], layers);
    let split = network.split_activations().expect("a split network");
    assert_eq!(kinds(&split), ["Conv2D", "Activation", "DepthwiseConv2D", "Flatten", "Dense", "Activation"]);
    assert_eq!(split.architecture().nodes[1].name, "conv2d_activation");
    assert_eq!(error(&network, &split, &[2, 4, 4, 2]), 0.0);
    let residual = with_values(resnet18([2, 3, 4, 5], 3));
    let same = residual.split_activations().expect("a split network");
    assert_eq!(same.architecture(), residual.architecture());
    let x = tensor(&[2, 4, 4, 2], 41);
    let mut before = Vec::new();
    let _logits = split
        .forward_observed(&x, Mode::Evaluate, &mut |i, output| {
            if i == 0 {
                before = vector(output);
            }
            Ok(())
        })
        .expect("a forward pass");
    assert!(before.iter().any(|&value| value < 0.0), "the observer sees what enters the relu");
}
