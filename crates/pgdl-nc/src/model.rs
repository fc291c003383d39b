//! The model: what estimates a gap from a hypothesis's behaviour on data.
//!
//! Lee et al. 2020, section 3. A shared encoder embeds (x, h(x)) of every row; each test row attends to the train rows,
//! queries from the test row's embedding, keys from the train rows', values from the train rows' embeddings and
//! targets; a decoder turns each test row's embedding plus what it attended to into a number, and the estimate is their
//! mean.
//!
//! For classification (section 3.2 and the ablation of its parts) h(x) and the targets are distributions over classes, the
//! encoder sees images through convolutions, and a train row's value is bilinear in its embedding and in what is known of
//! its label: see [`Value`].
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
    /// How many h's there are of a row: 1, or more where the hypothesis is also seen on changed inputs, as in
    /// [`Look::Mirrored`](crate::images::Look::Mirrored).
    #[serde(skip_serializing_if = "is_one")]
    pub looks: i64,
    /// Width of every hidden layer and embedding.
    pub width: i64,
    /// Dense layers of the encoder, ReLU between them.
    pub encoder_layers: usize,
    /// Attention heads; they divide the width among them.
    pub heads: i64,
    /// Dense layers of the decoder, ReLU between them.
    pub decoder_layers: usize,
    /// Where rows are images: how they come to the encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageEncoder>,
    /// What a train row's value is made of.
    #[serde(skip_serializing_if = "Value::is_concatenation")]
    pub value: Value,
}

fn is_one(looks: &i64) -> bool {
    *looks == 1
}

/// Convolutions of 3 × 3 pixels and stride 2, ReLU after each, and one dense layer to the model's width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEncoder {
    /// Pixels in an image's height, and in its width.
    pub size: i64,
    /// Channels of an image.
    pub channels: i64,
    /// Channels after each convolution.
    pub filters: Vec<i64>,
}

/// What a train row's value is made of, besides its embedding e and its target y.
///
/// The paper's form for classification has all three: v = W(e, [y, 1, ℓ]), bilinear, ℓ the row's own loss. The form for
/// regression has none: v = W·[e, y].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Value {
    /// Whether it is bilinear in e and [y, …], instead of linear in both side by side.
    pub bilinear: bool,
    /// Whether a 1 stands beside y, which lets e count by itself.
    pub constant: bool,
    /// Whether the row's loss ℓ stands beside y, as ln(1 + ℓ): in the paper it is ℓ itself, which a learner that diverges
    /// makes larger than all else by orders of magnitude.
    pub loss: bool,
}

impl Value {
    /// The paper's form for classification.
    pub const CLASSIFICATION: Self = Self { bilinear: true, constant: true, loss: true };

    fn is_concatenation(&self) -> bool {
        *self == Self::default()
    }

    /// Numbers beside the target.
    fn extra(self) -> i64 {
        i64::from(self.constant) + i64::from(self.loss)
    }
}

impl ImageEncoder {
    /// Pixels in the height (and width) after each convolution, and channels after the last.
    fn map(&self) -> (i64, i64) {
        let size = self.filters.iter().fold(self.size, |size, _| (size + 1) / 2);
        (size, self.filters.last().copied().unwrap_or(self.channels))
    }

    fn check(&self) -> Result<()> {
        let counts = [("size", self.size, 1 << 10), ("channels", self.channels, 64)];
        for (key, value, most) in counts {
            if !(1..=most).contains(&value) {
                return Err(NcError::value(
                    format!("model.image.{key}"),
                    value,
                    format!("between 1 and {most}"),
                ));
            }
        }
        if self.filters.len() > 16 || self.filters.iter().any(|filters| !(1..=1 << 12).contains(filters)) {
            let found = format!("{:?}", self.filters);
            return Err(NcError::value(
                "model.image.filters",
                found,
                "at most 16 numbers between 1 and 4096",
            ));
        }
        Ok(())
    }
}

