//! The last layer as a linear model of its features.

use pgdl_measure::network::{Activation, Architecture, DepthwiseConv2d, Layer, Mode, Network, Source};
use pgdl_measure::sums::sum_of_squares;
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{Kernel, MeasureError, Probe, Quantity, kernels};

/// The logits as an affine function of the last kernel: f_c(xᵢ) = ⟨W_c, φᵢ⟩ + b_c, BatchNormalization folded. For a dense
/// layer φᵢ is what it reads; for a convolution whose outputs are averaged over positions, the average of the patches that
/// it reads. One forward pass over the whole sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastLayer;

/// What [`LastLayer`] finds.
#[derive(Debug)]
pub(crate) struct LinearModel {
    /// φ, `[n, D]`, f64, without the bias; for a convolution channel by channel.
    pub features: Tensor,
    /// f, `[n, C]`, f64.
    pub logits: Tensor,
    /// ‖W‖_F.
    pub kernel_norm: f64,
    /// Whether there are biases b.
    pub has_bias: bool,
}

impl LinearModel {
    /// φ with a 1 behind where there are biases, `[n, D]` or `[n, D + 1]`.
    pub(crate) fn features_with_bias(&self) -> Result<Tensor, MeasureError> {
        if !self.has_bias {
            return Ok(self.features.shallow_clone());
        }
        let ones = Tensor::f_ones([self.features.size()[0], 1], (Kind::Double, self.features.device()))?;
        Ok(Tensor::f_cat(&[&self.features, &ones], 1)?)
    }
}

impl Quantity for LastLayer {
    type Value = LinearModel;

    fn name(&self) -> String {
        "last_layer".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<LinearModel, MeasureError> {
        let network = probe.folded()?.split_activations()?;
        let all = kernels(&network);
        let Some(kernel) = all.last() else {
            return MeasureError::undefined("the network has no kernel");
        };
        let patches = Patches::of(&network, kernel)?;
        let source = network.architecture().nodes[kernel.node].inputs[0];
        let (mut features, mut logits) = (Vec::new(), Vec::new());
        for batch in probe.batches() {
            let batch = batch?;
            let mut read = match source {
                Source::Input => Some(batch.inputs.shallow_clone()),
                Source::Node(_) => None,
            };
            let mut observe = |node: usize, output: &Tensor| {
                if source == Source::Node(node) {
                    read = Some(output.shallow_clone());
                }
                Ok(())
            };
            let outputs = no_grad(|| network.forward_observed(&batch.inputs, Mode::Evaluate, &mut observe))?;
            probe.count_forward(batch.len());
            let Some(read) = read else {
                return MeasureError::failed(format!("layer `{}` reads nothing", kernel.name));
            };
            features.push(patches.features(&read)?.f_to_kind(Kind::Double)?);
            logits.push(outputs.f_to_kind(Kind::Double)?);
        }
        let square = sum_of_squares(kernel.tensor)?;
        if !square.is_finite() {
            return MeasureError::undefined("the last kernel is not finite");
        }
        Ok(LinearModel {
            features: finite(Tensor::f_cat(&features, 0)?, "what the last layer reads")?,
            logits: finite(Tensor::f_cat(&logits, 0)?, "the network's output")?,
            kernel_norm: square.sqrt(),
            has_bias: network.weights()[kernel.node].len() > 1,
        })
    }
}

pub(crate) fn finite(tensor: Tensor, what: &str) -> Result<Tensor, MeasureError> {
    if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined(format!("{what} is not finite"));
    }
    Ok(tensor)
}

/// How features come from what the last layer reads.
enum Patches {
    /// They are it.
    Dense,
    /// For convolutions: the layer and what follows it, with an output for each of its D weights, the value that it meets.
    Convolution(Network),
}

impl Patches {
    fn of(network: &Network, kernel: &Kernel<'_>) -> Result<Self, MeasureError> {
        let nodes = &network.architecture().nodes;
        let refuse = |what: &str| {
            MeasureError::undefined(format!(
                "the logits are no affine function of the last kernel, `{}`, with a row for each class: {what}",
                kernel.name
            ))
        };
        // Later nodes read the one before and nothing else.
        let chain = (kernel.node + 1..nodes.len()).all(|at| nodes[at].inputs == [Source::Node(at - 1)]);
        if !chain || network.cut_points().binary_search(&kernel.node).is_err() {
            return refuse("later layers read other values too");
        }
        let input = match nodes[kernel.node].inputs[0] {
            Source::Input => network.architecture().input_shape.clone(),
            Source::Node(j) => network.shapes()[j].clone(),
        };
        let mut shape = kernel.tensor.size();
        let outputs = shape.pop();
        let copying = match kernel.layer {
            Layer::Dense(_) if input.len() == 1 => None,
            Layer::Conv2d(conv) if conv.groups == 1 => Some(Layer::DepthwiseConv2d(DepthwiseConv2d {
                kernel: conv.kernel,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation,
                depth_multiplier: conv.kernel.iter().product(),
                use_bias: false,
                activation: Activation::Linear,
            })),
            other => return refuse(&format!("it belongs to a layer of the kind {}", other.kind())),
        };
        if outputs != Some(network.classes()?) {
            return refuse("it has not as many outputs as there are classes");
        }
        let mut behind = Vec::new();
        for node in &nodes[kernel.node + 1..] {
            match &node.layer {
                Layer::Activation(Activation::Linear)
                | Layer::Dropout { .. }
                | Layer::SpatialDropout2d { .. }
                | Layer::AlphaDropout { .. }
                | Layer::GaussianNoise { .. }
                | Layer::GaussianDropout { .. }
                | Layer::ActivityRegularization { .. } => {}
                layer @ (Layer::GlobalAveragePooling2d { .. } | Layer::AveragePooling2d(_)) => {
                    behind.push(layer.clone());
                }
                // With as many values as classes, the order of the classes is kept.
                Layer::Flatten | Layer::Reshape { .. } => behind.push(Layer::Flatten),
                other => return refuse(&format!("`{}` ({}) follows it", node.name, other.kind())),
            }
        }
        let Some(copying) = copying else { return Ok(Self::Dense) };
        let architecture = Architecture::sequential(input, std::iter::once(copying).chain(behind).collect())?;
        // [kh, kw, in, kh · kw]: each output copies one place of the window of one channel.
        let places: i64 = shape[..2].iter().product();
        let one_place = Tensor::f_eye(places, (network.kind(), network.device()))?;
        let kernel = one_place.f_reshape([shape[0], shape[1], 1, places])?;
        let kernel = kernel.f_expand([shape[0], shape[1], shape[2], places], false)?.f_contiguous()?;
        let mut weights: Vec<Vec<Tensor>> = architecture.nodes.iter().map(|_| Vec::new()).collect();
        weights[0].push(kernel);
        Ok(Self::Convolution(Network::new(architecture, weights)?))
    }

    /// φ of `read` `[b, …]`: `[b, D]`.
    fn features(&self, read: &Tensor) -> Result<Tensor, MeasureError> {
        match self {
            Self::Dense => Ok(read.shallow_clone()),
            Self::Convolution(copying) => Ok(no_grad(|| copying.forward(read, Mode::Evaluate))?),
        }
    }
}
