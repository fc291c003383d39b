//! The training loop of one network.

use pgdl_network::{Mode, Network};
use pgdl_zoo::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tch::{COptimizer, Device, Kind, Reduction, Tensor};

use crate::error::{Result, TrainError};
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
    /// Why training ended.
    pub stop: Stop,
    /// How many epochs it took.
    pub epochs: u32,
    /// The final network on the training sample.
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
    let mut step = 0;
    for epoch in 1..=plan.max_epochs {
        let order = permutation(train.len(), &mut generator);
        let running_loss = one_epoch(&network, &mut optimizer, &sample, &order, &schedule, &mut step)?;
        if !running_loss.is_finite() {
            return Err(TrainError::Diverged { id, epoch, loss: running_loss });
        }
        let mut report =
            Epoch { epoch, max_epochs: plan.max_epochs, running_loss, train_loss: None, train_accuracy: None };
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
        on_epoch(report)?;
        if reached || epoch == plan.max_epochs {
            let stop = if reached { Stop::TargetReached } else { Stop::MaxEpochs };
            let network = rounded(&network, recipe.stored_precision)?;
            let fits = (evaluate(&network, train)?, evaluate(&network, test)?);
            if !fits.0.cross_entropy.is_finite() {
                return Err(TrainError::Diverged { id, epoch, loss: fits.0.cross_entropy });
            }
            let network = network.to_device(Device::Cpu)?;
            return Ok(Trained { initial, network, stop, epochs: epoch, train: fits.0, test: fits.1 });
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

fn cross_entropy(logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Result<Tensor> {
    Ok(logits.f_cross_entropy_loss(labels, None::<&Tensor>, reduction, -100, 0.0)?)
}

/// A sample on the device, its inputs in the kind of numbers that passes use.
struct Sample {
    inputs: Tensor,
    labels: Tensor,
    kind: Kind,
    len: usize,
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

fn one_epoch(
    network: &Network,
    optimizer: &mut COptimizer,
    sample: &Sample,
    order: &[i64],
    schedule: &Schedule,
    step: &mut u64,
) -> Result<f64> {
    let device = network.device();
    let mut total = Tensor::f_zeros([1], (Kind::Double, device))?;
    for batch in order.chunks(schedule.batch) {
        optimizer.set_learning_rate(schedule.learning_rate(*step))?;
        let batch = Tensor::f_from_slice(batch)?.f_to_device(device)?;
        let x = sample.inputs.f_index_select(0, &batch)?;
        let y = sample.labels.f_index_select(0, &batch)?;
        // Gradients pass through the conversion to the 32-bit leaves.
        let logits = network.to_kind(sample.kind)?.forward(&x, Mode::Train)?.f_to_kind(Kind::Float)?;
        let loss = cross_entropy(&logits, &y, Reduction::Mean)?;
        optimizer.zero_grad()?;
        loss.f_backward()?;
        optimizer.step()?;
        let count = y.size().first().copied().unwrap_or(0) as f64;
        total = total.f_add(&loss.f_detach()?.f_to_kind(Kind::Double)?.f_mul_scalar(count)?)?;
        *step += 1;
    }
    Ok(f64::try_from(total.f_sum(Kind::Double)?)? / order.len().max(1) as f64)
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
fn below(bound: u64, generator: &mut ChaCha20Rng) -> u64 {
    let zone = u64::MAX - u64::MAX % bound;
    loop {
        let draw = generator.next_u64();
        if draw < zone {
            return draw % bound;
        }
    }
}
