//! Copies side by side give what each copy gives alone; Hessian products are those of the dense Hessian.

use pgdl_network::{
    Activation, Conv2d, Dense, Graph, Layer, Mode, Network, Padding, gradients, hessian_products,
    per_sample_gradients,
};
use tch::{Kind, Reduction, Tensor};

use crate::gradient::everything;
use crate::graph::resnet18;
use crate::{devices, evaluate, largest_difference, network, tensor, with_values};

fn copies_of(network: &Network, copies: i64) -> Tensor {
    let center = network.trainable_vector().unwrap();
    tensor(&[copies, center.numel() as i64], 5) * 0.1 + center
}

fn networks() -> Vec<Network> {
    vec![everything(), with_values(resnet18([2, 3, 4, 5], 3))]
}

#[test]
fn the_vector_of_parameters_gives_the_same_network_back() {
    for network in networks() {
        let vector = network.trainable_vector().unwrap();
        assert_eq!(vector.numel() as i64, network.architecture().trainable_count().unwrap());
        let again = network.with_trainable_vector(&vector).unwrap();
        let shape = [&[2], network.architecture().input_shape.as_slice()].concat();
        let x = tensor(&shape, 3);
        assert_eq!(largest_difference(&evaluate(&network, &x), &evaluate(&again, &x)), 0.0);
        assert!(network.with_trainable_vector(&vector.narrow(0, 1, 3)).is_err());
    }
}

#[test]
fn copies_side_by_side_give_what_each_gives_alone() {
    for device in devices() {
        for network in networks().iter().map(|network| network.to_device(device).unwrap()) {
            let vectors = copies_of(&network.to_device(tch::Device::Cpu).unwrap(), 3).to_device(device);
            let shape = network.architecture().input_shape.clone();
            let shared = tensor(&[&[4], shape.as_slice()].concat(), 1).to_device(device);
            let own = tensor(&[&[3, 4], shape.as_slice()].concat(), 2).to_device(device);
            let of_shared = tch::no_grad(|| network.forward_copies(&vectors, &shared)).unwrap();
            let of_own = tch::no_grad(|| network.forward_copies(&vectors, &own)).unwrap();
            for copy in 0..3 {
                let one = network.with_trainable_vector(&vectors.get(copy)).unwrap();
                let scale = evaluate(&one, &shared).abs().max().double_value(&[]);
                let difference = largest_difference(&of_shared.get(copy), &evaluate(&one, &shared));
                assert!(difference < 1e-12 * scale, "{difference:e} of {scale:e}");
                let difference = largest_difference(&of_own.get(copy), &evaluate(&one, &own.get(copy)));
                assert!(difference < 1e-12 * scale, "{difference:e} of {scale:e}");
            }
        }
    }
}

#[test]
fn gradients_flow_into_each_copy() {
    let network = everything();
    let vectors = copies_of(&network, 2).set_requires_grad(true);
    let shape = network.architecture().input_shape.clone();
    let x = tensor(&[&[3], shape.as_slice()].concat(), 1);
    let loss = |outputs: &Tensor| outputs.square().sum(Kind::Double);
    let together = loss(&network.forward_copies(&vectors, &x).unwrap());
    let together = gradients(&together, &[&vectors], Graph::Free).unwrap().swap_remove(0);
    for copy in 0..2 {
        let leaf = vectors.detach().get(copy).copy().set_requires_grad(true);
        let one = network.with_trainable_vector(&leaf).unwrap();
        let alone = loss(&one.forward(&x, Mode::Evaluate).unwrap());
        let alone = gradients(&alone, &[&leaf], Graph::Free).unwrap().swap_remove(0);
        let scale = alone.abs().max().double_value(&[]);
        assert!(largest_difference(&together.get(copy), &alone) < 1e-11 * scale);
    }
}

#[test]
fn copies_that_do_not_fit_are_refused() {
    let network = everything();
    let vectors = copies_of(&network, 2);
    let shape = network.architecture().input_shape.clone();
    let x = tensor(&[&[3], shape.as_slice()].concat(), 1);
    assert!(network.forward_copies(&vectors.get(0), &x).is_err());
    assert!(network.forward_copies(&vectors.narrow(1, 0, 5), &x).is_err());
    assert!(network.forward_copies(&vectors.narrow(0, 0, 0), &x).is_err());
    assert!(network.forward_copies(&vectors, &x.get(0)).is_err());
    assert!(network.forward_copies(&vectors.to_kind(Kind::Float), &x).is_err());
    assert!(network.forward_copies(&vectors, &x.to_kind(Kind::Float)).is_err());
    assert!(network.forward_copies(&vectors, &x.unsqueeze(0)).is_err());
}

fn small() -> (Network, Tensor, Tensor) {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let network = network(&[3], vec![dense(4, Activation::Tanh), dense(3, Activation::Linear)]);
    (network, tensor(&[7, 3], 8), Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2, 0]))
}

