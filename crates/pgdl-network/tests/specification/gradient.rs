//! Gradients against differences, in f64.

use pgdl_network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Graph, Layer, Mode, Network, Padding, Pool,
    SeparableConv2d, gradients, vector_jacobian,
};
use tch::{Device, Kind, Tensor};

use crate::{evaluate, network, tensor, with_values};

fn conv(filters: i64, kernel: i64, stride: i64, activation: Activation) -> Layer {
    Layer::Conv2d(Conv2d {
        filters,
        kernel: [kernel; 2],
        strides: [stride; 2],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation,
    })
}

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation })
}

/// Every kind of layer that has parameters, and those whose backward pass is our own composition.
pub fn everything() -> Network {
    let batch_norm =
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.9 };
    let pool = Pool { size: [3, 3], strides: [2, 2], padding: Padding::Same };
    let depthwise = DepthwiseConv2d {
        kernel: [3, 2],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias: true,
        activation: Activation::Softplus,
    };
    let separable = SeparableConv2d {
        filters: 4,
        kernel: [3, 3],
        strides: [2, 2],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 1,
        use_bias: true,
        activation: Activation::Relu,
    };
    network(
        &[9, 8, 2],
        vec![
            conv(3, 3, 1, Activation::Relu),
            batch_norm.clone(),
            Layer::DepthwiseConv2d(depthwise),
            Layer::AveragePooling2d(pool.clone()),
            Layer::Activation(Activation::LeakyRelu { slope: 0.2 }),
            Layer::SeparableConv2d(separable),
            Layer::LayerNormalization { axes: vec![1, 3], scale: true, center: true, epsilon: 1e-3 },
            Layer::PRelu { shared_axes: vec![1, 2] },
            conv(3, 1, 1, Activation::Elu { alpha: 0.7 }),
            Layer::Activation(Activation::GeneralRelu {
                max_value: Some(2.0),
                negative_slope: 0.3,
                threshold: 0.1,
            }),
            Layer::MaxPooling2d(pool),
            Layer::Flatten,
            dense(5, Activation::Gelu { approximate: false }),
            batch_norm,
            dense(3, Activation::Linear),
        ],
    )
}

fn loss(network: &Network, x: &Tensor, mode: Mode) -> Tensor {
    let outputs = network.forward(x, mode).expect("a forward pass");
    outputs.log_softmax(-1, Kind::Double).select(1, 1).mean(Kind::Double).neg()
}

fn moved(network: &Network, directions: &[Tensor], step: f64) -> Network {
    let mut directions = directions.iter();
    network
        .map_weights(|p| {
            if !p.spec.role.trainable() {
                return Ok(p.tensor.copy());
            }
            Ok(p.tensor.detach() + directions.next().expect("a direction per tensor") * step)
        })
        .expect("the same shapes")
}

fn directions(network: &Network) -> Vec<Tensor> {
    network.trainable_tensors().iter().enumerate().map(|(i, t)| tensor(&t.size(), 50 + i as u64)).collect()
}

fn inner(a: &[Tensor], b: &[Tensor]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).sum(Kind::Double).double_value(&[])).sum()
}

#[test]
fn gradients_of_weights_and_inputs_are_the_differences() {
    for mode in [Mode::Evaluate, Mode::Train] {
        let network = everything();
        let leaves = network.trainable().expect("leaves");
        let x = tensor(&[4, 9, 8, 2], 20).set_requires_grad(true);
        let mut wanted = leaves.trainable_tensors();
        wanted.push(x.shallow_clone());
        let found = gradients(&loss(&leaves, &x, mode), &wanted, Graph::Free).expect("gradients");
        let mut direction = directions(&network);
        let towards = tensor(&x.size(), 21);
        let step = 1e-6;
        let x = x.detach();
        let value = |sign: f64| {
            loss(&moved(&network, &direction, sign * step), &(&x + &towards * (sign * step)), mode)
                .double_value(&[])
        };
        let difference = (value(1.0) - value(-1.0)) / (2.0 * step);
        direction.push(towards);
        let derivative = inner(&found, &direction);
        assert!(
            (derivative - difference).abs() < 1e-7 * (1.0 + difference.abs()),
            "{mode:?}: {derivative} is not {difference}"
        );
        assert!(difference.abs() > 1e-3, "the test must have something to see");
    }
}

