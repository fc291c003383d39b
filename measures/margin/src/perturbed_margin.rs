//! Margins at random neighbours of the samples: what the measures of Natekar & Sharma share.

use pgdl_measure::network::Mode;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Generator, MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, RegistryError,
};

use crate::augmentation::{Change, change_images, check_images};
use crate::distance::{check_classes, distances, slopes};
use crate::hidden_margins::BATCH;
use crate::place::{Depth, Place};
use crate::signature::Signature;
use crate::variation::{Variation, trimmed_mean};

/// Share of the coordinates left out at each end of the variances.
const TRIM: f64 = 0.05;

/// Samples and batches of the published code.
const PUBLISHED_SAMPLES: usize = 500;
const PUBLISHED_BATCH: usize = 50;

/// The published code shuffles no more than this many samples, the first ones.
const PUBLISHED_BUFFER: usize = 5000;

/// What the published code adds to each denominator.
const PUBLISHED_EPSILON: f64 = 1e-7;

/// Number of random neighbours of each sample.
pub(crate) const DRAWS: ParameterInfo = ParameterInfo {
    name: "draws",
    kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
    doc: "how often each sample is changed at random",
};

/// Number of samples.
pub(crate) const SAMPLES: ParameterInfo = ParameterInfo {
    name: "samples",
    kind: ParameterKind::Integer { default: DEFAULT_SAMPLES, min: 2, max: i64::MAX },
    doc: "number m of samples, the first ones; all when there are fewer",
};

const DEFAULT_SAMPLES: i64 = 1000;

/// Where distances are taken.
pub(crate) const LAYER: ParameterInfo = ParameterInfo {
    name: "layer",
    kind: ParameterKind::Choice { default: "input", options: &["input", "first", "middle", "last"] },
    doc: "where distances are taken: the input, or what enters the second, a middle or the last layer with weights",
};

/// The form of the value.
pub(crate) const VARIANT: ParameterInfo = ParameterInfo {
    name: "variant",
    kind: ParameterKind::Choice { default: "mean", options: &["mean", "as_coded"] },
    doc: "`as_coded` takes 500 random samples of the first 5000 in batches of 50, distances behind the first layer with weights, the \
          mean of quartiles and fences, and 1e-7 added to each denominator",
};

/// How samples are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// Small changes of the image.
    Augmented,
    /// The mean of two inputs of a class.
    Mixed,
    /// The mean of two representations of a class.
    MixedInside,
}

/// A measure of this kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerturbedMargin {
    pub neighbour: Neighbour,
    pub depth: Depth,
    pub samples: usize,
    pub draws: usize,
    pub as_coded: bool,
}

impl PerturbedMargin {
    /// With the parameters `layer`, `samples`, `draws` and `variant`.
    pub(crate) fn new(
        id: &str,
        neighbour: Neighbour,
        parameters: &Parameters,
    ) -> Result<Self, RegistryError> {
        let depth = Depth::named(parameters.choice("layer")?);
        let as_coded = parameters.choice("variant")? == "as_coded";
        if as_coded && (depth != Depth::Input || parameters.integer("samples")? != DEFAULT_SAMPLES) {
            return Err(RegistryError::IllegalCombination {
                id: id.to_string(),
                reason: "`variant=as_coded` takes distances behind the first layer on 500 samples, whatever `layer` \
                         and `samples` say"
                    .to_string(),
            });
        }
        let depth = if as_coded { Depth::FirstOutput } else { depth };
        Ok(Self {
            neighbour,
            depth,
            samples: size(parameters, "samples")?,
            draws: size(parameters, "draws")?,
            as_coded,
        })
    }

    /// The mean over the draws with its standard error.
    pub(crate) fn evaluate(self, probe: &Probe) -> Result<Measured, MeasureError> {
        check_classes(probe.classes())?;
        if self.neighbour == Neighbour::Augmented {
            check_images(probe.inputs())?;
        }
        let place = self.depth.place(probe.network())?;
        let mut values = Vec::new();
        let mut left_out = 0;
        for draw in 0..self.draws {
            let mut generator = probe.generator(&format!("draw {draw}"));
            let drawn = self.draw(probe, place, &mut generator)?;
            values.push(drawn.value);
            left_out += drawn.left_out;
        }
        Ok(Measured::mean_of(&values).with_detail("left_out", left_out as f64))
    }

