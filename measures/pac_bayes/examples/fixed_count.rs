//! The search for σ beside the fixed-count method of common code (15 bisections of [0, 2], 10 draws at each, every draw
//! on the whole sample, done when the mean drop is within 0.01 of 0.1), on networks of a zoo, over several seeds:
//!
//!     cargo run --release -p pgdl-measure-pac-bayes --example fixed_count -- model_zoo/cifar_vgg 0,1 4
//!
//! Printed for each network and method: the mean of σ over the seeds, its relative standard deviation over them, the
//! mean relative standard error that the search reports, forward passes and seconds. The fixed-count method is given
//! the paper's noise, not its square.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Accuracy, MeasureError, Perturbed, Probe, ProbeInput};
use pgdl_measure_pac_bayes::{Noise, NoiseScale};
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
    let [folder, networks, seeds, rest @ ..] = arguments else {
        return Err("arguments: zoo folder, network ids, number of seeds, [tolerance]".into());
    };
    pgdl_measure::tch::set_num_threads(1);
    let seeds: u64 = seeds.parse()?;
    let tolerance = rest.first().map_or(Ok(0.05), |text| text.parse())?;
    let zoo = Zoo::open(Path::new(folder))?;
    let train = zoo.train_data()?;
    println!("network\tmethod\tsigma\tspread\treported\tF\tseconds");
    for id in networks.split(',').map(str::parse) {
        let id: u64 = id?;
        let probe = |seed: u64| -> Result<Probe, Box<dyn std::error::Error>> {
            Ok(Probe::new(ProbeInput {
                network: zoo.load(id)?,
                network_id: id,
                initial: None,
                train: train.shallow_clone(),
                train_size: train.len(),
                test_inputs: None,
                truth: None,
                seed,
                deadline: None,
                batch_size: 256,
            })?)
        };
        let (mut ours, mut fixed): (Vec<[f64; 4]>, Vec<[f64; 4]>) = (Vec::new(), Vec::new());
        for seed in 0..seeds {
            let fresh = probe(seed)?;
            let begin = Instant::now();
            let found = fresh.get(&NoiseScale { noise: Noise::Plain, drop: 0.1, tolerance })?;
            let seconds = begin.elapsed().as_secs_f64();
            ours.push([found.value(), found.standard_error, fresh.passes().forward, seconds]);

            let fresh = probe(seed)?;
            let begin = Instant::now();
            let sigma = fixed_count(&fresh)?;
            fixed.push([sigma, f64::NAN, fresh.passes().forward, begin.elapsed().as_secs_f64()]);
        }
        for (method, runs) in [("search", &ours), ("fixed count", &fixed)] {
            let count = runs.len() as f64;
            let mean = |part: usize| runs.iter().map(|run| run[part]).sum::<f64>() / count;
            let sigma = mean(0);
            let variance = runs.iter().map(|run| (run[0] - sigma).powi(2)).sum::<f64>() / (count - 1.0);
            let spread = variance.sqrt() / sigma;
            println!(
                "{id}\t{method}\t{sigma:.5}\t{spread:.4}\t{:.4}\t{:.2}\t{:.1}",
                mean(1),
                mean(2),
                mean(3)
            );
        }
    }
    Ok(())
}

fn fixed_count(probe: &Probe) -> Result<f64, MeasureError> {
    let copies = Perturbed::folded(probe)?;
    let accuracy = *probe.get(&Accuracy)?;
    let all = Tensor::f_arange(probe.sample_size() as i64, (Kind::Int64, probe.device()))?.f_unsqueeze(0)?;
    let mut random = probe.generator("fixed count");
    let (mut low, mut high, mut sigma) = (0.0, 2.0, 1.0);
    for _ in 0..15 {
        sigma = 0.5 * (low + high);
        let mut sum = 0.0;
        for _ in 0..10 {
            let noise = random.normal_tensor(&copies.center().size())?.f_mul_scalar(sigma)?;
            let right = copies.correct(&copies.center().f_add(&noise)?.f_unsqueeze(0)?, &all)?;
            sum += right.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        }
        let drop = (accuracy - sum / 10.0).abs();
        if (drop - 0.1).abs() < 0.01 {
            break;
        }
        if drop > 0.1 { high = sigma } else { low = sigma }
    }
    Ok(sigma)
}
