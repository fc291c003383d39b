//! What measures of the families that cost most take, beside the way in which common code computes the same number: a
//! fixed count of passes, draws or levels, one network and one sample at a time.
//!
//!     cargo bench -p pgdl-measures --bench fixed_counts [-- PART…]
//!
//! With arguments only the cases whose family or measure begins with one of them. Everything is measured here and now, on
//! one thread, on network 0 of `cifar_vgg` or, where its data are not there, on a drawn one. Both ways start from a fresh
//! probe. Columns:
//!
//! - n: samples of the training sample; one pass is over all of them.
//! - error: the relative standard error, over seeds where there are several, else as the method itself tells; `exact`
//!   where nothing is drawn.
//! - F, B, HVP: forward passes, backward passes, Hessian-vector products.
//! - seconds: of the processor (Linux), else by the clock.
//! - ratio: ours over the fixed count, of all passes, of seconds, and of seconds at equal error: the error of a mean falls as
//!   1/√cost, so that seconds count in proportion to the square of the error. Below 1 we are cheaper.

mod gradients;
mod noise;
mod posterior;
mod stability;
mod subject;
mod weights;

use std::error::Error;
use std::process::ExitCode;

use pgdl_measure::tch::set_num_threads;
use pgdl_measure::{Detail, MeasureError, Measured, Passes, Probe, Registry};
use subject::Subject;

/// A value, and its standard error where it is random.
pub struct Found {
    /// The value.
    pub value: f64,
    /// Its standard error; nothing where it is exact.
    pub error: Option<f64>,
}

impl Found {
    /// What no draw enters.
    pub fn exact(value: f64) -> Self {
        Self { value, error: None }
    }

    /// The mean of independent draws.
    pub fn mean(draws: &[f64]) -> Self {
        let count = draws.len() as f64;
        let value = draws.iter().sum::<f64>() / count;
        let variance = draws.iter().map(|draw| (draw - value).powi(2)).sum::<f64>() / (count - 1.0);
        Self { value, error: Some((variance / count).sqrt()) }
    }
}

/// A measure beside the fixed-count way to its number.
struct Case {
    family: &'static str,
    /// As on the command line.
    measure: &'static str,
    /// Samples, where not all: those of the fixed count would take minutes.
    samples: Option<usize>,
    /// Over how many seeds the error is measured; 1 where the methods tell it themselves.
    seeds: u64,
    /// What the fixed count does.
    fixed_count: &'static str,
    /// The fixed count, given what our measure found, for what both must have in common.
    run: fn(&Probe, &Measured) -> Result<Found, MeasureError>,
}

const CASES: [Case; 12] = [
    Case {
        family: "sharpness",
        measure: "hessian_trace",
        samples: None,
        seeds: 1,
        fixed_count: "Hutchinson, 20 vectors, one after the other, on all samples",
        run: weights::hutchinson,
    },
    Case {
        family: "sharpness",
        measure: "hessian_max",
        samples: Some(256),
        seeds: 1,
        fixed_count: "power iteration from 2 vectors, 100 steps or a relative change of 1e-3 (ours gives the density too)",
        run: weights::power_iteration,
    },
    Case {
        family: "sharpness",
        measure: "average_sharpness",
        samples: None,
        seeds: 1,
        fixed_count: "100 draws, one after the other, on all samples",
        run: noise::average_rise,
    },
    Case {
        family: "pac_bayes",
        measure: "pac_bayes_flatness",
        samples: None,
        seeds: 3,
        fixed_count: "15 bisections, 10 draws at each, on all samples",
        run: noise::plain_scale,
    },
    Case {
        family: "pac_bayes",
        measure: "pac_bayes_mag_flatness",
        samples: None,
        seeds: 3,
        fixed_count: "15 bisections, 10 draws at each, on all samples",
        run: noise::magnitude_scale,
    },
    Case {
        family: "gradient",
        measure: "gradient_noise",
        samples: Some(1000),
        seeds: 1,
        fixed_count: "a loop over the samples",
        run: gradients::noise_one_by_one,
    },
    Case {
        family: "gradient",
        measure: "jacobian_norm",
        samples: Some(1000),
        seeds: 1,
        fixed_count: "one layer after the other",
        run: gradients::jacobians_layer_by_layer,
    },
    Case {
        family: "singular",
        measure: "llc",
        samples: None,
        seeds: 1,
        fixed_count: "SGLD, the chains one after the other, losses less that of w* on all samples",
        run: posterior::chains_one_by_one,
    },
    Case {
        family: "robustness",
        measure: "layer_reinit",
        samples: None,
        seeds: 1,
        fixed_count: "one network after the other, from its input on",
        run: weights::layers_one_by_one,
    },
    Case {
        family: "description_length",
        measure: "quantized_bits",
        samples: None,
        seeds: 1,
        fixed_count: "2, 3, 4 … levels until they are enough",
        run: weights::levels_one_by_one,
    },
    Case {
        family: "stability",
        measure: "leave_one_out",
        samples: Some(500),
        seeds: 1,
        fixed_count: "a Newton step without each sample, one after the other",
        run: stability::leave_each_out,
    },
    Case {
        family: "stability",
        measure: "empirical_rademacher:form=local",
        samples: Some(1000),
        seeds: 1,
        fixed_count: "a loop over the samples, the mean of 100 draws of signs",
        run: stability::signs_one_by_one,
    },
];

