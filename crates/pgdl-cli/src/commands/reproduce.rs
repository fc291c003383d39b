//! `pgdl reproduce`: evaluate and score what a manifest names, and hold it against the committed results.

mod published;
mod slurm;

use std::path::{Path, PathBuf};

use pgdl_measure::{Registry, Request};
use pgdl_report::{
    Cell, Column, Committed, Comparison, Level, Manifest, ManifestZoo, Population, Results, ScoreReport,
    ScoredZoo, Table, requested_values,
};
use pgdl_run::{Dtype, Plan, PlanOptions, Record, Reuse, RunFolder, Shard};
use pgdl_score::Options;
use pgdl_zoo::{Gap, Split, Zoo};

use crate::arguments::{
    BudgetPer, DeviceArguments, Executor, Format, LevelChoice, Precision, ReproduceArguments, RunArguments,
};
use crate::commands::evaluate::evaluate;
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Runs `pgdl reproduce`.
pub fn run(arguments: ReproduceArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    if let Some(task) = &arguments.published {
        return published::run(task, &arguments, registry, terminal);
    }
    let path = arguments.manifest.clone().unwrap_or_default();
    let reproduction = Reproduction::open(Manifest::read(&path)?, &arguments, registry, terminal)?;
    match (arguments.executor, arguments.dry_run) {
        _ if arguments.from_records => reproduction.check_records(),
        (Executor::Slurm, _) => slurm::run(&reproduction),
        (Executor::Local, true) => reproduction.tell_what_lacks(),
        (Executor::Local, false) if arguments.shard.is_some() => reproduction.evaluate_shard(),
        (Executor::Local, false) => reproduction.conclude(),
    }
}

/// A manifest with its zoos at hand.
struct Reproduction<'a> {
    manifest: Manifest,
    zoos: Vec<OpenZoo>,
    request: Request,
    /// The folder of the run folders, one in it per zoo.
    folder: PathBuf,
    arguments: &'a ReproduceArguments,
    terminal: &'a Terminal,
}

/// A zoo of the manifest.
struct OpenZoo {
    listed: ManifestZoo,
    zoo: Zoo,
    population: Population,
}

