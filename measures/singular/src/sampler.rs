//! Chains of stochastic gradient Langevin dynamics around a point, side by side.

use pgdl_measure::rand::RngCore;
use pgdl_measure::tch::{self, Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};

use crate::curvature::Curvature;
use crate::diagnostics::{effective_sample_size, mean, split_r_hat};
use crate::per_sample::PerSample;
use crate::posterior::Posterior;
use crate::potential::Potential;

/// How to sample. What is `None` is calibrated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Chains, K; by default 2,000 / P, but 4 at the least and 64 at the most: small networks afford many.
    pub chains: Option<i64>,
    /// Most draws of each chain after its burn-in; by default 100,000 / P, but 100 at the least and 10,000 at the most:
    /// small networks afford long chains.
    pub draws: Option<i64>,
    /// Samples in each gradient, m, at the least: more, up to all, where its noise keeps the steps so small that the chains
    /// could not spread.
    pub batch: i64,
    /// Precision γ of the normal distribution around w* that keeps the chains near; by default 10 / mean(w*²): it
    /// displaces the weights by a third of their norm.
    pub localization: Option<f64>,
    /// Step size h.
    pub step: Option<f64>,
    /// Sampling ends when the standard error of the learning coefficient falls below this share of it.
    pub tolerance: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { chains: None, draws: None, batch: 64, localization: None, step: None, tolerance: 0.01 }
    }
}

/// Draws before the first look at the standard error; from look to look they grow by a quarter.
const FIRST_LOOK: i64 = 100;
/// h times the largest curvature. The scheme is stable below 2, and exact on quadratics at any value below that.
const STIFFNESS: f64 = 0.5;
/// The gradient's noise may add this share to the injected noise in the direction of the largest curvature.
const HEATING: f64 = 0.03;
/// Smaller steps that are tried after chains diverged, each a quarter of the one before.
const RETRIES: u32 = 8;
/// R̂ at which sampling may end early.
const CONVERGED: f64 = 1.05;
/// Standard errors below zero at which a value is negative without doubt.
const CLEARLY: f64 = 5.0;
/// How often the curvature is looked at during the burn-in.
const LOOKS: i64 = 12;
/// What is flat but for the localization γ spreads like 1 − exp(−2hγt). Of its variance in the end 95 % are there after t =
/// 1.5 / (hγ) steps: no burn-in is shorter.
pub(crate) const LEAST_SPREAD: f64 = 1.5;
/// Burn-ins that cost more than this many times the most draws, or the draws of a network of [`SMALL`] parameters if they are
/// more, are not begun.
const LONGEST: f64 = 10.0;
/// Networks with fewer parameters may take as many times longer.
const SMALL: f64 = 2e5;
/// Batches grow to so many times the samples at most, or to [`SMALL`] times that over P if that is more: their activations must
/// fit into memory.
const LARGEST: f64 = 8.0;

/// Why an attempt gave no chains.
enum Failed {
    Diverged { step: i64, size: f64 },
    Other(MeasureError),
}

impl<E: Into<MeasureError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Sampling {
    /// Samples w from exp(−nβ L(w) − γ‖w − w*‖²/2), L the mean loss over all samples, in K chains from w*.
    ///
    /// Each step is w ← w − h ∇U + √(2h) (R + R′)/2 with U the negative logarithm above on a mini-batch and R, R′ the
    /// standard normal numbers of this and the next step (Leimkuhler and Matthews 2013: exact for quadratic U). Batches
    /// run through random orders of the sample, each chain its own. `inverse_temperature` is nβ.
    ///
    /// # Errors
    /// Undefined where there are fewer than two chains, where they diverge or a scale for γ is lacking; timeout with what was known; what the potential says.
    pub fn run(
        &self,
        potential: &dyn Potential,
        inverse_temperature: f64,
        random: &mut Generator,
    ) -> Result<Posterior, MeasureError> {
        let centre = potential.centre();
        let localization = match self.localization {
            Some(given) => given,
            None => {
                let square = centre.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
                if square == 0.0 {
                    return MeasureError::undefined(
                        "all weights are zero: there is no scale for the localization; give one",
                    );
                }
                10.0 / square
            }
        };
        if self.chains.is_some_and(|chains| chains < 2) {
            return MeasureError::undefined("one chain cannot tell whether it has converged");
        }
        let parameters = centre.numel() as f64;
        let draws = self.draws.unwrap_or((1e5 / parameters).clamp(100.0, 10_000.0) as i64).max(4);
        let chains = Chains {
            sampling: self,
            count: self.chains.unwrap_or((2000.0 / parameters).clamp(4.0, 64.0) as i64),
            potential,
            inverse_temperature,
            localization,
            centre_losses: potential.centre_losses()?,
            batch: self.batch.min(potential.samples()),
        };
        let mut factor = 1.0;
        for attempt in 0.. {
            match chains.attempt(draws, factor, random) {
                Ok(posterior) => return Ok(posterior),
                Err(Failed::Other(error)) => return Err(error),
                Err(Failed::Diverged { step, size }) if attempt == RETRIES || self.step.is_some() => {
                    return MeasureError::undefined(format!(
                        "the chains diverged at step {step} with step size {size:.2e}, localization {localization:.3e}"
                    ));
                }
                Err(Failed::Diverged { .. }) => factor /= 4.0,
            }
        }
        MeasureError::failed("no attempt was made")
    }
}

