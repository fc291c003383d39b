//! Shape inference: what each layer makes of its inputs' shapes, checked before anything is allocated.
//!
//! Architectures come from strangers' files, so every product is checked.

use crate::error::{NetworkError, Result};
use crate::layer::{Activation, Layer, Padding, Pool};

/// Largest size of one axis.
pub const MAX_DIMENSION: i64 = i32::MAX as i64;

/// Largest number of values in one parameter, or in one sample's activation (padding included).
pub const MAX_ELEMENTS: i64 = 1 << 40;

/// A window that slides along one axis: where it begins and how often it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Number of positions.
    pub output: i64,
    /// Cells of padding before the input.
    pub before: i64,
    /// Cells of padding after the input.
    pub after: i64,
}

impl Window {
    /// Places a window of `kernel` cells, `dilation` apart, every `stride` cells along `input` cells.
    ///
    /// Keras's rule for `same`: output = ⌈input / stride⌉, padding =
    /// max((output − 1) · stride + (kernel − 1) · dilation + 1 − input, 0), of which the half, rounded down,
    /// lies before. `None` where a number is not positive, does not fit, or the window is larger than a
    /// `valid` input.
    pub fn place(input: i64, kernel: i64, stride: i64, dilation: i64, padding: Padding) -> Option<Window> {
        if input < 1 || kernel < 1 || stride < 1 || dilation < 1 {
            return None;
        }
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        match padding {
            Padding::Valid if extent > input => None,
            Padding::Valid => Some(Window { output: (input - extent) / stride + 1, before: 0, after: 0 }),
            Padding::Same => {
                let output = (input - 1) / stride + 1;
                let covered = (output - 1).checked_mul(stride)?.checked_add(extent)?;
                let total = covered.checked_sub(input)?.max(0);
                Some(Window { output, before: total / 2, after: total - total / 2 })
            }
        }
    }
}

/// The error of a layer that is not yet known by name.
pub(crate) fn layer_error(kind: &str, reason: impl Into<String>) -> NetworkError {
    NetworkError::Layer { layer: kind.to_owned(), reason: reason.into() }
}

/// Product of sizes, none of them negative, at most [`MAX_ELEMENTS`].
pub(crate) fn product(kind: &str, sizes: &[i64]) -> Result<i64> {
    sizes
        .iter()
        .try_fold(1i64, |total, &size| total.checked_mul(size).filter(|&n| n <= MAX_ELEMENTS))
        .ok_or_else(|| layer_error(kind, format!("a tensor of shape {sizes:?} is too large")))
}

/// Number of values of a shape whose axes all lie in 1 ..= [`MAX_DIMENSION`].
pub(crate) fn checked_elements(kind: &str, shape: &[i64]) -> Result<i64> {
    if let Some(size) = shape.iter().find(|size| !(1..=MAX_DIMENSION).contains(*size)) {
        let reason = format!("shape {shape:?} has an axis of {size}, which is not in 1..={MAX_DIMENSION}");
        return Err(layer_error(kind, reason));
    }
    product(kind, shape)
}

/// One layer's input shape, with the questions that layers ask of it. Axis 0 is the batch.
pub(crate) struct LayerShape<'a> {
    kind: &'static str,
    input: &'a [i64],
}

impl<'a> LayerShape<'a> {
    pub(crate) fn of(layer: &Layer, inputs: &'a [Vec<i64>]) -> Result<Self> {
        let kind = layer.kind();
        let input = inputs.first().ok_or_else(|| layer_error(kind, "it has no input"))?;
        Ok(Self { kind, input })
    }

