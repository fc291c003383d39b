//! A PAC-Bayes bound with a Gaussian posterior that is optimized for it.
//!
//! Prior: N(w_P, λ² diag(s²)), with s the root mean squares of the initial weights, tensor by tensor, and λ from a grid.
//! Posterior: N(w_P + t (w − w_P), diag(σ²)), with t in [0, 1] and one σ for each tensor. t, σ and λ are found by gradient
//! descent on a surrogate; the bound holds for whatever was found, since only the prior must not see the samples.

use pgdl_measure::network::{Adam, Graph, Network, gradients};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Perturbed, Probe};

use crate::descent::mean_loss;
use crate::kl::{expectation_bound, risk_bound};

/// λ = e^{−j / FINENESS}, j = 1, 2, …: the logarithm of the probability of j is −ln(π² j² / 6).
const FINENESS: f64 = 10.0;

/// Samples of a step of the optimization.
const BATCH: usize = 100;

/// Samples on which a draw of the posterior is seen.
const SEEN: i64 = 8;

/// How a certificate is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The bound fails with at most this probability.
    pub delta: f64,
    /// Steps of the optimization.
    pub steps: usize,
    /// Draws of the posterior for its empirical risk.
    pub draws: usize,
}

/// A bound, and the posterior that it is about.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// Of the expected error of networks drawn from the posterior.
    pub bound: f64,
    /// Mean error of the draws.
    pub empirical: f64,
    /// KL(Q ‖ P), with what the choice of λ costs.
    pub divergence: f64,
    /// t.
    pub share: f64,
    /// λ.
    pub prior_scale: f64,
    /// Mean of the posterior, `[P]`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests hold the bound against the posterior's true risk")
    )]
    pub mean: Tensor,
    /// Its standard deviations, `[P]`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests hold the bound against the posterior's true risk")
    )]
    pub deviations: Tensor,
}

/// What a certificate is about: a network's trainable parameters w, the prior's mean, and the samples that the prior has
/// not seen.
pub(crate) struct Subject<'a> {
    pub probe: &'a Probe,
    pub network: &'a Network,
    /// w, `[P]`.
    pub weights: Tensor,
    /// w_P, `[P]`.
    pub prior: Tensor,
    /// w⁰, `[P]`.
    pub initial: Tensor,
    pub samples: Vec<i64>,
}

/// The numbers that are optimized, as one f64 vector: t, ln λ, and ln σ / s of each tensor.
struct Shape {
    /// For each parameter its tensor, `[P]`.
    tensor_of: Tensor,
    /// s of each parameter, `[P]`, f64.
    scales: Tensor,
    /// Number of parameters of each tensor, f64.
    sizes: Tensor,
    /// ‖(w − w_P) / s‖² of each tensor, f64.
    distances: Tensor,
}

