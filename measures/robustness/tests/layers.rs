//! Layers set back and drawn afresh, against networks put together by hand.

use pgdl_measure::contract::{self, Specimen, spread_over_seeds, tiny_networks};
use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Dataset, Evaluation, MeasureError, Measured, Probe, ProbeInput, Registry};

fn registry() -> Registry {
    let mut registry = Registry::new();
    pgdl_measure_robustness::register(&mut registry).unwrap();
    registry
}

fn run(spec: &str, input: ProbeInput) -> Evaluation {
    Probe::new(input).unwrap().evaluate(&registry().resolve(spec).unwrap())
}

fn evaluate(spec: &str, input: ProbeInput) -> Measured {
    run(spec, input).outcome.unwrap()
}

/// The specimen with its own decisions for labels, so that the network is always right.
fn right(specimen: &Specimen) -> ProbeInput {
    let inputs = specimen.train.inputs.shallow_clone();
    let labels = outputs(&specimen.network, &inputs).argmax(1, false);
    ProbeInput { train: Dataset { inputs, labels }, ..specimen.input() }
}

fn outputs(network: &Network, inputs: &Tensor) -> Tensor {
    pgdl_measure::tch::no_grad(|| network.forward(inputs, Mode::Evaluate)).unwrap()
}

fn accuracy(network: &Network, data: &Dataset) -> f64 {
    let right = outputs(network, &data.inputs).argmax(1, false).eq_tensor(&data.labels);
    right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[test]
fn the_contract_is_kept() {
    let violations = contract::check(&registry()).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
}

#[test]
fn a_layer_set_back_gives_the_accuracy_of_the_network_with_its_initial_weights() {
    for specimen in tiny_networks().unwrap() {
        let input = right(&specimen);
        let train = input.train.shallow_clone();
        let (network, initial) =
            (specimen.network.fold_batch_norm().unwrap(), specimen.initial.fold_batch_norm().unwrap());
        let mut expected = Vec::new();
        for (node, tensors) in network.weights().iter().enumerate() {
            if tensors.is_empty() {
                continue;
            }
            let mixed = network
                .map_weights(|parameter| {
                    let from = if parameter.node == node { &initial } else { &network };
                    Ok(from.weights()[parameter.node][parameter.index].shallow_clone())
                })
                .unwrap();
            expected.push(accuracy(&mixed, &train));
        }
        let measured = evaluate("layer_reinit", input);
        let found: Vec<f64> = measured.layers.iter().map(|layer| layer.value).collect();
        assert_eq!(found, expected, "{}", specimen.name);
        let layers = expected.len() as f64;
        let lost = expected.iter().map(|accuracy| 1.0 - accuracy).sum::<f64>() / layers;
        assert!((measured.value - lost).abs() < 1e-12);
        let critical = expected.iter().filter(|accuracy| 1.0 - **accuracy > 0.3).count() as f64;
        let share = evaluate("layer_reinit:value=critical_share,drop=0.3", right(&specimen)).value;
        assert!((share - critical / layers).abs() < 1e-12);
    }
}

#[test]
fn an_untrained_network_loses_nothing_by_going_back() {
    for specimen in tiny_networks().unwrap() {
        let untrained = Specimen { network: specimen.initial.shallow_clone(), ..specimen };
        for id in ["layer_reinit", "layer_reinit:value=critical_share", "module_criticality"] {
            assert_eq!(evaluate(id, right(&untrained)).value, 0.0, "{id} {}", untrained.name);
        }
    }
}

#[test]
fn a_layer_drawn_afresh_has_the_initial_values_in_another_order() {
    // With all initial values of a tensor alike, every draw is the initial layer.
    for specimen in tiny_networks().unwrap() {
        let flat = specimen
            .initial
            .map_weights(|parameter| {
                Ok(parameter.tensor.full_like(parameter.tensor.mean(Kind::Float).double_value(&[])))
            })
            .unwrap();
        let flat = Specimen { initial: flat, ..specimen };
        let back = evaluate("layer_reinit", right(&flat));
        let fresh = evaluate("layer_rerandomize", right(&flat));
        assert!((back.value - fresh.value).abs() < 1e-12, "{}", flat.name);
        assert!(fresh.standard_error.unwrap() < 1e-12);
    }
    let specimen = tiny_networks().unwrap().swap_remove(0);
    let fresh = evaluate("layer_rerandomize:draws=50", right(&specimen));
    let again = evaluate("layer_rerandomize:draws=51", right(&specimen));
    let error = fresh.standard_error.unwrap();
    // The parameters are part of the seed: these are draws of their own.
    assert!(error > 0.0 && (fresh.value - again.value).abs() < 4.0 * 2f64.sqrt() * error);
}

#[test]
fn criticality_is_zero_only_where_there_is_nothing_to_keep() {
    for specimen in tiny_networks().unwrap() {
        let measured = evaluate("module_criticality:error=0.2", right(&specimen));
        let sum: f64 = measured.layers.iter().map(|layer| layer.value).sum();
        assert!((measured.value - sum).abs() < 1e-9 * sum && sum >= 0.0);
        // More error allowed, less to keep.
        let more = evaluate("module_criticality:error=0.5", right(&specimen)).value;
        assert!(more <= measured.value * 1.11, "{more} {}", measured.value);
        let all = evaluate("module_criticality:error=1", right(&specimen)).value;
        assert_eq!(all, 0.0);
    }
    let specimen = tiny_networks().unwrap().swap_remove(0);
    let wrong = ProbeInput {
        train: Dataset { labels: (right(&specimen).train.labels + 1).remainder(5), ..right(&specimen).train },
        ..right(&specimen)
    };
    assert!(matches!(run("module_criticality", wrong).outcome, Err(MeasureError::Undefined(_))));
}

#[test]
fn without_initial_weights_there_is_nothing_to_go_back_to() {
    let specimen = tiny_networks().unwrap().swap_remove(0);
    for id in ["layer_reinit", "layer_rerandomize", "module_criticality"] {
        let input = ProbeInput { initial: None, ..right(&specimen) };
        assert!(matches!(run(id, input).outcome, Err(MeasureError::Unavailable(_))), "{id}");
    }
}

/// Over seeds, that is over draws, values spread as their standard errors say: 40 of them tell a variance to √(2/39), and claims come
/// from 16 draws and a slope.
#[test]
fn standard_errors_are_the_spread_over_seeds() {
    for specimen in tiny_networks().unwrap() {
        for spec in ["module_criticality:draws=16", "layer_rerandomize:draws=8"] {
            let spread = spread_over_seeds(&registry(), spec, 40, || right(&specimen)).unwrap();
            assert!((0.4..2.2).contains(&spread.ratio()), "{} {spec}: {spread:?}", specimen.name);
        }
    }
}
