//! Carrying out a plan: workers side by side, the clock, and the records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::budget::{Budget, BudgetUnit, Pools};
use crate::error::{Result, RunError};
use crate::folder::{Claim, RunContext, RunFolder};
use crate::interrupt::Interrupt;
use crate::libtorch::libtorch_version;
use crate::plan::{Held, Job, Plan};
use crate::process::WorkerCommand;
use crate::progress::{Event, Progress, Tally};
use crate::record::{Record, SCHEMA, Status};
use crate::slot::Slot;
use crate::utc;

/// How a plan is carried out. Nothing of it decides what a record is valid for.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// Worker processes side by side; at least one.
    pub jobs: usize,
    /// Threads within each worker; `None`: the processors divided among the workers.
    pub threads: Option<usize>,
    /// Devices, dealt out to the workers in turn: `auto`, `cpu`, `cuda`, `cuda:1`.
    pub devices: Vec<String>,
    /// Batch size of full-sample passes.
    pub batch_size: u64,
    /// How much time evaluations may take; `None`: as much as they like.
    pub budget: Option<Budget>,
    /// How long a worker that is asked to end may take to do so.
    pub grace: Duration,
    /// Bytes of data (heap and private mappings) that each worker may have; `None`: as much as there is.
    pub memory_limit: Option<u64>,
    /// How workers are started.
    pub worker: WorkerCommand,
}

impl Default for ExecuteOptions {
    fn default() -> ExecuteOptions {
        ExecuteOptions {
            jobs: 1,
            threads: None,
            devices: vec!["auto".to_owned()],
            batch_size: 256,
            budget: None,
            grace: Duration::from_secs(3),
            memory_limit: None,
            worker: WorkerCommand::default(),
        }
    }
}

