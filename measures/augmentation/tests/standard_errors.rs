//! The standard error that a random measure reports is the spread of its values over seeds.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::{Probe, ProbeInput, Registry};

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
        let resolved = registry.resolve(spec).unwrap();
        let (mut values, mut squares) = (Vec::new(), 0.0);
        for seed in 0..SEEDS {
            let probe = Probe::new(ProbeInput { seed, ..specimen.input() }).unwrap();
            let measured = probe.evaluate(&resolved).outcome.unwrap();
            values.push(measured.value);
            squares += measured.standard_error.unwrap().powi(2) / SEEDS as f64;
        }
        let mean = values.iter().sum::<f64>() / SEEDS as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (SEEDS - 1) as f64;
        // Both are estimates with relative errors of √(2/60) and √(2/(3 · 60)): four of their standard deviations.
        let ratio = variance / squares;
        assert!((0.4..2.1).contains(&ratio), "{spec}: variance {variance:e}, reported {squares:e}");
    }
}
