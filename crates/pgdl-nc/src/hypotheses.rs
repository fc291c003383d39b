//! The hypotheses that a recipe's model is trained on: its tasks and their learners, of either form.

use pgdl_zoo::fetch::Progress;
use tch::{Device, Kind, Tensor};

use crate::bank::Column;
use crate::classifier::Classifier;
use crate::error::{NcError, Result};
use crate::images::{ImageTasks, Images, Over, Pool};
use crate::learner::{Learner, Regularizer};
use crate::model::{Rows, Shape, Source};
use crate::random::Draws;
use crate::recipe::{Form, Recipe};
use crate::snapshots::Snapshots;
use crate::task::{Sinusoids, Tasks};

/// Tasks and learners of a recipe, with the images that they need.
#[derive(Debug)]
pub struct Hypotheses {
    kind: Kinds,
    device: Device,
}

#[derive(Debug)]
enum Kinds {
    Sinusoids { tasks: Sinusoids, learner: Learner },
    Images { images: Box<Images>, classifier: Classifier, pools: [Pool; 2] },
}

/// Held-out tasks on images that have the number of their examples and the shape of their learners in common.
const GROUP: i64 = 8;

/// Which tasks are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Those that models are trained on.
    Training,
    /// Others, of other images.
    HeldOut,
}

/// Drawn tasks.
#[derive(Debug)]
pub enum Drawn {
    /// Of [`Form::Regression`].
    Sinusoids(Tasks),
    /// Of [`Form::Classification`], and of which half.
    Images(ImageTasks, Half),
}

impl Hypotheses {
    /// Those of a recipe. Data sets are fetched when they are missing, telling of it.
    pub fn of(recipe: &Recipe, device: Device, progress: Progress<'_>) -> Result<Self> {
        let kind = match recipe.form {
            Form::Regression => {
                let (tasks, learner) = recipe.regression()?;
                Kinds::Sinusoids { tasks: tasks.clone(), learner: learner.clone() }
            }
            Form::Classification => {
                let (images, classifier) = recipe.classification()?;
                let pools = [
                    Pool::load(images, &images.datasets, &images.positions, device, progress)?,
                    Pool::load(images, images.held_out_datasets(), &images.held_out, device, progress)?,
                ];
                Kinds::Images { images: Box::new(images.clone()), classifier: classifier.clone(), pools }
            }
        };
        Ok(Self { kind, device })
    }

    /// Those of tasks on the images of these pools: for meta-training, and held out.
    pub fn on_images(images: Images, classifier: Classifier, pools: [Pool; 2]) -> Self {
        let device = pools[0].inputs().device();
        Self { kind: Kinds::Images { images: Box::new(images), classifier, pools }, device }
    }

    /// Draws tasks.
    pub fn draw(&self, half: Half, count: i64, draws: &mut Draws) -> Result<Drawn> {
        Ok(match &self.kind {
            Kinds::Sinusoids { tasks, .. } => Drawn::Sinusoids(tasks.draw(count, draws, self.device)?),
            Kinds::Images { images, pools, .. } => {
                Drawn::Images(pools[half as usize].draw(images, count, draws)?, half)
            }
        })
    }

    /// Trains a learner on every task and takes snapshots on the way.
    pub fn learn(&self, drawn: &Drawn, regularizer: Regularizer, draws: &mut Draws) -> Result<Snapshots> {
        match (&self.kind, drawn) {
            (Kinds::Sinusoids { learner, .. }, Drawn::Sinusoids(tasks)) => {
                Snapshots::of_training(learner, tasks, regularizer, draws, self.device)
            }
            (Kinds::Images { images, classifier, pools }, Drawn::Images(tasks, half)) => {
                let inputs = pools[*half as usize].inputs();
                let mut moments = Vec::new();
                classifier.train(images, tasks, regularizer, draws, &mut |seen, draws| {
                    let mut rows = |count: i64| -> Result<Tensor> {
                        let places = draws.distinct(images.rows as usize, count as usize);
                        let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
                        Ok(Tensor::f_from_slice(&places)?.f_to_device(self.device)?)
                    };
                    let train = rows(tasks.train)?;
                    let test = rows(tasks.examples() - tasks.train)?.f_add_scalar(tasks.train)?;
                    let of = |tensor: &Tensor, rows: &Tensor| tensor.f_index_select(1, rows);
                    let labels = of(&tasks.labels, &train)?;
                    let gap = match images.over {
                        Over::Examples => seen.gap(images.gap)?,
                        Over::Rows => seen.gap_on(images.gap, &train, &test)?,
                    };
                    moments.push((
                        seen.step,
                        Rows {
                            source: Source::Among(inputs.shallow_clone()),
                            train_losses: Some(of(&seen.losses, &train)?),
                            train_inputs: of(&tasks.positions, &train)?,
                            train_targets: labels.f_one_hot(tasks.classes)?.f_to_kind(Kind::Float)?,
                            train_outputs: of(&seen.outputs, &train)?,
                            test_inputs: of(&tasks.positions, &test)?,
                            test_outputs: of(&seen.outputs, &test)?,
                        },
                        gap,
                    ));
                    Ok(())
                })?;
                Snapshots::joined(moments)
            }
            _ => Err(NcError::value("the tasks", "of one form", "of that of the learners")),
        }
    }

