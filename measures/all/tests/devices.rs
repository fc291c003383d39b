//! Values do not depend on the device. One body for all: every measure, and every word of every choice it offers, on
//! every tiny network, in f64, all on one probe as in a run. The CPU runs it everywhere (there a fresh probe gives the
//! same bits), a GPU where there is one (there it gives the same up to [`ROUNDING`]).

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::device;
use pgdl_measure::tch::{Cuda, Device, Kind};
use pgdl_measure::{MeasureError, Measured, ParameterKind, Probe, ProbeInput, Registry, Resolved};

/// Relative to the value, and for values below a thousandth to that: in f64, rounding that differs between the devices
/// is far below this.
const ROUNDING: f64 = 1e-9;

fn outcomes(
    specimen: &Specimen,
    device: Device,
    all: &[Resolved],
) -> Result<Vec<Result<Measured, MeasureError>>, MeasureError> {
    let network = specimen.network.to_kind(Kind::Double)?.to_device(device)?;
    let probe = Probe::new(ProbeInput { network, ..specimen.input() })?;
    Ok(all.iter().map(|resolved| probe.evaluate(resolved).outcome).collect())
}

/// The CPU, and a GPU where there is one.
fn devices() -> Vec<Device> {
    if device::load_cuda() && Cuda::is_available() {
        return vec![Device::Cpu, Device::Cuda(0)];
    }
    println!("no GPU found: this runs on the CPU only");
    vec![Device::Cpu]
}

/// Every measure with its defaults, and with each other word of each of its choices, as far as it takes that alone.
fn all(registry: &Registry) -> Vec<Resolved> {
    let mut all = registry.resolve_list("all").unwrap();
    for info in registry.infos() {
        for parameter in info.parameters {
            if let ParameterKind::Choice { options, .. } = parameter.kind {
                let spec = |option: &&str| format!("{}:{}={option}", info.id, parameter.name);
                all.extend(options.iter().map(spec).filter_map(|spec| registry.resolve(&spec).ok()));
            }
        }
    }
    all
}

/// What differs by more than `tolerance` allows, in words.
fn difference(one: &Measured, other: &Measured, tolerance: f64) -> Option<String> {
    let far = |a: f64, b: f64| (a - b).abs() > tolerance * a.abs().max(1e-3);
    if far(one.value, other.value) {
        return Some(format!("{} and {}", one.value, other.value));
    }
    match (one.standard_error, other.standard_error) {
        (Some(a), Some(b)) if far(a, b) => return Some(format!("standard errors {a} and {b}")),
        (Some(_), None) | (None, Some(_)) => return Some("one has a standard error".to_string()),
        _ => {}
    }
    if one.layers.len() != other.layers.len() {
        return Some(format!("{} and {} layers", one.layers.len(), other.layers.len()));
    }
    let mut layers = one.layers.iter().zip(&other.layers);
    let (a, b) = layers.find(|(a, b)| a.layer != b.layer || far(a.value, b.value))?;
    Some(format!("{} {} and {} {}", a.layer, a.value, b.layer, b.value))
}

#[test]
fn every_measure_gives_the_same_on_every_device() {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    let all = all(&registry);
    assert!(all.len() > registry.infos().count());
    let mut faults = Vec::new();
    for specimen in tiny_networks().unwrap() {
        let references = outcomes(&specimen, Device::Cpu, &all).unwrap();
        for device in devices() {
            let tolerance = if device == Device::Cpu { 0.0 } else { ROUNDING };
            let here = outcomes(&specimen, device, &all).unwrap();
            for (resolved, pair) in all.iter().zip(references.iter().zip(&here)) {
                let fault = match pair {
                    (Ok(reference), Ok(here)) => difference(reference, here, tolerance),
                    (reference, here) => (reference != here).then(|| format!("{reference:?} and {here:?}")),
                };
                faults.extend(fault.map(|what| {
                    format!("{} on {}: on the CPU and on {device:?} {what}", resolved.spec, specimen.name)
                }));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn differences_are_seen() {
    let one = Measured::value(2.0).with_standard_error(0.5);
    assert_eq!(difference(&one, &one.clone(), 0.0), None);
    assert_eq!(difference(&one, &Measured { value: 2.0 + 1e-9, ..one.clone() }, ROUNDING), None);
    assert!(difference(&one, &Measured { value: 2.0 + 1e-8, ..one.clone() }, ROUNDING).is_some());
    assert!(difference(&one, &Measured { value: 2.0 + 1e-15, ..one.clone() }, 0.0).is_some());
    assert!(difference(&one, &one.clone().with_standard_error(0.6), ROUNDING).is_some());
    assert!(difference(&one, &Measured::value(2.0), ROUNDING).is_some());
}
