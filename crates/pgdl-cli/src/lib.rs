//! The command line as a library: arguments, commands, output.
//!
//! A program with its own measures is three lines:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     pgdl_cli::main(|registry| Ok(())) // register your measures here
//! }
//! ```

mod arguments;
mod commands;
mod errors;
mod exit;
mod progress;
mod terminal;

use clap::Parser;
use pgdl_measure::{Registry, RegistryError};

use crate::arguments::{Arguments, Command, ServeCommand};
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Runs the program with the measures that `register` adds. Returns the exit code, one of [`exit_codes`].
pub fn main(register: impl FnOnce(&mut Registry) -> Result<(), RegistryError>) -> std::process::ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            return refuse(&error, &Terminal::new(arguments::Colour::Auto, false));
        }
        // Help and version are data.
        Err(error) => error.exit(),
    };
    let terminal = Terminal::new(arguments.color, arguments.quiet);
    if let Err(failure) = commands::plugin::take_host(&arguments, &terminal) {
        terminal.fail(&failure);
        return failure.exit.into();
    }
    let mut registry = Registry::new();
    let registered = register(&mut registry).map_err(|error| Failure {
        exit: Exit::Plugin,
        hint: error.hint(),
        message: exit::chain(&error),
    });
    let outcome = match (registered, arguments.command) {
        (Err(failure), _) => Err(failure),
        // Workers speak to their parent, and end in their own ways.
        (Ok(()), Command::Worker { programs }) => {
            match programs.map(|list| commands::external::register_prepared(&list, &mut registry)) {
                None | Some(Ok(())) => return pgdl_run::worker_main(&registry),
                Some(Err(failure)) => Err(failure),
            }
        }
        (Ok(()), Command::Sandbox { order }) => return pgdl_external::sandbox::main(&order),
        (Ok(()), Command::Serve(question)) => {
            let job = match &question {
                ServeCommand::Describe => None,
                ServeCommand::Evaluate { job } => Some(job.as_path()),
            };
            return pgdl_external::serve(&registry, job);
        }
        (Ok(()), Command::Train { arguments }) => return pgdl_train::train_worker_main(arguments),
        (Ok(()), command) => run(command, &mut registry, &terminal),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal.fail(&failure);
            failure.exit.into()
        }
    }
}

/// Says what is wrong with the arguments, with a hint as in every other error.
fn refuse(error: &clap::Error, terminal: &Terminal) -> std::process::ExitCode {
    let text = error.render();
    let text = if terminal.talk_colour { text.ansi().to_string() } else { text.to_string() };
    let text = if text.contains("tip:") {
        text.replace("tip:", "hint:")
    } else {
        text.replace("For more information, try", "hint: for more, try")
    };
    terminal.note(text.trim_end());
    Exit::Usage.into()
}

/// Every exit code with its meaning.
pub fn exit_codes() -> impl Iterator<Item = (u8, &'static str)> {
    Exit::ALL.iter().map(|(exit, meaning)| (*exit as u8, *meaning))
}

/// The command line's definition, from which help, manual and completions derive.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

fn run(command: Command, registry: &mut Registry, terminal: &Terminal) -> Outcome {
    match command {
        Command::Score(arguments) => commands::score::run(*arguments, registry, terminal),
        Command::Eval(arguments) => commands::evaluate::run(*arguments, registry, terminal),
        Command::Submit(arguments) => commands::submit::run(*arguments, registry, terminal),
        Command::Bench(arguments) => commands::bench::run(&arguments, registry, terminal),
        Command::Board(arguments) => commands::board::run(&arguments, registry, terminal),
        Command::Reproduce(arguments) => commands::reproduce::run(*arguments, registry, terminal),
        Command::Merge(arguments) => commands::merge::run(&arguments, terminal),
        Command::Measures(arguments) => commands::measures::list(&arguments, registry, terminal),
        Command::Explain { id, markdown } => commands::measures::explain(&id, markdown, registry, terminal),
        Command::Zoo(command) => commands::zoo::run(command, terminal),
        Command::Data(command) => commands::data::run(command, terminal),
        Command::Plugin(command) => commands::plugin::run(command, registry, terminal),
        Command::Contract { id } => commands::plugin::contract(id.as_deref(), registry, terminal),
        Command::Predict(arguments) => commands::predict::run(&arguments, terminal),
        Command::Report(arguments) => commands::report::run(&arguments, registry, terminal),
        Command::Network(arguments) => commands::train::run(&arguments, terminal),
        Command::Nc(command) => commands::nc::run(command, registry, terminal),
        Command::Experiment(arguments) => commands::experiment::run(arguments, terminal),
        Command::Doctor => commands::doctor::run(registry, terminal),
        Command::Schema => commands::manual::schema(terminal),
        Command::Completions { shell } => commands::manual::completions(shell, terminal),
        Command::Man { dir } => commands::manual::pages(dir.as_deref(), terminal),
        // These ended in `main`.
        Command::Worker { .. } | Command::Sandbox { .. } | Command::Serve(_) | Command::Train { .. } => {
            Ok(Exit::Ok)
        }
    }
}
