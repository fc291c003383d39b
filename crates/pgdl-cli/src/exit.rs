//! The exit codes of the program, in one place.

/// How the program ends. The numbers are stable: scripts may rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// An error that none of the others names.
    Unexpected = 1,
    /// The arguments cannot be used: an unknown command, measure, parameter or zoo.
    Usage = 2,
    /// There was nothing to do.
    NothingToDo = 3,
    /// Finished, with records that are not `ok`.
    NotAllOk = 4,
    /// Interrupted; the same command goes on where it stopped.
    Interrupted = 5,
    /// A zoo, a network, a data set or a results file is missing, damaged or differs from its listing.
    Invalid = 6,
    /// A plugin failed.
    Plugin = 7,
    /// The device asked for cannot be used.
    Device = 8,
    /// A reproduction differs from the committed table.
    Differs = 9,
}

impl Exit {
    /// Every exit code with its one-line meaning, for the manual.
    pub const ALL: [(Exit, &'static str); 10] = [
        (Exit::Ok, "everything asked for was done"),
        (Exit::Unexpected, "an unexpected error"),
        (Exit::Usage, "unusable arguments: an unknown command, measure, parameter or zoo"),
        (Exit::NothingToDo, "nothing to do"),
        (Exit::NotAllOk, "finished, with records that are not ok"),
        (Exit::Interrupted, "interrupted; the same command goes on where it stopped"),
        (
            Exit::Invalid,
            "a zoo, network, data set or results file is missing, damaged or differs from its listing",
        ),
        (Exit::Plugin, "a plugin failed"),
        (Exit::Device, "the device asked for cannot be used"),
        (Exit::Differs, "a reproduction differs from the committed table"),
    ];
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error as the user meets it: what failed, a way out where there is one, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The thing and the cause, a lowercase fragment.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Adds a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Unusable arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

/// What every command returns: the exit code of a run that ended in its own way, or a failure.
pub type Outcome = Result<Exit, Failure>;

/// The message of an error with those of its sources, each after a colon, where they add something.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_exit_codes_is_complete_and_in_order() {
        for (number, (exit, _)) in Exit::ALL.iter().enumerate() {
            assert_eq!(*exit as usize, number);
        }
    }
}
