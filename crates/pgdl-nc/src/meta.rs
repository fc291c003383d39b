//! Meta-training (Lee et al. 2020, algorithms 1 and 2).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

use crate::adam::Adam;
use crate::bank::{Bank, too_large};
use crate::checkpoint::{Checkpoint, Description};
use crate::error::{NcError, Result};
use crate::files;
use crate::fit::{Fit, estimate};
use crate::hypotheses::{Half, Hypotheses};
use crate::learner::Regularizer;
use crate::model::{Model, Precision};
use crate::random::Draws;
use crate::recipe::Recipe;
use crate::snapshots::Snapshots;

/// The version of a kept state.
const STATE: u32 = 1;
const STATE_FILE: &str = "state.safetensors";
const SPILL_FILE: &str = "bank.spill";
/// A bank's file has room for this part of its snapshots more, so that a state need not be kept after every episode.
const SURPLUS: i64 = 4;
/// Weight of the newest loss in the running one.
const RUNNING: f64 = 0.01;

/// One point of the curve: the model on held-out tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Meta-steps done.
    pub step: u64,
    /// Running mean of the Huber loss of the batches.
    pub loss: f64,
    /// λ of the learners at this time.
    pub lambda: f64,
    /// Fit to learners trained without NC, at every step of their training.
    pub plain: Fit,
    /// Fit to learners trained with λ·NC, λ that of the end of meta-training, at every step of theirs.
    pub regularized: Fit,
}

/// Meta-training, somewhere between its first and its last step.
#[derive(Debug)]
pub struct MetaTraining {
    recipe: Recipe,
    folder: PathBuf,
    device: Device,
    model: Model,
    adam: Adam,
    bank: Bank,
    position: Position,
    hypotheses: Hypotheses,
    held_out: Snapshots,
}

/// Where training stands: the description of a kept state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    schema: u32,
    kind: String,
    recipe: String,
    step: u64,
    episodes: u64,
    received: i64,
    left_out: i64,
    running_loss: f64,
    curve: Vec<Point>,
    /// Columns of the bank that are in a file of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    spilled: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_from: Option<Box<Description>>,
}

impl MetaTraining {
    /// Begins in an empty or new folder, or goes on with what an earlier training of the same recipe left there.
    ///
    /// The folder gets `recipe.toml`, `state.safetensors` (model, optimizer, memory bank), `bank.spill` (what of the bank is
    /// beyond the recipe's limit of memory, if anything is), `curve.csv` and, at the end and whenever the state is kept,
    /// `checkpoint.safetensors`.
    ///
    /// # Errors
    /// [`NcError::OtherRecipe`] when the folder belongs to another recipe, [`NcError::File`] when the state or the bank in it
    /// is damaged.
    pub fn open(recipe: Recipe, folder: &Path, device: Device) -> Result<Self> {
        recipe.check()?;
        let hypotheses = Hypotheses::of(&recipe, device, &mut |_| {})?;
        Self::open_on(recipe, hypotheses, folder, device)
    }

