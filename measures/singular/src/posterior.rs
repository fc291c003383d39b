//! What the chains found, and the quantity that shares it between measures.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{MeasureError, Measured, Parameters, Probe, Quantity, RegistryError};

use crate::diagnostics::{effective_sample_size, mean, split_r_hat, variance};
use crate::network_potential::NetworkPotential;
use crate::per_sample::{PerSample, Predictive};
use crate::sampler::{LEAST_SPREAD, Sampling, mean_and_error};

/// Above this R̂ the chains have not met.
pub const MOST_R_HAT: f64 = 1.1;
/// Unless they have spread before their first draw, which took longer than all draws do: then each is a draw of its own, their
/// differences are in the standard error, and it may be this share of the learning coefficient.
const MOST_ERROR: f64 = 0.15;

/// Draws from the local posterior of a point w*.
pub struct Posterior {
    /// nβ.
    pub inverse_temperature: f64,
    /// γ.
    pub localization: f64,
    /// h.
    pub step: f64,
    /// Steps of each chain before its first draw.
    pub burn_in: i64,
    /// Samples in each gradient of the draws.
    pub batch: i64,
    /// hγ, summed over the burn-in: in units of the time in which what only the localization holds spreads.
    pub spread: f64,
    /// The share that the gradient's noise adds to the injected noise in the stiffest direction, where the step size was
    /// calibrated.
    pub heating: Option<f64>,
    /// Per chain and draw: the mean of ℓᵢ(w) − ℓᵢ(w*) over the samples of its batch, whose mean is E L(w) − L(w*).
    pub rises: Vec<Vec<f64>>,
    pub(crate) sums: PerSample,
    /// ℓᵢ(w*), `[n]`, f64.
    pub centre_losses: Tensor,
}

/// A number with its Monte-Carlo standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimated {
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Posterior {
    /// λ̂ = nβ (E L(w) − L(w*)).
    ///
    /// # Errors
    /// Undefined where there are too few draws.
    pub fn learning_coefficient(&self) -> Result<Estimated, MeasureError> {
        let Some((value, error)) = mean_and_error(&self.rises) else {
            return MeasureError::undefined("too few draws");
        };
        let factor = self.inverse_temperature;
        Ok(Estimated { value: factor * value, standard_error: factor * error })
    }

    /// R̂ of the loss.
    pub fn r_hat(&self) -> Option<f64> {
        split_r_hat(&self.rises)
    }

    /// The effective number of draws for the loss.
    pub fn effective_sample_size(&self) -> Option<f64> {
        effective_sample_size(&self.rises)
    }

    /// L(w*).
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn centre_loss(&self) -> Result<f64, MeasureError> {
        Ok(self.centre_losses.f_mean(pgdl_measure::tch::Kind::Double)?.f_double_value(&[])?)
    }

    /// A function of the per-sample posterior, with its standard error by the jackknife over chains.
    ///
    /// # Errors
    /// Undefined where no sample was seen twice, or the value is not finite.
    pub fn predictive(&self, of: impl Fn(Predictive) -> f64) -> Result<Estimated, MeasureError> {
        let value = |without| -> Result<f64, MeasureError> {
            match self.sums.predictive(&self.centre_losses, without)?.map(&of) {
                Some(value) if value.is_finite() => Ok(value),
                Some(_) => {
                    MeasureError::undefined("the losses under the posterior leave the range of numbers")
                }
                None => MeasureError::undefined("no sample was seen in two draws: more draws are needed"),
            }
        };
        let whole = value(None)?;
        let chains = self.rises.len();
        if chains < 2 {
            return MeasureError::undefined("a standard error needs two chains");
        }
        let parts = (0..chains as i64).map(|chain| value(Some(chain))).collect::<Result<Vec<f64>, _>>()?;
        let spread = (chains as f64 - 1.0).powi(2) / chains as f64 * variance(&parts, mean(&parts));
        Ok(Estimated { value: whole, standard_error: spread.sqrt() })
    }

    /// That the chains have met.
    ///
    /// # Errors
    /// Undefined, with the diagnostics.
    pub fn check(&self) -> Result<(), MeasureError> {
        match self.r_hat() {
            Some(r_hat) if r_hat <= MOST_R_HAT => Ok(()),
            Some(_) if self.spread >= LEAST_SPREAD && self.error_share()? <= MOST_ERROR => Ok(()),
            Some(r_hat) => {
                MeasureError::undefined(format!("the chains have not met: {}", self.diagnostics(r_hat)?))
            }
            None => MeasureError::undefined("too few draws"),
        }
    }

    /// λ̂, where it is positive.
    ///
    /// # Errors
    /// Undefined where it is negative, with the diagnostics.
    pub fn positive_learning_coefficient(&self) -> Result<Estimated, MeasureError> {
        let found = self.learning_coefficient()?;
        if found.value < 0.0 {
            let r_hat = self.r_hat().unwrap_or(f64::NAN);
            return MeasureError::undefined(format!(
                "negative: the chains found lower losses than that of the trained weights, which are no local minimum; {}",
                self.diagnostics(r_hat)?
            ));
        }
        Ok(found)
    }

    fn error_share(&self) -> Result<f64, MeasureError> {
        let found = self.learning_coefficient()?;
        Ok(found.standard_error / found.value.abs())
    }

    fn diagnostics(&self, r_hat: f64) -> Result<String, MeasureError> {
        let found = self.learning_coefficient()?;
        Ok(format!(
            "learning coefficient {:.4} ± {:.4}, R̂ {r_hat:.3}, {:.0} effective of {} draws, step size {:.2e}, localization {:.3e}, loss {:.4e}",
            found.value,
            found.standard_error,
            self.effective_sample_size().unwrap_or(f64::NAN),
            self.draws(),
            self.step,
            self.localization,
            self.centre_loss()?,
        ))
    }

    /// The draws of all chains together.
    pub fn draws(&self) -> usize {
        self.rises.iter().map(Vec::len).sum()
    }

    /// A value with everything that belongs into its record.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn measured(&self, found: Estimated) -> Result<Measured, MeasureError> {
        let measured = Measured::value(found.value)
            .with_standard_error(found.standard_error)
            .with_detail("loss", self.centre_loss()?)
            .with_detail("inverse_temperature", self.inverse_temperature)
            .with_detail("localization", self.localization)
            .with_detail("step_size", self.step)
            .with_detail("chains", self.rises.len() as f64)
            .with_detail("draws", self.draws() as f64)
            .with_detail("burn_in", self.burn_in as f64)
            .with_detail("spread", self.spread)
            .with_detail("batch", self.batch as f64);
        let details = [
            ("r_hat", self.r_hat()),
            ("effective_sample_size", self.effective_sample_size()),
            ("heating", self.heating),
        ];
        Ok(details.into_iter().fold(measured, |measured, (name, detail)| match detail {
            Some(detail) => measured.with_detail(name, detail),
            None => measured,
        }))
    }
}

