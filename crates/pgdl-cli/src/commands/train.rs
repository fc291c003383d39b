//! `pgdl train`: one network of a recipe.

use std::sync::atomic::Ordering;

use pgdl_report::{Cell, Column, Digits, Table};
use pgdl_run::Interrupt;
use pgdl_train::recipe::{Complexity, Regularizer};
use pgdl_train::train::{Stop, train};
use pgdl_train::{Recipe, TrainError};
use pgdl_zoo::Split;
use pgdl_zoo::data_reference::DataReference;

use crate::arguments::{Half, NetworkArguments, RegularizerName};
use crate::commands::{choose_device, data, print_table, wait_passively};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Runs `pgdl train …`.
pub fn run(arguments: &NetworkArguments, terminal: &Terminal) -> Outcome {
    wait_passively();
    let recipe = recipe(arguments)?;
    let id = arguments.network;
    let settings = recipe.settings(id)?;
    let device = choose_device(&arguments.device, terminal)?;
    let (sample, test) = match &recipe.synthetic {
        Some(synthetic) => synthetic.draw(recipe.seed)?,
        None => {
            let Some(named) = &recipe.data else {
                return Err(TrainError::Recipe("it names no data".into()).into());
            };
            let mut watcher = data::Watcher::new(terminal);
            let loaded = DataReference::new(
                &named.dataset,
                named.transform.clone(),
                (Split::Train, named.train.clone()),
                Some((Split::Test, named.test.clone())),
                &mut |event| watcher.see(&event),
            );
            watcher.finish();
            let (_, sample, test) = loaded?;
            let test = test.ok_or_else(|| TrainError::Recipe("its data have no test sample".into()))?;
            (sample, test)
        }
    };
    let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
    let named: Vec<String> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    terminal.note(format_args!("network {id}: {}", named.join(", ")));
    let bar = progress::epochs(u64::from(recipe.training.max_epochs), terminal);
    let trained = train(&recipe, id, &sample, &test, device, &mut |epoch| {
        bar.set_position(u64::from(epoch.epoch));
        bar.set_message(format!("loss {:.4}", epoch.running_loss));
        match interrupt.flag().load(Ordering::Relaxed) {
            true => Err(TrainError::Interrupted { finished: 0, total: 1 }),
            false => Ok(()),
        }
    });
    bar.finish_and_clear();
    let trained = trained?;
    let fixed =
        |key: &str, title: &str| Column::new(key, title).digits(Digits::Fixed { decimals: 4, scale: 1.0 });
    let mut table = Table::new(vec![
        Column::new("split", "split"),
        fixed("accuracy", "accuracy"),
        fixed("cross_entropy", "cross-entropy"),
    ]);
    let gap = (
        trained.train.accuracy - trained.test.accuracy,
        trained.test.cross_entropy - trained.train.cross_entropy,
    );
    let rows = [
        ("train", trained.train.accuracy, trained.train.cross_entropy),
        ("test", trained.test.accuracy, trained.test.cross_entropy),
        ("gap", gap.0, gap.1),
    ];
    for (split, accuracy, cross_entropy) in rows {
        table.push(vec![Cell::text(split), Cell::number(accuracy), Cell::number(cross_entropy)]);
    }
    print_table(&table, arguments.format, terminal)?;
    let why = match trained.stop {
        Stop::TargetReached => "the target was reached",
        Stop::MaxEpochs => "the epochs were used up",
    };
    terminal.note(format_args!("{} epochs: {why}", trained.epochs));
    Ok(Exit::Ok)
}

/// The recipe with what the arguments change in it.
fn recipe(arguments: &NetworkArguments) -> Result<Recipe, Failure> {
    let mut recipe = Recipe::read(&arguments.recipe)?;
    let Some(name) = arguments.regularizer else { return Ok(recipe) };
    recipe.training.nc = None;
    recipe.training.regularizer = match name {
        RegularizerName::None => None,
        RegularizerName::LabelSmoothing => Some(Regularizer::LabelSmoothing),
        RegularizerName::Mixup => Some(Regularizer::Mixup),
        RegularizerName::Nc => {
            recipe.training.nc = Some(Complexity {
                checkpoint: arguments.checkpoint.clone().unwrap_or_default(),
                weight: arguments.weight,
                rise_epochs: 1.0,
                queries: arguments.queries.as_deref().unwrap_or_default().parse()?,
                queries_from: match arguments.queries_from {
                    Half::Train => Split::Train,
                    Half::Test => Split::Test,
                },
            });
            Some(Regularizer::Nc)
        }
    };
    recipe.check()?;
    Ok(recipe)
}
