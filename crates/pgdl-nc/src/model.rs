//! The model: what estimates a gap from a hypothesis's behaviour on data.
//!
//! Lee et al. 2020, section 3. A shared encoder embeds (x, h(x)) of every row; each test row attends to the train rows,
//! queries from the test row's embedding, keys from the train rows', values from the train rows' embeddings and
//! targets; a decoder turns each test row's embedding plus what it attended to into a number, and the estimate is their
//! mean.
//!
//! Nothing depends on the order of the train rows, or of the test rows.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::random::Draws;

/// The shape of a model.
///
/// The defaults are those of the paper's one-dimensional experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// Numbers in a row's x.
    pub inputs: i64,
    /// Numbers in a row's h(x), and in its target.
    pub outputs: i64,
    /// Width of every hidden layer and embedding.
    pub width: i64,
    /// Dense layers of the encoder, ReLU between them.
    pub encoder_layers: usize,
    /// Attention heads; they divide the width among them.
    pub heads: i64,
    /// Dense layers of the decoder, ReLU between them.
    pub decoder_layers: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { inputs: 1, outputs: 1, width: 512, encoder_layers: 3, heads: 8, decoder_layers: 2 }
    }
}

impl Shape {
    pub(crate) fn check(&self) -> Result<()> {
        let counts = [("inputs", self.inputs), ("outputs", self.outputs), ("width", self.width)];
        for (key, value) in counts {
            if !(1..=1 << 16).contains(&value) {
                return Err(NcError::value(format!("model.{key}"), value, "between 1 and 65536"));
            }
        }
        for (key, value) in [("encoder_layers", self.encoder_layers), ("decoder_layers", self.decoder_layers)]
        {
            if !(1..=64).contains(&value) {
                return Err(NcError::value(format!("model.{key}"), value, "between 1 and 64"));
            }
        }
        if self.heads < 1 || self.width % self.heads != 0 {
            return Err(NcError::value("model.heads", self.heads, "a divisor of model.width"));
        }
        Ok(())
    }

    /// Name, inputs and outputs of each dense layer, in the order of the parameters.
    fn layers(&self) -> Vec<(String, i64, i64)> {
        let mut layers = Vec::new();
        for layer in 0..self.encoder_layers {
            let inputs = if layer == 0 { self.inputs + self.outputs } else { self.width };
            layers.push((format!("encoder.{layer}"), inputs, self.width));
        }
        layers.push(("query".into(), self.width, self.width));
        layers.push(("key".into(), self.width, self.width));
        layers.push(("value".into(), self.width + self.outputs, self.width));
        layers.push(("attended".into(), self.width, self.width));
        for layer in 0..self.decoder_layers {
            let outputs = if layer + 1 == self.decoder_layers { 1 } else { self.width };
            layers.push((format!("decoder.{layer}"), self.width, outputs));
        }
        layers
    }

    /// Name and shape of each parameter tensor: `<layer>.weight` `[outputs, inputs]`, `<layer>.bias` `[outputs]`.
    pub fn parameters(&self) -> Vec<(String, Vec<i64>)> {
        let mut parameters = Vec::new();
        for (name, inputs, outputs) in self.layers() {
            parameters.push((format!("{name}.weight"), vec![outputs, inputs]));
            parameters.push((format!("{name}.bias"), vec![outputs]));
        }
        parameters
    }

    /// How many parameters there are.
    pub fn parameter_count(&self) -> i64 {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<i64>()).sum()
    }

    /// Multiplications (each with an addition) of one forward pass on `train` and `test` rows. A training step costs
    /// three times that: the gradient of the weights and that of the layer's input cost as much again each.
    pub fn multiplications(&self, train: i64, test: i64) -> i64 {
        let square = self.width * self.width;
        let encoder = (self.inputs + self.outputs) * self.width + (self.encoder_layers as i64 - 1) * square;
        let decoder = (self.decoder_layers as i64 - 1) * square + self.width;
        let keys_and_values = 2 * square + self.outputs * self.width;
        let attention = 2 * train * test * self.width;
        (train + test) * encoder + train * keys_and_values + test * (2 * square + decoder) + attention
    }
}

/// The kind of numbers that a model computes with. Parameters are kept in 32 bits in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits with the range of 32-bit numbers; sums of products, the softmax and the mean in 32 bits.
    Bfloat16,
}

