//! The competition's Jacobian baseline.

use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::layer_jacobians::LayerJacobians;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct JacobianNorm {
    samples: usize,
    as_coded: bool,
}

/// What `jacobian_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "jacobian_norm",
    family: "gradient",
    version: 1,
    title: "The mean squared entry of the Jacobians of the logits with respect to the inputs of all layers.",
    formula: "(1/L) Σ_ℓ (1/m) Σᵢ ‖∂f(xᵢ)/∂h_ℓ‖²_F / (C · dim h_ℓ),  i = 1 … m",
    shapes: "f: [m, C] logits; h_ℓ: [m, …] what enters layer ℓ (h₁ = x), for each of the L layers as the architecture \
             lists them, those without weights included; m: the first samples of the sample",
    paper: "a baseline of the 2020 competition's starting kit",
    needs: &[],
    cost: "m/n F and C · m/n backward passes (1 B = F + one backward pass), m = 512",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Changes,
        logit_scale: Effect::Changes,
    },
    behaviour: "It is exact: no random projections. Logits times α multiply it by α² where the last layer has the \
                weights, and by less where pooling follows. Layers that pass their input on (dropout, flattening) repeat the \
                Jacobian of the layer behind them, and so weigh it twice, as in the kit. With BatchNormalization kept \
                apart, the entry into it changes with the scale of the layer in front. `as_coded` averages over the \
                first 33 batches of 16 samples, each batch with equal weight: the kit means 512 samples but stops \
                one batch later, and its last batch may be short.",
    stochastic: false,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 512, min: 1, max: i64::MAX },
            doc: "number m of samples, the first ones; all when there are fewer",
        },
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "mean", options: &["mean", "as_coded"] },
            doc: "`as_coded` takes batches as the kit does, and not `samples`",
        },
    ],
};

/// Samples per batch in the kit.
const KIT_BATCH: usize = 16;

/// Batches that the kit looks at.
const KIT_BATCHES: usize = 33;

impl JacobianNorm {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `samples` beside the variant that does not look at it.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let samples = parameters.integer("samples")?;
        let as_coded = parameters.choice("variant")? == "as_coded";
        if as_coded && samples != 512 {
            return Err(RegistryError::IllegalCombination {
                id: INFO.id.to_string(),
                reason: "`variant=as_coded` takes the kit's 528 samples, whatever `samples` says".to_string(),
            });
        }
        let samples =
            if as_coded { KIT_BATCH * KIT_BATCHES } else { usize::try_from(samples).unwrap_or(usize::MAX) };
        Ok(Self { samples, as_coded })
    }
}

impl Measure for JacobianNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let samples = self.samples.min(probe.sample_size());
        let rows = probe.get(&LayerJacobians { samples })?;
        let batch = if self.as_coded { KIT_BATCH } else { samples };
        let parts: Vec<&[Vec<f64>]> = rows.chunks(batch).collect();
        let nodes = &probe.network().architecture().nodes;
        let layers: Vec<LayerDetail> = nodes
            .iter()
            .enumerate()
            .map(|(layer, node)| {
                let mean =
                    |part: &&[Vec<f64>]| part.iter().map(|row| row[layer]).sum::<f64>() / part.len() as f64;
                let value = parts.iter().map(mean).sum::<f64>() / parts.len() as f64;
                LayerDetail { layer: node.name.clone(), value }
            })
            .collect();
        let value = layers.iter().map(|layer| layer.value).sum::<f64>() / layers.len() as f64;
        Ok(Measured::value(value).with_layers(layers))
    }
}