#[test]
fn hessian_products_are_columns_of_the_dense_hessian() {
    let (network, x, labels) = small();
    let loss = |network: &Network| {
        let logits = network.forward(&x, Mode::Evaluate)?;
        Ok(logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)?)
    };
    let center = network.trainable_vector().unwrap();
    let parameters = center.numel() as i64;
    let basis: Vec<Tensor> = (0..parameters)
        .map(|i| {
            let unit = center.zeros_like();
            let _ = unit.get(i).fill_(1.0);
            unit
        })
        .collect();
    let found = hessian_products(&network, loss, &basis).unwrap();
    let hessian = Tensor::stack(&found.products, 0);
    assert!(largest_difference(&hessian, &hessian.tr()) < 1e-14);
    // By second differences of the loss itself, which no derivative enters.
    let value = |step: &Tensor| {
        let moved = network.with_trainable_vector(&(&center + step)).unwrap();
        tch::no_grad(|| loss(&moved)).unwrap().double_value(&[])
    };
    let h = 1e-4;
    for (i, j) in [(0, 0), (3, 17), (14, 20), (26, 26), (5, 25)] {
        let (a, b) = (&basis[i] * h, &basis[j] * h);
        let difference =
            (value(&(&a + &b)) - value(&(&a - &b)) - value(&(&b - &a)) + value(&(-&a - &b))) / (4.0 * h * h);
        assert!((difference - hessian.double_value(&[i as i64, j as i64])).abs() < 1e-7, "{i} {j}");
    }
    let slope = (value(&(&basis[2] * h)) - value(&(&basis[2] * -h))) / (2.0 * h);
    assert!((slope - found.gradient.double_value(&[2])).abs() < 1e-8);
}

#[test]
fn a_loss_that_is_linear_in_the_parameters_has_no_curvature() {
    let dense = Layer::Dense(Dense { units: 2, use_bias: true, activation: Activation::Linear });
    let network = network(&[3], vec![dense]);
    let x = tensor(&[4, 3], 8);
    let loss = |network: &Network| Ok(network.forward(&x, Mode::Evaluate)?.f_sum(Kind::Double)?);
    let ones = network.trainable_vector().unwrap().ones_like();
    let found = hessian_products(&network, loss, &[ones]).unwrap();
    assert_eq!(found.products[0].abs().max().double_value(&[]), 0.0);
    assert!(found.gradient.abs().max().double_value(&[]) > 0.0);
}

/// Each row of the gradients per sample beside the gradient of that sample alone.
fn gradients_are_those_of_each_sample(network: &Network, x: &Tensor) {
    let losses = |outputs: &Tensor| Ok(outputs.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?);
    let together = per_sample_gradients(network, x, losses).unwrap();
    let scale = evaluate(network, x).abs().max().double_value(&[]);
    assert!(largest_difference(&together.outputs, &evaluate(network, x)) < 1e-12 * scale);
    for sample in 0..x.size()[0] {
        let leaf = network.trainable_vector().unwrap().set_requires_grad(true);
        let one = network.with_trainable_vector(&leaf).unwrap();
        let loss = losses(&one.forward(&x.narrow(0, sample, 1), Mode::Evaluate).unwrap()).unwrap();
        let alone = gradients(&loss.sum(Kind::Double), &[&leaf], Graph::Free).unwrap().swap_remove(0);
        let scale = alone.abs().max().double_value(&[]);
        assert!(largest_difference(&together.gradients.get(sample), &alone) < 1e-11 * scale);
    }
}

#[test]
fn gradients_per_sample_are_those_of_each_sample_alone() {
    for device in devices() {
        for network in networks().iter().map(|network| network.to_device(device).unwrap()) {
            let shape = network.architecture().input_shape.clone();
            let x = tensor(&[&[3], shape.as_slice()].concat(), 4).to_device(device);
            gradients_are_those_of_each_sample(&network, &x);
            let nothing = x.narrow(0, 0, 0);
            let losses = |outputs: &Tensor| Ok(outputs.f_sum_dim_intlist(1, false, Kind::Double)?);
            assert!(per_sample_gradients(&network, &nothing, losses).is_err());
        }
    }
}

fn hessian_is_symmetric(network: &Network, x: &Tensor) {
    let loss = |network: &Network| Ok(network.forward(x, Mode::Evaluate)?.f_square()?.f_sum(Kind::Double)?);
    let parameters = network.architecture().trainable_count().unwrap();
    let vectors = [tensor(&[parameters], 6), tensor(&[parameters], 7)];
    let found = hessian_products(network, loss, &vectors).unwrap().products;
    let (a, b) = (vectors[0].dot(&found[1]).double_value(&[]), vectors[1].dot(&found[0]).double_value(&[]));
    assert!((a - b).abs() < 1e-10 * a.abs().max(1.0), "{a} {b}");
}

#[test]
fn one_filter_and_one_sample_have_gradients_too() {
    let conv = |strides, padding, dilation| {
        Layer::Conv2d(Conv2d {
            filters: 1,
            kernel: [3, 3],
            strides,
            padding,
            dilation,
            groups: 1,
            use_bias: true,
            activation: Activation::Tanh,
        })
    };
    let dense = || Layer::Dense(Dense { units: 2, use_bias: true, activation: Activation::Linear });
    for (strides, padding, dilation) in [
        ([1, 1], Padding::Same, [1, 1]),
        ([2, 2], Padding::Same, [1, 1]),
        ([1, 1], Padding::Valid, [1, 1]),
        ([1, 1], Padding::Valid, [2, 2]),
    ] {
        for channels in [1, 3] {
            let layers = vec![
                conv(strides, padding, dilation),
                conv([1, 1], Padding::Same, [1, 1]),
                Layer::Flatten,
                dense(),
            ];
            let network = network(&[6, 6, channels], layers);
            for samples in [1, 3] {
                let x = tensor(&[samples, 6, 6, channels], 4);
                gradients_are_those_of_each_sample(&network, &x);
                let single = network.to_kind(Kind::Float).unwrap();
                let losses = |y: &Tensor| Ok(y.f_square()?.f_sum_dim_intlist(1, false, None::<Kind>)?);
                let rough = per_sample_gradients(&single, &x.to_kind(Kind::Float), losses).unwrap().gradients;
                let exact = per_sample_gradients(&network, &x, losses).unwrap().gradients;
                let scale = exact.abs().max().double_value(&[]);
                assert!(largest_difference(&rough, &exact) < 1e-4 * scale);
                hessian_is_symmetric(&network, &x);
            }
        }
    }
}
