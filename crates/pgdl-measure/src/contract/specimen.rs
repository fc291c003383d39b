//! Tiny networks with samples, made on the fly.

use pgdl_network::{Activation, Architecture, Conv2d, Dense, Layer, Mode, Network, Padding, Pool, Role};
use pgdl_zoo::{Dataset, HyperValue};
use tch::{Device, Kind, Tensor};

use crate::error::MeasureError;
use crate::generator::Generator;
use crate::probe::ProbeInput;
use crate::truth::{TrueNetwork, Truth};

/// Samples of each specimen. Every twentieth is misclassified.
const SAMPLES: i64 = 60;

const EPSILON: f64 = 1e-3;

/// A network with everything that a probe may hold.
#[derive(Debug)]
pub struct Specimen {
    /// What it is.
    pub name: &'static str,
    /// "Trained": initial weights plus noise, no zero biases; f32 on the CPU.
    pub network: Network,
    /// Initial weights.
    pub initial: Network,
    /// A sample on which the network is right in 19 of 20 cases, and no class is alone.
    pub train: Dataset,
    /// Further inputs.
    pub test_inputs: Tensor,
    /// A grid of 12 networks, of which this is one.
    pub truth: Truth,
    /// Number of classes.
    pub classes: i64,
    /// Two linear layers with only ReLU and pooling between; the first may be a BatchNormalization with γ and β.
    pub consecutive: Option<(usize, usize)>,
    /// A linear layer, the BatchNormalization that follows it, and that one's ε.
    pub normalized: Option<(usize, usize, f64)>,
    /// The last layer.
    pub last: usize,
}

impl Specimen {
    /// A specimen of any network, with the tiny networks' grid around it. What can be changed in it
    /// ([`rescale_layers`](super::rescale_layers) and the like) is found in its architecture: the first of each kind.
    ///
    /// # Errors
    /// The network gives no logits.
    pub fn of(
        name: &'static str,
        network: Network,
        initial: Network,
        train: Dataset,
        test_inputs: Tensor,
    ) -> Result<Self, MeasureError> {
        let architecture = network.architecture();
        let classes = architecture.classes()?;
        let (consecutive, normalized) = (consecutive(architecture), normalized(architecture));
        let last = last_with_parameters(&network);
        let truth = grid();
        Ok(Self { name, network, initial, train, test_inputs, truth, classes, consecutive, normalized, last })
    }

    /// What to make a probe of: f32, all samples in one batch, no deadline. Change fields at will.
    pub fn input(&self) -> ProbeInput {
        ProbeInput {
            network: self.network.shallow_clone(),
            network_id: 7,
            initial: Some(self.initial.shallow_clone()),
            train: self.train.shallow_clone(),
            train_size: self.train.len(),
            test_inputs: Some(self.test_inputs.shallow_clone()),
            truth: Some(self.truth.clone()),
            seed: 1,
            deadline: None,
            batch_size: 1000,
        }
    }
}

/// A convolutional network, one with BatchNormalization, a multilayer perceptron, and one with many classes; the same
/// ones on every call.
///
/// # Errors
/// libtorch refuses.
pub fn tiny_networks() -> Result<Vec<Specimen>, MeasureError> {
    Ok(vec![
        specimen("tiny_conv", 5, convolutional()?)?,
        Specimen { consecutive: None, ..specimen("tiny_batch_norm", 4, with_batch_norm()?)? },
        specimen("tiny_mlp", 3, perceptron()?)?,
        specimen("tiny_many_classes", 11, many_classes()?)?,
    ])
}

/// What to make a probe of, with given outputs: a network that returns its input, fed with `outputs`, `[n][C]`, f32.
///
/// # Errors
/// The rows differ in length, or there are not as many labels; libtorch refuses.
pub fn with_outputs<const C: usize>(
    outputs: &[[f32; C]],
    labels: &[i64],
) -> Result<ProbeInput, MeasureError> {
    let classes = C as i64;
    let layer = Layer::Dense(Dense { units: classes, use_bias: false, activation: Activation::Linear });
    let weights = vec![vec![Tensor::f_eye(classes, (Kind::Float, Device::Cpu))?]];
    let inputs = Tensor::f_from_slice(outputs.as_flattened())?.f_reshape([-1, classes])?;
    let train = Dataset::new(inputs, Tensor::f_from_slice(labels)?)
        .map_err(|error| MeasureError::Failed(error.to_string()))?;
    Ok(ProbeInput {
        network: Network::new(Architecture::sequential(vec![classes], vec![layer])?, weights)?,
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 1000,
    })
}

