//! Random numbers that depend on a seed, a purpose and a count, and on nothing that happened before.

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::Result;

/// The generator of one purpose at one time: what was drawn elsewhere does not change it, so that an interrupted
/// training goes on with the numbers it would have had.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha20Rng);

impl Draws {
    /// The generator number `count` for `purpose`.
    pub fn new(seed: u64, purpose: &str, count: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"pgdl nc 1\0");
        hash.update(seed.to_le_bytes());
        hash.update(count.to_le_bytes());
        hash.update(purpose.as_bytes());
        Self(ChaCha20Rng::from_seed(hash.finalize().into()))
    }

    /// Uniform 32-bit numbers in [low, high), of this shape.
    pub fn uniform(&mut self, shape: &[i64], low: f64, high: f64, device: Device) -> Result<Tensor> {
        let count = shape.iter().product::<i64>();
        let width = high - low;
        let values: Vec<f32> =
            (0..count).map(|_| (low + width * f64::from(self.0.random::<f32>())) as f32).collect();
        Ok(Tensor::f_from_slice(&values)?.f_reshape(shape)?.f_to_device(device)?)
    }

    /// `count` indices below `limit`, each drawn independently. Shape `[count]`.
    pub fn indices(&mut self, count: i64, limit: i64, device: Device) -> Result<Tensor> {
        let values: Vec<i64> = (0..count).map(|_| self.0.random_range(0..limit)).collect();
        Ok(Tensor::f_from_slice(&values)?.f_to_device(device)?)
    }

    /// A number in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// `count` different places below `limit`, in random order.
    pub fn distinct(&mut self, count: usize, limit: usize) -> Vec<usize> {
        rand::seq::index::sample(&mut self.0, limit, count.min(limit)).into_vec()
    }

    /// `count` places below `limit`, each drawn independently.
    pub fn places(&mut self, count: usize, limit: usize) -> Vec<usize> {
        (0..count).map(|_| self.0.random_range(0..limit)).collect()
    }
}
