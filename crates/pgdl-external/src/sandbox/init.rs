//! The first process in a sandbox: it builds the world, gives up every right, starts the program, and reaps.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid};
use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, WaitOptions, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid, umask, wait,
};
use serde::{Deserialize, Serialize};

use super::keeper::{AS_NOBODY, NOBODY};
use super::{Order, Policy, SCRATCH, Verdict, filter, world};

/// What every program's environment holds.
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", SCRATCH), ("TMPDIR", SCRATCH)];

/// What an init tells its keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The program ended.
    Ended(Verdict),
    /// The sandbox could not be made.
    Refused(String),
}

/// Never returns: this process is a copy of the keeper, and must not end as that would.
pub(super) fn main(order: &Order, go: PipeReader, mut speaks: PipeWriter) -> ! {
    let word = match live(order, go, &speaks) {
        Ok(verdict) => Word::Ended(verdict),
        Err(reason) => Word::Refused(reason),
    };
    if let Ok(word) = serde_json::to_vec(&word) {
        // A keeper that does not listen any more has ended.
        let _ = speaks.write_all(&word);
    }
    // SAFETY: ends this process without the keeper's clean-up, which is not this process's.
    unsafe { libc::_exit(0) }
}

fn live(order: &Order, mut go: PipeReader, speaks: &PipeWriter) -> Result<Verdict, String> {
    let mut letter = [0; 1];
    // Until the keeper has said who this process is, it is nobody and can do nothing.
    go.read_exact(&mut letter).map_err(|_| "its keeper has ended".to_owned())?;
    // Who may change folders of ours has to be who we are, without any right beyond.
    let becomes_nobody = letter == [AS_NOBODY] && order.writable.is_empty();
    step("a session of its own", setsid().map(drop))?;
    // What is made now is for everybody to see.
    umask(Mode::WGRP | Mode::WOTH);
    world::build(order)?;
    step("a name", sethostname("sandbox"))?;
    limit(&order.policy)?;
    keep_only(speaks, &go)?;
    give_up_rights(becomes_nobody)?;
    step("ending with its keeper", set_parent_process_death_signal(Some(Signal::KILL)))?;
    // The keeper may have ended before that call: then the pipe is closed, and nobody would ever end this process.
    step("a look at its keeper", keeper_lives(&go))?;
    filter::apply()?;
    run(order)
}

fn step<T, E: std::fmt::Display>(what: &str, outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| format!("{what}: {error}"))
}

/// Whether the writing end of the keeper's pipe is open.
fn keeper_lives(go: &PipeReader) -> rustix::io::Result<()> {
    let mut look = libc::pollfd { fd: go.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one entry, which lives through the call.
    let ready = unsafe { libc::poll(&mut look, 1, 0) };
    if ready > 0 && look.revents & libc::POLLHUP != 0 { Err(rustix::io::Errno::PIPE) } else { Ok(()) }
}

fn limit(policy: &Policy) -> Result<(), String> {
    let limits = [
        (Resource::Fsize, policy.scratch),
        (Resource::Nofile, 1024),
        // Ends what the keeper does not see in time.
        (Resource::Nproc, policy.processes + 64),
        (Resource::Core, 0),
        (Resource::Memlock, 1 << 16),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 1024),
    ];
    limits.into_iter().try_for_each(|(resource, most)| step("limits", lower(resource, most)))
}

/// Lowers a limit for good; one that is lower already stays.
fn lower(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

fn give_up_rights(becomes_nobody: bool) -> Result<(), String> {
    for capability in 0..64 {
        // SAFETY: numbers only.
        let outcome = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) };
        match Errno::result(outcome) {
            // The kernel knows fewer than 64.
            Ok(_) | Err(Errno::EINVAL) => {}
            Err(error) => return Err(format!("capabilities: {error}")),
        }
    }
    if becomes_nobody {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        step("groups", setgroups(&[]))?;
        step("a group", setresgid(group, group, group))?;
        step("a user", setresuid(user, user, user))?;
    }
    step("capabilities", drop_capabilities())?;
    // The program has the same user: it must neither look into this process nor change it.
    step("privacy", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("no new rights", set_no_new_privs())
}

/// Effective, permitted and inheritable ones, and with the inheritable the ambient.
fn drop_capabilities() -> nix::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`: 64 bits in two halves.
    const VERSION: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: a header of two words for this process, and twice three words of data, which both live through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) }).map(drop)
}

/// No descriptor but the standard streams reaches the program.
fn keep_only(speaks: &PipeWriter, go: &PipeReader) -> Result<(), String> {
    let listing = fs::read_dir("/proc/self/fd");
    let open: Vec<i32> = match listing {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        // Without /proc: more than a keeper ever has.
        Err(_) => (3..256).collect(),
    };
    for descriptor in
        open.into_iter().filter(|fd| *fd > 2 && *fd != speaks.as_raw_fd() && *fd != go.as_raw_fd())
    {
        // SAFETY: marks a number, which is no pointer, to be closed on exec; one that is not open is refused.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

fn run(order: &Order) -> Result<Verdict, String> {
    let (file, arguments) = order.command.split_first().ok_or("there is no program to start")?;
    let mut command = Command::new(file);
    command.args(arguments).current_dir(SCRATCH);
    // The keeper's environment is not for strangers.
    command.env_clear().envs(ENVIRONMENT).envs(order.environment.iter().cloned());
    let memory = order.policy.memory;
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing. The limit is not the
    // init's own, which is a copy of a large program.
    unsafe { command.pre_exec(move || Ok(lower(Resource::Data, memory)?)) };
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The last words of this start.
            let _ = writeln!(std::io::stderr(), "cannot be started: {error}");
            return Ok(Verdict::Exited(127));
        }
    };
    let program = child.id();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get().unsigned_abs() == program => {
                let status = ExitStatus::from_raw(status.as_raw());
                return Ok(match (status.code(), status.signal()) {
                    (Some(code), _) => Verdict::Exited(code),
                    (None, signal) => Verdict::Killed(signal.unwrap_or_default()),
                });
            }
            // Somebody whose parent ended before it, or who only stopped.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("its program is lost: {error}")),
        }
    }
}
