//! One place for a worker: it takes networks from the queue, has its worker evaluate the measures on each, keeps the
//! clock, and writes down what comes of it.

use std::collections::{BTreeSet, VecDeque};
use std::thread;
use std::time::{Duration, Instant};

use pgdl_measure::Need;

use crate::budget::BudgetUnit;
use crate::error::{Result, RunError};
use crate::execute::{Events, Next, Shared};
use crate::plan::Job;
use crate::process::{Death, Reply, WorkerProcess};
use crate::progress::Event;
use crate::protocol::{Answer, Outcome, Preparation, Ready, Refused, Request};
use crate::record::{CANNOT_LOAD, Record, SCHEMA, Status};
use crate::utc;

/// How often a worker that gets killed while it prepares, or between two requests, is started again.
const SECOND_CHANCES: usize = 2;

pub(crate) struct Slot<'a> {
    shared: &'a Shared<'a>,
    index: usize,
    events: Events,
    worker: Option<WorkerProcess>,
    /// The device that this slot's workers are to use.
    asked_device: String,
    /// The device that the last worker uses; before there was one, as it was asked for.
    device: String,
}

/// A network, while its measures are evaluated.
struct Work {
    subject: usize,
    network: u64,
    /// Measures still to be evaluated.
    pending: VecDeque<usize>,
    /// When its weights were first asked for: from then on its own budget runs.
    begun: Option<Instant>,
    /// Measures during which somebody killed the worker: they are tried once more.
    tried: BTreeSet<usize>,
    /// Loadings and idle moments in which the worker was lost.
    losses: usize,
}

/// How the work on a network goes on.
enum Step {
    /// With the next measure.
    Next,
    /// With a new worker.
    Again,
    /// Not at all: all is recorded, or the run ends.
    Over,
}

