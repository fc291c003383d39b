//! Meta-steps per second of the paper's model, beside the same model in PyTorch where `PYTHON` names a Python that has it:
//! `PYTHON=python3 cargo bench -p pgdl-nc`. The two take turns, and CPU time stands beside wall time, so that a busy
//! machine is unfair to neither.

use std::process::Command;
use std::time::Instant;

use pgdl_nc::{MetaTraining, Recipe};
use tch::Device;

const ROUNDS: usize = 3;
const SECONDS: f64 = 4.0;

/// Steps, wall seconds, CPU seconds.
type Work = [f64; 3];

fn main() {
    // Without `--bench` this is a test run, which has nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let python = std::env::var("PYTHON").ok();
    println!(
        "batch precision threads | steps/s steps/CPU-s | PyTorch: steps/s steps/CPU-s | CPU time, PyTorch/here"
    );
    for (batch, precision, threads) in [
        (64, "float32", 1),
        (64, "bfloat16", 1),
        (512, "float32", 1),
        (512, "bfloat16", 1),
        (512, "bfloat16", 2),
    ] {
        let (mut here, mut there) = ([0.0; 3], [0.0; 3]);
        for _ in 0..ROUNDS {
            add(&mut here, ours(batch, precision, threads));
            if let Some(python) = &python {
                add(&mut there, theirs(python, batch, precision, threads));
            }
        }
        let rates = |work: Work| (work[0] / work[1], work[0] / work[2]);
        let ((wall, cpu), (wall_there, cpu_there)) = (rates(here), rates(there));
        print!("{batch} {precision} {threads} | {wall:.2} {cpu:.2}");
        if python.is_some() {
            print!(" | {wall_there:.2} {cpu_there:.2} | {:.2}", cpu / cpu_there);
        }
        println!();
    }
}

fn add(total: &mut Work, work: Work) {
    total.iter_mut().zip(work).for_each(|(total, work)| *total += work);
}

fn ours(batch: i64, precision: &str, threads: i32) -> Work {
    tch::set_num_threads(threads);
    let recipe = format!(
        "schema = 1\nname = \"bench\"\nseed = 1\nform = \"regression\"\n[meta]\nbatch = {batch}\nevery = 1000000\n\
         fill = 10000\nbank = 10000\nprecision = \"{precision}\""
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recipe = Recipe::parse(&recipe).expect("the recipe is good");
    let mut training = MetaTraining::open(recipe, folder.path(), Device::Cpu).expect("training begins");
    training.meta_step().expect("a first step");
    let (start, cpu, mut steps) = (Instant::now(), cpu_seconds(), 0.0);
    while start.elapsed().as_secs_f64() < SECONDS || steps < 2.0 {
        training.meta_step().expect("a step");
        steps += 1.0;
    }
    [steps, start.elapsed().as_secs_f64(), cpu_seconds() - cpu]
}

fn theirs(python: &str, batch: i64, precision: &str, threads: i32) -> Work {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/meta_step.py");
    let output = Command::new(python)
        .args([script, &batch.to_string(), precision, &threads.to_string(), &SECONDS.to_string()])
        .output()
        .expect("Python starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("Python: {}", String::from_utf8_lossy(&output.stderr)))
}

/// CPU time of all threads of this process: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    [11, 12].iter().map(|&place| fields[place].parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
