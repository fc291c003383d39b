//! Layers set back to their initial weights.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::layers::{DROP, LayerEntries, REPORT, Report, SAMPLES, size, with_layer};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LayerReinit {
    samples: usize,
    report: Report,
}

/// What `layer_reinit` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "layer_reinit",
    family: "robustness",
    version: 1,
    title: "How badly the network takes it when one of its layers goes back to its initial weights: what training accuracy loses, \
            averaged over layers.",
    formula: "(1/L) Σ_ℓ (A(w) − A(w with layer ℓ from w₀));  value=critical_share: (1/L) Σ_ℓ 1[A(w) − A(w with layer ℓ from w₀) > drop]",
    shapes: "A: accuracy on the first m samples; w, w₀: final and initial weights; ℓ: each of the L layers with parameters, \
             BatchNormalization folded into the layer before it (so that its parameters and statistics go back, too)",
    paper: "Zhang, Bengio, Singer 2019 (2022 in JMLR), Are All Layers Created Equal? (re-initialization robustness)",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "at most (1 + L) m/n F, m = 500: of a changed network only what follows the layer is computed",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "The paper tells critical layers from robust ones; their share takes L + 1 values and ties most networks of a zoo, \
                so that the mean is the default. The details are the accuracies layer by layer. Layers near the input tend to be critical, many in the middle of \
                large networks are not. Parameters are those of a layer as a whole, kernel and bias.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES, DROP, REPORT],
};

impl LayerReinit {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: size(parameters, "samples")?, report: Report::new(parameters)? })
    }
}

impl Measure for LayerReinit {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (network, initial) = (probe.folded()?, probe.folded_initial()?);
        let entries = probe.get(&LayerEntries { samples: self.samples })?;
        let accuracies: Vec<f64> = entries
            .layers
            .iter()
            .enumerate()
            .map(|(position, layer)| {
                let set_back = with_layer(&network, layer.node, |_, index| {
                    Ok(initial.weights()[layer.node][index].shallow_clone())
                })?;
                entries.accuracy_with(probe, position, &set_back)
            })
            .collect::<Result<_, _>>()?;
        Ok(Measured::value(self.report.value(entries.accuracy, &accuracies))
            .with_layers(entries.details(&accuracies))
            .with_detail("accuracy", entries.accuracy))
    }
}