impl ExecuteOptions {
    /// The number of threads within each worker.
    pub fn threads_per_worker(&self) -> usize {
        self.threads.unwrap_or(processors() / self.jobs.max(1)).max(1)
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// Every evaluation of the plan has a record.
    Complete,
    /// Somebody wished it to end early; the same plan goes on where it stopped.
    Interrupted,
    /// It could not go on. What was recorded before stands.
    Stopped(RunError),
}

/// What came of a run.
#[derive(Debug)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// Records made, by status.
    pub by_status: BTreeMap<Status, usize>,
    /// Evaluations that other processes on the same run folder did meanwhile.
    pub done_elsewhere: usize,
    /// Evaluations still without a record.
    pub outstanding: usize,
    /// Records that were made, but could not be written.
    pub unsaved: Vec<Record>,
    /// Workers that died or had to be ended, other than at the end.
    pub workers_lost: usize,
    /// Half-written lines that were moved aside.
    pub healed: u64,
    /// Lines of the records file that hold no record.
    pub damaged: u64,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Summary {
    /// Records made.
    pub fn recorded(&self) -> usize {
        self.by_status.values().sum()
    }

    /// Records made whose status is not `ok`.
    pub fn not_ok(&self) -> usize {
        self.recorded() - self.by_status.get(&Status::Ok).copied().unwrap_or_default()
    }
}

/// Carries out a plan, and appends a record for each evaluation as soon as it is made.
///
/// Whatever befalls an evaluation is the status of its record. Where somebody else kills a worker (the kernel for want
/// of memory, a scheduler, a user), the evaluation in hand is tried once more, since it may not have been its fault.
/// When the run itself cannot go on (no space, no worker) it says so in [`Summary::end`], and the records made so far
/// stand.
///
/// # Errors
/// [`RunError`] if the run cannot begin.
pub fn execute(
    folder: &RunFolder,
    plan: &Plan,
    options: &ExecuteOptions,
    interrupt: &Interrupt,
    progress: &mut dyn Progress,
) -> Result<Summary> {
    let started = Instant::now();
    folder.journal().take_new()?;
    let before = folder.contents()?.records;
    let jobs = options.jobs.clamp(1, plan.jobs.len().max(1));
    if !plan.jobs.is_empty() {
        folder.write_context(&context(plan, options))?;
    }
    let shared = Shared::new(folder, plan, options, interrupt, &before, jobs);
    drop(before);

    let (sender, receiver) = channel();
    thread::scope(|scope| {
        for index in 0..jobs.min(plan.jobs.len()) {
            let (shared, sender) = (&shared, sender.clone());
            shared.slots_at_work.fetch_add(1, Ordering::SeqCst);
            scope.spawn(move || {
                let _at_work = AtWork(shared);
                Slot::new(shared, index, sender).work();
            });
        }
        progress.event(&Event::Started {
            networks: plan.networks_outstanding(),
            evaluations: plan.outstanding(),
            held: plan.held(),
            jobs,
        });
        relay(&receiver, &shared, progress);
    });
    Ok(shared.summary(started.elapsed()))
}

/// Passes the workers' events on until all slots are empty.
fn relay(receiver: &Receiver<Event>, shared: &Shared, progress: &mut dyn Progress) {
    const GLANCE: Duration = Duration::from_millis(20);
    let mut announced = false;
    loop {
        // Read before the channel: what a slot sent before it ended is there when nothing more comes.
        let all_ended = shared.slots_at_work.load(Ordering::SeqCst) == 0;
        match receiver.recv_timeout(if all_ended { Duration::ZERO } else { GLANCE }) {
            Ok(event) => progress.event(&event),
            Err(RecvTimeoutError::Timeout) if !all_ended => {}
            Err(_) => return,
        }
        if !announced && !all_ended && shared.stopping() {
            announced = true;
            progress.event(&Event::Stopping { interrupted: shared.interrupt.is_set() });
        }
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn context(plan: &Plan, options: &ExecuteOptions) -> RunContext {
    RunContext {
        schema: SCHEMA,
        zoo: plan.zoo.name.clone(),
        zoo_root: plan.zoo.root.clone(),
        zoo_digest: plan.zoo.digest.clone(),
        data_digest: plan.zoo.data_digest.clone(),
        measures: plan.questions.iter().map(|question| question.spec.clone()).collect(),
        seed: plan.options.seed,
        sample: plan.sample,
        dtype: plan.options.dtype.as_str().to_owned(),
        batch_size: options.batch_size,
        devices: options.devices.clone(),
        jobs: options.jobs as u64,
        threads: options.threads_per_worker() as u64,
        shard: plan.options.shard.map(|shard| shard.to_string()),
        budget: options.budget.map(|budget| budget.describe(plan.subjects.len())),
        command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        pgdl_version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch_version: libtorch_version(),
        processors: processors() as u64,
        utc: utc::now(),
    }
}

/// What the slots have in common.
pub(crate) struct Shared<'a> {
    pub folder: &'a RunFolder,
    pub plan: &'a Plan,
    pub options: &'a ExecuteOptions,
    pub threads: usize,
    pub libtorch_version: String,
    interrupt: &'a Interrupt,
    slots_at_work: AtomicUsize,
    queue: Mutex<VecDeque<Job>>,
    held: Mutex<Held>,
    pools: Option<Mutex<Pools>>,
    tally: Mutex<Tally>,
    stop: AtomicBool,
    failure: Mutex<Option<RunError>>,
    results: Mutex<Results>,
}

#[derive(Default)]
struct Results {
    by_status: BTreeMap<Status, usize>,
    done_elsewhere: usize,
    workers_lost: usize,
    unsaved: Vec<Record>,
}

/// A slot that is at work, until it ends in whatever way.
struct AtWork<'a>(&'a Shared<'a>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.slots_at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a slot is to do next.
pub(crate) enum Next {
    /// Evaluate these measures on this network, which nobody else works on while the claim lives.
    Job(Job, Claim),
    /// What is left is in the hands of other processes.
    Wait,
    /// Nothing is left.
    Nothing,
}

impl<'a> Shared<'a> {
    fn new(
        folder: &'a RunFolder,
        plan: &'a Plan,
        options: &'a ExecuteOptions,
        interrupt: &'a Interrupt,
        before: &[Record],
        jobs: usize,
    ) -> Shared<'a> {
        let mut left = vec![0; plan.questions.len()];
        plan.jobs.iter().flat_map(|job| &job.questions).for_each(|&question| left[question] += 1);
        let pools = options
            .budget
            .filter(|budget| budget.unit == BudgetUnit::Pooled)
            .map(|budget| Mutex::new(Pools::new(&budget, plan.subjects.len(), seconds_used(plan, before))));
        Shared {
            folder,
            plan,
            options,
            threads: options.threads_per_worker(),
            libtorch_version: libtorch_version(),
            interrupt,
            slots_at_work: AtomicUsize::new(0),
            queue: Mutex::new(plan.jobs.iter().cloned().collect()),
            held: Mutex::new(Held::of(before)),
            pools,
            tally: Mutex::new(Tally::new(&left, plan.jobs.len(), jobs)),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            results: Mutex::default(),
        }
    }

    /// Whether no further work is to be begun, and work in hand is to be dropped.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.interrupt.is_set()
    }

