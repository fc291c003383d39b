//! Building a zoo: one process per network, several side by side, resumable.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pgdl_zoo::fetch::FetchEvent;

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::samples;
use crate::store::{self, TrainingRecord};
use crate::train::Epoch;
use crate::worker::{WORKER_ARGUMENT, log_path};

/// What to build, where and how.
#[derive(Debug, Clone)]
pub struct Build {
    /// The recipe file.
    pub recipe: PathBuf,
    /// The zoo's folder; made when missing. Networks of the same recipe that are finished there are kept.
    pub root: PathBuf,
    /// How many networks are trained at a time.
    pub jobs: usize,
    /// Threads of each. With one, the same recipe gives the same bytes on the CPU.
    pub threads: usize,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// The program that is started with [`WORKER_ARGUMENT`]: as a rule [`std::env::current_exe`].
    pub program: PathBuf,
}

/// What happens during a build.
#[derive(Debug)]
pub enum BuildEvent<'a> {
    /// Public data are looked up and fetched.
    Data(FetchEvent<'a>),
    /// A network's training begins.
    Started {
        /// The network.
        id: u64,
    },
    /// An epoch is over.
    Epoch {
        /// The network.
        id: u64,
        /// The epoch.
        epoch: &'a Epoch,
    },
    /// A network is in the zoo.
    Finished {
        /// The network.
        id: u64,
        /// How its training went.
        record: &'a TrainingRecord,
    },
    /// A network could not be trained; the others go on.
    Failed {
        /// The network.
        id: u64,
        /// Why.
        reason: &'a str,
    },
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// Networks in the zoo.
    pub finished: usize,
    /// Networks of the recipe.
    pub total: usize,
    /// Estimate of the time left, once there is something to go by.
    pub remaining: Option<Duration>,
}

/// What a build has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Networks that were there already.
    pub kept: usize,
    /// Networks that were trained now.
    pub trained: usize,
}

