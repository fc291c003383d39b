//! Hidden activations against scikit-learn and NumPy, closed forms, and degenerate input.

use pgdl_measure::ProbeInput;
use pgdl_measure::contract::tiny_networks;

mod small_network;
use small_network::*;

const FAMILY: [&str; 10] = [
    "davies_bouldin",
    "cdnv",
    "neural_collapse",
    "two_nn",
    "cka",
    "label_variation",
    "vpm",
    "vr",
    "wcv",
    "persistent_homology",
];

#[test]
fn values_agree_with_scikit_learn_and_numpy() {
    // scikit-learn 1.9.1: davies_bouldin_score. The others in NumPy 2.4.6 from the formulas, with explicit covariances,
    // numpy.linalg.pinv, and dense Laplacians.
    let golden = [
        ("davies_bouldin", 2.133638320030982, 2.4383423111306226),
        ("cdnv", 1.1073799196445389, 1.4522360154931564),
        ("neural_collapse", 1.2223788469971604, 1.8492457219453202),
        ("two_nn", 1.798094206049131, 1.3784192188892204),
        ("label_variation:k=3", 45.733151330460565, 59.439597807584846),
        ("label_variation:graph=rbf,k=3", 52.85106086083988, 60.374290050494714),
        ("label_variation:graph=binary,k=3", 62.0, 66.0),
    ];
    for (spec, first, last) in golden {
        let joint = if spec.contains(':') { ',' } else { ':' };
        close(value(&format!("{spec}{joint}layer=1")), first);
        close(value(&format!("{spec}{joint}layer=2")), last);
        close(value(spec), last);
    }
    close(value("wcv"), 18.757359312880716);
    close(value("vr:k=3"), 12.770073413683217);
    let cka = evaluate("cka", input(&points(), &LABELS)).unwrap();
    close(cka.value, 0.8381807163809015);
    close(cka.layers[0].value, (0.8420467219340468 + 0.787160230111411) / 2.0);
    close(cka.layers[2].value, (0.787160230111411 + 0.8853351970972465) / 2.0);
}

#[test]
fn two_classes_by_hand() {
    // Class 0 at (±1, 0), class 1 at (10 ± 1, 0): S = 1, V = 1, distance 10.
    let points = [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 11.0, 0.0, 0.0, 0.0];
    let by_hand = |spec: &str| evaluate(spec, input(&points, &[0, 0, 1, 1])).unwrap().value;
    close(by_hand("davies_bouldin:layer=1"), 0.2);
    close(by_hand("cdnv:layer=1"), 0.01);
    // Σ_W = 1, Σ_B = 25 along the first axis.
    close(by_hand("neural_collapse:layer=1"), 1.0 / 25.0 / 2.0);
    // By cosine 1, 9 and 11 are all alike, and −1 is as far from each: the earliest one is the neighbour. The edges are
    // {−1, 1}, {1, 9} and {1, 11}, two of them between classes.
    close(by_hand("label_variation:graph=binary,k=1,layer=1"), 4.0);
}

#[test]
fn copies_of_all_samples_change_no_dimension() {
    let (points, labels) = (points(), LABELS.to_vec());
    let twice = input(&[points.clone(), points].concat(), &[labels.clone(), labels].concat());
    let measured = evaluate("two_nn:layer=1", twice).unwrap();
    close(measured.value, 1.798094206049131);
    assert_eq!(measured.details["points"], 24.0.into());
}

#[test]
fn degenerate_samples_have_no_value_and_a_reason() {
    for spec in ["davies_bouldin", "cdnv", "neural_collapse"] {
        undefined(spec, input(&points(), &[1; 24]), "one class");
        // Both classes at the same places.
        let half = &points()[..48];
        let labels = [[0i64; 12], [1; 12]].concat();
        undefined(spec, input(&[half, half].concat(), &labels), "same centroid");
    }
    let constant = [0.5; 96];
    for spec in ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "cka"] {
        undefined(spec, input(&constant, &LABELS), "the same on every sample");
    }
    for spec in ["label_variation", "vpm", "vr", "wcv"] {
        undefined(spec, input(&[0.0; 96], &LABELS), "zero on every sample");
        undefined(spec, input(&points()[..4], &LABELS[..1]), "neighbours");
        // One class or constant activations: nothing varies, or everything alike; both are values.
        assert!(evaluate(spec, input(&constant, &LABELS)).is_ok(), "{spec}");
        assert!(evaluate(spec, input(&points(), &[1; 24])).is_ok(), "{spec}");
    }
    close(evaluate("label_variation", input(&points(), &[1; 24])).unwrap().value, 0.0);
    undefined("two_nn", input(&points()[..28], &LABELS[..7]), "7 different points");
    undefined("label_variation:k=24", input(&points(), &LABELS), "24 neighbours");
    undefined("davies_bouldin:layer=3", input(&points(), &LABELS), "layer=3");
    for id in FAMILY {
        let broken = ProbeInput { network: with_weights_of(f64::NAN), ..input(&points(), &LABELS) };
        undefined(id, broken, "not finite");
    }
}

#[test]
fn layer_zero_is_refused() {
    for id in ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "label_variation"] {
        let error = registry().resolve(&format!("{id}:layer=0")).err().unwrap();
        assert!(error.to_string().contains("layer=0"), "{error}");
    }
}

#[test]
fn representations_are_what_enters_the_layers_with_weights() {
    let networks = tiny_networks().unwrap();
    let names = |at: usize| -> Vec<String> {
        let found = pgdl_measure_representation::hidden_layers::hidden_and_output(&networks[at].network);
        found.into_iter().map(|one| one.layer).collect()
    };
    assert_eq!(names(0), ["max_pooling2d", "dropout", "dense"]);
    assert_eq!(names(1), ["activation", "global_average_pooling2d"]);
    assert_eq!(names(2), ["dense", "dense_1", "dense_2"]);
}
