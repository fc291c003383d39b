//! `pgdl plugin check`: everything that is asked of a plugin, one line a check.
//!
//! What belongs to the plugin runs in processes of its own: a measure that panics, crashes or never ends costs a line.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pgdl_measure::Registry;
use pgdl_measure::contract::Promise;
use pgdl_report::{Cell, Column, Table, Tone};
use pgdl_zoo::Zoo;
use serde_json::Value;

use crate::arguments::{Format, PluginCheckArguments};
use crate::commands::plugin::contract::{BrokenPromise, COMMAND};
use crate::commands::plugin::host::Host;
use crate::commands::plugin::origin::Origin;
use crate::commands::plugin::plugin_crate::PluginCrate;
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Networks of the zoo that the smoke run takes, about.
const SMOKE_NETWORKS: usize = 2;

/// Checks a plugin and prints what was found.
pub fn run(arguments: &PluginCheckArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    let mut report = Report { lines: Vec::new(), live: arguments.output.format == Format::Table, terminal };
    match checked(arguments, registry, &mut report) {
        Ok(()) => {}
        // The check that ended it, and nothing after it.
        Err(Stopped::AtCheck) => {}
        Err(Stopped::By(failure)) => return Err(failure),
    }
    report.print(arguments.output.format)?;
    let failed = report.lines.iter().filter(|line| line.failed).count();
    if failed == 0 {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Plugin, format!("{failed} of {} checks failed", report.lines.len())))
}

enum Stopped {
    AtCheck,
    By(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Stopped::By(failure)
    }
}

fn checked(
    arguments: &PluginCheckArguments,
    registry: &Registry,
    report: &mut Report,
) -> Result<(), Stopped> {
    let origin = Origin::find()?;
    let plugin = report.must("crate", PluginCrate::in_folder(&arguments.folder, &origin))?;
    report.passed("crate", format!("{} depends on the pgdl-measure of this pgdl", plugin.name))?;

    let started = Instant::now();
    let host = Host::new(vec![plugin], &origin)?;
    report.must("builds", host.build(report.terminal))?;
    report.passed(
        "builds",
        format!("in {:.1} s, profile {}", started.elapsed().as_secs_f64(), origin.profile),
    )?;

    let ids = report.must("registers", measures_of(&host, registry))?;
    if ids.is_empty() {
        report.failed("registers", "`register` adds no measure".to_owned())?;
        return Err(Stopped::AtCheck);
    }
    report.passed("registers", format!("{}: snake_case, no id of a built-in measure", ids.join(", ")))?;

    contract(&host, &ids, arguments.time_limit, report)?;
    if !arguments.no_smoke_run {
        smoke_run(&host, &ids, arguments, report)?;
    }
    Ok(())
}

/// The measures that a host has beyond the built-in ones.
///
/// # Errors
/// `register` refuses.
pub fn measures_of(host: &Host, registry: &Registry) -> Result<Vec<String>, Failure> {
    let mut command = Command::new(host.program());
    let ended = Process::start(command.arg(COMMAND))?.wait(Duration::from_secs(60))?;
    let ids = match ended.status {
        Some(status) if status.success() => serde_json::from_str::<Vec<String>>(&ended.stdout).ok(),
        _ => None,
    };
    let Some(ids) = ids else {
        let said = |mark: &str| {
            ended.stderr.lines().find_map(|line| line.strip_prefix(mark)).map(|text| text.trim().to_owned())
        };
        let message = said("error: ").unwrap_or_else(|| format!("`register` {}", ended.in_words()));
        return Err(Failure { exit: Exit::Plugin, message, hint: said("hint: ") });
    };
    let built_in = |id: &String| registry.infos().any(|info| info.id == id);
    Ok(ids.into_iter().filter(|id| !built_in(id)).collect())
}