    pub(crate) fn input(&self) -> &'a [i64] {
        self.input
    }

    fn error(&self, reason: impl Into<String>) -> NetworkError {
        layer_error(self.kind, reason)
    }

    /// Height, width and channels of an image.
    pub(crate) fn image(&self) -> Result<[i64; 3]> {
        <[i64; 3]>::try_from(self.input)
            .map_err(|_| self.error(format!("its input must be [H, W, C], not {:?}", self.input)))
    }

    /// Size of the last axis.
    pub(crate) fn channels(&self) -> Result<i64> {
        self.input.last().copied().ok_or_else(|| self.error("its input has no axis beside the batch"))
    }

    /// Resolves a negative axis and refuses the batch axis.
    pub(crate) fn axis(&self, axis: i64) -> Result<usize> {
        resolve_axis(axis, self.input.len() + 1)
            .ok_or_else(|| self.error(format!("axis {axis} does not exist in an input of {:?}", self.input)))
    }

    /// Resolves several axes, which must be ascending.
    pub(crate) fn axes(&self, axes: &[i64]) -> Result<Vec<usize>> {
        let resolved = axes.iter().map(|&axis| self.axis(axis)).collect::<Result<Vec<_>>>()?;
        if resolved.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(self.error(format!("axes {axes:?} must be ascending, none twice")));
        }
        Ok(resolved)
    }

    /// Size of an axis that [`axis`](Self::axis) resolved.
    pub(crate) fn size(&self, axis: usize) -> i64 {
        self.input[axis - 1]
    }

    fn windows(
        &self,
        size: [i64; 2],
        strides: [i64; 2],
        dilation: [i64; 2],
        padding: Padding,
    ) -> Result<[i64; 2]> {
        let [height, width, channels] = self.image()?;
        let mut output = [0; 2];
        let mut padded = [0; 2];
        for (i, input) in [height, width].into_iter().enumerate() {
            let window =
                Window::place(input, size[i], strides[i], dilation[i], padding).ok_or_else(|| {
                    self.error(format!(
                        "a window of {size:?}, strides {strides:?} and dilation {dilation:?} does not fit \
                         an input of {height}×{width}"
                    ))
                })?;
            output[i] = window.output;
            padded[i] = input.saturating_add(window.before).saturating_add(window.after);
        }
        checked_elements(self.kind, &[padded[0], padded[1], channels])?;
        for value in size.iter().chain(&strides).chain(&dilation) {
            self.positive("window sizes, strides and dilations", *value)?;
        }
        Ok(output)
    }

    fn positive(&self, what: &str, value: i64) -> Result<()> {
        if (1..=MAX_DIMENSION).contains(&value) {
            return Ok(());
        }
        Err(self.error(format!("{what} must be in 1..={MAX_DIMENSION}, not {value}")))
    }

    fn pooled(&self, pool: &Pool) -> Result<Vec<i64>> {
        let [h, w] = self.windows(pool.size, pool.strides, [1, 1], pool.padding)?;
        Ok(vec![h, w, self.channels()?])
    }

    fn globally_pooled(&self, keepdims: bool) -> Result<Vec<i64>> {
        let [_, _, channels] = self.image()?;
        Ok(if keepdims { vec![1, 1, channels] } else { vec![channels] })
    }

    fn reshaped(&self, target: &[i64]) -> Result<Vec<i64>> {
        let total = product(self.kind, self.input)?;
        let unknown = target.iter().filter(|&&size| size == -1).count();
        let known: Vec<i64> = target.iter().copied().filter(|&size| size != -1).collect();
        let mismatch = || self.error(format!("{:?} cannot be reshaped to {target:?}", self.input));
        if unknown > 1 || known.iter().any(|&size| size < 1) {
            return Err(mismatch());
        }
        let known = product(self.kind, &known)?;
        if total % known != 0 || (unknown == 0 && total != known) {
            return Err(mismatch());
        }
        Ok(target.iter().map(|&size| if size == -1 { total / known } else { size }).collect())
    }

    fn permuted(&self, dims: &[i64]) -> Result<Vec<i64>> {
        let mut sorted = dims.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..=self.input.len() as i64) {
            let reason = format!("{dims:?} is no order of the {} axes after the batch", self.input.len());
            return Err(self.error(reason));
        }
        Ok(dims.iter().map(|&dim| self.input[dim as usize - 1]).collect())
    }
}

