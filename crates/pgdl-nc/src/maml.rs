//! Model-agnostic meta-learning (Finn et al. 2017): an initialization from which learners learn fast.

use tch::{Device, Kind, Tensor};

use crate::adam::Adam;
use crate::error::{NcError, Result};
use crate::learner::{Learner, Parameters};
use crate::random::Draws;
use crate::task::Sinusoids;

/// How an initialization is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Maml {
    /// Outer steps.
    pub steps: u64,
    /// Tasks per outer step.
    pub batch: i64,
    /// Adam's learning rate.
    pub lr: f64,
}

impl Maml {
    /// Finds an initialization: parameters of one learner, as of [`Learner::initialize`] with a count of 1. The outer loss
    /// is the mean squared error of the test rows after `learner.steps` steps, differentiated through all of them.
    ///
    /// # Errors
    /// [`NcError::Diverged`] when it is no longer finite.
    pub fn initialize(
        &self,
        learner: &Learner,
        tasks: &Sinusoids,
        seed: u64,
        device: Device,
        on_step: &mut dyn FnMut(u64, f64) -> Result<()>,
    ) -> Result<Parameters> {
        let start = learner.initialize(1, &mut Draws::new(seed, "maml initialization", 0), device)?;
        let sizes: Vec<Vec<i64>> = start.iter().map(Tensor::size).collect();
        let flat: Vec<Tensor> = start.iter().map(|part| part.f_reshape([-1])).collect::<Result<_, _>>()?;
        let mut parameters = Tensor::f_cat(&flat, 0)?;
        let mut adam = Adam::new(parameters.numel() as i64, device)?;
        for step in 0..self.steps {
            let tasks = tasks.draw(self.batch, &mut Draws::new(seed, "maml tasks", step), device)?;
            let leaf = parameters.f_detach()?.f_set_requires_grad(true)?;
            let initial: Parameters = parts(&leaf, &sizes)?
                .iter()
                .map(|part| part.f_expand([self.batch, part.size()[1], part.size()[2]], false))
                .collect::<Result<_, _>>()?;
            let trained = learner.train_differentiably(&tasks, &initial)?;
            let outputs = learner.outputs(&trained, &tasks.test_inputs)?;
            let loss = outputs.f_sub(&tasks.test_targets)?.f_square()?.f_mean(Kind::Float)?;
            let gradient = Tensor::f_run_backward(&[&loss], &[&leaf], false, false)?;
            let loss = f64::try_from(&loss)?;
            if !loss.is_finite() {
                return Err(NcError::Diverged { step: step + 1, loss });
            }
            adam.step(&mut parameters, &gradient[0], self.lr, step + 1)?;
            on_step(step + 1, loss)?;
        }
        parts(&parameters, &sizes)
    }
}

fn parts(flat: &Tensor, sizes: &[Vec<i64>]) -> Result<Parameters> {
    let mut offset = 0;
    let mut parts = Vec::new();
    for size in sizes {
        let count = size.iter().product();
        parts.push(flat.f_narrow(0, offset, count)?.f_view(&size[..])?);
        offset += count;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From where MAML starts, learners end better than from a random start, and better than with its first steps.
    #[test]
    fn the_outer_loss_falls() {
        let learner = Learner { steps: 3, hidden: vec![20], ..Learner::default() };
        let maml = Maml { steps: 120, batch: 32, lr: 5e-3 };
        let mut losses = Vec::new();
        maml.initialize(&learner, &Sinusoids::default(), 1, Device::Cpu, &mut |_, loss| {
            losses.push(loss);
            Ok(())
        })
        .unwrap();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..30]), mean(&losses[90..]));
        assert!(last < 0.85 * first, "{first} before, {last} after");
    }
}
