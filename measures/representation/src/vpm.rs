//! The label variation of mixed inputs in the penultimate layer.

use pgdl_measure::network::Source;
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{
    Generator, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::as_coded;
use crate::draws::{median, standard_error_of_median};
use crate::gram::grams;
use crate::hidden_layers;
use crate::label_variation::PAPER;
use crate::shuffle_buffer::ShuffleBuffer;
use crate::similarity_graph::{Neighbours, Weights, one_hot};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Vpm {
    samples: i64,
    graphs: i64,
    as_coded: bool,
}

const DEFAULT_SAMPLES: i64 = 500;

/// Graphs, when none are asked for: here, and in the team's own evaluation of their measure.
const DEFAULT_GRAPHS: i64 = 10;
const PUBLISHED_GRAPHS: i64 = 80;

/// As published: samples of a class that are shuffled at a time.
const PUBLISHED_BUFFER: usize = 100;

/// What `vpm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "vpm",
    family: "representation",
    version: 2,
    title: "The variation in the penultimate layer with mixup: how mixed labels vary between the nearest of mixed inputs.",
    formula: "median over graphs of tr(ỸᵀLỸ),  x̃ = λx + (1 − λ)x′, ỹ = λy + (1 − λ)y′, λ ~ Beta(2, 2),  L = I − D^−½ A D^−½ of the \
              binary graph of 1 neighbour, edges as in `label_variation`",
    shapes: "x, x′: [m, …] a random part of the sample, and the same in another order; y: [m, C] one-hot; λ: [m]; A: [m, m] \
             by the activations of x̃ that enter the last layer with weights",
    paper: PAPER,
    needs: &[Need::Labels],
    cost: "graphs · m/n F and O(graphs · m² · dim h), m = 500, 10 graphs; `as_coded` 80 graphs",
    invariances: Invariances::ALL,
    behaviour: "Small where the representation orders mixtures as their labels are. Random: the standard error is that of a \
                median of normal values, √(π/2) · s/√graphs. The rank of networks changes with single graphs, hence the \
                median. `as_coded`: each graph of ⌊500/C⌋ samples of every class, which a buffer of 100 lets out at random; \
                edges lead from each sample to its nearest only and A is not made symmetric, so that L = I − A but for \
                ties; the variation is divided by 2000 and clipped to [0, 1000]. The team scored 80 graphs in the \
                development phase (the default here), and a single one in the final phase (`graphs=1`: no standard \
                error). Their λ was drawn once for all graphs of a network, here for each graph, so that the graphs are \
                independent. Undefined with a single sample, with no hidden layer, and where activations are all \
                zero; `as_coded` also where a class is missing or all activations are alike.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: DEFAULT_SAMPLES, min: 2, max: 20_000 },
            doc: "number m of samples in each graph, drawn at random; all when there are fewer",
        },
        ParameterInfo {
            name: "graphs",
            kind: ParameterKind::Integer { default: 0, min: 0, max: 1000 },
            doc: "number of graphs; 0 stands for 10, and for 80 with `variant=as_coded`",
        },
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
            doc: "`as_coded` takes the samples and the graph of the team's program, and not `samples`",
        },
    ],
};

impl Vpm {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `samples` beside the variant that does not look at it.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let samples = parameters.integer("samples")?;
        let as_coded = parameters.choice("variant")? == "as_coded";
        if as_coded {
            as_coded::refuse(INFO.id, samples != DEFAULT_SAMPLES, "`samples`")?;
        }
        let graphs = match parameters.integer("graphs")? {
            0 if as_coded => PUBLISHED_GRAPHS,
            0 => DEFAULT_GRAPHS,
            graphs => graphs,
        };
        Ok(Self { samples, graphs, as_coded })
    }
}

