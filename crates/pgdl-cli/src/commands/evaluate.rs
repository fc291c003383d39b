//! `pgdl eval`, and the run behind `pgdl score`.

use std::collections::HashSet;
use std::time::Duration;

use indicatif::ProgressBar;
use pgdl_measure::{MeasureSpec, Registry, Resolved};
use pgdl_report::{Cell, Column, Entry, Table, ValueStatus, composite_entry};
use pgdl_run::{
    Budget, BudgetUnit, Dtype, End, Event, ExecuteOptions, Interrupt, Plan, PlanOptions, Progress,
    RECORDS_FILE, Record, Reuse, RunFolder, Status, Summary, execute,
};
use pgdl_zoo::Zoo;

use crate::arguments::{BudgetPer, EvalArguments, Precision, RunArguments};
use crate::commands::{choose_device, data, device_name, external, print_table};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// The records that answer a plan, and how the run ended.
pub struct Evaluated {
    /// The plan's records, by network, then by measure.
    pub records: Vec<Record>,
    /// The exit code of the run.
    pub exit: Exit,
}

/// Evaluates and prints, per measure, what became of it.
pub fn run(mut arguments: EvalArguments, registry: &mut Registry, terminal: &Terminal) -> Outcome {
    let externals =
        external::register(&arguments.external, std::slice::from_ref(&arguments.zoo), registry, terminal)?;
    if let Some(externals) = &externals {
        arguments.run.worker = Some(externals.worker());
        arguments.measure.get_or_insert_with(|| externals.measures.join(","));
    }
    let request = registry.request(arguments.measure.as_deref().unwrap_or("all"))?;
    let zoo = Zoo::find(&arguments.zoo)?;
    let evaluated = evaluate(&zoo, &request.measures, &arguments.run, terminal)?;
    let mut exit = evaluated.exit;
    let mut table = Table::new(vec![
        Column::new("network", "network"),
        Column::new("measure", "measure"),
        Column::new("value", "value").digits(pgdl_report::Digits::Significant(6)).with_standard_error(),
        Column::new("status", "status"),
        Column::new("seconds", "time").digits(pgdl_report::Digits::Duration),
        Column::new("message", "message"),
    ]);
    for record in &evaluated.records {
        table.push(vec![
            Cell::text(record.network.to_string()),
            Cell::text(record.spec()),
            Cell::maybe(record.value).standard_error(record.standard_error),
            Cell::text(record.status.as_str()),
            Cell::number(record.seconds),
            record.message.as_ref().map_or_else(Cell::empty, Cell::text),
        ]);
    }
    for network in zoo.networks() {
        let of = |measure: &MeasureSpec| {
            let mut records = evaluated.records.iter();
            let found =
                records.find(|record| record.network == network.id && record.spec() == measure.as_str());
            found.map_or_else(Entry::missing, Entry::from)
        };
        for composite in request.composites() {
            let entry = composite_entry(composite, of);
            if entry.status() == ValueStatus::Missing {
                continue; // Not in this part of the zoo.
            }
            if exit == Exit::Ok && entry.value().is_none() {
                exit = Exit::NotAllOk;
            }
            let message = match &entry {
                Entry::Absent { reason, .. } => Cell::text(reason),
                Entry::Value { .. } if composite.name.is_some() => {
                    Cell::text(composite.expression.to_string())
                }
                Entry::Value { .. } => Cell::empty(),
            };
            table.push(vec![
                Cell::text(network.id.to_string()),
                Cell::text(composite.label()),
                Cell::maybe(entry.value()).standard_error(entry.standard_error()),
                Cell::text(entry.status().as_str()),
                Cell::empty(),
                message,
            ]);
        }
    }
    print_table(&table, arguments.output.format, terminal)?;
    Ok(exit)
}

