//! Neural Complexity on networks made on the fly.

use std::path::Path;

use pgdl_measure::contract::{self, Specimen, tiny_networks};
use pgdl_measure::network::Mode;
use pgdl_measure::tch::{Device, Kind, Tensor, no_grad};
use pgdl_measure::{Evaluation, MeasureError, Probe, ProbeInput, Registry, digest};
use pgdl_nc::images::{Look, Scale};
use pgdl_nc::model::{Precision, Rows, Source};
use pgdl_nc::{Calibration, Checkpoint, Hypotheses, MetaTraining, Recipe};

const SHIPPED: [&str; 2] = ["mnist_fashion_mnist", "cifar10"];

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_learned::register(&mut registry).unwrap();
    registry
}

fn run(spec: &str, input: ProbeInput) -> Evaluation {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap())
}

fn specimen(wanted: impl Fn(&Specimen) -> bool) -> Specimen {
    let mut specimens = tiny_networks().unwrap();
    let place = specimens.iter().position(wanted).unwrap();
    specimens.swap_remove(place)
}

/// Images of 8 × 8 pixels and three channels, in five classes.
fn images() -> Specimen {
    specimen(|specimen| specimen.train.inputs.size()[1..] == [8, 8, 3])
}

/// Those, with copies of one sample for the whole sample, and of one test input for all.
fn equal_samples(place: i64) -> Specimen {
    let mut specimen = images();
    let copies = |tensor: &Tensor| {
        let times = [vec![6], vec![1; tensor.dim() - 1]].concat();
        tensor.narrow(0, place, 1).repeat(times)
    };
    specimen.train.inputs = copies(&specimen.train.inputs);
    specimen.train.labels = copies(&specimen.train.labels);
    specimen.test_inputs = copies(&specimen.test_inputs);
    specimen
}

fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("checkpoints/{name}.safetensors"))
}

#[test]
fn the_contract_is_kept() {
    let violations = contract::check(&registry()).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

/// Of copies of one sample every draw is the same.
#[test]
fn of_equal_samples_the_value_is_that_of_the_model_on_one() {
    for (name, place) in SHIPPED.into_iter().flat_map(|name| [(name, 0), (name, 3), (name, 8)]) {
        let specimen = equal_samples(place);
        let checkpoint = Checkpoint::read(&shipped(name), Device::Cpu).unwrap();
        let images = checkpoint.description.recipe.classification().unwrap().0.clone();
        let outputs = |inputs: &Tensor| -> Tensor {
            let logits = no_grad(|| specimen.network.forward(inputs, Mode::Evaluate)).unwrap();
            logits.softmax(1, Kind::Float).constant_pad_nd([0, images.classes - logits.size()[1]])
        };
        let looks = |inputs: &Tensor| match images.look {
            Look::Plain => outputs(inputs),
            Look::Mirrored => Tensor::cat(&[outputs(inputs), outputs(&inputs.flip([2]))], 1),
        };
        let (train, labels) = (&specimen.train.inputs, &specimen.train.labels);
        let (test, scale) = (&specimen.test_inputs, Scale::of(train).unwrap());
        let view = |inputs: &Tensor| images.view.of(inputs, &scale).unwrap().unsqueeze(0);
        let own = outputs(train).gather(1, &labels.unsqueeze(1), false).squeeze_dim(1);
        let rows = Rows {
            source: Source::Inputs,
            train_losses: Some(-own.log().unsqueeze(0)),
            train_inputs: view(train),
            train_targets: labels.one_hot(images.classes).to_kind(Kind::Float).unsqueeze(0),
            train_outputs: looks(train).unsqueeze(0),
            test_inputs: view(test),
            test_outputs: looks(test).unsqueeze(0),
        };
        let model = checkpoint.model.ready(Precision::Float32, false).unwrap();
        let expected = model.complexity(&rows).unwrap().double_value(&[0]);
        let measured = run(&format!("nc:checkpoint={name}"), specimen.input()).outcome.unwrap();
        assert!((measured.value - expected).abs() < 1e-5, "{name}: {} instead of {expected}", measured.value);
        assert!(measured.standard_error.unwrap() < 1e-9);
    }
}

/// Of different samples, draws differ.
#[test]
fn draws_differ() {
    let measured = run("nc", images().input()).outcome.unwrap();
    assert!(measured.standard_error.unwrap() > 1e-6);
}

#[test]
fn a_file_is_named_with_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a model, (mine).safetensors");
    std::fs::copy(shipped("cifar10"), &path).unwrap();
    let spec = format!("nc:checkpoint=\"{}\"", path.display());
    let resolved = registry().resolve(&spec).unwrap();
    let canonical = resolved.spec.as_str().to_owned();
    let digest = canonical.strip_prefix(&spec[..spec.len() - 1]).unwrap();
    assert!(digest.len() == 18 && digest.starts_with('#'), "{canonical}");
    assert_eq!(registry().resolve(&canonical).unwrap().spec, resolved.spec);
    // Draws depend on the spelling: here all are the same.
    let value = |spec: &str| run(spec, equal_samples(2).input()).outcome.unwrap().value;
    assert!((value(&canonical) - value("nc:checkpoint=cifar10")).abs() < 1e-12);

    // Another file at the same place is another measure.
    std::fs::copy(shipped("mnist_fashion_mnist"), &path).unwrap();
    assert!(registry().resolve(&canonical).is_err());
    assert_ne!(registry().resolve(&spec).unwrap().spec, resolved.spec);
    std::fs::remove_file(&path).unwrap();
    let error = registry().resolve(&spec).err().unwrap().to_string();
    assert!(error.contains("mine") && error.contains("a file that can be read"), "{error}");
    assert!(registry().resolve("nc:checkpoint=imagenet").is_err());
}