/// The contract, one process per measure, one line per promise.
fn contract(host: &Host, ids: &[String], limit: Duration, report: &mut Report) -> Result<(), Failure> {
    let mut broken: Vec<BrokenPromise> = Vec::new();
    let (mut died, mut survivors) = (Vec::new(), Vec::new());
    for id in ids {
        let mut command = Command::new(host.program());
        let ended = Process::start(command.args([COMMAND, id]))?.wait(limit)?;
        let answer = ended.status.filter(ExitStatus::success);
        match answer.and_then(|_| serde_json::from_str::<Vec<BrokenPromise>>(&ended.stdout).ok()) {
            Some(found) => {
                broken.extend(found);
                survivors.push(id.as_str());
            }
            None => died.push(format!("{id} {} on a tiny network", ended.in_words())),
        }
    }
    if died.is_empty() {
        report.passed("runs", "to its end on every tiny network".to_owned())?;
    }
    for what in &died {
        report.failed("runs", what.clone())?;
    }
    for promise in Promise::ALL {
        let name = promise.describe();
        let mut kept = true;
        for one in broken.iter().filter(|one| one.promise == name) {
            report.failed(name, format!("{}: {}", one.measure, one.what))?;
            kept = false;
        }
        if kept && died.is_empty() {
            report.passed(name, kept_promise(promise).to_owned())?;
        } else if kept && !survivors.is_empty() {
            report.passed(name, format!("{}: {}", survivors.join(", "), kept_promise(promise)))?;
        }
    }
    Ok(())
}

/// What holds where a promise is kept.
fn kept_promise(promise: Promise) -> &'static str {
    match promise {
        Promise::Documentation => "every heading is filled in",
        Promise::Values => "a value or a reason on every tiny network, never NaN or infinite",
        Promise::Determinism => "the same bits again, whatever ran before",
        Promise::BatchIndependence => "the same value at once, one by one and by sevens",
        Promise::Needs => "depends on seed, labels, initial weights, test inputs as declared",
        Promise::Cost => "passes are counted",
        Promise::Deadline => "ends when its time is up",
        Promise::Invariances => "answers to rescaling as declared",
    }
}

/// Evaluates the measures on a few networks of a real zoo, within the competition's budget.
fn smoke_run(
    host: &Host,
    ids: &[String],
    arguments: &PluginCheckArguments,
    report: &mut Report,
) -> Result<(), Stopped> {
    let zoo = match Zoo::find(&arguments.zoo) {
        Ok(zoo) => zoo,
        Err(error) => {
            let failure = Failure::from(error);
            report.failed("smoke run", failure.message)?;
            return Ok(());
        }
    };
    let parts = (zoo.networks().len() / SMOKE_NETWORKS).max(1);
    let limit = arguments.time_limit;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(Exit::Unexpected, format!("no temporary folder: {error}")))?;
    let mut command = Command::new(host.program());
    command
        .args(["eval", "--zoo"])
        .arg(zoo.root())
        .args(["--measure", &ids.join(","), "--shard", &format!("1/{parts}"), "--format", "json", "--quiet"])
        .args(["--budget", &format!("{}s", limit.as_secs_f64()), "--budget-per", "measure", "--run"])
        .arg(folder.path());
    let networks = zoo.networks().len().div_ceil(parts);
    // The run keeps the clock itself; this is for a run that does not.
    let patience = (limit + Duration::from_secs(30))
        * u32::try_from(networks * ids.len()).unwrap_or(u32::MAX)
        + Duration::from_secs(600);
    let ended = Process::start(&mut command)?.wait(patience)?;
    let rows = serde_json::from_str::<Vec<Value>>(&ended.stdout).ok();
    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else {
        let said = ended.stderr.lines().find_map(|line| line.strip_prefix("error: ")).map(str::to_owned);
        report.failed("smoke run", said.unwrap_or_else(|| format!("the run {}", ended.in_words())))?;
        return Ok(());
    };
    let mut slowest: f64 = 0.0;
    let mut late = false;
    for id in ids {
        let of = |row: &&Value| row["measure"] == id.as_str();
        let status = |row: &Value| row["status"].as_str().unwrap_or("?").to_owned();
        let bad = rows
            .iter()
            .filter(of)
            .find(|row| matches!(status(row).as_str(), "failed" | "crashed" | "timeout"));
        let (all, ok) = (
            rows.iter().filter(of).count(),
            rows.iter().filter(of).filter(|row| row["status"] == "ok").count(),
        );
        slowest = rows.iter().filter(of).filter_map(|row| row["seconds"].as_f64()).fold(slowest, f64::max);
        match bad {
            Some(row) => {
                late |= status(row) == "timeout";
                let message = row["message"].as_str().unwrap_or("no reason given");
                let network = &row["network"];
                let network = network.as_str().map_or_else(|| network.to_string(), str::to_owned);
                report.failed(
                    "smoke run",
                    format!("{id} on network {network} of {}: {}: {message}", zoo.name(), status(row)),
                )?;
            }
            None if ok == 0 => {
                let reason =
                    rows.iter().find(of).and_then(|row| row["message"].as_str()).unwrap_or("no reason given");
                report.failed(
                    "smoke run",
                    format!("{id} has a value on none of {all} networks of {}: {reason}", zoo.name()),
                )?;
            }
            None => report.passed(
                "smoke run",
                format!("{id}: {ok} of {all} networks of {} have a value", zoo.name()),
            )?,
        }
    }
    let budget = format!("{slowest:.2} s for the slowest network, of {} s", limit.as_secs_f64());
    if late {
        report.failed("budget", budget)?
    } else {
        report.passed("budget", budget)?
    }
    Ok(())
}

