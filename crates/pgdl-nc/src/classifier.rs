//! Learners of classification: one small network per task, all of them trained at once.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::images::{Gap, ImageTasks, Images, Look};
use crate::learner::{Activation, Parameters, Regularizer};
use crate::model::{Rows, Source};
use crate::random::Draws;

/// Learners: convolutions of 3 × 3 pixels and stride 2, then dense layers, trained by stochastic gradient descent on the
/// cross-entropy.
///
/// The learners of an episode have one shape, drawn from those given; rate and decay are drawn for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Classifier {
    /// Channels after each convolution: the alternatives. An empty one has no convolution.
    pub filters: Vec<Vec<i64>>,
    /// Widths of the hidden dense layers: the alternatives.
    pub hidden: Vec<Vec<i64>>,
    /// What stands between the layers.
    pub activation: Activation,
    /// Learning rate, least and most; drawn uniformly on a logarithmic scale.
    pub lr: [f64; 2],
    /// Momentum.
    pub momentum: f64,
    /// Weight decay, least and most; drawn likewise. Least 0: none.
    pub weight_decay: [f64; 2],
    /// Examples per step.
    pub batch: i64,
    /// Steps of training.
    pub steps: u64,
    /// Steps between snapshots; the last step always has one.
    pub every: u64,
}

impl Default for Classifier {
    fn default() -> Self {
        Self {
            filters: vec![vec![]],
            hidden: vec![vec![64]],
            activation: Activation::Relu,
            lr: [0.02, 0.2],
            momentum: 0.9,
            weight_decay: [0.0, 0.0],
            batch: 32,
            steps: 200,
            every: 20,
        }
    }
}

/// The shape of an episode's learners.
#[derive(Debug, Clone)]
struct Shape {
    image: (i64, i64),
    filters: Vec<i64>,
    widths: Vec<i64>,
}

/// T learners at one moment of their training, on all their examples.
#[derive(Debug)]
pub struct Seen {
    /// Steps done.
    pub step: u64,
    /// Probabilities of classes, on the image and on each further look at it side by side: `[T, m + n, looks · c]`.
    pub outputs: Tensor,
    /// Cross-entropy of each example: `[T, m + n]`.
    pub losses: Tensor,
    /// 1 where the largest output is another class's, else 0: `[T, m + n]`.
    pub errors: Tensor,
    /// m.
    pub train: i64,
}

impl Seen {
    /// G over all examples: `[T]`.
    pub fn gap(&self, gap: Gap) -> Result<Tensor> {
        let each = self.each(gap);
        let mean = |start, length| each.f_narrow(1, start, length)?.f_mean_dim(1, false, Kind::Float);
        Ok(mean(self.train, each.size()[1] - self.train)?.f_sub(&mean(0, self.train)?)?)
    }

    /// G over some training examples and some test examples, by their columns: `[T]`.
    pub fn gap_on(&self, gap: Gap, train: &Tensor, test: &Tensor) -> Result<Tensor> {
        let each = self.each(gap);
        let mean = |columns: &Tensor| each.f_index_select(1, columns)?.f_mean_dim(1, false, Kind::Float);
        Ok(mean(test)?.f_sub(&mean(train)?)?)
    }

    fn each(&self, gap: Gap) -> &Tensor {
        match gap {
            Gap::CrossEntropy => &self.losses,
            Gap::Error => &self.errors,
        }
    }
}

impl Classifier {
    pub(crate) fn check(&self) -> Result<()> {
        for (key, shapes) in [("filters", &self.filters), ("hidden", &self.hidden)] {
            let wrong = shapes.is_empty()
                || shapes.iter().any(|shape| shape.len() > 16)
                || shapes.iter().flatten().any(|width| !(1..=1 << 14).contains(width));
            if wrong {
                let found = format!("{shapes:?}");
                let allowed = "lists of at most 16 widths between 1 and 16384, at least one list";
                return Err(NcError::value(format!("classifier.{key}"), found, allowed));
            }
        }
        let rates = [("lr", self.lr, f64::MIN_POSITIVE), ("weight_decay", self.weight_decay, 0.0)];
        for (key, range, least) in rates {
            if !(range[0] >= least && range[0] <= range[1] && range[1] <= 1e3) {
                let found = format!("{range:?}");
                return Err(NcError::value(format!("classifier.{key}"), found, "two numbers in order"));
            }
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(NcError::value("classifier.momentum", self.momentum, "from 0 to below 1"));
        }
        for (key, value) in [("batch", self.batch as u64), ("steps", self.steps), ("every", self.every)] {
            if !(1..=10_000_000).contains(&value) {
                return Err(NcError::value(format!("classifier.{key}"), value, "between 1 and 10000000"));
            }
        }
        Ok(())
    }

