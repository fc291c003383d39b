//! The keeper: starts the sandbox's init, keeps the clock and the limits, and reports.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getegid, geteuid, kill_process, waitpid};

use super::init::{self, Word};
use super::{NO_SANDBOX, Order, Report, Verdict, usage};

/// How often the keeper looks.
const GLANCE: Duration = Duration::from_millis(5);
/// How often it looks at memory and processes.
const EVERY: u32 = 4;
/// The user and group that a root's program runs as.
pub(super) const NOBODY: u32 = 65_534;
/// What the keeper tells the init: go on, as nobody or as who we are.
pub(super) const AS_NOBODY: u8 = b'n';
const AS_WHO_WE_ARE: u8 = b'w';

/// What a program does when its first argument is [`super::SANDBOX_ARGUMENT`], with the order that follows: it runs the
/// order's program in a sandbox, and ends as that did.
pub fn main(order: &str) -> ExitCode {
    let order: Order = match serde_json::from_str(order) {
        Ok(order) => order,
        Err(error) => {
            eprintln!("sandbox: unreadable order: {error}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = keep(&order).unwrap_or_else(|reason| Verdict::Refused(format!("{NO_SANDBOX}: {reason}")));
    let code = match verdict {
        Verdict::Exited(code) => u8::try_from(code).unwrap_or(1),
        _ => 1,
    };
    match (Report { verdict }).write(&order.report) {
        Ok(()) => code.into(),
        Err(error) => {
            eprintln!("sandbox: {}: {error}", order.report.display());
            ExitCode::FAILURE
        }
    }
}

fn keep(order: &Order) -> Result<Verdict, String> {
    let asked_to_end = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&asked_to_end)).map_err(|error| error.to_string())?;
    }
    let deadline = order
        .seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|time| Instant::now().checked_add(time));
    let no_pipe = |error| format!("no pipe: {error}");
    let (go, mut may_go) = pipe().map_err(no_pipe)?;
    let (words, speaks) = pipe().map_err(no_pipe)?;

    let init = start_init(order, go, speaks, &words, &may_go)?;
    let outcome = admit(init, &mut may_go).map(|()| watch(order, init, deadline, &asked_to_end));
    let outcome = match outcome {
        Ok(None) => None,
        Ok(Some(verdict)) => {
            end(init);
            Some(verdict)
        }
        Err(reason) => {
            end(init);
            return Err(reason);
        }
    };
    let mut word = String::new();
    // With the init everything inside has ended, and so has its end of the pipe.
    words.take(1 << 16).read_to_string(&mut word).map_err(|error| error.to_string())?;
    if let Some(verdict) = outcome {
        return Ok(verdict);
    }
    match serde_json::from_str(&word) {
        Ok(Word::Ended(verdict)) => Ok(verdict),
        Ok(Word::Refused(reason)) => Err(reason),
        Err(_) => Err("its init ended without a word".to_owned()),
    }
}

/// Starts the init in namespaces of its own.
fn start_init(
    order: &Order,
    go: PipeReader,
    speaks: PipeWriter,
    words: &PipeReader,
    may_go: &PipeWriter,
) -> Result<Pid, String> {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    if threads != 1 {
        return Err(format!("its keeper has {threads} threads"));
    }
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::SIGCHLD;
    // SAFETY: without a stack and without CLONE_VM this is a fork, and this process has one thread, so that the child
    // may do whatever its parent might.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => {
            // The keeper's ends are the keeper's: while the child held them, it would not see the keeper die.
            // SAFETY: the child's copies of these descriptors are closed once, and never used again: the child
            // does not return.
            unsafe {
                libc::close(words.as_raw_fd());
                libc::close(may_go.as_raw_fd());
            }
            init::main(order, go, speaks)
        }
        Ok(pid) if pid > 0 => Pid::from_raw(pid).ok_or_else(|| "no process".to_owned()),
        _ => Err(match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EPERM) => {
                "namespaces are not permitted here".to_owned()
            }
            error if error.raw_os_error() == Some(libc::ENOSPC) => {
                "no more user namespaces are allowed (user.max_user_namespaces)".to_owned()
            }
            error => format!("no namespaces: {error}"),
        }),
    }
}

/// Tells the kernel who the init is, and the init to go on, as nobody where that is possible.
fn admit(init: Pid, may_go: &mut PipeWriter) -> Result<(), String> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let write = |name: &str, text: &str| {
        let path = format!("/proc/{}/{name}", init.as_raw_nonzero());
        fs::write(&path, text).map_err(|error| format!("{name} of its users: {error}"))
    };
    let nobody_too = format!("0 0 1\n{NOBODY} {NOBODY} 1\n");
    // A root of a container that holds no other user has no nobody.
    let as_nobody = user == 0
        && group == 0
        && write("gid_map", &nobody_too).and_then(|()| write("uid_map", &nobody_too)).is_ok();
    if !as_nobody {
        // Else groups could be dropped that deny something.
        write("setgroups", "deny")?;
        write("gid_map", &format!("{group} {group} 1\n"))?;
        write("uid_map", &format!("{user} {user} 1\n"))?;
    }
    let letter = if as_nobody { AS_NOBODY } else { AS_WHO_WE_ARE };
    may_go.write_all(&[letter]).map_err(|error| format!("its init does not listen: {error}"))
}

/// Waits for the init to end; gives a verdict where it has to be ended.
fn watch(order: &Order, init: Pid, deadline: Option<Instant>, asked_to_end: &AtomicBool) -> Option<Verdict> {
    let mut round = 0u32;
    loop {
        match waitpid(Some(init), WaitOptions::NOHANG) {
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(rustix::io::Errno::INTR) => {}
            // It is not there to be waited for.
            Err(_) => return None,
        }
        if asked_to_end.load(Ordering::SeqCst) || deadline.is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Some(Verdict::OverTime);
        }
        if round.is_multiple_of(EVERY) {
            let usage = usage::below(init.as_raw_nonzero().get());
            if usage.memory > order.policy.memory {
                return Some(Verdict::OverMemory);
            }
            // The init is one of them.
            if usage.tasks > order.policy.processes + 1 {
                return Some(Verdict::OverProcesses);
            }
        }
        round = round.wrapping_add(1);
        thread::sleep(GLANCE);
    }
}

/// Ends the init, and with it everything inside; waits until all of it is gone.
fn end(init: Pid) {
    let _ = kill_process(init, Signal::KILL);
    while matches!(waitpid(Some(init), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
}