fn convolutional() -> Result<Architecture, MeasureError> {
    let layers = vec![
        conv(4, [1, 1], Padding::Same, Activation::Relu),
        Layer::MaxPooling2d(Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid }),
        conv(6, [2, 2], Padding::Valid, Activation::Relu),
        Layer::Flatten,
        Layer::Dropout { rate: 0.5 },
        dense(5),
    ];
    Ok(Architecture::sequential(vec![8, 8, 3], layers)?)
}

fn with_batch_norm() -> Result<Architecture, MeasureError> {
    let layers = vec![
        conv(5, [1, 1], Padding::Same, Activation::Linear),
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: EPSILON, momentum: 0.9 },
        Layer::Activation(Activation::Relu),
        conv(4, [1, 1], Padding::Valid, Activation::Linear),
        Layer::GlobalAveragePooling2d { keepdims: false },
    ];
    Ok(Architecture::sequential(vec![6, 6, 2], layers)?)
}

fn perceptron() -> Result<Architecture, MeasureError> {
    let hidden = |units| Layer::Dense(Dense { units, use_bias: true, activation: Activation::Relu });
    Ok(Architecture::sequential(vec![10], vec![hidden(16), hidden(12), dense(3)])?)
}

/// The only one whose last matrix has more than ten columns.
fn many_classes() -> Result<Architecture, MeasureError> {
    let hidden = Layer::Dense(Dense { units: 13, use_bias: true, activation: Activation::Relu });
    Ok(Architecture::sequential(vec![12], vec![hidden, dense(11)])?)
}

fn conv(filters: i64, strides: [i64; 2], padding: Padding, activation: Activation) -> Layer {
    Layer::Conv2d(Conv2d {
        filters,
        kernel: [3, 3],
        strides,
        padding,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation,
    })
}

fn dense(units: i64) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation: Activation::Linear })
}

fn specimen(name: &'static str, classes: i64, architecture: Architecture) -> Result<Specimen, MeasureError> {
    let mut random = Generator::new(&[b"pgdl tiny network", name.as_bytes()], Device::Cpu, Kind::Float);
    let input_shape = architecture.input_shape.clone();
    let batch = |samples: i64| [vec![samples], input_shape.clone()].concat();
    let inputs = random.normal_tensor(&batch(SAMPLES))?;
    let test_inputs = random.normal_tensor(&batch(20))?;
    let initial = Network::initialize(architecture, 11, Device::Cpu)?;
    let last = last_with_parameters(&initial);
    let network = centred(&moved(&initial, &mut random)?, &inputs, last)?;
    let labels = mostly_right(&outputs(&network, &inputs)?, classes)?;
    let train = Dataset::new(inputs, labels).map_err(|error| MeasureError::Failed(error.to_string()))?;
    Specimen::of(name, network, initial, train, test_inputs)
}

fn last_with_parameters(network: &Network) -> usize {
    network.parameters().map(|parameter| parameter.node).max().unwrap_or(0)
}

/// The nodes after `node` in a chain; none where the architecture is no chain.
fn successors(architecture: &Architecture, node: usize) -> impl Iterator<Item = (usize, &Layer)> {
    let nodes = if architecture.is_sequential() { architecture.nodes.as_slice() } else { &[] };
    nodes.iter().enumerate().skip(node + 1).map(|(at, node)| (at, &node.layer))
}