/// Resolves an axis of a tensor of this rank, batch included; `None` for the batch axis and beyond the rank.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let resolved = if axis < 0 { axis.checked_add(rank)? } else { axis };
    if (1..rank).contains(&resolved) { usize::try_from(resolved).ok() } else { None }
}

impl Layer {
    /// The output's shape for inputs of these shapes; none has the batch axis.
    ///
    /// Fails where the settings are impossible or do not fit the inputs, and where a sample would hold more
    /// than [`MAX_ELEMENTS`] values.
    pub fn output_shape(&self, inputs: &[Vec<i64>]) -> Result<Vec<i64>> {
        self.check_settings()?;
        for input in inputs {
            checked_elements(self.kind(), input)?;
        }
        if !matches!(self, Self::Add) && inputs.len() != 1 {
            return Err(layer_error(self.kind(), format!("it takes one input, not {}", inputs.len())));
        }
        let output = self.infer(inputs)?;
        checked_elements(self.kind(), &output)?;
        Ok(output)
    }

    fn infer(&self, inputs: &[Vec<i64>]) -> Result<Vec<i64>> {
        let shape = LayerShape::of(self, inputs)?;
        let kind = self.kind();
        match self {
            Self::Conv2d(conv) => {
                let [h, w] = shape.windows(conv.kernel, conv.strides, conv.dilation, conv.padding)?;
                let channels = shape.channels()?;
                shape.positive("groups", conv.groups)?;
                if channels % conv.groups != 0 || conv.filters % conv.groups != 0 {
                    return Err(layer_error(
                        kind,
                        format!(
                            "{channels} channels and {} filters cannot be divided into {} groups",
                            conv.filters, conv.groups
                        ),
                    ));
                }
                Ok(vec![h, w, conv.filters])
            }
            Self::DepthwiseConv2d(conv) => {
                let [h, w] = shape.windows(conv.kernel, conv.strides, conv.dilation, conv.padding)?;
                Ok(vec![h, w, product(kind, &[shape.channels()?, conv.depth_multiplier])?])
            }
            Self::SeparableConv2d(conv) => {
                let [h, w] = shape.windows(conv.kernel, conv.strides, conv.dilation, conv.padding)?;
                let between = product(kind, &[shape.channels()?, conv.depth_multiplier])?;
                checked_elements(kind, &[h, w, between])?;
                Ok(vec![h, w, conv.filters])
            }
            Self::Dense(dense) => {
                shape.channels()?;
                let mut output = shape.input().to_vec();
                if let Some(last) = output.last_mut() {
                    *last = dense.units;
                }
                Ok(output)
            }
            Self::BatchNormalization { axis, .. } => {
                shape.axis(*axis)?;
                Ok(shape.input().to_vec())
            }
            Self::LayerNormalization { axes, .. } => {
                if shape.axes(axes)?.is_empty() {
                    return Err(layer_error(kind, "it has no axis to normalize"));
                }
                Ok(shape.input().to_vec())
            }
            Self::Activation(Activation::Softmax | Activation::LogSoftmax) => {
                shape.channels()?;
                Ok(shape.input().to_vec())
            }
            Self::PRelu { shared_axes } => {
                shape.axes(shared_axes)?;
                Ok(shape.input().to_vec())
            }
            Self::MaxPooling2d(pool) | Self::AveragePooling2d(pool) => shape.pooled(pool),
            Self::GlobalAveragePooling2d { keepdims } | Self::GlobalMaxPooling2d { keepdims } => {
                shape.globally_pooled(*keepdims)
            }
            Self::Flatten => Ok(vec![product(kind, shape.input())?]),
            Self::Reshape { target } => shape.reshaped(target),
            Self::Permute { dims } => shape.permuted(dims),
            Self::ZeroPadding2d { top, bottom, left, right } => {
                let [h, w, channels] = shape.image()?;
                let padded = |size: i64, a: i64, b: i64| size.saturating_add(a).saturating_add(b);
                Ok(vec![padded(h, *top, *bottom), padded(w, *left, *right), channels])
            }
            Self::SpatialDropout2d { .. } => Ok(shape.image()?.to_vec()),
            Self::Activation(_)
            | Self::Rescaling { .. }
            | Self::Dropout { .. }
            | Self::AlphaDropout { .. }
            | Self::GaussianNoise { .. }
            | Self::GaussianDropout { .. }
            | Self::ActivityRegularization { .. } => Ok(shape.input().to_vec()),
            Self::Add => {
                if inputs.len() < 2 {
                    return Err(layer_error(kind, "it takes two or more inputs"));
                }
                if inputs.iter().any(|input| input != shape.input()) {
                    return Err(layer_error(kind, format!("its inputs have different shapes: {inputs:?}")));
                }
                Ok(shape.input().to_vec())
            }
        }
    }

