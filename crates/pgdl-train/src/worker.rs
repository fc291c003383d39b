//! The process that trains one network of a build.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use pgdl_network::device;
use serde_json::json;

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::{samples, store, train};

/// The hidden argument after which an executable must call [`train_worker_main`] with the rest.
pub const WORKER_ARGUMENT: &str = "__train";

/// Trains one network: arguments are the recipe file, the zoo folder, the network's number, the device and the number of
/// threads. Tells of each epoch as one JSON line ([`train::Epoch`]) on the standard output, and ends when its standard
/// input does: so it never outlives the build that started it.
pub fn train_worker_main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    std::thread::spawn(|| {
        let mut sink = [0; 64];
        while std::io::stdin().read(&mut sink).is_ok_and(|read| read > 0) {}
        // The network that is being trained is lost, and nothing else: it is written in one step at the end.
        // SAFETY: `_exit` has no requirement. Other than `exit` it runs no destructors, which libtorch does not bear while
        // another thread is computing.
        unsafe { libc::_exit(1) }
    });
    match Job::parse(arguments).and_then(|job| job.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

struct Job {
    recipe: Recipe,
    root: PathBuf,
    id: u64,
    device: String,
    threads: i32,
}

impl Job {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        let [recipe, root, id, device, threads] = arguments.as_slice() else {
            return Err(TrainError::Arguments(format!(
                "a training process takes a recipe, a folder, a network, a device and a number of threads, not {arguments:?}"
            )));
        };
        let number = |text: &str| TrainError::Arguments(format!("`{text}` is no number"));
        Ok(Self {
            recipe: Recipe::read(Path::new(recipe))?,
            root: root.into(),
            id: id.parse().map_err(|_| number(id))?,
            device: device.clone(),
            threads: threads.parse().map_err(|_| number(threads))?,
        })
    }

    fn run(&self) -> Result<()> {
        let device = device::choose(&self.device)?.device;
        tch::set_num_threads(self.threads.max(1));
        let (train_data, test_data) = samples::load(&self.recipe, &self.root, &mut |_| {})?;
        let path = log_path(&self.root, self.id);
        let mut log = fs::File::create(&path).map_err(|source| TrainError::io(&path, source))?;
        let start = Instant::now();
        let mut on_epoch = |epoch: train::Epoch| -> Result<()> {
            let mut line = json!(epoch);
            line["seconds"] = json!((start.elapsed().as_secs_f64() * 10.0).round() / 10.0);
            writeln!(log, "{line}").map_err(|source| TrainError::io(&path, source))?;
            let standard_output = |source| TrainError::io("standard output", source);
            writeln!(std::io::stdout(), "{}", json!(epoch)).map_err(standard_output)
        };
        let trained = train::train(&self.recipe, self.id, &train_data, &test_data, device, &mut on_epoch)?;
        store::write_network(&self.recipe, &self.root, self.id, &trained)
    }
}

/// The log of one network's training, one line per epoch. It is not part of the zoo.
pub(crate) fn log_path(root: &Path, id: u64) -> PathBuf {
    root.join("logs").join(format!("{id}.jsonl"))
}
