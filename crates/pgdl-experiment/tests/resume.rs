//! A run that is interrupted goes on where it stopped, and ends in the same files as a run in one go.

use std::cell::Cell as Counter;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pgdl_experiment::{
    Estimate, Event, Experiment, ExperimentError, ExperimentInfo, OptionInfo, Outcome, Published, Result,
    Run, Settings, run,
};
use pgdl_report::{Cell, Column, Curve, Curves, Table};

struct Squares;

static INFO: ExperimentInfo = ExperimentInfo {
    name: "squares",
    title: "Squares of numbers that depend on the seed.",
    paper: "nobody",
    version: 1,
    quick: "three of them",
    full: "ten of them",
    data: &[],
    options: &[OptionInfo { name: "factors", doc: "factors" }],
};

thread_local! {
    static COMPUTED: Counter<usize> = const { Counter::new(0) };
}

impl Experiment for Squares {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let factors: Vec<f64> = run.list("factors")?.unwrap_or_else(|| vec![1.0]);
        let count = if run.quick() { 3 } else { 10 };
        run.expect(count);
        let mut table = Table::new(vec![Column::new("number", "number"), Column::new("square", "square")]);
        let mut points = Vec::new();
        for number in 0..count {
            let square: f64 = run.cell(&format!("number={number}"), |run| {
                COMPUTED.set(COMPUTED.get() + 1);
                let drawn = (run.seed("x") % 1000) as f64 / 7.0 + number as f64;
                Ok(factors.iter().product::<f64>() * drawn * drawn)
            })?;
            table.push(vec![Cell::count(number), Cell::number(square)]);
            points.push((number as f64, square));
        }
        let figure = Curves { curves: vec![Curve::through("squares", points)], ..Curves::default() };
        let published = Published {
            what: "the first".into(),
            published: "1".into(),
            source: "nowhere".into(),
            measured: Some(Estimate::normal(1.0, 0.5)),
        };
        Ok(Outcome::default().table("squares", "Squares", table).figure("squares", figure).beside(published))
    }
}

fn settings(output: &Path) -> Settings {
    Settings {
        quick: true,
        seed: 3,
        threads: 1,
        device: tch::Device::Cpu,
        output: output.to_path_buf(),
        options: BTreeMap::new(),
    }
}

#[test]
fn an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    run(&Squares, &settings(&whole), &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!(COMPUTED.replace(0), 3);

    let stop = AtomicBool::new(false);
    let stopped = run(&Squares, &settings(&parts), &stop, &mut |event| {
        if matches!(event, Event::Cell { done: 2, .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    assert!(matches!(stopped, Err(ExperimentError::Interrupted { done: 2 })), "{stopped:?}");
    assert_eq!(COMPUTED.replace(0), 2);
    assert!(!parts.join("squares.csv").exists());

    run(&Squares, &settings(&parts), &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!(COMPUTED.replace(0), 1);
    for name in ["squares.csv", "squares.svg", "squares.png", "published.csv"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(read(&whole), read(&parts), "{name}");
    }
    let page = std::fs::read_to_string(parts.join("README.md")).unwrap();
    assert!(page.contains("the quick setting, not the paper's"), "{page}");
    assert!(page.contains("pgdl experiment squares --seed 3 --quick"));
}

#[test]
fn options_that_are_not_there_and_values_that_are_not_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("width", "3"), ("factors", "1,x")] {
        let mut settings = settings(folder.path());
        settings.options.insert(name.into(), value.into());
        let error = run(&Squares, &settings, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
        assert!(matches!(&error, ExperimentError::Option { name: found, .. } if found == name), "{error}");
        let _ = std::fs::remove_file(folder.path().join("journal.jsonl"));
    }
}

struct NotFinite;

impl Experiment for NotFinite {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        run.cell("x", |_| Ok(f64::NAN))?;
        Ok(Outcome::default())
    }
}

#[test]
fn a_result_that_is_not_finite_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&NotFinite, &settings(folder.path()), &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ExperimentError::Cell { .. }), "{error}");
}
