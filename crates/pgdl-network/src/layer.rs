//! The layers a network is made of, with Keras's names, defaults and meanings.

use serde::{Deserialize, Serialize};

/// An elementwise function (softmax and log-softmax: over the last axis).
///
/// Every parameter must be finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// x
    Linear,
    /// max(x, 0)
    Relu,
    /// Keras's `ReLU` layer in full: `max_value` where x ≥ `max_value`; x where x ≥ `threshold`;
    /// `negative_slope` · (x − `threshold`) elsewhere.
    GeneralRelu {
        /// Upper bound of the output.
        max_value: Option<f64>,
        /// Slope below the threshold.
        negative_slope: f64,
        /// Where the identity begins.
        threshold: f64,
    },
    /// min(max(x, 0), 6)
    Relu6,
    /// x where x > 0, `slope` · x elsewhere.
    LeakyRelu {
        /// Slope on the negative side (Keras layers: 0.3; the activation function: 0.2).
        slope: f64,
    },
    /// x where x > 0, `alpha` · (eˣ − 1) elsewhere (Clevert et al. 2016).
    Elu {
        /// Minus the limit at −∞.
        alpha: f64,
    },
    /// Scaled ELU with the constants of Klambauer et al. 2017.
    Selu,
    /// x · Φ(x) (Hendrycks and Gimpel 2016).
    Gelu {
        /// Φ by its tanh approximation.
        approximate: bool,
    },
    /// tanh x
    Tanh,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// log(1 + eˣ)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x · sigmoid(x), also called SiLU
    Swish,
    /// Keras 3's `hard_silu`: x · relu6(x + 3) / 6
    HardSwish,
    /// x · tanh(softplus(x)) (Misra 2019)
    Mish,
    /// min(max(`slope` · x + ½, 0), 1): `slope` is 0.2 in Keras 2 and 1/6 in Keras 3.
    HardSigmoid {
        /// Slope of the linear part.
        slope: f64,
    },
    /// eˣ
    Exponential,
    /// eˣⁱ / Σ eˣʲ over the last axis
    Softmax,
    /// Logarithm of the softmax over the last axis
    LogSoftmax,
}

impl Activation {
    /// Whether f(c·x) = c·f(x) for all c > 0: what makes rescaling symmetries of the weights possible.
    pub fn is_positively_homogeneous(self) -> bool {
        match self {
            Self::Linear | Self::Relu | Self::LeakyRelu { .. } => true,
            Self::GeneralRelu { max_value, threshold, .. } => max_value.is_none() && threshold == 0.0,
            _ => false,
        }
    }

    /// Whether it is made of straight pieces.
    pub fn is_piecewise_affine(self) -> bool {
        match self {
            Self::Linear
            | Self::Relu
            | Self::GeneralRelu { .. }
            | Self::Relu6
            | Self::LeakyRelu { .. }
            | Self::HardSigmoid { .. } => true,
            Self::Elu { .. }
            | Self::Selu
            | Self::Gelu { .. }
            | Self::Tanh
            | Self::Sigmoid
            | Self::Softplus
            | Self::Softsign
            | Self::Swish
            | Self::HardSwish
            | Self::Mish
            | Self::Exponential
            | Self::Softmax
            | Self::LogSoftmax => false,
        }
    }
}

/// How a window treats the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// No padding: the window stays inside.
    Valid,
    /// The output has ⌈input / stride⌉ cells; where the padding is odd, the end gets one more.
    Same,
}

/// `Conv2D`: kernel `[kh, kw, in / groups, filters]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Number of output channels.
    pub filters: i64,
    /// Kernel height and width.
    pub kernel: [i64; 2],
    /// Vertical and horizontal stride.
    pub strides: [i64; 2],
    /// Treatment of the border.
    pub padding: Padding,
    /// Vertical and horizontal dilation.
    pub dilation: [i64; 2],
    /// Number of groups that input and output channels are divided into.
    pub groups: i64,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Applied last.
    pub activation: Activation,
}

/// `DepthwiseConv2D`: kernel `[kh, kw, in, depth_multiplier]`; output channel `c · depth_multiplier + m`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DepthwiseConv2d {
    /// Kernel height and width.
    pub kernel: [i64; 2],
    /// Vertical and horizontal stride.
    pub strides: [i64; 2],
    /// Treatment of the border.
    pub padding: Padding,
    /// Vertical and horizontal dilation.
    pub dilation: [i64; 2],
    /// Output channels per input channel.
    pub depth_multiplier: i64,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Applied last.
    pub activation: Activation,
}