/// What stays the same over attempts.
struct Chains<'a> {
    sampling: &'a Sampling,
    /// K.
    count: i64,
    potential: &'a dyn Potential,
    inverse_temperature: f64,
    localization: f64,
    /// `[n]`, f64.
    centre_losses: Tensor,
    /// At most n.
    batch: i64,
}

impl Chains<'_> {
    fn attempt(&self, draws: i64, factor: f64, random: &mut Generator) -> Result<Posterior, Failed> {
        let count = self.count;
        let centre = self.potential.centre();
        let mut copies = centre.f_unsqueeze(0)?.f_repeat([count, 1])?;
        let mut batches = Batches::new(count, self.potential.samples(), self.batch);
        let mut noise = Noise::new(&copies, random)?;
        let mut curvature = Curvature::new(noise.next()?, self.localization)?;
        let (mut burn_in, mut stretched) = (draws / 2, false);
        // Σ hγ over the steps.
        let mut spread = 0.0;
        // Gradients so far, in units of the batch they began with.
        let mut spent = 0.0;
        let small = (SMALL / centre.numel() as f64).max(1.0);
        let longest = LONGEST * (draws as f64).max(100.0 * small);
        // The step size begins small, grows no faster than twofold from look to look, and ends at what the stiffest place
        // in the second half of the looks allows.
        let calibrated = self.sampling.step.is_none();
        let (mut step, mut stiffest) = (self.sampling.step.unwrap_or(0.0), 0.0f64);
        if calibrated {
            let _ = curvature.look(4, &copies, &mut |points| self.gradients(points, &mut batches, random))?;
            let away = noise.next()?.f_mul_scalar(self.localization.powf(-0.5))?.f_add(&copies)?;
            let secant = curvature
                .secant(&copies, &away, &mut |points| self.gradients(points, &mut batches, random))?;
            step = factor * 0.1 * STIFFNESS / (curvature.largest.max(secant) + self.localization);
        }
        let mut t = 0;
        while t < burn_in {
            let look = t * LOOKS / burn_in;
            let here = if calibrated && (t == 0 || look != (t - 1) * LOOKS / burn_in) {
                let here =
                    curvature.look(1, &copies, &mut |points| self.gradients(points, &mut batches, random))?;
                stiffest = if 2 * look > LOOKS { stiffest.max(curvature.largest) } else { curvature.largest };
                let quiet =
                    if curvature.noise > 0.0 { 2.0 * HEATING / curvature.noise } else { f64::INFINITY };
                step = (factor * STIFFNESS / (stiffest + self.localization)).min(quiet).min(2.0 * step);
                Some(here)
            } else {
                None
            };
            let batch = batches.next(random)?;
            let (gradient, losses) = self.gradient(&copies, batch.as_ref()).map_err(|error| match error {
                MeasureError::Timeout(reason) => {
                    MeasureError::Timeout(format!("{reason} in step {t} of {burn_in} of the burn-in"))
                }
                error => error,
            })?;
            if let Some(here) = here {
                curvature.compare(&here, &gradient)?;
            }
            self.check(&copies, &losses, t, step)?;
            copies = self.moved(&copies, &gradient, step, &mut noise)?;
            spread += step * self.localization;
            spent += batches.size as f64 / self.batch as f64;
            t += 1;
            if t == burn_in && !stretched {
                // More than the least where it costs no more than the draws do.
                burn_in = burn_in.max((3.0 / (step * self.localization)).min(draws as f64) as i64);
                stretched = true;
            }
            if t == burn_in && spread < LEAST_SPREAD {
                if calibrated {
                    let steepest = factor * STIFFNESS / (stiffest + self.localization);
                    let size = batches.size;
                    batches.grow((steepest / step).min(LARGEST * small));
                    curvature.noise *= batches.variance_beside(size);
                    let quiet =
                        if curvature.noise > 0.0 { 2.0 * HEATING / curvature.noise } else { f64::INFINITY };
                    step = steepest.min(quiet);
                }
                let more = ((LEAST_SPREAD - spread) / (step * self.localization)).ceil();
                if spent + more * batches.size as f64 / self.batch as f64 > longest {
                    return Err(Failed::Other(MeasureError::Undefined(format!(
                        "the chains spread too slowly: step size {step:.2e} with localization {:.3e} asks for {more:.0} more steps \
                         with batches of {} before the first draw, and {longest:.0} with batches of {} are the most; more `draws` \
                         allow more",
                        self.localization, batches.size, self.batch
                    ))));
                }
                burn_in = t + (more as i64).max(1);
            }
        }
        let mut rises: Vec<Vec<f64>> = vec![Vec::new(); count as usize];
        let mut sums = PerSample::new(count, self.potential.samples(), centre.device())?;
        let mut look = FIRST_LOOK;
        for draw in 1..=draws {
            let batch = batches.next(random)?;
            let (gradient, losses) =
                self.gradient(&copies, batch.as_ref()).map_err(|error| self.late(error, &rises))?;
            self.check(&copies, &losses, burn_in + draw, step)?;
            let rise = self.rise(&losses, batch.as_ref())?;
            sums.add(&rise, batch.as_ref())?;
            let means = Vec::<f64>::try_from(&rise.f_mean_dim(1, false, Kind::Double)?)?;
            rises.iter_mut().zip(means).for_each(|(chain, mean)| chain.push(mean));
            copies = self.moved(&copies, &gradient, step, &mut noise)?;
            if draw == look {
                if self.is_enough(&rises) {
                    break;
                }
                look += look / 4;
            }
        }
        Ok(Posterior {
            inverse_temperature: self.inverse_temperature,
            localization: self.localization,
            step,
            burn_in,
            batch: batches.size,
            spread,
            heating: calibrated.then_some(step * curvature.noise / 2.0),
            rises,
            sums,
            centre_losses: self.centre_losses.shallow_clone(),
        })
    }

    /// Those at several points, on one batch.
    fn gradients(
        &self,
        points: &[&Tensor],
        batches: &mut Batches,
        random: &mut Generator,
    ) -> Result<Vec<Tensor>, MeasureError> {
        let batch = batches.next(random)?;
        points.iter().map(|point| Ok(self.gradient(point, batch.as_ref())?.0)).collect()
    }

    /// nβ ∇L, `[K, P]`, and the losses, `[K, m]`, detached.
    fn gradient(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<(Tensor, Tensor), MeasureError> {
        let leaf = copies.f_detach()?.f_set_requires_grad(true)?;
        let losses = self.potential.losses(&leaf, batch)?;
        let total = losses.f_mean_dim(1, false, None::<Kind>)?.f_sum(None::<Kind>)?;
        let gradient = Tensor::f_run_backward(&[total], &[&leaf], false, false)?.swap_remove(0);
        // Side by side the chains make one pass over so many samples.
        self.potential.spent(losses.numel() as i64)?;
        Ok((gradient.f_mul_scalar(self.inverse_temperature)?, losses.f_detach()?))
    }

    fn moved(
        &self,
        copies: &Tensor,
        gradient: &Tensor,
        step: f64,
        noise: &mut Noise,
    ) -> Result<Tensor, MeasureError> {
        tch::no_grad(|| {
            let pull = copies.f_sub(self.potential.centre())?.f_mul_scalar(self.localization)?;
            let drift = gradient.f_add(&pull)?.f_mul_scalar(-step)?;
            Ok(copies.f_add(&drift)?.f_add(&noise.step()?.f_mul_scalar((2.0 * step).sqrt())?)?)
        })
    }

    /// ℓᵢ(w) − ℓᵢ(w*), `[K, m]`, f64.
    fn rise(&self, losses: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        let before = match batch {
            None => self.centre_losses.f_unsqueeze(0)?,
            Some(batch) => self.centre_losses.f_take(batch)?,
        };
        Ok(losses.f_to_kind(Kind::Double)?.f_sub(&before)?)
    }

    /// Finite losses, and no farther away than the localization lets anything go.
    fn check(&self, copies: &Tensor, losses: &Tensor, step: i64, size: f64) -> Result<(), Failed> {
        let away = copies.f_sub(self.potential.centre())?.f_norm()?.f_to_kind(Kind::Double)?;
        // One number: NaN and infinity survive the sum.
        let away = away.f_add(&losses.f_sum(Kind::Double)?.f_mul_scalar(0.0)?)?.f_double_value(&[])?;
        let usual = (copies.numel() as f64 / self.localization).sqrt();
        if away < FAR_AWAY * usual { Ok(()) } else { Err(Failed::Diverged { step, size }) }
    }

    /// The value is known well enough, or it is known to be negative.
    fn is_enough(&self, rises: &[Vec<f64>]) -> bool {
        let Some((value, error)) = mean_and_error(rises) else { return false };
        let converged = split_r_hat(rises).is_some_and(|r_hat| r_hat < CONVERGED);
        value + CLEARLY * error < 0.0 || (converged && error <= self.sampling.tolerance * value)
    }

    /// A timeout says what was known.
    fn late(&self, error: MeasureError, rises: &[Vec<f64>]) -> MeasureError {
        match (error, mean_and_error(rises)) {
            (MeasureError::Timeout(reason), Some((value, spread))) => MeasureError::Timeout(format!(
                "{reason} after {} draws of each of {} chains, with a learning coefficient of {:.4} ± {:.4} so far, R̂ {:.3}",
                rises[0].len(),
                rises.len(),
                self.inverse_temperature * value,
                self.inverse_temperature * spread,
                split_r_hat(rises).unwrap_or(f64::NAN),
            )),
            (error, _) => error,
        }
    }
}