impl Build {
    /// Builds the zoo. Sets `stop` from elsewhere to end early; finished networks stay.
    ///
    /// Writes `recipe.toml`, `dataset_1`, one `model_<ID>` folder per network and, when all are there,
    /// `model_configs.json`; logs go to `logs`, which is no part of the zoo.
    ///
    /// # Errors
    /// [`TrainError::OtherContent`] and [`TrainError::Busy`] before anything is written; [`TrainError::Failed`] and
    /// [`TrainError::Interrupted`] when networks are missing at the end.
    pub fn run(&self, stop: &AtomicBool, events: &mut dyn FnMut(BuildEvent<'_>, Status)) -> Result<Summary> {
        let recipe = Recipe::read(&self.recipe)?;
        if !recipe.architecture(0)?.is_sequential() {
            return Err(TrainError::Recipe(
                "networks of its family are no chains of layers, and PGDL's form of zoos holds no others; `pgdl train` trains one"
                    .into(),
            ));
        }
        let create =
            |folder: &Path| fs::create_dir_all(folder).map_err(|source| TrainError::io(folder, source));
        create(&self.root)?;
        let _lock = lock(&self.root)?;
        store::claim(&recipe, &self.recipe, &self.root)?;
        create(&self.root.join("logs"))?;

        let total = recipe.network_count();
        let mut status = Status { finished: 0, total, remaining: None };
        samples::prepare(&recipe, &self.root, &mut |event| events(BuildEvent::Data(event), status))?;
        let mut pending: VecDeque<u64> = VecDeque::new();
        for id in recipe.ids() {
            if store::finished(&recipe, &self.root, id)?.is_none() {
                pending.push_back(id);
            }
        }
        let kept = total - pending.len();
        status.finished = kept;
        let failed = self.train_all(&recipe, pending, status, stop, events)?;
        if stop.load(Ordering::Relaxed) {
            let finished =
                recipe.ids().filter(|id| matches!(store::finished(&recipe, &self.root, *id), Ok(Some(_))));
            return Err(TrainError::Interrupted { finished: finished.count(), total });
        }
        if !failed.is_empty() {
            return Err(TrainError::Failed { failed, total });
        }
        store::write_model_configs(&recipe, &self.root)?;
        Ok(Summary { kept, trained: total - kept })
    }

    fn train_all(
        &self,
        recipe: &Recipe,
        mut pending: VecDeque<u64>,
        mut status: Status,
        stop: &AtomicBool,
        events: &mut dyn FnMut(BuildEvent<'_>, Status),
    ) -> Result<Vec<(u64, String)>> {
        let started = Instant::now();
        let to_do = pending.len() as f64;
        let (sender, messages) = mpsc::channel();
        let mut running: BTreeMap<u64, Worker> = BTreeMap::new();
        let mut failed = Vec::new();
        let mut done = 0.0;
        while !stop.load(Ordering::Relaxed) {
            while running.len() < self.jobs.max(1)
                && let Some(id) = pending.pop_front()
            {
                running.insert(id, self.start(id, sender.clone())?);
                events(BuildEvent::Started { id }, status);
            }
            if running.is_empty() {
                break;
            }
            let Ok((id, message)) = messages.recv_timeout(Duration::from_millis(200)) else { continue };
            match message {
                Message::Epoch(epoch) => {
                    if let Some(worker) = running.get_mut(&id) {
                        worker.fraction = f64::from(epoch.epoch) / f64::from(epoch.max_epochs);
                    }
                    let fraction =
                        (done + running.values().map(|worker| worker.fraction).sum::<f64>()) / to_do;
                    status.remaining =
                        Duration::try_from_secs_f64(started.elapsed().as_secs_f64() * (1.0 / fraction - 1.0))
                            .ok();
                    events(BuildEvent::Epoch { id, epoch: &epoch }, status);
                }
                Message::Ended => {
                    let Some(worker) = running.remove(&id) else { continue };
                    done += 1.0;
                    match self.ended(recipe, id, worker)? {
                        Ok(record) => {
                            status.finished += 1;
                            events(BuildEvent::Finished { id, record: &record }, status);
                        }
                        Err(reason) => {
                            events(BuildEvent::Failed { id, reason: &reason }, status);
                            failed.push((id, reason));
                        }
                    }
                }
            }
        }
        // Workers end when their standard input does; waiting leaves no process behind.
        for worker in running.into_values() {
            worker.wait()?;
        }
        failed.sort_unstable();
        Ok(failed)
    }

    fn start(&self, id: u64, sender: mpsc::Sender<(u64, Message)>) -> Result<Worker> {
        let error_path = log_path(&self.root, id).with_extension("stderr");
        let errors = fs::File::create(&error_path).map_err(|source| TrainError::io(&error_path, source))?;
        let mut child = Command::new(&self.program)
            .arg(WORKER_ARGUMENT)
            .args([&self.recipe, &self.root])
            .args([id.to_string(), self.device.clone(), self.threads.max(1).to_string()])
            .env("OMP_NUM_THREADS", self.threads.max(1).to_string())
            .env("OMP_WAIT_POLICY", "PASSIVE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|source| TrainError::io(&self.program, source))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        std::thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let Ok(line) = line else { break };
                // Lines of another form come from libraries; they are nobody's concern.
                if let Ok(epoch) = serde_json::from_str(&line)
                    && sender.send((id, Message::Epoch(epoch))).is_err()
                {
                    break;
                }
            }
            // The build may have ended already.
            let _ = sender.send((id, Message::Ended));
        });
        Ok(Worker { child, input, error_path, fraction: 0.0 })
    }

    /// What became of a worker: the network's record, or the reason why there is none.
    fn ended(
        &self,
        recipe: &Recipe,
        id: u64,
        worker: Worker,
    ) -> Result<std::result::Result<TrainingRecord, String>> {
        let error_path = worker.error_path.clone();
        let exit = worker.wait()?;
        if exit.success()
            && let Some(record) = store::finished(recipe, &self.root, id)?
        {
            // Nothing was said, as a rule; what libraries said is of no use.
            let _ = fs::remove_file(&error_path);
            return Ok(Ok(record));
        }
        let said = fs::read_to_string(&error_path).unwrap_or_default();
        let said = said.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
        Ok(Err(said.unwrap_or_else(|| format!("its process ended with {exit}"))))
    }
}

enum Message {
    Epoch(Epoch),
    Ended,
}

/// A training process.
struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    error_path: PathBuf,
    /// Share of its epochs that are over.
    fraction: f64,
}

impl Worker {
    /// Closes the process's standard input, which ends it, and waits.
    fn wait(mut self) -> Result<std::process::ExitStatus> {
        drop(self.input.take());
        self.child.wait().map_err(|source| TrainError::io("training process", source))
    }
}

/// Holds the folder against other builds as long as the file lives.
fn lock(root: &Path) -> Result<fs::File> {
    let path = root.join(".lock");
    let file = fs::File::create(&path).map_err(|source| TrainError::io(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(TrainError::Busy { path: root.to_path_buf() }),
        Err(fs::TryLockError::Error(source)) => Err(TrainError::io(&path, source)),
    }
}
