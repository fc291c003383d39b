//! The program under test: one that makes a plan and carries it out, as the command line does.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use pgdl_run::{
    Budget, End, Event, ExecuteOptions, Interrupt, Plan, PlanOptions, Record, Result, Reuse, RunFolder,
    Shard, Summary, execute,
};
use pgdl_zoo::Zoo;
use serde::{Deserialize, Serialize};

use crate::measures::registry;

/// The first argument of a copy of this program that carries out a run.
pub const PARENT_ARGUMENT: &str = "__parent";

/// What the program shall do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    pub zoo: PathBuf,
    pub run: PathBuf,
    pub measures: String,
    pub jobs: usize,
    pub threads: usize,
    pub retry_failed: bool,
    pub force: bool,
    pub shard: Option<String>,
    pub memory_limit: Option<u64>,
    pub seed: u64,
    pub sample: Option<u64>,
    #[serde(skip)]
    pub budget: Option<Budget>,
}

impl Orders {
    pub fn new(zoo: &std::path::Path, run: &std::path::Path, measures: &str) -> Orders {
        Orders {
            zoo: zoo.to_owned(),
            run: run.to_owned(),
            measures: measures.to_owned(),
            jobs: 1,
            threads: 1,
            retry_failed: false,
            force: false,
            shard: None,
            memory_limit: None,
            seed: 7,
            sample: Some(40),
            budget: None,
        }
    }

    pub fn plan(&self) -> Result<Plan> {
        let contents = RunFolder::look(&self.run)?;
        let measures = registry().resolve_list(&self.measures)?;
        let reuse = match (self.force, self.retry_failed) {
            (true, _) => Reuse::Force,
            (_, true) => Reuse::RetryFailed,
            _ => Reuse::OnlyMissing,
        };
        let shard = self.shard.as_deref().map(str::parse::<Shard>).transpose()?;
        let options =
            PlanOptions { seed: self.seed, sample: self.sample, reuse, shard, ..PlanOptions::default() };
        Plan::new(&Zoo::open(&self.zoo)?, &measures, &contents.records, options)
    }

    pub fn options(&self) -> ExecuteOptions {
        ExecuteOptions {
            jobs: self.jobs,
            threads: Some(self.threads),
            devices: vec!["cpu".into()],
            batch_size: 16,
            budget: self.budget,
            grace: Duration::from_millis(300),
            memory_limit: self.memory_limit,
            ..ExecuteOptions::default()
        }
    }

    pub fn execute_watched(&self, interrupt: &Interrupt, mut watch: impl FnMut(&Event)) -> Result<Summary> {
        let plan = self.plan()?;
        let folder = RunFolder::open(&self.run)?;
        execute(&folder, &plan, &self.options(), interrupt, &mut watch)
    }

    /// Carries out the orders in this process.
    pub fn execute(&self) -> (Summary, Vec<Record>) {
        let summary = self.execute_watched(&Interrupt::new(), |_| {}).unwrap();
        (summary, self.answers())
    }

    /// The valid records that the run folder holds now, in the plan's order.
    pub fn answers(&self) -> Vec<Record> {
        let records = RunFolder::look(&self.run).unwrap().records;
        self.plan().unwrap().answers(&records).into_iter().cloned().collect()
    }
}

/// Starts a copy of this program that carries out orders.
pub fn parent_command(orders: &Orders) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a file"));
    let orders = serde_json::to_string(orders).expect("orders are plain data");
    command.args([PARENT_ARGUMENT, &orders]).stdin(Stdio::null());
    command
}

/// The copy of this program that carries out a run: 0 complete, 5 interrupted, 1 otherwise.
pub fn parent_main(orders: &str) -> ExitCode {
    let orders: Orders = serde_json::from_str(orders).expect("the test wrote the orders");
    let interrupt = Interrupt::on_signals(5).expect("signals can be handled");
    match orders.execute_watched(&interrupt, |_| {}) {
        Ok(Summary { end: End::Complete, .. }) => ExitCode::SUCCESS,
        Ok(Summary { end: End::Interrupted, .. }) => ExitCode::from(5),
        Ok(Summary { end: End::Stopped(error), .. }) | Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
