//! A PAC-Bayes bound of the error of a stochastic network.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::certificate::{Plan, Subject};
use crate::descent::{descend, steps};
use crate::reference::keeps_no_moments;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PacBayesBound {
    split: bool,
    training: usize,
    plan: Plan,
}

/// The parameter `delta`.
pub(crate) const DELTA: ParameterInfo = ParameterInfo {
    name: "delta",
    kind: ParameterKind::Float { default: 0.05, min: 1e-9, max: 0.5 },
    doc: "probability with which the bound may fail",
};

/// What `pac_bayes_bound` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "pac_bayes_bound",
    family: "pac_bayes",
    version: 1,
    title: "A bound of the true error of networks drawn from a Gaussian about the weights, optimized for that \
             bound.",
    formula: "kl⁻¹(R̂(Q), (KL(Q‖P) + ln(π²j²/6) + ln(4√n′/δ)) / n′),  Q = N(w_P + t (w − w_P), diag σ²), P = N(w_P, λ² diag s²)",
    shapes: "kl⁻¹(q, c): the largest p with kl(q‖p) ≤ c; R̂: an upper bound, at δ/4 for each of two candidates, of the mean error on the n′ samples that P does not depend on; λ = \
             e^{−j/10}; w, w_P, σ, s: \
             [P]",
    paper: "Maurer 2004, A Note on the PAC Bayesian Theorem, for the inequality; Dziugaite, Roy 2017, Computing \
             Nonvacuous Generalization Bounds for Deep (Stochastic) Neural Networks, for the optimized posterior; \
             Dziugaite, Hsu, Gharbieh, Arpino, Roy 2021, On the Role of Data in PAC-Bayes Bounds, for the prior; \
             Langford, Caruana 2002, for the empirical error from draws",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "50 · training/n B for the prior, 100 · steps/n B for the posterior, 16 draws/n F for its error: \
             at n = 5000 3 B and 1.3 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. A bound: with probability 1 − δ over the \
             sample and the draws, the posterior's expected error is no larger. The detail `vacuous` says whether \
             it is any better than guessing. t = 1 is a posterior about the network itself; where that is far \
             from the prior, as in most networks of the shipped zoos, the optimum lies at smaller t, down to the prior's own \
             mean, and the bound tells of \
             the architecture, the initial weights and half of the sample rather than of the weights. Unavailable \
             where a zoo keeps no initial weights, undefined where a BatchNormalization cannot be folded.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "prior",
            kind: ParameterKind::Choice { default: "split", options: &["split", "initial"] },
            doc: "the prior's mean: the initial weights trained on a random half of the sample, or the initial weights",
        },
        ParameterInfo {
            name: "training",
            kind: ParameterKind::Integer { default: 200, min: 0, max: 10_000_000 },
            doc: "steps of that training, but no more than 20 epochs (Adam, rate 0.003 falling to 0, batches of 50)",
        },
        ParameterInfo {
            name: "steps",
            kind: ParameterKind::Integer { default: 50, min: 1, max: 100_000 },
            doc: "steps of the posterior's optimization, on 100 samples each",
        },
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 400, min: 1, max: 1_000_000 },
            doc: "draws of the posterior for its empirical error, on 8 samples each",
        },
        DELTA,
    ],
};

impl PacBayesBound {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let count = |name: &str| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        let plan = Plan { delta: parameters.float("delta")?, steps: count("steps")?, draws: count("draws")? };
        Ok(Self { split: parameters.choice("prior")? == "split", training: count("training")?, plan })
    }
}

impl Measure for PacBayesBound {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (network, initial) = (probe.folded()?, probe.folded_initial()?.trainable_vector()?);
        keeps_no_moments(&network)?;
        let weights = network.trainable_vector()?;
        let mut order = probe.generator("split").permutation(probe.sample_size());
        let prior = if self.split {
            let seen = order.split_off(order.len().div_ceil(2));
            if seen.is_empty() {
                return MeasureError::undefined("one sample cannot be divided between prior and bound");
            }
            let steps = steps(self.training, seen.len());
            descend(probe, &network, &seen, initial.shallow_clone(), (steps, 0.003), &|point| {
                Ok(point.shallow_clone())
            })?
        } else {
            initial.shallow_clone()
        };
        let subject = Subject { probe, network: &network, weights, prior, initial, samples: order };
        let found = subject.certify(self.plan)?;
        let guess = 1.0 - 1.0 / probe.classes() as f64;
        Ok(Measured::value(found.bound)
            .with_detail("vacuous", if found.bound >= guess { "yes: guessing is as good" } else { "no" })
            .with_detail("empirical_error", found.empirical)
            .with_detail("divergence", found.divergence)
            .with_detail("samples", subject.samples.len() as f64)
            .with_detail("t", found.share)
            .with_detail("lambda", found.prior_scale))
    }
}
