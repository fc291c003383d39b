//! One file per command, and what they share: printing a table, choosing a device.

pub mod bench;
pub mod board;
pub mod composites;
pub mod data;
pub mod doctor;
pub mod evaluate;
pub mod experiment;
pub mod external;
pub mod manual;
pub mod measures;
pub mod merge;
pub mod nc;
pub mod plugin;
pub mod predict;
pub mod report;
pub mod reproduce;
pub mod score;
pub mod submit;
pub mod train;
pub mod zoo;

use pgdl_report::{Table, TextOptions};
use tch::Device;

use crate::arguments::{DeviceArguments, Format};
use crate::exit::Failure;
use crate::terminal::Terminal;

/// Prints a table on standard output.
fn print_table(table: &Table, format: Format, terminal: &Terminal) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table.to_text(TextOptions { width: terminal.width(), colour: terminal.colour }),
        Format::Csv => table.to_csv(),
        Format::Json => table.to_json(),
        Format::Markdown => table.to_markdown(),
    };
    terminal.data(&text)
}

/// Chooses the device and says which and why.
fn choose_device(arguments: &DeviceArguments, terminal: &Terminal) -> Result<Device, Failure> {
    let choice = pgdl_network::device::choose(&arguments.device)?;
    if let Some(warning) = &choice.warning {
        terminal.warn(warning);
    }
    if arguments.device == "auto" {
        terminal.note(format_args!("device: {} ({})", device_name(choice.device), choice.reason));
    }
    Ok(choice.device)
}

/// `cpu`, `cuda:0`.
fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_string(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// What libtorch's companions read when they are loaded: libgomp, without a passive wait, is many times slower beside
/// other busy processes; NVIDIA's libraries would round convolutions to 10-bit mantissas.
const LIBRARY_SETTINGS: [(&str, &str); 2] = [("OMP_WAIT_POLICY", "PASSIVE"), ("NVIDIA_TF32_OVERRIDE", "0")];

/// A command that computes in this process starts it again with the libraries' settings in place; what the user has set
/// stays.
fn wait_passively() {
    use std::os::unix::process::CommandExt;
    let missing: Vec<_> =
        LIBRARY_SETTINGS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Returns only if it failed; then the computation is slow and right all the same.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).envs(missing).exec();
    }
}
