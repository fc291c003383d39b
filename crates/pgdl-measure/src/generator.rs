//! Random numbers that are the same on every device.

use std::collections::BTreeMap;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::error::MeasureError;

/// A seeded generator. All numbers come from one ChaCha stream on the CPU, never from libtorch's own generators, so
/// that a seed gives the same values on every device; tensors are made in f64, then rounded and moved.
///
/// It is an ordinary [`rand::RngCore`] as well.
#[derive(Clone, Debug)]
pub struct Generator {
    stream: ChaCha8Rng,
    device: Device,
    kind: Kind,
}

impl Generator {
    /// A generator whose stream is decided by `parts` alone; its tensors go to `device` as `kind`.
    ///
    /// The key is the SHA-256 of the parts, each led by its length as u64 little-endian, so that no two lists of parts
    /// share a key.
    pub fn new(parts: &[&[u8]], device: Device, kind: Kind) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self { stream: ChaCha8Rng::from_seed(hash.finalize().into()), device, kind }
    }

    /// One standard normal number.
    pub fn normal(&mut self) -> f64 {
        self.normal_pair().0
    }

    /// Two independent standard normal numbers (Box and Muller 1958).
    fn normal_pair(&mut self) -> (f64, f64) {
        // 1 − u is in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.stream.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.stream.random::<f64>();
        (radius * angle.cos(), radius * angle.sin())
    }

    /// A tensor of independent standard normal numbers.
    ///
    /// # Errors
    /// `shape` is no shape, or libtorch has no memory for it.
    pub fn normal_tensor(&mut self, shape: &[i64]) -> Result<Tensor, MeasureError> {
        let count = element_count(shape)?;
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let (first, second) = self.normal_pair();
            values.extend([first, second]);
        }
        values.truncate(count);
        self.tensor(&values, shape)
    }

    /// A tensor of independent numbers, uniform in [0, 1).
    ///
    /// # Errors
    /// As [`Self::normal_tensor`].
    pub fn uniform_tensor(&mut self, shape: &[i64]) -> Result<Tensor, MeasureError> {
        let values: Vec<f64> = (0..element_count(shape)?).map(|_| self.stream.random()).collect();
        self.tensor(&values, shape)
    }

    /// A tensor of independent signs, −1 or 1 with equal probability.
    ///
    /// # Errors
    /// As [`Self::normal_tensor`].
    pub fn sign_tensor(&mut self, shape: &[i64]) -> Result<Tensor, MeasureError> {
        let values: Vec<f64> = (0..element_count(shape)?)
            .map(|_| if self.stream.random::<bool>() { 1.0 } else { -1.0 })
            .collect();
        self.tensor(&values, shape)
    }

    /// The numbers 0 … n − 1 in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        for last in (1..n).rev() {
            order.swap(last, self.stream.random_range(0..=last));
        }
        order
    }

    /// The numbers 0 … n − 1 in random order within each label: position i holds the index of a sample with the label
    /// of i, which may be i itself.
    pub fn permutation_within(&mut self, labels: &[i64]) -> Vec<i64> {
        let mut of_label: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, label) in labels.iter().enumerate() {
            of_label.entry(*label).or_default().push(at);
        }
        let mut found = vec![0; labels.len()];
        for members in of_label.values() {
            for (&at, other) in members.iter().zip(self.permutation(members.len())) {
                found[at] = members[other as usize] as i64;
            }
        }
        found
    }

    /// The values of a tensor in random order.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn shuffled(&mut self, tensor: &Tensor) -> Result<Tensor, MeasureError> {
        let order = Tensor::f_from_slice(&self.permutation(tensor.numel()))?.f_to_device(tensor.device())?;
        Ok(tensor.f_reshape([-1])?.f_index_select(0, &order)?.f_reshape(tensor.size())?)
    }

    fn tensor(&self, values: &[f64], shape: &[i64]) -> Result<Tensor, MeasureError> {
        let tensor = Tensor::f_from_slice(values)?.f_to_kind(self.kind)?.f_reshape(shape)?;
        Ok(tensor.f_to_device(self.device)?)
    }
}

impl RngCore for Generator {
    fn next_u32(&mut self) -> u32 {
        self.stream.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.stream.fill_bytes(bytes);
    }
}

fn element_count(shape: &[i64]) -> Result<usize, MeasureError> {
    shape
        .iter()
        .try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
        .filter(|&count| count <= isize::MAX as usize / 16)
        .ok_or_else(|| MeasureError::Failed(format!("no tensor of random numbers has the shape {shape:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(seed: &str) -> Generator {
        Generator::new(&[seed.as_bytes()], Device::Cpu, Kind::Double)
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::<f64>::try_from(&tensor.flatten(0, -1)).unwrap()
    }

    #[test]
    fn the_parts_decide_the_stream_and_their_borders_count() {
        let first = |parts: &[&[u8]]| Generator::new(parts, Device::Cpu, Kind::Float).next_u64();
        assert_eq!(first(&[b"a", b"b"]), first(&[b"a", b"b"]));
        assert_ne!(first(&[b"ab"]), first(&[b"a", b"b"]));
        assert_ne!(first(&[b"a", b"b"]), first(&[b"b", b"a"]));
        assert_ne!(first(&[b"a"]), first(&[b"a", b""]));
    }

    #[test]
    fn normal_numbers_have_the_moments_of_the_normal_distribution() {
        let n = 200_000;
        let draws = values(&generator("normal").normal_tensor(&[n, 1]).unwrap());
        let moment = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / n as f64;
        // Four standard errors of each mean: √(Var xᵏ / n) with Var = 1, 2, 15, 96.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
            let error = (moment(power) - expected).abs();
            assert!(error < 4.0 * (variance / n as f64).sqrt(), "moment {power} is off by {error}");
        }
    }

    #[test]
    fn uniform_numbers_and_signs_stay_in_their_ranges_and_are_balanced() {
        let n = 100_000;
        let uniform = values(&generator("uniform").uniform_tensor(&[n]).unwrap());
        assert!(uniform.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = uniform.iter().sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / n as f64).sqrt(), "{mean}");
        let signs = values(&generator("signs").sign_tensor(&[n]).unwrap());
        assert!(signs.iter().all(|x| x.abs() == 1.0));
        assert!((signs.iter().sum::<f64>() / n as f64).abs() < 4.0 / (n as f64).sqrt());
    }

    #[test]
    fn a_permutation_holds_each_number_once() {
        let mut order = generator("order").permutation(50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
        assert!(generator("order").permutation(0).is_empty());
    }

    #[test]
    fn a_permutation_within_labels_keeps_every_label() {
        let labels = [3, 1, 3, 3, 0, 1, 3, 1];
        let mut order = generator("labels").permutation_within(&labels);
        for (at, other) in order.iter().enumerate() {
            assert_eq!(labels[at], labels[*other as usize]);
        }
        assert_ne!(order, (0..8).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn an_odd_count_and_an_impossible_shape() {
        assert_eq!(generator("odd").normal_tensor(&[3]).unwrap().size(), [3]);
        assert!(generator("bad").normal_tensor(&[-1]).is_err());
        assert!(generator("bad").normal_tensor(&[i64::MAX, i64::MAX]).is_err());
    }
}
