//! `pgdl reproduce --published TASK`: the competition's figures, for whoever has its archives.

use pgdl_measure::Registry;
use pgdl_report::{Population, Published, ScoreReport, values_from_records};
use pgdl_score::Options;
use pgdl_zoo::{Gap, Zoo, ZooError};

use crate::arguments::{BudgetPer, DeviceArguments, Precision, ReproduceArguments, RunArguments};
use crate::commands::evaluate::evaluate;
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Evaluates the measures with published figures on the task's zoo, and prints both.
pub fn run(task: &str, arguments: &ReproduceArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    let published = Published::load()?;
    published.task(task).map_err(|error| Failure {
        exit: Exit::Usage,
        hint: error.hint(),
        message: error.to_string(),
    })?;
    let mut measures: Vec<&str> = published.measures(task).into_iter().map(|(_, measure)| measure).collect();
    measures.dedup();
    let measures = registry.resolve_list(&measures.join(","))?;
    let absent = |what: String| {
        Failure::new(Exit::Invalid, what).hint(format!(
            "the competition's archives are not part of this project: download the one with {task}, then `pgdl zoo \
             import competition ARCHIVE…` makes the zoo"
        ))
    };
    let zoo = match Zoo::find(task) {
        Err(ZooError::Unknown { .. }) => return Err(absent(format!("the zoo {task} is not here"))),
        other => other?,
    };
    if zoo.networks().iter().all(|network| zoo.model_folder(network.id).is_err()) {
        let root = zoo.root().display();
        return Err(absent(format!("{root}: the zoo only lists its networks, and holds none of them")));
    }
    let population = Population::from_zoo(&zoo, Gap::Accuracy)?;
    let run = RunArguments {
        device: DeviceArguments { device: arguments.device.clone().unwrap_or_else(|| "auto".to_owned()) },
        seed: 0,
        sample: None,
        batch_size: 256,
        dtype: Precision::Float32,
        budget: arguments.budget,
        budget_per: BudgetPer::Measure,
        jobs: arguments.jobs,
        threads: arguments.threads,
        memory: None,
        shard: arguments.shard,
        folder: arguments.folder.clone(),
        reuse: arguments.reuse,
        worker: None,
    };
    let evaluated = evaluate(&zoo, &measures, &run, terminal)?;
    if arguments.shard.is_some() {
        return Ok(evaluated.exit);
    }
    let values = values_from_records(&population, &evaluated.records);
    let options = Options { bootstrap: 0, ..Options::default() };
    let comparison = published.compare(task, &ScoreReport::new(&population, &values, &options)?);
    print_table(&comparison.table, arguments.output.format, terminal)?;
    if comparison.judged == 0 {
        terminal.warn("none of these figures follows from the networks alone: there is nothing to judge by");
    }
    Ok(if comparison.differing > 0 { Exit::Differs } else { Exit::Ok })
}