/// A process that is watched: what it writes is taken, and when its time is up it is ended.
struct Process {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// How a process ended.
struct Ended {
    /// `None` where its time was up.
    status: Option<ExitStatus>,
    limit: Duration,
    stdout: String,
    stderr: String,
}

impl Process {
    fn start(command: &mut Command) -> Result<Process, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Plugin, format!("cannot run {program}: {error}"))
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed(&"it has no standard streams"));
        };
        Ok(Process {
            child,
            stdout: thread::spawn(|| listen(stdout)),
            stderr: thread::spawn(|| listen(stderr)),
        })
    }

    fn wait(mut self, limit: Duration) -> Result<Ended, Failure> {
        const GLANCE: Duration = Duration::from_millis(20);
        let until = Instant::now() + limit;
        let lost = |error: std::io::Error| Failure::new(Exit::Plugin, format!("a check was lost: {error}"));
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(lost)? {
                break Some(status);
            }
            if Instant::now() >= until {
                self.child.kill().and_then(|()| self.child.wait()).map_err(lost)?;
                break None;
            }
            thread::sleep(GLANCE);
        };
        let text = |listener: JoinHandle<String>| listener.join().unwrap_or_default();
        Ok(Ended { status, limit, stdout: text(self.stdout), stderr: text(self.stderr) })
    }
}

fn listen(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is not there.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ended {
    /// Completes "the process …".
    fn in_words(&self) -> String {
        let Some(status) = self.status else {
            return format!("did not end within {} s and was ended", self.limit.as_secs_f64());
        };
        let mut lines = self.stderr.lines();
        if let Some(panic) = lines.find_map(|line| line.split_once(" panicked at ").map(|(_, place)| place)) {
            let why = lines.next().unwrap_or_default();
            return format!("panicked at {} {why}", panic.trim_end());
        }
        let last =
            self.stderr.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("hint: "));
        let last = last.map(|line| format!(": {}", line.trim_start_matches("error: "))).unwrap_or_default();
        format!("ended with {status}{last}")
    }
}

/// The lines of the report, shown as they come or all at the end.
struct Report<'a> {
    lines: Vec<Line>,
    live: bool,
    terminal: &'a Terminal,
}

struct Line {
    check: &'static str,
    failed: bool,
    finding: String,
}

impl Report<'_> {
    fn add(&mut self, check: &'static str, failed: bool, finding: String) -> Result<(), Failure> {
        if self.live {
            let mark = if failed { "FAIL" } else { "ok" };
            self.terminal.data(&format!("{mark:<4}  {check:<18}  {finding}\n"))?;
        }
        self.lines.push(Line { check, failed, finding });
        Ok(())
    }

    fn passed(&mut self, check: &'static str, finding: String) -> Result<(), Failure> {
        self.add(check, false, finding)
    }

    fn failed(&mut self, check: &'static str, finding: String) -> Result<(), Failure> {
        self.add(check, true, finding)
    }

    /// The result of a step that all later ones rest on.
    fn must<T>(&mut self, check: &'static str, result: Result<T, Failure>) -> Result<T, Stopped> {
        match result {
            Ok(value) => Ok(value),
            Err(Failure { message, hint, .. }) => {
                self.failed(check, message)?;
                if let Some(hint) = hint {
                    self.terminal.hint(hint);
                }
                Err(Stopped::AtCheck)
            }
        }
    }

    fn print(&self, format: Format) -> Result<(), Failure> {
        if self.live {
            return Ok(());
        }
        let columns = ["check", "result", "finding"].map(|name| Column::new(name, name));
        let mut table = Table::new(columns.into());
        for Line { check, failed, finding } in &self.lines {
            let (result, tone) = if *failed { ("failed", Tone::Warning) } else { ("ok", Tone::Plain) };
            table.push(vec![Cell::text(*check), Cell::text(result).tone(tone), Cell::text(finding)]);
        }
        print_table(&table, format, self.terminal)
    }
}
