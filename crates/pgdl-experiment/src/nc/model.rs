//! The trained model that the experiments look at.

use std::path::PathBuf;

use pgdl_nc::learner::Learner;
use pgdl_nc::model::{Precision, Ready};
use pgdl_nc::task::Sinusoids;
use pgdl_nc::{Checkpoint, MetaTraining, NcError, Point, Recipe};

use crate::error::{ExperimentError, Result};
use crate::experiment::OptionInfo;
use crate::run::Run;

/// The options of [`trained`].
pub const OPTIONS: &[OptionInfo; 2] = &[
    OptionInfo { name: "checkpoint", doc: "a trained model to take instead of training one" },
    OptionInfo { name: "recipe", doc: "the recipe to train the model by, instead of the setting's" },
];

const QUICK: &str = include_str!("../../../pgdl-nc/recipes/sinusoid_quick.toml");
const FULL: &str = include_str!("../../../pgdl-nc/recipes/sinusoid.toml");

/// A trained model, ready to compute without derivatives by its parameters.
pub struct Trained {
    /// What it was trained on and how.
    pub checkpoint: Checkpoint,
    /// In 32-bit numbers.
    pub model: Ready,
    /// The tasks that it was trained on.
    pub tasks: Sinusoids,
    /// The learners that it was trained on.
    pub learner: Learner,
}

impl Trained {
    /// What it is, in a sentence.
    pub fn in_words(&self) -> String {
        let description = &self.checkpoint.description;
        format!(
            "The model: recipe `{}`, width {}, {} meta-steps of {} snapshots.",
            description.recipe.name,
            description.recipe.model.width,
            description.steps,
            description.recipe.meta.batch
        )
    }
}

/// The model of option `checkpoint`, or else one that is trained in the run's folder, where an interrupted training goes
/// on.
pub fn trained(run: &mut Run<'_>) -> Result<Trained> {
    let checkpoint = match run.option::<PathBuf>("checkpoint")? {
        Some(path) => Checkpoint::read(&path, run.device())?,
        None => {
            let recipe = match run.option::<PathBuf>("recipe")? {
                Some(path) => Recipe::read(&path)?,
                None => Recipe::parse(if run.quick() { QUICK } else { FULL })?,
            };
            meta_trained(run, recipe, "model")?
        }
    };
    let model = checkpoint.model.ready(Precision::Float32, false)?;
    let (tasks, learner) = checkpoint.description.recipe.regression()?;
    let (tasks, learner) = (tasks.clone(), learner.clone());
    Ok(Trained { checkpoint, model, tasks, learner })
}

/// The model of a recipe, trained in the folder of this name in the run's folder, where an interrupted training goes on.
pub fn meta_trained(run: &mut Run<'_>, recipe: Recipe, folder: &str) -> Result<Checkpoint> {
    Ok(meta_trained_with_curve(run, recipe, folder)?.0)
}

/// The same, and how it did on held-out tasks on the way.
pub fn meta_trained_with_curve(
    run: &mut Run<'_>,
    recipe: Recipe,
    folder: &str,
) -> Result<(Checkpoint, Vec<Point>)> {
    let mut training = MetaTraining::open(recipe, &run.folder().join(folder), run.device())?;
    let total = training.recipe().meta.steps;
    if training.step() < total {
        run.note(&format!("training the {folder}: meta-step {} of {total}", training.step()));
    }
    let mut points = Vec::new();
    let trained = training.run(run.stop(), &mut |point| points.push(*point));
    if let Some(point) = points.last() {
        run.note(&format!("meta-step {}: R² {:.4} on held-out tasks", point.step, point.plain.r2));
    }
    match trained {
        Err(NcError::Interrupted { .. }) => Err(ExperimentError::Interrupted { done: 0 }),
        trained => Ok((trained?, training.curve().to_vec())),
    }
}
