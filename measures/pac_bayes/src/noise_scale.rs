//! The scale of Gaussian noise on the weights that costs a given share of training accuracy.

use std::ops::Range;

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Accuracy, Correct, MeasureError, ParameterInfo, ParameterKind, Perturbed, Probe, Quantity,
};

use crate::scale_search::{Drops, Scale, Target, find};

/// Standard deviation of the noise on a weight that the magnitude-aware forms add, whatever the scale (Jiang et al. 2020).
pub const EPSILON: f64 = 1e-3;

/// The parameter `drop`.
pub const DROP: ParameterInfo = ParameterInfo {
    name: "drop",
    kind: ParameterKind::Float { default: 0.1, min: 0.001, max: 0.9 },
    doc: "expected drop of training accuracy that defines σ",
};

/// The parameter `tolerance`.
pub const TOLERANCE: ParameterInfo = ParameterInfo {
    name: "tolerance",
    kind: ParameterKind::Float { default: 0.03, min: 0.002, max: 1.0 },
    doc: "relative standard error of σ at which the search stops (at the latest after 480 draws)",
};

/// The parameter `variant`.
pub const VARIANT: ParameterInfo = ParameterInfo {
    name: "variant",
    kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
    doc: "`as_coded` takes the paper's variance for the standard deviation of the noise, as common code does",
};

/// How the noise on a weight w grows with the scale σ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Noise {
    /// Standard deviation σ.
    Plain,
    /// Standard deviation √(σ²w² + ε²).
    Magnitude,
    /// Standard deviation σ²w² + ε², as common code has it.
    MagnitudeAsCoded,
}

/// The largest σ whose expected drop of training accuracy is `drop`: noise on all trainable parameters of the network with
/// BatchNormalization folded in. A draw is seen on m = n/50 samples (at least 32, at most 128) of its own.
#[derive(Clone, Copy, Debug)]
pub struct NoiseScale {
    /// The form of the noise.
    pub noise: Noise,
    /// Expected drop of accuracy.
    pub drop: f64,
    /// Relative standard error to stop at.
    pub tolerance: f64,
}

impl Quantity for NoiseScale {
    type Value = Scale;

    fn name(&self) -> String {
        format!("noise_scale {:?} drop={} tolerance={}", self.noise, self.drop, self.tolerance)
    }

    fn compute(&self, probe: &Probe) -> Result<Scale, MeasureError> {
        let accuracy = *probe.get(&Accuracy)?;
        if accuracy < self.drop {
            return MeasureError::undefined(format!(
                "the training accuracy {accuracy:.4} cannot fall by {}",
                self.drop
            ));
        }
        let copies = Perturbed::folded(probe)?;
        let squares = copies.center().f_to_kind(Kind::Double)?.f_square()?;
        let mean_square = squares.f_mean(Kind::Double)?.f_double_value(&[])?;
        if mean_square == 0.0 {
            return MeasureError::undefined("every weight is zero: noise has no scale to begin with");
        }
        let start = self.noise.start(mean_square);
        let samples = (probe.sample_size() as i64 / 50).clamp(32, 128).min(probe.sample_size() as i64);
        let order = Tensor::f_from_slice(&probe.generator("samples").permutation(probe.sample_size()))?;
        let mut drops = Draws {
            probe,
            base: probe.get(&Correct)?.f_to_kind(Kind::Double)?,
            copies,
            squares,
            noise: self.noise,
            order: order.f_to_device(probe.device())?,
            samples,
            kept: Vec::new(),
        };
        find(&mut drops, Target { drop: self.drop, tolerance: self.tolerance, start: start.ln() })
    }
}

impl Noise {
    /// The scale at which the noise is about a tenth of the weights.
    fn start(self, mean_square: f64) -> f64 {
        let deviation = (0.01 * mean_square).sqrt();
        match self {
            Self::Plain => deviation,
            Self::Magnitude => (0.01 - EPSILON * EPSILON / mean_square).max(1e-4).sqrt(),
            Self::MagnitudeAsCoded => {
                ((deviation - EPSILON * EPSILON).max(0.1 * deviation) / mean_square).sqrt()
            }
        }
    }

