//! The regression on signatures of margins: its features by plain loops, and its fits by their rules.

use std::collections::BTreeSet;
use std::path::Path;

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::digest;
use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, ParameterKind, Probe, ProbeInput, Registry};
use pgdl_measure_learned::linear_signature::INFO;
use pgdl_measure_learned::regression::{Fits, Row};
use pgdl_measure_learned::table;
use pgdl_zoo::Zoo;

const SIGNATURES: &str = include_str!("../linear_signature/signatures.csv");
const FITS: &str = include_str!("../linear_signature/fits.json");
const STATISTICS: [&str; 5] = ["lower_fence", "q1", "median", "q3", "upper_fence"];

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_learned::register(&mut registry).unwrap();
    pgdl_measure_margin::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn rows() -> Vec<Row> {
    table::read(SIGNATURES).unwrap()
}

fn fits() -> Fits {
    serde_json::from_str(FITS).unwrap()
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details.get(name) {
        Some(Detail::Number(number)) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

/// One sample after another, one place after another: what enters each layer with weights.
fn distances_by_loops(network: &Network, train: &Dataset, node: Option<usize>) -> Vec<f64> {
    let (mut distances, mut representations) = (Vec::new(), Vec::new());
    for sample in 0..train.labels.size()[0] {
        let input = train.inputs.narrow(0, sample, 1).to_kind(network.kind()).set_requires_grad(true);
        let mut representation = input.shallow_clone();
        let logits = network
            .forward_observed(&input, Mode::Evaluate, &mut |at, output| {
                if Some(at) == node {
                    representation = output.shallow_clone();
                }
                Ok(())
            })
            .unwrap();
        representations.push(representation.detach().flatten(0, -1).to_kind(Kind::Double));
        let own = train.labels.int64_value(&[sample]);
        let row: Vec<f64> = Vec::try_from(logits.squeeze_dim(0).to_kind(Kind::Double)).unwrap();
        let strongest = (0..row.len() as i64)
            .filter(|class| *class != own)
            .max_by(|one, other| row[*one as usize].total_cmp(&row[*other as usize]))
            .unwrap();
        let difference = logits.get(0).get(own) - logits.get(0).get(strongest);
        let slope = Tensor::run_backward(&[&difference], &[&representation], false, false).remove(0);
        let norm = slope.to_kind(Kind::Double).square().sum(Kind::Double).sqrt().double_value(&[]);
        distances.push(difference.double_value(&[]) / norm);
    }
    let all = Tensor::stack(&representations, 0);
    let spread = (&all - all.mean_dim([0i64].as_slice(), true, Kind::Double)).square();
    let total = spread.sum(Kind::Double).double_value(&[]) / representations.len() as f64;
    distances.iter().map(|distance| distance / total.sqrt()).collect()
}

/// Box plots by their definition: quartiles at positions (n − 1)/4, …, whiskers to the outermost values within 1.5 boxes.
fn box_plot(mut values: Vec<f64>) -> [f64; 5] {
    values.sort_by(f64::total_cmp);
    let quartile = |number: usize| {
        let (whole, rest) = (((values.len() - 1) * number) / 4, ((values.len() - 1) * number) % 4);
        let next = values[(whole + 1).min(values.len() - 1)];
        values[whole] + (next - values[whole]) * rest as f64 / 4.0
    };
    let (q1, median, q3) = (quartile(1), quartile(2), quartile(3));
    let inside = |value: &&f64| **value >= q1 - 1.5 * (q3 - q1) && **value <= q3 + 1.5 * (q3 - q1);
    let (lowest, highest) = (values.iter().find(inside), values.iter().rev().find(inside));
    [*lowest.unwrap(), q1, median, q3, *highest.unwrap()]
}

/// A network of the contract tests whose margins have a gradient everywhere.
fn specimens() -> Vec<Specimen> {
    tiny_networks().unwrap().into_iter().filter(|specimen| specimen.classes > 1).collect()
}

#[test]
fn the_value_is_the_fit_of_signatures_by_plain_loops() {
    let fits = fits();
    let fit = fits.named("all").unwrap();
    let mut seen = 0;
    for specimen in specimens() {
        let Ok(measured) = run("linear_signature", specimen.input()) else { continue };
        // The places that another measure of the same passes names, in the network's order.
        let places = run("hidden_margin", specimen.input()).unwrap().layers;
        let last = places.len() - 1;
        let mut expected = fit.offset;
        for depth in 0..4 {
            let place = &places[(depth as f64 * last as f64 / 3.0).round() as usize].layer;
            let nodes = &specimen.network.architecture().nodes;
            let node = nodes.iter().position(|node| node.name == *place);
            assert_eq!(node.is_none(), place == "input");
            let all = distances_by_loops(&specimen.network, &specimen.train, node);
            let positive: Vec<f64> =
                all.iter().copied().filter(|distance| *distance > 0.0 && distance.is_finite()).collect();
            assert_eq!(detail(&measured, &format!("{place}/left_out")), (all.len() - positive.len()) as f64);
            for (at, (name, number)) in STATISTICS.iter().zip(box_plot(positive)).enumerate() {
                let found = detail(&measured, &format!("{place}/{name}"));
                assert!((found / number - 1.0).abs() < 1e-4, "{place}/{name}: {found} {number}");
                expected += fit.coefficients[5 * depth + at] * number.ln();
            }
        }
        assert!((measured.value - expected).abs() < 1e-3, "{} {expected}", measured.value);
        let parts: f64 = measured.layers.iter().map(|layer| layer.value).sum();
        assert!((parts + fit.offset - measured.value).abs() < 1e-9);
        seen += 1;
    }
    assert!(seen >= 3, "{seen}");
}

#[test]
fn both_measures_share_their_passes() {
    let specimen = specimens().swap_remove(0);
    let mut registry = Registry::new();
    pgdl_measure_learned::register(&mut registry).unwrap();
    pgdl_measure_margin::register(&mut registry).unwrap();
    let probe = Probe::new(specimen.input()).unwrap();
    for id in ["hidden_margin", "linear_signature"] {
        let evaluation = probe.evaluate(&registry.resolve(id).unwrap());
        assert_eq!((evaluation.passes.forward, evaluation.passes.backward), (1.0, 1.0), "{id}");
    }
    assert_eq!((probe.passes().forward, probe.passes().backward), (1.0, 1.0));
}

/// `cargo run --release -p pgdl-measure-learned --example fit_linear_signature` makes the one of the other.
#[test]
fn the_shipped_fits_are_those_of_the_shipped_signatures() {
    assert_eq!(table::write(&rows()), SIGNATURES);
    assert_eq!(table::json(&Fits::of(&rows()).unwrap()).unwrap(), FITS);
}

#[test]
fn each_fit_left_out_what_it_says() {
    let (rows, fits) = (rows(), fits());
    let zoos: BTreeSet<&str> = rows.iter().map(|row| row.zoo.as_str()).collect();
    assert_eq!(zoos, BTreeSet::from(["cifar_nin", "cifar_vgg", "fmnist_vgg", "mnist_width"]));
    let ParameterKind::Choice { options, .. } = INFO.parameters[0].kind else { panic!() };
    let names: BTreeSet<&str> = fits.fits.iter().map(|fit| fit.name.as_str()).collect();
    assert_eq!(names, options.iter().copied().filter(|option| *option != "auto").collect());
    for fit in &fits.fits {
        let left_out = fit.name.strip_prefix("without_");
        let expected: BTreeSet<&str> = zoos.iter().copied().filter(|zoo| Some(*zoo) != left_out).collect();
        assert_eq!(fit.zoos.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        // A fit of those zoos' rows alone knows nothing of the other one.
        let own: Vec<Row> = rows.iter().filter(|row| expected.contains(row.zoo.as_str())).cloned().collect();
        let alone = &Fits::of(&own).unwrap().fits[0];
        assert_eq!((&alone.coefficients, alone.offset), (&fit.coefficients, fit.offset));
    }
    let digests: BTreeSet<&str> = rows.iter().map(|row| row.digest.as_str()).collect();
    assert_eq!(digests.len(), rows.len(), "two networks that look alike");
}

/// A network that comes with pgdl, on noise of which it is always right.
fn shipped(zoo: &str, id: u64) -> ProbeInput {
    let zoo = Zoo::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_zoo").join(zoo)).unwrap();
    let network = zoo.load(id).unwrap();
    let shape = [vec![20], network.architecture().input_shape.clone()].concat();
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|at| (0.37 * (at * at % 1009) as f32).sin()).collect();
    let inputs = Tensor::from_slice(&values).reshape(&shape);
    let labels = no_grad(|| network.forward(&inputs, Mode::Evaluate)).unwrap().argmax(1, false);
    let train = Dataset::new(inputs, labels).unwrap();
    ProbeInput {
        network,
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 8,
    }
}

#[test]
fn no_network_is_valued_by_a_fit_that_saw_it() {
    for (zoo, id) in [("mnist_width", 5), ("fmnist_vgg", 0), ("cifar_nin", 31), ("cifar_vgg", 63)] {
        let measured = run("linear_signature", shipped(zoo, id)).unwrap();
        let own = format!("without_{zoo}");
        assert_eq!(measured.details.get("fit"), Some(&Detail::Text(own.clone())));
        let named = run(&format!("linear_signature:train={own}"), shipped(zoo, id)).unwrap();
        assert_eq!(named.value, measured.value);
        let other = if zoo == "cifar_vgg" { "without_cifar_nin" } else { "without_cifar_vgg" };
        for train in ["all", other] {
            match run(&format!("linear_signature:train={train}"), shipped(zoo, id)) {
                Err(MeasureError::Unavailable(reason)) => assert!(reason.contains(zoo), "{reason}"),
                unexpected => panic!("{zoo} {train}: {unexpected:?}"),
            }
        }
        // It is known as what it computes, whatever kind of numbers it is computed with.
        let network = shipped(zoo, id).network;
        let row = rows().into_iter().find(|row| row.zoo == zoo && row.network == id).unwrap();
        assert_eq!(digest(&network).unwrap(), row.digest);
        assert_eq!(digest(&network.to_kind(Kind::Double).unwrap()).unwrap(), row.digest);
    }
    // Others are valued by all of them.
    let measured = run("linear_signature", specimens()[0].input()).unwrap();
    assert_eq!(measured.details.get("fit"), Some(&Detail::Text("all".to_string())));
}

#[test]
fn where_nothing_is_right_there_is_no_value() {
    let input = shipped("mnist_width", 0);
    let labels = input.train.labels.f_add_scalar(1).unwrap().remainder(10);
    let train = Dataset::new(input.train.inputs.shallow_clone(), labels).unwrap();
    match run("linear_signature", ProbeInput { train, ..input }) {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains("no sample"), "{reason}"),
        unexpected => panic!("{unexpected:?}"),
    }
}

#[test]
fn a_damaged_table_is_named_by_its_line() {
    let damaged = SIGNATURES.replacen(",cifar_vgg", "", 1).replacen("\ncifar_vgg,1,", "\ncifar_vgg,one,", 1);
    let error = table::read(&damaged).unwrap_err();
    assert!(error.contains("cifar_vgg,one"), "{error}");
    let two: Vec<Row> = rows().into_iter().filter(|row| row.zoo.ends_with("vgg")).collect();
    assert!(Fits::of(&two).unwrap_err().contains("three zoos"));
}