#[test]
fn hessian_vector_products_are_the_differences_of_gradients() {
    let network = everything();
    let x = tensor(&[4, 9, 8, 2], 22);
    let direction = directions(&network);
    let leaves = network.trainable().expect("leaves");
    let tensors = leaves.trainable_tensors();
    let first =
        gradients(&loss(&leaves, &x, Mode::Evaluate), &tensors, Graph::Differentiable).expect("gradients");
    let along = first.iter().zip(&direction).map(|(g, v)| (g * v).sum(Kind::Double)).reduce(|a, b| a + b);
    let product = gradients(&along.expect("a tensor"), &tensors, Graph::Free).expect("a product");
    let step = 1e-6;
    let gradient_at = |sign: f64| {
        let there = moved(&network, &direction, sign * step).trainable().expect("leaves");
        gradients(&loss(&there, &x, Mode::Evaluate), &there.trainable_tensors(), Graph::Free)
            .expect("gradients")
    };
    for ((product, plus), minus) in product.iter().zip(gradient_at(1.0)).zip(gradient_at(-1.0)) {
        let difference = (plus - minus) / (2.0 * step);
        let error = (product - &difference).abs().max().double_value(&[]);
        assert!(error < 1e-6 * (1.0 + difference.abs().max().double_value(&[])), "{error}");
    }
}

#[test]
fn an_unused_input_has_gradient_zero() {
    let used = tensor(&[3], 1).set_requires_grad(true);
    let unused = tensor(&[2], 2).set_requires_grad(true);
    let loss = (&used * &used).sum(Kind::Double);
    let found = gradients(&loss, &[&used, &unused], Graph::Free).expect("gradients");
    assert_eq!(crate::vector(&found[0]), crate::vector(&(used.detach() * 2.0)));
    assert_eq!(crate::vector(&found[1]), [0.0, 0.0]);
}

#[test]
fn vector_jacobian_of_a_linear_map_is_its_transpose() {
    let network = network(&[4], vec![dense(3, Activation::Linear)]);
    let x = tensor(&[2, 4], 3).set_requires_grad(true);
    let outputs = network.forward(&x, Mode::Evaluate).expect("a forward pass");
    let vector = tensor(&[2, 3], 4);
    let found = vector_jacobian(&outputs, &vector, &[&x], Graph::Free).expect("a product");
    let expected = vector.matmul(&network.weights()[0][0].transpose(0, 1));
    assert!(crate::largest_difference(&found[0], &expected) < 1e-15);
}

#[test]
fn what_has_no_gradient_is_an_error() {
    let leaf = tensor(&[3], 1).set_requires_grad(true);
    let constant = tensor(&[3], 2);
    let sum = (&leaf * &constant).sum(Kind::Double);
    assert!(gradients(&(&leaf * 2.0), &[&leaf], Graph::Free).is_err());
    assert!(gradients(&constant.sum(Kind::Double), &[&leaf], Graph::Free).is_err());
    assert!(gradients(&sum, &[&constant], Graph::Free).is_err());
    assert!(vector_jacobian(&leaf, &tensor(&[2], 1), &[&leaf], Graph::Free).is_err());
    assert!(gradients::<Tensor>(&sum, &[], Graph::Keep).expect("nothing asked").is_empty());
    gradients(&sum, &[&leaf], Graph::Free).expect("the graph was kept");
    assert!(gradients(&sum, &[&leaf], Graph::Free).is_err(), "the graph is gone");
}

#[test]
fn trainable_leaves_share_nothing_with_their_origin() {
    let layers = vec![dense(3, Activation::Relu), dense(2, Activation::Linear)];
    let architecture = Architecture::sequential(vec![4], layers).expect("a valid architecture");
    let network = with_values(architecture);
    let x = tensor(&[2, 4], 5);
    let before = crate::vector(&evaluate(&network, &x));
    let leaves = network.trainable().expect("leaves");
    assert!(leaves.parameters().all(|p| p.tensor.requires_grad() && p.tensor.is_leaf()));
    let copy = leaves.deep_clone().expect("a copy");
    assert!(copy.parameters().all(|p| !p.tensor.requires_grad()));
    for changed in [leaves, copy] {
        tch::no_grad(|| {
            for mut tensor in changed.trainable_tensors() {
                let _ = tensor.f_fill_(0.0).expect("a fill");
            }
        });
        assert_eq!(crate::vector(&evaluate(&changed, &x)), [0.0; 4]);
        assert_eq!(crate::vector(&evaluate(&network, &x)), before);
    }
    assert_eq!(network.device(), Device::Cpu);
}
