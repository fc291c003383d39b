//! `pgdl doctor`: what the program finds on this machine.

use std::path::Path;

use pgdl_measure::Registry;
use pgdl_report::{Cell, Column, Table, TextOptions, Tone};
use pgdl_run::RunFolder;
use pgdl_zoo::{Zoo, fetch};

use crate::commands::device_name;
use crate::exit::{Exit, Outcome};
use crate::terminal::Terminal;

/// One row of the doctor's table.
struct Finding {
    what: &'static str,
    tone: Tone,
    text: String,
}

/// Looks at libtorch, devices, folders, data and zoos.
pub fn run(registry: &Registry, terminal: &Terminal) -> Outcome {
    let mut findings = vec![
        good("pgdl", format!("{}, {} measures", env!("CARGO_PKG_VERSION"), registry.infos().count())),
        good("libtorch", pgdl_run::libtorch_version()),
    ];
    let mut exit = Exit::Ok;
    match pgdl_network::device::choose("auto") {
        Ok(choice) => {
            findings.push(good("device", format!("{} ({})", device_name(choice.device), choice.reason)));
            findings.extend(choice.warning.map(|warning| warned("device", warning)));
        }
        Err(error) => {
            findings.push(warned("device", error.to_string()));
            exit = Exit::Device;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    findings.push(good("processors", format!("{cores}, {} torch threads", tch::get_num_threads())));
    match fetch::data_dir() {
        Ok(folder) => findings.push(folder_finding("data folder", &folder)),
        Err(error) => findings.push(warned("data folder", error.to_string())),
    }
    for data in fetch::CATALOGUE {
        let present = fetch::data_dir().is_ok_and(|folder| {
            data.files.iter().all(|file| folder.join(data.name).join(file.name).exists())
        });
        findings.push(if present {
            good("data", format!("{} is there", data.name))
        } else {
            Finding {
                what: "data",
                tone: Tone::Faint,
                text: format!(
                    "{} is not there: fetched when needed, or by `pgdl data fetch {}`",
                    data.name, data.name
                ),
            }
        });
    }
    match RunFolder::default_dir("zoo", "") {
        Ok(folder) => findings.push(folder_finding("run folder", folder.parent().unwrap_or(&folder))),
        Err(error) => findings.push(warned("run folder", error.to_string())),
    }
    let zoos = Zoo::list();
    if zoos.is_empty() {
        findings
            .push(warned("zoos", "none found: set PGDL_ZOO_PATH, or give a folder with --zoo".to_string()));
    }
    findings.extend(zoos.iter().map(|zoo| good("zoo", format!("{} in {}", zoo.name, zoo.path.display()))));

    let mut table = Table::new(vec![Column::new("what", "what"), Column::new("finding", "finding")]);
    for finding in findings {
        table.push(vec![Cell::text(finding.what), Cell::text(finding.text).tone(finding.tone)]);
    }
    terminal.data(&table.to_text(TextOptions { width: None, colour: terminal.colour }))?;
    Ok(exit)
}

fn good(what: &'static str, text: String) -> Finding {
    Finding { what, tone: Tone::Plain, text }
}

fn warned(what: &'static str, text: String) -> Finding {
    Finding { what, tone: Tone::Warning, text }
}

/// Whether a folder, or the nearest one above it that exists, can be written.
fn folder_finding(what: &'static str, folder: &Path) -> Finding {
    let existing = folder.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let name = format!(".pgdl-doctor-{}", std::process::id());
    match std::fs::write(existing.join(&name), b"") {
        Ok(()) => {
            // What could be written can be removed.
            let _ = std::fs::remove_file(existing.join(&name));
            good(what, folder.display().to_string())
        }
        Err(error) => warned(what, format!("{} cannot be written: {error}", folder.display())),
    }
}