impl<'a> Reproduction<'a> {
    /// Finds what the manifest names. All of it, before the long work.
    fn open(
        manifest: Manifest,
        arguments: &'a ReproduceArguments,
        registry: &Registry,
        terminal: &'a Terminal,
    ) -> Result<Reproduction<'a>, Failure> {
        // What the manifest names wrongly is a fault of the manifest, not of the command line.
        let of_manifest = |failure: Failure| Failure {
            exit: if failure.exit == Exit::Usage { Exit::Invalid } else { failure.exit },
            message: format!("{}: {}", manifest.path.display(), failure.message),
            ..failure
        };
        let request = registry
            .request(&manifest.measures.join(","))
            .map_err(|error| of_manifest(Failure::from(error)))?;
        let gap = if manifest.scoring.gap == "loss" { Gap::Loss } else { Gap::Accuracy };
        let mut zoos = Vec::new();
        for listed in &manifest.zoos {
            let zoo = Zoo::find(&manifest.place_of(listed).to_string_lossy())
                .map_err(|error| of_manifest(Failure::from(error)))?;
            let digest = zoo.digest()?;
            if !digest.eq_ignore_ascii_case(&listed.digest) {
                let message = format!(
                    "{}: the zoo {} in {} is another one than the manifest names: its digest is {digest}",
                    manifest.path.display(),
                    listed.name,
                    zoo.root().display()
                );
                return Err(Failure::new(Exit::Invalid, message).hint(format!(
                    "its networks, data or listing changed: restore them; if the change is meant, put this digest into \
                     the manifest and run `pgdl reproduce {} --update`",
                    manifest.path.display()
                )));
            }
            if zoo.name() != listed.name {
                let message = format!(
                    "{}: the zoo in {} is named {}, not {}",
                    manifest.path.display(),
                    zoo.root().display(),
                    zoo.name(),
                    listed.name
                );
                return Err(Failure::new(Exit::Invalid, message).hint("name it as its folder is named"));
            }
            let population = Population::from_zoo(&zoo, gap)?;
            zoos.push(OpenZoo { listed: listed.clone(), zoo, population });
        }
        let folder = match &arguments.folder {
            Some(folder) => folder.clone(),
            None => {
                let runs = RunFolder::default_dir("reproduce", "")?;
                runs.with_file_name("reproduce").join(&manifest.name)
            }
        };
        Ok(Reproduction { manifest, zoos, request, folder, arguments, terminal })
    }

    fn level(&self) -> Level {
        match self.arguments.level {
            Some(LevelChoice::Strict) => Level::Strict,
            Some(LevelChoice::Balanced) => Level::Balanced,
            Some(LevelChoice::Loose) => Level::Loose,
            None => self.manifest.tolerance.level,
        }
    }

    /// Zoos and seeds, in the manifest's order.
    fn parts(&self) -> impl Iterator<Item = (&OpenZoo, u64)> {
        let seeds = &self.manifest.evaluation.seeds;
        self.zoos.iter().flat_map(move |zoo| seeds.iter().map(move |&seed| (zoo, seed)))
    }

    /// How a zoo is evaluated under a seed.
    fn run_arguments(&self, zoo: &OpenZoo, seed: u64) -> RunArguments {
        let evaluation = &self.manifest.evaluation;
        let device = self.arguments.device.clone().unwrap_or_else(|| evaluation.device.clone());
        let threads = self.arguments.threads.unwrap_or(evaluation.threads);
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        let jobs = self.arguments.jobs.or_else(|| (device == "cpu").then_some((cores / threads).max(1)));
        RunArguments {
            device: DeviceArguments { device },
            seed,
            sample: evaluation.sample,
            batch_size: evaluation.batch_size,
            dtype: if evaluation.dtype == "float64" { Precision::Float64 } else { Precision::Float32 },
            budget: self.arguments.budget,
            budget_per: BudgetPer::Measure,
            jobs,
            threads: Some(threads),
            memory: None,
            shard: self.arguments.shard,
            folder: Some(self.folder.join(&zoo.listed.name)),
            reuse: self.arguments.reuse,
            worker: None,
        }
    }

    /// The plan of a zoo and a seed, given records.
    fn plan(
        &self,
        zoo: &OpenZoo,
        seed: u64,
        records: &[Record],
        shard: Option<Shard>,
    ) -> Result<Plan, Failure> {
        let evaluation = &self.manifest.evaluation;
        let reuse = if self.arguments.reuse.retry_failed { Reuse::RetryFailed } else { Reuse::OnlyMissing };
        let options = PlanOptions {
            seed,
            sample: evaluation.sample,
            dtype: if evaluation.dtype == "float64" { Dtype::Float64 } else { Dtype::Float32 },
            networks: None,
            shard,
            reuse,
        };
        Ok(Plan::new(&zoo.zoo, &self.request.measures, records, options)?)
    }

    fn score(&self, zoo: &OpenZoo, seed: u64, records: &[Record]) -> Result<ScoredZoo, Failure> {
        let options = Options {
            bootstrap: self.manifest.scoring.bootstrap as usize,
            seed,
            test_examples: zoo.zoo.data_size(Split::Test).ok().map(|size| size as u64),
            ess_floor: self.manifest.scoring.ess_floor,
            ..Options::default()
        };
        let values = requested_values(&zoo.population, &self.request, records);
        let report = ScoreReport::new(&zoo.population, &values, &options)?;
        Ok(ScoredZoo { zoo: zoo.listed.name.clone(), seed, report })
    }

    /// Evaluates one shard, and compares nothing.
    fn evaluate_shard(&self) -> Outcome {
        let mut exit = Exit::Ok;
        for (zoo, seed) in self.parts() {
            let evaluated =
                evaluate(&zoo.zoo, &self.request.measures, &self.run_arguments(zoo, seed), self.terminal)?;
            if exit == Exit::Ok {
                exit = evaluated.exit;
            }
        }
        self.terminal.note(format_args!(
            "{}: `pgdl merge` brings the shards together, and `pgdl reproduce` without --shard compares",
            self.folder.display()
        ));
        Ok(exit)
    }

    /// Evaluates what lacks, scores all, and compares with the committed results or replaces them.
    fn conclude(&self) -> Outcome {
        // Before the long work: what cannot be compared with need not be waited for.
        let committed = (!self.arguments.update).then(|| Committed::read(&self.manifest)).transpose()?;
        let mut records = Vec::new();
        let mut scored = Vec::new();
        for (zoo, seed) in self.parts() {
            let evaluated =
                evaluate(&zoo.zoo, &self.request.measures, &self.run_arguments(zoo, seed), self.terminal)?;
            scored.push(self.score(zoo, seed, &evaluated.records)?);
            records.extend(evaluated.records);
        }
        let found = Results::new(scored, records, pgdl_run::processor_name());
        let Some(committed) = committed else { return self.update(&found) };
        let comparison = committed.compare(&self.manifest, self.level(), &found)?;
        self.print(&comparison)?;
        if comparison.is_same() {
            self.terminal.note(format_args!(
                "reproduced ({}): {} scores and {} values compared",
                comparison.level, comparison.scores, comparison.values
            ));
            return Ok(Exit::Ok);
        }
        self.terminal.warn(format_args!(
            "{} of {} scores and values are not as committed ({})",
            comparison.differences.len(),
            comparison.scores + comparison.values,
            comparison.level
        ));
        Ok(Exit::Differs)
    }

    fn print(&self, comparison: &Comparison) -> Result<(), Failure> {
        let format = self.arguments.output.format;
        if comparison.is_same() && format == Format::Table {
            return Ok(());
        }
        print_table(&comparison.table(), format, self.terminal)
    }

    /// Replaces the committed results, and prints what of them changes.
    fn update(&self, found: &Results) -> Outcome {
        let folder = self.manifest.results_folder();
        // Former results that cannot be read, or are of another kind, are replaced all the same.
        let former = Committed::read(&self.manifest)
            .and_then(|committed| committed.compare(&self.manifest, self.level(), found));
        found.write(&self.manifest)?;
        match former {
            Ok(comparison) => {
                self.print(&comparison)?;
                self.terminal.note(format_args!(
                    "{}: written; {} scores and values differ from the former ones",
                    folder.display(),
                    comparison.differences.len()
                ));
            }
            Err(_) => self.terminal.note(format_args!("{}: written", folder.display())),
        }
        Ok(Exit::Ok)
    }

    /// Checks that the committed files are those that the committed records make.
    fn check_records(&self) -> Outcome {
        let committed = Committed::read(&self.manifest)?;
        let (mut records, mut scored) = (Vec::new(), Vec::new());
        for (zoo, seed) in self.parts() {
            let plan = self.plan(zoo, seed, committed.records(), None)?;
            if plan.outstanding() > 0 {
                let message = format!(
                    "{}: {} of {} evaluations of {} with seed {seed} are not among the committed records",
                    self.manifest.path.display(),
                    plan.outstanding(),
                    plan.size(),
                    zoo.listed.name
                );
                return Err(Failure::new(Exit::Differs, message)
                    .hint(format!("`pgdl reproduce {} --update`", self.manifest.path.display())));
            }
            let answers: Vec<Record> = plan.answers(committed.records()).into_iter().cloned().collect();
            scored.push(self.score(zoo, seed, &answers)?);
            records.extend(answers);
        }
        let results = Results::new(scored, records, committed.processor().map(str::to_owned));
        let folder = self.manifest.results_folder();
        let files = results.files(&self.manifest)?;
        let stale: Vec<PathBuf> = files
            .iter()
            .map(|(name, bytes)| (folder.join(name), bytes))
            .filter(|(path, bytes)| std::fs::read(path).ok().as_ref() != Some(bytes))
            .map(|(path, _)| path)
            .collect();
        let mut table = Table::new(vec![Column::new("file", "file"), Column::new("state", "state")]);
        for path in &stale {
            let state = if path.exists() { "not what the records make" } else { "not there" };
            table.push(vec![Cell::text(path.display().to_string()), Cell::text(state)]);
        }
        if stale.is_empty() {
            self.terminal.note(format_args!(
                "{}: {} files are what the records make",
                folder.display(),
                files.len()
            ));
            return Ok(Exit::Ok);
        }
        print_table(&table, self.arguments.output.format, self.terminal)?;
        Ok(Exit::Differs)
    }

    /// Says what would be evaluated.
    fn tell_what_lacks(&self) -> Outcome {
        let mut table = Table::new(vec![
            Column::new("zoo", "zoo"),
            Column::new("seed", "seed"),
            Column::new("evaluations", "evaluations"),
            Column::new("held", "held"),
            Column::new("outstanding", "outstanding"),
        ]);
        for (zoo, seed) in self.parts() {
            let records = RunFolder::look(&self.folder.join(&zoo.listed.name))?.records;
            let plan = self.plan(zoo, seed, &records, self.arguments.shard)?;
            table.push(vec![
                Cell::text(&zoo.listed.name),
                Cell::text(seed.to_string()),
                Cell::count(plan.size()),
                Cell::count(plan.held()),
                Cell::count(plan.outstanding()),
            ]);
        }
        print_table(&table, self.arguments.output.format, self.terminal)?;
        Ok(Exit::Ok)
    }
}

/// A path that means the same from every folder.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("{}: {error}", path.display())))
}
