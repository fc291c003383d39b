//! `pgdl submit`: a competition that is held here, under the rules of 2020 or others. What is submitted is a stranger's
//! program, be it a plugin, a submission of 2020 or an executable, and runs as such.

mod ledger;
mod rules;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgdl_measure::Registry;
use pgdl_report::{Population, ScoreReport, ScoresFile, predict_file, values_from_records};
use pgdl_run::Status;
use pgdl_score::{Options, TaskScore};
use pgdl_zoo::{Gap, Zoo};

use self::ledger::{Entry, Ledger, Task, Verdict, check_day, leaderboard};
use self::rules::Rules;
use crate::arguments::{
    BudgetPer, DeviceArguments, ExternalArguments, Precision, ReuseArguments, RunArguments, SubmitArguments,
};
use crate::commands::evaluate::evaluate;
use crate::commands::external::{self, Externals};
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Runs `pgdl submit`.
pub fn run(arguments: SubmitArguments, registry: &mut Registry, terminal: &Terminal) -> Outcome {
    let rules = Rules::read(arguments.rules.as_deref())?;
    let phase = rules.phase(&arguments.phase)?;
    let ledger = Ledger::open(&board(&arguments, &rules)?)?;
    let (entries, damaged) = ledger.entries()?;
    if damaged > 0 {
        terminal.warn(format_args!("{} lines of the ledger hold no entry and are passed over", damaged));
    }
    let name = author(&arguments)?;
    // Before the long work.
    check_day(&entries, &name, &arguments.phase, &pgdl_run::utc_now(), phase.submissions_per_day)?;
    let before = phase.after.as_deref().map(|before| rules.phase(before)).transpose()?;
    let find =
        |zoos: &[String]| zoos.iter().map(|zoo| Ok(Zoo::find(zoo)?)).collect::<Result<Vec<_>, Failure>>();
    let zoos = find(&phase.zoos)?;
    let zoos_before = find(before.map_or(&[][..], |before| &before.zoos[..]))?;

    let (externals, measure, digest) = register(&arguments, &phase.zoos, registry, terminal)?;
    let contest = Contest { rules: &rules, arguments: &arguments, externals: &externals, measure: &measure };
    let mut entry = Entry::new(&arguments.phase, &name, &measure, &digest);
    let mut files = Vec::new();
    let admitted = match &phase.after {
        Some(before) => contest.admission(before, &zoos_before, registry, terminal)?,
        None => None,
    };
    match admitted {
        Some(reason) => {
            entry.verdict = Verdict::NotAdmitted;
            entry.reason = Some(reason);
        }
        None => contest.judge(&zoos, registry, terminal, &mut entry, &mut files)?,
    }
    // The date is that of the end: an entry that comes later is later.
    entry.utc = pgdl_run::utc_now();
    ledger.append(&entry, phase.submissions_per_day)?;
    let folder =
        PathBuf::from("submissions").join(format!("{}_{}_{name}", entry.utc.replace(':', ""), entry.phase));
    for (file, text) in &files {
        ledger.write(&folder.join(file), text)?;
    }
    if !files.is_empty() {
        terminal.note(format_args!("files: {}", ledger.folder().join(&folder).display()));
    }
    let (entries, _) = ledger.entries()?;
    let table = leaderboard(&entries, &arguments.phase, &phase.zoos);
    ledger.write(Path::new(&format!("{}.md", arguments.phase)), &table.to_markdown())?;
    if let Some(reason) = &entry.reason {
        terminal.warn(format_args!("{name}: {reason}"));
    }
    print_table(&table, arguments.output.format, terminal)?;
    Ok(if entry.verdict == Verdict::Scored { Exit::Ok } else { Exit::NotAllOk })
}

/// A submission under the rules.
struct Contest<'a> {
    rules: &'a Rules,
    arguments: &'a SubmitArguments,
    externals: &'a Externals,
    measure: &'a str,
}

