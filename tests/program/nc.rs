//! `pgdl nc`: training, interruption, evaluation, inspection, and what is refused.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake_mnist::fake_mnist;
use crate::small_zoo;
use crate::support::{Answer, Place};

const RECIPE: &str = r#"
schema = 1
name = "tiny"
seed = 3
form = "regression"
[model]
width = 16
heads = 2
[learner]
hidden = [8]
[meta]
steps = 40
batch = 16
parallel = 8
fill = 256
bank = 2000
[watch]
every = 20
tasks = 16
save = 10
"#;

fn place(recipe: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.path("recipe.toml"), recipe).unwrap();
    place
}

const TRAIN: [&str; 7] = ["nc", "train", "recipe.toml", "--output", "out", "--device", "cpu"];

#[test]
fn train_evaluate_inspect() {
    let place = place(RECIPE);
    let trained = place.run(&TRAIN, 0);
    assert!(trained.stderr.contains("meta-step 40: loss"), "{}", trained.stderr);
    let curve = std::fs::read_to_string(place.path("out/curve.csv")).unwrap();
    assert_eq!(curve.lines().count(), 3);
    assert!(curve.starts_with("step,loss,lambda,r2,mae,"));

    let inspected = place.run(&["nc", "inspect", "out/checkpoint.safetensors"], 0).json();
    assert_eq!(inspected["steps"], 40);
    assert_eq!(inspected["recipe"]["model"]["width"], 16);
    assert!(inspected["trained_on"].as_str().unwrap().contains("no stored network"));

    let evaluate = ["nc", "evaluate", "out/checkpoint.safetensors", "--device", "cpu", "--tasks", "40"];
    let evaluated = place.run(&[&evaluate[..], &["--format", "csv", "--epsilon", "50"]].concat(), 0);
    assert_eq!(evaluated.stdout.lines().count(), 5);
    // No gap is as large as 50: all that is left is 1 − 2·√(ln(2/0.05)/(2·40)) = 0.5705.
    let bound = "ε = 50.0000, δ = 0.05, n = 40: P[L ≤ L̂ + NC + ε] ≥ 0.5705 (0.0000 of n exceed ε)";
    assert_eq!(evaluated.stderr.matches(bound).count(), 2, "{}", evaluated.stderr);
    let own = place.run(&[&evaluate[..], &["--seed", "3"]].concat(), 2);
    assert!(own.stderr.contains("that of the model's own training"));
}

/// The same recipe goes on after a signal, and the files are those of a training in one go.
#[test]
fn interrupted() {
    let long = RECIPE.replace("steps = 40", "steps = 400");
    let place = place(&long);
    let mut child = place.pgdl(&TRAIN).stderr(std::process::Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !place.path("out/state.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no state is kept");
        std::thread::sleep(Duration::from_millis(5));
    }
    // SAFETY: a signal to a child of ours that was not waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let went_on = place.run(&TRAIN, 0);
    assert!(went_on.stderr.contains("goes on after meta-step"), "{}", went_on.stderr);
    let mut whole = TRAIN;
    whole[4] = "whole";
    place.run(&whole, 0);
    for name in ["state.safetensors", "checkpoint.safetensors", "curve.csv"] {
        let read = |folder: &str| std::fs::read(place.path(folder).join(name)).unwrap();
        assert!(read("out") == read("whole"), "{name} differs");
    }
}

const CLASSIFICATION: &str = r#"
schema = 1
name = "tiny_images"
seed = 4
form = "classification"
[model]
inputs = 49
outputs = 10
width = 16
heads = 2
encoder_layers = 2
[model.image]
size = 7
channels = 1
filters = [4]
[images]
datasets = ["mnist"]
positions = "0-199"
held_out = "200-399"
view = { size = 7, channels = 1 }
train = [8, 32]
test = 32
rows = 8
noisy = 0.5
noise = [0.5, 0.5]
gap = "error"
[classifier]
filters = [[], [4]]
hidden = [[8]]
lr = [0.05, 0.2]
batch = 8
steps = 20
every = 5
[meta]
steps = 40
batch = 16
parallel = 8
every = 5
bank = 400
fill = 100
[watch]
every = 20
tasks = 20
save = 20
"#;