    /// Snapshots of learners of `count` held-out tasks, of which no more are drawn at once than have their sizes and shapes
    /// in common.
    pub fn held_out(
        &self,
        count: i64,
        regularizer: Regularizer,
        tasks: &mut Draws,
        learners: &mut Draws,
    ) -> Result<Snapshots> {
        let group = match self.kind {
            Kinds::Sinusoids { .. } => count,
            Kinds::Images { .. } => GROUP,
        };
        let mut groups = Vec::new();
        for start in (0..count).step_by(group.max(1) as usize) {
            let drawn = self.draw(Half::HeldOut, group.min(count - start), tasks)?;
            groups.push(self.learn(&drawn, regularizer, learners)?);
        }
        Snapshots::concatenated(groups, group)
    }

    /// Steps of a learner's whole training.
    pub fn steps(&self) -> u64 {
        match &self.kind {
            Kinds::Sinusoids { learner, .. } => learner.steps,
            Kinds::Images { classifier, .. } => classifier.steps,
        }
    }

    /// The columns of a bank of their snapshots.
    pub(crate) fn columns(&self, shape: &Shape) -> Vec<Column> {
        let column = |name, shape: &[i64], kind| Column { name, shape: shape.to_vec(), kind };
        let numbers = |name, shape: &[i64]| column(name, shape, Kind::Float);
        match &self.kind {
            Kinds::Sinusoids { tasks, .. } => vec![
                numbers("train_inputs", &[tasks.train, shape.inputs]),
                numbers("train_targets", &[tasks.train, shape.outputs]),
                numbers("train_outputs", &[tasks.train, shape.outputs]),
                numbers("test_inputs", &[tasks.test, shape.inputs]),
                numbers("test_outputs", &[tasks.test, shape.outputs]),
                numbers("gap", &[]),
            ],
            Kinds::Images { images, .. } => vec![
                column("train_inputs", &[images.rows], Kind::Int64),
                column("train_targets", &[images.rows], Kind::Int64),
                numbers("train_outputs", &[images.rows, shape.looks * shape.outputs]),
                column("test_inputs", &[images.rows], Kind::Int64),
                numbers("test_outputs", &[images.rows, shape.looks * shape.outputs]),
                numbers("gap", &[]),
                numbers("train_losses", &[images.rows]),
            ],
        }
    }

    /// Training snapshots as the bank's columns: images as positions, targets as classes.
    pub(crate) fn columns_of(&self, snapshots: Snapshots) -> Result<Vec<Tensor>> {
        let rows = snapshots.rows;
        let mut columns = vec![
            rows.train_inputs,
            rows.train_targets,
            rows.train_outputs,
            rows.test_inputs,
            rows.test_outputs,
            snapshots.gaps,
        ];
        if let Kinds::Images { .. } = self.kind {
            columns[1] = columns[1].f_argmax(-1, false)?;
            columns.extend(rows.train_losses);
        }
        Ok(columns)
    }

    /// Training snapshots of a bank's columns.
    pub(crate) fn snapshots_of(&self, shape: &Shape, columns: Vec<Tensor>) -> Result<Snapshots> {
        let mut snapshots = Snapshots::from_columns(columns)?;
        if let Kinds::Images { pools, .. } = &self.kind {
            let rows = &mut snapshots.rows;
            rows.source = Source::Among(pools[Half::Training as usize].inputs().shallow_clone());
            rows.train_targets = rows.train_targets.f_one_hot(shape.outputs)?.f_to_kind(Kind::Float)?;
        }
        Ok(snapshots)
    }
}