/// Distance from w*, in units of what the localization alone gives.
const FAR_AWAY: f64 = 10.0;

/// The mean of all draws, and its standard error by their effective number.
pub(crate) fn mean_and_error(chains: &[Vec<f64>]) -> Option<(f64, f64)> {
    let count = effective_sample_size(chains)?;
    let all: Vec<f64> = chains.concat();
    let value = mean(&all);
    Some((value, (crate::diagnostics::variance(&all, value) / count).sqrt()))
}

/// The normal numbers of the chains' steps. They come from libtorch's generator on the CPU, seeded here: on every
/// device the same, and a hundred times as fast as one number after the other.
struct Noise {
    like: Tensor,
    last: Tensor,
}

impl Noise {
    fn new(like: &Tensor, random: &mut Generator) -> Result<Self, MeasureError> {
        tch::manual_seed((random.next_u64() >> 1) as i64);
        let mut noise = Self { like: like.f_detach()?, last: Tensor::new() };
        noise.last = noise.next()?;
        Ok(noise)
    }

    fn next(&mut self) -> Result<Tensor, MeasureError> {
        let drawn = Tensor::f_randn(self.like.size(), (Kind::Float, tch::Device::Cpu))?;
        Ok(drawn.f_to_kind(self.like.f_kind()?)?.f_to_device(self.like.device())?)
    }

