//! The part of a page that says what has no value, and why.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::findings::{Findings, enumerated};
use crate::table::{Cell, Column, PageTable, Table};
use crate::values::{Entry, ValueStatus};

/// Coverage and statuses.
pub(super) fn section(findings: &Findings, id: &str, link: &dyn Fn(&str) -> Option<String>) -> Markup {
    let failures = failures(findings);
    html! {
        section aria-labelledby=(id) {
            h3 #(id) { "Coverage" }
            @if failures.is_empty() {
                p { "Every measure has a value on every network." }
            } @else {
                p { "What has no value, and why. The competition’s CMI counts such a network as “not larger”; all other scores leave it out." }
                (failures.to_html(PageTable {
                    link: Some(link),
                    of_measures: true,
                    ..PageTable::new("Networks without a value, by measure, status and reason")
                }))
            }
        }
    }
}

/// One row per measure, status and reason.
fn failures(findings: &Findings) -> Table {
    let mut table = Table::new(vec![
        Column::new("measure", "measure"),
        Column::new("status", "status"),
        Column::new("count", "networks without"),
        Column::new("of", "of"),
        Column::new("reason", "reason"),
        Column::new("which", "which"),
    ]);
    for measure in &findings.measures {
        let mut groups: BTreeMap<(ValueStatus, &str), Vec<String>> = BTreeMap::new();
        for (entry, network) in measure.values.entries.iter().zip(&findings.population.networks) {
            if let Entry::Absent { status, reason } = entry {
                groups.entry((*status, reason)).or_default().push(network.label.clone());
            }
        }
        for ((status, reason), networks) in groups.into_iter().rev() {
            table.push(vec![
                Cell::text(&measure.score.measure),
                Cell::text(status.as_str()).tone(crate::score_table::tone(status)),
                Cell::count(networks.len()),
                Cell::count(measure.values.entries.len()),
                Cell::text(shortened(reason)),
                Cell::text(enumerated(&networks)),
            ]);
        }
    }
    table
}

/// A message as long as a reader will read.
fn shortened(message: &str) -> String {
    const LONGEST: usize = 600;
    if message.is_empty() {
        return "no reason given".to_owned();
    }
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
