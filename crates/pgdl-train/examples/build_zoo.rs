//! Builds a zoo from a recipe: `build_zoo RECIPE FOLDER [JOBS [DEVICE]]`.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use pgdl_train::{Build, BuildEvent, Status, WORKER_ARGUMENT, train_worker_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == WORKER_ARGUMENT) {
        return train_worker_main(arguments.into_iter().skip(1));
    }
    match build(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [recipe, root, rest @ ..] = arguments else {
        return Err("usage: build_zoo RECIPE FOLDER [JOBS [DEVICE]]".into());
    };
    let build = Build {
        recipe: PathBuf::from(recipe),
        root: PathBuf::from(root),
        jobs: rest.first().map_or(Ok(1), |jobs| jobs.parse())?,
        threads: 1,
        device: rest.get(1).map_or("cpu", String::as_str).to_owned(),
        program: env::current_exe()?,
    };
    let summary = build.run(&AtomicBool::new(false), &mut tell)?;
    eprintln!("{} networks trained, {} were there already", summary.trained, summary.kept);
    Ok(())
}

fn tell(event: BuildEvent<'_>, status: Status) {
    let left = status.remaining.map_or(String::new(), |left| format!(", {} min left", left.as_secs() / 60));
    let done = format!("{}/{}{left}", status.finished, status.total);
    match event {
        BuildEvent::Finished { id, record } => eprintln!(
            "{done}: network {id}: {} epochs, train {:.4} (loss {:.4}), test {:.4}",
            record.epochs, record.train.accuracy, record.train.cross_entropy, record.test.accuracy
        ),
        BuildEvent::Failed { id, reason } => eprintln!("{done}: network {id} failed: {reason}"),
        BuildEvent::Started { .. } | BuildEvent::Epoch { .. } | BuildEvent::Data(_) => {}
    }
}
