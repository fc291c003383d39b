//! Norms against plain loops and closed forms.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::{Network, Role};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Measured, Probe, ProbeInput, Registry};
use pgdl_measure_norms::log_squared_group_norm;

fn evaluate(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_norms::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn value(spec: &str, input: ProbeInput) -> f64 {
    evaluate(spec, input).unwrap().value
}

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance * expected.abs().max(1.0), "{value} {expected}");
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// Kernels of a network as (numbers in Keras's order, units): the last axis runs over the units.
fn kernels(network: &Network) -> Vec<(Vec<f64>, usize)> {
    let weights = network.parameters().filter(|parameter| parameter.spec.role == Role::Kernel);
    weights.map(|one| (numbers(one.tensor), *one.spec.shape.last().unwrap() as usize)).collect()
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

/// ‖W‖_{p,q} by its definition.
fn group_norm(values: &[f64], units: usize, p: f64, q: f64) -> f64 {
    let mut per_unit = vec![0.0; units];
    for (position, value) in values.iter().enumerate() {
        per_unit[position % units] += value.abs().powf(p);
    }
    let norms = per_unit.into_iter().map(|sum: f64| sum.powf(1.0 / p));
    if q.is_infinite() {
        norms.fold(0.0, f64::max)
    } else {
        norms.map(|norm| norm.powf(q)).sum::<f64>().powf(1.0 / q)
    }
}

/// The networks without BatchNormalization: folding leaves them as they are.
fn plain() -> Vec<Specimen> {
    tiny_networks().unwrap().into_iter().filter(|specimen| specimen.normalized.is_none()).collect()
}

fn with_batch_norm() -> Specimen {
    tiny_networks().unwrap().swap_remove(1)
}

#[test]
fn l2_and_distance_run_over_every_tensor() {
    for specimen in tiny_networks().unwrap() {
        let all: f64 = specimen.network.parameters().map(|one| squares(&numbers(one.tensor))).sum();
        close(value("l2_norm", specimen.input()), all, 1e-12);
        let pairs = specimen.network.parameters().zip(specimen.initial.parameters());
        let distance: f64 = pairs
            .flat_map(|(now, then)| numbers(now.tensor).into_iter().zip(numbers(then.tensor)))
            .map(|(now, then)| (now - then) * (now - then))
            .sum();
        close(value("distance_from_init", specimen.input()), distance, 1e-12);
    }
}

#[test]
fn measures_of_kernels_agree_with_plain_loops() {
    for specimen in plain() {
        let layers = kernels(&specimen.network);
        let initial = kernels(&specimen.initial);
        let count = layers.len() as f64;
        let norms: Vec<f64> = layers.iter().map(|(values, _)| squares(values)).collect();
        let product: f64 = norms.iter().map(|norm| norm.ln()).sum();
        let distances = layers.iter().zip(&initial).map(|((now, _), (then, _))| {
            squares(&now.iter().zip(then).map(|(now, then)| now - then).collect::<Vec<_>>())
        });
        close(value("param_norm", specimen.input()), norms.iter().sum(), 1e-12);
        close(value("frobenius_distance", specimen.input()), distances.sum(), 1e-12);
        close(value("frobenius_product", specimen.input()), product, 1e-12);
        close(value("frobenius_sum", specimen.input()), count.ln() + product / count, 1e-12);
        let group = |p: f64, q: f64| -> f64 {
            layers.iter().map(|(values, units)| 2.0 * group_norm(values, *units, p, q).ln()).sum()
        };
        close(value("l1_inf_product", specimen.input()), group(1.0, f64::INFINITY), 1e-12);
        close(value("l3_15_product", specimen.input()), group(3.0, 1.5), 1e-12);
    }
}

#[test]
fn layers_are_listed_with_their_parts() {
    let specimen = &plain()[0];
    let measured = evaluate("param_norm", specimen.input()).unwrap();
    let names: Vec<&str> = measured.layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["conv2d", "conv2d_1", "dense"]);
    close(measured.layers.iter().map(|layer| layer.value).sum(), measured.value, 1e-14);
}

#[test]
fn batch_normalization_is_folded_into_the_kernel() {
    let specimen = with_batch_norm();
    let tensors = specimen.network.weights();
    let [gamma, _beta, _mean, variance] = &tensors[1][..] else {
        panic!("a BatchNormalization has four tensors")
    };
    // Channel c of the kernel times γ_c / √(variance_c + ε).
    let factors: Vec<f64> = numbers(gamma)
        .iter()
        .zip(numbers(variance))
        .map(|(gamma, variance)| gamma / (variance + specimen.normalized.unwrap().2).sqrt())
        .collect();
    let folded: Vec<f64> = numbers(&tensors[0][0])
        .iter()
        .enumerate()
        .map(|(position, value)| value * factors[position % factors.len()])
        .collect();
    let expected = squares(&folded) + squares(&numbers(&tensors[3][0]));
    // The folded kernel is rounded to f32.
    close(value("param_norm", specimen.input()), expected, 1e-6);
}

#[test]
fn a_distance_without_beginning_is_unavailable() {
    for spec in ["distance_from_init", "frobenius_distance"] {
        let without = ProbeInput { initial: None, ..plain()[0].input() };
        assert!(matches!(evaluate(spec, without), Err(MeasureError::Unavailable(_))), "{spec}");
    }
}

#[test]
fn a_layer_of_zeros_leaves_no_logarithm() {
    let specimen = &plain()[1];
    let zeroed = || {
        let network = specimen.network.map_weights(|parameter| {
            let first = parameter.node == 0 && parameter.spec.role == Role::Kernel;
            Ok(if first { parameter.tensor.zeros_like() } else { parameter.tensor.shallow_clone() })
        });
        ProbeInput { network: network.unwrap(), ..specimen.input() }
    };
    for spec in ["frobenius_product", "frobenius_sum", "l1_inf_product", "l3_15_product"] {
        match evaluate(spec, zeroed()) {
            Err(MeasureError::Undefined(reason)) => assert!(reason.contains("`dense`"), "{reason}"),
            other => panic!("{spec}: {other:?}"),
        }
    }
    assert!(evaluate("param_norm", zeroed()).is_ok());
}

#[test]
fn group_norms_in_closed_form() {
    // 4 × 3 ones: each unit has p-norm 4^{1/p}, so ‖W‖_{p,q} = 4^{1/p} 3^{1/q}.
    let ones = Tensor::ones([4, 3], (Kind::Float, pgdl_measure::tch::Device::Cpu));
    for (p, q) in [(1.0, f64::INFINITY), (3.0, 1.5), (2.0, 2.0), (1.0, 1.0)] {
        let expected = 2.0 * (4f64.ln() / p + 3f64.ln() / q);
        close(log_squared_group_norm(&ones, p, q).unwrap(), expected, 1e-14);
        // Homogeneous, also where powers would overflow or vanish.
        for factor in [1e-30, 1e30] {
            let scaled = (&ones * factor).to_kind(Kind::Float);
            let exact = f64::from(factor as f32);
            close(log_squared_group_norm(&scaled, p, q).unwrap(), expected + 2.0 * exact.ln(), 1e-14);
        }
    }
}
