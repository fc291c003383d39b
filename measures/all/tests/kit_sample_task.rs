//! The sample task of the competition's starting kit: 18 dense networks in real HDF5 and TFRecord files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pgdl_measure::tch::Kind;
use pgdl_measure::{Evaluation, MeasureError, Probe, ProbeInput, Registry};
use pgdl_zoo::Zoo;

fn reference(name: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("PGDL_REFERENCE") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"),
    };
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    registry
}

fn probe(zoo: &Zoo, id: u64, kind: Kind) -> Probe {
    let train = zoo.train_data().unwrap();
    Probe::new(ProbeInput {
        network: zoo.load(id).unwrap().to_kind(kind).unwrap(),
        network_id: id,
        initial: zoo.load_initial(id).unwrap(),
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 64,
    })
    .unwrap()
}

fn evaluate(registry: &Registry, probe: &Probe, spec: &str) -> Evaluation {
    probe.evaluate(&registry.resolve(spec).unwrap())
}

fn value(registry: &Registry, probe: &Probe, spec: &str) -> f64 {
    evaluate(registry, probe, spec).outcome.unwrap().value
}

#[track_caller]
fn close(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!((value / expected - 1.0).abs() <= tolerance, "{what}: {value} is not {expected}");
}

/// `pgdl_toy_expected.json` was made by an independent reader and forward pass in f64.
#[test]
fn the_kits_baselines_and_controls() {
    let (Some(expected), Some(zoo)) = (reference("pgdl_toy_expected.json"), reference("pgdl_toy")) else {
        return;
    };
    let expected: BTreeMap<String, BTreeMap<String, f64>> =
        serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let (zoo, registry) = (Zoo::open(&zoo).unwrap(), registry());
    assert_eq!(zoo.networks().len(), 18);
    for network in zoo.networks() {
        let probe = probe(&zoo, network.id, Kind::Float);
        let measured = |spec: &str| value(&registry, &probe, spec);
        let expected = &expected[&format!("model_{}", network.id)];
        assert_eq!(measured("vc_dim"), expected["vc_dim"]);
        assert_eq!(measured("params"), expected["nparams"]);
        close("train_error", 1.0 - measured("train_error"), expected["train_acc"], 1e-15);
        close("l2_norm", measured("l2_norm"), expected["l2norm_sq"], 1e-12);
        close("distance_from_init", measured("distance_from_init"), expected["dist_init_sq"], 1e-12);
        // The forward pass is in f32 here.
        for spec in ["train_loss", "cross_entropy"] {
            close(spec, measured(spec), expected["train_ce"], 1e-5);
        }
    }
}

/// Networks, and values of measures on them.
const GOLDEN: [(u64, [(&str, f64); 11]); 3] = [
    (
        0,
        [
            ("jacobian_norm", 0.038931488519444606),
            ("jacobian_norm:variant=as_coded", 0.03890746613122156),
            ("margin", 0.01306268335691802),
            ("confidence", 0.5431157359373607),
            ("negative_entropy", -0.6879943495360714),
            ("expected_calibration_error", 0.33188426406263927),
            ("param_norm", 9.101408750206232),
            ("frobenius_distance", 0.25723950291292474),
            ("frobenius_product", 2.976829376988073),
            ("l1_inf_product", 3.928062960355131),
            ("l3_15_product", 3.1499887436880574),
        ],
    ),
    (
        5,
        [
            ("jacobian_norm", 3.048114370502367),
            ("jacobian_norm:variant=as_coded", 3.0484930685857345),
            ("margin", -0.6471465629175144),
            ("confidence", 0.8865147727586709),
            ("negative_entropy", -0.26241503824321866),
            ("expected_calibration_error", 0.09848522724132919),
            ("param_norm", 144.23843110170895),
            ("frobenius_distance", 4.048676977843802),
            ("frobenius_product", 11.742631940450249),
            ("l1_inf_product", 13.044853299510198),
            ("l3_15_product", 12.226729983260261),
        ],
    ),
    (
        16,
        [
            ("jacobian_norm", 9.979545237116353),
            ("jacobian_norm:variant=as_coded", 9.910174029606813),
            ("margin", -1.3861852342477647),
            ("confidence", 0.9564726258702027),
            ("negative_entropy", -0.10522042868636267),
            ("expected_calibration_error", 0.043527374129797194),
            ("param_norm", 556.9167550707732),
            ("frobenius_distance", 29.505820144877667),
            ("frobenius_product", 14.80840649606814),
            ("l1_inf_product", 15.70148767487612),
            ("l3_15_product", 15.323679418445698),
        ],
    ),
];

/// The golden values come from NumPy in f64: h5py for the weights, a reader of the TFRecord bytes of its own, Jacobians
/// by the chain rule layer by layer, `numpy.percentile`, bins by boolean masks.
#[test]
fn golden_values_from_numpy() {
    let Some(zoo) = reference("pgdl_toy") else { return };
    let (zoo, registry) = (Zoo::open(&zoo).unwrap(), registry());
    for (id, values) in GOLDEN {
        let probe = probe(&zoo, id, Kind::Double);
        for (spec, expected) in values {
            close(&format!("{spec} of network {id}"), value(&registry, &probe, spec), expected, 1e-11);
        }
    }
}

/// SciPy's bounded scalar minimization of the loss over ln T, which finds a minimum to about 1e-8.
#[test]
fn temperatures_from_scipy() {
    let Some(zoo) = reference("pgdl_toy") else { return };
    let (zoo, registry) = (Zoo::open(&zoo).unwrap(), registry());
    for (id, expected) in [(0, 0.06496421433229951), (5, 0.18532757253950005), (17, 0.2520007591425611)] {
        let probe = probe(&zoo, id, Kind::Double);
        close(&format!("network {id}"), value(&registry, &probe, "temperature"), expected, 1e-6);
    }
    // Network 16 is right on every sample.
    let perfect = evaluate(&registry, &probe(&zoo, 16, Kind::Double), "temperature");
    assert!(matches!(perfect.outcome, Err(MeasureError::Undefined(_))));
}
