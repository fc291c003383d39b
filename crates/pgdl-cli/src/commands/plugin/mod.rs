//! `pgdl plugin …`, and `--plugin`: measures from outside.
//!
//! A plugin is a library crate that depends on `pgdl-measure` and has `pub fn register(&mut Registry)`, as every built-in
//! family has. It is compiled into a [`host`]: the same program, with more measures.

mod cargo;
mod check;
mod confined;
mod contract;
mod crate_template;
mod host;
mod install;
mod installed;
mod origin;
mod plugin_crate;

use std::path::{Path, PathBuf};

use pgdl_external::Policy;
use pgdl_measure::Registry;

use crate::arguments::{Arguments, Command, PluginCommand};
use crate::commands::plugin::host::{Host, this_is_a_host};
use crate::commands::plugin::installed::open;
use crate::commands::plugin::origin::Origin;
use crate::exit::{Failure, Outcome};
use crate::terminal::Terminal;

pub use contract::run as contract;

/// Runs `pgdl plugin …`.
pub fn run(command: PluginCommand, registry: &Registry, terminal: &Terminal) -> Outcome {
    match command {
        PluginCommand::New { name, folder } => {
            let folder = folder.unwrap_or_else(|| Path::new(&name).to_owned());
            crate_template::new(&name, &folder, registry, terminal)
        }
        PluginCommand::Setup { folder } => crate_template::setup(&folder, terminal),
        PluginCommand::Check(arguments) => check::run(&arguments, registry, terminal),
        PluginCommand::Add { source, revision } => {
            install::add(&source, revision.as_deref(), registry, terminal)
        }
        PluginCommand::List { output } => install::list(&output, terminal),
        PluginCommand::Remove { name } => install::remove(&name, terminal),
    }
}

/// Where a command needs the measures of plugins, those that were added or those that `--plugin` names, and this program
/// does not hold them: builds the host that does and lets it take over. Returns where this program is the right one.
///
/// # Errors
/// A plugin cannot be built.
pub fn take_host(arguments: &Arguments, terminal: &Terminal) -> Result<(), Failure> {
    if !uses_measures(&arguments.command) || (arguments.plugin.is_empty() && this_is_a_host()) {
        return Ok(());
    }
    let added = installed::list()?;
    if added.is_empty() && arguments.plugin.is_empty() {
        return Ok(());
    }
    let origin = Origin::find()?;
    let mut plugins = Vec::new();
    for source in &arguments.plugin {
        let plugin = open(source, &origin)?;
        if !plugins.contains(&plugin) {
            plugins.push(plugin);
        }
    }
    for one in added {
        // What is named on the command line takes the place of what was added under the same name.
        if !plugins.iter().any(|plugin| plugin.name == one.name) {
            plugins.push(one.open(&origin)?);
        }
    }
    let host = Host::new(plugins, &origin)?;
    if host.is_this_program() {
        return Ok(());
    }
    host.build(terminal)?;
    host.take_over().map(|never| match never {})
}

/// A plugin that somebody submits, compiled: its name and its host. With a sandbox nothing of it runs outside that.
///
/// # Errors
/// It is no plugin, cannot be built, or brings code that would run while it is compiled.
pub fn submitted(
    folder: &Path,
    sandbox: Option<&Policy>,
    staging: &Path,
    terminal: &Terminal,
) -> Result<(String, PathBuf), Failure> {
    let origin = Origin::find()?;
    let plugin = open(&folder.join("").display().to_string(), &origin)?;
    let name = plugin.name.clone();
    let host = Host::new(vec![plugin], &origin)?;
    match sandbox {
        Some(policy) => {
            policy.try_out(staging)?;
            host.build_confined(policy, staging, terminal)?;
        }
        None => {
            terminal.warn(format_args!("{name} is compiled and runs with all your rights"));
            host.build(terminal)?;
        }
    }
    Ok((name, host.program()))
}

/// Whether a command asks the registry: all do but these. What is submitted brings its own; what a parent process starts
/// is the right program already.
fn uses_measures(command: &Command) -> bool {
    let hidden = std::env::args_os().nth(1).is_some_and(|first| first.to_string_lossy().starts_with("__"));
    let others = matches!(
        command,
        Command::Plugin(_)
            | Command::Zoo(_)
            | Command::Data(_)
            | Command::Submit(_)
            | Command::Predict(_)
            | Command::Experiment(_)
            | Command::Nc(_)
            | Command::Doctor
            | Command::Schema
            | Command::Completions { .. }
            | Command::Man { .. }
    );
    !hidden && !others
}
