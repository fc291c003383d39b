//! `pgdl score`: evaluate what no record holds, score, print.

use pgdl_measure::Registry;
use pgdl_report::{
    CompetitionTotal, Entry, GapColumns, GapKind, MeasureScore, MeasureValues, Population, Predictions,
    ScoreReport, ScoresFile, TableSpec, ValueStatus, ranking, requested_values,
};
use pgdl_score::Options;
use pgdl_zoo::{Gap, Split, Zoo};

use crate::arguments::{Format, GapChoice, ScoreArguments};
use crate::commands::evaluate::evaluate;
use crate::commands::external;
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// What is to be scored, wherever the values come from.
struct Subject {
    population: Population,
    measures: Vec<MeasureValues>,
    test_examples: Option<u64>,
    exit: Exit,
}

/// Runs `pgdl score`.
pub fn run(mut arguments: ScoreArguments, registry: &mut Registry, terminal: &Terminal) -> Outcome {
    let externals = external::register(&arguments.external, arguments.zoo.as_slice(), registry, terminal)?;
    if let Some(externals) = &externals {
        arguments.run.worker = Some(externals.worker());
        arguments.measure.get_or_insert_with(|| externals.measures.join(","));
    }
    let subject = match (&arguments.table, &arguments.zoo) {
        (Some(_), _) => from_table(&arguments, terminal)?,
        (None, Some(zoo)) if !arguments.predictions.is_empty() => from_predictions(zoo, &arguments)?,
        (None, Some(zoo)) => from_run(zoo, &arguments, registry, terminal)?,
        (None, None) => return Err(Failure::usage("either --zoo or --table is needed")),
    };
    let options = Options {
        bootstrap: arguments.bootstrap as usize,
        seed: arguments.run.seed,
        test_examples: arguments.test_examples.or(subject.test_examples),
        ess_floor: arguments.ess_floor,
        ..Options::default()
    };
    let report = ScoreReport::new(&subject.population, &subject.measures, &options)?;
    terminal.note(in_words(&subject.population));
    print(&report, &subject, &arguments, terminal)?;
    Ok(subject.exit)
}

fn print(
    report: &ScoreReport,
    subject: &Subject,
    arguments: &ScoreArguments,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let format = arguments.output.format;
    let totals = if arguments.competition_total { totals(report)? } else { Vec::new() };
    if format == Format::Json {
        // One object, whatever was asked for besides.
        let mut complete = report.clone();
        if arguments.ranking {
            complete = complete.with_ranking(&subject.population, &subject.measures);
        }
        if arguments.competition_total {
            let total = |(measure, file): &(String, ScoresFile)| CompetitionTotal {
                measure: measure.clone(),
                total: file.average,
            };
            complete.competition_totals = Some(totals.iter().map(total).collect());
        }
        terminal.data(&complete.to_json())?;
    } else {
        print_table(&report.table(), format, terminal)?;
        if arguments.ranking {
            print_ranking(subject, format, terminal)?;
        }
        for (measure, file) in &totals {
            let heading = if totals.len() > 1 { format!("\n{measure}\n") } else { "\n".to_owned() };
            terminal.data(&format!("{heading}{}", file.to_text()))?;
        }
    }
    for score in &report.scores {
        for (statistic, reason) in &score.undefined {
            if statistic == "cmi_pgdl" {
                terminal.note(format_args!("{}: no score: {reason}", score.measure));
            }
        }
    }
    for (warning, measures) in gathered(report) {
        if measures.len() == report.scores.len() {
            terminal.warn(warning);
        } else {
            terminal.warn(format_args!("{}: {warning}", measures.join(", ")));
        }
    }
    Ok(())
}

/// Per measure the competition's file of scores, as if this zoo were its only task.
fn totals(report: &ScoreReport) -> Result<Vec<(String, ScoresFile)>, Failure> {
    let total = |score: &MeasureScore| {
        let task = score.task_score().ok_or_else(|| {
            let message = format!("{}: there is no competition score to total", score.measure);
            Failure::new(Exit::Invalid, message)
                .hint("without --competition-total the scores there are are printed")
        })?;
        Ok((score.measure.clone(), ScoresFile::new(&[(report.zoo.clone(), task)])?))
    };
    report.scores.iter().map(total).collect()
}

/// Each warning once, with the measures it concerns: what is wrong with a zoo concerns all.
fn gathered(report: &ScoreReport) -> Vec<(&str, Vec<&str>)> {
    let mut warnings: Vec<(&str, Vec<&str>)> = Vec::new();
    for score in &report.scores {
        for warning in &score.warnings {
            match warnings.iter_mut().find(|(known, _)| *known == warning.as_str()) {
                Some((_, measures)) => measures.push(&score.measure),
                None => warnings.push((warning, vec![&score.measure])),
            }
        }
    }
    warnings
}

/// What was scored, in one line.
fn in_words(population: &Population) -> String {
    let gaps = population.gaps();
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = gaps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let what = match population.gap {
        GapKind::Accuracy => "training accuracy − test accuracy",
        GapKind::Loss => "test loss − training loss",
        GapKind::Given => "as given",
    };
    format!("{}: {} networks, gap ({what}) from {least:.4} to {largest:.4}", population.name, gaps.len())
}

