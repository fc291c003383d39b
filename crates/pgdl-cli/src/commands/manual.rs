//! `pgdl man`, `pgdl completions`, `pgdl schema`: all derived from the definitions, nothing written by hand.

use std::path::Path;

use clap::CommandFactory;

use crate::arguments::Arguments;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Prints a shell's completions.
pub fn completions(shell: clap_complete::Shell, terminal: &Terminal) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pgdl", &mut text);
    terminal.data(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}

/// Prints the manual page, or writes one page per command into a folder.
pub fn pages(dir: Option<&Path>, terminal: &Terminal) -> Outcome {
    let Some(dir) = dir else {
        terminal.data(&page()?)?;
        return Ok(Exit::Ok);
    };
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Unexpected, format!("could not write the manual to {}: {error}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), dir).map_err(failed)?;
    std::fs::write(dir.join("pgdl.1"), page()?).map_err(failed)?;
    Ok(Exit::Ok)
}

/// Prints the JSON schema of `score --format json`.
pub fn schema(terminal: &Terminal) -> Outcome {
    terminal.data(&pgdl_report::score_report_schema())?;
    Ok(Exit::Ok)
}

/// The main manual page, with the exit codes.
fn page() -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command())
        .render(&mut text)
        .map_err(|error| Failure::new(Exit::Unexpected, format!("could not make the manual: {error}")))?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(".SH \"EXIT STATUS\"\n");
    for (exit, meaning) in Exit::ALL {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{meaning}\n", exit as u8));
    }
    Ok(text)
}
