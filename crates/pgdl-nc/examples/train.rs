//! Trains a recipe without the rest of pgdl: `cargo run --release -p pgdl-nc --example train -- RECIPE FOLDER [THREADS]`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pgdl_nc::{MetaTraining, NcError, Recipe};

fn main() -> ExitCode {
    match train() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn train() -> Result<(), NcError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [recipe, folder, rest @ ..] = &arguments[..] else {
        eprintln!("usage: train RECIPE FOLDER [THREADS]");
        return Ok(());
    };
    tch::set_num_threads(rest.first().and_then(|threads| threads.parse().ok()).unwrap_or(1));
    let mut training =
        MetaTraining::open(Recipe::read(Path::new(recipe))?, Path::new(folder), tch::Device::Cpu)?;
    let (start, from) = (Instant::now(), training.step());
    eprintln!("from step {from}");
    training.run(&AtomicBool::new(false), &mut |point| {
        let seconds = start.elapsed().as_secs_f64();
        eprintln!(
            "step {} loss {:.4} λ {:.3} R² {:.4} MAE {:.4} regularized R² {:.4} MAE {:.4} {:.2} steps/s",
            point.step,
            point.loss,
            point.lambda,
            point.plain.r2,
            point.plain.mae,
            point.regularized.r2,
            point.regularized.mae,
            (point.step - from) as f64 / seconds
        );
    })?;
    Ok(())
}
