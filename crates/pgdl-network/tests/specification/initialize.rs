use pgdl_network::{Activation, Architecture, Conv2d, Dense, Initializer, Layer, Network, Padding, Role};
use tch::{Device, Kind};

use crate::{devices, vector};

fn architecture() -> Architecture {
    let conv = Conv2d {
        filters: 64,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation: Activation::Relu,
    };
    let norm =
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.99 };
    let dense = Dense { units: 300, use_bias: true, activation: Activation::Linear };
    let layers = vec![
        Layer::Conv2d(conv),
        norm,
        Layer::GlobalAveragePooling2d { keepdims: false },
        Layer::Dense(dense),
    ];
    Architecture::sequential(vec![8, 8, 32], layers).expect("a valid architecture")
}

/// (mean, variance, largest absolute value)
fn moments(values: &[f64]) -> (f64, f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance, values.iter().fold(0.0, |largest, v| largest.max(v.abs())))
}

#[test]
fn kernels_have_the_moments_of_their_distribution() {
    // Fans of the convolution (receptive field 9, 32 → 64) and of the dense layer.
    let fans = [(9.0 * 32.0, 9.0 * 64.0), (64.0, 300.0)];
    for initializer in [Initializer::GlorotUniform, Initializer::HeNormal] {
        let network =
            Network::initialize_with(architecture(), initializer, 11, Device::Cpu).expect("initial weights");
        let kernels = network.parameters().filter(|p| p.spec.role == Role::Kernel);
        for (parameter, (fan_in, fan_out)) in kernels.zip(fans) {
            let values = vector(parameter.tensor);
            let (mean, variance, largest) = moments(&values);
            let (expected, bound) = match initializer {
                Initializer::GlorotUniform => (2.0 / (fan_in + fan_out), f64::sqrt(6.0 / (fan_in + fan_out))),
                // Cut off at two standard deviations of the normal before the cut.
                Initializer::HeNormal => {
                    (2.0 / fan_in, 2.0 * f64::sqrt(2.0 / fan_in) / 0.879_625_661_034_239_8)
                }
            };
            // About 19,000 values: five standard errors.
            let count = values.len() as f64;
            assert!(mean.abs() < 5.0 * (expected / count).sqrt(), "{initializer:?}: mean {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 5.0 * (2.0 / count).sqrt(),
                "{initializer:?}: {variance}"
            );
            assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.99 * bound, "{initializer:?}: {largest}");
        }
    }
}

/// Inside ±1, of a normal cut off at ±2: 0.6826894921 / 0.9544997361 of the draws.
#[test]
fn the_truncated_normal_has_its_shape() {
    let network =
        Network::initialize_with(architecture(), Initializer::HeNormal, 12, Device::Cpu).expect("weights");
    let kernel = vector(&network.weights()[0][0]);
    let stddev = (2.0f64 / 288.0).sqrt() / 0.879_625_661_034_239_8;
    let inside = kernel.iter().filter(|w| w.abs() < stddev).count() as f64 / kernel.len() as f64;
    let expected = 0.682_689_492_1 / 0.954_499_736_1;
    assert!((inside - expected).abs() < 5.0 * (expected * (1.0 - expected) / kernel.len() as f64).sqrt());
}

#[test]
fn other_parameters_start_as_in_keras() {
    let network = Network::initialize(architecture(), 13, Device::Cpu).expect("initial weights");
    for parameter in network.parameters().filter(|p| !p.spec.role.is_weight()) {
        let expected = match parameter.spec.role {
            Role::Gamma | Role::MovingVariance => 1.0,
            _ => 0.0,
        };
        assert!(vector(parameter.tensor).iter().all(|&v| v == expected), "{}", parameter.spec.name);
    }
    assert_eq!(network.kind(), Kind::Float);
}

#[test]
fn a_seed_fixes_the_values_on_every_device() {
    let digest = |seed, initializer, device| {
        Network::initialize_with(architecture(), initializer, seed, device)
            .and_then(|network| network.digest())
            .expect("a digest")
    };
    for initializer in [Initializer::GlorotUniform, Initializer::HeNormal] {
        let first = digest(1, initializer, Device::Cpu);
        assert_ne!(first, digest(2, initializer, Device::Cpu));
        for device in devices() {
            assert_eq!(first, digest(1, initializer, device));
        }
    }
}

/// Zoos are rebuilt from their seeds, so the values must never change. These were computed by a ChaCha20 written
/// apart from this crate in Python: key from the seed by PCG32, stream 6 (the seventh tensor), 53-bit uniforms.
#[test]
fn the_values_of_a_seed_never_change() {
    let network = Network::initialize(architecture(), 1, Device::Cpu).expect("initial weights");
    let he =
        Network::initialize_with(architecture(), Initializer::HeNormal, 1, Device::Cpu).expect("weights");
    let first = |network: &Network| vector(&network.weights()[3][0])[..3].to_vec();
    assert_eq!(
        first(&network),
        [-0.060_073_357_075_452_805, -0.015_248_163_603_246_212, -0.004_153_135_232_627_392]
    );
    assert_eq!(first(&he), [-0.188_067_644_834_518_43, -0.090_448_662_638_664_25, -0.114_215_068_519_115_45]);
}
