//! For authors of measures: the contract tests, a tiny zoo trained on the fly, and golden values.
//!
//! The tests of a plugin crate, complete:
//!
//! ```
//! use pgdl_measure::contract::with_outputs;
//! # mod my_measures {
//! #     use pgdl_measure::{Accuracy, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Probe};
//! #     use pgdl_measure::{Registry, RegistryError};
//! #     struct Example;
//! #     static INFO: MeasureInfo = MeasureInfo {
//! #         id: "example", family: "examples", version: 1, title: "The share of misclassified samples.",
//! #         formula: "1 − accuracy", shapes: "a number", paper: "none", needs: &[Need::Labels], cost: "1 F",
//! #         invariances: Invariances::ALL, behaviour: "none", stochastic: false, control: false, parameters: &[],
//! #     };
//! #     impl Measure for Example {
//! #         fn info(&self) -> &MeasureInfo { &INFO }
//! #         fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
//! #             Ok(Measured::value(1.0 - *probe.get(&Accuracy)?))
//! #         }
//! #     }
//! #     pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
//! #         registry.add(&INFO, |_| Ok(Box::new(Example)))
//! #     }
//! # }
//! // Every promise that measures make, on tiny networks and on a tiny zoo.
//! pgdl_testkit::check(my_measures::register)?;
//!
//! // A golden value: two samples, three logits each, the second sample misclassified.
//! let input = with_outputs(&[[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]], &[0, 2])?;
//! let measured = pgdl_testkit::evaluate(my_measures::register, "example", input)?;
//! assert_eq!(measured.value, 0.5);
//! # Ok::<(), pgdl_testkit::Broken>(())
//! ```

mod error;
mod tiny_zoo;

use pgdl_measure::contract;
use pgdl_measure::{Measured, Probe, ProbeInput, Registry, RegistryError};

pub use error::Broken;
pub use pgdl_measure::contract::{Specimen, Spread, spread_over_seeds, tiny_networks, with_outputs};
pub use tiny_zoo::{TinyZoo, TrainedNetwork};

/// Checks every measure that `register` adds: the contract of [`pgdl_measure::contract`] on tiny networks, and on the
/// trained networks of a [`TinyZoo`] a finite value or a reason for which there is none, the same bits twice.
///
/// # Errors
/// [`Broken::Contract`] lists every promise that is not kept; [`Broken::Registry`] where `register` itself fails.
pub fn check(register: impl FnOnce(&mut Registry) -> Result<(), RegistryError>) -> Result<(), Broken> {
    let registry = registered(register)?;
    if registry.infos().next().is_none() {
        return Err(Broken::Empty);
    }
    let mut broken: Vec<String> =
        contract::check(&registry)?.iter().map(|violation| violation.to_string()).collect();
    broken.extend(TinyZoo::train()?.check(&registry)?);
    if broken.is_empty() { Ok(()) } else { Err(Broken::Contract(broken)) }
}

/// The value of one measure, `id` or `id:parameter=value`, on `input`.
///
/// # Errors
/// `register` fails, no measure is written like this, or it has no value on `input`.
pub fn evaluate(
    register: impl FnOnce(&mut Registry) -> Result<(), RegistryError>,
    measure: &str,
    input: ProbeInput,
) -> Result<Measured, Broken> {
    let resolved = registered(register)?.resolve(measure)?;
    Ok(Probe::new(input)?.evaluate(&resolved).outcome?)
}

fn registered(
    register: impl FnOnce(&mut Registry) -> Result<(), RegistryError>,
) -> Result<Registry, RegistryError> {
    let mut registry = Registry::new();
    register(&mut registry)?;
    Ok(registry)
}