/// A layer's parameters: the shape of its weight, whose first dimension is the number of its outputs.
struct Layer {
    name: String,
    weight: Vec<i64>,
}

impl Layer {
    fn dense(name: impl Into<String>, inputs: i64, outputs: i64) -> Self {
        Self { name: name.into(), weight: vec![outputs, inputs] }
    }

    /// Numbers that one output is made of.
    fn inputs(&self) -> i64 {
        self.weight[1..].iter().product()
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            inputs: 1,
            outputs: 1,
            looks: 1,
            width: 512,
            encoder_layers: 3,
            heads: 8,
            decoder_layers: 2,
            image: None,
            value: Value::default(),
        }
    }
}

impl Shape {
    pub(crate) fn check(&self) -> Result<()> {
        let counts = [
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("looks", self.looks),
            ("width", self.width),
        ];
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
        if let Some(image) = &self.image {
            image.check()?;
            let pixels = image.size * image.size * image.channels;
            if self.inputs != pixels {
                let allowed = format!("{pixels}, the numbers of an image");
                return Err(NcError::value("model.inputs", self.inputs, allowed));
            }
        }
        let parameters = self.parameters().into_iter().map(|(_, shape)| shape);
        let count =
            parameters.map(|shape| shape.iter().map(|size| *size as f64).product::<f64>()).sum::<f64>();
        if count > MOST_PARAMETERS {
            return Err(NcError::value("the model's number of parameters", count, "at most 2³⁰"));
        }
        Ok(())
    }

    /// Each layer's parameters, in their order.
    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut seen = self.inputs;
        if let Some(image) = &self.image {
            let mut channels = image.channels;
            for (layer, &filters) in image.filters.iter().enumerate() {
                layers.push(Layer { name: format!("image.{layer}"), weight: vec![filters, channels, 3, 3] });
                channels = filters;
            }
            let (size, channels) = image.map();
            layers.push(Layer::dense("image.dense", size * size * channels, self.width));
            seen = self.width;
        }
        for layer in 0..self.encoder_layers {
            let inputs = if layer == 0 { seen + self.looks * self.outputs } else { self.width };
            layers.push(Layer::dense(format!("encoder.{layer}"), inputs, self.width));
        }
        layers.push(Layer::dense("query", self.width, self.width));
        layers.push(Layer::dense("key", self.width, self.width));
        let known = self.outputs + self.value.extra();
        let value = if self.value.bilinear { self.width * known } else { self.width + known };
        layers.push(Layer::dense("value", value, self.width));
        layers.push(Layer::dense("attended", self.width, self.width));
        for layer in 0..self.decoder_layers {
            let outputs = if layer + 1 == self.decoder_layers { 1 } else { self.width };
            layers.push(Layer::dense(format!("decoder.{layer}"), self.width, outputs));
        }
        layers
    }

    /// Name and shape of each parameter tensor: `<layer>.weight` `[outputs, inputs]` (of a convolution `[outputs, inputs,
    /// 3, 3]`), `<layer>.bias` `[outputs]`.
    pub fn parameters(&self) -> Vec<(String, Vec<i64>)> {
        let mut parameters = Vec::new();
        for layer in self.layers() {
            let bias = vec![layer.weight[0]];
            parameters.push((format!("{}.weight", layer.name), layer.weight));
            parameters.push((format!("{}.bias", layer.name), bias));
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
        let (mut images, mut seen) = (0, self.inputs);
        if let Some(image) = &self.image {
            let (mut channels, mut size) = (image.channels, image.size);
            for &filters in &image.filters {
                size = (size + 1) / 2;
                images += size * size * 9 * channels * filters;
                channels = filters;
            }
            images += size * size * channels * self.width;
            seen = self.width;
        }
        let encoder = images
            + (seen + self.looks * self.outputs) * self.width
            + (self.encoder_layers as i64 - 1) * square;
        let decoder = (self.decoder_layers as i64 - 1) * square + self.width;
        let known = self.outputs + self.value.extra();
        let value = if self.value.bilinear { known * square } else { square + known * self.width };
        let keys_and_values = square + value;
        let attention = 2 * train * test * self.width;
        (train + test) * encoder + train * keys_and_values + test * (2 * square + decoder) + attention
    }
}

