//! The measures against their formulas, with norms from full decompositions.

use pgdl_measure::contract::{Specimen, tiny_networks, with_outputs};
use pgdl_measure::network::{Mode, Network, Role};
use pgdl_measure::tch::{self, Device, Kind, Tensor};
use pgdl_measure::{MeasureError, Measured, Probe, ProbeInput, Registry, kernels};
use pgdl_measure_spectral::LinearMap;

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_spectral::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str, specimen: &Specimen) -> f64 {
    evaluate(spec, specimen.input()).unwrap().value
}

#[track_caller]
fn close(what: &str, value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{what}: {value} is not {expected}");
}

/// Per layer: ‖W‖₂² of the operator, ‖W‖²_F of the kernel, of W or of W − W⁰.
fn squares(specimen: &Specimen, change: bool) -> Vec<[f64; 2]> {
    let (network, initial) =
        (specimen.network.fold_batch_norm().unwrap(), specimen.initial.fold_batch_norm().unwrap());
    let pairs = kernels(&network).into_iter().zip(kernels(&initial));
    pairs
        .map(|(now, then)| {
            let difference = now.tensor.to_kind(Kind::Double) - then.tensor.to_kind(Kind::Double);
            let tensor = if change { difference } else { now.tensor.to_kind(Kind::Double) };
            let map = LinearMap::of(&network, &now, &tensor).unwrap();
            let shape = [&[map.inputs()], map.input_shape()].concat();
            let units = Tensor::eye(map.inputs(), (Kind::Double, Device::Cpu)).reshape(shape);
            let matrix = map.apply(&units).unwrap().flatten(1, -1);
            let largest = matrix.svd(true, false).1.max().double_value(&[]);
            [largest * largest, tensor.square().sum(Kind::Double).double_value(&[])]
        })
        .collect()
}

