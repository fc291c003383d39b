//! The worker: the same program in another process, which evaluates measures on one network after the other.

use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pgdl_measure::{Evaluation, MeasureError, Measured, Probe, ProbeInput, Registry, TrueNetwork, Truth};
use pgdl_network::device;
use pgdl_zoo::{Dataset, Gap, Zoo, ZooError};
use tch::{Device, Tensor};

use crate::libtorch::libtorch_version;
use crate::memory;
use crate::panics;
use crate::protocol::{Answer, Outcome, Preparation, Ready, Refusal, Refused, Request};
use crate::record::Status;
use crate::stdio::{Line, take_line};

/// What a program does when its first argument is [`crate::WORKER_ARGUMENT`]: it serves its parent until that closes
/// the line.
pub fn worker_main(registry: &Registry) -> ExitCode {
    match take_line().and_then(|line| serve(registry, line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(registry: &Registry, line: Line) -> io::Result<()> {
    panics::note_places();
    let Line { requests, mut answers } = line;
    let mut bench = None;
    for request in BufReader::new(requests).lines() {
        let request = serde_json::from_str(&request?)?;
        let mut answer = serde_json::to_string(&answer(registry, &mut bench, request))?;
        answer.push('\n');
        answers.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn answer(registry: &Registry, bench: &mut Option<Bench>, request: Request) -> Answer {
    match (request, bench) {
        (Request::Prepare(preparation), bench) => match panics::caught(|| Bench::prepare(preparation)) {
            Ok(Ok((ready_bench, ready))) => {
                *bench = Some(ready_bench);
                Answer::Ready(ready)
            }
            Ok(Err(refusal)) => Answer::Refused(refusal),
            Err(message) => Answer::Refused(Refusal { what: Refused::Other, message, hint: None }),
        },
        (Request::Load { network }, Some(bench)) => {
            match panics::caught(|| bench.load(network)).unwrap_or_else(Err) {
                Ok(()) => Answer::Loaded,
                Err(message) => Answer::NotLoaded { message },
            }
        }
        (Request::Load { .. }, None) => Answer::NotLoaded { message: "the zoo is not open yet".into() },
        (Request::Evaluate { spec, limit }, bench) => {
            let probe = bench.as_ref().and_then(|bench| bench.probe.as_ref());
            Answer::Evaluated(evaluate(registry, probe, &spec, limit))
        }
    }
}

/// An open zoo with its data on the device, and the network in hand.
pub(crate) struct Bench {
    preparation: Preparation,
    zoo: Zoo,
    device: Device,
    train: Dataset,
    train_size: usize,
    test_inputs: Option<Tensor>,
    probe: Option<Probe>,
}

impl Bench {
    pub(crate) fn prepare(preparation: Preparation) -> Result<(Bench, Ready), Refusal> {
        device::load_cuda();
        let choice = device::choose(&preparation.device).map_err(|error| Refusal {
            what: Refused::Device,
            hint: error.hint(),
            message: error.to_string(),
        })?;
        if let Some(bytes) = preparation.memory_limit {
            let needed = memory::needed(preparation.threads);
            if bytes < needed {
                return Err(Refusal {
                    hint: Some(format!("allow more than {} MiB, and that for the networks", needed >> 20)),
                    ..refusal(format!(
                        "{} MiB of memory are not enough for a worker with {} threads",
                        bytes >> 20,
                        preparation.threads
                    ))
                });
            }
            memory::limit(bytes).map_err(|error| refusal(format!("cannot limit its memory: {error}")))?;
        }
        tch::set_num_threads(i32::try_from(preparation.threads).unwrap_or(i32::MAX));

        let device = choice.device;
        let zoo = Zoo::open(&preparation.zoo).map_err(refuse)?;
        let all = zoo.train_data().map_err(refuse)?;
        let train_size = all.len();
        let sample = all.take(usize::try_from(preparation.sample).unwrap_or(usize::MAX)).map_err(refuse)?;
        let place = |tensor: &Tensor, kind| tensor.f_to_device(device)?.f_to_kind(kind);
        let kind = preparation.dtype.kind();
        let train = Dataset {
            inputs: place(&sample.inputs, kind).map_err(|error| refusal(error.to_string()))?,
            labels: place(&sample.labels, tch::Kind::Int64).map_err(|error| refusal(error.to_string()))?,
        };
        let test_inputs = if preparation.test_inputs && zoo.has_test_data() {
            let inputs = zoo.test_data().map_err(refuse)?.inputs;
            Some(place(&inputs, kind).map_err(|error| refusal(error.to_string()))?)
        } else {
            None
        };
        let ready = Ready {
            device: device_name(device),
            reason: choice.reason,
            warning: choice.warning,
            libtorch_version: libtorch_version(),
        };
        Ok((Bench { preparation, zoo, device, train, train_size, test_inputs, probe: None }, ready))
    }

    fn load(&mut self, network_id: u64) -> Result<(), String> {
        // The one before goes first: two networks are never in memory together.
        self.probe = None;
        self.probe = Some(Probe::new(self.input(network_id)?).map_err(|error| error.to_string())?);
        Ok(())
    }

    /// What to make a network's probe of.
    pub(crate) fn input(&self, network_id: u64) -> Result<ProbeInput, String> {
        let kind = self.preparation.dtype.kind();
        let place = |network: pgdl_network::Network| {
            network
                .to_kind(kind)
                .and_then(|network| network.to_device(self.device))
                .map_err(|error| error.to_string())
        };
        let network = place(self.zoo.load(network_id).map_err(explain)?)?;
        let initial = if self.preparation.initial_weights {
            self.zoo.load_initial(network_id).map_err(explain)?.map(place).transpose()?
        } else {
            None
        };
        let truth = if self.preparation.true_gaps { self.truth(network_id) } else { None };
        Ok(ProbeInput {
            network,
            network_id,
            initial,
            train: self.zoo.as_trained(network_id, &self.train).map_err(explain)?,
            train_size: self.train_size,
            test_inputs: self.test_inputs.as_ref().map(Tensor::shallow_clone),
            truth,
            seed: self.preparation.seed,
            deadline: None,
            batch_size: usize::try_from(self.preparation.batch_size).unwrap_or(usize::MAX),
        })
    }

    /// The accuracy gaps of the zoo's networks that have one; `None` if the network in hand is not among them.
    fn truth(&self, network_id: u64) -> Option<Truth> {
        let mut networks = Vec::new();
        let mut index = None;
        for entry in self.zoo.networks() {
            let Some(gap) = entry.metrics.as_ref().and_then(|metrics| metrics.gap(Gap::Accuracy)) else {
                continue;
            };
            if entry.id == network_id {
                index = Some(networks.len());
            }
            networks.push(TrueNetwork { hyperparameters: entry.hyperparameters.clone(), gap });
        }
        index.map(|index| Truth { networks, index })
    }
}

fn refusal(message: String) -> Refusal {
    Refusal { what: Refused::Other, message, hint: None }
}

fn refuse(error: ZooError) -> Refusal {
    // Where libtorch refuses, the files are sound.
    let what = if matches!(error, ZooError::Torch(_)) { Refused::Other } else { Refused::Zoo };
    Refusal { what, hint: error.hint(), message: error.to_string() }
}

fn explain(error: ZooError) -> String {
    error.to_string()
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn evaluate(registry: &Registry, probe: Option<&Probe>, spec: &str, limit: Option<f64>) -> Outcome {
    let Some(probe) = probe else {
        return Outcome::without_value(Status::Failed, "there is no network in hand");
    };
    let resolved = match panics::caught(|| registry.resolve(spec)) {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(error)) => return Outcome::without_value(Status::Failed, error.to_string()),
        Err(message) => return Outcome::without_value(Status::Failed, message),
    };
    let started = Instant::now();
    let allowed = limit.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    probe.set_deadline(allowed.and_then(|allowed| started.checked_add(allowed)));
    memory::forget_peak();
    let outcome = match panics::caught(|| probe.evaluate(&resolved)) {
        Ok(evaluation) => outcome(evaluation),
        Err(message) => Outcome {
            seconds: started.elapsed().as_secs_f64(),
            ..Outcome::without_value(Status::Failed, message)
        },
    };
    Outcome { peak_memory_bytes: memory::peak_bytes(), ..outcome }
}

pub(crate) fn outcome(evaluation: Evaluation) -> Outcome {
    let Evaluation { outcome, passes, seconds } = evaluation;
    let outcome = match outcome {
        Ok(Measured { value, standard_error, layers, details }) => Outcome {
            value: Some(value),
            standard_error,
            layers,
            details,
            message: None,
            ..Outcome::without_value(Status::Ok, "")
        },
        Err(MeasureError::Undefined(message)) => Outcome::without_value(Status::Undefined, message),
        Err(MeasureError::Unavailable(message)) => Outcome::without_value(Status::Unavailable, message),
        Err(MeasureError::Timeout(message)) => Outcome::without_value(Status::Timeout, message),
        Err(MeasureError::Crashed(message)) => Outcome::without_value(Status::Crashed, message),
        Err(MeasureError::Failed(message)) if memory::is_out_of_memory(&message) => {
            Outcome::without_value(Status::Failed, format!("out of memory: {message}"))
        }
        Err(MeasureError::Failed(message)) => Outcome::without_value(Status::Failed, message),
    };
    Outcome { passes, seconds, ..outcome }
}
