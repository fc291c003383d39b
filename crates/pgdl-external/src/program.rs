//! A program that is a measure, or several.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::answer;
use crate::digest::digest;
use crate::error::{ExternalError, Result};
use crate::launch::{self, Ended, Ending};
use crate::protocol::Description;
use crate::sandbox::{self, Order, Policy, Report, Verdict};
use crate::staging::{JobFolder, Staging};
use crate::words::{signal_name, tame};

/// How long a program may take to describe itself.
const DESCRIBE: Duration = Duration::from_secs(60);

/// A program that is a measure or several: what it is made of, how it is started, and what it says of itself.
///
/// It is plain data, so that a parent can hand it to its workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// What it is called in talk and messages.
    pub name: String,
    /// The file to start, and its first arguments.
    pub command: Vec<PathBuf>,
    /// The files and folders that it consists of.
    pub parts: Vec<PathBuf>,
    /// What it reads besides: interpreters and libraries that the system's folders do not hold.
    pub libraries: Vec<PathBuf>,
    /// What it adds to its environment.
    pub environment: Vec<(String, String)>,
    /// SHA-256 over its parts, hexadecimal.
    pub digest: String,
    /// The sandbox that it runs in, if in any.
    pub sandbox: Option<Policy>,
    /// A folder for the files that are made for it; whoever makes the program removes the folder.
    pub staging: PathBuf,
    /// The measures that it is.
    pub measures: Vec<Description>,
}

/// How one start of a program ended.
#[derive(Debug)]
pub(crate) enum Run {
    /// With exit code 0; this is what it printed.
    Printed(Vec<u8>),
    /// In another way.
    Broke(Breakage),
}

/// Why a program gave no answer. Each completes "the program …".
#[derive(Debug)]
pub(crate) enum Breakage {
    /// It could not be started, ended with another exit code, or broke a limit.
    Failed(String),
    /// A signal ended it.
    Crashed(String),
    /// Time was up.
    TimedOut(String),
}

impl Breakage {
    fn into_text(self) -> String {
        let (Breakage::Failed(text) | Breakage::Crashed(text) | Breakage::TimedOut(text)) = self;
        text
    }
}

/// Everything of one start.
pub(crate) struct Start<'a> {
    pub job: &'a JobFolder,
    pub arguments: Vec<OsString>,
    /// A folder with data to read, besides the job's.
    pub data: Option<PathBuf>,
    pub threads: u32,
    pub deadline: Option<Instant>,
    pub gpu: bool,
}

impl Program {
    /// A program that speaks the protocol: asks it to describe itself.
    ///
    /// # Errors
    /// There is no such file, it cannot be started, or it does not speak the protocol.
    pub fn executable(path: &Path, sandbox: Option<Policy>, staging: &Path) -> Result<Program> {
        let shown = path.display();
        let file = fs::canonicalize(path).map_err(|error| ExternalError::new(format!("{shown}: {error}")))?;
        if !file.is_file() {
            return Err(ExternalError::new(format!("{shown} is no file"))
                .hint("a folder with a complexity.py is given with --submission"));
        }
        let program = Program {
            name: tame(&file.file_name().unwrap_or_default().to_string_lossy(), 60),
            command: vec![file.clone()],
            parts: vec![file.clone()],
            libraries: Vec::new(),
            environment: Vec::new(),
            digest: digest(std::slice::from_ref(&file))
                .map_err(|error| ExternalError::new(error.to_string()))?,
            sandbox,
            staging: staging.to_owned(),
            measures: Vec::new(),
        };
        let measures = program.describe()?;
        Ok(Program { measures, ..program })
    }

    /// Asks it what it is.
    pub(crate) fn describe(&self) -> Result<Vec<Description>> {
        let staging = Staging::new(&self.staging);
        let job = staging
            .job()
            .map_err(|error| ExternalError::new(format!("{}: {error}", self.staging.display())))?;
        let deadline = Instant::now() + DESCRIBE;
        let run = self.run(&Start {
            job: &job,
            arguments: vec!["describe".into()],
            data: None,
            threads: 1,
            deadline: Some(deadline),
            gpu: false,
        });
        let about = |reason: String| {
            ExternalError::new(format!("{}: asked to describe itself, the program {reason}", self.name))
        };
        let printed = match run {
            Run::Printed(printed) => printed,
            Run::Broke(Breakage::Failed(reason)) if reason.starts_with(sandbox::NO_SANDBOX) => {
                return Err(ExternalError::new(format!("{}: {reason}", self.name)).hint(sandbox::HINT));
            }
            Run::Broke(breakage) => {
                return Err(about(breakage.into_text()).hint(
                    "`PROGRAM describe` prints what docs/executables.md says, and ends with exit code 0",
                ));
            }
        };
        let introduction = answer::introduction(&printed).map_err(|reason| {
            about(format!("gave what cannot be used: {reason}"))
                .hint("docs/executables.md says what it has to print")
        })?;
        Ok(introduction.measures)
    }

