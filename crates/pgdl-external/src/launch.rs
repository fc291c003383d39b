//! Starting a program, keeping its clock, and bounding what it says.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process_group, set_parent_process_death_signal,
    waitid,
};

use crate::words::tame;

/// An answer is a few numbers. Larger ones are a flood.
const MOST_OUTPUT: u64 = 1 << 20;
/// How much of a program's talk is passed on.
const MOST_TALK: usize = 1 << 16;
/// How much of its talk is heard at all.
const TALK_FLOOD: usize = 16 << 20;
/// Longest line of talk that is passed on, in characters.
const LONGEST_LINE: usize = 2_000;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this exit code.
    Exited(i32),
    /// Of this signal.
    Killed(i32),
    /// It was ended because time was up.
    TimedOut,
    /// It was ended because it wrote without end, to this stream.
    Flooded(&'static str),
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub ending: Ending,
    /// What it printed.
    pub output: Vec<u8>,
    /// The last line of its talk, made fit for a record.
    pub last_words: Option<String>,
}

/// Runs a program to its end, for no longer than until `deadline`, and ends it then: `grace` after a request, if there
/// is one. Its talk goes to our standard error, each line led by `name`.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(
    mut command: Command,
    name: &str,
    deadline: Option<Instant>,
    grace: Duration,
) -> io::Result<Ended> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
        });
    }
    let mut child = Running { child: command.spawn()?, collected: false };
    let (Some(stdout), Some(stderr)) = (child.child.stdout.take(), child.child.stderr.take()) else {
        return Err(io::Error::other("it has no standard streams"));
    };
    let flooded = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
    let output = listen(stdout, Arc::clone(&flooded[0]));
    let last_words = overhear(stderr, name.to_owned(), Arc::clone(&flooded[1]));

    let flood = || {
        let streams = [(&flooded[0], "standard output"), (&flooded[1], "standard error")];
        let stream = streams.into_iter().find(|(flooded, _)| flooded.load(Ordering::SeqCst))?.1;
        Some(Ending::Flooded(stream))
    };
    let ending = loop {
        if let Some(status) = child.try_wait()? {
            // A program that ends in the middle of a flood, of a stream that nobody reads any more, has flooded all the same.
            break flood().unwrap_or_else(|| ending_of(status));
        }
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if let Some(ending) = flood().or(late.then_some(Ending::TimedOut)) {
            child.end(grace)?;
            break ending;
        }
        thread::sleep(Duration::from_millis(2));
    };
    // Something that the program left running outside its group may hold its streams open: nobody waits for that.
    let patience = Duration::from_millis(500);
    let output = output.recv_timeout(patience).unwrap_or_default();
    let ending = if output.len() as u64 > MOST_OUTPUT { Ending::Flooded("standard output") } else { ending };
    let _ = last_words.done.recv_timeout(patience);
    let last_words = last_words.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Ended { ending, output, last_words })
}

/// A child that does not outlive this value.
struct Running {
    child: Child,
    collected: bool,
}

impl Running {
    /// Its status if it has ended; then nothing of its group is left either.
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(pid) = self.pid() else { return Ok(None) };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if matches!(waitid(WaitId::Pid(pid), look), Ok(None)) {
            return Ok(None);
        }
        self.collect().map(Some)
    }

    /// Before its status is collected its number cannot have gone to another process, so the group is ended first.
    fn collect(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.collected = true;
        self.child.wait()
    }

    fn end(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if !grace.is_zero() {
            self.signal(Signal::TERM);
            let until = Instant::now() + grace;
            while Instant::now() < until {
                if let Some(status) = self.try_wait()? {
                    return Ok(status);
                }
                thread::sleep(Duration::from_millis(2));
            }
        }
        self.collect()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.pid() {
            // Who is gone already cannot be reached, and need not be.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.collected {
            let _ = self.collect();
        }
    }
}

fn ending_of(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    }
}

/// Takes in what the program prints, up to a byte more than is allowed.
fn listen(stdout: impl Read + Send + 'static, flooded: Arc<AtomicBool>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        // Half an output is judged like any other.
        let _ = stdout.take(MOST_OUTPUT + 1).read_to_end(&mut output);
        if output.len() as u64 > MOST_OUTPUT {
            flooded.store(true, Ordering::SeqCst);
        }
        // Nobody listens any more when the patience has run out.
        let _ = sender.send(output);
    });
    receiver
}

