//! A worker as its parent sees it: a process that is asked, waited for, and ended.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process_group, set_parent_process_death_signal,
    waitid,
};

use crate::memory::is_out_of_memory;
use crate::protocol::{Answer, Request, WORKER_ARGUMENT};

/// How often a waiting parent looks up to see whether it shall stop.
const GLANCE: Duration = Duration::from_millis(25);

/// An answer is one line; a longer one is no answer.
const LONGEST_ANSWER: u64 = 256 << 20;

/// How to start a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Default for WorkerCommand {
    /// This very program, even if its file has been replaced since it started.
    fn default() -> WorkerCommand {
        WorkerCommand {
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec![WORKER_ARGUMENT.to_owned()],
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The worker answered.
    Answer(Answer),
    /// Time was up, and the worker was ended.
    Expired,
    /// The parent shall stop, and the worker was ended.
    Interrupted,
    /// The worker died, or spoke out of turn and was ended.
    Died(Death),
}

/// How a worker came to its end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub status: Option<ExitStatus>,
    /// The last thing it wrote to standard error.
    pub last_words: Option<String>,
    /// What it said instead of an answer.
    pub gibberish: Option<String>,
}

impl Death {
    /// Whether somebody else ended the worker: a user, a scheduler, or the kernel for want of memory. It may not
    /// happen again.
    pub(crate) fn by_another_hand(&self) -> bool {
        if self.gibberish.is_some() {
            // Then it was us.
            return false;
        }
        let signal = self.status.and_then(|status| status.signal());
        signal.is_some_and(|signal| {
            [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP]
                .iter()
                .any(|other| other.as_raw() == signal)
        })
    }
}

impl fmt::Display for Death {
    /// Completes "the worker …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(gibberish) = &self.gibberish {
            return write!(f, "broke the protocol: {gibberish}");
        }
        let words = self.last_words.as_deref().unwrap_or_default();
        let signal = self.status.and_then(|status| status.signal());
        match (signal, self.status.and_then(|status| status.code())) {
            (Some(signal), _) if is_out_of_memory(words) => {
                write!(f, "ran out of memory ({})", name(signal))?
            }
            (Some(signal), _) if signal == Signal::KILL.as_raw() => {
                f.write_str("was killed (SIGKILL), though not by pgdl: probably out of memory")?;
            }
            (Some(signal), _) if self.by_another_hand() => {
                write!(f, "was ended from outside ({})", name(signal))?;
            }
            (Some(signal), _) => write!(f, "crashed ({})", name(signal))?,
            (None, Some(code)) => write!(f, "ended with exit code {code} before it answered")?,
            (None, None) => f.write_str("ended for an unknown reason")?,
        }
        if words.is_empty() { Ok(()) } else { write!(f, "; its last words: {words}") }
    }
}

fn name(signal: i32) -> String {
    const NAMES: [(Signal, &str); 13] = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let known = NAMES.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    child: Child,
    /// Closed when the worker is dismissed.
    requests: Option<ChildStdin>,
    answers: Receiver<io::Result<String>>,
    last_words: Arc<Mutex<LastWords>>,
    grace: Duration,
}

