//! `pgdl zoo check`: what a zoo claims, verified and recomputed.

use pgdl_report::{Cell, Column, Digits, Table, Tone};
use pgdl_zoo::check::Fit;
use pgdl_zoo::{CheckEvent, CheckOptions, CheckReport, CheckStatus, Metrics, Zoo, check};

use crate::arguments::{DeviceArguments, Format};
use crate::commands::{choose_device, data, print_table, wait_passively};
use crate::exit::{Exit, Failure, Outcome};
use crate::progress;
use crate::terminal::Terminal;

/// Findings that are told one by one.
const TOLD_FINDINGS: usize = 200;

/// Checks, prints a row per network, and tells every finding.
pub fn run(
    name: &str,
    accuracy: bool,
    device: &DeviceArguments,
    format: Format,
    terminal: &Terminal,
) -> Outcome {
    wait_passively();
    let zoo = Zoo::find(name)?;
    let device = if accuracy { choose_device(device, terminal)? } else { tch::Device::Cpu };
    if let Some(reference) = zoo.data_reference().filter(|_| accuracy) {
        data::ensure(&reference.dataset, terminal)?;
    }
    let bar = progress::networks(zoo.networks().len() as u64, terminal);
    let options = CheckOptions { accuracy, device, ..CheckOptions::default() };
    let report = check(&zoo, &options, &mut |event| match event {
        CheckEvent::Reading(split) => bar.set_message(format!("reading {split} samples")),
        CheckEvent::Network { id, done, .. } => {
            bar.set_position(done as u64);
            bar.set_message(format!("network {id}"));
        }
        // The data set has been seen to already.
        CheckEvent::Fetch(_) => {}
    });
    bar.finish_and_clear();
    let report = report?;
    print_table(&table(&report, accuracy), format, terminal)?;
    for note in &report.notes {
        terminal.note(note);
    }
    for finding in report.findings.iter().take(TOLD_FINDINGS) {
        terminal.warn(finding);
    }
    if let Some(more @ 1..) = report.findings.len().checked_sub(TOLD_FINDINGS) {
        terminal.warn(format_args!("and {more} more"));
    }
    if report.is_sound() {
        terminal.note(format_args!("{}: {} networks, nothing wrong", zoo.name(), report.networks.len()));
        return Ok(Exit::Ok);
    }
    let problems = match report.findings.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    Err(Failure::new(Exit::Invalid, format!("{}: {problems} found in {}", zoo.name(), zoo.root().display()))
        .hint("each is named above; copy or make again what is damaged, and correct what is listed wrongly"))
}

fn table(report: &CheckReport, accuracy: bool) -> Table {
    let number =
        |key: &str, title: &str| Column::new(key, title).digits(Digits::Fixed { decimals: 4, scale: 1.0 });
    let mut columns = vec![Column::new("network", "network"), Column::new("status", "status")];
    for name in ["train_acc", "test_acc", "train_loss", "test_loss"] {
        let listed = number(name, name);
        // Few zoos list losses: people get those that were recomputed.
        let is_loss = name.ends_with("loss");
        columns.push(if is_loss { listed.detail() } else { listed });
        if accuracy {
            let title = if is_loss { name } else { "recomputed" };
            let recomputed = number(&format!("{name}_recomputed"), title);
            columns.push(if is_loss { recomputed.optional() } else { recomputed });
        }
    }
    columns.push(Column::new("reason", "reason"));
    let mut table = Table::new(columns);
    for network in &report.networks {
        let tone = match network.status {
            CheckStatus::Ok => Tone::Good,
            CheckStatus::Differs | CheckStatus::Failed => Tone::Bad,
        };
        let mut row =
            vec![Cell::text(network.id.to_string()), Cell::text(network.status.as_str()).tone(tone)];
        let listed = |value: fn(&Metrics) -> Option<f64>| network.listed.as_ref().and_then(value);
        let (train, test) = (network.train.as_ref(), network.test.as_ref());
        for (listed, recomputed) in [
            (listed(|metrics| Some(metrics.train_acc)), train.map(Fit::accuracy)),
            (listed(|metrics| Some(metrics.test_acc)), test.map(Fit::accuracy)),
            (listed(|metrics| metrics.train_loss), train.map(|fit| fit.loss)),
            (listed(|metrics| metrics.test_loss), test.map(|fit| fit.loss)),
        ] {
            row.push(Cell::maybe(listed));
            if accuracy {
                row.push(Cell::maybe(recomputed));
            }
        }
        row.push(network.reason.as_ref().map_or_else(Cell::empty, Cell::text));
        table.push(row);
    }
    table
}
