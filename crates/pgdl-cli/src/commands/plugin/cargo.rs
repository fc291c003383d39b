//! Running cargo with the settings that pgdl itself was built with.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use pgdl_zoo::fetch::OFFLINE_VARIABLE;
use serde_json::Value;

use crate::commands::plugin::origin::Origin;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What came of a build.
#[derive(Debug, Default)]
pub struct Built {
    /// Whether all of it was compiled.
    pub complete: bool,
    /// What the compiler had to say, in order.
    pub messages: Vec<CompilerMessage>,
    /// What cargo wrote besides, where it was not shown.
    pub talk: String,
}

/// An error or a warning of the compiler.
#[derive(Debug)]
pub struct CompilerMessage {
    /// The `Cargo.toml` of the package it is about.
    pub manifest: String,
    /// Whether it is an error.
    pub error: bool,
    /// The compiler's code for it, such as `E0425`.
    pub code: Option<String>,
    /// Its first line.
    pub text: String,
    /// All of it, as cargo shows it.
    pub rendered: String,
}

/// cargo, without a word to any network where `PGDL_OFFLINE` is set.
pub fn cargo(origin: &Origin, folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &origin.target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", origin.rustflags)
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null());
    if let Some(libtorch) = &origin.libtorch {
        command.env("LIBTORCH", libtorch);
    }
    // What another cargo, as in `cargo run`, says of its package: build scripts that heed it would all run anew.
    let of_another = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start))
            || name == "OUT_DIR"
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_another) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether nothing may be fetched.
pub fn offline() -> bool {
    std::env::var_os(OFFLINE_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Runs a command to its end and takes what it writes.
///
/// # Errors
/// There is no cargo.
pub fn output(command: &mut Command) -> Result<Output, Failure> {
    command.output().map_err(|error| not_started(command, &error))
}

/// The option that makes cargo's messages readable for [`build`].
pub fn message_format(terminal: &Terminal) -> String {
    let format = if terminal.talk_colour { "json-diagnostic-rendered-ansi" } else { "json" };
    format!("--message-format={format}")
}

/// Builds, and shows those of the compiler's messages for which `shown` holds; `progress` lets cargo itself talk.
///
/// # Errors
/// There is no cargo.
pub fn build(
    command: &mut Command,
    shown: impl Fn(&CompilerMessage) -> bool,
    progress: bool,
    terminal: &Terminal,
) -> Result<Built, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if progress { Stdio::inherit() } else { Stdio::piped() });
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    let listener = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut talk = Vec::new();
            // What cannot be read was not meant for people.
            let _ = stderr.read_to_end(&mut talk);
            String::from_utf8_lossy(&talk).into_owned()
        })
    });
    let mut built = Built::default();
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let Some(value) = line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok()) else {
            continue;
        };
        if let Some(message) = compiler_message(&value) {
            if shown(&message) {
                terminal.pass_on(&message.rendered);
            }
            built.messages.push(message);
        }
    }
    built.complete = child.wait().map_err(|error| not_started(command, &error))?.success();
    built.talk = listener.and_then(|listener| listener.join().ok()).unwrap_or_default();
    Ok(built)
}

fn compiler_message(value: &Value) -> Option<CompilerMessage> {
    if value["reason"] != "compiler-message" {
        return None;
    }
    let message = &value["message"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(CompilerMessage {
        manifest: text(&value["manifest_path"])?,
        error: message["level"].as_str().is_some_and(|level| level.starts_with("error")),
        code: text(&message["code"]["code"]),
        text: text(&message["message"])?,
        rendered: text(&message["rendered"])?,
    })
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy();
    let failure = Failure::new(Exit::Plugin, format!("cannot run {program}: {error}"));
    match error.kind() {
        ErrorKind::NotFound => {
            failure.hint("a plugin is compiled: install Rust (rustup), or put cargo on PATH")
        }
        _ => failure,
    }
}
