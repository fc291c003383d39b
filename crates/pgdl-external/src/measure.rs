//! A program as a measure.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgdl_measure::rand::RngCore;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, Registry, RegistryError,
};
use tch::Device;

use crate::answer;
use crate::digest::version;
use crate::program::{Breakage, Program, Run, Start};
use crate::protocol::{Array, Description, Job, JobData, PROTOCOL, ParameterArray, ProgramNeed};
use crate::sandbox;
use crate::staging::{Staging, publish, write_networks};

/// How much of the time that is left is kept for ending a program and for saying so.
const RESERVE: Duration = Duration::from_millis(30);

/// Adds the measures of a program.
///
/// # Errors
/// An id is taken, or is no snake_case.
pub fn register(registry: &mut Registry, program: Program) -> Result<(), RegistryError> {
    let program = Arc::new(program);
    let staging = Arc::new(Staging::new(&program.staging));
    for description in &program.measures {
        // Registries hold what is said for the whole life of the program, and a program names few measures.
        let info: &'static MeasureInfo = Box::leak(Box::new(info(description, &program)));
        let (program, staging) = (Arc::clone(&program), Arc::clone(&staging));
        registry.add(info, move |_| {
            Ok(Box::new(ExternalMeasure {
                info,
                program: Arc::clone(&program),
                staging: Arc::clone(&staging),
            }))
        })?;
    }
    Ok(())
}

fn info(description: &Description, program: &Program) -> MeasureInfo {
    let kept = |text: &str, otherwise: &str| -> &'static str {
        let text = crate::words::tame(text, 2_000);
        String::leak(if text.is_empty() { otherwise.to_owned() } else { text })
    };
    let needs: Vec<Need> = description
        .needs
        .iter()
        .map(|need| match need {
            ProgramNeed::InitialWeights => Need::InitialWeights,
            ProgramNeed::Labels => Need::Labels,
        })
        .collect();
    MeasureInfo {
        id: String::leak(description.id.clone()),
        family: "external",
        version: version(&program.digest),
        title: kept(&description.title, ""),
        formula: kept(&description.formula, ""),
        shapes: kept(&description.shapes, "not said"),
        paper: kept(&description.paper, &format!("the program {}", program.name)),
        needs: Vec::leak(needs),
        cost: kept(&description.cost, "not said"),
        // A program does not say, and the contract tests do not ask.
        invariances: Invariances {
            layer_rescaling: Effect::Changes,
            batch_norm_scale: Effect::Changes,
            logit_scale: Effect::Changes,
        },
        behaviour: kept(&description.behaviour, "not said"),
        stochastic: description.stochastic,
        control: false,
        parameters: &[],
    }
}

struct ExternalMeasure {
    info: &'static MeasureInfo,
    program: Arc<Program>,
    staging: Arc<Staging>,
}

impl Measure for ExternalMeasure {
    fn info(&self) -> &MeasureInfo {
        self.info
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let started = Instant::now();
        if !self.program.unchanged() {
            return MeasureError::failed("the program changed since this run began");
        }
        let disk = |error: std::io::Error| {
            MeasureError::Failed(format!("the program's files cannot be written: {error}"))
        };
        let sample = self.staging.sample(probe)?;
        let folder = self.staging.job().map_err(disk)?;
        let initial = self.info.needs(Need::InitialWeights).then(|| probe.initial()).transpose()?;
        let (parameters, initial_parameters) = write_networks(&folder.network(), probe.network(), initial)?;
        probe.check_deadline()?;

        // The run's budget, or else the sandbox's own.
        let own = self.program.sandbox.as_ref().and_then(|policy| started.checked_add(policy.time()));
        let deadline = match probe.deadline() {
            Some(deadline) => Some(deadline.checked_sub(RESERVE).unwrap_or(deadline)),
            None => own,
        };
        let sandboxed = self.program.sandbox.is_some();
        let seen = |host: &Path, inside: &str| if sandboxed { inside.to_owned() } else { text(host) };
        let job_place = seen(&folder.network(), sandbox::JOB);
        let data_place = seen(&sample.folder, sandbox::DATA);
        let threads = u32::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let job = Job {
            protocol: PROTOCOL,
            measure: self.info.id.to_owned(),
            config: format!("{job_place}/config.json"),
            weights: format!("{job_place}/weights.hdf5"),
            initial_weights: initial.map(|_| format!("{job_place}/weights_init.hdf5")),
            parameters: placed(parameters, &job_place),
            initial_parameters: initial_parameters.map(|parameters| placed(parameters, &job_place)),
            data: JobData {
                inputs: place(sample.inputs, &data_place),
                labels: place(sample.labels, &data_place),
                classes: probe.classes(),
                train_size: probe.train_size() as u64,
            },
            device: match probe.device() {
                Device::Cuda(index) => format!("cuda:{index}"),
                _ => "cpu".to_owned(),
            },
            threads,
            seed: probe.generator("program").next_u32(),
            seconds: deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64()),
            batch_size: probe.batch_size().unsigned_abs(),
            scratch: seen(&folder.scratch(), sandbox::SCRATCH),
        };
        let written = serde_json::to_vec_pretty(&job).map_err(std::io::Error::from).map_err(disk)?;
        fs::write(folder.network().join("job.json"), written).map_err(disk)?;
        publish(&folder.network()).map_err(disk)?;

        let run = self.program.run(&Start {
            job: &folder,
            arguments: vec!["evaluate".into(), OsString::from(format!("{job_place}/job.json"))],
            data: Some(sample.folder.clone()),
            threads,
            deadline,
            gpu: probe.device().is_cuda(),
        });
        let printed = match run {
            Run::Printed(printed) => printed,
            Run::Broke(Breakage::Failed(reason)) if reason.starts_with(sandbox::NO_SANDBOX) => {
                return MeasureError::failed(reason);
            }
            Run::Broke(Breakage::Failed(reason)) => {
                return MeasureError::failed(format!("the program {reason}"));
            }
            Run::Broke(Breakage::Crashed(reason)) => {
                return Err(MeasureError::Crashed(format!("the program {reason}")));
            }
            Run::Broke(Breakage::TimedOut(reason)) => {
                return Err(MeasureError::Timeout(format!("the program {reason}")));
            }
        };
        let measured = answer::measured(&printed)?;
        Ok(measured.with_detail("program_digest", self.program.digest.as_str()))
    }
}

fn placed(parameters: Vec<ParameterArray>, folder: &str) -> Vec<ParameterArray> {
    let place =
        |parameter: ParameterArray| ParameterArray { array: place(parameter.array, folder), ..parameter };
    parameters.into_iter().map(place).collect()
}

fn place(array: Array, folder: &str) -> Array {
    Array { file: format!("{folder}/{}", array.file), ..array }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
