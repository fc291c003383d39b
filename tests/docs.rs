//! The generated reference pages say what the program says now. `PGDL_BLESS=1` rewrites them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use pgdl_measure::{Passes, Registry, explain};
use pgdl_report::{Cell, Column, Digits, Table};
use pgdl_run::{CostReport, CostSubject, Status};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    registry
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// Holds a generated page against the file, or rewrites it.
fn check(name: &str, page: &str) {
    if std::env::var_os("PGDL_BLESS").is_some() {
        std::fs::write(docs(name), page).unwrap();
    }
    let there = std::fs::read_to_string(docs(name)).unwrap_or_default();
    assert!(there == page, "docs/{name} is stale: run PGDL_BLESS=1 cargo test -p pgdl --test docs");
}

fn measures_page() -> String {
    let registry = registry();
    let mut page = String::from(
        "# Measures\n\nGenerated from the registry, as `pgdl explain` prints it; see CONTRIBUTING.md for how to rewrite it. \
         Larger values\npredict a larger generalization gap. Cost is in forward passes F, forward and backward passes B, \
         and Hessian-vector\nproducts HVP over the training sample; P is the number of parameters.\n",
    );
    for family in registry.families() {
        let _ = write!(page, "\n| {family} | what | cost |\n|---|---|---|\n");
        for info in registry.infos().filter(|info| info.family == family) {
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let _ =
                writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", info.id, cell(info.title), cell(info.cost));
        }
    }
    for info in registry.infos() {
        page.push('\n');
        page.push_str(&explain::markdown(info));
    }
    page
}

/// The cost reports that are kept: what `pgdl bench --format json` printed, on a machine of ours.
fn cost_reports() -> Vec<CostReport> {
    let Ok(folder) = std::fs::read_dir(docs("costs")) else {
        println!("skipped: docs/costs holds no report yet");
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
}

/// Made from the reports that are kept: rows for the measures that the registry knows now, and what was measured of them.
fn costs_page(reports: &[CostReport]) -> String {
    let subjects: Vec<&CostSubject> = reports.iter().flat_map(|report| &report.subjects).collect();
    let mut page = String::from(
        "# Costs\n\nWhat measures cost, each alone on a fresh probe and all together on one that they share: forward passes F, \
         backward\npasses B and Hessian-vector products HVP over the training sample, and seconds by the clock without what \
         libtorch loads\nat its first use. Generated from the files in `costs/`, which `pgdl bench --format json` printed; see \
         CONTRIBUTING.md\nfor how to rewrite it.\n\n",
    );
    for report in reports {
        let networks: Vec<String> = report
            .subjects
            .iter()
            .map(|subject| format!("{} on {} ({} samples)", subject.network, subject.device, subject.sample))
            .collect();
        let _ = writeln!(
            page,
            "- {}: {}, threads: {}, {}, batches of {}, seed {}, libtorch {}, pgdl {}, {}.",
            networks.join(", "),
            report.processor.as_deref().unwrap_or("processor unknown"),
            report.threads,
            report.dtype,
            report.batch_size,
            report.seed,
            report.libtorch_version,
            report.pgdl_version,
            report.utc.split('T').next().unwrap_or_default()
        );
    }
    let _ = write!(page, "\n## All together\n\n{}", totals(&subjects).to_markdown());
    let first = subjects.first().map_or("", |subject| subject.network.as_str());
    let _ = write!(
        page,
        "\n## Each measure\n\nValue, standard error and passes on {first}; seconds of each alone. A value that is random has a \
         standard error. What is\nempty was not measured yet, or has no value there.\n\n{}",
        each_measure(&subjects).to_markdown()
    );
    page
}

fn pass_columns() -> [Column; 3] {
    [("forward", "F"), ("backward", "B"), ("hvp", "HVP")]
        .map(|(key, title)| Column::new(key, title).digits(Digits::Significant(3)))
}

fn pass_cells(passes: Passes) -> [Cell; 3] {
    [passes.forward, passes.backward, passes.hvp].map(Cell::number)
}

fn totals(subjects: &[&CostSubject]) -> Table {
    let mut columns =
        ["network", "device", "parameters", "measures"].map(|name| Column::new(name, name)).to_vec();
    columns.extend(pass_columns());
    columns.push(Column::new("seconds", "time").digits(Digits::Duration));
    columns.push(Column::new("ratio", "ratio").digits(Digits::Fixed { decimals: 2, scale: 1.0 }));
    let mut table = Table::new(columns);
    for subject in subjects {
        let costs = &subject.costs;
        for (what, total, ratio) in
            [("each alone", costs.alone, None), ("all together", costs.together, Some(subject.ratio))]
        {
            let mut row = vec![
                Cell::text(&subject.network),
                Cell::text(&subject.device),
                Cell::count(subject.parameters as usize),
                Cell::text(format!("{}, {what}", costs.measures.len())),
            ];
            row.extend(pass_cells(total.passes));
            row.extend([Cell::number(total.seconds), Cell::maybe(ratio)]);
            table.push(row);
        }
    }
    table
}

fn each_measure(subjects: &[&CostSubject]) -> Table {
    let significant = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(4));
    let mut columns = vec![
        Column::new("measure", "measure"),
        significant("value", "value"),
        significant("standard_error", "standard error"),
    ];
    columns.extend(pass_columns());
    columns.extend(subjects.iter().map(|subject| {
        let name = format!("{} ({})", subject.network, subject.device);
        Column::new(&name, &name).digits(Digits::Duration)
    }));
    let mut table = Table::new(columns);
    for info in registry().infos() {
        let cost = |subject: &CostSubject| {
            let mut costs = subject.costs.measures.iter();
            costs.find(|cost| cost.measure == info.id && cost.version == info.version).cloned()
        };
        let mut row = vec![Cell::text(format!("[`{0}`](measures.md#{0})", info.id))];
        match subjects.first().and_then(|subject| cost(subject)) {
            Some(cost) => {
                row.push(match cost.status {
                    Status::Ok => Cell::maybe(cost.value),
                    status => Cell::text(status.as_str()),
                });
                row.push(Cell::maybe(cost.standard_error));
                row.extend(pass_cells(cost.passes));
            }
            None => row.extend(std::iter::repeat_with(Cell::empty).take(5)),
        }
        row.extend(subjects.iter().map(|subject| Cell::maybe(cost(subject).map(|cost| cost.seconds))));
        table.push(row);
    }
    table
}

#[test]
fn the_page_of_measures_is_fresh() {
    check("measures.md", &measures_page());
}

#[test]
fn the_page_of_costs_is_fresh() {
    let reports = cost_reports();
    if !reports.is_empty() {
        check("costs.md", &costs_page(&reports));
    }
}

/// What the page says of each network is what its report says.
#[test]
fn the_kept_costs_add_up() {
    for subject in cost_reports().iter().flat_map(|report| &report.subjects) {
        let sum: f64 = subject.costs.measures.iter().map(|cost| cost.seconds).sum();
        assert!((sum - subject.costs.alone.seconds).abs() < 1e-6 * sum, "{}", subject.network);
        assert!((subject.ratio - subject.costs.together.seconds / sum).abs() < 1e-6, "{}", subject.network);
        assert!(subject.costs.together.passes.forward <= subject.costs.alone.passes.forward);
    }
}
