//! Persistent homology of the neurons of the small network, against SciPy and GUDHI, and where it has no value.

use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Measured, ProbeInput};

mod small_network;
use small_network::*;

fn of(parameters: &str) -> Measured {
    evaluate(&format!("persistent_homology:{parameters}"), input(&points(), &LABELS)).unwrap()
}

#[test]
fn summaries_agree_with_scipy_and_gudhi() {
    // All 13 neurons. Correlations by NumPy 2.4.6, the tree by SciPy 1.17.1 (minimum_spanning_tree), holes by GUDHI 3.13.0.
    let components = [
        ("life", -0.21471606125),
        ("midlife", -0.107358030625),
        ("death", -0.21471606125),
        ("deviation", -0.11704968162701106),
        ("entropy", -2.324126064096785),
    ];
    let holes = [
        ("life", -0.231733255),
        ("midlife", -0.5344286941666667),
        ("death", -0.6502953216666666),
        ("deviation", -0.04604951552609905),
        ("entropy", -1.064928023370491),
    ];
    for (dimension, expected, classes) in [(0, components, 12.0), (1, holes, 3.0)] {
        for (summary, value) in expected {
            let measured = of(&format!("dimension={dimension},summary={summary}"));
            // Dissimilarities are rounded to 1e-9.
            assert!((measured.value - value).abs() < 3e-9, "{dimension} {summary}: {}", measured.value);
            assert_eq!(detail(&measured, "classes"), classes);
            assert_eq!(detail(&measured, "neurons"), 13.0);
            assert_eq!(detail(&measured, "constant_neurons"), 0.0);
            // All neurons are taken: nothing is random.
            assert_eq!(measured.standard_error, None);
        }
    }
}

#[test]
fn every_layer_has_its_share_of_the_neurons() {
    let measured = of("neurons=6");
    assert_eq!(detail(&measured, "neurons"), 6.0);
    assert!(measured.standard_error.unwrap() > 0.0);
    // 4, 5 of 6, and 3.
    assert_eq!(detail(&of("neurons=12"), "neurons"), 12.0);
    // One of each layer, and what is left from the widest.
    assert_eq!(detail(&of("neurons=4"), "neurons"), 4.0);
}

/// 4 → `width` → 3 with given first weights; the inputs are no neurons.
fn with_hidden(width: i64, weight: impl Fn(i64, i64) -> f64) -> ProbeInput {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: false, activation });
    let layers = vec![dense(width, Activation::Relu), dense(3, Activation::Linear)];
    let first: Vec<f64> =
        (0..4).flat_map(|i| (0..width).map(move |j| (i, j))).map(|(i, j)| weight(i, j)).collect();
    let weights = vec![
        vec![Tensor::from_slice(&first).reshape([4, width])],
        vec![Tensor::ones([width, 3], (Kind::Double, Device::Cpu))],
    ];
    let network = Network::new(Architecture::sequential(vec![4], layers).unwrap(), weights).unwrap();
    ProbeInput { network, ..input(&points(), &LABELS) }
}

#[test]
fn constant_neurons_are_left_out_and_counted() {
    // Five of the eight hidden neurons are dead.
    let weight = |i: i64, j: i64| if j < 3 { f64::from(u8::from(i == j)) } else { 0.0 };
    let measured = evaluate("persistent_homology", with_hidden(8, weight)).unwrap();
    assert_eq!(detail(&measured, "constant_neurons"), 5.0);
    assert_eq!(detail(&measured, "neurons"), 6.0);
    // The three outputs are one and the same: three classes of no length.
    assert_eq!(detail(&measured, "classes"), 3.0);
}

#[test]
fn dead_and_collinear_layers_have_no_classes() {
    let no_class = |spec: &str, input: ProbeInput| undefined(spec, input, "no class of dimension");
    no_class("persistent_homology", with_hidden(5, |_, _| 0.0));
    undefined("persistent_homology", with_hidden(5, |_, _| 0.0), "8 are constant");
    // One live neuron and the outputs that copy it.
    no_class("persistent_homology", with_hidden(3, |i, j| f64::from(u8::from(i == 0 && j == 0))));
    no_class("persistent_homology:dimension=1", with_hidden(2, |i, j| f64::from(u8::from(i == j))));
    no_class("persistent_homology", input(&[0.5; 96], &LABELS));
    // Two samples correlate everything.
    no_class("persistent_homology", input(&points()[..8], &LABELS[..2]));
}
