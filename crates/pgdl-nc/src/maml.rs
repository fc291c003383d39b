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
    use crate::learner::Regularizer;

    /// On other tasks, learners from MAML's initialization end better than from the random one that it began with.
    #[test]
    fn learners_learn_faster() {
        let learner = Learner { steps: 3, hidden: vec![20], ..Learner::default() };
        let sinusoids = Sinusoids::default();
        let maml = Maml { steps: 150, batch: 32, lr: 1e-2 };
        let found = maml.initialize(&learner, &sinusoids, 1, Device::Cpu, &mut |_, _| Ok(())).unwrap();
        let random =
            learner.initialize(1, &mut Draws::new(1, "maml initialization", 0), Device::Cpu).unwrap();
        let tasks = sinusoids.draw(256, &mut Draws::new(2, "other tasks", 0), Device::Cpu).unwrap();
        let loss_from = |start: &Parameters| -> f64 {
            let start: Parameters = start.iter().map(|part| part.repeat([256, 1, 1])).collect();
            let mut last = 0.0;
            learner
                .train(&tasks, start, Regularizer::None, &mut |moment| {
                    last = moment.test_loss.mean(Kind::Double).double_value(&[]);
                    Ok(())
                })
                .unwrap();
            last
        };
        let (before, after) = (loss_from(&random), loss_from(&found));
        assert!(after < 0.9 * before, "{before} before, {after} after");
    }
}
