//! Measures that behave, and measures that do not.

use std::io::{Read, Write};
use std::process::Command;
use std::thread;
use std::time::Duration;

use pgdl_measure::rand::RngCore;
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{
    Invariances, LayerDetail, Losses, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, Registry,
};
use rustix::process::{Signal, getpid, kill_process};

type Evaluate = fn(&Probe) -> Result<Measured, MeasureError>;

struct Test(&'static MeasureInfo, Evaluate);

impl Measure for Test {
    fn info(&self) -> &MeasureInfo {
        self.0
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        (self.1)(probe)
    }
}

/// Where `killed_once` notes that it has been killed.
pub const MARKER_VARIABLE: &str = "PGDL_TEST_MARKER";

/// What `naps` does for this long.
pub const NAP: Duration = Duration::from_millis(30);

const MEASURES: [(&str, Evaluate); 22] = [
    ("weight_sum", weight_sum),
    ("mean_loss", mean_loss),
    ("noise", noise),
    ("distance", distance),
    ("control", control),
    ("naps", naps),
    ("undefined", |_| MeasureError::undefined("there is nothing to divide by")),
    ("gives_nan", |_| Ok(Measured::value(f64::NAN))),
    ("fails", |_| MeasureError::failed("no luck")),
    ("panics", |_| panic!("no luck at all")),
    ("torch_panics", |_| {
        Ok(Measured::value(f64::from(Tensor::from_slice(&[1.0]).size2().unwrap().0 as f32)))
    }),
    ("aborts", |_| std::process::abort()),
    ("exits", |_| std::process::exit(0)),
    ("is_killed", |_| die()),
    ("is_killed_once", is_killed_once),
    ("hangs", |_| hang()),
    ("is_stubborn", is_stubborn),
    ("is_patient", is_patient),
    ("chatters", chatters),
    ("fills_the_heap", fills_the_heap),
    ("makes_a_huge_tensor", makes_a_huge_tensor),
    ("leaves_a_child", leaves_a_child),
];

/// All of them.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    for (id, evaluate) in MEASURES {
        let needs: &'static [Need] = match id {
            "distance" => &[Need::InitialWeights],
            "control" => &[Need::TrueGaps],
            _ => &[],
        };
        let info: &'static MeasureInfo = Box::leak(Box::new(MeasureInfo {
            id,
            family: "test",
            version: 1,
            title: "A measure for tests.",
            formula: "none",
            shapes: "none",
            paper: "none",
            needs,
            cost: "none",
            invariances: Invariances::ALL,
            behaviour: "none",
            stochastic: id == "noise",
            control: id == "control",
            parameters: &[],
        }));
        registry.add(info, move |_| Ok(Box::new(Test(info, evaluate)))).expect("the ids are distinct");
    }
    registry
}

fn weight_sum(probe: &Probe) -> Result<Measured, MeasureError> {
    let mut layers = Vec::new();
    for parameter in probe.network().parameters() {
        let value = parameter.tensor.f_sum(Kind::Double)?.f_double_value(&[])?;
        layers.push(LayerDetail { layer: format!("{}/{}", parameter.node, parameter.index), value });
    }
    let sum = layers.iter().map(|layer| layer.value).sum();
    Ok(Measured::value(sum).with_layers(layers).with_detail("made_by", "a test"))
}

fn mean_loss(probe: &Probe) -> Result<Measured, MeasureError> {
    Ok(Measured::value(probe.get(&Losses)?.f_mean(Kind::Double)?.f_double_value(&[])?))
}

fn noise(probe: &Probe) -> Result<Measured, MeasureError> {
    let draws: Vec<f64> = {
        let mut generator = probe.generator("draws");
        (0..100).map(|_| generator.next_u64() as f64 / u64::MAX as f64).collect()
    };
    let mean = draws.iter().sum::<f64>() / 100.0;
    let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 99.0;
    let loss = mean_loss(probe)?.value;
    Ok(Measured::value(mean + loss).with_standard_error((variance / 100.0).sqrt()))
}

fn distance(probe: &Probe) -> Result<Measured, MeasureError> {
    let mut sum = 0.0;
    for (now, before) in probe.network().parameters().zip(probe.initial()?.parameters()) {
        let difference = now.tensor.f_sub(before.tensor)?;
        sum += difference.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(Measured::value(sum))
}

fn control(probe: &Probe) -> Result<Measured, MeasureError> {
    let gap = probe.truth()?.gap();
    gap.map(Measured::value).ok_or_else(|| MeasureError::Unavailable("no gap".into()))
}

fn naps(probe: &Probe) -> Result<Measured, MeasureError> {
    thread::sleep(NAP);
    mean_loss(probe)
}

fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_millis(5));
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    hang()
}

fn is_killed_once(probe: &Probe) -> Result<Measured, MeasureError> {
    let marker = std::env::var_os(MARKER_VARIABLE).expect("the test sets it");
    if std::fs::File::create_new(marker).is_ok() {
        die();
    }
    mean_loss(probe)
}

fn is_stubborn(_probe: &Probe) -> Result<Measured, MeasureError> {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    hang()
}

fn is_patient(probe: &Probe) -> Result<Measured, MeasureError> {
    loop {
        probe.check_deadline()?;
        thread::sleep(Duration::from_millis(1));
    }
}

/// Speaks where the protocol is spoken, and reads where it is read.
fn chatters(probe: &Probe) -> Result<Measured, MeasureError> {
    println!("{{\"evaluated\":null}}");
    print!("half a line");
    std::io::stdout().flush().map_err(|error| MeasureError::Failed(error.to_string()))?;
    Command::new("echo")
        .arg("\"loaded\"")
        .status()
        .map_err(|error| MeasureError::Failed(error.to_string()))?;
    let mut heard = String::new();
    std::io::stdin().read_to_string(&mut heard).map_err(|error| MeasureError::Failed(error.to_string()))?;
    Ok(Measured::value(mean_loss(probe)?.value + heard.len() as f64))
}

fn fills_the_heap(_probe: &Probe) -> Result<Measured, MeasureError> {
    let mut blocks = Vec::new();
    for fill in 0..=u8::MAX {
        blocks.push(vec![fill; 256 << 20]);
    }
    Ok(Measured::value(blocks.len() as f64))
}

fn makes_a_huge_tensor(_probe: &Probe) -> Result<Measured, MeasureError> {
    let tensor = Tensor::f_zeros([64, 1 << 28], (Kind::Double, Device::Cpu))?;
    Ok(Measured::value(tensor.f_sum(Kind::Double)?.f_double_value(&[])?))
}

/// Leaves a process behind that keeps standard error open and says who it is.
fn leaves_a_child(_probe: &Probe) -> Result<Measured, MeasureError> {
    let child =
        Command::new("sleep").arg("1000").spawn().map_err(|error| MeasureError::Failed(error.to_string()))?;
    eprintln!("left {}", child.id());
    hang()
}