/// The local posterior of the trained weights on the training sample, at inverse temperature β = 1 / ln n with n the size
/// of the training set: shared by the measures of the family.
#[derive(Clone, Copy, Debug)]
pub struct LocalPosterior {
    sampling: Sampling,
}

impl LocalPosterior {
    /// As the measures' parameters say.
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in the measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let positive = |value: f64| (value > 0.0).then_some(value);
        let given = |count: i64| (count > 0).then_some(count);
        Ok(Self {
            sampling: Sampling {
                chains: given(parameters.integer("chains")?),
                draws: given(parameters.integer("draws")?),
                batch: parameters.integer("batch")?,
                localization: positive(parameters.float("localization")?),
                step: positive(parameters.float("step")?),
                tolerance: parameters.float("tolerance")?,
            },
        })
    }

    /// The posterior, whose chains have met.
    ///
    /// # Errors
    /// Undefined where they have not, with the diagnostics, or where they diverge.
    pub fn of(&self, probe: &Probe) -> Result<std::rc::Rc<Posterior>, MeasureError> {
        let posterior = probe.get(self)?;
        posterior.check()?;
        Ok(posterior)
    }
}

/// ln n for the size of the training set.
///
/// # Errors
/// Undefined where it is less than 1: n < 3.
pub fn log_size(probe: &Probe) -> Result<f64, MeasureError> {
    match probe.train_size() {
        n @ 0..3 => MeasureError::undefined(format!("a training set of {n} is too small for β = 1 / ln n")),
        n => Ok((n as f64).ln()),
    }
}

impl Quantity for LocalPosterior {
    type Value = Posterior;

    fn name(&self) -> String {
        format!("local_posterior {:?}", self.sampling)
    }

    fn compute(&self, probe: &Probe) -> Result<Posterior, MeasureError> {
        let inverse_temperature = probe.train_size() as f64 / log_size(probe)?;
        let potential = NetworkPotential::new(probe)?;
        self.sampling.run(&potential, inverse_temperature, &mut probe.generator("chains"))
    }
}

/// ν = (β/2) V, V = (n/m) Σᵢ Var ℓᵢ(w).
///
/// # Errors
/// As [`Posterior::predictive`].
pub(crate) fn singular_fluctuation(probe: &Probe, posterior: &Posterior) -> Result<Estimated, MeasureError> {
    let factor = 0.5 * probe.train_size() as f64 / log_size(probe)?;
    posterior.predictive(|found| factor * found.variance)
}
