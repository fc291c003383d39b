//! Capacity measures by hand, and against the competition's own values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Padding, SeparableConv2d};
use pgdl_measure::{Measured, Probe, Registry};
use pgdl_measure_capacity::{vc_dim::vc_dim, vc_dim_fgm::vc_dim_fgm};

fn evaluate(spec: &str) -> Vec<Measured> {
    let mut registry = Registry::new();
    pgdl_measure_capacity::register(&mut registry).unwrap();
    let resolved = registry.resolve(spec).unwrap();
    let specimens = tiny_networks().unwrap();
    specimens
        .iter()
        .map(|one| Probe::new(one.input()).unwrap().evaluate(&resolved).outcome.unwrap())
        .collect()
}

fn values(spec: &str) -> Vec<f64> {
    evaluate(spec).iter().map(|measured| measured.value).collect()
}

fn multilayer(input: i64, widths: &[i64]) -> Architecture {
    let layer =
        |units: &i64| Layer::Dense(Dense { units: *units, use_bias: true, activation: Activation::Relu });
    Architecture::sequential(vec![input], widths.iter().map(layer).collect()).unwrap()
}

#[test]
fn parameters_and_depths_of_the_tiny_networks() {
    // Convolutions 3 × 3 × 3 → 4, 3 × 3 × 4 → 6, dense 6 → 5; 3 × 3 × 2 → 5 with γ and β, 3 × 3 × 5 → 4; dense 10 → 16
    // → 12 → 3; dense 12 → 13 → 11. All with biases.
    let expected = [(108 + 4) + (216 + 6) + (30 + 5), (90 + 5) + 10 + (180 + 4), 176 + 204 + 39, 169 + 154];
    assert_eq!(values("params"), expected.map(f64::from));
    assert_eq!(values("depth"), [3.0, 2.0, 3.0, 2.0]);
    let layers = &evaluate("params")[1].layers;
    let listed: Vec<(&str, f64)> = layers.iter().map(|layer| (layer.layer.as_str(), layer.value)).collect();
    assert_eq!(listed, [("conv2d", 95.0), ("batch_normalization", 10.0), ("conv2d_1", 184.0)]);
}

#[test]
fn the_bound_on_piecewise_linear_networks_by_hand() {
    // Python, from the formula, with q = [112, 222, 35], a = [8·8·4, 1·1·6, 5]; q = [95, 184], a = [6·6·5, 4·4·4]
    // (BatchNormalization folded: its γ and β are no parameters of their own); q = [176, 204, 39], a = [16, 12, 3].
    let expected = [13142.293447171509, 6082.898493392115, 12908.59006962615];
    for (value, expected) in values("vc_dim_fgm").into_iter().zip(expected) {
        assert!((value / expected - 1.0).abs() < 1e-14, "{value} {expected}");
    }
}

#[test]
fn the_bounds_grow_with_width_and_depth() {
    for bound in [vc_dim, vc_dim_fgm] {
        let value = |widths: &[i64]| bound(&multilayer(10, widths)).unwrap();
        assert!(value(&[8, 3]) < value(&[16, 3]) && value(&[16, 3]) < value(&[16, 16, 3]));
    }
}

#[test]
fn a_separable_convolution_has_two_kernels() {
    let separable = SeparableConv2d {
        filters: 4,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        depth_multiplier: 2,
        use_bias: true,
        activation: Activation::Relu,
    };
    let architecture =
        Architecture::sequential(vec![5, 5, 3], vec![Layer::SeparableConv2d(separable)]).unwrap();
    // Kernels of 3 · 3 · 3 · 2 and 6 · 4 weights, d = 2.
    let expected = 2.0 + 4.0 * (22.0f64 * 2.0 * 1024.0).ln() * (54.0 + 24.0);
    assert_eq!(vc_dim(&architecture).unwrap(), expected);
}

#[test]
fn biases_do_not_count_in_the_competitions_bound() {
    let with_bias = |use_bias: bool| {
        let conv = Conv2d {
            filters: 4,
            kernel: [3, 3],
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            groups: 1,
            use_bias,
            activation: Activation::Relu,
        };
        Architecture::sequential(vec![5, 5, 2], vec![Layer::Conv2d(conv)]).unwrap()
    };
    assert_eq!(vc_dim(&with_bias(true)).unwrap(), vc_dim(&with_bias(false)).unwrap());
    // d + 2 d ln(22 d 32²) · 3 · 3 · 2 · 4 with d = 1.
    assert_eq!(vc_dim(&with_bias(true)).unwrap(), 1.0 + 2.0 * 22528f64.ln() * 72.0);
}

#[test]
fn no_kernel_no_bound() {
    let architecture = Architecture::sequential(vec![4], vec![Layer::Activation(Activation::Relu)]).unwrap();
    assert!(vc_dim(&architecture).is_err());
    assert!(vc_dim_fgm(&architecture).is_err());
}

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

/// The starting kit's sample task: `vc_dim` and `nparams` of 18 dense networks, computed from the kit's definitions by
/// an independent reader.
#[test]
fn the_kits_sample_task_to_the_last_bit() {
    let (Some(expected), Some(zoo)) = (reference("pgdl_toy_expected.json"), reference("pgdl_toy")) else {
        return;
    };
    let expected: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    assert_eq!(expected.len(), 18);
    for (model, values) in expected {
        let config = std::fs::read_to_string(zoo.join(&model).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let layers = config["model_config"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["layer_name"] == "Dense"));
        let widths: Vec<i64> = layers.iter().map(|layer| layer["units"].as_f64().unwrap() as i64).collect();
        let architecture = multilayer(config["input_shape"][0].as_i64().unwrap(), &widths);
        assert_eq!(vc_dim(&architecture).unwrap(), values["vc_dim"].as_f64().unwrap(), "{model}");
        assert_eq!(architecture.trainable_count().unwrap(), values["nparams"].as_i64().unwrap(), "{model}");
    }
}
