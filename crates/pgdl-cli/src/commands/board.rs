//! `pgdl board`: leaderboards from the records of runs and results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgdl_measure::Registry;
use pgdl_report::{
    Leaderboard, Manifest, MeasureValues, Population, Published, RECORDS_ARCHIVE, ScoreReport, Statistic,
    composite_values, values_from_records,
};
use pgdl_run::{RECORDS_FILE, Record, RunFolder};
use pgdl_score::Options;
use pgdl_zoo::{Split, Zoo};

use crate::arguments::{BoardArguments, Format};
use crate::commands::composites::Composites;
use crate::commands::print_table;
use crate::commands::score::gap;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Prints a board.
pub fn run(arguments: &BoardArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    let statistic: Statistic = arguments.statistic.parse().map_err(|error: pgdl_report::ReportError| {
        Failure { exit: Exit::Usage, hint: error.hint(), message: error.to_string() }
    })?;
    let composites = Composites::named(arguments.composite.as_deref(), registry)?;
    let mut found = Found { zoos: BTreeMap::new(), composites, registry, terminal };
    for input in &arguments.inputs {
        found.add(input)?;
    }
    let published = arguments.published.then(Published::load).transpose()?;
    if let (Some(published), true) = (&published, arguments.inputs.is_empty()) {
        found.add_runs_of(published)?;
    }
    let reports = found.reports(arguments)?;
    if let Some(published) = published {
        for report in reports.iter().filter(|report| published.task(&report.zoo).is_err()) {
            terminal.note(format_args!("{}: no figures are published for this zoo", report.zoo));
        }
        print_table(&published.table(&reports), arguments.output.format, terminal)?;
        return Ok(Exit::Ok);
    }
    match reports.as_slice() {
        [] => {
            return Err(Failure::new(Exit::NothingToDo, "there are no records to make a board of")
                .hint("`pgdl score` and `pgdl reproduce` make some"));
        }
        [report] if arguments.output.format == Format::Json => terminal.data(&report.to_json())?,
        [report] => print_table(&report.table(), arguments.output.format, terminal)?,
        several => {
            let board = Leaderboard::new(several, statistic)?;
            print_table(&board.table()?, arguments.output.format, terminal)?;
        }
    }
    Ok(Exit::Ok)
}

/// Records by zoo and where the zoo may be, and composites.
struct Found<'a> {
    zoos: BTreeMap<String, (Vec<Record>, Vec<PathBuf>)>,
    composites: Composites,
    registry: &'a Registry,
    terminal: &'a Terminal,
}

impl Found<'_> {
    /// Adds the records of a run, a records file, a manifest's results, or all of those in a folder.
    fn add(&mut self, input: &Path) -> Result<(), Failure> {
        if input.extension().is_some_and(|extension| extension == "toml") {
            return self.add_results(input);
        }
        if !input.is_dir() || input.join(RECORDS_FILE).exists() {
            return self.add_records(input);
        }
        if input.join(RECORDS_ARCHIVE).exists() {
            return self.add_records(&input.join(RECORDS_ARCHIVE));
        }
        let entries = std::fs::read_dir(input).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut inside: Vec<PathBuf> = entries
            .filter(|path| {
                path.extension().is_some_and(|extension| extension == "toml") && path.is_file()
                    || path.join(RECORDS_FILE).exists()
            })
            .collect();
        inside.sort();
        if inside.is_empty() {
            return Err(Failure::new(
                Exit::Invalid,
                format!("{}: holds no records, no runs and no manifests", input.display()),
            )
            .hint("name a run folder, a records file, a manifest, or a folder of such"));
        }
        inside.iter().try_for_each(|path| self.add(path))
    }

    fn add_results(&mut self, path: &Path) -> Result<(), Failure> {
        let manifest = Manifest::read(path)?;
        let archive = manifest.results_folder().join(RECORDS_ARCHIVE);
        if !archive.exists() {
            return Err(Failure::new(Exit::Invalid, format!("{}: there are no results yet", path.display()))
                .hint(format!("`pgdl reproduce {} --update` makes them", path.display())));
        }
        self.add_records(&archive)?;
        self.composites.add_those_of(&manifest, path, self.registry, self.terminal)?;
        for zoo in &manifest.zoos {
            if let Some((_, places)) = self.zoos.get_mut(&zoo.name) {
                places.push(manifest.place_of(zoo));
            }
        }
        Ok(())
    }

    fn add_records(&mut self, path: &Path) -> Result<(), Failure> {
        // Where the zoo of a run was when it ran.
        let context: Option<pgdl_run::RunContext> = std::fs::read_to_string(path.join("run.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok());
        for record in RunFolder::read(path)?.records {
            let (records, places) = self.zoos.entry(record.zoo.clone()).or_default();
            let root =
                context.as_ref().filter(|context| context.zoo == record.zoo).map(|context| &context.zoo_root);
            if let Some(root) = root.filter(|root| !places.contains(root)) {
                places.push(root.clone());
            }
            records.push(record);
        }
        Ok(())
    }

    /// Adds the usual runs of the competition's own zoos, where those are here.
    fn add_runs_of(&mut self, published: &Published) -> Result<(), Failure> {
        for task in &published.tasks {
            let Ok(zoo) = Zoo::find(&task.name) else { continue };
            let Ok(digest) = zoo.digest() else { continue };
            let dir = RunFolder::default_dir(zoo.name(), &digest)?;
            if dir.join(RECORDS_FILE).exists() {
                self.add_records(&dir)?;
            }
        }
        Ok(())
    }

    fn reports(self, arguments: &BoardArguments) -> Result<Vec<ScoreReport>, Failure> {
        let mut reports = Vec::new();
        for (name, (records, places)) in self.zoos {
            let zoo = open(&name, &places)?;
            let digest = zoo.digest()?;
            let foreign = records.iter().filter(|record| record.zoo_digest != digest).count();
            if foreign > 0 {
                self.terminal.warn(format_args!(
                    "{name}: {foreign} of {} records were made with another state of this zoo",
                    records.len()
                ));
            }
            let population = Population::from_zoo(&zoo, gap(arguments.gap))?;
            let columns = values_from_records(&population, &records);
            let composites = self.composites.0.iter();
            let composites = composites.map(|composite| composite_values(&population, composite, &columns));
            let values: Vec<MeasureValues> = columns.iter().cloned().chain(composites).collect();
            let options = Options {
                bootstrap: arguments.bootstrap as usize,
                test_examples: zoo.data_size(Split::Test).ok().map(|size| size as u64),
                ..Options::default()
            };
            reports.push(ScoreReport::new(&population, &values, &options)?);
        }
        Ok(reports)
    }
}

/// The zoo whose networks' true gaps the records are scored against.
fn open(name: &str, places: &[PathBuf]) -> Result<Zoo, Failure> {
    let of_this_name = |place: &PathBuf| Zoo::open(place).ok().filter(|zoo| zoo.name() == name);
    if let Some(zoo) = places.iter().find_map(of_this_name) {
        return Ok(zoo);
    }
    Zoo::find(name).map_err(|error| {
        let failure = Failure::from(error);
        Failure {
            message: format!("records of the zoo {name} need its true gaps: {}", failure.message),
            ..failure
        }
    })
}
