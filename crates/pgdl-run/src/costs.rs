//! What measures cost on a network: each alone on a fresh probe, and all together on one.

use std::time::{Duration, Instant};

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::{MeasureError, Passes, Probe, ProbeInput, Resolved};
use pgdl_zoo::Zoo;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{Result, RunError};
use crate::libtorch::libtorch_version;
use crate::machine::processor_name;
use crate::memory;
use crate::panics;
use crate::protocol::{Dtype, Outcome, Preparation, Refused};
use crate::record::Status;
use crate::utc;
use crate::worker::{Bench, outcome};

/// The format of the cost reports this build writes. It rises when a field is added or changes its meaning.
pub const COST_SCHEMA: u32 = 1;

/// What measures cost on several networks, and under which conditions that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// The format of this object; see [`COST_SCHEMA`].
    pub schema: u32,
    /// The version of this program.
    pub pgdl_version: String,
    /// The version of libtorch.
    pub libtorch_version: String,
    /// When it was measured: RFC 3339, in UTC.
    pub utc: String,
    /// The processor's name, where the system tells it.
    pub processor: Option<String>,
    /// Threads that libtorch used.
    pub threads: u64,
    /// The floating-point type of weights and inputs: `float32` or `float64`.
    pub dtype: String,
    /// Samples per forward pass.
    pub batch_size: u64,
    /// The seed.
    pub seed: u64,
    /// One entry per network and device.
    pub subjects: Vec<CostSubject>,
}

/// What measures cost on one network and device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostSubject {
    /// The network: its zoo's name and its id, or the name of an architecture.
    pub network: String,
    /// Its number of parameters.
    pub parameters: u64,
    /// Training samples.
    pub sample: u64,
    /// `cpu`, `cuda:0`, ….
    pub device: String,
    /// The costs.
    pub costs: NetworkCosts,
    /// Seconds of all measures together over the sum of each alone.
    pub ratio: f64,
}

impl CostReport {
    /// A report of what was measured just now under these conditions.
    pub fn new(options: &CostOptions, subjects: Vec<CostSubject>) -> CostReport {
        CostReport {
            schema: COST_SCHEMA,
            pgdl_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch_version: libtorch_version(),
            utc: utc::now(),
            processor: processor_name(),
            threads: options.threads,
            dtype: options.dtype.as_str().to_owned(),
            batch_size: options.batch_size,
            seed: options.seed,
            subjects,
        }
    }
}

/// What one measure gave and cost on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasureCost {
    /// The measure as a user writes it.
    pub measure: String,
    /// Its version.
    pub version: u32,
    /// How its evaluation on a fresh probe ended.
    pub status: Status,
    /// Why there is no value.
    pub message: Option<String>,
    /// The value.
    pub value: Option<f64>,
    /// Its Monte-Carlo standard error.
    pub standard_error: Option<f64>,
    /// Passes over the sample.
    pub passes: Passes,
    /// Seconds on a fresh probe.
    pub seconds: f64,
    /// The process's largest resident set meanwhile, where the system tells it. On a GPU that is the host's memory.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds on the probe that all measures share, after the measures before it.
    pub seconds_together: f64,
}

/// What all measures together cost on a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TotalCost {
    /// Passes over the sample, shared ones once.
    pub passes: Passes,
    /// Seconds.
    pub seconds: f64,
}

/// What measures cost on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkCosts {
    /// The measures, in the order asked for.
    pub measures: Vec<MeasureCost>,
    /// The sum over the measures, each on a fresh probe.
    pub alone: TotalCost,
    /// All measures on one probe.
    pub together: TotalCost,
}

impl NetworkCosts {
    /// Seconds of all together over the sum of each alone.
    pub fn ratio(&self) -> f64 {
        self.together.seconds / self.alone.seconds
    }
}

/// How the costs on networks of a zoo are measured.
#[derive(Clone, Debug)]
pub struct CostOptions {
    /// `cpu`, `cuda:0`, ….
    pub device: String,
    /// Floating-point type of weights and inputs.
    pub dtype: Dtype,
    /// Training samples from the front of the training set; `None`: all.
    pub sample: Option<u64>,
    /// Seed.
    pub seed: u64,
    /// Samples per forward pass.
    pub batch_size: u64,
    /// Threads.
    pub threads: u64,
    /// Time after which a measure had better give up.
    pub limit: Option<Duration>,
}