impl Subject<'_> {
    /// The certificate.
    ///
    /// # Errors
    /// Undefined where the weights are not finite; time is up.
    pub(crate) fn certify(&self, plan: Plan) -> Result<Certificate, MeasureError> {
        let shape = self.shape()?;
        let mut found = self.optimize(&shape, plan)?;
        // λ on its grid, rounded up or down at no cost in validity: the posterior stays.
        let index = (-FINENESS * found[1]).round().max(1.0);
        found[1] = -index / FINENESS;
        let choice = (std::f64::consts::PI.powi(2) * index * index / 6.0).ln();
        let mut best: Option<Certificate> = None;
        // The optimum, and the posterior about the prior's mean itself: two bounds of the draws' risk.
        for share in [found[0], 0.0] {
            found[0] = share;
            let divergence = shape.divergence(&Tensor::f_from_slice(&found)?)?.f_double_value(&[])? + choice;
            let mean = self.prior.f_add(&self.weights.f_sub(&self.prior)?.f_mul_scalar(share)?)?;
            let deviations =
                shape.deviations(&Tensor::f_from_slice(&found)?)?.f_to_kind(self.probe.kind())?;
            let empirical = self.drawn_risk(&mean, &deviations, plan.draws)?;
            // Half of δ for the bound, a quarter for each of the two estimates.
            let likely = expectation_bound(empirical, plan.draws as f64, plan.delta / 4.0);
            let bound = risk_bound(likely, divergence, self.samples.len() as f64, plan.delta / 2.0);
            if best.as_ref().is_none_or(|best| bound < best.bound) {
                let prior_scale = found[1].exp();
                best =
                    Some(Certificate { bound, empirical, divergence, share, prior_scale, mean, deviations });
            }
            if share == 0.0 {
                break;
            }
        }
        match best {
            Some(best) if best.bound.is_finite() && best.divergence.is_finite() => Ok(best),
            _ => MeasureError::undefined("the weights are not finite: the bound has no value"),
        }
    }

    fn shape(&self) -> Result<Shape, MeasureError> {
        let counts: Vec<i64> = self
            .network
            .parameters()
            .filter(|parameter| parameter.spec.role.trainable())
            .map(|parameter| parameter.tensor.numel() as i64)
            .collect();
        let device = self.probe.device();
        let repeats = Tensor::f_from_slice(&counts)?.f_to_device(device)?;
        let tensor_of = Tensor::f_repeat_interleave(&repeats, None)?;
        let tensors = counts.len() as i64;
        let sum_over = |values: &Tensor| -> Result<Tensor, MeasureError> {
            let zero = Tensor::f_zeros([tensors], (Kind::Double, device))?;
            Ok(zero.f_index_add(0, &tensor_of, &values.f_to_kind(Kind::Double)?)?)
        };
        let sizes = repeats.f_to_kind(Kind::Double)?;
        let squares = self.initial.f_to_kind(Kind::Double)?.f_square()?;
        let whole = squares.f_mean(Kind::Double)?.f_double_value(&[])?;
        if whole <= 0.0 || !whole.is_finite() {
            return MeasureError::undefined(format!("the initial weights have the mean square {whole}"));
        }
        // Biases begin at zero: a tenth of all weights' size stands for theirs.
        let each = sum_over(&squares)?.f_div(&sizes)?.f_clamp_min(0.01 * whole)?.f_sqrt()?;
        let scales = each.f_index_select(0, &tensor_of)?;
        let moved = self.weights.f_sub(&self.prior)?.f_to_kind(Kind::Double)?.f_div(&scales)?;
        Ok(Shape { distances: sum_over(&moved.f_square()?)?, tensor_of, scales, sizes })
    }

    /// t, ln λ and ln σ / s that are good for a surrogate: cross-entropy in units of ln C and McAllester's square root.
    fn optimize(&self, shape: &Shape, plan: Plan) -> Result<Vec<f64>, MeasureError> {
        let probe = self.probe;
        let tensors = shape.sizes.numel();
        let mut start = vec![0.3, 0.1f64.ln()];
        start.extend(std::iter::repeat_n(0.03f64.ln(), tensors));
        let mut point = Tensor::f_from_slice(&start)?.f_to_device(probe.device())?;
        let mut adam = Adam::new(&point, 0.1)?;
        let mut random = probe.generator("optimization");
        let count = self.samples.len();
        let batch = BATCH.min(count);
        let unit = (probe.classes() as f64).ln().max(2f64.ln());
        let slack = (2.0 * (count as f64).sqrt() / plan.delta).ln();
        let mut order: Vec<i64> = Vec::new();
        for step in 0..plan.steps {
            probe.check_deadline().map_err(|error| match error {
                MeasureError::Timeout(reason) => MeasureError::Timeout(format!(
                    "{reason}; after {step} of {} steps of the posterior's optimization",
                    plan.steps
                )),
                other => other,
            })?;
            if order.len() < batch {
                order = random.permutation(count);
            }
            let rows: Vec<i64> = order.drain(..batch).map(|at| self.samples[at as usize]).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(probe.device())?;
            let leaf = point.f_detach_copy()?.f_set_requires_grad(true)?;
            let noise = random.normal_tensor(&self.weights.size())?.f_to_kind(Kind::Double)?;
            let moved = self.weights.f_sub(&self.prior)?.f_to_kind(Kind::Double)?.f_mul(&leaf.f_get(0)?)?;
            let vector = self.prior.f_to_kind(Kind::Double)?.f_add(&moved)?;
            let vector = vector.f_add(&noise.f_mul(&shape.deviations(&leaf)?)?)?.f_to_kind(probe.kind())?;
            let loss = mean_loss(probe, &self.network.with_trainable_vector(&vector)?, &rows)?;
            let complexity =
                shape.divergence(&leaf)?.f_add_scalar(slack)?.f_div_scalar(2.0 * count as f64)?;
            let objective = loss.f_to_kind(Kind::Double)?.f_div_scalar(unit)?.f_add(&complexity.f_sqrt()?)?;
            let gradient = gradients(&objective, &[&leaf], Graph::Free)?.swap_remove(0);
            probe.count_backward(batch as i64);
            point = shape.legal(&adam.step(&point, &gradient)?)?;
        }
        Ok(Vec::<f64>::try_from(&point.f_to_device(pgdl_measure::tch::Device::Cpu)?)?)
    }

    /// Mean error of draws of the posterior, each on a few samples drawn with replacement.
    fn drawn_risk(&self, mean: &Tensor, deviations: &Tensor, draws: usize) -> Result<f64, MeasureError> {
        let probe = self.probe;
        let copies = Perturbed::at(probe, self.network)?;
        let at_once = copies.copies_at_once(SEEN) as usize;
        let mut random = probe.generator("posterior");
        let (mut wrong, mut done) = (0.0, 0);
        while done < draws {
            let count = at_once.min(draws - done);
            let (mut vectors, mut rows) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let noise = random.normal_tensor(&mean.size())?;
                vectors.push(mean.f_addcmul(&noise, deviations)?);
                let uniform = Vec::<f64>::try_from(
                    &random
                        .uniform_tensor(&[SEEN])?
                        .f_to_device(pgdl_measure::tch::Device::Cpu)?
                        .f_to_kind(Kind::Double)?,
                )?;
                let last = self.samples.len() - 1;
                rows.extend(
                    uniform.iter().map(|at| self.samples[((at * (last + 1) as f64) as usize).min(last)]),
                );
            }
            let rows =
                Tensor::f_from_slice(&rows)?.f_reshape([count as i64, SEEN])?.f_to_device(probe.device())?;
            let right = copies.correct(&Tensor::f_stack(&vectors, 0)?, &rows)?;
            wrong += (count as i64 * SEEN) as f64 - right.f_sum(Kind::Double)?.f_double_value(&[])?;
            done += count;
        }
        Ok(wrong / (draws as f64 * SEEN as f64))
    }
}