/// Images that the encoder sees at once where no derivatives are wanted.
const EMBEDDED: i64 = 4096;

/// The kind of numbers that a model computes with. Parameters are kept in 32 bits in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits with the range of 32-bit numbers; sums of products, the softmax and the mean in 32 bits.
    Bfloat16,
    /// 64 bits.
    Float64,
}

impl Precision {
    fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
            Self::Float64 => Kind::Double,
        }
    }

    /// The kind of sums and means.
    fn sums(self) -> Kind {
        match self {
            Self::Float32 | Self::Bfloat16 => Kind::Float,
            Self::Float64 => Kind::Double,
        }
    }
}

/// More parameters than any model here needs: what a file merely claims is not taken from memory.
const MOST_PARAMETERS: f64 = (1u64 << 30) as f64;

/// What the inputs of [`Rows`] are.
#[derive(Debug, Default)]
pub enum Source {
    /// The inputs themselves.
    #[default]
    Inputs,
    /// Positions among these inputs, `[N, inputs]`.
    Among(Tensor),
    /// Positions among inputs that the encoder's image part has seen already: [`Ready::embed_images`], `[N, width]`.
    Embedded(Tensor),
}

impl Source {
    /// Another name for the same.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::Inputs => Self::Inputs,
            Self::Among(inputs) => Self::Among(inputs.shallow_clone()),
            Self::Embedded(embedded) => Self::Embedded(embedded.shallow_clone()),
        }
    }
}

/// What the model sees of B hypotheses: m train rows and n test rows of each, the test rows without targets.
///
/// Where `source` holds the inputs, `train_inputs` and `test_inputs` are positions in it: integers `[B, m]`, `[B, n]`.
#[derive(Debug)]
pub struct Rows {
    /// Where the inputs are.
    pub source: Source,
    /// The loss of each train row: `[B, m]`. Only models whose [`Value`] has it need it.
    pub train_losses: Option<Tensor>,
    /// X_tr: `[B, m, inputs]`.
    pub train_inputs: Tensor,
    /// Y_tr: `[B, m, outputs]`.
    pub train_targets: Tensor,
    /// h(X_tr): `[B, m, looks · outputs]`.
    pub train_outputs: Tensor,
    /// X_te: `[B, n, inputs]`.
    pub test_inputs: Tensor,
    /// h(X_te): `[B, n, looks · outputs]`.
    pub test_outputs: Tensor,
}

impl Rows {
    /// Some of the hypotheses: `count` of them, the first at `start`.
    pub fn narrow(&self, start: i64, count: i64) -> Result<Self> {
        let part = |tensor: &Tensor| tensor.f_narrow(0, start, count);
        Ok(Self {
            source: self.source.shallow_clone(),
            train_losses: self.train_losses.as_ref().map(part).transpose()?,
            train_inputs: part(&self.train_inputs)?,
            train_targets: part(&self.train_targets)?,
            train_outputs: part(&self.train_outputs)?,
            test_inputs: part(&self.test_inputs)?,
            test_outputs: part(&self.test_outputs)?,
        })
    }