/// Measures the costs on a network that `input` gives, one input like the other.
///
/// The clock runs over evaluations alone, not over the making of probes. Before it starts, every measure runs on a tiny
/// network on the same device, so that none pays for what libtorch loads at its first use. `watch` hears of each
/// evaluation before it starts.
///
/// # Errors
/// The input cannot be made, or a probe of it.
pub fn costs(
    input: &dyn Fn() -> Result<ProbeInput, MeasureError>,
    measures: &[Resolved],
    limit: Option<Duration>,
    watch: &mut dyn FnMut(&str),
) -> Result<NetworkCosts, MeasureError> {
    let probe = || Probe::new(input()?);
    watch("warming up");
    warm_up(&probe()?, measures)?;

    let mut alone = Vec::new();
    for resolved in measures {
        watch(&format!("{} alone", resolved.spec));
        let probe = probe()?;
        memory::forget_peak();
        let (outcome, seconds) = timed(&probe, resolved, limit);
        alone.push((outcome, seconds, memory::peak_bytes(), probe.passes()));
    }
    let shared = probe()?;
    let together: Vec<f64> = measures
        .iter()
        .map(|resolved| {
            watch(&format!("{} together", resolved.spec));
            timed(&shared, resolved, limit).1
        })
        .collect();

    let sum = |passes: Passes, more: &Passes| Passes {
        forward: passes.forward + more.forward,
        backward: passes.backward + more.backward,
        hvp: passes.hvp + more.hvp,
    };
    Ok(NetworkCosts {
        alone: TotalCost {
            passes: alone.iter().map(|(_, _, _, passes)| passes).fold(Passes::default(), sum),
            seconds: alone.iter().map(|(_, seconds, _, _)| seconds).sum(),
        },
        together: TotalCost { passes: shared.passes(), seconds: together.iter().sum() },
        measures: measures
            .iter()
            .zip(alone)
            .zip(together)
            .map(|((resolved, (outcome, seconds, peak_memory_bytes, passes)), seconds_together)| {
                MeasureCost {
                    measure: resolved.spec.to_string(),
                    version: resolved.measure.info().version,
                    status: outcome.status,
                    message: outcome.message,
                    value: outcome.value,
                    standard_error: outcome.standard_error,
                    passes,
                    seconds,
                    peak_memory_bytes,
                    seconds_together,
                }
            })
            .collect(),
    })
}

/// Measures the costs on a network of a zoo.
///
/// # Errors
/// The device, the zoo or its data cannot be used.
pub fn zoo_costs(
    zoo: &Zoo,
    network: u64,
    measures: &[Resolved],
    options: &CostOptions,
    watch: &mut dyn FnMut(&str),
) -> Result<NetworkCosts> {
    let failed = |message: String| RunError::Data { message, hint: None };
    let (bench, _) = Bench::prepare(Preparation {
        zoo: zoo.root().to_owned(),
        device: options.device.clone(),
        dtype: options.dtype,
        sample: match options.sample {
            Some(sample) => sample,
            None => zoo.train_size()? as u64,
        },
        seed: options.seed,
        batch_size: options.batch_size,
        threads: options.threads,
        memory_limit: None,
        initial_weights: true,
        test_inputs: true,
        true_gaps: true,
    })
    .map_err(|refusal| match refusal.what {
        Refused::Device => {
            RunError::Device { device: options.device.clone(), message: refusal.message, hint: refusal.hint }
        }
        Refused::Zoo | Refused::Other => RunError::Data { message: refusal.message, hint: refusal.hint },
    })?;
    let input = || bench.input(network).map_err(MeasureError::Failed);
    costs(&input, measures, options.limit, watch).map_err(|error| failed(error.to_string()))
}

/// One evaluation with what it took by the clock, until the device has done all of it.
fn timed(probe: &Probe, resolved: &Resolved, limit: Option<Duration>) -> (Outcome, f64) {
    wait(probe.device());
    let started = Instant::now();
    probe.set_deadline(limit.and_then(|limit| started.checked_add(limit)));
    let outcome = match panics::caught(|| probe.evaluate(resolved)) {
        Ok(evaluation) => outcome(evaluation),
        Err(message) => Outcome::without_value(Status::Failed, message),
    };
    wait(probe.device());
    (outcome, started.elapsed().as_secs_f64())
}

/// What libtorch loads and chooses at first use: every measure on a tiny network, and one batch through the network
/// itself, both on its device and in its kind.
fn warm_up(probe: &Probe, measures: &[Resolved]) -> Result<(), MeasureError> {
    for specimen in tiny_networks()?.into_iter().take(1) {
        let network = specimen.network.to_kind(probe.kind())?.to_device(probe.device())?;
        let tiny = Probe::new(ProbeInput { network, ..specimen.input() })?;
        for resolved in measures {
            // What comes of it does not matter; a measure that panics does so again under the clock.
            drop(panics::caught(|| tiny.evaluate(resolved)));
        }
    }
    let first = probe.inputs().f_narrow(0, 0, probe.batch_size().min(probe.sample_size() as i64))?;
    drop(probe.forward(&first)?);
    wait(probe.device());
    Ok(())
}

/// Until the device has nothing left to do: reading a number waits for all work before it.
fn wait(device: Device) {
    let number = || Tensor::f_zeros([1], (Kind::Float, device))?.f_double_value(&[0]);
    // A device that is out of order shows in the evaluations themselves.
    drop::<Result<f64, tch::TchError>>(number());
}