/// Evaluates what no valid record holds, and gives the records that answer.
pub fn evaluate(
    zoo: &Zoo,
    measures: &[Resolved],
    arguments: &RunArguments,
    terminal: &Terminal,
) -> Result<Evaluated, Failure> {
    let dir = match &arguments.folder {
        Some(dir) => dir.clone(),
        None => RunFolder::default_dir(zoo.name(), &zoo.digest()?)?,
    };
    // Records that answer everything may lie in a folder that cannot be written.
    let plan = Plan::new(zoo, measures, &RunFolder::look(&dir)?.records, plan_options(arguments)?)?;
    if plan.outdated() > 0 {
        terminal.note(format_args!(
            "{} older records no longer fit these weights, data or measures, and are not used",
            plan.outdated()
        ));
    }
    let mut exit = Exit::Ok;
    let mut told = HashSet::new();
    if plan.outstanding() > 0 {
        if let Some(reference) = zoo.data_reference() {
            data::ensure(&reference.dataset, terminal)?;
        }
        let folder = RunFolder::open(&dir)?;
        let options = execute_options(arguments, terminal)?;
        // Set only now: before, Ctrl-C simply ends the program.
        let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
        let mut watcher = Watcher::new(terminal);
        let summary = execute(&folder, &plan, &options, &interrupt, &mut watcher)?;
        watcher.finish();
        told = watcher.told;
        exit = conclude(summary, &plan, &folder, terminal)?;
    }
    terminal.note(format_args!("records: {}", dir.join(RECORDS_FILE).display()));
    let contents = RunFolder::look(&dir)?;
    let records: Vec<Record> = plan.answers(&contents.records).into_iter().cloned().collect();
    if exit == Exit::Ok && records.iter().any(|record| record.status != Status::Ok) {
        exit = Exit::NotAllOk;
    }
    tell_what_is_not_ok(&records, &told, zoo, terminal);
    Ok(Evaluated { records, exit })
}

/// Says of the records that are not `ok` why, each reason once, save those that were told while they were made.
fn tell_what_is_not_ok(records: &[Record], told: &HashSet<(u64, String)>, zoo: &Zoo, terminal: &Terminal) {
    const TOLD_REASONS: usize = 10;
    let mut reasons: Vec<((Status, &str), Vec<&Record>)> = Vec::new();
    for record in records.iter().filter(|record| record.status != Status::Ok) {
        let reason = (record.status, record.message.as_deref().unwrap_or("no reason given"));
        if told.contains(&(record.network, reason.1.to_owned())) {
            continue;
        }
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, those)) => those.push(record),
            None => reasons.push((reason, vec![record])),
        }
    }
    for ((status, reason), those) in reasons.iter().take(TOLD_REASONS) {
        let more = match those.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let (network, spec) = (those[0].network, those[0].spec());
        terminal.warn(format_args!("network {network}: {spec}{more}: {}: {reason}", status.as_str()));
    }
    if let Some(more @ 1..) = reasons.len().checked_sub(TOLD_REASONS) {
        terminal.warn(format_args!("{more} more reasons: `pgdl eval` with the same options lists them"));
    }
    let damaged = |record: &&Record| {
        record.message.as_deref().is_some_and(|message| message.starts_with(pgdl_run::CANNOT_LOAD))
    };
    if records.iter().find(damaged).is_some() {
        terminal.hint(format_args!(
            "`pgdl zoo check {}` says what is wrong with the zoo's files; networks that are mended are evaluated again",
            zoo.root().display()
        ));
    }
}

/// Says how a run ended.
fn conclude(summary: Summary, plan: &Plan, folder: &RunFolder, terminal: &Terminal) -> Result<Exit, Failure> {
    if summary.healed > 0 {
        terminal.warn(format_args!("{} half-written lines were moved aside", summary.healed));
    }
    if summary.damaged > 0 {
        terminal.warn(format_args!(
            "{}: {} lines hold no record and are passed over",
            folder.records_path().display(),
            summary.damaged
        ));
    }
    match summary.end {
        End::Complete => {
            terminal.note(format_args!(
                "evaluated {} of {} ({} were there), {} not ok, in {:.1} s",
                summary.recorded(),
                plan.size(),
                plan.held(),
                summary.not_ok(),
                summary.elapsed.as_secs_f64()
            ));
            Ok(Exit::Ok)
        }
        End::Interrupted => Err(Failure::new(
            Exit::Interrupted,
            format!("interrupted: {} evaluations are still to be done", summary.outstanding),
        )
        .hint("the same command goes on where this one stopped")),
        End::Stopped(error) => {
            let mut failure = Failure::from(error);
            if !summary.unsaved.is_empty() {
                failure
                    .message
                    .push_str(&format!(" ({} records could not be written)", summary.unsaved.len()));
            }
            Err(failure)
        }
    }
}