struct LastWords {
    line: Arc<Mutex<Option<String>>>,
    done: Receiver<()>,
}

/// Passes on what the program says, up to a limit, and keeps its last line.
fn overhear(mut stderr: impl Read + Send + 'static, name: String, flooded: Arc<AtomicBool>) -> LastWords {
    let (sender, done) = channel();
    let line = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&line);
    thread::spawn(move || {
        let mut talk = Talk { name, passed_on: 0, rest: Vec::new(), kept };
        let mut heard = 0usize;
        let mut buffer = [0; 1 << 13];
        loop {
            match stderr.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    heard = heard.saturating_add(read);
                    talk.hear(&buffer[..read]);
                    if heard > TALK_FLOOD {
                        flooded.store(true, Ordering::SeqCst);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        talk.end();
        let _ = sender.send(());
    });
    LastWords { line, done }
}

struct Talk {
    name: String,
    passed_on: usize,
    rest: Vec<u8>,
    kept: Arc<Mutex<Option<String>>>,
}

impl Talk {
    fn hear(&mut self, bytes: &[u8]) {
        const TAIL: usize = 4 * LONGEST_LINE;
        if self.passed_on >= MOST_TALK {
            // Only the end matters now.
            self.rest.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
            self.rest.drain(..self.rest.len().saturating_sub(TAIL));
            return;
        }
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            if self.rest.len() < TAIL {
                self.rest.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") || piece.ends_with(b"\r") {
                self.end();
            }
        }
    }

    /// The end of a line, or of all talk.
    fn end(&mut self) {
        let text = String::from_utf8_lossy(&self.rest);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let line = tame(last, LONGEST_LINE);
        self.rest.clear();
        if line.is_empty() {
            return;
        }
        if self.passed_on < MOST_TALK {
            self.passed_on += line.len();
            // Not `eprintln`, which panics where standard error is closed.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{}: {line}\n", self.name).as_bytes());
            if self.passed_on >= MOST_TALK {
                let note = format!("{}: … (it says more, which is not shown)\n", self.name);
                let _ = io::Write::write_all(&mut io::stderr(), note.as_bytes());
            }
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.chars().take(300).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, seconds: f64) -> Ended {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let deadline = Instant::now() + Duration::from_secs_f64(seconds);
        run(command, "test", Some(deadline), Duration::ZERO).unwrap()
    }

    #[test]
    fn endings_are_told_apart() {
        let ended = shell("echo 1; echo why >&2; exit 3", 20.0);
        assert_eq!((ended.ending, ended.output.as_slice()), (Ending::Exited(3), b"1\n".as_slice()));
        assert_eq!(ended.last_words.as_deref(), Some("why"));
        assert_eq!(shell("kill -SEGV $$", 20.0).ending, Ending::Killed(libc::SIGSEGV));
        let started = Instant::now();
        assert_eq!(shell("trap '' TERM; while :; do :; done", 0.1).ending, Ending::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn floods_are_cut_off() {
        assert_eq!(shell("yes", 20.0).ending, Ending::Flooded("standard output"));
        assert_eq!(shell("yes >&2", 20.0).ending, Ending::Flooded("standard error"));
        let ended = shell("head -c 1000000 /dev/zero | tr '\\0' x; echo done >&2", 20.0);
        assert_eq!((ended.ending, ended.output.len()), (Ending::Exited(0), 1_000_000));
    }

    #[test]
    fn who_stays_behind_is_ended_and_nobody_waits_for_its_streams() {
        let started = Instant::now();
        let ended = shell("sleep 1000 & echo $!", 20.0);
        assert_eq!(ended.ending, Ending::Exited(0));
        assert!(started.elapsed() < Duration::from_secs(5));
        let left: i32 = String::from_utf8(ended.output).unwrap().trim().parse().unwrap();
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        let until = Instant::now() + Duration::from_secs(5);
        while !ended() {
            assert!(Instant::now() < until, "process {left} runs on");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        let error = run(Command::new("/nowhere/at/all"), "test", None, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