/// For people one table per measure, for programs one with all of them.
fn print_ranking(subject: &Subject, format: Format, terminal: &Terminal) -> Result<(), Failure> {
    if format == Format::Csv {
        // An empty line ends the first table.
        terminal.data("\n")?;
        return print_table(&ranking(&subject.population, &subject.measures), format, terminal);
    }
    for measure in &subject.measures {
        let mark = if format == Format::Markdown { "## " } else { "" };
        terminal
            .data(&format!("\n{mark}{}: networks by predicted gap, largest first\n\n", measure.measure))?;
        print_table(&ranking(&subject.population, std::slice::from_ref(measure)), format, terminal)?;
    }
    Ok(())
}

/// The size of the test set, where the zoo tells.
fn test_examples(zoo: &Zoo) -> Option<u64> {
    zoo.data_size(Split::Test).ok().map(|size| size as u64)
}

/// The gap that was chosen.
pub fn gap(choice: GapChoice) -> Gap {
    match choice {
        GapChoice::Accuracy => Gap::Accuracy,
        GapChoice::Loss => Gap::Loss,
    }
}

/// Values from evaluating measures.
fn from_run(
    zoo: &str,
    arguments: &ScoreArguments,
    registry: &Registry,
    terminal: &Terminal,
) -> Result<Subject, Failure> {
    let request = registry.request(arguments.measure.as_deref().unwrap_or("all"))?;
    let zoo = Zoo::find(zoo)?;
    // Before the long work: a zoo without gaps cannot be scored.
    let population = Population::from_zoo(&zoo, gap(arguments.gap))?;
    if zoo.networks().iter().all(|network| zoo.model_folder(network.id).is_err()) {
        return Err(Failure::new(
            Exit::Invalid,
            format!("{}: the zoo only lists its networks, and holds none of them", zoo.root().display()),
        )
        .hint("score values that were computed elsewhere with --predictions, or complete the zoo"));
    }
    let evaluated = evaluate(&zoo, &request.measures, &arguments.run, terminal)?;
    let measures = requested_values(&population, &request, &evaluated.records);
    let undefined = tell_undefined_composites(&population, &measures, terminal);
    let exit = if undefined && evaluated.exit == Exit::Ok { Exit::NotAllOk } else { evaluated.exit };
    Ok(Subject { population, measures, test_examples: test_examples(&zoo), exit })
}

/// Says of each composite without a value on some network why; whether there is one.
fn tell_undefined_composites(
    population: &Population,
    measures: &[MeasureValues],
    terminal: &Terminal,
) -> bool {
    let mut any = false;
    for composite in measures.iter().filter(|measure| measure.expression.is_some()) {
        let mut absent = population.networks.iter().zip(&composite.entries).filter_map(|(network, entry)| {
            match entry {
                // What this run was not to evaluate lacks no value.
                Entry::Absent { status: ValueStatus::Missing, .. } | Entry::Value { .. } => None,
                Entry::Absent { status, reason } => Some((network, status, reason)),
            }
        });
        if let Some((network, status, reason)) = absent.next() {
            let more = match absent.count() {
                0 => String::new(),
                count => format!(" (and {count} more)"),
            };
            let (label, name) = (&network.label, &composite.measure);
            terminal.warn(format_args!("network {label}{more}: {name}: {status}: {reason}"));
            any = true;
        }
    }
    any
}

/// Values from competition prediction files.
fn from_predictions(zoo: &str, arguments: &ScoreArguments) -> Result<Subject, Failure> {
    let zoo = Zoo::find(zoo)?;
    let population = Population::from_zoo(&zoo, gap(arguments.gap))?;
    let measures = arguments
        .predictions
        .iter()
        .map(|path| Predictions::read(path)?.values(&population))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Subject { population, measures, test_examples: test_examples(&zoo), exit: Exit::Ok })
}

/// Values from a table.
fn from_table(arguments: &ScoreArguments, terminal: &Terminal) -> Result<Subject, Failure> {
    let gap = match (&arguments.train_accuracy, &arguments.test_accuracy, &arguments.gap_column) {
        (Some(train), Some(test), _) => GapColumns::Accuracies { train: train.clone(), test: test.clone() },
        (_, _, Some(gap)) => GapColumns::Gap(gap.clone()),
        _ => {
            return Err(Failure::usage("the table's gap is not named")
                .hint("give --train-accuracy and --test-accuracy, or --gap-column"));
        }
    };
    let spec = TableSpec {
        path: arguments.table.clone().unwrap_or_default(),
        hyperparameters: arguments.hyperparameters.clone(),
        seed: arguments.seed_column.clone(),
        id: arguments.id_column.clone(),
        gap,
        measures: arguments.measure.as_ref().map(|list| list.split(',').map(str::to_owned).collect()),
    };
    let table = spec.read()?;
    if !table.passed_over.is_empty() {
        terminal.note(format_args!("columns without numbers, passed over: {}", table.passed_over.join(", ")));
    }
    Ok(Subject {
        population: table.population,
        measures: table.measures,
        test_examples: None,
        exit: Exit::Ok,
    })
}
