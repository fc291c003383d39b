//! The other side of the protocol: a program that holds measures answers as any program that is a measure does.
//!
//! So a plugin, compiled into a host, can run in a sandbox like any stranger's program: it gets one job, and sees
//! nothing but that.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use pgdl_measure::{MeasureError, MeasureInfo, Measured, Need, Probe, ProbeInput, Registry};
use pgdl_network::{Network, device};
use pgdl_zoo::Dataset;
use pgdl_zoo::data::npy::read_npy;
use pgdl_zoo::keras::read_network;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdout, stderr, stdout};
use serde::Serialize;
use tch::Kind;

use crate::protocol::{Description, Introduction, Job, PROTOCOL, ProgramNeed, Reply, ReplyStatus};

/// Answers `describe` (no job) or `evaluate JOB` with the measures of a registry.
///
/// What a measure prints goes to standard error; a panic is one line there, and an exit code other than 0.
pub fn serve(registry: &Registry, job: Option<&Path>) -> ExitCode {
    std::panic::set_hook(Box::new(|info| eprintln!("{}", info.to_string().replace('\n', " "))));
    let answered = take_answers().map_err(|error| error.to_string()).and_then(|answers| match job {
        None => print(answers, &describe(registry)),
        Some(job) => print(answers, &evaluate(registry, job)?),
    });
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Standard output, out of reach of the measures.
fn take_answers() -> io::Result<File> {
    // Above the standard streams.
    const FIRST: i32 = 3;
    let answers = fcntl_dupfd_cloexec(stdout(), FIRST)?;
    dup2_stdout(stderr().as_fd())?;
    Ok(answers.into())
}

fn print(mut answers: File, answer: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string(answer).map_err(|error| error.to_string())?;
    writeln!(answers, "{text}").map_err(|error| error.to_string())
}

fn describe(registry: &Registry) -> Introduction {
    let description = |info: &'static MeasureInfo| Description {
        id: info.id.to_owned(),
        title: info.title.to_owned(),
        formula: info.formula.to_owned(),
        needs: info.needs.iter().filter_map(|&need| given(need)).collect(),
        stochastic: info.stochastic,
        shapes: info.shapes.to_owned(),
        paper: info.paper.to_owned(),
        cost: info.cost.to_owned(),
        behaviour: info.behaviour.to_owned(),
    };
    Introduction { protocol: PROTOCOL, measures: registry.infos().map(description).collect() }
}

/// What a job holds of a need. Test data and true gaps it does not: the probe says that they are unavailable.
fn given(need: Need) -> Option<ProgramNeed> {
    match need {
        Need::InitialWeights => Some(ProgramNeed::InitialWeights),
        Need::Labels => Some(ProgramNeed::Labels),
        _ => None,
    }
}

fn evaluate(registry: &Registry, job: &Path) -> Result<Reply, String> {
    let about = |reason: String| format!("{}: {reason}", job.display());
    let bytes = fs::read(job).map_err(|error| about(error.to_string()))?;
    let job: Job = serde_json::from_slice(&bytes).map_err(|error| about(error.to_string()))?;
    let resolved = registry.resolve(&job.measure).map_err(|error| error.to_string())?;
    tch::set_num_threads(i32::try_from(job.threads).unwrap_or(i32::MAX));
    let outcome = match probe(&job).map_err(|error| error.to_string()) {
        Ok(probe) => probe.evaluate(&resolved).outcome,
        Err(message) => Err(MeasureError::Failed(message)),
    };
    Ok(reply(outcome))
}

fn probe(job: &Job) -> Result<Probe, MeasureError> {
    let failed = |error: &dyn std::error::Error| MeasureError::Failed(error.to_string());
    device::load_cuda();
    let device = device::choose(&job.device).map_err(|error| failed(&error))?.device;
    let network = |weights: &str| -> Result<Network, MeasureError> {
        let network = read_network(Path::new(&job.config), Some(Path::new(weights)));
        Ok(network.map_err(|error| failed(&error))?.to_device(device)?)
    };
    let array = |file: &str| read_npy(Path::new(file)).map_err(|error| failed(&error));
    Probe::new(ProbeInput {
        network: network(&job.weights)?,
        // A number would tell the place in the grid.
        network_id: 0,
        initial: job.initial_weights.as_deref().map(network).transpose()?,
        train: Dataset {
            inputs: array(&job.data.inputs.file)?,
            labels: array(&job.data.labels.file)?.f_to_kind(Kind::Int64)?,
        },
        train_size: usize::try_from(job.data.train_size).unwrap_or(usize::MAX),
        test_inputs: None,
        truth: None,
        seed: job.seed.into(),
        // Whoever asks keeps the clock, and ends this process when time is up.
        deadline: None,
        batch_size: usize::try_from(job.batch_size).unwrap_or(usize::MAX),
    })
}

fn reply(outcome: Result<Measured, MeasureError>) -> Reply {
    let without = |status, reason| Reply { status, reason: Some(reason), ..Reply::default() };
    match outcome {
        Ok(Measured { value, standard_error, layers, details }) => Reply {
            status: ReplyStatus::Ok,
            value: Some(value),
            standard_error,
            layers,
            details,
            reason: None,
        },
        Err(MeasureError::Undefined(reason)) => without(ReplyStatus::Undefined, reason),
        Err(MeasureError::Unavailable(reason)) => without(ReplyStatus::Unavailable, reason),
        Err(MeasureError::Failed(reason) | MeasureError::Timeout(reason) | MeasureError::Crashed(reason)) => {
            without(ReplyStatus::Failed, reason)
        }
    }
}
