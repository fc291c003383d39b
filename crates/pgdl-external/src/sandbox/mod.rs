//! A sandbox for strangers' programs, made of what Linux gives to every user: namespaces, seccomp, resource limits.
//!
//! ```text
//! worker ─ keeper (this program, `__sandbox`) ─ init, in namespaces of its own ─ the program
//!          │ clock, memory, number of processes  │ builds the world, gives up all rights, reaps
//!          └ report.json                          └ when it ends, the kernel ends everything inside
//! ```
//! The program sees a file system of its own: the system's `/usr` and its like, its own files and libraries, `/job`
//! and `/data`, all read-only, and `/scratch`, which is in memory and bounded. It is in user, mount, PID, network, IPC,
//! UTS and cgroup namespaces of its own: no network, no other process. It has no capabilities and cannot gain any;
//! system calls that are the kernel's soft spots are refused. Where we are root, it runs as nobody.

mod filter;
mod init;
mod keeper;
mod usage;
mod workshop;
mod world;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{ExternalError, Result};
use crate::launch::{self, Ending};
use crate::staging::Staging;

pub use keeper::main;
pub use workshop::{Confined, Workshop};

/// The hidden first argument that turns a program into a sandbox's keeper; an order follows as JSON.
pub const SANDBOX_ARGUMENT: &str = "__sandbox";

/// How a message begins when there is no sandbox to be had.
pub(crate) const NO_SANDBOX: &str = "no sandbox can be made here";
/// What to do then.
pub(crate) const HINT: &str = "allow unprivileged user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, \
     user.max_user_namespaces, or the container's options), or give --no-sandbox if you trust the program";

/// Where a program finds its job.
pub(crate) const JOB: &str = "/job";
/// Where a program finds the sample.
pub(crate) const DATA: &str = "/data";
/// Where a program may write.
pub(crate) const SCRATCH: &str = "/scratch";

/// What a program in a sandbox may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Bytes of memory, all its processes together.
    pub memory: u64,
    /// Bytes that it may write into its scratch folder, which lies in memory, too.
    pub scratch: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Seconds per evaluation where the run has no budget.
    pub seconds: u64,
    /// Further files and folders that it may read.
    pub read: Vec<PathBuf>,
    /// What it must not see even where it lies within something that it sees: the zoo's own folder, records.
    pub hidden: Vec<PathBuf>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            memory: 8 << 30,
            scratch: 1 << 30,
            // TensorFlow starts several threads per core.
            processes: 256 + 16 * std::thread::available_parallelism().map_or(1, usize::from) as u64,
            seconds: 300,
            read: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

impl Policy {
    /// Seconds per evaluation where the run has no budget.
    pub fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Tries the sandbox out.
    ///
    /// # Errors
    /// This system offers none: says why.
    pub fn try_out(&self, staging: &Path) -> Result<()> {
        let about = |error: io::Error| ExternalError::new(format!("{}: {error}", staging.display()));
        let job = Staging::new(staging).job().map_err(about)?;
        let order = Order {
            policy: self.clone(),
            command: ["/bin/sh", "-c", ":"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            visible: Vec::new(),
            writable: Vec::new(),
            job: job.network(),
            data: None,
            world: job.world(),
            report: job.report(),
            seconds: Some(20.0),
            gpu: false,
        };
        let refuse = |reason: String| {
            let reason =
                if reason.starts_with(NO_SANDBOX) { reason } else { format!("{NO_SANDBOX}: {reason}") };
            ExternalError::new(reason).hint(HINT)
        };
        let command = order.command().map_err(|error| refuse(error.to_string()))?;
        let ended = launch::run(command, "sandbox", None, Duration::ZERO)
            .map_err(|error| refuse(error.to_string()))?;
        match Report::read(&job.report()) {
            Some(Report { verdict: Verdict::Exited(0), .. }) if ended.ending == Ending::Exited(0) => Ok(()),
            Some(Report { verdict: Verdict::Refused(reason), .. }) => Err(refuse(reason)),
            other => {
                Err(refuse(format!("a shell in it came to nothing ({other:?}, {:?})", ended.last_words)))
            }
        }
    }
}

/// What a keeper is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub policy: Policy,
    /// The program with all its arguments.
    pub command: Vec<String>,
    /// What its environment holds besides `PATH` and the like.
    pub environment: Vec<(String, String)>,
    /// What it sees, each at its own place, besides the system.
    pub visible: Vec<PathBuf>,
    /// Folders that it may change, each at its own place. With any it stays who we are: only a [`Workshop`] has some.
    pub writable: Vec<PathBuf>,
    /// What it sees as `/job`.
    pub job: PathBuf,
    /// What it sees as `/data`.
    pub data: Option<PathBuf>,
    /// An empty folder to build its file system on.
    pub world: PathBuf,
    /// Where the keeper reports.
    pub report: PathBuf,
    /// Seconds it may take.
    pub seconds: Option<f64>,
    /// Whether it may use the graphics cards.
    pub gpu: bool,
}

impl Order {
    /// This very program as a keeper.
    pub(crate) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(SANDBOX_ARGUMENT).arg(serde_json::to_string(self)?).current_dir("/");
        Ok(command)
    }
}

/// How a program in a sandbox ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// With this exit code.
    Exited(i32),
    /// Of this signal.
    Killed(i32),
    /// It was ended because of its memory.
    OverMemory,
    /// It was ended because of its number of processes.
    OverProcesses,
    /// It was ended because time was up.
    OverTime,
    /// It was never started: says why.
    Refused(String),
}

/// What a keeper reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub verdict: Verdict,
}

impl Report {
    /// Reads a keeper's report; none where it did not live to write one.
    pub(crate) fn read(path: &Path) -> Option<Report> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec(self)?)
    }
}
