//! Several copies of a network, each with its own weights, evaluated side by side.
//!
//! Values of all copies travel in one tensor whose last axis holds the copies one after the other, `[b, …, R · C]`:
//! a convolution becomes one with groups, a dense layer a stacked matrix product, and whatever treats channels alike
//! (activations, pooling, normalization over channels) is done once for all copies.

use tch::Tensor;

use crate::architecture::Source;
use crate::error::{NetworkError, Result};
use crate::forward::{Mode, layer_forward};
use crate::layer::{Activation, Conv2d, Layer};
use crate::network::Network;
use crate::shape::resolve_axis;

impl Network {
    /// The outputs `[R, b, C]` in evaluation mode of R copies of the network, whose trainable parameters are the rows
    /// of `vectors`, `[R, P]` (see [`trainable_vector`](Self::trainable_vector)).
    ///
    /// `x` is one batch for all copies, `[b, …input_shape]`, or a batch for each, `[R, b, …input_shape]`. Gradients
    /// flow into `vectors` unless the caller wraps the call in [`tch::no_grad`].
    ///
    /// # Errors
    /// The shapes do not fit, or libtorch refuses.
    pub fn forward_copies(&self, vectors: &Tensor, x: &Tensor) -> Result<Tensor> {
        let copies = match vectors.size()[..] {
            [copies, _] if copies > 0 => copies,
            ref other => {
                return Err(NetworkError::Input(format!("copies need vectors [R, P], not {other:?}")));
            }
        };
        let weights = self.stacked_weights(vectors, copies)?;
        let (input, shared) = self.stacked_input(x, copies)?;
        let last = self.architecture().nodes.len() - 1;
        let mut values: Vec<Option<Value>> = Vec::with_capacity(last + 1);
        for (i, node) in self.architecture().nodes.iter().enumerate() {
            let inputs: Vec<Value> = node
                .inputs
                .iter()
                .filter_map(|source| match *source {
                    Source::Input => Some(Value { tensor: input.shallow_clone(), shared }),
                    Source::Node(j) => values.get(j).and_then(Option::as_ref).map(Value::shallow_clone),
                })
                .collect();
            let stacked = Stacked { copies, layer: &node.layer, weights: &weights[i] };
            let output = stacked.forward(&inputs).map_err(|error| error.at_node(&node.name))?;
            for source in &node.inputs {
                if let Source::Node(j) = *source
                    && self.last_use(j) == i
                {
                    values[j] = None;
                }
            }
            values.push(Some(output));
        }
        let output = values.pop().flatten().ok_or_else(|| NetworkError::Graph("there is no layer".into()))?;
        output.apart(copies)
    }

    /// Every tensor with a leading axis of copies; what is not trainable is repeated without a copy.
    fn stacked_weights(&self, vectors: &Tensor, copies: i64) -> Result<Vec<Vec<Tensor>>> {
        let mut parts = self.split_trainable(vectors, &[copies])?.into_iter();
        let mut weights: Vec<Vec<Tensor>> = self.weights().iter().map(|_| Vec::new()).collect();
        for parameter in self.parameters() {
            let part = match parameter.spec.role.trainable() {
                true => parts.next(),
                false => {
                    let shape = [&[copies], parameter.spec.shape.as_slice()].concat();
                    Some(parameter.tensor.f_unsqueeze(0)?.f_expand(shape, false)?)
                }
            };
            weights[parameter.node].extend(part);
        }
        Ok(weights)
    }

    fn stacked_input(&self, x: &Tensor, copies: i64) -> Result<(Tensor, bool)> {
        let shape = &self.architecture().input_shape;
        let found = x.size();
        if found.len() == shape.len() + 1 && found[1..] == shape[..] {
            return Ok((x.f_contiguous()?, true));
        }
        if found.len() == shape.len() + 2 && found[0] == copies && found[2..] == shape[..] {
            return Ok((Value::together(x)?.tensor, false));
        }
        Err(NetworkError::Input(format!(
            "a batch of {shape:?}, or one for each of {copies} copies, is needed, not a tensor of {found:?}"
        )))
    }
}

