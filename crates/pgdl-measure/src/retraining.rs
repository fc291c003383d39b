//! An architecture trained anew, once or several times side by side.

use std::rc::Rc;

use pgdl_network::{Mode, Network};
use tch::{COptimizer, Reduction, Tensor};

use crate::error::MeasureError;
use crate::generator::Generator;
use crate::perturbed::Perturbed;
use crate::probe::Probe;

/// The architecture of a probe's network, BatchNormalization folded, to be trained on samples of the probe: all that
/// retraining measures take of the network, with its initial weights.
///
/// Training is in evaluation mode: without dropout, augmentation or batch statistics.
#[derive(Debug)]
pub struct Retraining<'a> {
    probe: &'a Probe,
    network: Rc<Network>,
    initial: Tensor,
}

/// How long and how fast: Adam on the mean cross-entropy of batches, with a rate that falls to 0 in a straight line.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Samples of a step.
    pub batch: usize,
    /// Passes over the samples, each in a random order.
    pub epochs: usize,
    /// Adam's rate at its start.
    pub rate: f64,
}

/// What one training starts from, and on what.
#[derive(Debug)]
pub struct Training {
    /// Initial weights, `[P]`.
    pub start: Tensor,
    /// Indices of its samples in the probe's.
    pub samples: Vec<i64>,
    /// The generator of its orders.
    pub order: Generator,
}

