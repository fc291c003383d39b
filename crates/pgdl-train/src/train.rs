//! The training loop of one network.

use pgdl_network::{Mode, Network};
use pgdl_zoo::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tch::{COptimizer, Device, Kind, Reduction, Tensor};

use crate::batches::Batches;
use crate::error::{Result, TrainError};
use crate::label_noise::relabelled;
use crate::objective::{Objective, cross_entropy};
use crate::recipe::{Decay, Method, Precision, Recipe, Training};
use crate::settings::Settings;

/// Samples per forward pass when a network is evaluated.
const EVALUATION_BATCH: usize = 500;

/// One finished epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// How many there are at most.
    pub max_epochs: u32,
    /// Mean loss over the epoch's batches, with dropout.
    pub running_loss: f64,
    /// Cross-entropy of the training sample for the network as it would be stored, where that was computed.
    pub train_loss: Option<f64>,
    /// Its accuracy.
    pub train_accuracy: Option<f64>,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The cross-entropy reached its target.
    TargetReached,
    /// The epochs were used up.
    MaxEpochs,
}

/// Cross-entropy and accuracy of a network on a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Mean cross-entropy, in nats.
    pub cross_entropy: f64,
    /// Share of samples whose label has the largest logit.
    pub accuracy: f64,
}

/// A trained network.
#[derive(Debug)]
pub struct Trained {
    /// The network before training, on the CPU, with weights rounded to the stored precision.
    pub initial: Network,
    /// The network after training, likewise.
    pub network: Network,
    /// The labels that it was trained on, `[n]`, where they are not the sample's own.
    pub train_labels: Option<Vec<u8>>,
    /// Why training ended.
    pub stop: Stop,
    /// How many epochs it took.
    pub epochs: u32,
    /// The final network on the training sample, with the labels that it was trained on.
    pub train: Fit,
    /// The final network on the test sample.
    pub test: Fit,
}

/// Trains network `id` of a recipe on `device`, telling of each epoch.
///
/// On the CPU with one thread the result is the same each time. The recipe's samples are those of [`crate::samples`].
///
/// # Errors
/// [`TrainError::Diverged`] when the loss is no longer a finite number, and what libtorch says.
pub fn train(
    recipe: &Recipe,
    id: u64,
    train: &Dataset,
    test: &Dataset,
    device: Device,
    on_epoch: &mut dyn FnMut(Epoch) -> Result<()>,
) -> Result<Trained> {
    train_observed(recipe, id, train, test, device, &mut |epoch, _| on_epoch(epoch))
}

