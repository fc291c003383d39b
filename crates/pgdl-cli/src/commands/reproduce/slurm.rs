//! `pgdl reproduce --executor slurm`: shards as elements of a job array, a job that merges, and this process that follows
//! them.
//!
//! ```text
//! <run>/<zoo>/                       the merged records
//! <run>/shards/<i>-of-<n>/<zoo>/     what element i of n evaluated
//! <run>/slurm/                       scripts, logs, and the numbers of the jobs
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgdl_report::Committed;
use pgdl_run::slurm::{self, JobState, MergeJob, ShardArray};
use pgdl_run::{Interrupt, RECORDS_FILE, RunFolder, Shard, merge};
use serde::{Deserialize, Serialize};

use crate::commands::data;
use crate::commands::reproduce::{Reproduction, absolute};
use crate::exit::{Exit, Failure, Outcome};

/// The numbers of the jobs that were submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    array: String,
    merge: String,
}

/// Submits what lacks, follows it, and concludes.
pub fn run(reproduction: &Reproduction) -> Outcome {
    if reproduction.arguments.reuse.force {
        return Err(Failure::usage(
            "--force would begin anew each time an element is put back into the queue",
        )
        .hint("name a new folder with --run instead"));
    }
    if !reproduction.arguments.update && !reproduction.arguments.dry_run {
        // As without a cluster: what cannot be compared with need not be waited for.
        Committed::read(&reproduction.manifest)?;
    }
    let cluster = Cluster::new(reproduction)?;
    if reproduction.arguments.dry_run {
        let elements: Vec<usize> = (1..=cluster.shards).collect();
        let text = format!("{}\n{}", cluster.array(elements).script(), cluster.merge_job().script());
        reproduction.terminal.data(&text)?;
        return Ok(Exit::Ok);
    }
    let folder = cluster.folder.join("slurm");
    fs::create_dir_all(&folder).map_err(|error| storage(&folder, &error))?;
    let _lock = cluster.lock()?;
    let interrupt = Interrupt::on_signals(Exit::Interrupted as i32)?;
    cluster.collect()?;
    let jobs = match cluster.at_work()? {
        Some(jobs) => {
            reproduction.terminal.note(format_args!("jobs {} and {} are at work", jobs.array, jobs.merge));
            Some(jobs)
        }
        None => cluster.submit()?,
    };
    if let Some(jobs) = jobs {
        cluster.follow(&jobs, &interrupt)?;
        cluster.collect()?;
        let lacking = cluster.lacking()?;
        if !lacking.is_empty() {
            let shards: Vec<String> = lacking.keys().map(ToString::to_string).collect();
            let message = format!(
                "{} evaluations have no record: those of shards {}",
                lacking.values().sum::<usize>(),
                shards.join(", ")
            );
            let logs = cluster.folder.join("slurm");
            return Err(Failure::new(Exit::Interrupted, message)
                .hint(format!("the logs are in {}; the same command submits what lacks", logs.display())));
        }
    }
    reproduction.conclude()
}

struct Cluster<'a> {
    reproduction: &'a Reproduction<'a>,
    /// The run's folder, absolute: it must mean the same on every node.
    folder: PathBuf,
    program: PathBuf,
    shards: usize,
}