/// The form for classification, on images of the form of MNIST.
#[test]
fn classification() {
    let place = place(CLASSIFICATION);
    let missing = place.run(&TRAIN, 1);
    assert!(missing.stderr.contains("lacks train-images") && missing.stderr.contains("hint: run again"));
    fake_mnist(&place.path("share/pgdl/data"), 400, 10);
    let trained = place.run(&TRAIN, 0);
    assert!(trained.stderr.contains("meta-step 40: loss"), "{}", trained.stderr);
    assert_eq!(std::fs::read_to_string(place.path("out/curve.csv")).unwrap().lines().count(), 3);
    let inspected = place.run(&["nc", "inspect", "out/checkpoint.safetensors"], 0).json();
    assert_eq!(inspected["recipe"]["form"], "classification");
    let saw = inspected["trained_on"].as_str().unwrap();
    assert!(saw.contains("mnist (positions 0-199 of the training half)"), "{saw}");
    let evaluated = place.run(
        &[
            "nc",
            "evaluate",
            "out/checkpoint.safetensors",
            "--device",
            "cpu",
            "--tasks",
            "20",
            "--format",
            "csv",
        ],
        0,
    );
    assert!(evaluated.stdout.lines().count() > 1, "{}", evaluated.stdout);
    // 20 hypotheses permit 1 − 2·√(ln 40 / 40) = 0.3926, and one that exceeds ε would take 0.05 of it.
    assert!(evaluated.stderr.contains("P[L ≤ L̂ + NC + ε] ≥ 0.3926 (0.0000 of n"), "{}", evaluated.stderr);
}

/// A zoo whose gaps lie on a line of the estimates: the line is found, and the new checkpoint refuses that zoo's networks.
#[test]
fn calibrate() {
    let place = small_zoo::place();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../measures/learned/checkpoints/cifar10.safetensors")
        .canonicalize()
        .unwrap();
    let shipped = shipped.to_str().unwrap();
    let spec = format!("nc:checkpoint=\"{shipped}\"");
    let evaluated = place
        .run(&["eval", "--zoo", "small", "--measure", &spec, "--device", "cpu", "--format", "json"], 0)
        .json();
    let listing = place.path("small/model_configs.json");
    let mut zoo: Value = serde_json::from_slice(&std::fs::read(&listing).unwrap()).unwrap();
    for row in evaluated.as_array().unwrap() {
        let metrics = &mut zoo[row["network"].as_str().unwrap()]["metrics"];
        let gap = 0.1 + 0.25 * row["value"].as_f64().unwrap();
        (metrics["train_acc"], metrics["test_acc"]) = (json!(1.0), json!(1.0 - gap));
    }
    std::fs::write(&listing, zoo.to_string()).unwrap();

    let calibrate = |checkpoint: &str, exit: i32| {
        let arguments = [
            "nc",
            "calibrate",
            checkpoint,
            "--zoo",
            "small",
            "--output",
            "own.safetensors",
            "--device",
            "cpu",
        ];
        place.run(&arguments, exit)
    };
    let calibrated = calibrate(shipped, 0);
    let line = "gap ≈ 0.1000 + 0.2500 · NC on 4 networks of small: R² 1.0000, standard deviation 0.0000";
    assert!(calibrated.stderr.contains(line), "{}", calibrated.stderr);
    let inspected = place.run(&["nc", "inspect", "own.safetensors"], 0).json();
    assert_eq!(inspected["calibration"]["zoo"], "small");
    assert_eq!(inspected["calibration"]["networks"].as_array().unwrap().len(), 4);
    let again = calibrate("own.safetensors", 6);
    let regression =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/nc/models/sinusoid_width_128.safetensors");
    let other = calibrate(regression.to_str().unwrap(), 6);
    assert!(other.stderr.contains("sinusoid_width_128.safetensors: form is regression"), "{}", other.stderr);
    assert!(again.stderr.contains("is calibrated on small already"), "{}", again.stderr);

    let own =
        ["score", "--zoo", "small", "--measure", "nc:checkpoint=\"own.safetensors\"", "--device", "cpu"];
    let refused = place.run(&own, 4);
    assert!(refused.stdout.contains("4 unavailable"), "{}", refused.stdout);
    assert!(refused.stderr.contains("the checkpoint saw this network, one of `small`"), "{}", refused.stderr);
}

#[test]
fn refused() {
    let refuse = |recipe: &str, exit: i32, signs: &[&str]| {
        let place = place(recipe);
        let answer: Answer = place.run(&TRAIN, exit);
        for sign in signs.iter().chain(&["error: "]) {
            assert!(answer.stderr.contains(sign), "{sign} in:\n{}", answer.stderr);
        }
    };
    refuse(&RECIPE.replace("heads = 2", "heads = 3"), 2, &["model.heads is 3", "a divisor of model.width"]);
    refuse(&RECIPE.replace("batch", "bach"), 2, &["recipe.toml", "unknown field `bach`"]);
    refuse(
        &RECIPE.replace("hidden = [8]", "hidden = [8]\nlr = 1e30"),
        1,
        &["the learners diverge", "hint: lower"],
    );

    let place = place(RECIPE);
    place.run(&TRAIN, 0);
    std::fs::write(place.path("recipe.toml"), RECIPE.replace("seed = 3", "seed = 4")).unwrap();
    let other = place.run(&TRAIN, 6);
    assert!(other.stderr.contains("another recipe") && other.stderr.contains("hint: give another output"));
    let state = place.run(&["nc", "inspect", "out/state.safetensors"], 6);
    assert!(state.stderr.contains("it is a state, but a checkpoint is wanted"));
    let text = place.run(&["nc", "inspect", "recipe.toml"], 6);
    assert!(text.stderr.contains("no whole safetensors file"));
}