    /// Checks the settings that do not depend on the input.
    fn check_settings(&self) -> Result<()> {
        let error = |reason: String| Err(layer_error(self.kind(), reason));
        let counts: &[(&str, i64)] = match self {
            Self::Conv2d(conv) => &[("filters", conv.filters), ("groups", conv.groups)],
            Self::DepthwiseConv2d(conv) => &[("depth_multiplier", conv.depth_multiplier)],
            Self::SeparableConv2d(conv) => {
                &[("filters", conv.filters), ("depth_multiplier", conv.depth_multiplier)]
            }
            Self::Dense(dense) => &[("units", dense.units)],
            _ => &[],
        };
        for (name, count) in counts {
            if !(1..=MAX_DIMENSION).contains(count) {
                return error(format!("{name} must be in 1..={MAX_DIMENSION}, not {count}"));
            }
        }
        let fractions: &[(&str, f64)] = match self {
            Self::BatchNormalization { momentum, .. } => &[("momentum", *momentum)],
            Self::Dropout { rate }
            | Self::SpatialDropout2d { rate }
            | Self::AlphaDropout { rate }
            | Self::GaussianDropout { rate } => &[("rate", *rate)],
            _ => &[],
        };
        for (name, fraction) in fractions {
            if !(0.0..=1.0).contains(fraction) {
                return error(format!("{name} must be in 0..=1, not {fraction}"));
            }
        }
        let scales: &[(&str, f64)] = match self {
            Self::BatchNormalization { epsilon, .. } | Self::LayerNormalization { epsilon, .. } => {
                &[("epsilon", *epsilon)]
            }
            Self::GaussianNoise { stddev } => &[("stddev", *stddev)],
            _ => &[],
        };
        for (name, scale) in scales {
            if !(scale.is_finite() && *scale >= 0.0) {
                return error(format!("{name} must be finite and at least 0, not {scale}"));
            }
        }
        match self {
            Self::GaussianDropout { rate } if *rate >= 1.0 => {
                return error(format!("rate must be below 1, not {rate}"));
            }
            Self::Rescaling { scale: a, offset: b } | Self::ActivityRegularization { l1: a, l2: b }
                if !(a.is_finite() && b.is_finite()) =>
            {
                return error(format!("its numbers must be finite, not {a} and {b}"));
            }
            Self::ZeroPadding2d { top, bottom, left, right }
                if [top, bottom, left, right].into_iter().any(|n| !(0..=MAX_DIMENSION).contains(n)) =>
            {
                return error(format!(
                    "padding must be in 0..={MAX_DIMENSION}, not {:?}",
                    [top, bottom, left, right]
                ));
            }
            _ => {}
        }
        match self.activation() {
            Some(activation) if !finite(activation) => {
                error(format!("the numbers of {activation:?} must be finite"))
            }
            _ => Ok(()),
        }
    }
}

fn finite(activation: Activation) -> bool {
    match activation {
        Activation::GeneralRelu { max_value, negative_slope, threshold } => {
            max_value.is_none_or(f64::is_finite) && negative_slope.is_finite() && threshold.is_finite()
        }
        Activation::LeakyRelu { slope: value }
        | Activation::Elu { alpha: value }
        | Activation::HardSigmoid { slope: value } => value.is_finite(),
        _ => true,
    }
}