    /// As [`open`](Self::open), on hypotheses that are the recipe's, or of other data in their place.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(recipe: Recipe, hypotheses: Hypotheses, folder: &Path, device: Device) -> Result<Self> {
        recipe.check()?;
        fs::create_dir_all(folder).map_err(|source| NcError::io(folder, source))?;
        claim(&recipe, folder)?;
        let held_out = held_out(&hypotheses, &recipe, Regularizer::None)?;
        let state = folder.join(STATE_FILE);
        let kept = if state.exists() { Some(kept_state(&recipe, &state)?) } else { None };
        let (columns, capacity) = (hypotheses.columns(&recipe.model), recipe.meta.bank);
        let (spill, digest) = (folder.join(SPILL_FILE), recipe.digest()?);
        let file = (spill.as_path(), digest.as_str());
        let bank = match &kept {
            Some(contents) => {
                let position = &contents.description;
                Bank::reopened(columns, capacity, device, &position.spilled, file, position.received)?
            }
            None => {
                let spilled = too_large(&columns, capacity, recipe.watch.bank_memory);
                let surplus = recipe.episode()?.max(capacity / SURPLUS);
                Bank::with_file(columns, capacity, device, &spilled, file, surplus)?
            }
        };
        let mut training = Self {
            model: Model::initialize(
                recipe.model.clone(),
                &mut Draws::new(recipe.seed, "initial parameters", 0),
                device,
            )?,
            adam: Adam::new(recipe.model.parameter_count(), device)?,
            position: Position {
                schema: STATE,
                kind: "state".into(),
                recipe: digest,
                step: 0,
                episodes: 0,
                received: 0,
                left_out: 0,
                running_loss: 0.0,
                curve: Vec::new(),
                spilled: bank.spilled(),
                begun_from: None,
            },
            bank,
            hypotheses,
            held_out,
            recipe,
            folder: folder.to_path_buf(),
            device,
        };
        if let Some(contents) = kept {
            training.restore(contents)?;
        } else if let Some(path) = &training.recipe.start {
            let start = Checkpoint::read(path, device)?;
            if *start.model.shape() != training.recipe.model {
                return Err(NcError::file(path, "it is of another model than the recipe's"));
            }
            training.model = start.model;
            training.position.begun_from = Some(Box::new(start.description));
        }
        Ok(training)
    }

    /// Meta-steps done.
    pub fn step(&self) -> u64 {
        self.position.step
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The model as it is.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The curve so far.
    pub fn curve(&self) -> &[Point] {
        &self.position.curve
    }

    /// Snapshots left out so far, because a number of theirs was infinite or NaN.
    pub fn left_out(&self) -> i64 {
        self.position.left_out
    }

    /// Trains to the end, telling of every point of the curve, and keeping the state from time to time.
    ///
    /// The same recipe, device and number of threads give the same bytes, however often training was interrupted.
    ///
    /// # Errors
    /// [`NcError::Interrupted`] when `interrupt` is set, after the state was kept; [`NcError::Diverged`] when the loss
    /// is no longer finite, without keeping the state; what libtorch and the file system say.
    pub fn run(&mut self, interrupt: &AtomicBool, on_point: &mut dyn FnMut(&Point)) -> Result<Checkpoint> {
        let total = self.recipe.meta.steps;
        self.fill()?;
        while self.position.step < total {
            if interrupt.load(Ordering::Relaxed) {
                self.keep()?;
                return Err(NcError::Interrupted { step: self.position.step, total });
            }
            self.meta_step()?;
            let step = self.position.step;
            if step.is_multiple_of(self.recipe.watch.every) || step == total {
                let point = self.measure()?;
                self.position.curve.push(point);
                on_point(&point);
            }
            if step.is_multiple_of(self.recipe.watch.save) || step == total {
                self.keep()?;
            }
        }
        self.checkpoint()
    }

    /// Fills the bank with learners trained without NC.
    fn fill(&mut self) -> Result<()> {
        while self.position.step == 0 && self.bank.received() < self.recipe.meta.fill {
            self.episode(0.0)?;
        }
        Ok(())
    }

    /// A group of new tasks: their learners' snapshots go to the bank.
    fn episode(&mut self, weight: f64) -> Result<()> {
        // Nothing has changed since the end of the last step or episode, from where the kept state goes on.
        if self.bank.room() < self.recipe.episode()? {
            self.keep()?;
        }
        let episode = self.position.episodes;
        let mut draws = Draws::new(self.recipe.seed, "episode", episode);
        let tasks = self.hypotheses.draw(Half::Training, self.recipe.meta.parallel, &mut draws)?;
        let model = self.model.ready(self.recipe.meta.precision, false)?;
        let regularizer = match weight {
            0.0 => Regularizer::None,
            weight => Regularizer::Complexity { model: &model, weight },
        };
        let snapshots = self.hypotheses.learn(&tasks, regularizer, &mut draws)?;
        self.position.episodes += 1;
        self.position.left_out += snapshots.left_out;
        if snapshots.is_empty() {
            return Err(NcError::LearnersDiverged { episode, snapshots: snapshots.left_out });
        }
        self.bank.push(&self.hypotheses.columns_of(snapshots)?)
    }

    /// One batch from the bank, one step of Adam.
    pub fn meta_step(&mut self) -> Result<()> {
        self.fill()?;
        let meta = &self.recipe.meta;
        let step = self.position.step;
        if step > 0 && step.is_multiple_of(meta.every) {
            self.episode(meta.weight(step))?;
        }
        let meta = &self.recipe.meta;
        let positions =
            Draws::new(self.recipe.seed, "batch", step).indices(meta.batch, self.bank.len(), self.device)?;
        let batch = self.hypotheses.snapshots_of(&self.recipe.model, self.bank.take(&positions)?)?;
        let ready = self.model.ready(meta.precision, true)?;
        let estimates = ready.complexity(&batch.rows)?;
        let loss = estimates.f_huber_loss(&batch.gaps, Reduction::Mean, meta.huber)?;
        let gradient = ready.gradient(&loss)?;
        let loss = f64::try_from(&loss)?;
        if !loss.is_finite() {
            return Err(NcError::Diverged { step: step + 1, loss });
        }
        self.adam.step(self.model.parameters_mut(), &gradient, meta.rate(step), step + 1)?;
        let running = &mut self.position.running_loss;
        *running = if step == 0 { loss } else { *running + RUNNING * (loss - *running) };
        self.position.step += 1;
        Ok(())
    }

    /// The model on held-out tasks: those without NC stay the same, those with it are learned anew with this model.
    fn measure(&self) -> Result<Point> {
        let model = self.model.ready(Precision::Float32, false)?;
        let plain = Fit::new(&estimate(&model, &self.held_out.rows)?, &self.held_out.gaps)?;
        let regularized = match self.recipe.meta.lambda {
            0.0 => plain,
            weight => {
                let regularizer = Regularizer::Complexity { model: &model, weight };
                let with = held_out(&self.hypotheses, &self.recipe, regularizer)?;
                Fit::new(&estimate(&model, &with.rows)?, &with.gaps)?
            }
        };
        Ok(Point {
            step: self.position.step,
            loss: self.position.running_loss,
            lambda: self.recipe.meta.weight(self.position.step),
            plain,
            regularized,
        })
    }

    /// The model with what it was trained on.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let mut parameters = self.model.parameters().f_empty_like()?;
        parameters.f_copy_(self.model.parameters())?;
        let model = Model::from_parameters(self.recipe.model.clone(), parameters)?;
        let mut description = Description::new(
            self.recipe.clone(),
            self.position.step,
            self.position.episodes,
            self.bank.received(),
            self.position.left_out,
            self.position.curve.last().copied(),
        )?;
        description.begun_from = self.position.begun_from.clone();
        Ok(Checkpoint { description, model })
    }

    /// Keeps everything that going on needs, and the curve and a checkpoint beside it.
    pub fn keep(&mut self) -> Result<()> {
        self.position.received = self.bank.received();
        self.bank.before_keeping()?;
        let bank = self.bank.contents()?;
        let mut tensors: Vec<(&str, &Tensor)> =
            bank.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        tensors.push(("parameters", self.model.parameters()));
        tensors.push(("adam.mean", &self.adam.mean));
        tensors.push(("adam.square", &self.adam.square));
        files::write(&self.folder.join(STATE_FILE), &tensors, &self.position)?;
        self.bank.kept();
        self.checkpoint()?.write(&self.folder.join("checkpoint.safetensors"))?;
        write_curve(&self.folder.join("curve.csv"), &self.position.curve)
    }

    fn restore(&mut self, mut contents: files::Contents<Position>) -> Result<()> {
        let path = self.folder.join(STATE_FILE);
        let count = [self.recipe.model.parameter_count()];
        let parameters = contents.take(&path, "parameters", &count, Kind::Float)?;
        self.model = Model::from_parameters(self.recipe.model.clone(), parameters.f_to_device(self.device)?)?;
        self.adam.mean = contents.take(&path, "adam.mean", &count, Kind::Float)?.f_to_device(self.device)?;
        self.adam.square =
            contents.take(&path, "adam.square", &count, Kind::Float)?.f_to_device(self.device)?;
        let received = contents.description.received;
        self.bank.restore(received, |name, shape, kind| contents.take(&path, name, shape, kind))?;
        self.position = contents.finish(&path)?;
        Ok(())
    }
}