/// Like [`train`], showing the network after each epoch: its tensors change in the next one, so keep copies.
///
/// # Errors
/// As [`train`], and those of `on_epoch`, which end it.
pub fn train_observed(
    recipe: &Recipe,
    id: u64,
    train: &Dataset,
    test: &Dataset,
    device: Device,
    on_epoch: &mut dyn FnMut(Epoch, &Network) -> Result<()>,
) -> Result<Trained> {
    let relabelled = relabelled(recipe, id, train)?;
    let train = relabelled.as_ref().unwrap_or(train);
    let plan = &recipe.training;
    let settings = recipe.settings(id)?;
    let architecture = recipe.architecture(id)?;
    let seed = recipe.seed_of(id, "initial weights")?;
    let initial = Network::initialize_with(architecture, plan.initializer.into(), seed, Device::Cpu)?;
    let initial = rounded(&initial, recipe.stored_precision)?;
    let sample = Sample::new(train, plan.compute, device)?;
    tch::manual_seed(recipe.seed_of(id, "dropout")? as i64);
    let mut generator = ChaCha20Rng::seed_from_u64(recipe.seed_of(id, "order")?);

    let network = initial.to_device(device)?.trainable()?;
    let mut optimizer = optimizer(plan, &settings, &network)?;
    let schedule = Schedule::new(plan, &settings, train.len())?;
    let augmentation = ChaCha20Rng::seed_from_u64(recipe.seed_of(id, "augmentation")?);
    let mut batches = Batches::new(plan.augmentation, &sample, augmentation)?;
    let steps = train.len().div_ceil(schedule.batch) as f64;
    let mut objective = Objective::new(recipe, id, train, sample.kind, device, steps)?;
    let mut step = 0;
    for epoch in 1..=plan.max_epochs {
        let order = permutation(train.len(), &mut generator);
        let mut pass = Pass { objective: &mut objective, optimizer: &mut optimizer, batches: &mut batches };
        let running_loss = pass.one_epoch(&network, &order, &schedule, &mut step)?;
        if !running_loss.is_finite() {
            return Err(TrainError::Diverged { id, epoch, loss: running_loss });
        }
        let mut report = Epoch {
            epoch,
            max_epochs: plan.max_epochs,
            running_loss,
            train_loss: None,
            train_accuracy: None,
        };
        let mut reached = false;
        if running_loss <= plan.evaluate_below {
            let stored = rounded(&network, recipe.stored_precision)?;
            let mut fit = evaluate_sample(&stored, &sample)?;
            // A first look in the kind of numbers that training uses; only the exact one decides.
            if sample.kind != Kind::Float && fit.cross_entropy <= 1.1 * plan.target_cross_entropy {
                fit = evaluate(&stored, train)?;
                reached = fit.cross_entropy <= plan.target_cross_entropy;
            } else if sample.kind == Kind::Float {
                reached = fit.cross_entropy <= plan.target_cross_entropy;
            }
            report.train_loss = Some(fit.cross_entropy);
            report.train_accuracy = Some(fit.accuracy);
        }
        on_epoch(report, &network)?;
        if reached || epoch == plan.max_epochs {
            let stop = if reached { Stop::TargetReached } else { Stop::MaxEpochs };
            let network = rounded(&network, recipe.stored_precision)?;
            let fits = (evaluate(&network, train)?, evaluate(&network, test)?);
            if !fits.0.cross_entropy.is_finite() {
                return Err(TrainError::Diverged { id, epoch, loss: fits.0.cross_entropy });
            }
            let network = network.to_device(Device::Cpu)?;
            let bytes = |own: &Dataset| Vec::<u8>::try_from(own.labels.f_to_kind(Kind::Uint8)?);
            let train_labels = relabelled.as_ref().map(bytes).transpose()?;
            let (train, test) = fits;
            return Ok(Trained { initial, network, train_labels, stop, epochs: epoch, train, test });
        }
    }
    Err(TrainError::Recipe("training.max_epochs is 0".into()))
}

/// Cross-entropy and accuracy on a sample, in 32-bit numbers on the network's device, without dropout.
pub fn evaluate(network: &Network, data: &Dataset) -> Result<Fit> {
    evaluate_sample(network, &Sample::new(data, Precision::Float32, network.device())?)
}

fn evaluate_sample(network: &Network, sample: &Sample) -> Result<Fit> {
    tch::no_grad(|| {
        let network = network.to_kind(sample.kind)?;
        let (mut loss, mut correct) = (0.0, 0i64);
        for start in (0..sample.len).step_by(EVALUATION_BATCH) {
            let length = EVALUATION_BATCH.min(sample.len - start) as i64;
            let x = sample.inputs.f_narrow(0, start as i64, length)?;
            let y = sample.labels.f_narrow(0, start as i64, length)?;
            let logits = network.forward(&x, Mode::Evaluate)?.f_to_kind(Kind::Double)?;
            loss += f64::try_from(cross_entropy(&logits, &y, Reduction::Sum)?)?;
            correct += i64::try_from(logits.f_argmax(1, false)?.f_eq_tensor(&y)?.f_sum(Kind::Int64)?)?;
        }
        let count = sample.len.max(1) as f64;
        Ok(Fit { cross_entropy: loss / count, accuracy: correct as f64 / count })
    })
}

/// A sample on the device, its inputs in the kind of numbers that passes use.
pub(crate) struct Sample {
    pub(crate) inputs: Tensor,
    pub(crate) labels: Tensor,
    pub(crate) kind: Kind,
    pub(crate) len: usize,
}

impl Sample {
    fn new(data: &Dataset, precision: Precision, device: Device) -> Result<Self> {
        let kind = kind_of(precision);
        let inputs = data.inputs.f_to_device(device)?.f_to_kind(kind)?;
        Ok(Self { inputs, labels: data.labels.f_to_device(device)?, kind, len: data.len() })
    }
}

fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Float32 => Kind::Float,
        Precision::Bfloat16 => Kind::BFloat16,
    }
}

/// A detached copy with every value rounded to nearest, in 32-bit numbers.
fn rounded(network: &Network, precision: Precision) -> Result<Network> {
    let kind = kind_of(precision);
    Ok(network.deep_clone()?.to_kind(kind)?.to_kind(Kind::Float)?)
}

