//! The winner of the 2020 competition: separated classes that mixtures respect.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::network::Layer;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Generator, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError,
};

use crate::class_geometry::ClassGeometry;
use crate::davies_bouldin::davies_bouldin;
use crate::gram::{chosen_labels, chosen_samples, samples_parameter};
use crate::shuffle_buffer::ShuffleBuffer;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct DbiMixup {
    samples: i64,
    draws: i64,
    as_coded: bool,
}

const DEFAULT_SAMPLES: i64 = 1000;
const DEFAULT_DRAWS: i64 = 5;

/// Side of the pooling window.
const WINDOW: i64 = 4;

/// As published: samples in one draw of the index, draws, and samples of each class in a batch of mixtures.
const PUBLISHED_DRAW: usize = 3 * 40;
const PUBLISHED_DRAWS: usize = 10;
const PUBLISHED_PER_CLASS: usize = 10;

/// As published: samples that are shuffled at a time.
const PUBLISHED_BUFFER: usize = 5000;

/// What `dbi_mixup` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "dbi_mixup",
    family: "representation",
    version: 2,
    title: "The Davies–Bouldin index of the classes behind the first convolution or pooling times the error on mixtures within the classes.",
    formula: "DB · (1 − (1/C) Σ_c share of x, x′ in class c with argmax f((x + x′)/2) = c),  DB as in `davies_bouldin`",
    shapes: "DB: of the output of the first convolution or pooling, max-pooled over 4 × 4 and flattened, on m samples spread \
             evenly over the sample; x′: another random sample of x's class, for each x of the m, in each of 5 draws",
    paper: "Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep Learning: \
            first place of the 2020 competition",
    needs: &[Need::Labels],
    cost: "m/n F for the index and draws · m/n F for the mixtures, m = 1000, 5 draws; `as_coded`: F over 1200 samples \
           and at most 450 C mixtures",
    invariances: Invariances::ALL,
    behaviour: "Random by the partners; the standard error is the index times that of the draws' mean accuracy. A window \
                larger than the map shrinks to it. `as_coded`: the mean index of 10 draws of 3 × 40 samples, taken \
                from a shuffling buffer of 5000 over the repeated sample, so that a draw from a smaller sample may hold one twice; and all \
                pairs within each class of 10 consecutive batches of 10 C samples, every batch of a class with equal \
                weight, a class that a batch lacks left out; its standard error holds the index's draws only. \
                Undefined without a convolution or pooling (`as_coded`: among the first three layers), for one class, \
                and where no class has two samples.",
    stochastic: true,
    control: false,
    parameters: &[
        samples_parameter(DEFAULT_SAMPLES),
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: DEFAULT_DRAWS, min: 2, max: 1000 },
            doc: "number of draws of partners",
        },
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
            doc: "`as_coded` takes few samples, as published, and not `samples` and `draws`",
        },
    ],
};

impl DbiMixup {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `samples` or `draws` beside the variant that does not look at them.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let (samples, draws) = (parameters.integer("samples")?, parameters.integer("draws")?);
        let as_coded = parameters.choice("variant")? == "as_coded";
        if as_coded && (samples, draws) != (DEFAULT_SAMPLES, DEFAULT_DRAWS) {
            return Err(RegistryError::IllegalCombination {
                id: INFO.id.to_string(),
                reason: "`variant=as_coded` has its own sizes, whatever `samples` and `draws` say"
                    .to_string(),
            });
        }
        Ok(Self { samples, draws, as_coded })
    }
}