impl Precision {
    fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }
}

/// What the model sees of B hypotheses: m train rows and n test rows of each, the test rows without targets.
#[derive(Debug)]
pub struct Rows {
    /// X_tr: `[B, m, inputs]`.
    pub train_inputs: Tensor,
    /// Y_tr: `[B, m, outputs]`.
    pub train_targets: Tensor,
    /// h(X_tr): `[B, m, outputs]`.
    pub train_outputs: Tensor,
    /// X_te: `[B, n, inputs]`.
    pub test_inputs: Tensor,
    /// h(X_te): `[B, n, outputs]`.
    pub test_outputs: Tensor,
}

impl Rows {
    fn sizes(&self, shape: &Shape) -> Result<(i64, i64, i64)> {
        let [batch, train, _] = self.train_inputs.size()[..] else {
            return Err(NcError::shape("X_tr", &self.train_inputs.size(), "three dimensions"));
        };
        let test = match self.test_inputs.size()[..] {
            [_, test, _] => test,
            _ => return Err(NcError::shape("X_te", &self.test_inputs.size(), "three dimensions")),
        };
        let wanted = [
            ("X_tr", &self.train_inputs, [batch, train, shape.inputs]),
            ("Y_tr", &self.train_targets, [batch, train, shape.outputs]),
            ("h(X_tr)", &self.train_outputs, [batch, train, shape.outputs]),
            ("X_te", &self.test_inputs, [batch, test, shape.inputs]),
            ("h(X_te)", &self.test_outputs, [batch, test, shape.outputs]),
        ];
        for (what, tensor, wanted) in wanted {
            if tensor.size() != wanted || train == 0 || test == 0 {
                return Err(NcError::shape(what, &tensor.size(), format!("{wanted:?}, no dimension 0")));
            }
        }
        Ok((batch, train, test))
    }
}

/// A model: its shape, and its parameters in 32 bits in one vector.
#[derive(Debug)]
pub struct Model {
    shape: Shape,
    parameters: Tensor,
}

impl Model {
    /// A new model. Weights and biases of a layer with k inputs are uniform in ±1/√k.
    ///
    /// # Errors
    /// When the shape is not allowed.
    pub fn initialize(shape: Shape, draws: &mut Draws, device: Device) -> Result<Self> {
        shape.check()?;
        let mut parts = Vec::new();
        for (_, inputs, outputs) in shape.layers() {
            let bound = 1.0 / (inputs as f64).sqrt();
            parts.push(draws.uniform(&[outputs * inputs + outputs], -bound, bound, device)?);
        }
        let parameters = Tensor::f_cat(&parts, 0)?;
        Ok(Self { shape, parameters })
    }

    /// A model of these parameters, shape [`Shape::parameter_count`].
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn from_parameters(shape: Shape, parameters: Tensor) -> Result<Self> {
        shape.check()?;
        if parameters.size() != [shape.parameter_count()] || parameters.f_kind()? != Kind::Float {
            let wanted = format!("[{}], 32-bit numbers", shape.parameter_count());
            return Err(NcError::shape("the parameters", &parameters.size(), wanted));
        }
        Ok(Self { shape, parameters })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All parameters, in the order of [`Shape::parameters`]: `[P]`, 32-bit numbers.
    pub fn parameters(&self) -> &Tensor {
        &self.parameters
    }

    pub(crate) fn parameters_mut(&mut self) -> &mut Tensor {
        &mut self.parameters
    }

    /// The parameters by name, as views.
    pub fn named_parameters(&self) -> Result<Vec<(String, Tensor)>> {
        views(&self.shape, &self.parameters)
    }

    /// The model ready to compute. Where `trainable`, [`Ready::gradient`] gives derivatives by its parameters; else
    /// only derivatives by its inputs are to be had, at two thirds of the cost.
    pub fn ready(&self, precision: Precision, trainable: bool) -> Result<Ready> {
        let kind = precision.kind();
        let parameters = self.parameters.f_detach()?.f_to_kind(kind)?;
        let mut leaves = Vec::new();
        for (_, view) in views(&self.shape, &parameters)? {
            leaves.push(view.f_detach()?.f_set_requires_grad(trainable)?);
        }
        Ok(Ready { shape: self.shape.clone(), kind, leaves })
    }
}

fn views(shape: &Shape, parameters: &Tensor) -> Result<Vec<(String, Tensor)>> {
    let mut offset = 0;
    let mut views = Vec::new();
    for (name, shape) in shape.parameters() {
        let count = shape.iter().product();
        views.push((name, parameters.f_narrow(0, offset, count)?.f_view(&shape[..])?));
        offset += count;
    }
    Ok(views)
}

/// A model with its parameters in the kind of numbers it computes with.
#[derive(Debug)]
pub struct Ready {
    shape: Shape,
    kind: Kind,
    leaves: Vec<Tensor>,
}

impl Ready {
    /// NC of each hypothesis: `[B]`, 32-bit numbers.
    ///
    /// # Errors
    /// When the rows are not of the model's shape.
    pub fn complexity(&self, rows: &Rows) -> Result<Tensor> {
        Ok(self.by_test_row(rows)?.f_mean_dim(1, false, Kind::Float)?)
    }

