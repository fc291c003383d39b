//! `pgdl report`: a page of what records hold.

use std::path::{Path, PathBuf};

use pgdl_measure::{Composite, Need, Registry};
use pgdl_report::{
    Findings, FoundRecords, Manifest, MeasureNote, RECORDS_ARCHIVE, ReportError, WholeFile, report_page,
    write_plots,
};
use pgdl_run::{RECORDS_FILE, Record, RunContext, RunFolder, merge};
use pgdl_score::Options;
use pgdl_zoo::{Split, Zoo};

use crate::arguments::ReportArguments;
use crate::commands::composites::Composites;
use crate::commands::score::gap;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Runs `pgdl report`.
pub fn run(arguments: &ReportArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    // Before the work: where nothing can be written is told at once.
    let page = WholeFile::create(&arguments.output)?;
    if let Some(folder) = &arguments.plots {
        std::fs::create_dir_all(folder)
            .map_err(|source| ReportError::Unwritable { path: folder.clone(), source })?;
    }
    let mut composites = Composites::named(arguments.composite.as_deref(), registry)?;
    let (mut runs, mut places) = (Vec::new(), Vec::new());
    for run in &arguments.runs {
        let path = Path::new(run);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let manifest = Manifest::read(path)?;
            composites.add_those_of(&manifest, path, registry, terminal)?;
            places.extend(manifest.zoos.iter().map(|zoo| (zoo.name.clone(), manifest.place_of(zoo))));
            runs.push(manifest.results_folder().join(RECORDS_ARCHIVE));
        } else {
            runs.push(find_run(run)?);
        }
    }
    let findings = found(&runs, &places, &composites.0, arguments)?
        .into_iter()
        .map(|(zoo, found)| {
            let options = Options {
                bootstrap: arguments.bootstrap as usize,
                seed: arguments.seed,
                test_examples: arguments
                    .test_examples
                    .or_else(|| zoo.data_size(Split::Test).ok().map(|size| size as u64)),
                ess_floor: arguments.ess_floor,
                ..Options::default()
            };
            Ok(Findings::new(&zoo, gap(arguments.gap), found, &options, &|id| describe(registry, id))?)
        })
        .collect::<Result<Vec<Findings>, Failure>>()?;
    for findings in &findings {
        for note in findings.notes() {
            terminal.warn(format_args!("{}: {note}", findings.report().zoo));
        }
    }
    page.write(report_page(&findings)?.as_bytes())?;
    terminal.data(&format!("{}\n", arguments.output.display()))?;
    if let Some(folder) = &arguments.plots {
        let plots = write_plots(&findings, folder)?;
        terminal.note(format_args!("{plots} plots, each as SVG and as PNG"));
        terminal.data(&format!("{}\n", folder.display()))?;
    }
    Ok(Exit::Ok)
}

/// The folder or file of a run's records: named itself, or by the zoo whose default run it is.
fn find_run(text: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(text);
    if path.join(RECORDS_FILE).is_file() || path.is_file() {
        return Ok(path.to_path_buf());
    }
    let zoo = Zoo::find(text).map_err(|error| match error {
        error if path.is_dir() => Failure::new(
            Exit::Invalid,
            format!("{text}: neither a run (it holds no {RECORDS_FILE}) nor a zoo: {error}"),
        )
        .hint("`pgdl eval --run DIR` makes a run folder"),
        _ if text.contains('/') && !path.exists() => {
            Failure::new(Exit::Invalid, format!("{text}: there is no such run"))
                .hint("name a run folder, a records file, or a zoo")
        }
        error => error.into(),
    })?;
    let folder = RunFolder::default_dir(zoo.name(), &zoo.digest()?)?;
    if folder.join(RECORDS_FILE).is_file() { Ok(folder) } else { Err(nothing(&folder, zoo.name())) }
}

fn nothing(run: &Path, zoo: &str) -> Failure {
    Failure::new(Exit::NothingToDo, format!("{}: there are no records", run.display()))
        .hint(format!("`pgdl score --zoo {zoo}` makes some"))
}

/// The records of the runs by zoo, in the order in which the zoos first occur.
fn found(
    runs: &[PathBuf],
    places: &[(String, PathBuf)],
    composites: &[Composite],
    arguments: &ReportArguments,
) -> Result<Vec<(Zoo, FoundRecords)>, Failure> {
    let merged = merge(runs)?;
    let contexts: Vec<RunContext> =
        runs.iter().filter_map(|run| pgdl_report::findings::read_context(run)).collect();
    let mut names: Vec<String> = Vec::new();
    for context in &contexts {
        if merged.records.iter().any(|record| record.zoo == context.zoo) && !names.contains(&context.zoo) {
            names.push(context.zoo.clone());
        }
    }
    for record in &merged.records {
        if !names.contains(&record.zoo) {
            names.push(record.zoo.clone());
        }
    }
    let first = runs.first().map_or(Path::new(""), PathBuf::as_path);
    if names.is_empty() {
        return Err(nothing(first, "ZOO"));
    }
    if arguments.zoo.is_some() && names.len() > 1 {
        return Err(Failure::usage(format!(
            "--zoo names one zoo, but the records are of {}",
            names.join(", ")
        ))
        .hint("report on the run of each zoo alone"));
    }
    let mut notes = Vec::new();
    if merged.damaged > 0 {
        notes.push(format!(
            "{} lines of the records files hold no record, and are passed over",
            merged.damaged
        ));
    }
    let mut records = merged.records;
    names
        .into_iter()
        .map(|name| {
            let zoo = find_zoo(&name, &contexts, places, arguments)?;
            let (of_zoo, others): (Vec<Record>, Vec<Record>) =
                std::mem::take(&mut records).into_iter().partition(|record| record.zoo == name);
            records = others;
            // A zoo may have been renamed since; that it is the same one, digests tell.
            let of_zoo = of_zoo.into_iter().map(|record| Record { zoo: zoo.name().to_owned(), ..record });
            let found = FoundRecords {
                records: of_zoo.collect(),
                contexts: contexts.iter().filter(|context| context.zoo == name).cloned().collect(),
                composites: composites.to_vec(),
                notes: notes.clone(),
            };
            Ok((zoo, found))
        })
        .collect()
}

/// The zoo that records are of: as named, where its run found it or its manifest says, or by its name.
fn find_zoo(
    name: &str,
    contexts: &[RunContext],
    places: &[(String, PathBuf)],
    arguments: &ReportArguments,
) -> Result<Zoo, Failure> {
    if let Some(zoo) = &arguments.zoo {
        return Ok(Zoo::find(zoo)?);
    }
    let roots = contexts.iter().filter(|context| context.zoo == name).map(|context| &context.zoo_root);
    let roots = roots.chain(places.iter().filter(|(zoo, _)| zoo == name).map(|(_, place)| place));
    let there = roots.filter_map(|root| Zoo::open(root).ok()).find(|zoo| !zoo.networks().is_empty());
    there.map_or_else(|| Zoo::find(name), Ok).map_err(|error| {
        Failure::new(
            Exit::Invalid,
            format!("the records are of the zoo {name}, which cannot be opened: {error}"),
        )
        .hint("name the zoo's folder with --zoo")
    })
}

/// What the program knows of a measure.
fn describe(registry: &Registry, id: &str) -> Option<MeasureNote> {
    let info = registry.info(id).ok()?;
    Some(MeasureNote {
        title: info.title.to_owned(),
        family: info.family.to_owned(),
        formula: info.formula.to_owned(),
        paper: info.paper.to_owned(),
        control: info.control,
        uses_gaps: info.needs(Need::TrueGaps),
    })
}
