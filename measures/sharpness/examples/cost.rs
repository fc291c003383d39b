//! Values, standard errors, passes and seconds of the family's measures on networks of a zoo:
//!
//!     cargo run --release -p pgdl-measure-sharpness --example cost -- model_zoo/cifar_vgg 0,1,2 sam,hessian_trace
//!
//! One line for each network and measure, separated by tabs; the measures of a network share a probe: `seconds` are those
//! of the measure with all that it uses, `CPU` the processor's seconds for what was not there yet (Linux). Further
//! arguments: the seed, and the deadline of each measure in seconds.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pgdl_measure::{Probe, ProbeInput, Registry};
use pgdl_zoo::Zoo;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [folder, networks, measures, rest @ ..] = arguments else {
        return Err("arguments: zoo folder, network ids, measures, [seed, [deadline in seconds]]".into());
    };
    pgdl_measure::tch::set_num_threads(1);
    let mut registry = Registry::new();
    pgdl_measure_pac_bayes::register(&mut registry)?;
    pgdl_measure_sharpness::register(&mut registry)?;
    let resolved = registry.resolve_list(measures)?;
    let seed = rest.first().map_or(Ok(0), |text| text.parse())?;
    let limit = rest.get(1).map(|text| text.parse()).transpose()?.map(Duration::from_secs_f64);
    let device = pgdl_measure::network::device::choose("auto")?.device;
    let zoo = Zoo::open(Path::new(folder))?;
    let train = zoo.train_data()?;
    let ids: Vec<u64> = match networks.as_str() {
        "all" => zoo.networks().iter().map(|entry| entry.id).collect(),
        list => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
    };
    println!("network\tmeasure\tvalue\tstandard error\tF\tB\tHVP\tseconds\tCPU\tdetails");
    for id in ids {
        let probe = Probe::new(ProbeInput {
            network: zoo.load(id)?.to_device(device)?,
            network_id: id,
            initial: zoo.load_initial(id)?,
            train: train.shallow_clone(),
            train_size: train.len(),
            test_inputs: None,
            truth: None,
            seed,
            deadline: None,
            batch_size: 256,
        })?;
        for one in &resolved {
            probe.set_deadline(limit.map(|limit| Instant::now() + limit));
            let before = processor_seconds();
            let found = probe.evaluate(one);
            let processor = processor_seconds() - before;
            let passes = found.passes;
            print!("{id}\t{}\t", one.spec);
            match &found.outcome {
                Ok(measured) => {
                    let error =
                        measured.standard_error.map_or("–".to_string(), |error| format!("{error:.3e}"));
                    print!("{:.6e}\t{error}", measured.value);
                }
                Err(error) => print!("{}: {error}\t–", error.status()),
            }
            print!(
                "\t{:.2}\t{:.2}\t{:.2}\t{:.1}\t{processor:.1}\t",
                passes.forward, passes.backward, passes.hvp, found.seconds
            );
            match &found.outcome {
                Ok(measured) => println!("{:?}", measured.details),
                Err(_) => println!(),
            }
        }
    }
    Ok(())
}

/// User and system time of this process so far, in seconds of a hundred ticks; 0 where there is no /proc.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}
