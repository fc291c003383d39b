//! The standard error that a random measure reports is the spread of its values over seeds.

use pgdl_measure::Registry;
use pgdl_measure::contract::{spread_over_seeds, tiny_networks};

const SEEDS: u64 = 40;

#[test]
fn standard_errors_are_the_spread_over_seeds() {
    let mut registry = Registry::new();
    pgdl_measure_sharpness::register(&mut registry).unwrap();
    let specimens = tiny_networks().unwrap();
    for (at, spec) in [
        (0, "hessian_trace"),
        (0, "average_sharpness"),
        (0, "minimum_sharpness"),
        (1, "relative_flatness"),
        (2, "hessian_density:groups=12,steps=6"),
    ] {
        let spread = spread_over_seeds(&registry, spec, SEEDS, || specimens[at].input()).unwrap();
        // Four standard deviations of the ratio, √(2/39), above; samples in turn make the spread smaller than reported.
        assert!((0.2..1.95).contains(&spread.ratio()), "{spec}: {spread:?}");
    }
}
