//! Initial weights, the same on every platform and device.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tch::{Device, Tensor};

use crate::architecture::Architecture;
use crate::error::{NetworkError, Result};
use crate::network::Network;
use crate::parameters::{ParameterSpec, Role};

/// The distribution that kernels are drawn from. Fans are Keras's: the products of the receptive field with
/// the last two axes of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Initializer {
    /// Keras's default: uniform within ±√(6 / (fan in + fan out)) (Glorot and Bengio 2010).
    #[default]
    GlorotUniform,
    /// Normal, cut off at two standard deviations, with variance 2 / fan in (He et al. 2015).
    HeNormal,
}

/// Standard deviation of a standard normal that is cut off at ±2.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

impl Network {
    /// A new network on `device`, with Keras's defaults: Glorot-uniform kernels, zero biases, unit gammas and
    /// variances.
    ///
    /// The values depend on the seed and the architecture alone: they come from a ChaCha generator with one
    /// stream per tensor, through operations that are exact on every platform.
    pub fn initialize(architecture: Architecture, seed: u64, device: Device) -> Result<Network> {
        Self::initialize_with(architecture, Initializer::default(), seed, device)
    }

    /// Like [`initialize`](Self::initialize), with another distribution for the kernels.
    pub fn initialize_with(
        architecture: Architecture,
        initializer: Initializer,
        seed: u64,
        device: Device,
    ) -> Result<Network> {
        let mut stream = 0;
        let mut weights = Vec::with_capacity(architecture.nodes.len());
        for (node, specs) in architecture.nodes.iter().zip(architecture.parameter_specs()?) {
            let mut tensors = Vec::with_capacity(specs.len());
            for spec in &specs {
                let values = draw(spec, initializer, seed, stream)
                    .map_err(|reason| NetworkError::Weights { layer: node.name.clone(), reason })?;
                let tensor = Tensor::f_from_slice(&values)?.f_reshape(&spec.shape)?;
                tensors.push(tensor.f_to(device)?);
                stream += 1;
            }
            weights.push(tensors);
        }
        Network::new(architecture, weights)?.to_device(device)
    }
}

fn draw(
    spec: &ParameterSpec,
    initializer: Initializer,
    seed: u64,
    stream: u64,
) -> std::result::Result<Vec<f32>, String> {
    let count = usize::try_from(spec.shape.iter().product::<i64>()).map_err(|error| error.to_string())?;
    let mut values: Vec<f32> = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|error| format!("no memory for {} of {:?}: {error}", spec.name, spec.shape))?;
    match spec.role {
        Role::Gamma | Role::MovingVariance => values.resize(count, 1.0),
        Role::Kernel | Role::DepthwiseKernel | Role::PointwiseKernel => {
            let mut generator = ChaCha20Rng::seed_from_u64(seed);
            generator.set_stream(stream);
            let (fan_in, fan_out) = fans(&spec.shape);
            match initializer {
                Initializer::GlorotUniform => {
                    let limit = (6.0 / (fan_in + fan_out)).sqrt();
                    values.extend((0..count).map(|_| (limit * (2.0 * unit(&mut generator) - 1.0)) as f32));
                }
                Initializer::HeNormal => {
                    let stddev = (2.0 / fan_in).sqrt() / TRUNCATED_STDDEV;
                    values.extend((0..count).map(|_| (stddev * truncated_normal(&mut generator)) as f32));
                }
            }
        }
        _ => values.resize(count, 0.0),
    }
    Ok(values)
}

/// Fan in and fan out of a kernel `[…, in, out]`.
fn fans(shape: &[i64]) -> (f64, f64) {
    let [field @ .., inputs, outputs] = shape else { return (1.0, 1.0) };
    let field: i64 = field.iter().product();
    ((field * inputs) as f64, (field * outputs) as f64)
}

/// Uniform in [0, 1), of 53 bits.
fn unit(generator: &mut ChaCha20Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal that is cut off at ±2, by rejection from the uniform distribution on [−2, 2].
fn truncated_normal(generator: &mut ChaCha20Rng) -> f64 {
    loop {
        let x = 4.0 * unit(generator) - 2.0;
        // exp(−x²/2) as the product of two probabilities exp(−γ) with γ = x²/4 ≤ 1.
        let gamma = x * x / 4.0;
        if bernoulli_exp(gamma, generator) && bernoulli_exp(gamma, generator) {
            return x;
        }
    }
}

/// True with probability exp(−gamma), for gamma in [0, 1], by comparisons alone: no platform's `exp` or `ln`
/// enters (Canonne, Kamath and Steinke 2020, algorithm 1).
fn bernoulli_exp(gamma: f64, generator: &mut ChaCha20Rng) -> bool {
    let mut k = 1u32;
    while unit(generator) * f64::from(k) < gamma {
        k += 1;
    }
    k % 2 == 1
}
