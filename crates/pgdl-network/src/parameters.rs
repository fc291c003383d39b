//! Which tensors each layer has, in the order Keras keeps them.

use crate::error::Result;
use crate::layer::Layer;
use crate::shape::{LayerShape, checked_elements, product};

/// What a tensor of a layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Kernel of a dense layer or a convolution.
    Kernel,
    /// Kernel of a depthwise convolution, or of the depthwise part of a separable one.
    DepthwiseKernel,
    /// Kernel of the pointwise part of a separable convolution.
    PointwiseKernel,
    /// Bias.
    Bias,
    /// Factor of a normalization.
    Gamma,
    /// Summand of a normalization.
    Beta,
    /// Moving mean of a batch normalization.
    MovingMean,
    /// Moving (biased) variance of a batch normalization.
    MovingVariance,
    /// Negative slopes of a PReLU.
    Alpha,
}

impl Role {
    /// Whether gradient descent changes it: all but the moving statistics.
    pub fn trainable(self) -> bool {
        !matches!(self, Self::MovingMean | Self::MovingVariance)
    }

    /// Whether it is a kernel: the weight of a linear map, without biases and normalization parameters.
    pub fn is_weight(self) -> bool {
        matches!(self, Self::Kernel | Self::DepthwiseKernel | Self::PointwiseKernel)
    }

    /// Keras's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::DepthwiseKernel => "depthwise_kernel",
            Self::PointwiseKernel => "pointwise_kernel",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::MovingMean => "moving_mean",
            Self::MovingVariance => "moving_variance",
            Self::Alpha => "alpha",
        }
    }
}

/// Name, purpose and shape of one tensor of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Keras's name.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// Its shape, in Keras's layout.
    pub shape: Vec<i64>,
}

impl ParameterSpec {
    fn new(role: Role, shape: Vec<i64>) -> Self {
        Self { name: role.name(), role, shape }
    }
}

impl Layer {
    /// The layer's tensors for inputs of these shapes (without the batch axis), in Keras's weight order.
    ///
    /// Fails where the settings are impossible, do not fit the inputs, or ask for more than
    /// [`MAX_ELEMENTS`](crate::MAX_ELEMENTS) values.
    pub fn parameters(&self, inputs: &[Vec<i64>]) -> Result<Vec<ParameterSpec>> {
        self.output_shape(inputs)?;
        let shape = LayerShape::of(self, inputs)?;
        let specs = self.specs_of(&shape)?;
        for spec in &specs {
            checked_elements(self.kind(), &spec.shape)?;
        }
        Ok(specs)
    }

    fn specs_of(&self, shape: &LayerShape) -> Result<Vec<ParameterSpec>> {
        let mut specs = Vec::new();
        match self {
            Self::Conv2d(conv) => {
                let channels = shape.channels()?;
                let [kh, kw] = conv.kernel;
                specs.push(ParameterSpec::new(
                    Role::Kernel,
                    vec![kh, kw, channels / conv.groups, conv.filters],
                ));
                if conv.use_bias {
                    specs.push(ParameterSpec::new(Role::Bias, vec![conv.filters]));
                }
            }
            Self::DepthwiseConv2d(conv) => {
                let channels = shape.channels()?;
                let [kh, kw] = conv.kernel;
                let outputs = product(self.kind(), &[channels, conv.depth_multiplier])?;
                specs.push(ParameterSpec::new(
                    Role::DepthwiseKernel,
                    vec![kh, kw, channels, conv.depth_multiplier],
                ));
                if conv.use_bias {
                    specs.push(ParameterSpec::new(Role::Bias, vec![outputs]));
                }
            }
            Self::SeparableConv2d(conv) => {
                let channels = shape.channels()?;
                let [kh, kw] = conv.kernel;
                let between = product(self.kind(), &[channels, conv.depth_multiplier])?;
                specs.push(ParameterSpec::new(
                    Role::DepthwiseKernel,
                    vec![kh, kw, channels, conv.depth_multiplier],
                ));
                specs.push(ParameterSpec::new(Role::PointwiseKernel, vec![1, 1, between, conv.filters]));
                if conv.use_bias {
                    specs.push(ParameterSpec::new(Role::Bias, vec![conv.filters]));
                }
            }
            Self::Dense(dense) => {
                specs.push(ParameterSpec::new(Role::Kernel, vec![shape.channels()?, dense.units]));
                if dense.use_bias {
                    specs.push(ParameterSpec::new(Role::Bias, vec![dense.units]));
                }
            }
            Self::BatchNormalization { axis, scale, center, .. } => {
                let size = shape.size(shape.axis(*axis)?);
                if *scale {
                    specs.push(ParameterSpec::new(Role::Gamma, vec![size]));
                }
                if *center {
                    specs.push(ParameterSpec::new(Role::Beta, vec![size]));
                }
                specs.push(ParameterSpec::new(Role::MovingMean, vec![size]));
                specs.push(ParameterSpec::new(Role::MovingVariance, vec![size]));
            }
            Self::LayerNormalization { axes, scale, center, .. } => {
                let sizes: Vec<i64> = shape.axes(axes)?.into_iter().map(|axis| shape.size(axis)).collect();
                if *scale {
                    specs.push(ParameterSpec::new(Role::Gamma, sizes.clone()));
                }
                if *center {
                    specs.push(ParameterSpec::new(Role::Beta, sizes));
                }
            }
            Self::PRelu { shared_axes } => {
                let mut alpha = shape.input().to_vec();
                for axis in shape.axes(shared_axes)? {
                    alpha[axis - 1] = 1;
                }
                specs.push(ParameterSpec::new(Role::Alpha, alpha));
            }
            _ => {}
        }
        Ok(specs)
    }
}
