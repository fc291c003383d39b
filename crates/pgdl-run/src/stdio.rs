//! The worker's line to its parent, out of reach of the measures.
//!
//! A worker is started with the line on its standard streams. It moves the line to descriptors of its own that no
//! child inherits, and leaves harmless streams in their place: what a measure prints goes to standard error, and what
//! it reads is empty.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};

/// The line to the parent.
#[derive(Debug)]
pub(crate) struct Line {
    pub requests: File,
    pub answers: File,
}

/// Takes the line from the standard streams.
pub(crate) fn take_line() -> io::Result<Line> {
    // Above the standard streams, so that a later `dup2` cannot close one of them.
    const FIRST: i32 = 3;
    let requests = fcntl_dupfd_cloexec(stdin(), FIRST)?;
    let answers = fcntl_dupfd_cloexec(stdout(), FIRST)?;
    dup2_stdin(File::open("/dev/null")?.as_fd())?;
    dup2_stdout(stderr())?;
    Ok(Line { requests: requests.into(), answers: answers.into() })
}
