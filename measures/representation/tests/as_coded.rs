//! The third place of the competition as its program computed it, against NumPy with the same thresholds, directions and
//! units on the small network.

use pgdl_measure::{MeasureError, ProbeInput};

mod small_network;
use small_network::*;

#[test]
fn rates_and_worst_cases_agree_with_numpy() {
    let vr = evaluate("vr:variant=as_coded", input(&points(), &LABELS)).unwrap();
    close(vr.value, 0.00050946022558);
    let of_layers: Vec<f64> = vr.layers.iter().map(|layer| layer.value).collect();
    for (found, expected) in of_layers.iter().zip([0.00079765002502, 0.00153914899244, 0.0012617275087]) {
        close(*found, expected);
    }
    // The last 3 / 3 + 1 layers.
    let wcv = evaluate("wcv:variant=as_coded", input(&points(), &LABELS)).unwrap();
    close(wcv.value, 0.008878679656440356);
    assert_eq!(wcv.layers.len(), 2);
    close(wcv.layers[0].value, 0.006464466094067263);
}

#[test]
fn variations_of_mixtures_agree_with_a_simulation() {
    // NumPy: 400 graphs have the mean 0.043439 ± 0.000174 and the standard deviation 0.003471.
    let measured = evaluate("vpm:variant=as_coded,graphs=60", input(&points(), &LABELS)).unwrap();
    let error = (measured.value - 0.043424).abs();
    assert!(
        error < 3.0 * (0.003471f64.powi(2) * 1.571 * (1.0 / 60.0 + 1.0 / 400.0)).sqrt(),
        "{}",
        measured.value
    );
    // NumPy: the median of 20 000 graphs of the definition is 8.1308 ± 0.0153, the standard deviation 1.7291.
    let measured = evaluate("vpm:graphs=400", input(&points(), &LABELS)).unwrap();
    let error = (measured.value - 8.1308).abs();
    assert!(
        error < 3.0 * (1.7291f64.powi(2) * 1.571 / 400.0 + 0.0153f64.powi(2)).sqrt(),
        "{}",
        measured.value
    );
}

#[test]
fn one_graph_has_no_standard_error_and_many_have() {
    let single = evaluate("vpm:variant=as_coded,graphs=1", input(&points(), &LABELS)).unwrap();
    assert_eq!(single.standard_error, None);
    let eighty = evaluate("vpm:variant=as_coded", input(&points(), &LABELS)).unwrap();
    let asked = evaluate("vpm:variant=as_coded,graphs=80", input(&points(), &LABELS)).unwrap();
    assert!(eighty.standard_error.unwrap() > 0.0);
    // 0.003471 √(π/2) / √80, from 80 draws: known to 8 %.
    for measured in [&eighty, &asked] {
        let ratio = measured.standard_error.unwrap() / 0.000486;
        assert!((0.7..1.3).contains(&ratio), "{ratio}");
    }
}

#[test]
fn published_sizes_are_not_to_be_changed() {
    for spec in ["vpm:samples=100", "vr:samples=100", "vr:k=3", "wcv:samples=100", "wcv:k=3"] {
        let error = registry().resolve(&format!("{spec},variant=as_coded")).err().unwrap();
        assert!(error.to_string().contains("its own sizes"), "{error}");
    }
}

#[test]
fn degenerate_samples_have_no_value_and_a_reason() {
    let coded = |id: &str| format!("{id}:variant=as_coded");
    for id in ["vpm", "vr", "wcv"] {
        undefined(&coded(id), input(&[0.0; 96], &LABELS), "zero on every sample");
    }
    // Copies of one input, and mixtures of them.
    for id in ["vpm", "wcv"] {
        undefined(&coded(id), input(&[0.5; 96], &LABELS), "the same on every sample");
    }
    undefined(&coded("vpm"), input(&points(), &[1; 24]), "class 0 has no sample");
    undefined(&coded("vr"), input(&points()[..80], &LABELS[..20]), "20 neighbours");
    undefined(&coded("wcv"), input(&points()[..4], &LABELS[..1]), "1 neighbours");
    // One class varies nowhere, but for the normalization by unequal degrees.
    close(evaluate(&coded("vr"), input(&points(), &[1; 24])).unwrap().value, 0.0);
    assert!(evaluate(&coded("wcv"), input(&points(), &[1; 24])).is_ok());
    for id in ["vpm", "vr", "wcv"] {
        let broken = ProbeInput { network: with_weights_of(f64::NAN), ..input(&points(), &LABELS) };
        match evaluate(&coded(id), broken) {
            Err(MeasureError::Undefined(reason)) => assert!(reason.contains("not finite"), "{reason}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}