/// The 10th percentile of the margins, by sorting.
fn gamma(specimen: &Specimen) -> f64 {
    let logits = tch::no_grad(|| specimen.network.forward(&specimen.train.inputs, Mode::Evaluate)).unwrap();
    let labels = Vec::<i64>::try_from(&specimen.train.labels).unwrap();
    let mut margins: Vec<f64> = labels
        .iter()
        .enumerate()
        .map(|(sample, label)| {
            let row = Vec::<f64>::try_from(&logits.get(sample as i64).to_kind(Kind::Double)).unwrap();
            let others = (0..row.len()).filter(|class| *class as i64 != *label).map(|class| row[class]);
            row[*label as usize] - others.fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    margins.sort_by(f64::total_cmp);
    let position = 0.1 * (margins.len() - 1) as f64;
    let (below, part) = (position as usize, position.fract());
    margins[below] * (1.0 - part) + margins[below + 1] * part
}

#[test]
fn measures_agree_with_their_formulas() {
    for specimen in tiny_networks().unwrap() {
        let (weights, changes) = (squares(&specimen, false), squares(&specimen, true));
        let count = weights.len() as f64;
        let product: f64 = weights.iter().map(|[spectral, _]| spectral.ln()).sum();
        let ratios: f64 = weights.iter().map(|[spectral, frobenius]| frobenius / spectral).sum();
        let distance: f64 = changes.iter().map(|[spectral, _]| spectral).sum();
        let distances: f64 =
            weights.iter().zip(&changes).map(|([spectral, _], [_, frobenius])| frobenius / spectral).sum();
        let gamma = gamma(&specimen);
        let square = gamma * gamma;
        assert!(gamma > 0.0);
        for (spec, expected) in [
            ("spectral_product", product),
            ("spectral_product_over_margin", product - square.ln()),
            ("spectral_sum", count.ln() + product / count),
            ("spectral_sum_over_margin", count.ln() + (product - square.ln()) / count),
            ("spectral_distance", distance),
            ("spectral_distance_over_margin", distance / square),
            ("fro_over_spec", ratios),
            ("fro_over_spec_over_margin", ratios / square),
            ("spectral_orig", product + ratios.ln() - square.ln()),
            ("spectral_init", product + distances.ln() - square.ln()),
        ] {
            close(&format!("{spec} of {}", specimen.name), value(spec, &specimen), expected);
        }
    }
}

#[test]
fn all_norms_agree_where_every_layer_is_dense() {
    let perceptron = &tiny_networks().unwrap()[2];
    for spec in ["spectral_product", "spectral_distance", "fro_over_spec", "spectral_init"] {
        let operator = value(spec, perceptron);
        for norm in ["fft", "reshape"] {
            close(spec, value(&format!("{spec}:norm={norm}"), perceptron), operator);
        }
    }
}

/// A circular convolution with stride 1 has every value of one with zeros around it, and more.
#[test]
fn the_circular_norm_is_no_smaller_than_that_of_a_valid_convolution() {
    for specimen in tiny_networks().unwrap() {
        let parts = |spec: &str| evaluate(spec, specimen.input()).unwrap().layers;
        let (operator, circular) = (parts("spectral_product"), parts("spectral_product:norm=fft"));
        let layers = specimen.network.fold_batch_norm().unwrap();
        for ((own, wrapped), kernel) in operator.iter().zip(&circular).zip(kernels(&layers)) {
            assert_eq!(own.layer, kernel.name);
            let valid = matches!(kernel.layer, pgdl_measure::network::Layer::Conv2d(conv)
                if conv.padding == pgdl_measure::network::Padding::Valid);
            assert!(!valid || wrapped.value >= own.value - 1e-6, "{}", own.layer);
        }
    }
}

fn reason(spec: &str, input: ProbeInput) -> String {
    match evaluate(spec, input) {
        Err(MeasureError::Undefined(reason)) => reason,
        other => panic!("{spec}: {other:?}"),
    }
}

fn with_kernel(specimen: &Specimen, change: impl Fn(&Tensor) -> Tensor) -> ProbeInput {
    let network: Network = specimen
        .network
        .map_weights(|parameter| {
            let first = parameter.node == 0 && parameter.spec.role == Role::Kernel;
            Ok(if first { change(parameter.tensor) } else { parameter.tensor.shallow_clone() })
        })
        .unwrap();
    ProbeInput { network, ..specimen.input() }
}

#[test]
fn zero_weights_leave_no_logarithm_and_no_ratio() {
    let specimen = &tiny_networks().unwrap()[2];
    for spec in ["spectral_product", "spectral_sum", "fro_over_spec"] {
        for norm in ["operator", "fft", "reshape"] {
            let input = with_kernel(specimen, Tensor::zeros_like);
            let reason = reason(&format!("{spec}:norm={norm}"), input);
            assert!(reason.contains("`dense` is zero"), "{reason}");
        }
    }
    assert!(evaluate("spectral_distance", with_kernel(specimen, Tensor::zeros_like)).is_ok());
}

#[test]
fn weights_that_are_no_numbers_have_no_norm() {
    let specimen = &tiny_networks().unwrap()[0];
    for norm in ["operator", "fft", "reshape"] {
        let input = with_kernel(specimen, |kernel| kernel * f64::NAN);
        let reason = reason(&format!("spectral_product:norm={norm}"), input);
        assert!(reason.contains("not finite"), "{reason}");
    }
}

#[test]
fn weights_of_any_size_have_a_norm() {
    let specimen = &tiny_networks().unwrap()[2];
    let usual = value("spectral_product", specimen);
    for factor in [1e-30, 1e30] {
        let scaled = with_kernel(specimen, |kernel| kernel * factor);
        let measured = evaluate("spectral_product", scaled).unwrap().value;
        close("scaled", measured, usual + 2.0 * f64::from(factor as f32).ln());
    }
}

#[test]
fn a_margin_of_zero_or_less_divides_nothing() {
    // Right, wrong, wrong: the 10th percentile is negative.
    let input = || with_outputs(&[[2.0, 1.0], [0.0, 1.0], [0.0, 3.0]], &[0, 0, 0]).unwrap();
    for spec in [
        "spectral_product_over_margin",
        "spectral_sum_over_margin",
        "fro_over_spec_over_margin",
        "spectral_orig",
    ] {
        assert!(reason(spec, input()).contains("needs γ > 0"), "{spec}");
        assert!(evaluate(&format!("{spec}:variant=as_coded"), input()).is_ok(), "{spec}");
    }
}

#[test]
fn untrained_weights_have_no_distance_to_take_the_logarithm_of() {
    let specimen = &tiny_networks().unwrap()[2];
    let input = || ProbeInput { initial: Some(specimen.network.shallow_clone()), ..specimen.input() };
    assert_eq!(evaluate("spectral_distance", input()).unwrap().value, 0.0);
    assert!(reason("spectral_init", input()).contains("initial ones"));
    let without = ProbeInput { initial: None, ..specimen.input() };
    assert!(matches!(evaluate("spectral_distance", without), Err(MeasureError::Unavailable(_))));
}
