//! Standard errors are what repeated runs with other seeds show.

use pgdl_measure::ProbeInput;
use pgdl_measure::contract::spread_over_seeds;

mod small_network;
use small_network::*;

/// Runs with different seeds.
const RUNS: u64 = 40;

/// The variance of 40 normal values has χ² of 39 degrees of freedom: between 0.42 and 1.92 of the true one with
/// probability 0.999. Claimed variances are means over the runs, each from at least `graphs` or `draws` values: known to a
/// few percent beside that; the median's asymptotic variance, used for few values that are not quite normal, may be off by
/// 10 %. Hence a little more room on both sides.
const RATIO: std::ops::Range<f64> = 0.36..2.15;

fn ratio(spec: &str, make: impl Fn() -> ProbeInput) -> f64 {
    spread_over_seeds(&registry(), spec, RUNS, make).unwrap().ratio()
}

#[test]
fn of_variations_of_mixtures() {
    for spec in ["vpm:graphs=40", "vpm:graphs=5,variant=as_coded"] {
        let ratio = ratio(spec, || input(&points(), &LABELS));
        assert!(RATIO.contains(&ratio), "{spec}: {ratio}");
    }
}

#[test]
fn of_persistent_homology() {
    // Two neurons of each layer, of 4, 6 and 3.
    for spec in ["persistent_homology:neurons=6", "persistent_homology:neurons=6,draws=5,summary=deviation"] {
        let ratio = ratio(spec, || input(&points(), &LABELS));
        assert!(RATIO.contains(&ratio), "{spec}: {ratio}");
    }
}

#[test]
fn of_mixtures_within_the_classes() {
    for spec in ["dbi_mixup", "dbi_mixup:variant=as_coded"] {
        let ratio = ratio(spec, || image_input(image_network(), &IMAGE_LABELS, 0));
        assert!(RATIO.contains(&ratio), "{spec}: {ratio}");
    }
}