impl<'a> Slot<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, index: usize, events: Events) -> Slot<'a> {
        let devices = &shared.options.devices;
        let asked_device =
            devices.get(index % devices.len().max(1)).map_or("auto", String::as_str).to_owned();
        Slot { shared, index, events, worker: None, device: asked_device.clone(), asked_device }
    }

    /// Works until nothing is left or the run ends.
    pub(crate) fn work(mut self) {
        if let Err(error) = self.work_through() {
            self.shared.stop(error);
        }
        if let Some(worker) = self.worker.take() {
            worker.dismiss();
        }
    }

    fn work_through(&mut self) -> Result<()> {
        let mut waiting = false;
        while !self.shared.stopping() {
            match self.shared.next()? {
                Next::Nothing => return Ok(()),
                Next::Wait => {
                    if !waiting {
                        self.report(Event::WaitingForOthers { slot: self.index });
                    }
                    waiting = true;
                    thread::sleep(Duration::from_millis(100));
                }
                Next::Job(job, claim) => {
                    waiting = false;
                    self.take_up(&job)?;
                    drop(claim);
                }
            }
        }
        Ok(())
    }

    fn take_up(&mut self, job: &Job) -> Result<()> {
        let (missing, done) = self.shared.refresh(job)?;
        let network = self.shared.plan.subjects[job.subject].network;
        if !missing.is_empty() {
            self.report(Event::NetworkStarted { slot: self.index, network, measures: missing.len() });
            let mut work = Work {
                subject: job.subject,
                network,
                pending: missing.into(),
                begun: None,
                tried: BTreeSet::new(),
                losses: 0,
            };
            while !work.pending.is_empty() && !self.shared.stopping() {
                self.work_on(&mut work)?;
            }
            self.shared.folder.journal().sync()?;
        }
        if !self.shared.stopping() {
            self.shared.tally().network_done();
        }
        if !done.is_empty() {
            let standing = self.shared.tally().standing();
            self.report(Event::DoneElsewhere { network, evaluations: done.len(), standing });
        }
        Ok(())
    }

    /// Loads the network and evaluates measures until all are done, or until the worker is gone.
    fn work_on(&mut self, work: &mut Work) -> Result<()> {
        if !self.ready()? {
            return Ok(());
        }
        match self.load(work) {
            Step::Next => {}
            Step::Again | Step::Over => return Ok(()),
        }
        while let Some(&question) = work.pending.front() {
            match self.evaluate(work, question) {
                Step::Next => {}
                Step::Again | Step::Over => return Ok(()),
            }
        }
        Ok(())
    }

    /// Makes sure that there is a worker with an open zoo. `false` if the run ends instead.
    fn ready(&mut self) -> Result<bool> {
        if self.worker.as_ref().is_some_and(WorkerProcess::is_alive) {
            return Ok(true);
        }
        if self.worker.take().is_some() {
            self.lost("died between two requests");
        }
        let mut chances = SECOND_CHANCES;
        loop {
            match self.prepare()? {
                Reply::Answer(Answer::Ready(Ready { device, reason, warning, .. })) => {
                    self.device.clone_from(&device);
                    self.report(Event::WorkerReady { slot: self.index, device, reason, warning });
                    return Ok(true);
                }
                Reply::Answer(Answer::Refused(refusal)) => {
                    let (message, hint) = (refusal.message, refusal.hint);
                    return Err(match refusal.what {
                        Refused::Device => {
                            RunError::Device { device: self.asked_device.clone(), message, hint }
                        }
                        Refused::Zoo => RunError::Data { message, hint },
                        Refused::Other => RunError::Worker { message, hint },
                    });
                }
                Reply::Answer(_) => return Err(worker_error("the worker answered out of turn")),
                // There is no deadline on this request.
                Reply::Interrupted | Reply::Expired => return Ok(false),
                Reply::Died(death) if death.by_another_hand() && chances > 0 => {
                    chances -= 1;
                    self.lost(&death.to_string());
                }
                Reply::Died(death) => {
                    return Err(worker_error(&format!("while it opened the zoo, the worker {death}")));
                }
            }
        }
    }

    fn prepare(&mut self) -> Result<Reply> {
        let Shared { plan, options, .. } = self.shared;
        let (events, slot) = (self.events.clone(), self.index);
        let talk = move |line| {
            // Nobody listens any more at the end of a run.
            let _ = events.send(Event::Talk { slot, line });
        };
        let mut worker = WorkerProcess::start(&options.worker, self.shared.threads, options.grace, talk)
            .map_err(|source| RunError::Spawn { program: options.worker.program.clone(), source })?;
        let needs = |need| plan.questions.iter().any(|question| question.needs.contains(&need));
        let preparation = Preparation {
            zoo: plan.zoo.root.clone(),
            device: self.asked_device.clone(),
            dtype: plan.options.dtype,
            sample: plan.sample,
            seed: plan.options.seed,
            batch_size: options.batch_size,
            threads: self.shared.threads as u64,
            memory_limit: options.memory_limit,
            initial_weights: needs(Need::InitialWeights),
            test_inputs: needs(Need::TestInputs),
            true_gaps: needs(Need::TrueGaps),
        };
        let reply = worker.ask(&Request::Prepare(preparation), None, &|| self.shared.stopping());
        if matches!(reply, Reply::Answer(_)) {
            self.worker = Some(worker);
        }
        Ok(reply)
    }

    fn load(&mut self, work: &mut Work) -> Step {
        let started = Instant::now();
        work.begun.get_or_insert(started);
        let deadline = self.network_deadline(work).map(with_tolerance);
        match self.ask(&Request::Load { network: work.network }, deadline) {
            Reply::Answer(Answer::Loaded) => {
                self.shared.tally().loaded(started.elapsed().as_secs_f64());
                Step::Next
            }
            Reply::Answer(Answer::NotLoaded { message }) => {
                self.record_pending(work, Status::Failed, &format!("{CANNOT_LOAD}: {message}"))
            }
            Reply::Answer(_) => self.out_of_turn(work),
            Reply::Expired => {
                self.lost("took too long to load a network, and was ended");
                let message = format!("not begun: loading the network exceeded the {}", self.budget());
                self.record_pending(work, Status::Timeout, &message)
            }
            Reply::Interrupted => Step::Over,
            Reply::Died(death) => {
                self.lost(&death.to_string());
                work.losses += 1;
                if death.by_another_hand() && work.losses <= SECOND_CHANCES {
                    return Step::Again;
                }
                let message = format!("while it loaded the network, the worker {death}");
                self.record_pending(work, Status::Crashed, &message)
            }
        }
    }

    fn evaluate(&mut self, work: &mut Work, question: usize) -> Step {
        if self.shared.stopping() {
            return Step::Over;
        }
        let limit = match self.limit(work, question) {
            Limit::None => None,
            Limit::Some(limit) => Some(limit),
            Limit::UsedUp => {
                let message = format!("not begun: the {} was used up", self.budget());
                work.pending.pop_front();
                self.record(work, question, Outcome::without_value(Status::Timeout, message), 0.0);
                return Step::Next;
            }
        };
        // A worker that dies while it has nothing to do is no fault of the measure that comes next.
        if !self.worker.as_ref().is_some_and(WorkerProcess::is_alive) && work.losses < SECOND_CHANCES {
            work.losses += 1;
            return Step::Again;
        }
        let spec = self.shared.plan.questions[question].spec.clone();
        self.report(Event::MeasureStarted { slot: self.index, network: work.network, spec: spec.clone() });
        let started = Instant::now();
        let deadline = limit.and_then(|limit| started.checked_add(limit)).map(with_tolerance);
        let request = Request::Evaluate { spec, limit: limit.map(|limit| limit.as_secs_f64()) };
        let reply = self.ask(&request, deadline);
        let elapsed = started.elapsed();

        let exceeded = || format!("exceeded the {}", self.budget());
        let (outcome, step) = match reply {
            Reply::Answer(Answer::Evaluated(outcome)) => {
                let late = limit.is_some_and(|limit| elapsed > limit) && outcome.status.is_ok();
                let gave_up = limit.is_some() && outcome.status == Status::Timeout;
                let outcome = if late || gave_up {
                    let Outcome { passes, seconds, peak_memory_bytes, .. } = outcome;
                    Outcome {
                        passes,
                        seconds,
                        peak_memory_bytes,
                        ..Outcome::without_value(Status::Timeout, exceeded())
                    }
                } else {
                    outcome
                };
                (outcome, Step::Next)
            }
            Reply::Answer(_) => return self.out_of_turn(work),
            Reply::Interrupted => return Step::Over,
            Reply::Expired => {
                let outcome = Outcome::without_value(Status::Timeout, exceeded());
                self.lost("exceeded the time budget, and was ended");
                (Outcome { seconds: elapsed.as_secs_f64(), ..outcome }, Step::Again)
            }
            Reply::Died(death) => {
                self.lost(&death.to_string());
                if death.by_another_hand() && work.tried.insert(question) {
                    return Step::Again;
                }
                (Outcome { seconds: elapsed.as_secs_f64(), ..crashed(&death) }, Step::Again)
            }
        };
        work.pending.pop_front();
        self.record(work, question, outcome, elapsed.as_secs_f64());
        step
    }

    /// How long a measure may take.
    fn limit(&self, work: &Work, question: usize) -> Limit {
        let Some(budget) = self.shared.options.budget else { return Limit::None };
        let left = match budget.unit {
            BudgetUnit::Measure => budget.limit,
            BudgetUnit::Network => match self.network_deadline(work) {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                // So far off that the clock cannot say it.
                None => return Limit::None,
            },
            BudgetUnit::Pooled => {
                self.shared.pools().and_then(|pools| pools.next_limit(question)).unwrap_or_default()
            }
        };
        if left.is_zero() { Limit::UsedUp } else { Limit::Some(left) }
    }

    /// When the network's own budget ends, if it has one.
    fn network_deadline(&self, work: &Work) -> Option<Instant> {
        let budget = self.shared.options.budget.filter(|budget| budget.unit == BudgetUnit::Network)?;
        work.begun?.checked_add(budget.limit)
    }

    /// The budget in words.
    fn budget(&self) -> String {
        let networks = self.shared.plan.subjects.len();
        self.shared.options.budget.map_or_else(|| "budget".to_owned(), |budget| budget.describe(networks))
    }

    fn ask(&mut self, request: &Request, deadline: Option<Instant>) -> Reply {
        let Some(mut worker) = self.worker.take() else {
            return Reply::Died(Death { status: None, last_words: None, gibberish: None });
        };
        let reply = worker.ask(request, deadline, &|| self.shared.stopping());
        if matches!(reply, Reply::Answer(_)) {
            self.worker = Some(worker);
        }
        reply
    }

    fn out_of_turn(&mut self, work: &mut Work) -> Step {
        self.worker = None;
        self.lost("answered out of turn, and was ended");
        self.record_pending(work, Status::Failed, "the worker answered out of turn")
    }

    fn record_pending(&mut self, work: &mut Work, status: Status, message: &str) -> Step {
        while let Some(question) = work.pending.pop_front() {
            self.record(work, question, Outcome::without_value(status, message), 0.0);
        }
        Step::Over
    }

    /// Writes down what came of a measure. `elapsed` are the seconds it took here, in which shared quantities that
    /// were there before do not count again.
    fn record(&self, work: &Work, question: usize, outcome: Outcome, elapsed: f64) {
        if let Some(mut pools) = self.shared.pools() {
            pools.charge(question, outcome.seconds);
        }
        let record = self.make_record(work.subject, question, outcome);
        self.shared.save(&record);
        let standing = {
            let mut tally = self.shared.tally();
            tally.evaluated(question, record.status.is_ok(), elapsed);
            tally.standing()
        };
        self.report(Event::Recorded { slot: self.index, record: Box::new(record), standing });
    }

    fn make_record(&self, subject: usize, question: usize, outcome: Outcome) -> Record {
        let Shared { plan, options, .. } = self.shared;
        let key = plan.key(subject, question);
        Record {
            schema: SCHEMA,
            zoo: plan.zoo.name.clone(),
            zoo_digest: plan.zoo.digest.clone(),
            network: key.network,
            measure: key.measure,
            version: key.version,
            parameters: key.parameters,
            seed: key.seed,
            device: self.device.clone(),
            dtype: key.dtype,
            sample: key.sample,
            batch_size: options.batch_size,
            threads: self.shared.threads as u64,
            weights_digest: key.weights_digest,
            data_digest: key.data_digest,
            pgdl_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch_version: self.shared.libtorch_version.clone(),
            status: outcome.status,
            value: outcome.value,
            standard_error: outcome.standard_error,
            message: outcome.message,
            layers: outcome.layers,
            details: outcome.details,
            passes: outcome.passes,
            seconds: outcome.seconds,
            peak_memory_bytes: outcome.peak_memory_bytes,
            utc: utc::now(),
        }
    }

    fn lost(&self, reason: &str) {
        self.shared.worker_lost();
        self.report(Event::WorkerLost { slot: self.index, reason: reason.to_owned() });
    }

    fn report(&self, event: Event) {
        // Only a watcher that panicked has stopped listening.
        let _ = self.events.send(event);
    }
}

enum Limit {
    None,
    Some(Duration),
    UsedUp,
}

fn worker_error(message: &str) -> RunError {
    RunError::Worker { message: message.to_owned(), hint: None }
}

fn crashed(death: &Death) -> Outcome {
    Outcome::without_value(Status::Crashed, format!("the worker {death}"))
}

/// A measure that looks at its deadline ends by itself, a moment after it. That is better than being ended.
fn with_tolerance(deadline: Instant) -> Instant {
    const TOLERANCE: Duration = Duration::from_millis(300);
    deadline.checked_add(TOLERANCE).unwrap_or(deadline)
}