fn plan_options(arguments: &RunArguments) -> Result<PlanOptions, Failure> {
    Ok(PlanOptions {
        seed: arguments.seed,
        sample: arguments.sample,
        dtype: dtype(arguments.dtype),
        networks: None,
        shard: arguments.shard,
        reuse: match (arguments.reuse.retry_failed, arguments.reuse.force) {
            (true, _) => Reuse::RetryFailed,
            (_, true) => Reuse::Force,
            _ => Reuse::OnlyMissing,
        },
    })
}

/// The type of numbers to compute with.
pub fn dtype(precision: Precision) -> Dtype {
    match precision {
        Precision::Float32 => Dtype::Float32,
        Precision::Float64 => Dtype::Float64,
    }
}

fn execute_options(arguments: &RunArguments, terminal: &Terminal) -> Result<ExecuteOptions, Failure> {
    let device = choose_device(&arguments.device, terminal)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.map_or(if device.is_cuda() { 1 } else { cores }, |jobs| jobs as usize);
    Ok(ExecuteOptions {
        jobs,
        threads: arguments.threads.map(|threads| threads as usize),
        devices: vec![device_name(device)],
        batch_size: u64::from(arguments.batch_size),
        budget: arguments.budget.map(|limit| Budget {
            limit,
            unit: match arguments.budget_per {
                BudgetPer::Network => BudgetUnit::Network,
                BudgetPer::Measure => BudgetUnit::Measure,
                BudgetPer::Zoo => BudgetUnit::Pooled,
            },
        }),
        memory_limit: arguments.memory.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
        worker: arguments.worker.clone().unwrap_or_default(),
        ..ExecuteOptions::default()
    })
}

/// Draws a run's progress.
struct Watcher<'a> {
    bar: Option<ProgressBar>,
    /// Networks and the reasons for which they have no value, as far as they were told.
    told: HashSet<(u64, String)>,
    terminal: &'a Terminal,
}

impl<'a> Watcher<'a> {
    fn new(terminal: &'a Terminal) -> Self {
        Self { bar: None, told: HashSet::new(), terminal }
    }

    /// A line of talk that does not break the bar.
    fn talk(&self, warning: bool, text: String) {
        let say = || if warning { self.terminal.warn(&text) } else { self.terminal.note(&text) };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Watcher<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Started { evaluations, networks, jobs, held } => {
                self.terminal.note(format_args!(
                    "evaluating {evaluations} values on {networks} networks, {jobs} at a time ({held} are there already)"
                ));
                self.bar = Some(progress::evaluations(*evaluations as u64, self.terminal));
            }
            Event::WorkerReady { warning: Some(warning), .. } => self.talk(true, warning.clone()),
            Event::MeasureStarted { network, spec, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("network {network}: {spec}"));
                }
            }
            Event::Recorded { record, standing, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(standing.done as u64);
                    let left = standing.time_left.map_or_else(|| "?".to_string(), time);
                    bar.set_prefix(match standing.not_ok {
                        0 => format!("{left} left"),
                        not_ok => format!("{left} left, {not_ok} not ok"),
                    });
                }
                if matches!(record.status, Status::Failed | Status::Timeout | Status::Crashed) {
                    let message = record.message.as_deref().unwrap_or("no reason given");
                    // A network that cannot be loaded fails for all measures at once.
                    if self.told.insert((record.network, message.to_owned())) {
                        let (network, spec) = (record.network, record.spec());
                        self.talk(true, format!("network {network}: {spec}: {message}"));
                    }
                }
            }
            Event::WorkerLost { reason, .. } => self.talk(true, format!("a worker was lost: {reason}")),
            Event::Talk { line, .. } => self.talk(false, line.clone()),
            Event::Stopping { interrupted: true } => {
                self.talk(false, "stopping; a second Ctrl-C ends at once".to_string());
            }
            _ => {}
        }
    }
}

/// `45 s`, `3 min`, `2 h 05 min`.
pub fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(time(Duration::from_secs(45)), "45 s");
        assert_eq!(time(Duration::from_secs(150)), "3 min");
        assert_eq!(time(Duration::from_secs(7500)), "2 h 05 min");
    }
}