    /// Standard deviations for weights with these squares.
    fn deviations(self, squares: &Tensor, scale: f64) -> Result<Tensor, MeasureError> {
        let square = scale * scale;
        Ok(match self {
            Self::Plain => squares.f_full_like(scale)?,
            Self::Magnitude => squares.f_mul_scalar(square)?.f_add_scalar(EPSILON * EPSILON)?.f_sqrt()?,
            Self::MagnitudeAsCoded => squares.f_mul_scalar(square)?.f_add_scalar(EPSILON * EPSILON)?,
        })
    }
}

/// Draws of noise, each on samples of its own, in turn through a random order of the sample.
struct Draws<'a> {
    probe: &'a Probe,
    /// 1 where the network itself is right, `[n]`, f64.
    base: Tensor,
    copies: Perturbed<'a>,
    /// Squared weights, `[P]`, f64.
    squares: Tensor,
    noise: Noise,
    /// A random order of the sample, `[n]`.
    order: Tensor,
    samples: i64,
    /// The noise of the draws that were asked for last, by number: they are often asked for again at another scale.
    kept: Vec<(usize, Tensor)>,
}

/// Numbers of noise that are kept, at most.
const KEPT: usize = 1 << 24;

impl Drops for Draws<'_> {
    fn drops(&mut self, log_scale: f64, draws: Range<usize>) -> Result<Vec<f64>, MeasureError> {
        let deviations = self.noise.deviations(&self.squares, log_scale.exp())?;
        let deviations = deviations.f_to_kind(self.probe.kind())?;
        self.kept.retain(|(kept, _)| draws.contains(kept));
        let at_once = self.copies.copies_at_once(self.samples) as usize;
        let mut drops = Vec::with_capacity(draws.len());
        let (mut from, end) = (draws.start, draws.end);
        while from < end {
            let to = (from + at_once).min(end);
            let vectors: Vec<Tensor> = (from..to)
                .map(|draw| {
                    let noise = self.noise(draw)?;
                    Ok(self.copies.center().f_addcmul(&noise, &deviations)?)
                })
                .collect::<Result<_, MeasureError>>()?;
            let index: Vec<Tensor> =
                (from..to).map(|draw| self.index(draw)).collect::<Result<_, MeasureError>>()?;
            let index = Tensor::f_stack(&index, 0)?;
            let right = self.copies.correct(&Tensor::f_stack(&vectors, 0)?, &index)?;
            let before = self.base.f_index_select(0, &index.f_reshape([-1])?)?.f_reshape(index.size())?;
            let fall =
                before.f_sub(&right.f_to_kind(Kind::Double)?)?.f_mean_dim([1i64].as_slice(), false, None)?;
            drops.extend(Vec::<f64>::try_from(&fall)?);
            from = to;
        }
        Ok(drops)
    }
}

impl Draws<'_> {
    fn noise(&mut self, draw: usize) -> Result<Tensor, MeasureError> {
        if let Some((_, noise)) = self.kept.iter().find(|(kept, _)| *kept == draw) {
            return Ok(noise.shallow_clone());
        }
        let noise =
            self.probe.generator(&format!("draw {draw}")).normal_tensor(&self.copies.center().size())?;
        if (self.kept.len() + 1) * noise.numel() <= KEPT {
            self.kept.push((draw, noise.shallow_clone()));
        }
        Ok(noise)
    }

    fn index(&self, draw: usize) -> Result<Tensor, MeasureError> {
        let size = self.order.numel() as i64;
        let first = (draw as i64 * self.samples) % size;
        let length = self.samples.min(size - first);
        let head = self.order.f_narrow(0, first, length)?;
        let tail = self.order.f_narrow(0, 0, self.samples - length)?;
        Ok(Tensor::f_cat(&[head, tail], 0)?)
    }
}