/// A checkpoint that saw the gaps of a zoo: in their units on other networks, refused on those.
#[test]
fn a_calibrated_checkpoint_tells_gaps_and_refuses_the_networks_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calibrated.safetensors");
    let calibrated = |of: &pgdl_measure::network::Network| {
        let mut checkpoint = Checkpoint::read(&shipped("cifar10"), Device::Cpu).unwrap();
        let (networks, zoo) = (vec![digest(of).unwrap()], "seen".to_owned());
        checkpoint.description.calibration =
            Some(Calibration { zoo, intercept: 0.25, slope: 2.0, deviation: 0.1, r2: 0.5, networks });
        checkpoint.write(&path).unwrap();
        run(&format!("nc:checkpoint=\"{}\"", path.display()), equal_samples(2).input())
    };
    let other = specimen(|specimen| specimen.train.inputs.size()[1..] != [8, 8, 3]);
    let measured = calibrated(&other.network).outcome.unwrap();
    let plain = run("nc:checkpoint=cifar10", equal_samples(2).input()).outcome.unwrap();
    assert!((measured.value - 0.25 - 2.0 * plain.value).abs() < 1e-12, "{measured:?} {plain:?}");
    let (status, text) = reason(calibrated(&equal_samples(2).network));
    assert!(status == "unavailable" && text.contains("saw this network, one of `seen`"), "{status}: {text}");
}

fn reason(evaluation: Evaluation) -> (&'static str, String) {
    let error = evaluation.outcome.unwrap_err();
    (error.status(), error.to_string())
}

#[test]
fn what_the_model_is_not_made_for_is_said() {
    let many = specimen(|specimen| specimen.classes > 10);
    let (status, text) = reason(run("nc", many.input()));
    assert!(status == "undefined" && text.contains("11 classes"), "{status}: {text}");
    let flat = specimen(|specimen| specimen.train.inputs.dim() == 2 && specimen.classes <= 10);
    let (status, text) = reason(run("nc", flat.input()));
    assert!(status == "undefined" && text.contains("no mirror image"), "{status}: {text}");
    let two = specimen(|specimen| specimen.train.inputs.size()[1..] == [6, 6, 2]);
    let (status, text) = reason(run("nc", two.input()));
    assert!(status == "undefined" && text.contains("3 channels"), "{status}: {text}");

    let folder = tempfile::tempdir().unwrap();
    let text =
        "schema = 1\nname = \"numbers\"\nseed = 1\nform = \"regression\"\n[model]\nwidth = 8\nheads = 2\n";
    let recipe = Recipe::parse(text).unwrap();
    let hypotheses = Hypotheses::of(&recipe, Device::Cpu, &mut |_| {}).unwrap();
    let training = MetaTraining::open_on(recipe, hypotheses, folder.path(), Device::Cpu).unwrap();
    let path = folder.path().join("numbers.safetensors");
    training.checkpoint().unwrap().write(&path).unwrap();
    let (status, text) = reason(run(&format!("nc:checkpoint=\"{}\"", path.display()), images().input()));
    assert!(status == "unavailable" && text.contains("regression"), "{status}: {text}");
    std::fs::write(&path, b"no checkpoint").unwrap();
    let (status, text) = reason(run(&format!("nc:checkpoint=\"{}\"", path.display()), images().input()));
    assert!(status == "unavailable" && text.contains("numbers.safetensors"), "{status}: {text}");
}

#[test]
fn training_inputs_serve_where_there_are_no_test_inputs() {
    let without = || ProbeInput { test_inputs: None, ..images().input() };
    assert!(matches!(run("nc", without()).outcome, Err(MeasureError::Unavailable(_))));
    let measured = run("nc:queries=train", without()).outcome.unwrap();
    // Half of the samples are asked about, another half each time.
    assert!(measured.standard_error.unwrap() > 0.0);
}