/// `SeparableConv2D`: a depthwise convolution, then a 1×1 convolution `[1, 1, in · depth_multiplier, filters]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeparableConv2d {
    /// Number of output channels.
    pub filters: i64,
    /// Height and width of the depthwise kernel.
    pub kernel: [i64; 2],
    /// Vertical and horizontal stride of the depthwise part.
    pub strides: [i64; 2],
    /// Treatment of the border in the depthwise part.
    pub padding: Padding,
    /// Vertical and horizontal dilation of the depthwise part.
    pub dilation: [i64; 2],
    /// Channels between the two parts, per input channel.
    pub depth_multiplier: i64,
    /// Whether a bias is added, at the end.
    pub use_bias: bool,
    /// Applied last.
    pub activation: Activation,
}

/// `Dense`: kernel `[in, units]`, on the last axis of an input of any rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Number of outputs.
    pub units: i64,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// Applied last.
    pub activation: Activation,
}

/// The window of `MaxPooling2D` and `AveragePooling2D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Window height and width.
    pub size: [i64; 2],
    /// Vertical and horizontal stride.
    pub strides: [i64; 2],
    /// Treatment of the border; padded cells never enter a maximum or a mean.
    pub padding: Padding,
}

/// One operation of a network. Axes count the batch as axis 0, as in Keras; negative ones count from the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// Convolution of images `[H, W, C]`.
    Conv2d(Conv2d),
    /// Convolution of each channel by itself.
    DepthwiseConv2d(DepthwiseConv2d),
    /// Depthwise, then pointwise convolution.
    SeparableConv2d(SeparableConv2d),
    /// Affine map of the last axis.
    Dense(Dense),
    /// (x − mean) / √(variance + epsilon) · gamma + beta, per entry of one axis (Ioffe and Szegedy 2015).
    BatchNormalization {
        /// The axis that keeps its own statistics.
        axis: i64,
        /// Whether there is a gamma.
        scale: bool,
        /// Whether there is a beta.
        center: bool,
        /// Added to the variance.
        epsilon: f64,
        /// Share of the old value in the moving averages.
        momentum: f64,
    },
    /// (x − mean) / √(variance + epsilon) · gamma + beta, per sample over some axes (Ba et al. 2016).
    LayerNormalization {
        /// The axes that are normalized together, in ascending order.
        axes: Vec<i64>,
        /// Whether there is a gamma.
        scale: bool,
        /// Whether there is a beta.
        center: bool,
        /// Added to the variance.
        epsilon: f64,
    },
    /// An activation as a layer of its own.
    Activation(Activation),
    /// x where x > 0, alpha · x elsewhere, with trained alpha (He et al. 2015).
    PRelu {
        /// Axes along which alpha is shared (has size 1); never the batch axis.
        shared_axes: Vec<i64>,
    },
    /// Maximum over windows.
    MaxPooling2d(Pool),
    /// Mean over windows.
    AveragePooling2d(Pool),
    /// Mean over an image: `[C]`, or `[1, 1, C]`.
    GlobalAveragePooling2d {
        /// Keep the two axes, with size 1.
        keepdims: bool,
    },
    /// Maximum over an image: `[C]`, or `[1, 1, C]`.
    GlobalMaxPooling2d {
        /// Keep the two axes, with size 1.
        keepdims: bool,
    },
    /// All axes in one, in channels-last order.
    Flatten,
    /// The same values in another shape.
    Reshape {
        /// Shape without the batch axis; one entry may be −1.
        target: Vec<i64>,
    },
    /// The axes in another order.
    Permute {
        /// For each output axis its input axis; 1 is the first after the batch.
        dims: Vec<i64>,
    },
    /// Zeros around an image.
    ZeroPadding2d {
        /// Rows above.
        top: i64,
        /// Rows below.
        bottom: i64,
        /// Columns on the left.
        left: i64,
        /// Columns on the right.
        right: i64,
    },
    /// x · scale + offset
    Rescaling {
        /// Factor.
        scale: f64,
        /// Summand.
        offset: f64,
    },
    /// In training each value is 0 with probability `rate`, and else divided by 1 − `rate`.
    Dropout {
        /// Probability of a zero.
        rate: f64,
    },
    /// Dropout of whole channels.
    SpatialDropout2d {
        /// Probability of a zero.
        rate: f64,
    },
    /// Dropout that keeps the mean and variance of SELU networks (Klambauer et al. 2017).
    AlphaDropout {
        /// Probability that a value is replaced.
        rate: f64,
    },
    /// In training adds normal noise.
    GaussianNoise {
        /// Standard deviation of the noise.
        stddev: f64,
    },
    /// In training multiplies by normal noise of mean 1 and standard deviation √(rate / (1 − rate)).
    GaussianDropout {
        /// The rate of the dropout with the same variance.
        rate: f64,
    },
    /// A penalty on activations while training; the identity as a function.
    ActivityRegularization {
        /// Factor of Σ|x|.
        l1: f64,
        /// Factor of Σx².
        l2: f64,
    },
    /// The sum of two or more inputs of one shape.
    Add,
}

