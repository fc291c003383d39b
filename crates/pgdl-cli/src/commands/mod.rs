//! One file per command, and what they share: printing a table, choosing a device.

pub mod data;
pub mod doctor;
pub mod evaluate;
pub mod manual;
pub mod measures;
pub mod predict;
pub mod score;
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

/// libgomp reads its settings when it is loaded. Without a passive wait, libtorch is many times slower beside other
/// busy processes: a command that computes in this process starts it again with the setting in place.
fn wait_passively() {
    use std::os::unix::process::CommandExt;
    const SETTING: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(SETTING).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Returns only if it failed; then the computation is slow and right all the same.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).env(SETTING, "PASSIVE").exec();
    }
}
