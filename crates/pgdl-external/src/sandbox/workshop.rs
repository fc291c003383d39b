//! A compiler of ours at work on a stranger's source, in a sandbox: what it may read is a list, so that nothing else can
//! be compiled into a program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{NO_SANDBOX, Order, Policy, Report, Verdict};
use crate::staging::{JobFolder, Staging};

/// Longer than any compilation takes.
const SECONDS: f64 = 3600.0;

/// What a compiler may see and change besides the system's own folders.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// Files and folders to read, absolute.
    pub read: Vec<PathBuf>,
    /// Folders to read and change, absolute; they exist.
    pub write: Vec<PathBuf>,
    /// Its environment besides `PATH` and the like.
    pub environment: Vec<(String, String)>,
}

/// A command in a sandbox, and the folder that it needs as long as it runs.
#[derive(Debug)]
pub struct Confined {
    /// To be started in a process of one's own, with streams of one's own.
    pub command: Command,
    job: JobFolder,
}

impl Workshop {
    /// A command that runs here, under the limits of `policy` and without its clock.
    ///
    /// # Errors
    /// The staging folder cannot be written.
    pub fn command(
        &self,
        program: &Path,
        arguments: &[String],
        policy: &Policy,
        staging: &Path,
    ) -> io::Result<Confined> {
        let job = Staging::new(staging).job()?;
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend(arguments.iter().cloned());
        let order = Order {
            policy: policy.clone(),
            command,
            environment: self.environment.clone(),
            visible: self.read.clone(),
            writable: self.write.clone(),
            job: job.network(),
            data: None,
            world: job.world(),
            report: job.report(),
            seconds: Some(SECONDS),
            gpu: false,
        };
        Ok(Confined { command: order.command()?, job })
    }
}

impl Confined {
    /// Why it was ended, or never began; `None` where it ended by itself.
    pub fn ended_because(&self) -> Option<String> {
        match Report::read(&self.job.report())?.verdict {
            Verdict::Exited(_) | Verdict::Killed(_) => None,
            Verdict::OverMemory => Some("the compiler used more memory than a sandbox allows".to_owned()),
            Verdict::OverProcesses => {
                Some("the compiler started more processes than a sandbox allows".to_owned())
            }
            Verdict::OverTime => Some(format!("the compiler was not done within {SECONDS} s")),
            Verdict::Refused(reason) if reason.starts_with(NO_SANDBOX) => Some(reason),
            Verdict::Refused(reason) => Some(format!("{NO_SANDBOX}: {reason}")),
        }
    }
}
