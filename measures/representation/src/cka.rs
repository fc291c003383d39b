//! How alike the layers of a network are.

use pgdl_measure::network::Source;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Parameters, Probe, RegistryError,
};

use crate::gram::{Grams, Samples, centred, samples_parameter};
use crate::hidden_layers::hidden_and_output;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Cka {
    samples: i64,
}

/// What `cka` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "cka",
    family: "representation",
    version: 3,
    title: "The mean similarity of all pairs of layers by linear centred kernel alignment.",
    formula: "mean over pairs a < b of ⟨K_a, K_b⟩_F / (‖K_a‖_F ‖K_b‖_F),  K = H h hᵀ H, H = I − 11ᵀ/m",
    shapes: "h: [m, D] the flattened activations that enter a layer with weights (the network's input apart), and the \
             logits; m: samples spread evenly over the sample",
    paper: "Kornblith, Norouzi, Lee, Hinton 2019, Similarity of Neural Network Representations Revisited; Nguyen, Raghu, \
            Kornblith 2021, Do Wide and Deep Networks Learn the Same Things?, for the sign",
    needs: &[],
    cost: "m/n F, more where the activations of all layers do not fit in 256 MiB, and O(m² · Σ dim h), m = 500",
    invariances: Invariances::ALL,
    behaviour: "From 0 to 1. Blocks of layers that are nearly the same appear where the capacity is large for the data: \
                so the sign, which is a heuristic. With many more dimensions than samples the estimate is biased \
                towards 1. The details give each layer's mean over the others. Undefined where a layer is constant, \
                and with fewer than two layers.",
    stochastic: false,
    control: false,
    parameters: &[samples_parameter(500)],
};

impl Cka {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// None so far.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: parameters.integer("samples")? })
    }
}

impl Measure for Cka {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let layers = hidden_and_output(probe.network());
        if layers.len() < 2 {
            return MeasureError::undefined("there is one layer only, and none to compare it with");
        }
        let grams = probe.get(&Grams {
            sources: layers.iter().map(|layer| Source::Node(layer.node)).collect(),
            samples: Samples::Spread(self.samples),
        })?;
        let similarities = similarities(&grams)?;
        let others = (layers.len() - 1) as f64;
        let details: Vec<LayerDetail> = layers
            .into_iter()
            .zip(&similarities)
            .map(|(layer, row)| LayerDetail {
                layer: layer.layer,
                value: (row.iter().sum::<f64>() - 1.0) / others,
            })
            .collect();
        let value = details.iter().map(|detail| detail.value).sum::<f64>() / details.len() as f64;
        Ok(Measured::value(value).with_layers(details))
    }
}

/// CKA of each pair, from inner products `[m, m]`: rows of a symmetric matrix with ones on the diagonal.
///
/// # Errors
/// A representation is the same on every sample: undefined.
pub fn similarities(grams: &[Tensor]) -> Result<Vec<Vec<f64>>, MeasureError> {
    let mut units = Vec::new();
    for gram in grams {
        let centred = centred(gram)?.f_reshape([-1])?;
        let norm = centred.f_dot(&centred)?.f_double_value(&[])?.sqrt();
        units.push(centred.f_div_scalar(norm)?);
    }
    let units = Tensor::f_stack(&units, 0)?;
    let mut products = units.f_matmul(&units.f_transpose(0, 1)?)?.f_clamp(0.0, 1.0)?;
    let products = products.f_fill_diagonal_(1.0, false)?.f_to_kind(Kind::Double)?;
    crate::gram::rows(&products)
}