/// What an epoch changes besides the network.
struct Pass<'a, 'b> {
    objective: &'a mut Objective,
    optimizer: &'a mut COptimizer,
    batches: &'a mut Batches<'b>,
}

impl Pass<'_, '_> {
    /// One epoch in this order; gives the mean of its batches' losses.
    fn one_epoch(
        &mut self,
        network: &Network,
        order: &[i64],
        schedule: &Schedule,
        step: &mut u64,
    ) -> Result<f64> {
        let mut total = Tensor::f_zeros([1], (Kind::Double, network.device()))?;
        for batch in order.chunks(schedule.batch) {
            self.optimizer.set_learning_rate(schedule.learning_rate(*step))?;
            let (x, y) = self.batches.take(batch)?;
            let loss = self.objective.loss(network, batch, &x, &y, *step)?;
            self.optimizer.zero_grad()?;
            loss.f_backward()?;
            self.optimizer.step()?;
            let count = batch.len() as f64;
            total = total.f_add(&loss.f_detach()?.f_to_kind(Kind::Double)?.f_mul_scalar(count)?)?;
            *step += 1;
        }
        Ok(f64::try_from(total.f_sum(Kind::Double)?)? / order.len().max(1) as f64)
    }
}

/// Kernels with weight decay in one group, all other trainable parameters without it in another.
fn optimizer(plan: &Training, settings: &Settings, network: &Network) -> Result<COptimizer> {
    const KERNELS: usize = 0;
    const OTHERS: usize = 1;
    let decay = settings.number("weight_decay")?;
    let rate = settings.number("lr")?;
    let mut optimizer = match plan.optimizer {
        Method::Sgd => COptimizer::sgd(rate, plan.momentum, 0.0, decay, false)?,
        Method::Adam => COptimizer::adam(rate, 0.9, 0.999, decay, 1e-8, false)?,
    };
    for parameter in network.parameters().filter(|parameter| parameter.spec.role.trainable()) {
        let group = if parameter.spec.role.is_weight() { KERNELS } else { OTHERS };
        optimizer.add_parameters(parameter.tensor, group)?;
    }
    optimizer.set_weight_decay_group(OTHERS, 0.0)?;
    Ok(optimizer)
}

/// Learning rate by step.
struct Schedule {
    batch: usize,
    peak: f64,
    warmup_steps: f64,
    total_steps: f64,
    decay: Decay,
}

impl Schedule {
    fn new(plan: &Training, settings: &Settings, samples: usize) -> Result<Self> {
        let batch = settings.count("bs")?.max(1) as usize;
        let steps = samples.div_ceil(batch) as f64;
        Ok(Self {
            batch,
            peak: settings.number("lr")? * (batch as f64 / 32.0).powf(plan.lr_batch_exponent),
            warmup_steps: plan.warmup_epochs * steps,
            total_steps: f64::from(plan.max_epochs) * steps,
            decay: plan.decay,
        })
    }

