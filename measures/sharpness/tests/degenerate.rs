//! Networks without curvature, without gradients, without accuracy to lose: a reason, never a number that is none.

use std::time::{Duration, Instant};

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::Role;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{MeasureError, Measured, Probe, ProbeInput, Registry};

fn outcomes(input: ProbeInput) -> Vec<(String, Result<Measured, MeasureError>)> {
    let mut registry = Registry::new();
    pgdl_measure_sharpness::register(&mut registry).unwrap();
    let probe = Probe::new(input).unwrap();
    registry
        .resolve_list(
            "all,sharpness:adaptive=yes,average_sharpness:adaptive=yes,relative_flatness:layer=penultimate",
        )
        .unwrap()
        .iter()
        .map(|resolved| (resolved.spec.to_string(), probe.evaluate(resolved).outcome))
        .collect()
}

fn changed(change: impl Fn(Role, &Tensor) -> Tensor) -> ProbeInput {
    let specimen = &tiny_networks().unwrap()[2];
    let network = specimen.network.map_weights(|one| Ok(change(one.spec.role, one.tensor)));
    ProbeInput { network: network.unwrap(), ..specimen.input() }
}

#[track_caller]
fn undefined(found: &[(String, Result<Measured, MeasureError>)], spec: &str, word: &str) {
    match &found.iter().find(|(other, _)| other == spec).unwrap().1 {
        Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{spec}: {reason}"),
        other => panic!("{spec}: {other:?}"),
    }
}

fn no_failure(found: &[(String, Result<Measured, MeasureError>)]) {
    for (spec, outcome) in found {
        if let Err(error @ (MeasureError::Failed(_) | MeasureError::Unavailable(_))) = outcome {
            panic!("{spec} is {}: {error}", error.status());
        }
        if let Ok(measured) = outcome {
            assert_eq!(measured.not_finite(), None, "{spec}");
        }
    }
}

#[test]
fn weights_of_zero() {
    let found = outcomes(changed(|_, tensor| tensor.zeros_like()));
    no_failure(&found);
    undefined(&found, "sharpness:adaptive=yes", "relative perturbation");
    undefined(&found, "average_sharpness:adaptive=yes", "relative perturbation");
    undefined(&found, "sharpness_flatness", "zero");
    undefined(&found, "minimum_sharpness", "flat in layer");
}

/// Outputs so far apart that every probability is 0 or 1: no gradient, no curvature.
#[test]
fn a_loss_that_is_exactly_flat() {
    let specimen = &tiny_networks().unwrap()[2];
    let mut input =
        changed(|role, tensor| if role == Role::Kernel { tensor * 1e3 } else { tensor.shallow_clone() });
    let probe =
        Probe::new(ProbeInput { network: input.network.shallow_clone(), ..specimen.input() }).unwrap();
    input.train.labels = probe.forward(probe.inputs()).unwrap().argmax(1, false);
    let found = outcomes(input);
    no_failure(&found);
    for spec in ["sam", "asam"] {
        undefined(&found, spec, "exactly zero");
    }
    for spec in ["hessian_max", "hessian_trace", "hessian_density"] {
        undefined(&found, spec, "flat in every direction");
    }
    undefined(&found, "minimum_sharpness", "flat in every layer");
}

#[test]
fn accuracy_below_the_drop_and_weights_that_are_not_finite() {
    let specimen = &tiny_networks().unwrap()[0];
    let mut input = specimen.input();
    input.train.labels = (&input.train.labels + 1).remainder(specimen.classes);
    let found = outcomes(input);
    no_failure(&found);
    for spec in ["sharpness_flatness", "sharpness_mag_flatness", "sharpness_orig", "sharpness_mag_init"] {
        undefined(&found, spec, "cannot fall");
    }
    let broken = outcomes(changed(|_, tensor| tensor * f64::NAN));
    no_failure(&broken);
    assert!(broken.iter().all(|(_, outcome)| outcome.is_err()));
}

/// One class, to which every perturbed network assigns every sample.
#[test]
fn an_accuracy_that_never_falls() {
    let mut input = changed(|role, tensor| match role {
        Role::Bias => tensor.shallow_clone(),
        _ => tensor * 1e-3,
    });
    input.network = input
        .network
        .map_weights(|one| {
            let last = one.spec.role == Role::Bias && one.spec.shape == [3];
            Ok(if last { Tensor::from_slice(&[1e30f32, 0.0, 0.0]) } else { one.tensor.shallow_clone() })
        })
        .unwrap();
    input.train.labels = input.train.labels.zeros_like();
    let found = outcomes(input);
    no_failure(&found);
    undefined(&found, "sharpness_flatness", "lowers the accuracy");
}

#[test]
fn a_deadline_that_passes_midway_gives_what_is_known() {
    let mut registry = Registry::new();
    pgdl_measure_sharpness::register(&mut registry).unwrap();
    for spec in
        ["hessian_trace:tolerance=0.001", "minimum_sharpness:tolerance=0.001", "hessian_max:steps=500"]
    {
        let input = tiny_networks().unwrap()[0].input();
        let probe = Probe::new(ProbeInput { batch_size: 64, ..input }).unwrap();
        // What the measure has begun with is enough for a word.
        let mut limit = Duration::from_millis(4);
        let reason = loop {
            probe.set_deadline(Some(Instant::now() + limit));
            match probe.evaluate(&registry.resolve(spec).unwrap()).outcome {
                Err(MeasureError::Timeout(reason)) if reason.contains("after") => break reason,
                Err(MeasureError::Timeout(_)) => limit = limit.mul_f64(1.5),
                other => panic!("{spec}: {other:?}"),
            }
        };
        assert!(reason.contains("used up; after"), "{spec}: {reason}");
    }
}