/// A value of all copies, `[b, …, R · C]`, or one that they share, `[b, …, C]`.
struct Value {
    tensor: Tensor,
    shared: bool,
}

impl Value {
    fn shallow_clone(&self) -> Self {
        Self { tensor: self.tensor.shallow_clone(), shared: self.shared }
    }

    /// From `[R, b, …, C]`.
    fn together(apart: &Tensor) -> Result<Self> {
        let size = apart.size();
        let rank = size.len();
        let joined = [&size[1..rank - 1], &[size[0] * size[rank - 1]]].concat();
        let order: Vec<i64> = (1..rank as i64 - 1).chain([0, rank as i64 - 1]).collect();
        Ok(Self { tensor: apart.f_permute(order)?.f_reshape(joined)?.f_contiguous()?, shared: false })
    }

    /// As `[R, b, …, C]`.
    fn apart(&self, copies: i64) -> Result<Tensor> {
        let size = self.tensor.size();
        if self.shared {
            let whole = [&[copies], size.as_slice()].concat();
            return Ok(self.tensor.f_unsqueeze(0)?.f_expand(whole, false)?);
        }
        let rank = size.len() as i64;
        let (channels, rest) = size.split_last().ok_or_else(|| NetworkError::Input("a scalar".into()))?;
        let cut = [rest, &[copies, channels / copies]].concat();
        let order: Vec<i64> = std::iter::once(rank - 1).chain(0..rank - 1).chain([rank]).collect();
        Ok(self.tensor.f_reshape(cut)?.f_permute(order)?)
    }
}

/// One layer of all copies.
struct Stacked<'a> {
    copies: i64,
    layer: &'a Layer,
    /// In the order of [`Layer::parameters`], each `[R, …shape]`.
    weights: &'a [Tensor],
}