impl Shape {
    /// σ of each parameter, `[P]`, f64.
    fn deviations(&self, point: &Tensor) -> Result<Tensor, MeasureError> {
        let point = point.f_to_device(self.scales.device())?;
        let relative = point.f_narrow(0, 2, self.sizes.numel() as i64)?.f_exp()?;
        Ok(relative.f_index_select(0, &self.tensor_of)?.f_mul(&self.scales)?)
    }

    /// KL(Q ‖ P).
    fn divergence(&self, point: &Tensor) -> Result<Tensor, MeasureError> {
        let point = point.f_to_device(self.scales.device())?;
        let (share, log_prior) = (point.f_get(0)?, point.f_get(1)?);
        // 2 ln(σ / λs)
        let twice = point.f_narrow(0, 2, self.sizes.numel() as i64)?.f_sub(&log_prior)?.f_mul_scalar(2.0)?;
        let widths = twice.f_exp()?.f_sub_scalar(1.0)?.f_sub(&twice)?.f_mul(&self.sizes)?;
        let precision = log_prior.f_mul_scalar(-2.0)?.f_exp()?;
        let shift = self.distances.f_mul(&share.f_square()?)?.f_mul(&precision)?;
        Ok(widths.f_add(&shift)?.f_sum(Kind::Double)?.f_mul_scalar(0.5)?)
    }

