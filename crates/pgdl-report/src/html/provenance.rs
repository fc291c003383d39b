//! The part of a page that says where its numbers come from.

use std::collections::BTreeSet;
use std::fmt::Display;

use maud::{Markup, html};

use crate::findings::{Findings, Provenance};
use crate::table::{Cell, Column, Digits, PageTable, Table};

/// Provenance of the zoo, of the runs and of every measure.
pub(super) fn section(findings: &Findings, id: &str, link: &dyn Fn(&str) -> Option<String>) -> Markup {
    let all = |of: fn(&Provenance) -> BTreeSet<String>| {
        let every: BTreeSet<String> =
            findings.measures.iter().flat_map(|measure| of(&measure.provenance)).collect();
        listed(&every)
    };
    let first = findings.measures.iter().filter_map(|measure| measure.provenance.first.as_ref()).min();
    let last = findings.measures.iter().filter_map(|measure| measure.provenance.last.as_ref()).max();
    let texts = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    html! {
        section aria-labelledby=(id) {
            h3 #(id) { "Provenance" }
            dl.facts.long {
                (texts("Zoo", findings.population.name.clone()))
                (texts("Digest of the zoo (SHA-256)", findings.zoo_digest.clone()))
                (texts("Digest of its data", all(|provenance| provenance.data_digests.clone())))
                (texts("pgdl", all(|provenance| provenance.pgdl_versions.clone())))
                (texts("libtorch", all(|provenance| provenance.libtorch_versions.clone())))
                (texts("Device", all(|provenance| provenance.devices.clone())))
                (texts("Floating-point type", all(|provenance| provenance.dtypes.clone())))
                (texts("Seed of the run", all(|provenance| texts_of(&provenance.seeds))))
                (texts("Training samples", all(|provenance| texts_of(&provenance.samples))))
                (texts("Threads per worker", all(|provenance| texts_of(&provenance.threads))))
                @if let (Some(first), Some(last)) = (first, last) {
                    (texts("Records made", format!("{first} to {last}")))
                }
                (texts("Seed of the bootstrap", format!("{}, {} resamples", findings.options.seed, findings.options.bootstrap)))
                @if let Some(examples) = findings.options.test_examples {
                    (texts("Test examples behind a gap", examples.to_string()))
                }
            }
            @for context in &findings.contexts {
                h4 { "Run of " (context.utc) }
                dl.facts.long {
                    (texts("Command", command(&context.command)))
                    (texts("Workers, processors", format!("{}, {}", context.jobs, context.processors)))
                    @if let Some(budget) = &context.budget { (texts("Budget", budget.clone())) }
                    @if let Some(shard) = &context.shard { (texts("Shard", shard.clone())) }
                }
            }
            @if !findings.measures.is_empty() {
                h4 { "Every measure" }
                (measures(findings).to_html(PageTable {
                    link: Some(link),
                    of_measures: true,
                    ..PageTable::new("How the values of each measure were made; passes and times are means per network")
                }))
            }
        }
    }
}

fn measures(findings: &Findings) -> Table {
    let mut table = Table::new(vec![
        Column::new("measure", "measure"),
        Column::new("version", "version"),
        Column::new("device", "device"),
        Column::new("dtype", "dtype"),
        Column::new("seed", "seed"),
        Column::new("sample", "samples"),
        Column::new("batch", "batch"),
        Column::new("threads", "threads"),
        Column::new("forward", "forward").digits(Digits::Significant(3)),
        Column::new("backward", "backward").digits(Digits::Significant(3)),
        Column::new("hvp", "HVP").digits(Digits::Significant(3)),
        Column::new("seconds", "time").digits(Digits::Duration),
        Column::new("memory", "peak MiB").digits(Digits::Fixed { decimals: 0, scale: 1.0 }),
        Column::new("libtorch", "libtorch"),
        Column::new("last", "last record"),
    ]);
    for measure in &findings.measures {
        let found = &measure.provenance;
        let passes = |of: fn(&pgdl_run::Passes) -> f64| Cell::maybe(found.mean_passes.as_ref().map(of));
        table.push(vec![
            Cell::text(&measure.score.measure),
            Cell::text(listed(&texts_of(&found.versions))),
            Cell::text(listed(&found.devices)),
            Cell::text(listed(&found.dtypes)),
            Cell::text(listed(&texts_of(&found.seeds))),
            Cell::text(listed(&texts_of(&found.samples))),
            Cell::text(listed(&texts_of(&found.batch_sizes))),
            Cell::text(listed(&texts_of(&found.threads))),
            passes(|passes| passes.forward),
            passes(|passes| passes.backward),
            passes(|passes| passes.hvp),
            Cell::maybe(found.mean_seconds),
            Cell::maybe(found.peak_memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))),
            Cell::text(listed(&found.libtorch_versions)),
            Cell::text(found.last.clone().unwrap_or_default()),
        ]);
    }
    table
}

fn texts_of<T: Display>(values: &BTreeSet<T>) -> BTreeSet<String> {
    values.iter().map(T::to_string).collect()
}

fn listed(values: &BTreeSet<String>) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    values.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// The command line, without the folder that the program was in.
fn command(words: &[String]) -> String {
    let Some((program, arguments)) = words.split_first() else {
        return "–".to_owned();
    };
    let program = program.rsplit('/').next().unwrap_or(program);
    std::iter::once(program).chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}