    /// Ends the run because of an error; the first one is kept.
    pub(crate) fn stop(&self, error: RunError) {
        lock(&self.failure).get_or_insert(error);
        self.stop.store(true, Ordering::SeqCst);
    }

    /// The next network that no other process is at work on.
    pub(crate) fn next(&self) -> Result<Next> {
        let mut queue = lock(&self.queue);
        for _ in 0..queue.len() {
            let Some(job) = queue.pop_front() else { break };
            match self.folder.claim(self.plan.subjects[job.subject].network)? {
                Some(claim) => return Ok(Next::Job(job, claim)),
                None => queue.push_back(job),
            }
        }
        Ok(if queue.is_empty() { Next::Nothing } else { Next::Wait })
    }

    /// Divides a claimed job's measures into those still to be evaluated and those that another process has done.
    pub(crate) fn refresh(&self, job: &Job) -> Result<(Vec<usize>, Vec<usize>)> {
        let new = self.folder.journal().take_new()?;
        let mut held = lock(&self.held);
        new.iter().for_each(|record| held.add_fresh(record));
        let missing = self.plan.missing(job.subject, &job.questions, &held);
        let done: Vec<usize> =
            job.questions.iter().copied().filter(|question| !missing.contains(question)).collect();
        if !done.is_empty() {
            lock(&self.results).done_elsewhere += done.len();
            self.tally().done_elsewhere(&done);
        }
        Ok((missing, done))
    }

    /// Writes a record down. If that fails the run stops, and the record is kept in the summary.
    pub(crate) fn save(&self, record: &Record) {
        let appended = self.folder.journal().append(record);
        let mut results = lock(&self.results);
        *results.by_status.entry(record.status).or_default() += 1;
        if let Err(error) = appended {
            results.unsaved.push(record.clone());
            drop(results);
            self.stop(error);
        }
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    pub(crate) fn worker_lost(&self) {
        lock(&self.results).workers_lost += 1;
    }

    /// The pools of time, if the budget is pooled.
    pub(crate) fn pools(&self) -> Option<MutexGuard<'_, Pools>> {
        self.pools.as_ref().map(lock)
    }

    fn summary(self, elapsed: Duration) -> Summary {
        let Results { by_status, done_elsewhere, workers_lost, mut unsaved } = into_inner(self.results);
        // The disk may have got room meanwhile.
        while let Some(record) = unsaved.first() {
            if self.folder.journal().append(record).is_err() {
                break;
            }
            unsaved.remove(0);
        }
        let made: usize = by_status.values().sum::<usize>() - unsaved.len();
        let outstanding = self.plan.outstanding().saturating_sub(made + done_elsewhere);
        let end = match into_inner(self.failure) {
            Some(error) => End::Stopped(error),
            None if outstanding > 0 => End::Interrupted,
            None => End::Complete,
        };
        let journal = self.folder.journal();
        let (healed, damaged) = (journal.healed(), journal.damaged().len() as u64);
        Summary {
            end,
            by_status,
            done_elsewhere,
            outstanding,
            unsaved,
            workers_lost,
            healed,
            damaged,
            elapsed,
        }
    }
}

/// Seconds that each measure's pool has given already: those of the records that stand.
fn seconds_used(plan: &Plan, records: &[Record]) -> Vec<f64> {
    let mut used = vec![0.0; plan.questions.len()];
    let mut to_do = BTreeSet::new();
    for job in &plan.jobs {
        for &question in &job.questions {
            to_do.insert((plan.subjects[job.subject].network, plan.questions[question].spec.as_str()));
        }
    }
    for answer in plan.answers(records) {
        let spec = answer.spec();
        if to_do.contains(&(answer.network, spec.as_str())) {
            continue;
        }
        if let Some(question) = plan.questions.iter().position(|question| question.spec == spec) {
            used[question] += answer.seconds;
        }
    }
    used
}

/// A lock whose holder may have panicked: what it guards is whole between any two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Where slots report to.
pub(crate) type Events = Sender<Event>;
