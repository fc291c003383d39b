//! Sums over the paths of a network.

use pgdl_measure::network::{
    Activation, Architecture, DepthwiseConv2d, Layer, Mode, Network, Node, Pool, Source,
};
use pgdl_measure::tch::{self, Kind, Tensor};
use pgdl_measure::{MeasureError, ParameterInfo, ParameterKind, Parameters, Probe, Quantity, RegistryError};

/// Parameters of the path norms.
pub(crate) const Q: ParameterInfo = ParameterInfo {
    name: "q",
    kind: ParameterKind::Choice { default: "2", options: &["2", "1"] },
    doc: "the power of each weight, and the root of the sum",
};

/// What becomes of max pooling.
pub(crate) const POOLING: ParameterInfo = ParameterInfo {
    name: "pooling",
    kind: ParameterKind::Choice { default: "sum", options: &["sum", "max"] },
    doc: "`sum` counts the paths through every cell of a max pooling, as the definition does; `max` only the heaviest \
          cell, as common code does, which keeps the pooling in its forward pass",
};

/// Σ over paths of Π|w|^q, over all outputs: the paths begin at the inputs and at the biases, and an average over k
/// cells has k edges of weight 1/k. BatchNormalization is folded; what cannot be folded is an edge and a bias.
///
/// One forward pass of |w|^q on a single input of ones, in f64 (Gonon et al. 2024, Theorem A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSum {
    /// The power: 1 or 2.
    pub power: i32,
    /// Whether the paths through all cells of a max pooling count, or only the heaviest.
    pub all_cells: bool,
}

impl PathSum {
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            power: if parameters.choice("q")? == "1" { 1 } else { 2 },
            all_cells: parameters.choice("pooling")? == "sum",
        })
    }

    /// The path norm: the q-th root of the sum.
    pub(crate) fn norm(self, probe: &Probe) -> Result<f64, MeasureError> {
        Ok(probe.get(&self)?.powf(1.0 / f64::from(self.power)))
    }

    /// What a node gives for what it reads, all in f64 and not negative.
    fn through(self, node: &Node, weights: &[Tensor], inputs: &[&Tensor]) -> Result<Tensor, MeasureError> {
        let layer = &node.layer;
        check_activation(node)?;
        let &[x] = inputs else {
            if *layer != Layer::Add {
                return MeasureError::failed(format!("layer `{}` does not read one input", node.name));
            }
            let mut sum = inputs[0].shallow_clone();
            for input in &inputs[1..] {
                sum = sum.f_add(input)?;
            }
            return Ok(sum);
        };
        match layer {
            Layer::Conv2d(_) | Layer::DepthwiseConv2d(_) | Layer::SeparableConv2d(_) | Layer::Dense(_) => {
                let power = |tensor: &Tensor| tensor.f_abs()?.f_pow_tensor_scalar(f64::from(self.power));
                let weights = weights.iter().map(power).collect::<Result<Vec<_>, _>>()?;
                apply(layer, &weights, x)
            }
            // A map of each value by itself: what it does to 0 and to 1 is all there is to know.
            Layer::BatchNormalization { .. } | Layer::Rescaling { .. } => {
                let shift = apply(layer, weights, &x.f_zeros_like()?)?;
                let scale = apply(layer, weights, &x.f_ones_like()?)?.f_sub(&shift)?;
                let power = |tensor: &Tensor| tensor.f_abs()?.f_pow_tensor_scalar(f64::from(self.power));
                Ok(x.f_mul(&power(&scale)?)?.f_add(&power(&shift)?)?)
            }
            Layer::MaxPooling2d(pool) if self.all_cells => sum_pooling(pool, x),
            Layer::AveragePooling2d(pool) => {
                let cells = sum_pooling(pool, &x.f_ones_like()?)?;
                let sums = sum_pooling(pool, x)?;
                Ok(sums.f_div(&cells.f_pow_tensor_scalar(f64::from(self.power))?)?)
            }
            Layer::GlobalMaxPooling2d { keepdims } if self.all_cells => sum_of_image(x, *keepdims),
            Layer::GlobalAveragePooling2d { keepdims } => {
                let size = x.size();
                let cells = (size[1] * size[2]) as f64;
                Ok(sum_of_image(x, *keepdims)?.f_div_scalar(cells.powi(self.power))?)
            }
            Layer::Activation(_) => Ok(x.shallow_clone()),
            Layer::MaxPooling2d(_)
            | Layer::GlobalMaxPooling2d { .. }
            | Layer::Flatten
            | Layer::Reshape { .. }
            | Layer::Permute { .. }
            | Layer::ZeroPadding2d { .. }
            | Layer::Dropout { .. }
            | Layer::SpatialDropout2d { .. }
            | Layer::AlphaDropout { .. }
            | Layer::GaussianNoise { .. }
            | Layer::GaussianDropout { .. }
            | Layer::ActivityRegularization { .. } => apply(layer, weights, x),
            _ => MeasureError::undefined(format!(
                "paths are not defined through layer `{}` ({})",
                node.name,
                layer.kind()
            )),
        }
    }
}

