//! Task learners: one small network per task, all of them trained at once.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::model::{Ready, Rows, Source};
use crate::random::Draws;
use crate::task::Tasks;

/// What stands between a learner's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, z).
    #[default]
    Relu,
    /// z for z > 0, else 0.01·z.
    LeakyRelu,
    /// z for z > 0, else eᶻ − 1.
    Elu,
    /// The hyperbolic tangent.
    Tanh,
    /// 1/(1 + e⁻ᶻ).
    Sigmoid,
}

impl Activation {
    pub(crate) fn apply(self, input: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Relu => input.f_relu()?,
            Self::LeakyRelu => input.f_leaky_relu()?,
            Self::Elu => input.f_elu()?,
            Self::Tanh => input.f_tanh()?,
            Self::Sigmoid => input.f_sigmoid()?,
        })
    }
}

/// A learner: a dense network 1 → hidden… → 1 and its training, by full-batch gradient descent on the squared error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Learner {
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
    /// What stands between the layers.
    pub activation: Activation,
    /// Learning rate.
    pub lr: f64,
    /// Steps of training.
    pub steps: u64,
}

impl Default for Learner {
    fn default() -> Self {
        Self { hidden: vec![40, 40], activation: Activation::Relu, lr: 0.01, steps: 16 }
    }
}

/// What is added to a learner's training loss.
#[derive(Debug, Clone, Copy)]
pub enum Regularizer<'a> {
    /// Nothing.
    None,
    /// λ·NC of the learner, with the test rows' inputs.
    Complexity {
        /// The model.
        model: &'a Ready,
        /// λ.
        weight: f64,
    },
    /// λ·Σw² over weights and biases.
    L2(f64),
    /// λ·Σ|w| over weights and biases.
    L1(f64),
}

/// The parameters of T learners: per layer weights `[T, inputs, outputs]` and biases `[T, 1, outputs]`.
pub type Parameters = Vec<Tensor>;

/// T learners before a step, or after the last.
#[derive(Debug)]
pub struct Moment {
    /// How many steps were done.
    pub step: u64,
    /// h(X_tr): `[T, m, 1]`.
    pub train_outputs: Tensor,
    /// h(X_te): `[T, n, 1]`.
    pub test_outputs: Tensor,
    /// L̂, the mean squared error of the train rows: `[T]`.
    pub train_loss: Tensor,
    /// The mean squared error of the test rows: `[T]`.
    pub test_loss: Tensor,
}

impl Moment {
    /// G = L − L̂ with L on the test rows: `[T]`.
    pub fn gap(&self) -> Result<Tensor> {
        Ok(self.test_loss.f_sub(&self.train_loss)?)
    }

    /// What the model sees of the learners.
    pub fn rows(&self, tasks: &Tasks) -> Rows {
        Rows {
            source: Source::Inputs,
            train_losses: None,
            train_inputs: tasks.train_inputs.shallow_clone(),
            train_targets: tasks.train_targets.shallow_clone(),
            train_outputs: self.train_outputs.shallow_clone(),
            test_inputs: tasks.test_inputs.shallow_clone(),
            test_outputs: self.test_outputs.shallow_clone(),
        }
    }
}

