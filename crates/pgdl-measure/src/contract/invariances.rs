//! Changes of a network that leave its decisions as they are: values answer as declared.

use pgdl_network::Network;

use crate::contract::{
    FACTOR, Promise, Report, Specimen, Violation, close, in_double, rescale_layers, resolve,
    scale_before_batch_norm, scale_logits,
};
use crate::error::MeasureError;
use crate::info::{Effect, Invariances};
use crate::probe::{Probe, ProbeInput};
use crate::registry::{Registry, Resolved};

/// A kind of change.
#[derive(Clone, Copy)]
enum Change {
    LayerRescaling,
    BatchNormScale,
    LogitScale,
}

impl Change {
    const ALL: [Self; 3] = [Self::LayerRescaling, Self::BatchNormScale, Self::LogitScale];

    fn name(self) -> &'static str {
        match self {
            Self::LayerRescaling => "layer rescaling",
            Self::BatchNormScale => "BatchNorm scale",
            Self::LogitScale => "logit scale",
        }
    }

    fn declared(self, invariances: Invariances) -> Effect {
        match self {
            Self::LayerRescaling => invariances.layer_rescaling,
            Self::BatchNormScale => invariances.batch_norm_scale,
            Self::LogitScale => invariances.logit_scale,
        }
    }

    fn apply(self, specimen: &Specimen, network: &Network) -> Result<Option<Network>, MeasureError> {
        match self {
            Self::LayerRescaling => rescale_layers(specimen, network, FACTOR),
            Self::BatchNormScale => scale_before_batch_norm(specimen, network, FACTOR),
            Self::LogitScale => scale_logits(specimen, network, FACTOR),
        }
    }
}

/// Networks, each with what the changes make of it: probes in f64, which all measures share.
pub(super) struct ChangedNetworks {
    networks: Vec<(String, Probe, [Option<Probe>; 3])>,
}

impl ChangedNetworks {
    pub(super) fn of(specimens: &[Specimen]) -> Result<Self, MeasureError> {
        let changed = |specimen: &Specimen| {
            let input = in_double(specimen)?;
            let probe = |change: Change| -> Result<Option<Probe>, MeasureError> {
                let network = change.apply(specimen, &input.network)?;
                network.map(|network| Probe::new(ProbeInput { network, ..specimen.input() })).transpose()
            };
            let [rescaled, normalized, scaled] = Change::ALL.map(probe);
            let probes = [rescaled?, normalized?, scaled?];
            Ok((specimen.name.to_string(), Probe::new(input)?, probes))
        };
        Ok(Self { networks: specimens.iter().map(changed).collect::<Result<_, MeasureError>>()? })
    }

    /// The effects of the three changes are as declared. A change that no network admits is not judged.
    pub(super) fn check(&self, resolved: &Resolved, report: &mut Report) {
        let value = |probe: &Probe| probe.evaluate(resolved).outcome.ok().map(|measured| measured.value);
        let invariances = resolved.measure.info().invariances;
        let before: Vec<Option<f64>> = self.networks.iter().map(|(_, probe, _)| value(probe)).collect();
        for (at, change) in Change::ALL.into_iter().enumerate() {
            let effect = change.declared(invariances);
            let (mut admitted, mut changed) = (false, false);
            for ((network, _, probes), before) in self.networks.iter().zip(&before) {
                let Some(probe) = &probes[at] else { continue };
                let after = value(probe);
                admitted |= before.is_some() && after.is_some();
                let (expected, word) = match effect {
                    Effect::Invariant => (*before, "the same"),
                    Effect::Homogeneous(degree) => {
                        (before.map(|value| value * FACTOR.powf(degree)), "in proportion")
                    }
                    Effect::Changes => {
                        changed |= !close(*before, after);
                        continue;
                    }
                };
                if !close(expected, after) {
                    report.add(
                        Promise::Invariances,
                        format!(
                            "{} by {FACTOR} on {network}: {before:?} becomes {after:?}, not {expected:?} ({word}) \
                             as declared",
                            change.name()
                        ),
                    );
                }
            }
            if effect == Effect::Changes && admitted && !changed {
                report.add(
                    Promise::Invariances,
                    format!("{} is declared to change the value, but does so on no network", change.name()),
                );
            }
        }
    }
}

/// Applies the three changes of [`Invariances`] to networks of the caller, and compares the values of every measure of
/// `registry`, with default parameters and in f64, with what it declares. [`check`](super::check) does so on the tiny
/// networks; [`Specimen::of`] makes a specimen of any network.
///
/// # Errors
/// A specimen cannot be changed or probed.
pub fn audit_invariances(
    registry: &Registry,
    specimens: &[Specimen],
) -> Result<Vec<Violation>, MeasureError> {
    let networks = ChangedNetworks::of(specimens)?;
    let mut violations = Vec::new();
    for info in registry.infos() {
        let resolved = resolve(registry, info.id)?;
        networks.check(&resolved, &mut Report { measure: info.id.to_string(), violations: &mut violations });
    }
    Ok(violations)
}
