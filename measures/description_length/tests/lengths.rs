//! Quantization, pruning and code lengths against plain loops and counts by hand.

use pgdl_measure::contract::{self, Specimen, tiny_networks, with_outputs};
use pgdl_measure::network::{Mode, Network, Role};
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{Dataset, Detail, Measured, Probe, ProbeInput, Registry};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_description_length::register(&mut registry).unwrap();
    registry
}

fn evaluate(spec: &str, input: ProbeInput) -> Measured {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap()).outcome.unwrap()
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

/// Each value at the nearest of `levels` points from −a to a.
fn quantized(values: &[f64], levels: i64) -> Vec<f64> {
    let a = values.iter().fold(0.0, |a: f64, value| a.max(value.abs()));
    let step = 2.0 * a / (levels - 1) as f64;
    values.iter().map(|value| ((value + a) / step).round() * step - a).collect()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

fn quantized_network(network: &Network, levels: i64) -> Network {
    network
        .map_weights(|parameter| {
            if !matches!(parameter.spec.role, Role::Kernel) {
                return Ok(parameter.tensor.shallow_clone());
            }
            let values = quantized(&values(parameter.tensor), levels);
            Ok(Tensor::from_slice(&values).reshape(parameter.tensor.size()).to_kind(parameter.tensor.kind()))
        })
        .unwrap()
}

fn outputs(network: &Network, data: &Dataset) -> Tensor {
    no_grad(|| network.forward(&data.inputs, Mode::Evaluate)).unwrap().to_kind(Kind::Double)
}

fn accuracy(network: &Network, data: &Dataset) -> f64 {
    let right = outputs(network, data).argmax(1, false).eq_tensor(&data.labels);
    right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[test]
fn the_contract_is_kept() {
    // `prequential` trains, and is checked beside its own tests.
    let registry = registry();
    let ids = registry.infos().map(|info| info.id).filter(|id| *id != "prequential");
    let violations: Vec<_> = ids.flat_map(|id| contract::check_one(&registry, id).unwrap()).collect();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

#[test]
fn the_bits_that_are_found_are_enough_and_none_less_are() {
    for Specimen { name, network, train, initial, test_inputs, .. } in tiny_networks().unwrap() {
        let network = network.fold_batch_norm().unwrap();
        let initial = initial.fold_batch_norm().unwrap();
        let specimen =
            Specimen::of(name, network.shallow_clone(), initial, train.shallow_clone(), test_inputs).unwrap();
        let measured = evaluate("quantized_bits", specimen.input());
        let levels = detail(&measured, "levels") as i64;
        assert!((measured.value - (levels as f64).log2()).abs() < 1e-12);
        let lost =
            |levels| accuracy(&network, &train) - accuracy(&quantized_network(&network, levels), &train);
        assert!(levels > 2 && lost(levels) <= 0.01 + 1e-9, "{name}: {levels}");
        assert!((2..levels).all(|fewer| lost(fewer) > 0.01 + 1e-9), "{name}: {levels}");
        assert_eq!(evaluate("quantized_bits:drop=1", specimen.input()).value, 1.0);
    }
}

/// The identity on three classes: nine weights, six of them zero.
fn identity() -> ProbeInput {
    with_outputs(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], &[0, 1, 2]).unwrap()
}

#[test]
fn pruning_the_identity() {
    for spec in ["pruning_curve", "pruning_curve:scope=network"] {
        let measured = evaluate(spec, identity());
        // Zeros cost nothing. Of the three ones two are left at 0.8, one at 0.9 and at 0.95; a sample without its weight
        // has equal outputs, and the first class wins.
        for (share, expected) in
            [(0.1, 1.0), (0.7, 1.0), (0.8, 2.0 / 3.0), (0.9, 1.0 / 3.0), (0.95, 1.0 / 3.0)]
        {
            let found = detail(&measured, &format!("accuracy_without_{share}"));
            assert!((found - expected).abs() < 1e-12, "{share}: {found}");
        }
        assert!((measured.value - (1.0 / 3.0 + 2.0 / 3.0 + 2.0 / 3.0) / 10.0).abs() < 1e-12);
    }
}

#[test]
fn pruning_the_whole_network_compares_layers() {
    // The first layer times 100: its weights go last.
    let specimen = tiny_networks().unwrap().swap_remove(2);
    let first = specimen.network.parameters().map(|parameter| parameter.node).min().unwrap();
    let scaled = specimen
        .network
        .map_weights(|parameter| {
            Ok(if parameter.node == first {
                parameter.tensor * 100.0
            } else {
                parameter.tensor.shallow_clone()
            })
        })
        .unwrap();
    let input = || ProbeInput { network: scaled.shallow_clone(), ..specimen.input() };
    let all: Vec<f64> = scaled
        .parameters()
        .filter(|parameter| parameter.spec.role == Role::Kernel)
        .flat_map(|parameter| values(parameter.tensor))
        .collect();
    let mut sorted: Vec<f64> = all.iter().map(|value| value.abs()).collect();
    sorted.sort_by(f64::total_cmp);
    let measured = evaluate("pruning_curve:scope=network", input());
    for share in [0.1, 0.5, 0.9] {
        let least = sorted[sorted.len() - (sorted.len() - (share * sorted.len() as f64 + 1e-9) as usize)];
        let pruned = scaled
            .map_weights(|parameter| {
                Ok(if parameter.spec.role == Role::Kernel {
                    parameter.tensor * parameter.tensor.abs().ge(least - 1e-9).to_kind(Kind::Float)
                } else {
                    parameter.tensor.shallow_clone()
                })
            })
            .unwrap();
        let expected = accuracy(&pruned, &specimen.train);
        assert!(
            (detail(&measured, &format!("accuracy_without_{share}")) - expected).abs() < 1e-12,
            "{share}"
        );
    }
}

#[test]
fn a_code_is_as_long_as_its_parts() {
    let specimen = tiny_networks().unwrap().swap_remove(2);
    let network = &specimen.network;
    let mut best = f64::INFINITY;
    for bits in 1..=12 {
        let levels = 1i64 << bits;
        let mut length = 0.0;
        for parameter in network.parameters() {
            if parameter.spec.role != Role::Kernel {
                length += 32.0 * parameter.tensor.numel() as f64;
                continue;
            }
            let points = quantized(&values(parameter.tensor), levels);
            let total = points.len() as f64;
            let mut sorted = points;
            sorted.sort_by(f64::total_cmp);
            let groups = sorted.chunk_by(|a, b| (a - b).abs() < 1e-9).map(|group| group.len() as f64);
            length += groups.map(|count| -count * (count / total).log2()).sum::<f64>();
            length += levels as f64 * (total + 1.0).log2() + 32.0;
        }
        let logits = outputs(&quantized_network(network, levels), &specimen.train);
        let losses =
            -logits.log_softmax(1, Kind::Double).gather(1, &specimen.train.labels.unsqueeze(1), false);
        let data = losses.mean(Kind::Double).double_value(&[]) / 2f64.ln();
        best = best.min(length / specimen.train.len() as f64 + data);
    }
    let measured = evaluate("two_part_code", specimen.input());
    assert!((measured.value / best - 1.0).abs() < 1e-6, "{} {best}", measured.value);
    let parts = detail(&measured, "network_bits_per_label") + detail(&measured, "label_bits_per_label");
    assert!((measured.value - parts).abs() < 1e-9);
}

#[test]
fn zero_weights_are_on_every_grid() {
    for specimen in tiny_networks().unwrap() {
        let dead = specimen.network.map_weights(|parameter| Ok(parameter.tensor.zeros_like())).unwrap();
        let input = || ProbeInput { network: dead.shallow_clone(), ..specimen.input() };
        assert_eq!(evaluate("quantized_bits", input()).value, 1.0);
        assert_eq!(evaluate("pruning_curve", input()).value, 0.0);
        assert!(evaluate("two_part_code", input()).value > 0.0);
    }
}
