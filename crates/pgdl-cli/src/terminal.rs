//! What goes to the terminal: data to standard output, talk to standard error.

use std::io::{IsTerminal, Write};

use crate::arguments::Colour;
use crate::exit::{Exit, Failure};

/// How the program talks: whether in colour, and whether at all.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Colour on standard output.
    pub colour: bool,
    /// Colour on standard error.
    pub talk_colour: bool,
    /// Only errors on standard error.
    pub quiet: bool,
    /// Standard error is a terminal, so that progress can be drawn.
    pub interactive: bool,
}

impl Terminal {
    /// Decides from the options and what the streams are. `NO_COLOR` and `TERM=dumb` switch colour off.
    pub fn new(colour: Colour, quiet: bool) -> Self {
        let wanted = |terminal: bool| match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let interactive = std::io::stderr().is_terminal();
        Self {
            colour: wanted(std::io::stdout().is_terminal()),
            talk_colour: wanted(interactive),
            quiet,
            interactive,
        }
    }

    /// The width of standard output in columns, where it is a terminal.
    pub fn width(&self) -> Option<usize> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        if let Some(columns) = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()) {
            return Some(columns);
        }
        // SAFETY: the call fills the struct it is given, whose all-zero form is valid.
        let size = unsafe {
            let mut size: libc::winsize = std::mem::zeroed();
            (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) == 0).then_some(size)
        };
        size.map(|size| size.ws_col as usize).filter(|columns| *columns > 0)
    }

    /// Writes data to standard output. A reader that went away ends the program quietly.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                std::process::exit(Exit::Ok as i32)
            }
            Err(error) => {
                Err(Failure::new(Exit::Unexpected, format!("could not write to standard output: {error}")))
            }
        }
    }

    /// A line of talk on standard error.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// A warning that the user can act on.
    pub fn warn(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.say(format_args!("{} {text}", self.paint("warning:", "33")));
        }
    }

    /// A failure, with its hint on a line of its own.
    pub fn fail(&self, failure: &Failure) {
        self.say(format_args!("{} {}", self.paint("error:", "31"), failure.message));
        if let Some(hint) = &failure.hint {
            self.say(format_args!("{} {hint}", self.paint("hint:", "36")));
        }
    }

    /// A way out, after warnings.
    pub fn hint(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.say(format_args!("{} {text}", self.paint("hint:", "36")));
        }
    }

    /// What another program says, as it says it, to whoever has to act on it.
    pub fn pass_on(&self, text: &str) {
        // Nobody is left to be told where standard error is closed.
        let _ = write!(std::io::stderr().lock(), "{text}");
    }

    fn say(&self, text: impl std::fmt::Display) {
        // Nobody is left to be told where standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.talk_colour { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