    /// Whether its parts are what they were. Copies of ours that only a sandbox sees cannot be anything else.
    pub(crate) fn unchanged(&self) -> bool {
        let copied = self.parts.iter().all(|part| part.starts_with(&self.staging));
        (copied && self.sandbox.is_some()) || digest(&self.parts).is_ok_and(|digest| digest == self.digest)
    }

    /// Starts it once.
    pub(crate) fn run(&self, start: &Start) -> Run {
        let Some(file) = self.command.first() else {
            return Run::Broke(Breakage::Failed("cannot be started: it has no file".to_owned()));
        };
        let (command, grace) = match &self.sandbox {
            Some(policy) => match self.order(policy, start).command() {
                // In a sandbox it is the sandbox's keeper that is asked, and that ends all at once.
                Ok(command) => (command, Duration::from_millis(200)),
                Err(error) => return Run::Broke(Breakage::Failed(format!("cannot be started: {error}"))),
            },
            None => {
                let mut command = Command::new(file);
                command.args(&self.command[1..]).args(&start.arguments);
                command.current_dir(start.job.scratch()).env("TMPDIR", start.job.scratch());
                command.envs(self.environment(start));
                (command, Duration::ZERO)
            }
        };
        let ended = match launch::run(command, &self.name, start.deadline, grace) {
            Ok(ended) => ended,
            Err(error) => {
                let reason = match error.kind() {
                    std::io::ErrorKind::PermissionDenied => format!("{error} (is it executable?)"),
                    _ => error.to_string(),
                };
                return Run::Broke(Breakage::Failed(format!("cannot be started: {reason}")));
            }
        };
        let verdict = match &self.sandbox {
            Some(_) => Report::read(&start.job.report()).map(|report| report.verdict),
            None => None,
        };
        judge(ended, verdict, self.sandbox.as_ref())
    }

    /// What its environment holds besides what every program's does.
    fn environment(&self, start: &Start) -> Vec<(String, String)> {
        let threads = start.threads.to_string();
        let count = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"];
        let count = count.iter().map(|name| ((*name).to_owned(), threads.clone()));
        count.chain(self.environment.iter().cloned()).collect()
    }

    fn order(&self, policy: &Policy, start: &Start) -> Order {
        let mut command: Vec<OsString> = self.command.iter().map(OsString::from).collect();
        command.extend(start.arguments.iter().cloned());
        Order {
            policy: policy.clone(),
            command: command.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            environment: self.environment(start),
            visible: self.parts.iter().chain(&self.libraries).chain(&policy.read).cloned().collect(),
            writable: Vec::new(),
            job: start.job.network(),
            data: start.data.clone(),
            world: start.job.world(),
            report: start.job.report(),
            seconds: start
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64()),
            gpu: start.gpu,
        }
    }
}

/// What became of a program, in words that complete "the program …".
fn judge(ended: Ended, verdict: Option<Verdict>, sandbox: Option<&Policy>) -> Run {
    let Ended { ending, output, last_words } = ended;
    let with_last_words = |text: String| match &last_words {
        Some(words) => format!("{text}; its last words: {words}"),
        None => text,
    };
    let failed = |text: String| Run::Broke(Breakage::Failed(text));
    if let Ending::Flooded(stream) = ending {
        return failed(format!("flooded its {stream}, and was ended"));
    }
    let timed_out = || Run::Broke(Breakage::TimedOut("did not answer in time, and was ended".to_owned()));
    if ending == Ending::TimedOut {
        return timed_out();
    }
    // In a sandbox the keeper knows; what it says of its own end does not matter.
    let ending = match (verdict, sandbox) {
        (Some(Verdict::Refused(reason)), _) => return failed(reason),
        (Some(Verdict::OverTime), _) => return timed_out(),
        (Some(Verdict::OverMemory), Some(policy)) => {
            return failed(format!("used more than {} MiB of memory, and was ended", policy.memory >> 20));
        }
        (Some(Verdict::OverProcesses), Some(policy)) => {
            return failed(format!(
                "started more than {} processes and threads, and was ended",
                policy.processes
            ));
        }
        (Some(Verdict::Exited(code)), _) => Ending::Exited(code),
        (Some(Verdict::Killed(signal)), _) => Ending::Killed(signal),
        (None, Some(_)) => {
            return Run::Broke(Breakage::Crashed("ended together with its sandbox".to_owned()));
        }
        (Some(_), None) | (None, None) => ending,
    };
    match ending {
        Ending::Exited(0) => Run::Printed(output),
        Ending::Exited(code) => failed(with_last_words(format!("ended with exit code {code}"))),
        Ending::Killed(signal) => {
            Run::Broke(Breakage::Crashed(with_last_words(format!("crashed ({})", signal_name(signal)))))
        }
        Ending::TimedOut | Ending::Flooded(_) => timed_out(),
    }
}
