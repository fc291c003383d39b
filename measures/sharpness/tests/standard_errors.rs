//! The standard error that a random measure reports is the spread of its values over seeds.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::{Probe, ProbeInput, Registry};

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
        let resolved = registry.resolve(spec).unwrap();
        let (mut values, mut squares) = (Vec::new(), 0.0);
        for seed in 0..SEEDS {
            let probe = Probe::new(ProbeInput { seed, ..specimens[at].input() }).unwrap();
            let measured = probe.evaluate(&resolved).outcome.unwrap();
            values.push(measured.value);
            squares += measured.standard_error.unwrap().powi(2) / SEEDS as f64;
        }
        let mean = values.iter().sum::<f64>() / SEEDS as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (SEEDS - 1) as f64;
        // Four standard deviations of the ratio, √(2/39), above; samples in turn make the spread smaller than reported.
        let ratio = variance / squares;
        assert!((0.2..1.95).contains(&ratio), "{spec}: variance {variance:e}, reported {squares:e}");
    }
}