impl Measure for DbiMixup {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let node = first_strided(probe, if self.as_coded { 3 } else { usize::MAX })?;
        let layer = probe.network().architecture().nodes[node].name.clone();
        let (index, accuracy, error) = if self.as_coded {
            let mut generator = probe.generator("samples of the index");
            let indices = published_indices(probe, node, &mut generator)?;
            let (index, spread) = (mean(&indices), standard_error_of_mean(&indices).unwrap_or(0.0));
            let accuracy = published_accuracy(probe)?;
            (index, accuracy, spread * (1.0 - accuracy))
        } else {
            let chosen = chosen_samples(probe, self.samples)?;
            let labels = chosen_labels(probe, self.samples)?;
            let index = index_on(probe, node, &chosen, &labels)?;
            let chosen = Vec::<i64>::try_from(&chosen)?;
            let mut generator = probe.generator("partners");
            let draw = |_| partner_accuracy(probe, &chosen, &labels, &mut generator);
            let accuracies: Vec<f64> = (0..self.draws).map(draw).collect::<Result<_, _>>()?;
            let (accuracy, spread) = (mean(&accuracies), standard_error_of_mean(&accuracies).unwrap_or(0.0));
            (index, accuracy, spread * index)
        };
        Ok(Measured::value(index * (1.0 - accuracy))
            .with_standard_error(error)
            .with_layers(vec![LayerDetail { layer, value: index }])
            .with_detail("davies_bouldin", index)
            .with_detail("mixup_accuracy", accuracy))
    }
}

/// The first node that has strides, among the first `nodes`.
fn first_strided(probe: &Probe, nodes: usize) -> Result<usize, MeasureError> {
    let strided = |layer: &Layer| {
        matches!(
            layer,
            Layer::Conv2d(_)
                | Layer::DepthwiseConv2d(_)
                | Layer::SeparableConv2d(_)
                | Layer::MaxPooling2d(_)
                | Layer::AveragePooling2d(_)
        )
    };
    match probe.network().architecture().nodes.iter().take(nodes).position(|node| strided(&node.layer)) {
        Some(node) => Ok(node),
        None if nodes == usize::MAX => {
            MeasureError::undefined("the network has no convolution and no pooling")
        }
        None => {
            MeasureError::undefined("there is no convolution and no pooling among the first three layers")
        }
    }
}

/// The index on some samples.
fn index_on(probe: &Probe, node: usize, samples: &Tensor, labels: &[i64]) -> Result<f64, MeasureError> {
    let inputs = probe.inputs().f_index_select(0, samples)?;
    let pool = |output: &Tensor| {
        let (_, height, width, _) = output.size4()?;
        let window = [WINDOW.min(height), WINDOW.min(width)];
        Ok(output.f_permute([0, 3, 1, 2])?.f_max_pool2d(window, window, [0, 0], [1, 1], false)?)
    };
    Ok(davies_bouldin(&ClassGeometry::of_pooled(probe, node, &inputs, labels, pool)?))
}

/// Ten indices of small samples, as the entry's buffer lets them out.
fn published_indices(
    probe: &Probe,
    node: usize,
    generator: &mut Generator,
) -> Result<Vec<f64>, MeasureError> {
    let all_labels = Vec::<i64>::try_from(probe.labels())?;
    let Some(mut buffer) = ShuffleBuffer::new((0..all_labels.len() as i64).collect(), PUBLISHED_BUFFER)
    else {
        return MeasureError::undefined("there are no samples");
    };
    let mut indices = Vec::new();
    for _ in 0..PUBLISHED_DRAWS {
        let draw: Vec<i64> = (0..PUBLISHED_DRAW).map(|_| buffer.draw(generator)).collect();
        let labels: Vec<i64> = draw.iter().map(|&sample| all_labels[sample as usize]).collect();
        indices.push(index_on(
            probe,
            node,
            &Tensor::f_from_slice(&draw)?.f_to_device(probe.device())?,
            &labels,
        )?);
    }
    Ok(indices)
}

