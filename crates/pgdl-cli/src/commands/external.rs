//! Programs as measures: from the options to entries of the registry, here and in the workers.

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_external::{ExternalError, Plugin, Policy, Program, Submission};
use pgdl_measure::Registry;
use pgdl_run::{RUNS_DIR_VARIABLE, WORKER_ARGUMENT, WorkerCommand};
use pgdl_zoo::Zoo;

use crate::arguments::ExternalArguments;
use crate::commands::{LIBRARY_SETTINGS, plugin};
use crate::exit::{Exit, Failure, chain};
use crate::terminal::Terminal;

/// The file in the staging folder that tells workers of the programs.
const PROGRAMS_FILE: &str = "programs.json";

/// The programs of a run. Their staging folder goes with this value.
#[derive(Debug)]
pub struct Externals {
    staging: tempfile::TempDir,
    /// The ids of their measures.
    pub measures: Vec<String>,
    /// The digest of the last of them.
    pub digest: String,
}

impl Externals {
    /// How to start workers that know the programs.
    pub fn worker(&self) -> WorkerCommand {
        let list = self.staging.path().join(PROGRAMS_FILE).to_string_lossy().into_owned();
        let arguments = vec![WORKER_ARGUMENT.to_owned(), "--programs".to_owned(), list];
        WorkerCommand { arguments, ..WorkerCommand::default() }
    }
}

/// Adds the programs that the options name to the registry; `None` where they name none.
///
/// # Errors
/// A program is not there, does not speak the protocol, has a measure whose id is taken, or no sandbox can be made.
pub fn register(
    arguments: &ExternalArguments,
    zoos: &[String],
    registry: &mut Registry,
    terminal: &Terminal,
) -> Result<Option<Externals>, Failure> {
    if arguments.executable.is_empty() && arguments.submission.is_empty() && arguments.plugin.is_none() {
        return Ok(None);
    }
    let staging = tempfile::Builder::new()
        .prefix("pgdl-")
        .tempdir()
        .map_err(|error| Failure::new(Exit::Unexpected, format!("no temporary folder: {error}")))?;
    let policy = policy(arguments, zoos)?;
    let mut programs = Vec::new();
    for path in &arguments.executable {
        let sandbox = arguments.sandbox.then(|| policy.clone());
        programs.push(Program::executable(path, sandbox, staging.path())?);
    }
    for folder in &arguments.submission {
        let sandbox = (!arguments.no_sandbox).then(|| policy.clone());
        let submission = Submission {
            folder: folder.clone(),
            python: arguments.python.clone(),
            sandbox,
            initial_weights: keep_initial_weights(zoos),
        };
        programs.push(submission.program(staging.path())?);
    }
    if let Some(folder) = &arguments.plugin {
        let sandbox = (!arguments.no_sandbox).then(|| policy.clone());
        let (name, host) = plugin::submitted(folder, sandbox.as_ref(), staging.path(), terminal)?;
        let environment =
            LIBRARY_SETTINGS.map(|(variable, value)| (variable.to_owned(), value.to_owned())).to_vec();
        let plugin = Plugin { name, host, environment, sandbox };
        programs.push(plugin.program(staging.path(), |id| registry.info(id).is_err())?);
    }
    let list = staging.path().join(PROGRAMS_FILE);
    let written = serde_json::to_vec(&programs).map_err(std::io::Error::from);
    written
        .and_then(|bytes| fs::write(&list, bytes))
        .map_err(|error| Failure::new(Exit::Unexpected, format!("{}: {error}", list.display())))?;
    let digest = programs.last().map(|program| program.digest.clone()).unwrap_or_default();
    let measures: Vec<String> =
        programs.iter().flat_map(|program| &program.measures).map(|measure| measure.id.clone()).collect();
    for program in programs {
        let name = program.name.clone();
        pgdl_external::register(registry, program).map_err(|error| {
            Failure::new(Exit::Plugin, format!("{name}: {}", chain(&error))).hint(
                "a program's measures need ids of their own; `pgdl measures` lists those that are taken",
            )
        })?;
    }
    Ok(Some(Externals { staging, measures, digest }))
}

/// Adds the programs that a worker's parent has prepared.
///
/// # Errors
/// The file cannot be read, or an id is taken.
pub fn register_prepared(list: &Path, registry: &mut Registry) -> Result<(), Failure> {
    let about = |reason: String| Failure::new(Exit::Plugin, format!("{}: {reason}", list.display()));
    let bytes = fs::read(list).map_err(|error| about(error.to_string()))?;
    let programs: Vec<Program> = serde_json::from_slice(&bytes).map_err(|error| about(error.to_string()))?;
    programs
        .into_iter()
        .try_for_each(|program| pgdl_external::register(registry, program))
        .map_err(|error| about(error.to_string()))
}

/// Whether every network of the zoos has the weights before training.
fn keep_initial_weights(zoos: &[String]) -> bool {
    let folders = zoos.iter().filter_map(|zoo| Zoo::find(zoo).ok()).flat_map(|zoo| {
        let networks: Vec<u64> = zoo.networks().iter().map(|network| network.id).collect();
        networks.into_iter().filter_map(|network| zoo.model_folder(network).ok()).collect::<Vec<_>>()
    });
    folders
        .map(|folder| folder.join("weights_init.hdf5").exists())
        .reduce(|all, one| all && one)
        .unwrap_or(false)
}

fn policy(arguments: &ExternalArguments, zoos: &[String]) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    if let Some(mebibytes) = arguments.sandbox_memory {
        policy.memory = mebibytes.saturating_mul(1 << 20);
    }
    for path in &arguments.sandbox_read {
        let about = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
        policy.read.push(fs::canonicalize(path).map_err(about)?);
    }
    // What tells the gaps must not be seen, not even where it lies within something that is seen: the zoo, records
    // (of controls that know the gaps), and data sets with their test halves.
    let zoos = zoos.iter().filter_map(|zoo| Zoo::find(zoo).ok()).map(|zoo| zoo.root().to_owned());
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    let folders = [
        variable(RUNS_DIR_VARIABLE),
        user.map(|folder| folder.join("pgdl")),
        pgdl_zoo::fetch::data_dir().ok(),
    ];
    let zoo_path = std::env::var_os("PGDL_ZOO_PATH").unwrap_or_default();
    let hidden = zoos.chain(folders.into_iter().flatten()).chain(std::env::split_paths(&zoo_path));
    policy.hidden = hidden.filter_map(|folder| fs::canonicalize(folder).ok()).collect();
    Ok(policy)
}

impl From<ExternalError> for Failure {
    fn from(error: ExternalError) -> Self {
        Failure { exit: Exit::Plugin, message: error.message, hint: error.hint }
    }
}