impl Measure for Vpm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (layer, source) = if self.as_coded {
            hidden_layers::inputs_of_last(probe.network(), 1)?.swap_remove(0)
        } else {
            let penultimate = hidden_layers::chosen(probe.network(), -1)?;
            (penultimate.layer, Source::Node(penultimate.node))
        };
        let mut generator = probe.generator("mixtures");
        let mut balanced = if self.as_coded { Some(BalancedStream::new(probe)?) } else { None };
        let mut values = Vec::new();
        for _ in 0..self.graphs {
            let indices = match &mut balanced {
                Some(stream) => stream.draw(&mut generator),
                None => {
                    let mut indices = generator.permutation(probe.sample_size());
                    indices.truncate(usize::try_from(self.samples).unwrap_or(usize::MAX));
                    indices
                }
            };
            let (inputs, signals) = mixed(probe, &indices, &mut generator)?;
            let gram = grams(probe, &inputs, &[source])?.swap_remove(0);
            values.push(if self.as_coded {
                as_coded::of_binary(as_coded::binary(&gram, 1, false)?.variation(&signals, true)?)
            } else {
                Neighbours::new(&gram, 1)?.graph(Weights::Binary)?.variation(&signals, true)?
            });
        }
        let error = standard_error_of_median(&values);
        let Some(value) = median(&mut values) else {
            return MeasureError::undefined("there are no graphs");
        };
        let measured = Measured::value(value).with_detail("layer", layer);
        Ok(match error {
            Some(error) => measured.with_standard_error(error),
            None => measured,
        })
    }
}

/// As many samples of every class, class by class, as the team's program draws them.
struct BalancedStream {
    classes: Vec<ShuffleBuffer>,
    per_class: usize,
}

impl BalancedStream {
    fn new(probe: &Probe) -> Result<Self, MeasureError> {
        let labels = Vec::<i64>::try_from(probe.labels())?;
        let per_class = as_coded::GRAPH / probe.classes();
        if per_class < 1 {
            return MeasureError::undefined(format!(
                "{} samples have none for each of {} classes",
                as_coded::GRAPH,
                probe.classes()
            ));
        }
        let mut classes = Vec::new();
        for class in 0..probe.classes() {
            let own = (0..labels.len() as i64).zip(&labels).filter(|(_, label)| **label == class);
            let own: Vec<i64> = own.map(|(sample, _)| sample).collect();
            match ShuffleBuffer::new(own, PUBLISHED_BUFFER) {
                Some(buffer) => classes.push(buffer),
                None => return MeasureError::undefined(format!("class {class} has no sample")),
            }
        }
        Ok(Self { classes, per_class: per_class.unsigned_abs() as usize })
    }

    fn draw(&mut self, generator: &mut Generator) -> Vec<i64> {
        let mut drawn = Vec::new();
        for class in &mut self.classes {
            drawn.extend((0..self.per_class).map(|_| class.draw(generator)));
        }
        drawn
    }
}

/// Inputs `[m, …]` mixed with the same in another order, and their mixed labels `[m, C]`, f64, on the CPU.
fn mixed(
    probe: &Probe,
    indices: &[i64],
    generator: &mut Generator,
) -> Result<(Tensor, Tensor), MeasureError> {
    let count = indices.len();
    let partners: Vec<i64> =
        generator.permutation(count).into_iter().map(|at| indices[at as usize]).collect();
    // The middle one of three uniform numbers has the density 6λ(1 − λ).
    let shares = generator.uniform_tensor(&[count as i64, 3])?.f_sort(1, false)?.0.f_select(1, 1)?;
    let take = |tensor: &Tensor, indices: &[i64]| -> Result<Tensor, MeasureError> {
        Ok(tensor.f_index_select(0, &Tensor::f_from_slice(indices)?.f_to_device(probe.device())?)?)
    };
    let (one, other) = (take(probe.inputs(), indices)?, take(probe.inputs(), &partners)?);
    let mut shape = vec![1; one.dim()];
    shape[0] = count as i64;
    let share = shares.f_reshape(shape.as_slice())?;
    let inputs = other.f_add(&one.f_sub(&other)?.f_mul(&share)?)?;
    let labels = |indices: &[i64]| -> Result<Tensor, MeasureError> {
        one_hot(&Vec::<i64>::try_from(&take(probe.labels(), indices)?)?, probe.classes())
    };
    let share = shares.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_unsqueeze(1)?;
    let (own, others) = (labels(indices)?, labels(&partners)?);
    Ok((inputs, others.f_add(&own.f_sub(&others)?.f_mul(&share)?)?))
}