    fn sizes(&self, shape: &Shape) -> Result<(i64, i64, i64)> {
        let sizes = |name, tensor: &Tensor| match tensor.size()[..] {
            [batch, rows, ..] if batch > 0 && rows > 0 => Ok((batch, rows)),
            _ => Err(NcError::shape(name, &tensor.size(), "three dimensions, none of them 0")),
        };
        let ((batch, train), (_, test)) =
            (sizes("X_tr", &self.train_inputs)?, sizes("X_te", &self.test_inputs)?);
        let inputs = |rows| match self.source {
            Source::Inputs => vec![batch, rows, shape.inputs],
            Source::Among(_) | Source::Embedded(_) => vec![batch, rows],
        };
        let targets = vec![batch, train, shape.outputs];
        let outputs = |rows| vec![batch, rows, shape.looks * shape.outputs];
        let mut wanted = vec![
            ("X_tr", &self.train_inputs, inputs(train)),
            ("Y_tr", &self.train_targets, targets),
            ("h(X_tr)", &self.train_outputs, outputs(train)),
            ("X_te", &self.test_inputs, inputs(test)),
            ("h(X_te)", &self.test_outputs, outputs(test)),
        ];
        match (&self.train_losses, shape.value.loss) {
            (Some(losses), true) => wanted.push(("the train losses", losses, vec![batch, train])),
            (None, true) => {
                return Err(NcError::shape("the train losses", &[], format!("[{batch}, {train}]")));
            }
            (_, false) => {}
        }
        for (what, tensor, wanted) in wanted {
            if tensor.size() != wanted {
                return Err(NcError::shape(what, &tensor.size(), format!("{wanted:?}")));
            }
        }
        let among = match &self.source {
            Source::Inputs => None,
            Source::Among(inputs) => Some((inputs, shape.inputs)),
            Source::Embedded(embedded) => Some((embedded, shape.width)),
        };
        if let Some((tensor, width)) = among
            && !matches!(tensor.size()[..], [_, last] if last == width)
        {
            return Err(NcError::shape("the inputs", &tensor.size(), format!("[N, {width}]")));
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
        for layer in shape.layers() {
            let (inputs, outputs) = (layer.inputs(), layer.weight[0]);
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
        Ok(Ready { shape: self.shape.clone(), kind, sums: precision.sums(), leaves })
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
    sums: Kind,
    leaves: Vec<Tensor>,
}

impl Ready {
    /// NC of each hypothesis: `[B]`, in numbers of 32 bits (64 where it computes with those).
    ///
    /// # Errors
    /// When the rows are not of the model's shape.
    pub fn complexity(&self, rows: &Rows) -> Result<Tensor> {
        Ok(self.by_test_row(rows)?.f_mean_dim(1, false, self.sums)?)
    }

    /// The decoder's number for each test row, whose mean is NC: `[B, n]`, numbers likewise.
    ///
    /// # Errors
    /// When the rows are not of the model's shape.
    pub fn by_test_row(&self, rows: &Rows) -> Result<Tensor> {
        let (batch, train, test) = rows.sizes(&self.shape)?;
        let width = self.shape.width;
        let depth = width / self.shape.heads;
        // Train rows first, then test rows: the encoder sees them all at once, and each part stays in one piece.
        let flat = |tensor: &Tensor, width| tensor.f_reshape([-1, width]);
        let both = |train: &Tensor, test: &Tensor, width| {
            Tensor::f_cat(&[flat(train, width)?, flat(test, width)?], 0)
        };
        let positions = || -> Result<Tensor> {
            let flat = [rows.train_inputs.f_reshape([-1])?, rows.test_inputs.f_reshape([-1])?];
            Ok(Tensor::f_cat(&flat, 0)?)
        };
        let inputs = match &rows.source {
            Source::Inputs => self.see(&both(&rows.train_inputs, &rows.test_inputs, self.shape.inputs)?)?,
            Source::Among(inputs) => self.see(&inputs.f_index_select(0, &positions()?)?)?,
            Source::Embedded(embedded) => embedded.f_index_select(0, &positions()?)?.f_to_kind(self.kind)?,
        };
        let outputs = both(&rows.train_outputs, &rows.test_outputs, self.shape.looks * self.shape.outputs)?
            .f_to_kind(self.kind)?;
        let mut layers = self.leaves[self.image_leaves()..].chunks_exact(2);
        let mut next = || layers.next().map(|pair| (&pair[0], &pair[1]));
        let mut dense = |input: &Tensor| -> Result<Tensor> {
            let (weight, bias) =
                next().ok_or_else(|| NcError::shape("the parameters", &[], "one pair per layer"))?;
            Ok(input.f_linear(weight, Some(bias))?)
        };

        let mut encoded = Tensor::f_cat(&[inputs, outputs], 1)?;
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
        let value = by_head(dense(&self.valued(&of_train, rows)?)?, train)?;
        let scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(1.0 / (depth as f64).sqrt())?;
        let weights = scores.f_softmax(-1, self.sums)?.f_to_kind(self.kind)?;
        let attended = weights.f_matmul(&value)?.f_transpose(1, 2)?.f_reshape([batch * test, width])?;

        let mut decoded = dense(&attended)?.f_add_(&of_test)?;
        for layer in 0..self.shape.decoder_layers {
            decoded = dense(&decoded)?;
            if layer + 1 < self.shape.decoder_layers {
                decoded = decoded.f_relu_()?;
            }
        }
        Ok(decoded.f_view([batch, test])?.f_to_kind(self.sums)?)
    }

    /// What the encoder's image part makes of inputs, `[N, inputs]` to `[N, width]`, without derivatives by it: for
    /// [`Source::Embedded`]. A model without image part gives the inputs themselves.
    pub fn embed_images(&self, inputs: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| {
            let count = inputs.size().first().copied().unwrap_or(0);
            let mut embedded = Vec::new();
            for start in (0..count).step_by(EMBEDDED as usize) {
                embedded.push(self.see(&inputs.f_narrow(0, start, EMBEDDED.min(count - start))?)?);
            }
            Ok(Tensor::f_cat(&embedded, 0)?)
        })
    }

    /// How many of the leaves are the image part's.
    fn image_leaves(&self) -> usize {
        self.shape.image.as_ref().map_or(0, |image| 2 * (image.filters.len() + 1))
    }

    /// Inputs as the dense encoder takes them, in the kind of numbers to compute with.
    fn see(&self, inputs: &Tensor) -> Result<Tensor> {
        let inputs = inputs.f_to_kind(self.kind)?;
        let Some(image) = &self.shape.image else { return Ok(inputs) };
        let mut seen = inputs.f_view([-1, image.channels, image.size, image.size])?;
        let mut pairs = self.leaves[..self.image_leaves()].chunks_exact(2);
        for pair in pairs.by_ref().take(image.filters.len()) {
            seen = seen.f_conv2d(&pair[0], Some(&pair[1]), [2, 2], [1, 1], [1, 1], 1)?.f_relu_()?;
        }
        let pair = pairs.next().ok_or_else(|| NcError::shape("the parameters", &[], "one pair per layer"))?;
        Ok(seen.f_flatten(1, -1)?.f_linear(&pair[0], Some(&pair[1]))?)
    }

    /// What the value layer takes of the train rows, of which `embedded` holds the embeddings `[B·m, width]`.
    fn valued(&self, embedded: &Tensor, rows: &Rows) -> Result<Tensor> {
        let value = self.shape.value;
        let mut known = vec![rows.train_targets.f_reshape([-1, self.shape.outputs])?.f_to_kind(self.kind)?];
        let count = embedded.size()[0];
        if value.constant {
            known.push(embedded.f_new_ones([count, 1], (self.kind, embedded.device()))?);
        }
        if let (true, Some(losses)) = (value.loss, &rows.train_losses) {
            known.push(losses.f_reshape([-1, 1])?.f_to_kind(self.sums)?.f_log1p()?.f_to_kind(self.kind)?);
        }
        if !value.bilinear {
            known.insert(0, embedded.shallow_clone());
            return Ok(Tensor::f_cat(&known, 1)?);
        }
        let known = Tensor::f_cat(&known, 1)?;
        Ok(known.f_unsqueeze(2)?.f_mul(&embedded.f_unsqueeze(1)?)?.f_reshape([count, -1])?)
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