    /// Snapshots of one learner's training.
    pub fn moments(&self) -> u64 {
        self.steps.div_ceil(self.every)
    }

    fn shape(&self, images: &Images, draws: &mut Draws) -> Shape {
        let filters = self.filters[draws.places(1, self.filters.len())[0]].clone();
        let mut widths = self.hidden[draws.places(1, self.hidden.len())[0]].clone();
        widths.push(images.classes);
        Shape { image: (images.view.size, images.view.channels), filters, widths }
    }

    /// Trains a learner on every task, telling of each moment.
    ///
    /// Each step's NC sees, as rows, the step's own training batch and as many test examples.
    pub fn train(
        &self,
        images: &Images,
        tasks: &ImageTasks,
        regularizer: Regularizer,
        draws: &mut Draws,
        on_moment: &mut dyn FnMut(Seen, &mut Draws) -> Result<()>,
    ) -> Result<()> {
        let device = tasks.inputs.device();
        let count = tasks.len();
        let shape = self.shape(images, draws);
        let mut each = |range: [f64; 2]| -> Result<Tensor> {
            if range[0] == 0.0 {
                let _ = draws.uniform(&[count], 0.0, 1.0, device)?;
                return Ok(Tensor::f_zeros([count], (Kind::Float, device))?);
            }
            Ok(draws.uniform(&[count], range[0].ln(), range[1].ln().max(range[0].ln()), device)?.f_exp()?)
        };
        let (rates, decays) = (each(self.lr)?, each(self.weight_decay)?);
        let mut parameters = shape.initialize(count, draws, device)?;
        let mut velocities: Parameters =
            parameters.iter().map(Tensor::f_zeros_like).collect::<Result<_, _>>()?;
        let embedded = match &regularizer {
            Regularizer::Complexity { model, .. } => Some(model.embed_images(&tasks.inputs)?),
            Regularizer::None => None,
            Regularizer::L1(_) | Regularizer::L2(_) => {
                return Err(NcError::value(
                    "the regularizer",
                    "L1 or L2",
                    "none or NC: there is weight_decay",
                ));
            }
        };
        // Where each task's examples begin in the list of all.
        let starts =
            Tensor::f_arange(count, (Kind::Int64, device))?.f_mul_scalar(tasks.examples())?.f_unsqueeze(1)?;
        let labels = tasks.labels.f_reshape([-1])?;
        let batch = self.batch.min(tasks.train);
        for step in 0..self.steps {
            for parameter in &mut parameters {
                *parameter = parameter.f_detach()?.f_set_requires_grad(true)?;
            }
            let drawn = draws.indices(count * batch, tasks.train, device)?.f_view([count, batch])?;
            let train = drawn.f_add(&starts)?;
            let mut rows = vec![train.shallow_clone()];
            if embedded.is_some() {
                let among = tasks.examples() - tasks.train;
                let drawn = draws.indices(count * batch, among, device)?.f_view([count, batch])?;
                rows.push(drawn.f_add_scalar(tasks.train)?.f_add(&starts)?);
            }
            let rows = Tensor::f_cat(&rows, 1)?;
            let inputs = tasks.inputs.f_index_select(0, &rows.f_reshape([-1])?)?;
            let logits =
                shape.logits(self.activation, &parameters, &inputs.f_view([count, rows.size()[1], -1])?)?;
            let targets = labels.f_index_select(0, &train.f_reshape([-1])?)?.f_view([count, batch])?;
            let losses = cross_entropies(&logits.f_narrow(1, 0, batch)?, &targets)?;
            let mut loss = losses.f_mean_dim(1, false, Kind::Float)?;
            if let (Regularizer::Complexity { model, weight }, Some(embedded)) = (&regularizer, &embedded) {
                let outputs = logits.f_softmax(-1, Kind::Float)?;
                let complexity = model.complexity(&Rows {
                    source: Source::Embedded(embedded.shallow_clone()),
                    train_losses: Some(losses),
                    train_inputs: train,
                    train_targets: targets.f_one_hot(tasks.classes)?.f_to_kind(Kind::Float)?,
                    train_outputs: outputs.f_narrow(1, 0, batch)?,
                    test_inputs: rows.f_narrow(1, batch, batch)?,
                    test_outputs: outputs.f_narrow(1, batch, batch)?,
                })?;
                loss = loss.f_add(&complexity.f_mul_scalar(*weight)?)?;
            }
            let gradients = Tensor::f_run_backward(&[loss.f_sum(Kind::Float)?], &parameters, false, false)?;
            tch::no_grad(|| -> Result<()> {
                for ((parameter, velocity), gradient) in
                    parameters.iter_mut().zip(&mut velocities).zip(&gradients)
                {
                    let by_task = |factors: &Tensor| {
                        let mut shape = vec![1; parameter.dim()];
                        shape[0] = count;
                        factors.f_view(&shape[..])
                    };
                    let decayed = gradient.f_addcmul(parameter, &by_task(&decays)?)?;
                    *velocity = velocity.f_mul_scalar(self.momentum)?.f_add(&decayed)?;
                    *parameter = parameter.f_sub(&velocity.f_mul(&by_task(&rates)?)?)?;
                }
                Ok(())
            })?;
            if (step + 1).is_multiple_of(self.every) || step + 1 == self.steps {
                let seen = self.look(&shape, &parameters, images, tasks, step + 1)?;
                on_moment(seen, draws)?;
            }
        }
        Ok(())
    }