    /// (R + R′) / 2.
    fn step(&mut self) -> Result<Tensor, MeasureError> {
        let next = self.next()?;
        let sum = self.last.f_add(&next)?.f_mul_scalar(0.5)?;
        self.last = next;
        Ok(sum)
    }
}

/// Mini-batches of each chain: consecutive parts of random orders of the sample.
struct Batches {
    samples: i64,
    size: i64,
    /// Per chain what is left of its order.
    rest: Vec<Vec<i64>>,
}

impl Batches {
    fn new(chains: i64, samples: i64, size: i64) -> Self {
        Self { samples, size, rest: vec![Vec::new(); chains as usize] }
    }

    /// That many times as many, or all.
    fn grow(&mut self, factor: f64) {
        self.size = ((self.size as f64 * factor).ceil() as i64).clamp(self.size, self.samples);
    }

    /// The variance of a batch's mean beside that of one of `size`: batches are drawn without replacement.
    fn variance_beside(&self, size: i64) -> f64 {
        let of = |size: i64| 1.0 / size as f64 - 1.0 / self.samples as f64;
        if of(size) > 0.0 { of(self.size) / of(size) } else { 1.0 }
    }

    /// Indices `[K, m]`; none for the whole sample.
    fn next(&mut self, random: &mut Generator) -> Result<Option<Tensor>, MeasureError> {
        if self.size >= self.samples {
            return Ok(None);
        }
        let mut indices = Vec::new();
        for rest in &mut self.rest {
            if (rest.len() as i64) < self.size {
                *rest = random.permutation(self.samples as usize);
            }
            indices.extend(rest.split_off(rest.len() - self.size as usize));
        }
        Ok(Some(Tensor::f_from_slice(&indices)?.f_reshape([-1, self.size])?))
    }
}