impl WorkerProcess {
    /// Starts a worker that computes with `threads` threads. It ends when the thread that calls this ends, so that
    /// thread has to outlive it. `talk` receives what it writes to standard error, by lines.
    pub(crate) fn start(
        command: &WorkerCommand,
        threads: usize,
        grace: Duration,
        talk: impl Fn(String) + Send + 'static,
    ) -> io::Result<WorkerProcess> {
        let mut worker = Command::new(&command.program);
        worker.args(&command.arguments).envs(environment(threads));
        worker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C reaches the parent alone, and what a measure starts can be ended with its worker.
        worker.process_group(0);
        let parent = getpid();
        // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
        unsafe {
            worker.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // The parent may have died before the call above.
                if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
            });
        }
        let mut child = worker.spawn()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(requests), Some(stdout), Some(stderr)) = streams else {
            return Err(io::Error::other("the worker has no standard streams"));
        };

        // Both readers end with the worker's streams. Something that a measure left running may keep standard error
        // open, so nobody waits for them.
        let (sender, answers) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            while let Some(line) = next_answer(&mut reader) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let last_words = Arc::new(Mutex::new(LastWords::default()));
        let heard = Arc::clone(&last_words);
        thread::spawn(move || {
            let mut reader = BufReader::new(stderr);
            while let Some(line) = next_line(&mut reader) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).hear(&line);
                talk(line);
            }
            heard.lock().unwrap_or_else(PoisonError::into_inner).silent = true;
        });
        Ok(WorkerProcess { child, requests: Some(requests), answers, last_words, grace })
    }

    /// Whether the worker has not died.
    pub(crate) fn is_alive(&self) -> bool {
        !is_dead(&self.child)
    }

    /// Sends a request and waits for its answer until `deadline`, or until `stop` says so. After any reply but an
    /// answer the worker is gone.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        deadline: Option<Instant>,
        stop: &dyn Fn() -> bool,
    ) -> Reply {
        let mut line = match serde_json::to_string(request) {
            Ok(line) => line,
            Err(error) => return self.gone(Some(format!("a request could not be written: {error}"))),
        };
        line.push('\n');
        self.heard().forget();
        let sent = self.requests.as_mut().map(|requests| requests.write_all(line.as_bytes()));
        if !matches!(sent, Some(Ok(()))) {
            return self.gone(None);
        }
        loop {
            if stop() {
                self.end();
                return Reply::Interrupted;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                self.end();
                return Reply::Expired;
            }
            match self.answers.recv_timeout(left.map_or(GLANCE, |left| left.min(GLANCE))) {
                Ok(Ok(line)) => {
                    return match serde_json::from_str(&line) {
                        Ok(answer) => Reply::Answer(answer),
                        Err(error) => self.gone(Some(error.to_string())),
                    };
                }
                Ok(Err(error)) => return self.gone(Some(error.to_string())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.gone(None),
            }
        }
    }

    /// Ends a worker that has nothing to do: it goes when its line is closed, or else is ended.
    pub(crate) fn dismiss(mut self) {
        drop(self.requests.take());
        // Who does not go within the time of grace is ended by `drop`.
        let _ = wait(&mut self.child, self.grace);
    }

    /// Asks the worker to end, waits for the time of grace, and then ends it.
    fn end(&mut self) {
        end(&mut self.child, self.grace);
    }

    /// What became of a worker that is dead or dying, or is ended for its `gibberish`.
    fn gone(&mut self, mut gibberish: Option<String>) -> Reply {
        let mut status = None;
        if gibberish.is_none() {
            // A worker whose line is closed dies soon, unless it closed it out of malice.
            status = wait(&mut self.child, self.grace);
            if status.is_none() {
                gibberish = Some("it closed its line and did not end".to_owned());
            }
        }
        let status = status.or_else(|| end(&mut self.child, self.grace));
        Reply::Died(Death { status, last_words: self.last_words(), gibberish })
    }

    fn heard(&self) -> MutexGuard<'_, LastWords> {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last words on standard error, once everything is read or a moment has passed.
    fn last_words(&self) -> Option<String> {
        let patience = Instant::now() + Duration::from_millis(250);
        loop {
            let heard = self.heard();
            if heard.silent || Instant::now() > patience {
                return heard.telling();
            }
            drop(heard);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // After its status was collected this would signal a group that is no longer ours.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            end(&mut self.child, Duration::ZERO);
        }
    }
}

/// What a worker's environment adds to ours.
fn environment(threads: usize) -> [(&'static str, String); 6] {
    let threads = threads.to_string();
    [
        // libgomp reads these when it is loaded. Threads that spin while they wait starve every other process.
        ("OMP_WAIT_POLICY", "PASSIVE".to_owned()),
        ("OMP_NUM_THREADS", threads.clone()),
        ("MKL_NUM_THREADS", threads.clone()),
        ("RAYON_NUM_THREADS", threads),
        // On a GPU: the same sums in every run, and products of full single precision as on a CPU.
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8".to_owned()),
        ("NVIDIA_TF32_OVERRIDE", "0".to_owned()),
    ]
}

/// The next line of answers; an error for what is no text or too long. `None` at the end.
fn next_answer(reader: &mut impl BufRead) -> Option<io::Result<String>> {
    let mut line = String::new();
    match reader.take(LONGEST_ANSWER).read_line(&mut line) {
        Ok(0) => None,
        Ok(_) if line.ends_with('\n') => Some(Ok(line)),
        Ok(read) if read as u64 == LONGEST_ANSWER => Some(Err(io::Error::other("an answer without end"))),
        // Half an answer: the worker died while it spoke.
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(Err(error)),
        Err(_) => None,
    }
}

/// The next line of talk, cut where it grows without end.
fn next_line(reader: &mut impl BufRead) -> Option<String> {
    const LONGEST: u64 = 1 << 16;
    let mut line = Vec::new();
    match reader.take(LONGEST).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
    }
}

/// Waits for a process to die, for no longer than `patience`; then nothing that it started is left either.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    while !is_dead(child) {
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // Before its status is collected, its number cannot have gone to another process.
    kill_group(child, Signal::KILL);
    child.wait().ok()
}

/// Whether a process has died, its status not yet collected or collected earlier.
fn is_dead(child: &Child) -> bool {
    let Some(pid) = pid(child) else { return true };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
}