impl Learner {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(width) = self.hidden.iter().find(|width| !(1..=1 << 16).contains(*width)) {
            return Err(NcError::value("learner.hidden", width, "widths between 1 and 65536"));
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return Err(NcError::value("learner.lr", self.lr, "positive and finite"));
        }
        if !(1..=1_000_000).contains(&self.steps) {
            return Err(NcError::value("learner.steps", self.steps, "between 1 and 1000000"));
        }
        Ok(())
    }

    /// Initial parameters of `count` learners: of a layer with k inputs, uniform in ±1/√k.
    pub fn initialize(&self, count: i64, draws: &mut Draws, device: Device) -> Result<Parameters> {
        let mut parameters = Vec::new();
        let mut inputs = 1;
        for outputs in self.hidden.iter().copied().chain([1]) {
            let bound = 1.0 / (inputs as f64).sqrt();
            parameters.push(draws.uniform(&[count, inputs, outputs], -bound, bound, device)?);
            parameters.push(draws.uniform(&[count, 1, outputs], -bound, bound, device)?);
            inputs = outputs;
        }
        Ok(parameters)
    }

    /// h of each learner on its own rows: `[T, k, 1]` to `[T, k, 1]`.
    pub fn outputs(&self, parameters: &[Tensor], inputs: &Tensor) -> Result<Tensor> {
        let mut hidden = inputs.shallow_clone();
        for (layer, pair) in parameters.chunks_exact(2).enumerate() {
            if layer > 0 {
                hidden = self.activation.apply(&hidden)?;
            }
            hidden = pair[1].f_baddbmm(&hidden, &pair[0], 1, 1)?;
        }
        Ok(hidden)
    }

    /// The derivatives of Σ_t loss_t by all learners' parameters. With `differentiable`, they can be differentiated
    /// again, by what the parameters were made from.
    fn gradients(loss: &Tensor, parameters: &[Tensor], differentiable: bool) -> Result<Vec<Tensor>> {
        let total = loss.f_sum(Kind::Float)?;
        Ok(Tensor::f_run_backward(&[total], parameters, differentiable, differentiable)?)
    }

    /// Trains learners, telling of each moment: before the first step, and after each. Gives their final parameters.
    ///
    /// The learners do not see each other: the loss is summed over tasks, so that each follows its own gradient.
    pub fn train(
        &self,
        tasks: &Tasks,
        initial: Parameters,
        regularizer: Regularizer,
        on_moment: &mut dyn FnMut(Moment) -> Result<()>,
    ) -> Result<Parameters> {
        let rows = tasks.train_inputs.size()[1];
        let inputs = Tensor::f_cat(&[&tasks.train_inputs, &tasks.test_inputs], 1)?;
        let mut parameters = initial;
        for step in 0..=self.steps {
            for parameter in &mut parameters {
                *parameter = parameter.f_detach()?.f_set_requires_grad(step < self.steps)?;
            }
            let outputs = self.outputs(&parameters, &inputs)?;
            let train_outputs = outputs.f_narrow(1, 0, rows)?;
            let test_outputs = outputs.f_narrow(1, rows, outputs.size()[1] - rows)?;
            let train_loss = squared_error(&train_outputs, &tasks.train_targets)?;
            let moment = Moment {
                step,
                train_outputs: train_outputs.f_detach()?,
                train_loss: train_loss.f_detach()?,
                test_loss: squared_error(&test_outputs.f_detach()?, &tasks.test_targets)?,
                test_outputs: test_outputs.f_detach()?,
            };
            if step < self.steps {
                let attached = Moment { train_outputs, test_outputs, ..moment_of(&moment) };
                let loss = match regularizer {
                    Regularizer::None => train_loss,
                    Regularizer::Complexity { model, weight } => {
                        let complexity = model.complexity(&attached.rows(tasks))?;
                        train_loss.f_add(&complexity.f_mul_scalar(weight)?)?
                    }
                    Regularizer::L2(weight) => penalized(&train_loss, &parameters, weight, Tensor::f_square)?,
                    Regularizer::L1(weight) => penalized(&train_loss, &parameters, weight, Tensor::f_abs)?,
                };
                let gradients = Self::gradients(&loss, &parameters, false)?;
                for (parameter, gradient) in parameters.iter_mut().zip(&gradients) {
                    *parameter = parameter.f_detach()?.f_sub(&gradient.f_mul_scalar(self.lr)?)?;
                }
            }
            on_moment(moment)?;
        }
        Ok(parameters)
    }

    /// Trains learners from parameters through which derivatives are wanted, without regularizer: the inner loop of
    /// MAML. Gives final parameters that depend differentiably on the initial ones.
    pub fn train_differentiably(&self, tasks: &Tasks, initial: &[Tensor]) -> Result<Parameters> {
        let mut parameters: Parameters = initial.iter().map(Tensor::shallow_clone).collect();
        for _ in 0..self.steps {
            let loss = squared_error(&self.outputs(&parameters, &tasks.train_inputs)?, &tasks.train_targets)?;
            let gradients = Self::gradients(&loss, &parameters, true)?;
            for (parameter, gradient) in parameters.iter_mut().zip(&gradients) {
                *parameter = parameter.f_sub(&gradient.f_mul_scalar(self.lr)?)?;
            }
        }
        Ok(parameters)
    }
}

fn moment_of(moment: &Moment) -> Moment {
    Moment {
        step: moment.step,
        train_outputs: moment.train_outputs.shallow_clone(),
        test_outputs: moment.test_outputs.shallow_clone(),
        train_loss: moment.train_loss.shallow_clone(),
        test_loss: moment.test_loss.shallow_clone(),
    }
}

/// Mean squared error of each task: `[T, k, 1]` twice to `[T]`.
pub fn squared_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(outputs.f_sub(targets)?.f_square()?.f_mean_dim([1, 2].as_slice(), false, Kind::Float)?)
}

fn penalized(
    loss: &Tensor,
    parameters: &[Tensor],
    weight: f64,
    of_each: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
) -> Result<Tensor> {
    let mut total = loss.shallow_clone();
    for parameter in parameters {
        let norm = of_each(parameter)?.f_sum_dim_intlist([1, 2].as_slice(), false, Kind::Float)?;
        total = total.f_add(&norm.f_mul_scalar(weight)?)?;
    }
    Ok(total)
}