/// Accuracy on all pairs within each class of ten consecutive batches, over again from the first sample when there are
/// no more.
fn published_accuracy(probe: &Probe) -> Result<f64, MeasureError> {
    let labels = Vec::<i64>::try_from(probe.labels())?;
    let classes = probe.classes().unsigned_abs() as usize;
    let size = PUBLISHED_PER_CLASS * classes;
    let mut shares: Vec<Vec<f64>> = vec![Vec::new(); classes];
    let mut lacking = vec![false; classes];
    for batch in 0..PUBLISHED_DRAWS {
        let samples: Vec<usize> = (0..size).map(|at| (batch * size + at) % labels.len()).collect();
        for class in 0..classes {
            let own: Vec<i64> =
                samples.iter().filter(|&&at| labels[at] == class as i64).map(|&at| at as i64).collect();
            lacking[class] |= own.is_empty();
            let pairs = (0..own.len()).flat_map(|a| (a + 1..own.len()).map(move |b| (a, b)));
            let (one, other): (Vec<i64>, Vec<i64>) = pairs.map(|(a, b)| (own[a], own[b])).unzip();
            if !one.is_empty() {
                let right = right_on_mixtures(probe, &one, &other, &vec![class as i64; one.len()])?;
                shares[class].push(right.iter().sum::<f64>() / right.len() as f64);
            }
        }
    }
    let present = shares.iter().zip(&lacking).filter(|(shares, lacking)| !**lacking && !shares.is_empty());
    let means: Vec<f64> =
        present.map(|(shares, _)| shares.iter().sum::<f64>() / shares.len() as f64).collect();
    if means.is_empty() {
        return MeasureError::undefined("no class has two samples in a batch and one in each");
    }
    Ok(means.iter().sum::<f64>() / means.len() as f64)
}

/// Accuracy, class by class, where each sample is mixed with a random other one of its class.
fn partner_accuracy(
    probe: &Probe,
    samples: &[i64],
    labels: &[i64],
    generator: &mut Generator,
) -> Result<f64, MeasureError> {
    let (mut one, mut other, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for class in 0..probe.classes() {
        let own: Vec<i64> = samples
            .iter()
            .zip(labels)
            .filter(|(_, label)| **label == class)
            .map(|(sample, _)| *sample)
            .collect();
        if own.len() < 2 {
            continue;
        }
        // Along a random cycle through the class everyone's partner is someone else.
        let cycle = generator.permutation(own.len());
        for (at, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
            one.push(own[*at as usize]);
            other.push(own[*next as usize]);
            targets.push(class);
        }
    }
    if one.is_empty() {
        return MeasureError::undefined("no class has two samples");
    }
    let right = right_on_mixtures(probe, &one, &other, &targets)?;
    let mut sums: std::collections::BTreeMap<i64, (f64, f64)> = std::collections::BTreeMap::new();
    for (right, target) in right.iter().zip(&targets) {
        let (sum, count) = sums.entry(*target).or_default();
        *sum += right;
        *count += 1.0;
    }
    Ok(sums.values().map(|(sum, count)| sum / count).sum::<f64>() / sums.len() as f64)
}

/// 1 where the network answers the target on (x + x′)/2, and 0 elsewhere.
fn right_on_mixtures(
    probe: &Probe,
    one: &[i64],
    other: &[i64],
    targets: &[i64],
) -> Result<Vec<f64>, MeasureError> {
    let take = |indices: &[i64]| -> Result<Tensor, MeasureError> {
        Ok(probe.inputs().f_index_select(0, &Tensor::f_from_slice(indices)?.f_to_device(probe.device())?)?)
    };
    let mut right = Vec::with_capacity(one.len());
    let batch = usize::try_from(probe.batch_size()).unwrap_or(1).max(1);
    for ((one, other), targets) in one.chunks(batch).zip(other.chunks(batch)).zip(targets.chunks(batch)) {
        probe.check_deadline()?;
        let outputs = probe.forward(&take(one)?.f_add(&take(other)?)?.f_mul_scalar(0.5)?)?;
        let targets = Tensor::f_from_slice(targets)?.f_to_device(probe.device())?;
        let hits = outputs.f_argmax(1, false)?.f_eq_tensor(&targets)?.f_to_kind(Kind::Double)?;
        right.extend(Vec::<f64>::try_from(&hits)?);
    }
    Ok(right)
}