impl Stacked<'_> {
    fn forward(&self, inputs: &[Value]) -> Result<Value> {
        let Some(first) = inputs.first() else { return self.one_by_one(inputs) };
        if inputs.iter().all(|input| input.shared) && self.weights.is_empty() {
            let tensors: Vec<&Tensor> = inputs.iter().map(|input| &input.tensor).collect();
            let tensor = layer_forward(self.layer, &[], &tensors, Mode::Evaluate)?;
            return Ok(Value { tensor, shared: true });
        }
        let rank = first.tensor.dim();
        match self.layer {
            Layer::Conv2d(conv) if conv.groups == 1 => self.convolution(conv, first),
            Layer::Dense(dense) => {
                let bias = dense.use_bias.then(|| self.weights.get(1)).flatten();
                self.dense(first, &self.weights[0], bias, dense.activation)
            }
            Layer::BatchNormalization { axis, .. }
                if !first.shared && resolve_axis(*axis, rank) == Some(rank - 1) =>
            {
                let joined = self.joined_weights()?;
                let tensor = layer_forward(self.layer, &joined, &[&first.tensor], Mode::Evaluate)?;
                Ok(Value { tensor, shared: false })
            }
            Layer::MaxPooling2d(_)
            | Layer::AveragePooling2d(_)
            | Layer::GlobalAveragePooling2d { .. }
            | Layer::GlobalMaxPooling2d { .. }
            | Layer::ZeroPadding2d { .. }
            | Layer::Rescaling { .. } => self.all_at_once(inputs),
            Layer::Activation(Activation::Softmax | Activation::LogSoftmax) => self.one_by_one(inputs),
            Layer::Activation(_) => self.all_at_once(inputs),
            layer if layer.is_training_only() => self.all_at_once(inputs),
            Layer::Add if inputs.iter().all(|input| !input.shared) => self.all_at_once(inputs),
            Layer::Flatten => Value::together(&first.apart(self.copies)?.f_flatten(2, -1)?),
            _ => self.one_by_one(inputs),
        }
    }

    /// Layers that treat all channels alike.
    fn all_at_once(&self, inputs: &[Value]) -> Result<Value> {
        let tensors: Vec<&Tensor> = inputs.iter().map(|input| &input.tensor).collect();
        let tensor = layer_forward(self.layer, &[], &tensors, Mode::Evaluate)?;
        Ok(Value { tensor, shared: false })
    }

    /// Any other layer: each copy by itself.
    fn one_by_one(&self, inputs: &[Value]) -> Result<Value> {
        let apart: Vec<Tensor> =
            inputs.iter().map(|input| input.apart(self.copies)).collect::<Result<_>>()?;
        let outputs: Vec<Tensor> = (0..self.copies)
            .map(|copy| {
                let of_copy = |stack: &Tensor| Ok(stack.f_get(copy)?.f_contiguous()?);
                let weights: Vec<Tensor> = self.weights.iter().map(of_copy).collect::<Result<_>>()?;
                let inputs: Vec<Tensor> = apart.iter().map(of_copy).collect::<Result<_>>()?;
                let inputs: Vec<&Tensor> = inputs.iter().collect();
                layer_forward(self.layer, &weights, &inputs, Mode::Evaluate)
            })
            .collect::<Result<_>>()?;
        Value::together(&Tensor::f_stack(&outputs, 0)?)
    }

    /// Weights along channels, `[R · C]`.
    fn joined_weights(&self) -> Result<Vec<Tensor>> {
        self.weights.iter().map(|stack| Ok(stack.f_reshape([-1])?)).collect()
    }

    /// One convolution with R · filters outputs: with R groups, or none where the copies share their input.
    fn convolution(&self, conv: &Conv2d, input: &Value) -> Result<Value> {
        // [R, kh, kw, in, out] → [kh, kw, in, R · out]
        let size = self.weights[0].size();
        let shape = [size[1], size[2], size[3], self.copies * size[4]];
        let kernel = self.weights[0].f_permute([1, 2, 3, 0, 4])?.f_reshape(shape)?;
        let mut weights = vec![kernel];
        if conv.use_bias {
            weights.push(self.weights[1].f_reshape([-1])?);
        }
        let groups = if input.shared { 1 } else { self.copies };
        let softmax = matches!(conv.activation, Activation::Softmax | Activation::LogSoftmax);
        let activation = if softmax { Activation::Linear } else { conv.activation };
        let wide =
            Layer::Conv2d(Conv2d { filters: self.copies * conv.filters, groups, activation, ..conv.clone() });
        let tensor = layer_forward(&wide, &weights, &[&input.tensor], Mode::Evaluate)?;
        self.softmax_of_each(Value { tensor, shared: false }, softmax.then_some(conv.activation))
    }

    /// A matrix product for each copy, over the last axis.
    fn dense(
        &self,
        input: &Value,
        kernels: &Tensor,
        biases: Option<&Tensor>,
        activation: Activation,
    ) -> Result<Value> {
        let x = input.apart(self.copies)?;
        let size = x.size();
        let (inputs, outputs) = (kernels.size()[1], kernels.size()[2]);
        let rows = x.f_reshape([self.copies, -1, inputs])?;
        let product = match biases {
            Some(biases) => biases.f_unsqueeze(1)?.f_baddbmm(&rows, kernels, 1.0, 1.0)?,
            None => rows.f_bmm(kernels)?,
        };
        let shape = [&size[..size.len() - 1], &[outputs]].concat();
        let product = crate::forward::activate(&product.f_reshape(shape)?, activation)?;
        Value::together(&product)
    }

    fn softmax_of_each(&self, value: Value, activation: Option<Activation>) -> Result<Value> {
        let Some(activation) = activation else { return Ok(value) };
        Value::together(&crate::forward::activate(&value.apart(self.copies)?, activation)?)
    }
}