/// Keras class names of the layers that exist here. `Activation` stands for all activation layers.
const SUPPORTED: &[&str] = &[
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Dense",
    "BatchNormalization",
    "LayerNormalization",
    "Activation",
    "PReLU",
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Flatten",
    "Reshape",
    "Permute",
    "ZeroPadding2D",
    "Rescaling",
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
    "Add",
];

impl Layer {
    /// Keras class name. Activation layers (`ReLU`, `Softmax`, …) all answer `Activation`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv2d(_) => "Conv2D",
            Self::DepthwiseConv2d(_) => "DepthwiseConv2D",
            Self::SeparableConv2d(_) => "SeparableConv2D",
            Self::Dense(_) => "Dense",
            Self::BatchNormalization { .. } => "BatchNormalization",
            Self::LayerNormalization { .. } => "LayerNormalization",
            Self::Activation(_) => "Activation",
            Self::PRelu { .. } => "PReLU",
            Self::MaxPooling2d(_) => "MaxPooling2D",
            Self::AveragePooling2d(_) => "AveragePooling2D",
            Self::GlobalAveragePooling2d { .. } => "GlobalAveragePooling2D",
            Self::GlobalMaxPooling2d { .. } => "GlobalMaxPooling2D",
            Self::Flatten => "Flatten",
            Self::Reshape { .. } => "Reshape",
            Self::Permute { .. } => "Permute",
            Self::ZeroPadding2d { .. } => "ZeroPadding2D",
            Self::Rescaling { .. } => "Rescaling",
            Self::Dropout { .. } => "Dropout",
            Self::SpatialDropout2d { .. } => "SpatialDropout2D",
            Self::AlphaDropout { .. } => "AlphaDropout",
            Self::GaussianNoise { .. } => "GaussianNoise",
            Self::GaussianDropout { .. } => "GaussianDropout",
            Self::ActivityRegularization { .. } => "ActivityRegularization",
            Self::Add => "Add",
        }
    }

    /// Keras class names of all layers that exist here, for messages about those that do not.
    pub fn supported() -> &'static [&'static str] {
        SUPPORTED
    }

    /// The layer's activation: that of an activation layer, or the fused one of a layer that has such a
    /// setting. `None` for layers without one.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::Conv2d(layer) => Some(layer.activation),
            Self::DepthwiseConv2d(layer) => Some(layer.activation),
            Self::SeparableConv2d(layer) => Some(layer.activation),
            Self::Dense(layer) => Some(layer.activation),
            Self::Activation(activation) => Some(*activation),
            _ => None,
        }
    }

    /// The same layer with another fused activation; `None` where the layer has no such setting.
    pub fn with_fused_activation(&self, activation: Activation) -> Option<Layer> {
        match self.clone() {
            Self::Conv2d(layer) => Some(Self::Conv2d(Conv2d { activation, ..layer })),
            Self::DepthwiseConv2d(layer) => {
                Some(Self::DepthwiseConv2d(DepthwiseConv2d { activation, ..layer }))
            }
            Self::SeparableConv2d(layer) => {
                Some(Self::SeparableConv2d(SeparableConv2d { activation, ..layer }))
            }
            Self::Dense(layer) => Some(Self::Dense(Dense { activation, ..layer })),
            _ => None,
        }
    }

    /// Whether the layer does something in training only, and is the identity in evaluation.
    pub fn is_training_only(&self) -> bool {
        matches!(
            self,
            Self::Dropout { .. }
                | Self::SpatialDropout2d { .. }
                | Self::AlphaDropout { .. }
                | Self::GaussianNoise { .. }
                | Self::GaussianDropout { .. }
                | Self::ActivityRegularization { .. }
        )
    }
}