impl<'a> Retraining<'a> {
    /// Of the probe's network.
    ///
    /// # Errors
    /// Unavailable where there are no initial weights; undefined where there is nothing to train.
    pub fn new(probe: &'a Probe) -> Result<Self, MeasureError> {
        let network = probe.folded_initial()?;
        let initial = network.trainable_vector()?;
        if initial.numel() == 0 {
            return MeasureError::undefined("the network has no parameters to be trained");
        }
        if initial.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return MeasureError::undefined("the network has initial weights that are not finite");
        }
        Ok(Self { probe, network, initial })
    }

    /// The network with its initial weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its initial weights, `[P]`.
    pub fn initial(&self) -> &Tensor {
        &self.initial
    }

    /// Weights from the same distribution as the initial ones, `[P]`: each initial tensor with its values in random order,
    /// where values were drawn independently.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn fresh_start(&self, generator: &mut Generator) -> Result<Tensor, MeasureError> {
        let parts = self
            .network
            .parameters()
            .filter(|parameter| parameter.spec.role.trainable())
            .map(|parameter| Ok(generator.shuffled(parameter.tensor)?.f_reshape([-1])?))
            .collect::<Result<Vec<_>, MeasureError>>()?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }

    /// The weights after `trainings`, `[k, P]`, as many of them side by side as fill the device. Each has as many samples.
    ///
    /// Counted as k · epochs · m forward and backward passes.
    ///
    /// # Errors
    /// Time is up; there is no training, or they have different numbers of samples.
    pub fn train(&self, trainings: &mut [Training], schedule: Schedule) -> Result<Tensor, MeasureError> {
        let samples = trainings.first().map_or(0, |training| training.samples.len());
        if samples == 0 || trainings.iter().any(|training| training.samples.len() != samples) {
            return MeasureError::failed("trainings side by side need one number of samples each");
        }
        let count = trainings.len();
        let mut trained = Vec::new();
        for part in trainings.chunks_mut(self.side_by_side(schedule.batch.min(samples))?) {
            let before = trained.len();
            trained.extend(self.train_together(part, schedule).map_err(|error| match error {
                MeasureError::Timeout(reason) if count > 1 => {
                    MeasureError::Timeout(format!("{reason}; {before} of {count} networks are trained"))
                }
                other => other,
            })?);
        }
        Ok(Tensor::f_stack(&trained, 0)?)
    }

    fn train_together(
        &self,
        trainings: &mut [Training],
        schedule: Schedule,
    ) -> Result<Vec<Tensor>, MeasureError> {
        let Schedule { batch: length, epochs, rate } = schedule;
        let length = length.max(1);
        let copies = trainings.len() as i64;
        let samples = trainings.first().map_or(0, |training| training.samples.len());
        let starts: Vec<&Tensor> = trainings.iter().map(|training| &training.start).collect();
        let leaf = Tensor::f_stack(&starts, 0)?.f_set_requires_grad(true)?;
        let mut optimizer = COptimizer::adam(rate, 0.9, 0.999, 0.0, 1e-8, false)?;
        optimizer.add_parameters(&leaf, 0)?;
        let steps = epochs * samples.div_ceil(length);
        let mut step = 0;
        for _ in 0..epochs {
            let orders: Vec<Vec<i64>> =
                trainings.iter_mut().map(|training| training.order.permutation(samples)).collect();
            for start in (0..samples).step_by(length) {
                self.probe.check_deadline().map_err(|error| match error {
                    MeasureError::Timeout(reason) => MeasureError::Timeout(format!(
                        "{reason}; after {step} of {steps} steps of training on {samples} samples"
                    )),
                    other => other,
                })?;
                let batch = start..(start + length).min(samples);
                let rows: Vec<i64> = trainings
                    .iter()
                    .zip(&orders)
                    .flat_map(|(training, order)| {
                        order[batch.clone()].iter().map(|at| training.samples[*at as usize])
                    })
                    .collect();
                let loss = self.loss(&leaf, &rows, copies)?;
                optimizer.set_learning_rate(rate * (1.0 - step as f64 / steps as f64))?;
                optimizer.zero_grad()?;
                loss.f_backward()?;
                optimizer.step()?;
                self.probe.count_forward(rows.len() as i64);
                self.probe.count_backward(rows.len() as i64);
                step += 1;
            }
        }
        let trained = leaf.f_detach()?;
        (0..copies).map(|copy| Ok(trained.f_get(copy)?)).collect()
    }

    /// The mean cross-entropies of all copies, `[R, P]`, on the samples `rows`, as many for each, added up.
    fn loss(&self, weights: &Tensor, rows: &[i64], copies: i64) -> Result<Tensor, MeasureError> {
        let index = Tensor::f_from_slice(rows)?.f_to_device(self.probe.device())?;
        let inputs = self.probe.inputs().f_index_select(0, &index)?;
        let labels = self.probe.labels().f_index_select(0, &index)?;
        let mean = |logits: &Tensor| {
            logits.f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0)
        };
        if copies == 1 {
            let network = self.network.with_trainable_vector(&weights.f_get(0)?)?;
            return Ok(mean(&network.forward(&inputs, Mode::Evaluate)?)?);
        }
        let length = rows.len() as i64 / copies;
        let apart = [&[copies, length], &inputs.size()[1..]].concat();
        let logits = self.network.forward_copies(weights, &inputs.f_reshape(apart)?)?;
        Ok(mean(&logits.f_reshape([rows.len() as i64, -1])?)?.f_mul_scalar(copies)?)
    }

    /// The outputs `[k, q, C]`, without gradients, of the networks with the weights `[k, P]`, each on q samples of its own.
    /// Counted as k q / n forward passes.
    ///
    /// # Errors
    /// Time is up; undefined where an output is not finite.
    pub fn outputs(&self, weights: &Tensor, samples: &[Vec<i64>]) -> Result<Tensor, MeasureError> {
        let index = self.index(samples)?;
        let (copies, count) = index.size2()?;
        let length = self.probe.batch_size().min(count);
        let together = self.side_by_side(length as usize)? as i64;
        let networks = Perturbed::at(self.probe, &self.network)?;
        let mut parts = Vec::new();
        for first in (0..copies).step_by(together as usize) {
            let group = together.min(copies - first);
            let (weights, index) = (weights.f_narrow(0, first, group)?, index.f_narrow(0, first, group)?);
            let mut outputs = Vec::new();
            for start in (0..count).step_by(length.max(1) as usize) {
                self.probe.check_deadline()?;
                let batch = index.f_narrow(1, start, length.min(count - start))?;
                outputs.push(networks.outputs(&weights, &batch)?);
            }
            parts.push(Tensor::f_cat(&outputs, 1)?);
        }
        let outputs = Tensor::f_cat(&parts, 0)?;
        if outputs.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return MeasureError::undefined("the outputs of a network that was trained anew are not finite");
        }
        Ok(outputs)
    }

    /// The labels `[k, q]` of the samples of k lists of q.
    ///
    /// # Errors
    /// The lists are of different lengths.
    pub fn labels_of(&self, samples: &[Vec<i64>]) -> Result<Tensor, MeasureError> {
        let index = self.index(samples)?;
        Ok(self.probe.labels().f_index_select(0, &index.f_reshape([-1])?)?.f_reshape(index.size())?)
    }

    /// Whether there is anything to learn.
    ///
    /// # Errors
    /// Undefined where all samples have the same label.
    pub fn check_labels(&self) -> Result<(), MeasureError> {
        let labels = self.probe.labels();
        if labels.f_max()?.f_int64_value(&[])? == labels.f_min()?.f_int64_value(&[])? {
            return MeasureError::undefined("all samples have the same label: there is nothing to learn");
        }
        Ok(())
    }

    fn index(&self, samples: &[Vec<i64>]) -> Result<Tensor, MeasureError> {
        let rows: Vec<Tensor> =
            samples.iter().map(|rows| Tensor::f_from_slice(rows)).collect::<Result<_, _>>()?;
        Ok(Tensor::f_stack(&rows, 0)?.f_to_device(self.probe.device())?)
    }

    fn side_by_side(&self, samples: usize) -> Result<usize, MeasureError> {
        let copies = Perturbed::at(self.probe, &self.network)?.copies_at_once(samples as i64);
        Ok(usize::try_from(copies).unwrap_or(1).max(1))
    }
}
