//! Layers drawn afresh.

use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::layers::{DROP, LayerEntries, REPORT, Report, SAMPLES, size, with_layer};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LayerRerandomize {
    samples: usize,
    draws: usize,
    report: Report,
}

/// What `layer_rerandomize` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "layer_rerandomize",
    family: "robustness",
    version: 1,
    title: "How badly the network takes it when one of its layers is drawn afresh from its initial distribution: what training \
            accuracy loses, averaged over layers.",
    formula: "(1/L) Σ_ℓ (A(w) − A(w with layer ℓ drawn afresh)), averaged over draws;  value=critical_share: (1/L) Σ_ℓ 1[A(w) − A(w with \
              layer ℓ drawn afresh) > drop]",
    shapes: "A: accuracy on the first m samples; w: final weights; ℓ: each of the L layers with parameters, BatchNormalization \
             folded into the layer before it",
    paper: "Zhang, Bengio, Singer 2019 (2022 in JMLR), Are All Layers Created Equal? (re-randomization robustness)",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "at most (1 + draws · L) m/n F, m = 500, 4 draws: of a changed network only what follows the layer is computed",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "The initial distribution is not known here, but a draw from it is: the initial weights. A fresh draw is each of \
                the layer's initial tensors with its values in random order, which has the same distribution where values were \
                drawn independently. The details are the mean accuracies layer by layer. In the literature few layers stand it: \
                going back to the very initial weights (`layer_reinit`) does far less harm.",
    stochastic: true,
    control: false,
    parameters: &[
        SAMPLES,
        DROP,
        REPORT,
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
            doc: "how often each layer is drawn",
        },
    ],
};

impl LayerRerandomize {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            samples: size(parameters, "samples")?,
            draws: size(parameters, "draws")?,
            report: Report::new(parameters)?,
        })
    }
}

impl Measure for LayerRerandomize {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (network, initial) = (probe.folded()?, probe.folded_initial()?);
        let entries = probe.get(&LayerEntries { samples: self.samples })?;
        let mut values = Vec::with_capacity(self.draws);
        let mut means = vec![0.0; entries.layers.len()];
        for draw in 0..self.draws {
            let mut generator = probe.generator(&format!("draw {draw}"));
            let mut accuracies = Vec::with_capacity(means.len());
            for (position, layer) in entries.layers.iter().enumerate() {
                let fresh = with_layer(&network, layer.node, |_, index| {
                    generator.shuffled(&initial.weights()[layer.node][index])
                })?;
                accuracies.push(entries.accuracy_with(probe, position, &fresh)?);
            }
            values.push(self.report.value(entries.accuracy, &accuracies));
            means.iter_mut().zip(&accuracies).for_each(|(mean, one)| *mean += one / self.draws as f64);
        }
        Ok(Measured::mean_of(&values)
            .with_layers(entries.details(&means))
            .with_detail("accuracy", entries.accuracy))
    }
}