impl<'a> Cluster<'a> {
    fn new(reproduction: &'a Reproduction<'a>) -> Result<Cluster<'a>, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot find this program's own file: {error}"))
        })?;
        let folder = absolute(&reproduction.folder)?;
        Ok(Cluster { reproduction, folder, program, shards: reproduction.arguments.shards as usize })
    }

    /// Two processes must not submit the same work.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.folder.join("slurm/lock");
        let lock = File::create(&path).map_err(|error| storage(&path, &error))?;
        lock.try_lock().map_err(|_| {
            Failure::new(Exit::Usage, format!("{}: another process follows this run", self.folder.display()))
                .hint("wait for it, or name another folder with --run")
        })?;
        Ok(lock)
    }

    fn shard_folder(&self, element: impl std::fmt::Display) -> PathBuf {
        self.folder.join("shards").join(format!("{element}-of-{}", self.shards))
    }

    fn array(&self, elements: Vec<usize>) -> ShardArray {
        let arguments = self.reproduction.arguments;
        let manifest = &self.reproduction.manifest;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let jobs = arguments.jobs.unwrap_or(1);
        let threads = arguments.threads.unwrap_or(manifest.evaluation.threads);
        let path = std::path::absolute(&manifest.path).unwrap_or_else(|_| manifest.path.clone());
        let mut command = vec![
            text(&self.program),
            "reproduce".to_owned(),
            text(&path),
            format!("--shard={}/{}", ShardArray::ELEMENT, self.shards),
            format!("--run={}", text(&self.shard_folder(ShardArray::ELEMENT))),
            format!("--jobs={jobs}"),
        ];
        command.extend(arguments.device.as_ref().map(|device| format!("--device={device}")));
        command.extend(arguments.threads.map(|threads| format!("--threads={threads}")));
        command.extend(arguments.budget.map(|budget| format!("--budget={}s", budget.as_secs_f64())));
        command.extend(arguments.reuse.retry_failed.then(|| "--retry-failed".to_owned()));
        ShardArray {
            name: format!("pgdl-{}", manifest.name),
            elements,
            processors: (jobs * threads) as usize,
            at_once: arguments.at_once.map(|at_once| at_once as usize),
            options: arguments.sbatch.clone(),
            logs: self.folder.join("slurm"),
            command,
        }
    }

    fn merge_job(&self) -> MergeJob {
        let zoos = self.reproduction.zoos.iter();
        MergeJob {
            name: format!("pgdl-merge-{}", self.reproduction.manifest.name),
            options: self.reproduction.arguments.sbatch.clone(),
            logs: self.folder.join("slurm"),
            program: self.program.clone(),
            shards: self.folder.join("shards"),
            targets: zoos.map(|zoo| (zoo.listed.name.clone(), self.folder.join(&zoo.listed.name))).collect(),
        }
    }

    /// Per shard how many evaluations no record holds; shards that hold all are left out.
    fn lacking(&self) -> Result<BTreeMap<usize, usize>, Failure> {
        let mut lacking = BTreeMap::new();
        for (zoo, seed) in self.reproduction.parts() {
            let records = RunFolder::look(&self.folder.join(&zoo.listed.name))?.records;
            for element in 1..=self.shards {
                let shard = Some(Shard::new(element, self.shards)?);
                let outstanding = self.reproduction.plan(zoo, seed, &records, shard)?.outstanding();
                if outstanding > 0 {
                    *lacking.entry(element).or_default() += outstanding;
                }
            }
        }
        Ok(lacking)
    }

    /// Submits the shards that lack records, and the merge after them. `None` if none does.
    fn submit(&self) -> Result<Option<Jobs>, Failure> {
        let lacking = self.lacking()?;
        if lacking.is_empty() {
            return Ok(None);
        }
        let terminal = self.reproduction.terminal;
        for (zoo, seed) in self.reproduction.parts() {
            if let Some(reference) = zoo.zoo.data_reference() {
                data::ensure(&reference.dataset, terminal)?;
            }
            // An element sees its own folder only: what is held already goes there.
            let held = RunFolder::look(&self.folder.join(&zoo.listed.name))?.records;
            for &element in lacking.keys() {
                let shard = Some(Shard::new(element, self.shards)?);
                let plan = self.reproduction.plan(zoo, seed, &held, shard)?;
                let answers = plan.answers(&held).into_iter().cloned().collect();
                let merged = pgdl_run::Merged { records: answers, ..Default::default() };
                merged.append_to(&RunFolder::open(&self.shard_folder(element).join(&zoo.listed.name))?)?;
            }
        }
        let array = self.write("evaluate.sh", &self.array(lacking.keys().copied().collect()).script())?;
        let merge = self.write("merge.sh", &self.merge_job().script())?;
        let array = slurm::submit(&array, None)?;
        let merge = slurm::submit(&merge, Some(&array))?;
        let jobs = Jobs { array, merge };
        let text = serde_json::to_string(&jobs)
            .map_err(|error| Failure::new(Exit::Unexpected, format!("jobs.json: {error}")))?;
        self.write("jobs.json", &text)?;
        terminal.note(format_args!(
            "job {}: {} shards of {}; job {} merges them",
            jobs.array,
            lacking.len(),
            self.shards,
            jobs.merge
        ));
        Ok(Some(jobs))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join("slurm").join(name);
        fs::write(&path, text).map_err(|error| storage(&path, &error))?;
        Ok(path)
    }

    /// The jobs of an earlier command, if they have not ended.
    fn at_work(&self) -> Result<Option<Jobs>, Failure> {
        let path = self.folder.join("slurm/jobs.json");
        let Some(jobs) =
            fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Jobs>(&text).ok())
        else {
            return Ok(None);
        };
        let states = [slurm::states(&jobs.array)?, slurm::states(&jobs.merge)?].concat();
        Ok(states.iter().any(|state| !state.has_ended()).then_some(jobs))
    }

    /// Waits until both jobs have ended.
    fn follow(&self, jobs: &Jobs, interrupt: &Interrupt) -> Result<(), Failure> {
        /// A busy controller may fail to answer for a while.
        const MOST_FAILURES: u32 = 20;
        let terminal = self.reproduction.terminal;
        let (mut told, mut failures, mut pause) = (String::new(), 0, Duration::from_secs(1));
        loop {
            match slurm::states(&jobs.array).and_then(|array| Ok((array, slurm::states(&jobs.merge)?))) {
                Ok((array, merge)) => {
                    failures = 0;
                    let text = in_words(&array, &merge);
                    if text != told {
                        terminal.note(&text);
                        told = text;
                        pause = Duration::from_secs(1);
                    }
                    if array.iter().chain(&merge).all(|state| state.has_ended() || state.waits_in_vain()) {
                        return Ok(());
                    }
                }
                Err(error) if failures < MOST_FAILURES => {
                    failures += 1;
                    terminal.warn(format_args!("{error}: asked again in a moment"));
                }
                Err(error) => return Err(error.into()),
            }
            // In short steps, so that Ctrl-C is heard.
            let mut waited = Duration::ZERO;
            while waited < pause {
                if interrupt.is_set() {
                    let message = format!(
                        "interrupted: jobs {} and {} go on without this program",
                        jobs.array, jobs.merge
                    );
                    return Err(Failure::new(Exit::Interrupted, message).hint(format!(
                        "the same command follows them again; `scancel {} {}` ends them",
                        jobs.array, jobs.merge
                    )));
                }
                std::thread::sleep(Duration::from_millis(100));
                waited += Duration::from_millis(100);
            }
            pause = (pause * 2).min(Duration::from_secs(15));
        }
    }

    /// Merges what the shards hold, as the merge job does: it may have been cancelled.
    fn collect(&self) -> Result<(), Failure> {
        for zoo in &self.reproduction.zoos {
            let shards = fs::read_dir(self.folder.join("shards")).into_iter().flatten().flatten();
            let mut inputs: Vec<PathBuf> = shards
                .map(|entry| entry.path().join(&zoo.listed.name))
                .filter(|path| path.join(RECORDS_FILE).exists())
                .collect();
            inputs.sort();
            if !inputs.is_empty() {
                merge(&inputs)?.append_to(&RunFolder::open(&self.folder.join(&zoo.listed.name))?)?;
            }
        }
        Ok(())
    }
}

/// `shards: 3 completed, 1 running; merge: pending`.
fn in_words(array: &[JobState], merge: &[JobState]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for state in array {
        *counts.entry(state.state.to_lowercase()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    let shards = if counts.is_empty() { "ended".to_owned() } else { counts.join(", ") };
    let merge = merge.first().map_or_else(|| "ended".to_owned(), |state| state.state.to_lowercase());
    format!("shards: {shards}; merge: {merge}")
}

fn storage(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unexpected, format!("{}: {error}", path.display()))
        .hint("name a folder on a file system that all nodes share with --run")
}
