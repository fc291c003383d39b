//! The label variation of mixed inputs in the penultimate layer.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Generator, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::gram::{grams, rows};
use crate::hidden_layers;
use crate::label_variation::PAPER;
use crate::similarity_graph::{SimilarityGraph, Weights, median, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Vpm {
    samples: i64,
    graphs: i64,
}

/// What `vpm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vpm",
    family: "representation",
    version: 1,
    title: "The variation in the penultimate layer with mixup: how mixed labels vary between the nearest of mixed inputs.",
    formula: "median over graphs of tr(ỸᵀLỸ),  x̃ = λx + (1 − λ)x′, ỹ = λy + (1 − λ)y′, λ ~ Beta(2, 2),  L = I − D^−½ A D^−½ of the \
              binary graph of 1 neighbour, edges as in `label_variation`",
    shapes: "x, x′: [m, …] a random part of the sample, and the same in another order; y: [m, C] one-hot; λ: [m]; A: [m, m] \
             by the activations of x̃ that enter the last layer with weights",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "graphs · m/n F and O(graphs · m² · dim h), m = 500, 10 graphs",
    invariances: Invariances::ALL,
    behaviour: "Small where the representation orders mixtures as their labels are. Random: the standard error is that of a \
                median of normal values, √(π/2) · s/√graphs. The rank of networks changes with single graphs, hence the \
                median. Undefined with a single sample, with no hidden layer, and where activations are all zero.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 500, min: 2, max: 20_000 },
            doc: "number m of samples in each graph, drawn at random; all when there are fewer",
        },
        ParameterInfo {
            name: "graphs",
            kind: ParameterKind::Integer { default: 10, min: 1, max: 1000 },
            doc: "number of graphs",
        },
    ],
};

impl Vpm {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// None so far.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: parameters.integer("samples")?, graphs: parameters.integer("graphs")? })
    }
}

impl Measure for Vpm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let penultimate = hidden_layers::chosen(probe.network(), -1)?;
        let mut generator = probe.generator("mixtures");
        let mut values = Vec::new();
        for _ in 0..self.graphs {
            let (inputs, signals) = mixed(probe, self.samples, &mut generator)?;
            let gram = grams(probe, &inputs, &[penultimate.node])?.swap_remove(0);
            values.push(SimilarityGraph::new(&gram, 1, Weights::Binary)?.variation(&signals, true));
        }
        let Some(value) = median(&mut values) else {
            return MeasureError::undefined("there are no graphs");
        };
        let measured = Measured::value(value).with_detail("layer", penultimate.layer);
        if values.len() < 2 {
            return Ok(measured);
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Ok(measured.with_standard_error((std::f64::consts::FRAC_PI_2 * variance / count).sqrt()))
    }
}

/// Mixed inputs, and mixed labels as rows.
fn mixed(
    probe: &Probe,
    samples: i64,
    generator: &mut Generator,
) -> Result<(Tensor, Vec<Vec<f64>>), MeasureError> {
    let all = probe.sample_size();
    let count = usize::try_from(samples).unwrap_or(all).min(all);
    let mut indices = generator.permutation(all);
    indices.truncate(count);
    let partners: Vec<i64> =
        generator.permutation(count).into_iter().map(|at| indices[at as usize]).collect();
    // The middle one of three uniform numbers has the density 6λ(1 − λ).
    let shares = generator.uniform_tensor(&[count as i64, 3])?.f_sort(1, false)?.0.f_select(1, 1)?;
    let take = |tensor: &Tensor, indices: &[i64]| -> Result<Tensor, MeasureError> {
        Ok(tensor.f_index_select(0, &Tensor::f_from_slice(indices)?.f_to_device(probe.device())?)?)
    };
    let (one, other) = (take(probe.inputs(), &indices)?, take(probe.inputs(), &partners)?);
    let mut shape = vec![1; one.dim()];
    shape[0] = count as i64;
    let share = shares.f_reshape(shape.as_slice())?;
    let inputs = other.f_add(&one.f_sub(&other)?.f_mul(&share)?)?;
    let labels = |indices: &[i64]| -> Result<Tensor, MeasureError> {
        let labels = Vec::<i64>::try_from(&take(probe.labels(), indices)?)?;
        let flat: Vec<f64> = one_hot(&labels, probe.classes()).into_iter().flatten().collect();
        Ok(Tensor::f_from_slice(&flat)?.f_reshape([count as i64, -1])?)
    };
    let share = shares
        .f_to_device(pgdl_measure::tch::Device::Cpu)?
        .f_to_kind(pgdl_measure::tch::Kind::Double)?
        .f_unsqueeze(1)?;
    let (own, others) = (labels(&indices)?, labels(&partners)?);
    let signals = others.f_add(&own.f_sub(&others)?.f_mul(&share)?)?;
    Ok((inputs, rows(&signals)?))
}