/// A state that was kept, if it is this recipe's.
fn kept_state(recipe: &Recipe, path: &Path) -> Result<files::Contents<Position>> {
    let header: files::Contents<Header> = files::read(path)?;
    header.description.check(path, "state", STATE)?;
    let contents: files::Contents<Position> = files::read(path)?;
    if contents.description.recipe != recipe.digest()? {
        return Err(NcError::OtherRecipe {
            path: path.to_path_buf(),
            reason: "its memory bank and model came from another recipe".into(),
        });
    }
    Ok(contents)
}

/// What every description begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    schema: u32,
    kind: String,
}

impl Header {
    pub(crate) fn check(&self, path: &Path, kind: &str, schema: u32) -> Result<()> {
        if self.kind != kind {
            return Err(NcError::file(path, format!("it is a {}, but a {kind} is wanted", self.kind)));
        }
        if self.schema != schema {
            let reason =
                format!("it is a {kind} of version {}, but this program reads {schema}", self.schema);
            return Err(NcError::file(path, reason));
        }
        Ok(())
    }
}

/// Learners of held-out tasks, always the same ones.
fn held_out(hypotheses: &Hypotheses, recipe: &Recipe, regularizer: Regularizer) -> Result<Snapshots> {
    let tasks = &mut Draws::new(recipe.seed, "held-out tasks", 0);
    let learners = &mut Draws::new(recipe.seed, "held-out learners", 0);
    hypotheses.held_out(recipe.watch.tasks, regularizer, tasks, learners)
}

/// Makes `folder` this recipe's.
fn claim(recipe: &Recipe, folder: &Path) -> Result<()> {
    let path = folder.join("recipe.toml");
    if path.exists() {
        let there = Recipe::read(&path)?;
        if there.digest()? != recipe.digest()? {
            return Err(NcError::OtherRecipe {
                path: folder.to_path_buf(),
                reason: format!(
                    "it belongs to another recipe, or another version of this one (`{}`)",
                    there.name
                ),
            });
        }
        return Ok(());
    }
    let text = toml::to_string(recipe)
        .map_err(|error| NcError::Syntax { path: path.clone(), message: error.to_string() })?;
    files::replace(&path, text.as_bytes())
}

fn write_curve(path: &Path, curve: &[Point]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| NcError::io(path, error.into());
    writer
        .write_record(["step", "loss", "lambda", "r2", "mae", "r2_regularized", "mae_regularized", "count"])
        .map_err(failed)?;
    for point in curve {
        let numbers = [
            point.loss,
            point.lambda,
            point.plain.r2,
            point.plain.mae,
            point.regularized.r2,
            point.regularized.mae,
        ];
        let mut row = vec![point.step.to_string()];
        row.extend(numbers.iter().map(f64::to_string));
        row.push(point.plain.count.to_string());
        writer.write_record(row).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| NcError::io(path, error.into_error()))?;
    files::replace(path, &bytes)
}
