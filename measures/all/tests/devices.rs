//! Values on a GPU, where there is one, are those on the CPU.

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::device;
use pgdl_measure::tch::{Cuda, Device, Kind};
use pgdl_measure::{MeasureError, Probe, ProbeInput, Registry, Resolved};

/// In f64: rounding that differs between the devices is far below this.
const ROUNDING: f64 = 1e-9;

fn outcome(specimen: &Specimen, device: Device, resolved: &Resolved) -> Result<f64, MeasureError> {
    let network = specimen.network.to_kind(Kind::Double)?.to_device(device)?;
    let probe = Probe::new(ProbeInput { network, ..specimen.input() })?;
    probe.evaluate(resolved).outcome.map(|measured| measured.value)
}

#[test]
fn every_measure_gives_the_same_on_every_device() {
    if !device::load_cuda() || !Cuda::is_available() {
        println!("skipped: no GPU found");
        return;
    }
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    for specimen in tiny_networks().unwrap() {
        for resolved in registry.resolve_list("all").unwrap() {
            let on = |device| outcome(&specimen, device, &resolved);
            let (cpu, gpu) = (on(Device::Cpu), on(Device::Cuda(0)));
            let same = match (&cpu, &gpu) {
                (Ok(cpu), Ok(gpu)) => (cpu - gpu).abs() <= ROUNDING * cpu.abs().max(1e-3),
                _ => cpu == gpu,
            };
            assert!(same, "{} on {}: {cpu:?} on the CPU, {gpu:?} on the GPU", resolved.spec, specimen.name);
        }
    }
}