impl Quantity for PathSum {
    type Value = f64;

    fn name(&self) -> String {
        format!("path_sum power={} all_cells={}", self.power, self.all_cells)
    }

    fn compute(&self, probe: &Probe) -> Result<f64, MeasureError> {
        let network = probe.folded()?.to_kind(Kind::Double)?;
        let architecture = network.architecture();
        let shape = [&[1], architecture.input_shape.as_slice()].concat();
        let ones = Tensor::f_ones(shape, (Kind::Double, network.device()))?;
        let mut values: Vec<Tensor> = Vec::with_capacity(architecture.nodes.len());
        for (node, weights) in architecture.nodes.iter().zip(network.weights()) {
            probe.check_deadline()?;
            let inputs: Vec<&Tensor> = node
                .inputs
                .iter()
                .map(|source| match *source {
                    Source::Input => &ones,
                    Source::Node(at) => &values[at],
                })
                .collect();
            let value = tch::no_grad(|| self.through(node, weights, &inputs))?;
            values.push(value);
        }
        let Some(outputs) = values.last() else {
            return MeasureError::undefined("the network has no layer");
        };
        let sum = outputs.f_sum(Kind::Double)?.f_double_value(&[])?;
        if !sum.is_finite() {
            return MeasureError::undefined("the sum over paths is beyond the range of numbers");
        }
        Ok(sum)
    }
}

/// A path goes on through an activation that is the identity or ReLU.
fn check_activation(node: &Node) -> Result<(), MeasureError> {
    match node.layer.activation() {
        None
        | Some(
            Activation::Linear
            | Activation::Relu
            | Activation::GeneralRelu { max_value: None, negative_slope: 0.0, threshold: 0.0 },
        ) => Ok(()),
        Some(other) => MeasureError::undefined(format!(
            "paths are defined through ReLU and linear activations, and layer `{}` has {other:?}",
            node.name
        )),
    }
}

/// One layer in evaluation, without its activation.
fn apply(layer: &Layer, weights: &[Tensor], x: &Tensor) -> Result<Tensor, MeasureError> {
    let mut layer = layer.clone();
    match &mut layer {
        Layer::Conv2d(conv) => conv.activation = Activation::Linear,
        Layer::DepthwiseConv2d(conv) => conv.activation = Activation::Linear,
        Layer::SeparableConv2d(conv) => conv.activation = Activation::Linear,
        Layer::Dense(dense) => dense.activation = Activation::Linear,
        _ => {}
    }
    let architecture = Architecture::sequential(x.size()[1..].to_vec(), vec![layer])?;
    let weights = vec![weights.iter().map(Tensor::shallow_clone).collect()];
    let network = Network::new(architecture, weights)?.to_device(x.device())?.to_kind(Kind::Double)?;
    Ok(network.forward(x, Mode::Evaluate)?)
}

/// Sums over the windows of a pooling, cells of the padding left out.
fn sum_pooling(pool: &Pool, x: &Tensor) -> Result<Tensor, MeasureError> {
    let [height, width] = pool.size;
    let channels = x.size()[3];
    let layer = Layer::DepthwiseConv2d(DepthwiseConv2d {
        kernel: pool.size,
        strides: pool.strides,
        padding: pool.padding,
        dilation: [1, 1],
        depth_multiplier: 1,
        use_bias: false,
        activation: Activation::Linear,
    });
    let ones = Tensor::f_ones([height, width, channels, 1], (Kind::Double, x.device()))?;
    apply(&layer, &[ones], x)
}

fn sum_of_image(x: &Tensor, keepdims: bool) -> Result<Tensor, MeasureError> {
    Ok(x.f_sum_dim_intlist([1i64, 2].as_slice(), keepdims, None)?)
}