/// A number among the details of what our measure found.
pub fn detail(measured: &Measured, name: &str) -> Result<f64, MeasureError> {
    match measured.details.get(name) {
        Some(Detail::Number(number)) => Ok(*number),
        _ => MeasureError::failed(format!("the measure tells no `{name}`")),
    }
}

/// One way to a number: the mean over seeds.
struct Cost {
    value: f64,
    /// Relative standard error.
    error: Option<f64>,
    passes: [f64; 3],
    seconds: f64,
}

impl Cost {
    fn of(runs: &[(Found, Passes, f64)]) -> Self {
        let count = runs.len() as f64;
        let mean = |part: &dyn Fn(&(Found, Passes, f64)) -> f64| runs.iter().map(part).sum::<f64>() / count;
        let value = mean(&|run| run.0.value);
        let variance = mean(&|run| (run.0.value - value).powi(2)) * count / (count - 1.0);
        let error = if runs.len() > 1 { Some(variance.sqrt()) } else { runs[0].0.error };
        Self {
            value,
            error: error.map(|error| (error / value).abs()),
            passes: [mean(&|run| run.1.forward), mean(&|run| run.1.backward), mean(&|run| run.1.hvp)],
            seconds: mean(&|run| run.2),
        }
    }

    fn print(&self, name: &str) {
        let error = self.error.map_or("exact".to_string(), |error| format!("{:.1} %", 100.0 * error));
        let [forward, backward, hvp] = self.passes;
        println!(
            "  {name:<12} {:>12.5e} {error:>8} {forward:>9.2} {backward:>9.2} {hvp:>8.2} {:>9.2}",
            self.value, self.seconds
        );
    }
}

fn main() -> ExitCode {
    // What cargo itself adds is no part of a name.
    let parts: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with("--")).collect();
    match run(&parts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(parts: &[String]) -> Result<(), Box<dyn Error>> {
    set_num_threads(1);
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry)?;
    let subject = Subject::choose()?;
    println!("{}", subject.name);
    println!(
        "  {:<12} {:>12} {:>8} {:>9} {:>9} {:>8} {:>9}",
        "", "value", "error", "F", "B", "HVP", "seconds"
    );
    let wanted = |case: &&Case| {
        let begins = |part: &String| case.family.starts_with(part) || case.measure.starts_with(part);
        parts.is_empty() || parts.iter().any(begins)
    };
    for case in CASES.iter().filter(wanted) {
        let probe = subject.probe(case.samples, 0)?;
        println!("{} {}, n = {}: {}", case.family, case.measure, probe.sample_size(), case.fixed_count);
        if let Err(error) = compare(case, &registry, &subject) {
            println!("  {error}");
        }
    }
    Ok(())
}

fn compare(case: &Case, registry: &Registry, subject: &Subject) -> Result<(), Box<dyn Error>> {
    let measure = registry.resolve(case.measure)?;
    let (mut ours, mut fixed) = (Vec::new(), Vec::new());
    for seed in 0..case.seeds {
        let probe = subject.probe(case.samples, seed)?;
        let begin = subject::seconds();
        let measured = probe.evaluate(&measure).outcome?;
        let seconds = subject::seconds() - begin;
        let found = Found { value: measured.value, error: measured.standard_error };
        ours.push((found, probe.passes(), seconds));

        let probe = subject.probe(case.samples, seed)?;
        let begin = subject::seconds();
        let found = (case.run)(&probe, &measured)?;
        fixed.push((found, probe.passes(), subject::seconds() - begin));
    }
    let (ours, fixed) = (Cost::of(&ours), Cost::of(&fixed));
    ours.print("ours");
    fixed.print("fixed count");
    let total = |cost: &Cost| cost.passes.iter().sum::<f64>();
    let seconds = ours.seconds / fixed.seconds;
    let equal = match (ours.error, fixed.error) {
        (Some(ours), Some(fixed)) => format!("{:.3}", seconds * (ours / fixed).powi(2)),
        (None, None) => format!("{seconds:.3}"),
        _ => "–".to_string(),
    };
    println!(
        "  {:<12} passes {:.3}, seconds {seconds:.3}, at equal error {equal}",
        "ratio",
        total(&ours) / total(&fixed)
    );
    Ok(())
}