/// TERM, the time of grace, KILL.
fn end(child: &mut Child, grace: Duration) -> Option<ExitStatus> {
    if is_dead(child) {
        return wait(child, Duration::ZERO);
    }
    if !grace.is_zero() {
        kill_group(child, Signal::TERM);
        if let Some(status) = wait(child, grace) {
            return Some(status);
        }
    }
    kill_group(child, Signal::KILL);
    child.wait().ok()
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Signals a worker with all that it started. Who is gone already cannot be reached, and need not be.
fn kill_group(child: &Child, signal: Signal) {
    if let Some(group) = pid(child) {
        let _ = kill_process_group(group, signal);
    }
}

/// What a worker has written to standard error since its last request: only the lines that tell most.
#[derive(Debug, Default)]
struct LastWords {
    about_memory: Option<String>,
    /// What C++ says of the exception that ended it.
    exception: Option<String>,
    last: Option<String>,
    /// Nothing more will come.
    silent: bool,
}

impl LastWords {
    fn hear(&mut self, line: &str) {
        const LONGEST: usize = 300;
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        let kept: String = line.chars().take(LONGEST).collect();
        if is_out_of_memory(line) {
            self.about_memory = Some(kept.clone());
        } else if line.starts_with("what():") {
            self.exception = Some(kept.clone());
        }
        self.last = Some(kept);
    }

    fn forget(&mut self) {
        *self = LastWords { silent: self.silent, ..LastWords::default() };
    }

    fn telling(&self) -> Option<String> {
        self.about_memory.as_ref().or(self.exception.as_ref()).or(self.last.as_ref()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(raw_status: i32, last_words: &str) -> Death {
        let last_words = (!last_words.is_empty()).then(|| last_words.to_owned());
        Death { status: Some(ExitStatus::from_raw(raw_status)), last_words, gibberish: None }
    }

    #[test]
    fn a_death_names_its_cause() {
        let cases = [
            (9, "", "was killed (SIGKILL), though not by pgdl: probably out of memory"),
            (15, "", "was ended from outside (SIGTERM)"),
            (11, "", "crashed (SIGSEGV)"),
            (6, "what():  bad", "crashed (SIGABRT); its last words: what():  bad"),
            (3 << 8, "", "ended with exit code 3 before it answered"),
            (
                6,
                "memory allocation of 8 bytes failed",
                "ran out of memory (SIGABRT); its last words: memory allocation of 8 bytes failed",
            ),
        ];
        for (status, words, expected) in cases {
            assert_eq!(death(status, words).to_string(), expected);
        }
        assert!(death(9, "").by_another_hand() && !death(11, "").by_another_hand());
    }

    #[test]
    fn the_telling_line_is_found_among_the_last() {
        let telling = |lines: &[&str]| {
            let mut words = LastWords::default();
            lines.iter().for_each(|line| words.hear(line));
            words.telling()
        };
        assert_eq!(telling(&[]), None);
        assert_eq!(telling(&["one", "two", "  "]), Some("two".into()));
        assert_eq!(telling(&["terminate called", "  what():  x", "frame #0"]), Some("what():  x".into()));
        let memory = "memory allocation of 9 bytes failed";
        assert_eq!(telling(&[memory, "stack backtrace:", "note: some details"]), Some(memory.into()));
    }

    #[test]
    fn half_an_answer_is_none_and_what_is_no_text_is_an_error() {
        let lines = |bytes: &[u8]| {
            let mut reader = BufReader::new(bytes);
            std::iter::from_fn(|| next_answer(&mut reader).map(|line| line.is_ok())).collect::<Vec<_>>()
        };
        assert_eq!(lines(b"{}\n{}\n"), [true, true]);
        assert_eq!(lines(b"{}\n{\"half"), [true]);
        assert_eq!(lines(b"\xff\n"), [false]);
    }

    fn shell(script: &str) -> WorkerProcess {
        let command =
            WorkerCommand { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
        WorkerProcess::start(&command, 1, Duration::from_millis(200), |_| {}).unwrap()
    }

    const EVALUATE: Request = Request::Load { network: 1 };

    #[test]
    fn an_answer_a_death_and_gibberish_are_told_apart() {
        let ask = |script: &str| shell(script).ask(&EVALUATE, None, &|| false);
        assert!(matches!(ask("read line; echo '\"loaded\"'; read line"), Reply::Answer(Answer::Loaded)));
        assert!(
            matches!(ask("read line; kill -SEGV $$"), Reply::Died(death) if death.to_string().contains("SIGSEGV"))
        );
        assert!(
            matches!(ask("read line; echo hello; read line"), Reply::Died(death) if death.gibberish.is_some())
        );
        assert!(
            matches!(ask("exec >&-; while :; do sleep 0.01; done"), Reply::Died(death) if !death.by_another_hand())
        );
        assert!(matches!(ask("read line; echo why >&2; exit 3"),
            Reply::Died(death) if death.to_string() == "ended with exit code 3 before it answered; its last words: why"));
    }

    #[test]
    fn who_ignores_the_request_to_end_is_ended() {
        let mut worker = shell("trap '' TERM; read line; while :; do sleep 0.01; done");
        let started = Instant::now();
        let reply = worker.ask(&EVALUATE, Some(started + Duration::from_millis(50)), &|| false);
        assert!(matches!(reply, Reply::Expired));
        assert!(started.elapsed() >= Duration::from_millis(250), "deadline and grace");
        assert_eq!(worker.child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    #[test]
    fn a_wish_to_stop_ends_the_wait() {
        let mut worker = shell("read line; read line");
        assert!(matches!(worker.ask(&EVALUATE, None, &|| true), Reply::Interrupted));
        assert_eq!(worker.child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    }
}