    /// The rate of step `step`, counted from 0.
    fn learning_rate(&self, step: u64) -> f64 {
        let step = step as f64;
        let rising = if step < self.warmup_steps { (step + 1.0) / (self.warmup_steps + 1.0) } else { 1.0 };
        let done = step / self.total_steps;
        let falling = match self.decay {
            Decay::None => 1.0,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.peak * rising * falling
    }
}

/// A uniformly random order of `0..count` (Fisher and Yates; Durstenfeld 1964).
fn permutation(count: usize, generator: &mut ChaCha20Rng) -> Vec<i64> {
    let mut order: Vec<i64> = (0..count as i64).collect();
    for last in (1..count).rev() {
        order.swap(last, below(last as u64 + 1, generator) as usize);
    }
    order
}

/// Uniform in `0..bound`, by rejection: no remainder is favoured.
pub(crate) fn below(bound: u64, generator: &mut ChaCha20Rng) -> u64 {
    let zone = u64::MAX - u64::MAX % bound;
    loop {
        let draw = generator.next_u64();
        if draw < zone {
            return draw % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(training: &str) -> Recipe {
        Recipe::parse(&format!(
            r#"
            schema = 1
            name = "test"
            seed = 3
            family = "mlp"
            [synthetic]
            shape = [2, 2, 1]
            classes = 3
            train = 12
            test = 9
            noise = 0.3
            [fixed]
            depth = 0
            width = 1
            lr = 0.25
            [[axis]]
            name = "weight_decay"
            values = [0.0, 0.5]
            [[axis]]
            name = "bs"
            values = [12, 5]
            [training]
            {training}
            "#
        ))
        .unwrap()
    }

    fn run(recipe: &Recipe, id: u64) -> Result<(Trained, Vec<Epoch>)> {
        let (train_data, test_data) = recipe.synthetic.as_ref().unwrap().draw(recipe.seed)?;
        let mut epochs = Vec::new();
        let mut keep = |epoch| {
            epochs.push(epoch);
            Ok(())
        };
        let trained = train(recipe, id, &train_data, &test_data, Device::Cpu, &mut keep)?;
        Ok((trained, epochs))
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    /// Softmax regression by plain loops: cross-entropy, accuracy, and the gradient for kernel `[4, 3]` and bias `[3]`.
    fn softmax_regression(kernel: &[f64], bias: &[f64], data: &Dataset) -> (Fit, Vec<f64>, Vec<f64>) {
        let (inputs, labels) = (values(&data.inputs), values(&data.labels));
        let n = labels.len();
        let (mut loss, mut correct, mut dkernel, mut dbias) = (0.0, 0, vec![0.0; 12], vec![0.0; 3]);
        for (x, label) in inputs.chunks(4).zip(labels.iter().map(|label| *label as usize)) {
            let logits: Vec<f64> =
                (0..3).map(|j| bias[j] + (0..4).map(|i| x[i] * kernel[3 * i + j]).sum::<f64>()).collect();
            let total: f64 = logits.iter().map(|z| z.exp()).sum();
            loss += total.ln() - logits[label];
            correct += usize::from((0..3).all(|j| logits[j] <= logits[label]));
            for j in 0..3 {
                let error = (logits[j].exp() / total - f64::from(u8::from(j == label))) / n as f64;
                dbias[j] += error;
                (0..4).for_each(|i| dkernel[3 * i + j] += error * x[i]);
            }
        }
        (Fit { cross_entropy: loss / n as f64, accuracy: correct as f64 / n as f64 }, dkernel, dbias)
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
        }
    }

    #[test]
    fn one_step_of_sgd_is_that_of_softmax_regression_with_decay_on_the_kernel() {
        let recipe = recipe("optimizer = 'sgd'\nmomentum = 0\nmax_epochs = 1");
        let (train_data, test_data) = recipe.synthetic.as_ref().unwrap().draw(recipe.seed).unwrap();
        for (id, decay) in [(0, 0.0), (2, 0.5)] {
            let (trained, epochs) = run(&recipe, id).unwrap();
            let (kernel, bias) =
                (values(&trained.initial.weights()[1][0]), values(&trained.initial.weights()[1][1]));
            let (before, dkernel, dbias) = softmax_regression(&kernel, &bias, &train_data);
            assert_close(&[epochs[0].running_loss], &[before.cross_entropy], 1e-6);
            let expected: Vec<f64> =
                kernel.iter().zip(&dkernel).map(|(w, gradient)| w - 0.25 * (gradient + decay * w)).collect();
            let after = (values(&trained.network.weights()[1][0]), values(&trained.network.weights()[1][1]));
            assert_close(&after.0, &expected, 1e-6);
            let expected: Vec<f64> =
                bias.iter().zip(&dbias).map(|(b, gradient)| b - 0.25 * gradient).collect();
            assert_close(&after.1, &expected, 1e-6);
            for (fit, data) in [(trained.train, &train_data), (trained.test, &test_data)] {
                let (expected, ..) = softmax_regression(&after.0, &after.1, data);
                assert_close(
                    &[fit.cross_entropy, fit.accuracy],
                    &[expected.cross_entropy, expected.accuracy],
                    1e-6,
                );
            }
        }
    }

    #[test]
    fn training_ends_after_the_first_epoch_at_the_target_or_the_last_one() {
        let reached = recipe("optimizer = 'adam'\nmax_epochs = 500\ntarget_cross_entropy = 0.05");
        let (trained, epochs) = run(&reached, 1).unwrap();
        assert_eq!((trained.stop, trained.epochs as usize), (Stop::TargetReached, epochs.len()));
        let losses: Vec<f64> = epochs.iter().map(|epoch| epoch.train_loss.unwrap()).collect();
        let (last, earlier) = losses.split_last().unwrap();
        assert!(earlier.iter().all(|loss| *loss > 0.05) && *last <= 0.05 && !earlier.is_empty());
        assert_eq!(trained.train.cross_entropy, *last);
        let used_up = recipe("optimizer = 'adam'\nmax_epochs = 2\ntarget_cross_entropy = 0");
        let (trained, epochs) = run(&used_up, 1).unwrap();
        assert_eq!((trained.stop, trained.epochs, epochs.len()), (Stop::MaxEpochs, 2, 2));
    }

    #[test]
    fn stored_weights_are_rounded_and_what_is_said_of_them_is_true() {
        let training = "optimizer = 'sgd'\nmax_epochs = 3\ncompute = 'bfloat16'";
        let mut half = recipe(training);
        half.stored_precision = Precision::Bfloat16;
        let (train_data, _) = half.synthetic.as_ref().unwrap().draw(half.seed).unwrap();
        let (trained, _) = run(&half, 1).unwrap();
        for network in [&trained.initial, &trained.network] {
            for parameter in network.parameters() {
                assert_eq!(parameter.tensor.kind(), Kind::Float);
                let there_and_back = parameter.tensor.to_kind(Kind::BFloat16).to_kind(Kind::Float);
                assert!(there_and_back.equal(parameter.tensor));
            }
        }
        let (kernel, bias) =
            (values(&trained.network.weights()[1][0]), values(&trained.network.weights()[1][1]));
        let (expected, ..) = softmax_regression(&kernel, &bias, &train_data);
        assert_close(&[trained.train.cross_entropy], &[expected.cross_entropy], 1e-6);
        // Rounded weights and numbers of 8 bits still train like exact ones, nearly.
        let (exact, _) = run(&recipe("optimizer = 'sgd'\nmax_epochs = 3"), 1).unwrap();
        assert_close(
            &values(&trained.network.weights()[1][0]),
            &values(&exact.network.weights()[1][0]),
            0.03,
        );
        assert_ne!(values(&trained.network.weights()[1][0]), values(&exact.network.weights()[1][0]));
    }

    #[test]
    fn the_same_recipe_gives_the_same_network() {
        let recipe = recipe("optimizer = 'adam'\nmax_epochs = 4");
        let weights = |id| values(&run(&recipe, id).unwrap().0.network.weights()[1][0]);
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(3));
    }

    #[test]
    fn divergence_is_an_error() {
        let mut wild = recipe("optimizer = 'sgd'\nmax_epochs = 400");
        wild.fixed.insert("lr".into(), 100.0);
        match run(&wild, 2).unwrap_err() {
            TrainError::Diverged { id: 2, loss, .. } => assert!(!loss.is_finite()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_learning_rate_rises_then_falls() {
        let schedule = |training: &str, bs: u64| {
            let recipe = recipe(training);
            Schedule::new(&recipe.training, &recipe.settings(bs).unwrap(), 12).unwrap()
        };
        // Batches of 5: three steps per epoch.
        let flat = schedule("optimizer = 'sgd'\nmax_epochs = 4", 1);
        assert!([0, 5, 11].iter().all(|step| flat.learning_rate(*step) == 0.25));
        let linear = schedule("optimizer = 'sgd'\nmax_epochs = 4\ndecay = 'linear'", 1);
        assert_close(&[0, 3, 9].map(|step| linear.learning_rate(step)), &[0.25, 0.1875, 0.0625], 1e-15);
        let cosine = schedule("optimizer = 'sgd'\nmax_epochs = 4\ndecay = 'cosine'", 1);
        assert_close(&[0, 4, 6].map(|step| cosine.learning_rate(step)), &[0.25, 0.1875, 0.125], 1e-15);
        let warm = schedule("optimizer = 'sgd'\nmax_epochs = 4\nwarmup_epochs = 1", 1);
        assert_close(
            &[0, 1, 2, 3].map(|step| warm.learning_rate(step)),
            &[0.0625, 0.125, 0.1875, 0.25],
            1e-15,
        );
        let scaled = schedule("optimizer = 'sgd'\nmax_epochs = 4\nlr_batch_exponent = 1", 0);
        assert_close(&[scaled.learning_rate(0)], &[0.25 * 12.0 / 32.0], 1e-15);
    }

    #[test]
    fn orders_are_permutations_and_all_are_equally_likely() {
        let mut generator = ChaCha20Rng::seed_from_u64(5);
        let mut sorted = permutation(1000, &mut generator);
        assert_ne!(sorted, (0..1000).collect::<Vec<i64>>());
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<i64>>());
        assert!(permutation(0, &mut generator).is_empty());
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            *counts.entry(permutation(3, &mut generator)).or_insert(0u32) += 1;
        }
        // Six orders, 1,000 expected of each, standard deviation 29.
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
