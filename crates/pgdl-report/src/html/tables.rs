//! The tables of a page that no other output has.

use crate::findings::Findings;
use crate::table::{Cell, Column, Digits, Table, Tone};

const COEFFICIENT: Digits = Digits::Fixed { decimals: 3, scale: 1.0 };
const TIMES_100: Digits = Digits::Fixed { decimals: 2, scale: 100.0 };

/// Per measure τ‑b over all networks, and per hyperparameter its mean within slices.
pub(super) fn slices(findings: &Findings) -> Table {
    let axes = findings.grid.axes();
    let mut columns = vec![
        Column::new("measure", "measure"),
        Column::new("overall", "all networks").digits(COEFFICIENT).with_interval(),
    ];
    columns.extend(
        axes.iter().map(|axis| Column::new(&axis.name, format!("within {}", axis.name)).digits(COEFFICIENT)),
    );
    columns.push(Column::new("psi", "Ψ").digits(COEFFICIENT));
    columns.push(Column::new("reversed", "reversed within"));
    let mut table = Table::new(columns);
    for measure in &findings.measures {
        let score = &measure.score;
        let reversals = measure.reversals();
        let mut row = vec![
            Cell::text(&score.measure),
            Cell::maybe(score.kendall_tau_b).interval(score.kendall_tau_b_ci),
        ];
        row.extend(measure.slices.iter().enumerate().map(|(place, slices)| {
            let tone = if reversals.contains(&place) { Tone::Bad } else { Tone::Plain };
            Cell::maybe(slices.mean()).tone(tone)
        }));
        row.push(Cell::maybe(score.granulated_kendall_mean));
        row.push(if reversals.is_empty() {
            Cell::empty()
        } else {
            Cell::text(findings.grid.names(&reversals).join(", ")).tone(Tone::Bad)
        });
        table.push(row);
    }
    table
}

/// Per measure the competition's CMI given each pair of hyperparameters; `None` without pairs.
pub(super) fn cmi_pairs(findings: &Findings) -> Option<Table> {
    let pairs = findings.measures.iter().find_map(|measure| {
        measure
            .cmi_pgdl
            .as_ref()
            .ok()
            .map(|cmi| cmi.sets.iter().map(|set| set.axes.clone()).collect::<Vec<_>>())
    })?;
    let mut columns =
        vec![Column::new("measure", "measure"), Column::new("least", "least").digits(TIMES_100)];
    columns.extend(pairs.iter().map(|axes| {
        let name = findings.grid.names(axes).join(" + ");
        Column::new(format!("pair {name}"), name).digits(TIMES_100)
    }));
    let mut table = Table::new(columns);
    for measure in &findings.measures {
        let cmi = measure.cmi_pgdl.as_ref().ok();
        let mut row = vec![Cell::text(&measure.score.measure), Cell::maybe(cmi.map(|cmi| cmi.value))];
        row.extend(pairs.iter().map(|axes| {
            let set = cmi.and_then(|cmi| cmi.sets.iter().find(|set| set.axes == *axes));
            let least = cmi.is_some_and(|cmi| cmi.argmin == *axes);
            let cell = Cell::maybe(set.and_then(|set| set.value.clone().ok()));
            if least { cell.tone(Tone::Bad) } else { cell }
        }));
        table.push(row);
    }
    Some(table)
}

/// Per network its hyperparameters, its gap, and its value of every measure.
pub(super) fn values(findings: &Findings) -> Table {
    let axes = findings.grid.axes();
    let mut columns = vec![Column::new("network", "network")];
    columns.extend(axes.iter().map(|axis| Column::new(format!("hyperparameter {}", axis.name), &axis.name)));
    columns.push(Column::new("gap", "gap").digits(Digits::Fixed { decimals: 4, scale: 1.0 }));
    columns.extend(findings.measures.iter().map(|measure| {
        let name = &measure.score.measure;
        Column::new(format!("measure {name}"), name).digits(Digits::Significant(5)).with_standard_error()
    }));
    let mut table = Table::new(columns);
    for (place, network) in findings.population.networks.iter().enumerate() {
        let mut row = vec![Cell::text(&network.label)];
        row.extend(network.hyperparameters.iter().map(|value| match value.number() {
            Some(number) => Cell::number(number),
            None => Cell::text(value.to_string()),
        }));
        row.push(Cell::number(network.gap));
        row.extend(findings.measures.iter().map(|measure| {
            let entry = &measure.values.entries[place];
            match entry.value() {
                Some(value) => Cell::number(value).standard_error(entry.standard_error()),
                None => Cell::text(entry.status().as_str()).tone(Tone::Warning),
            }
        }));
        table.push(row);
    }
    table
}

/// One measure's τ‑b within every value of every hyperparameter.
pub(super) fn slices_of_one(findings: &Findings, measure: &crate::findings::MeasureFindings) -> Table {
    let mut table = Table::new(vec![
        Column::new("hyperparameter", "hyperparameter"),
        Column::new("value", "value"),
        Column::new("networks", "networks"),
        Column::new("tau_b", "τ-b").digits(COEFFICIENT),
        Column::new("why", "why not"),
    ]);
    for (slices, axis) in measure.slices.iter().zip(findings.grid.axes()) {
        for (slice, label) in slices.slices.iter().zip(&axis.labels) {
            table.push(vec![
                Cell::text(&axis.name),
                Cell::text(label),
                Cell::count(slice.covered),
                Cell::maybe(slice.tau.clone().ok()),
                slice.tau.as_ref().err().map_or_else(Cell::empty, |reason| Cell::text(reason.to_string())),
            ]);
        }
    }
    table
}
