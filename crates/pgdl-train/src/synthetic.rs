//! Data that are drawn: Gaussian clouds around one random centre per class. For tests and trials without a download.

use pgdl_zoo::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Result, TrainError};

/// Sizes and noise of drawn data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// Shape of an input, `[H, W, C]`.
    pub shape: Vec<i64>,
    /// Number of classes; sample i has class i mod `classes`.
    pub classes: i64,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// Standard deviation around the class centres, whose coordinates are within ±1.
    pub noise: f64,
}

impl Synthetic {
    pub(crate) fn check(&self) -> Result<()> {
        let value = |key: &str, found: String, allowed: &str| {
            TrainError::value(format!("synthetic.{key}"), found, allowed)
        };
        let elements = self.shape.iter().try_fold(1i64, |product, size| product.checked_mul(*size));
        if self.shape.len() != 3
            || self.shape.iter().any(|size| *size < 1)
            || elements.is_none_or(|n| n > 1 << 20)
        {
            return Err(value("shape", format!("{:?}", self.shape), "[H, W, C], at most 2^20 values in all"));
        }
        if !(2..=1_000).contains(&self.classes) {
            return Err(value("classes", self.classes.to_string(), "from 2 to 1000"));
        }
        for (key, count) in [("train", self.train), ("test", self.test)] {
            if !(1..=1_000_000).contains(&count) {
                return Err(value(key, count.to_string(), "from 1 to 1000000"));
            }
        }
        if !(self.noise >= 0.0 && self.noise <= 1_000.0) {
            return Err(value("noise", self.noise.to_string(), "a number from 0 to 1000"));
        }
        Ok(())
    }

    /// The training and the test sample; the same for the same seed.
    pub fn draw(&self, seed: u64) -> Result<(Dataset, Dataset)> {
        let size = self.shape.iter().product::<i64>() as usize;
        let mut generator = ChaCha20Rng::seed_from_u64(seed);
        let centres: Vec<f64> =
            (0..size * self.classes as usize).map(|_| 2.0 * unit(&mut generator) - 1.0).collect();
        let mut sample = |count: usize| -> Result<Dataset> {
            let labels: Vec<i64> = (0..count as i64).map(|i| i % self.classes).collect();
            let mut inputs: Vec<f32> = Vec::with_capacity(count * size);
            for label in &labels {
                let centre = &centres[*label as usize * size..][..size];
                inputs.extend(centre.iter().map(|x| (x + self.noise * normal(&mut generator)) as f32));
            }
            let shape: Vec<i64> = std::iter::once(count as i64).chain(self.shape.iter().copied()).collect();
            let inputs = Tensor::f_from_slice(&inputs)?.f_reshape(shape)?;
            Ok(Dataset::new(inputs, Tensor::f_from_slice(&labels)?)?)
        };
        Ok((sample(self.train)?, sample(self.test)?))
    }
}

/// Uniform in [0, 1).
fn unit(generator: &mut ChaCha20Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Nearly normal, of mean 0 and variance 1: the sum of twelve uniform values, which is the same on every platform.
fn normal(generator: &mut ChaCha20Rng) -> f64 {
    (0..12).map(|_| unit(generator)).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    fn synthetic(noise: f64) -> Synthetic {
        Synthetic { shape: vec![3, 2, 1], classes: 4, train: 4_000, test: 40, noise }
    }

    #[test]
    fn clouds_have_the_spread_asked_for_around_centres_that_both_samples_share() {
        let (train, test) = synthetic(0.0).draw(1).unwrap();
        assert_eq!((train.inputs.size(), test.len()), (vec![4_000, 3, 2, 1], 40));
        // Without noise a sample is its class's centre: those of both samples agree.
        assert!(train.inputs.narrow(0, 0, 40).equal(&test.inputs));
        assert!(train.inputs.abs().max().double_value(&[]) <= 1.0);
        let (noisy, _) = synthetic(0.5).draw(1).unwrap();
        let deviation = (noisy.inputs - &train.inputs).to_kind(Kind::Double);
        // 24,000 values: standard errors 0.003 and 0.002.
        assert!(deviation.mean(Kind::Double).double_value(&[]).abs() < 0.015);
        assert!((deviation.std(true).double_value(&[]) - 0.5).abs() < 0.01);
    }

    #[test]
    fn draws_follow_the_seed() {
        let digest = |seed| synthetic(0.5).draw(seed).unwrap().0.digest().unwrap();
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }
}