    /// The decoder's number for each test row, whose mean is NC: `[B, n]`, 32-bit numbers.
    ///
    /// # Errors
    /// When the rows are not of the model's shape.
    pub fn by_test_row(&self, rows: &Rows) -> Result<Tensor> {
        let (batch, train, test) = rows.sizes(&self.shape)?;
        let width = self.shape.width;
        let depth = width / self.shape.heads;
        // Train rows first, then test rows: the encoder sees them all at once, and each part stays in one piece.
        let flat = |tensor: &Tensor, width| tensor.f_reshape([-1, width]);
        let inputs = Tensor::f_cat(
            &[flat(&rows.train_inputs, self.shape.inputs)?, flat(&rows.test_inputs, self.shape.inputs)?],
            0,
        )?;
        let outputs = Tensor::f_cat(
            &[flat(&rows.train_outputs, self.shape.outputs)?, flat(&rows.test_outputs, self.shape.outputs)?],
            0,
        )?;
        let mut layers = self.leaves.chunks_exact(2);
        let mut next = || layers.next().map(|pair| (&pair[0], &pair[1]));
        let mut dense = |input: &Tensor| -> Result<Tensor> {
            let (weight, bias) =
                next().ok_or_else(|| NcError::shape("the parameters", &[], "one pair per layer"))?;
            Ok(input.f_linear(weight, Some(bias))?)
        };

        let mut encoded = Tensor::f_cat(&[inputs, outputs], 1)?.f_to_kind(self.kind)?;
        for layer in 0..self.shape.encoder_layers {
            encoded = dense(&encoded)?;
            if layer + 1 < self.shape.encoder_layers {
                encoded = encoded.f_relu_()?;
            }
        }
        let of_train = encoded.f_narrow(0, 0, batch * train)?;
        let of_test = encoded.f_narrow(0, batch * train, batch * test)?;

        let by_head = |tensor: Tensor, count: i64| {
            tensor.f_view([batch, count, self.shape.heads, depth])?.f_transpose(1, 2)
        };
        let query = by_head(dense(&of_test)?, test)?;
        let key = by_head(dense(&of_train)?, train)?;
        let targets = flat(&rows.train_targets, self.shape.outputs)?.f_to_kind(self.kind)?;
        let value = by_head(dense(&Tensor::f_cat(&[of_train, targets], 1)?)?, train)?;
        let scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(1.0 / (depth as f64).sqrt())?;
        let weights = scores.f_softmax(-1, Kind::Float)?.f_to_kind(self.kind)?;
        let attended = weights.f_matmul(&value)?.f_transpose(1, 2)?.f_reshape([batch * test, width])?;

        let mut decoded = dense(&attended)?.f_add_(&of_test)?;
        for layer in 0..self.shape.decoder_layers {
            decoded = dense(&decoded)?;
            if layer + 1 < self.shape.decoder_layers {
                decoded = decoded.f_relu_()?;
            }
        }
        Ok(decoded.f_view([batch, test])?.f_to_kind(Kind::Float)?)
    }

    /// The derivative of a number by all parameters, in their order: `[P]`, 32-bit numbers.
    pub fn gradient(&self, loss: &Tensor) -> Result<Tensor> {
        let gradients = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        let flat: Vec<Tensor> = gradients
            .iter()
            .map(|gradient| gradient.f_reshape([-1])?.f_to_kind(Kind::Float))
            .collect::<Result<_, _>>()?;
        Ok(Tensor::f_cat(&flat, 0)?)
    }
}
