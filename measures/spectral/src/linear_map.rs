//! The linear map that a layer applies with one of its kernels: without bias, activation and normalization.

use pgdl_measure::network::{
    Activation, Architecture, Conv2d, Dense, DepthwiseConv2d, Graph, Layer, Mode, Network, Role, Source,
    vector_jacobian,
};
use pgdl_measure::tch::{self, Kind, Tensor};
use pgdl_measure::{Kernel, MeasureError};

/// A linear map on inputs of one shape: a network of a single layer, in f64.
#[derive(Debug)]
pub struct LinearMap {
    network: Network,
}

impl LinearMap {
    /// The map of `layer` with `kernel`, on inputs of shape `input` (without the batch axis).
    ///
    /// # Errors
    /// The kernel does not fit the layer or the input; libtorch refuses.
    pub fn new(layer: Layer, kernel: &Tensor, input: Vec<i64>) -> Result<Self, MeasureError> {
        let kernel = kernel.f_detach()?.f_to_kind(Kind::Double)?;
        let architecture = Architecture::sequential(input, vec![layer])?;
        Ok(Self { network: Network::new(architecture, vec![vec![kernel]])? })
    }

    /// The map of one kernel of a network, at its place in the network; `tensor` takes the kernel's place.
    ///
    /// Where the map acts on each position by itself (dense layers on images, 1 × 1 convolutions), it is the map of
    /// one position: the norm is the same.
    ///
    /// # Errors
    /// As [`Self::new`]; or the kernel belongs to a layer that is no linear map.
    pub fn of(network: &Network, kernel: &Kernel<'_>, tensor: &Tensor) -> Result<Self, MeasureError> {
        let input = input_shape(network, kernel.node)?;
        let matrix = |units: i64| {
            let shape = tensor.size();
            let inputs: i64 = shape[..shape.len() - 1].iter().product();
            let layer = Layer::Dense(Dense { units, use_bias: false, activation: Activation::Linear });
            Self::new(layer, &tensor.f_reshape([inputs, units])?, vec![inputs])
        };
        match (kernel.layer, kernel.role) {
            (Layer::Dense(dense), _) => matrix(dense.units),
            (Layer::Conv2d(conv), _) if conv.kernel == [1, 1] && conv.groups == 1 => matrix(conv.filters),
            (Layer::SeparableConv2d(conv), Role::PointwiseKernel) => matrix(conv.filters),
            (Layer::Conv2d(conv), _) => {
                let linear = Conv2d { use_bias: false, activation: Activation::Linear, ..conv.clone() };
                Self::new(Layer::Conv2d(linear), tensor, input)
            }
            (Layer::DepthwiseConv2d(conv), _) => {
                let linear =
                    DepthwiseConv2d { use_bias: false, activation: Activation::Linear, ..conv.clone() };
                Self::new(Layer::DepthwiseConv2d(linear), tensor, input)
            }
            (Layer::SeparableConv2d(conv), Role::DepthwiseKernel) => {
                let linear = DepthwiseConv2d {
                    kernel: conv.kernel,
                    strides: conv.strides,
                    padding: conv.padding,
                    dilation: conv.dilation,
                    depth_multiplier: conv.depth_multiplier,
                    use_bias: false,
                    activation: Activation::Linear,
                };
                Self::new(Layer::DepthwiseConv2d(linear), tensor, input)
            }
            (layer, _) => {
                MeasureError::failed(format!("layer `{}` ({}) is no linear map", kernel.name, layer.kind()))
            }
        }
    }

    /// Shape of an input, without the batch axis.
    pub fn input_shape(&self) -> &[i64] {
        &self.network.architecture().input_shape
    }

    /// Number of values of an input.
    pub fn inputs(&self) -> i64 {
        self.input_shape().iter().product()
    }

    /// The kernel, f64.
    pub fn kernel(&self) -> &Tensor {
        &self.network.weights()[0][0]
    }

    /// The map times a number.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn scaled(&self, factor: f64) -> Result<Self, MeasureError> {
        Ok(Self { network: self.network.map_weights(|kernel| Ok(kernel.tensor.f_mul_scalar(factor)?))? })
    }

    /// The kernel of a dense layer on vectors, `[in, out]`: the map's matrix, transposed. `None` for other maps.
    pub fn matrix(&self) -> Option<&Tensor> {
        match self.network.architecture().nodes[0].layer {
            Layer::Dense(_) if self.input_shape().len() == 1 => Some(self.kernel()),
            _ => None,
        }
    }

    /// The images of `inputs`, `[N, …]`.
    ///
    /// # Errors
    /// The shape is another one; libtorch refuses.
    pub fn apply(&self, inputs: &Tensor) -> Result<Tensor, MeasureError> {
        Ok(tch::no_grad(|| self.network.forward(inputs, Mode::Evaluate))?)
    }

    /// AᵀA x for the map A and a vector x of [`Self::inputs`] values: forward, then back as a vector-Jacobian product.
    ///
    /// # Errors
    /// The length is another one; libtorch refuses.
    pub fn gram_product(&self, x: &Tensor) -> Result<Tensor, MeasureError> {
        let shape = [&[1], self.input_shape()].concat();
        let x = x.f_detach()?.f_reshape(shape)?.f_detach_copy()?.f_set_requires_grad(true)?;
        let y = tch::with_grad(|| self.network.forward(&x, Mode::Evaluate))?;
        let mut product = vector_jacobian(&y, &y.f_detach()?, &[&x], Graph::Free)?;
        match product.pop() {
            Some(product) => Ok(product.f_reshape([-1])?),
            None => MeasureError::failed("a linear map gave no gradient"),
        }
    }

    /// The squared Euclidean norm of each row of the map's matrix, in the shape of an output: the map with squared
    /// weights, applied to ones.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn squared_row_norms(&self) -> Result<Tensor, MeasureError> {
        let squared = self.network.map_weights(|parameter| Ok(parameter.tensor.f_square()?))?;
        let shape = [&[1], self.input_shape()].concat();
        let ones = Tensor::f_ones(shape, (Kind::Double, self.kernel().device()))?;
        Ok(tch::no_grad(|| squared.forward(&ones, Mode::Evaluate))?.f_squeeze_dim(0)?)
    }
}

/// Shape of what a node reads, without the batch axis.
pub(crate) fn input_shape(network: &Network, node: usize) -> Result<Vec<i64>, MeasureError> {
    let architecture = network.architecture();
    match architecture.nodes[node].inputs.first() {
        Some(Source::Input) => Ok(architecture.input_shape.clone()),
        Some(Source::Node(source)) => Ok(network.shapes()[*source].clone()),
        None => MeasureError::failed(format!("layer `{}` has no input", architecture.nodes[node].name)),
    }
}
