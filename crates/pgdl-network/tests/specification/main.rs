//! What each layer and each operation on networks must do, checked against plain loops, closed forms and
//! finite differences. Every test runs on the CPU, and those that loop over [`devices`] on a GPU too where one
//! answers.

mod activation;
mod convolution;
mod fold;
mod gradient;
mod graph;
mod hostile;
mod initialize;
mod normalization;
mod passes;
mod perturbed;
mod plain;
mod pooling;
mod shape;
mod training;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pgdl_network::{Architecture, Layer, Mode, Network, device};
use tch::{Device, Kind, Tensor};

/// The CPU, and the first GPU where one answers.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    devices.extend(device::choose("cuda").map(|choice| choice.device));
    devices
}

/// `count` reproducible values in [−1, 1), without symmetry.
fn values(count: i64, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| {
            let mut z =
                (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z >> 11) as f64 / (1u64 << 52) as f64) - 1.0
        })
        .collect()
}

/// A tensor of [`values`] in f64.
fn tensor(shape: &[i64], seed: u64) -> Tensor {
    Tensor::from_slice(&values(shape.iter().product(), seed)).reshape(shape)
}

fn vector(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double).contiguous().reshape([-1]);
    Vec::<f64>::try_from(&flat).expect("a flat f64 tensor")
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    vector(a).iter().zip(vector(b)).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// A chain of layers in f64 on the CPU, with [`values`] in every tensor (squared and moved above 0.3 where they
/// are variances).
fn network(input_shape: &[i64], layers: Vec<Layer>) -> Network {
    let architecture = Architecture::sequential(input_shape.to_vec(), layers).expect("a valid architecture");
    with_values(architecture)
}

fn with_values(architecture: Architecture) -> Network {
    let initial = Network::initialize(architecture, 0, Device::Cpu).expect("initial weights");
    let mut seed = 100;
    initial
        .map_weights(|parameter| {
            seed += 1;
            let values = tensor(&parameter.spec.shape, seed);
            Ok(match parameter.spec.role {
                pgdl_network::Role::MovingVariance => &values * &values + 0.3,
                pgdl_network::Role::Gamma => values + 1.5,
                _ => values,
            })
        })
        .and_then(|network| network.to_kind(Kind::Double))
        .expect("the same shapes")
}

fn evaluate(network: &Network, x: &Tensor) -> Tensor {
    tch::no_grad(|| network.forward(x, Mode::Evaluate)).expect("a forward pass")
}

/// Tests that draw from libtorch's generator take turns.
fn generator() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