/// The first pair of a linear layer, or a BatchNormalization with γ and β, and the linear layer after it, with nothing
/// between that would tell a factor.
fn consecutive(architecture: &Architecture) -> Option<(usize, usize)> {
    let keeps_factors = |layer: &Layer| {
        layer.activation().is_none_or(Activation::is_positively_homogeneous)
            && !matches!(
                layer,
                Layer::BatchNormalization { .. } | Layer::LayerNormalization { .. } | Layer::Rescaling { .. }
            )
    };
    let begins = |layer: &Layer| match layer {
        Layer::BatchNormalization { scale, center, .. } => *scale && *center,
        layer => is_linear(layer) && keeps_factors(layer),
    };
    architecture.nodes.iter().enumerate().filter(|(_, node)| begins(&node.layer)).find_map(|(first, _)| {
        let (second, layer) =
            successors(architecture, first).find(|(_, layer)| is_linear(layer) || !keeps_factors(layer))?;
        is_linear(layer).then_some((first, second))
    })
}

/// The first linear layer that a BatchNormalization over the channels follows, that one, and its ε.
fn normalized(architecture: &Architecture) -> Option<(usize, usize, f64)> {
    architecture.nodes.iter().enumerate().find_map(|(linear, node)| {
        let (next, layer) = successors(architecture, linear).next()?;
        let Layer::BatchNormalization { epsilon, axis: -1, .. } = layer else { return None };
        let identity = node.layer.activation() == Some(Activation::Linear);
        (is_linear(&node.layer) && identity).then_some((linear, next, *epsilon))
    })
}

fn is_linear(layer: &Layer) -> bool {
    matches!(layer, Layer::Conv2d(_) | Layer::DepthwiseConv2d(_) | Layer::Dense(_))
}

/// Weights away from their initial values, as after training.
fn moved(initial: &Network, random: &mut Generator) -> Result<Network, MeasureError> {
    let mut weights: Vec<Vec<Tensor>> = initial.weights().iter().map(|_| Vec::new()).collect();
    for parameter in initial.parameters() {
        let noise = random.normal_tensor(&parameter.spec.shape)?.f_mul_scalar(0.2)?;
        weights[parameter.node].push(match parameter.spec.role {
            Role::MovingVariance => noise.f_exp()?,
            _ => parameter.tensor.f_add(&noise)?,
        });
    }
    Ok(initial.with_weights(weights)?)
}

/// The mean output taken off the last bias, so that no class wins on every sample.
fn centred(network: &Network, inputs: &Tensor, last: usize) -> Result<Network, MeasureError> {
    let mean = outputs(network, inputs)?.f_mean_dim(0, false, None)?;
    Ok(network.map_weights(|parameter| match parameter.spec.role {
        Role::Bias if parameter.node == last => Ok(parameter.tensor.f_sub(&mean)?),
        _ => Ok(parameter.tensor.shallow_clone()),
    })?)
}

fn outputs(network: &Network, inputs: &Tensor) -> Result<Tensor, MeasureError> {
    Ok(tch::no_grad(|| network.forward(inputs, Mode::Evaluate))?)
}

/// The network's own decisions, but for every twentieth sample.
fn mostly_right(outputs: &Tensor, classes: i64) -> Result<Tensor, MeasureError> {
    let wrong: Vec<i64> = (0..SAMPLES).map(|sample| i64::from(sample % 20 == 3)).collect();
    let decisions = outputs.f_argmax(1, false)?;
    Ok(decisions.f_add(&Tensor::f_from_slice(&wrong)?)?.f_remainder(classes)?)
}

/// Two axes, one of numbers and one of words, with gaps that follow them roughly.
fn grid() -> Truth {
    let mut networks = Vec::new();
    for (i, width) in [32.0, 64.0, 128.0, 256.0].into_iter().enumerate() {
        for (j, schedule) in ["none", "step", "cosine"].into_iter().enumerate() {
            let unevenness = 0.01 * ((3 * i + 5 * j) % 4) as f64;
            networks.push(TrueNetwork {
                hyperparameters: vec![HyperValue::Number(width), HyperValue::Text(schedule.to_string())],
                gap: 0.1 + 0.04 * i as f64 - 0.02 * j as f64 + unevenness,
            });
        }
    }
    Truth { networks, index: 4 }
}