    fn draw(self, probe: &Probe, place: Place, generator: &mut Generator) -> Result<Drawn, MeasureError> {
        let labels = Vec::<i64>::try_from(probe.labels())?;
        let (order, group) = if self.as_coded {
            let mut order = generator.permutation(labels.len().min(PUBLISHED_BUFFER));
            order.truncate(PUBLISHED_SAMPLES);
            (order, PUBLISHED_BATCH)
        } else {
            let count = labels.len().min(self.samples);
            ((0..count as i64).collect(), count)
        };
        let plan = match self.neighbour {
            Neighbour::Augmented => Plan::Changes(order.iter().map(|_| Change::random(generator)).collect()),
            _ => Plan::Partners(
                order.chunks(group).flat_map(|part| partners(part, &labels, generator)).collect(),
            ),
        };
        let mut margins = Vec::new();
        let mut norms = Vec::new();
        let mut variation = Variation::default();
        let size = usize::try_from(probe.batch_size().min(BATCH)).unwrap_or(1).max(1);
        for (batch, samples) in order.chunks(size).enumerate() {
            probe.check_deadline()?;
            let from = batch * size;
            let range = from..from + samples.len();
            let index = index(probe, samples)?;
            let inputs = probe.inputs().f_index_select(0, &index)?;
            let (leaf, outputs, logits) = match &plan {
                Plan::Changes(changes) => {
                    self.run(probe, place, &change_images(&inputs, &changes[range])?)?
                }
                Plan::Partners(partners) => {
                    let others = probe.inputs().f_index_select(0, &self::index(probe, &partners[range])?)?;
                    self.run_mixed(probe, place, &inputs, &others)?
                }
            };
            let at = match self.neighbour {
                Neighbour::MixedInside => &leaf,
                _ => place.tensor(&leaf, &outputs)?,
            };
            let found = slopes(&logits, &probe.labels().f_index_select(0, &index)?, &[at])?;
            probe.count_backward(samples.len() as i64);
            margins.extend(found.margins);
            norms.extend(found.norms.into_iter().flatten());
            variation.add(at)?;
        }
        self.summary(&margins, &norms, &variation)
    }

    fn run_mixed(
        self,
        probe: &Probe,
        place: Place,
        inputs: &Tensor,
        others: &Tensor,
    ) -> Result<Run, MeasureError> {
        let half = |one: &Tensor, other: &Tensor| one.f_add(other)?.f_mul_scalar(0.5);
        if self.neighbour != Neighbour::MixedInside {
            return self.run(probe, place, &half(inputs, others)?);
        }
        let (one, other) = (place.representation(probe, inputs)?, place.representation(probe, others)?);
        let leaf = half(&one, &other)?.f_contiguous()?.f_detach()?.f_set_requires_grad(true)?;
        let logits = place.logits(probe, &leaf)?;
        Ok((leaf, Vec::new(), logits))
    }

    fn run(self, probe: &Probe, place: Place, inputs: &Tensor) -> Result<Run, MeasureError> {
        let leaf = inputs.f_contiguous()?.f_detach()?.f_set_requires_grad(true)?;
        let mut outputs = Vec::new();
        let needed = match place {
            Place::Input => 0,
            Place::Node(node) => node + 1,
        };
        let logits = probe.network().forward_observed(&leaf, Mode::Evaluate, &mut |node, output| {
            if node < needed {
                outputs.push(output.shallow_clone());
            }
            Ok(())
        })?;
        probe.count_forward(inputs.size()[0]);
        Ok((leaf, outputs, logits))
    }

    fn summary(self, margins: &[f64], norms: &[f64], variation: &Variation) -> Result<Drawn, MeasureError> {
        let variance = trimmed_mean(&mut variation.variances()?, TRIM).unwrap_or(0.0);
        let spread = variance.sqrt();
        if spread <= 0.0 || !spread.is_finite() {
            return MeasureError::undefined(format!(
                "the trimmed variance of the representation is {variance:e}, and distances need a unit"
            ));
        }
        let (mut distances, spread) = if self.as_coded {
            let norms: Vec<f64> = norms.iter().map(|norm| norm + PUBLISHED_EPSILON).collect();
            (distances(margins, &norms)?, spread + PUBLISHED_EPSILON)
        } else {
            (distances(margins, norms)?, spread)
        };
        let left_out = margins.len() - distances.len();
        let centre = if self.as_coded {
            Signature::of(&mut distances).map(|signature| signature.mean())
        } else {
            Some(distances.iter().sum::<f64>() / distances.len() as f64)
        };
        match centre {
            Some(centre) => Ok(Drawn { value: -centre / spread, left_out }),
            None => MeasureError::undefined("there are no margins"),
        }
    }
}

/// A parameter that counts something.
pub(crate) fn size(parameters: &Parameters, name: &str) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX))
}

/// The leaf, the outputs of the nodes up to the place, the logits.
type Run = (Tensor, Vec<Tensor>, Tensor);

/// What happens to each sample of a draw.
enum Plan {
    Changes(Vec<Change>),
    Partners(Vec<i64>),
}

struct Drawn {
    value: f64,
    left_out: usize,
}

fn index(probe: &Probe, samples: &[i64]) -> Result<Tensor, MeasureError> {
    Ok(Tensor::f_from_slice(samples)?.f_to_device(probe.device())?)
}

/// For each of `samples` another of its class among them; a sample may meet itself.
fn partners(samples: &[i64], labels: &[i64], generator: &mut Generator) -> Vec<i64> {
    let of_sample: Vec<i64> = samples.iter().map(|&at| labels[at as usize]).collect();
    generator.permutation_within(&of_sample).into_iter().map(|at| samples[at as usize]).collect()
}