impl Contest<'_> {
    /// Why the submission is not admitted to the phase, if it is not: what it takes in the phase before decides.
    fn admission(
        &self,
        before: &str,
        zoos: &[Zoo],
        registry: &Registry,
        terminal: &Terminal,
    ) -> Result<Option<String>, Failure> {
        terminal.note(format_args!("first, the budget of phase {before}"));
        for zoo in zoos {
            let evaluated = self.evaluate(zoo, registry, terminal)?;
            if evaluated.iter().any(|record| record.status == Status::Timeout) {
                return Ok(Some(format!("exceeded the budget of phase {before} on {}", zoo.name())));
            }
        }
        Ok(None)
    }

    /// Evaluates the submission on the phase's zoos, and fills in the entry and the competition's files.
    fn judge(
        &self,
        zoos: &[Zoo],
        registry: &Registry,
        terminal: &Terminal,
        entry: &mut Entry,
        files: &mut Vec<(String, String)>,
    ) -> Result<(), Failure> {
        let mut scores: Vec<(String, TaskScore)> = Vec::new();
        for zoo in zoos {
            let population = Population::from_zoo(zoo, Gap::Accuracy)?;
            let records = self.evaluate(zoo, registry, terminal)?;
            let values = values_from_records(&population, &records);
            let [column] = values.as_slice() else {
                return Err(Failure::new(Exit::Unexpected, format!("{}: no values", zoo.name())));
            };
            files.push((format!("{}.predict", zoo.name()), predict_file(&population, column)?));
            let options = Options { bootstrap: 0, ..Options::default() };
            let report = ScoreReport::new(&population, &values, &options)?;
            let found = report.scores.first();
            let broken = records.iter().find(|record| !matches!(record.status, Status::Ok | Status::Timeout));
            let score = found.and_then(|score| score.task_score());
            if entry.reason.is_none() {
                entry.reason = match (broken, score) {
                    (Some(record), _) => Some(format!(
                        "{}: network {}: {}: {}",
                        zoo.name(),
                        record.network,
                        record.status,
                        record.message.as_deref().unwrap_or("no reason given")
                    )),
                    (None, Some(TaskScore::Exceeded)) => Some(format!("{}: exceeded the budget", zoo.name())),
                    (None, None) => Some(format!(
                        "{}: no score: {}",
                        zoo.name(),
                        found.and_then(|score| score.undefined.get("cmi_pgdl")).map_or("", String::as_str)
                    )),
                    (None, Some(TaskScore::Value(_))) => None,
                };
            }
            entry.tasks.push(Task {
                zoo: zoo.name().to_owned(),
                zoo_digest: zoo.digest()?,
                score: match (broken, score) {
                    (None, Some(TaskScore::Value(value))) => Some(100.0 * value),
                    (None, Some(TaskScore::Exceeded)) => Some(0.0),
                    _ => None,
                },
                networks: population.networks.len(),
                ok: records.iter().filter(|record| record.status.is_ok()).count(),
                seconds: records.iter().map(|record| record.seconds).sum(),
            });
            if let (None, Some(score)) = (broken, score) {
                scores.push((zoo.name().to_owned(), score));
            }
        }
        if scores.len() < zoos.len() {
            // As in 2020: a program that fails on one network has no score at all.
            entry.verdict = Verdict::Failed;
            return Ok(());
        }
        let file = ScoresFile::new(&scores)?;
        entry.total = Some(file.average);
        let exceeded = scores.iter().any(|(_, score)| *score == TaskScore::Exceeded);
        entry.verdict = if exceeded { Verdict::Exceeded } else { Verdict::Scored };
        files.push(("scores.txt".to_owned(), file.to_text()));
        Ok(())
    }

    fn evaluate(
        &self,
        zoo: &Zoo,
        registry: &Registry,
        terminal: &Terminal,
    ) -> Result<Vec<pgdl_run::Record>, Failure> {
        let measures = registry.resolve_list(self.measure)?;
        Ok(evaluate(zoo, &measures, &self.run_arguments(), terminal)?.records)
    }

    fn run_arguments(&self) -> RunArguments {
        RunArguments {
            device: DeviceArguments { device: self.arguments.device.device.clone() },
            seed: 0,
            sample: None,
            batch_size: 256,
            dtype: Precision::Float32,
            budget: Some(Duration::from_secs(self.rules.seconds_per_network)),
            budget_per: BudgetPer::Zoo,
            jobs: self.arguments.jobs,
            threads: None,
            memory: None,
            shard: None,
            folder: None,
            reuse: ReuseArguments::default(),
            worker: Some(self.externals.worker()),
        }
    }
}

/// Adds the submission to the registry; gives its measure's id and its digest.
fn register(
    arguments: &SubmitArguments,
    zoos: &[String],
    registry: &mut Registry,
    terminal: &Terminal,
) -> Result<(Externals, String, String), Failure> {
    let what = &arguments.what;
    let mut external = ExternalArguments {
        sandbox: !arguments.no_sandbox,
        no_sandbox: arguments.no_sandbox,
        sandbox_memory: arguments.sandbox_memory,
        sandbox_read: arguments.sandbox_read.clone(),
        python: arguments.python.clone(),
        ..ExternalArguments::default()
    };
    if what.join("Cargo.toml").is_file() {
        external.plugin = Some(what.clone());
    } else if what.is_dir() {
        external.submission.push(what.clone());
    } else {
        external.executable.push(what.clone());
    }
    let externals = external::register(&external, zoos, registry, terminal)?
        .ok_or_else(|| Failure::usage("there is nothing to submit"))?;
    let measure = match (&arguments.measure, externals.measures.as_slice()) {
        (Some(id), measures) if measures.contains(id) => id.clone(),
        (None, [only]) => only.clone(),
        (wanted, measures) => {
            let message = match wanted {
                Some(id) => format!("{} has no measure `{id}`", what.display()),
                None => format!("{} is several measures", what.display()),
            };
            return Err(
                Failure::usage(message).hint(format!("--measure names one of {}", measures.join(", ")))
            );
        }
    };
    let digest = externals.digest.clone();
    Ok((externals, measure, digest))
}

/// Who submits.
fn author(arguments: &SubmitArguments) -> Result<String, Failure> {
    let given = match &arguments.name {
        Some(name) => name.clone(),
        None => {
            let full = std::fs::canonicalize(&arguments.what)
                .map_err(|error| Failure::usage(format!("{}: {error}", arguments.what.display())))?;
            full.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
    };
    let fits = |each: char| each.is_alphanumeric() || matches!(each, '_' | '-' | '.');
    if given.is_empty() || given.starts_with('.') || !given.chars().all(fits) || given.len() > 60 {
        return Err(Failure::usage(format!("`{given}` cannot stand on a leaderboard"))
            .hint("--name takes up to 60 letters, digits, `_`, `-` and `.`"));
    }
    Ok(given)
}

/// The competition's folder.
fn board(arguments: &SubmitArguments, rules: &Rules) -> Result<PathBuf, Failure> {
    if let Some(folder) = &arguments.board {
        return Ok(folder.clone());
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::new(Exit::Unexpected, "no home folder is known")
            .hint("--board names the competition's folder")
    })?;
    Ok(data.join("pgdl/competitions").join(&rules.name))
}