    /// t in [0, 1], and λ at most e^{−1/10}, the first of the grid.
    fn legal(&self, point: &Tensor) -> Result<Tensor, MeasureError> {
        let share = point.f_narrow(0, 0, 1)?.f_clamp(0.0, 1.0)?;
        let prior = point.f_narrow(0, 1, 1)?.f_clamp(-20.0, -1.0 / FINENESS)?;
        let rest = point.f_narrow(0, 2, self.sizes.numel() as i64)?.f_clamp(-20.0, 2.0)?;
        Ok(Tensor::f_cat(&[share, prior, rest], 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descent::{descend, error_rate};
    use pgdl_measure::network::{Activation, Architecture, Dense, Layer};
    use pgdl_measure::tch::Device;
    use pgdl_measure::{Dataset, Generator, ProbeInput};

    const SAMPLES: usize = 150;

    /// Points in three dimensions, whose label is the side of a plane, in one of ten cases the wrong one.
    fn world(random: &mut Generator, count: i64) -> Dataset {
        let inputs = random.normal_tensor(&[count, 3]).unwrap();
        let side = inputs.mv(&Tensor::from_slice(&[1.0, -0.5, 0.25])).gt(0.1);
        let flipped = random.uniform_tensor(&[count]).unwrap().lt(0.1);
        Dataset::new(inputs, side.logical_xor(&flipped).to_kind(Kind::Int64)).unwrap()
    }

    fn probe(seed: u64, random: &mut Generator) -> Probe {
        let dense = Layer::Dense(Dense { units: 2, use_bias: true, activation: Activation::Linear });
        let architecture = Architecture::sequential(vec![3], vec![dense]).unwrap();
        let initial =
            Network::initialize(architecture, seed, Device::Cpu).unwrap().to_kind(Kind::Double).unwrap();
        Probe::new(ProbeInput {
            network: initial.shallow_clone(),
            network_id: seed,
            initial: Some(initial),
            train: world(random, SAMPLES as i64),
            train_size: SAMPLES,
            test_inputs: None,
            truth: None,
            seed,
            deadline: None,
            batch_size: 1000,
        })
        .unwrap()
    }

    /// Draws of data and training, each with a bound: it fails in no more of them than δ allows, and says something.
    #[test]
    fn bounds_cover_the_true_risk_and_are_not_vacuous() {
        const RUNS: u64 = 40;
        let plan = Plan { delta: 0.1, steps: 60, draws: 300 };
        let (mut failures, mut slack, mut least) = (0, 0.0, 1.0f64);
        for run in 0..RUNS {
            let mut random = Generator::new(&[&run.to_le_bytes()], Device::Cpu, Kind::Double);
            let probe = probe(run, &mut random);
            let network = probe.folded().unwrap();
            let initial = network.trainable_vector().unwrap();
            let train = |samples: &[i64], from: &Tensor| {
                let same = |point: &Tensor| Ok(point.shallow_clone());
                descend(&probe, &network, samples, from.shallow_clone(), (40, 0.05), &same).unwrap()
            };
            let all: Vec<i64> = (0..SAMPLES as i64).collect();
            let (seen, unseen) = all.split_at(SAMPLES / 3);
            let weights = train(&all, &initial);
            // Every other prior is trained on a part that the bound leaves out.
            let (prior, samples) = match run % 2 {
                0 => (initial.shallow_clone(), all.clone()),
                _ => (train(seen, &initial), unseen.to_vec()),
            };
            let subject = Subject { probe: &probe, network: &network, weights, prior, initial, samples };
            let found = subject.certify(plan).unwrap();
            let fresh = world(&mut random, 2000);
            let fresh = Probe::new(ProbeInput {
                network: network.shallow_clone(),
                initial: None,
                train_size: fresh.len(),
                train: fresh,
                network_id: 0,
                test_inputs: None,
                truth: None,
                seed: 0,
                deadline: None,
                batch_size: 5000,
            })
            .unwrap();
            let rows = Tensor::arange(2000, (Kind::Int64, Device::Cpu));
            let risk = (0..20)
                .map(|_| {
                    let noise = random.normal_tensor(&found.mean.size()).unwrap() * &found.deviations;
                    error_rate(&fresh, &network, &(&found.mean + noise), &rows).unwrap()
                })
                .sum::<f64>()
                / 20.0;
            failures += usize::from(risk > found.bound);
            slack += (found.bound - risk) / RUNS as f64;
            least = least.min(found.bound);
        }
        // δ · 40 = 4, and three standard deviations.
        assert!(failures <= 9, "{failures} of {RUNS} bounds are below the true risk");
        assert!((0.0..0.35).contains(&slack), "bounds exceed the risk by {slack} on average");
        assert!(least < 0.45, "the least bound is {least}");
    }

    /// KL of two diagonal Gaussians, coordinate by coordinate.
    #[test]
    fn the_divergence_is_that_of_gaussians() {
        let mut random = Generator::new(&[b"divergence"], Device::Cpu, Kind::Double);
        let probe = probe(3, &mut random);
        let network = probe.folded().unwrap();
        let initial = network.trainable_vector().unwrap();
        let weights = &initial + random.normal_tensor(&[8]).unwrap();
        let samples = (0..SAMPLES as i64).collect();
        let prior = initial.shallow_clone();
        let subject = Subject { probe: &probe, network: &network, weights, prior, initial, samples };
        let shape = subject.shape().unwrap();
        let point = Tensor::from_slice(&[0.4, -1.0, -2.0, -0.5]);
        let found = shape.divergence(&point).unwrap().double_value(&[]);
        let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor).unwrap();
        let scales = numbers(&shape.scales);
        let moved = numbers(&((&subject.weights - &subject.prior) * 0.4));
        let deviations = numbers(&shape.deviations(&point).unwrap());
        let expected: f64 = (0..8)
            .map(|i| {
                let (prior, posterior) = ((-1.0f64).exp() * scales[i], deviations[i]);
                (prior / posterior).ln() + (posterior.powi(2) + moved[i].powi(2)) / (2.0 * prior.powi(2))
                    - 0.5
            })
            .sum();
        assert!((found - expected).abs() < 1e-10 * expected, "{found} {expected}");
    }
}
