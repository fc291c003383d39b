//! The standard error that a random measure reports is the spread of its values over seeds.

use pgdl_measure::Registry;
use pgdl_measure::contract::{spread_over_seeds, tiny_networks};

const SEEDS: u64 = 60;

#[test]
fn standard_errors_are_the_spread_over_seeds() {
    let mut registry = Registry::new();
    pgdl_measure_augmentation::register(&mut registry).unwrap();
    let specimen = tiny_networks().unwrap().swap_remove(0);
    for spec in [
        "mixup_accuracy",
        "noise_response",
        "always_generalize",
        "always_generalize:variant=as_coded",
        "gi_score:magnitudes=3",
        "gi_score:perturbation=intra_class,layer=first,magnitudes=2",
        "pal_score:magnitudes=3",
    ] {
        let spread = spread_over_seeds(&registry, spec, SEEDS, || specimen.input()).unwrap();
        // Both are estimates with relative errors of √(2/60) and √(2/(3 · 60)): four of their standard deviations.
        assert!((0.4..2.1).contains(&spread.ratio()), "{spec}: {spread:?}");
    }
}