    fn look(
        &self,
        shape: &Shape,
        parameters: &[Tensor],
        images: &Images,
        tasks: &ImageTasks,
        step: u64,
    ) -> Result<Seen> {
        tch::no_grad(|| {
            let inputs = tasks.inputs.f_view([tasks.len(), tasks.examples(), -1])?;
            let logits = shape.logits(self.activation, parameters, &inputs)?;
            let losses = cross_entropies(&logits, &tasks.labels)?;
            let errors = logits.f_argmax(-1, false)?.f_ne_tensor(&tasks.labels)?.f_to_kind(Kind::Float)?;
            let mut outputs = logits.f_softmax(-1, Kind::Float)?;
            if images.look == Look::Mirrored {
                let mirrored = shape.logits(self.activation, parameters, &images.view.mirrored(&inputs)?)?;
                outputs = Tensor::f_cat(&[outputs, mirrored.f_softmax(-1, Kind::Float)?], -1)?;
            }
            Ok(Seen { step, outputs, losses, errors, train: tasks.train })
        })
    }
}

impl Shape {
    /// Convolutional weights `[T, outputs, inputs, 3, 3]` and biases `[T, outputs]`, dense weights `[T, inputs, outputs]`
    /// and biases `[T, 1, outputs]`: normal-like spread of variance 2/k for k inputs (uniform), biases 0.
    fn initialize(&self, count: i64, draws: &mut Draws, device: Device) -> Result<Parameters> {
        let mut parameters = Vec::new();
        let (mut size, mut channels) = self.image;
        let zeros = |shape: &[i64]| Tensor::f_zeros(shape, (Kind::Float, device));
        for &filters in &self.filters {
            let bound = (6.0 / (9 * channels) as f64).sqrt();
            parameters.push(draws.uniform(&[count, filters, channels, 3, 3], -bound, bound, device)?);
            parameters.push(zeros(&[count, filters])?);
            (size, channels) = ((size + 1) / 2, filters);
        }
        let mut inputs = size * size * channels;
        for &outputs in &self.widths {
            let bound = (6.0 / inputs as f64).sqrt();
            parameters.push(draws.uniform(&[count, inputs, outputs], -bound, bound, device)?);
            parameters.push(zeros(&[count, 1, outputs])?);
            inputs = outputs;
        }
        Ok(parameters)
    }

    /// `[T, k, numbers]` to `[T, k, classes]`: all learners' convolutions are one, in groups.
    fn logits(&self, activation: Activation, parameters: &[Tensor], inputs: &Tensor) -> Result<Tensor> {
        let (count, rows) = (inputs.size()[0], inputs.size()[1]);
        let (convolutions, dense) = parameters.split_at(2 * self.filters.len());
        let mut hidden = inputs.shallow_clone();
        if !self.filters.is_empty() {
            let (size, channels) = self.image;
            hidden = hidden.f_view([count, rows, channels, size, size])?.f_transpose(0, 1)?.f_reshape([
                rows,
                count * channels,
                size,
                size,
            ])?;
            for pair in convolutions.chunks_exact(2) {
                let (weight, bias) = (pair[0].f_flatten(0, 1)?, pair[1].f_flatten(0, 1)?);
                let mapped = hidden.f_conv2d(&weight, Some(&bias), [2, 2], [1, 1], [1, 1], count)?;
                hidden = activation.apply(&mapped)?;
            }
            hidden = hidden.f_view([rows, count, -1])?.f_transpose(0, 1)?;
        }
        for (layer, pair) in dense.chunks_exact(2).enumerate() {
            if layer > 0 {
                hidden = activation.apply(&hidden)?;
            }
            hidden = pair[1].f_baddbmm(&hidden, &pair[0], 1, 1)?;
        }
        Ok(hidden)
    }
}

/// Cross-entropy of each row: logits `[T, k, c]` and classes `[T, k]` to `[T, k]`.
fn cross_entropies(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let logarithms = logits.f_log_softmax(-1, Kind::Float)?;
    Ok(logarithms.f_gather(-1, &labels.f_unsqueeze(-1)?, false)?.f_squeeze_dim(-1)?.f_neg()?)
}
