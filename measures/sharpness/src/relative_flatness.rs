//! The flatness of one layer, relative to its weights.

use std::ops::Range;

use pgdl_measure::network::{Architecture, Conv2d, Graph, Layer, Mode, Network, Source, gradients};
use pgdl_measure::tch::{Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{
    Effect, Invariances, Kernel, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, kernels,
};

use crate::loss::{Blocks, finite};
use crate::until::{Until, mean_until};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct RelativeFlatness {
    from_the_end: usize,
    tolerance: f64,
}

/// What `relative_flatness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "relative_flatness",
    family: "sharpness",
    version: 1,
    title: "The curvature of the loss in one layer's weights, in units of those weights.",
    formula: "Σ_{s,t} ⟨w_s, w_t⟩ tr(H_{s,t})",
    shapes: "w_s: [in], the weights of unit s of the layer; H_{s,t}: [in, in], second derivatives of the mean cross-entropy \
             in w_s and w_t",
    paper: "Petzka, Kamp, Adilova, Sminchisescu, Boley 2021, Relative Flatness and Generalization, definition 3",
    needs: &[Need::Labels],
    cost: "1 F and 1 HVP through the layers behind; for a convolution 32 to 200 draws of these on n/50 samples",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. The loss depends on the weights of a \
             layer through its outputs z alone, so that for a dense layer the sum is exactly the mean of ‖x‖² \
             tr(Wᵀ W ∂²ℓ/∂z²); for a convolution it is drawn by Hutchinson's estimator, with a standard error. \
             The paper's experiments take a dense layer near the output. Rescaling a layer and its successor \
             leaves the value as it is. Undefined where that layer is neither dense nor an ordinary convolution.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "layer",
            kind: ParameterKind::Choice { default: "last", options: &["last", "penultimate"] },
            doc: "which kernel, counted from the output",
        },
        ParameterInfo {
            name: "tolerance",
            kind: ParameterKind::Float { default: 0.05, min: 0.001, max: 10.0 },
            doc: "relative standard error at which the draws for a convolution stop (at the latest after 200)",
        },
    ],
};

impl RelativeFlatness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let from_the_end = if parameters.choice("layer")? == "last" { 1 } else { 2 };
        Ok(Self { from_the_end, tolerance: parameters.float("tolerance")? })
    }
}

impl Measure for RelativeFlatness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?.split_activations()?;
        let all = kernels(&network);
        let Some(kernel) = all.len().checked_sub(self.from_the_end).and_then(|at| all.get(at)) else {
            return MeasureError::undefined(format!("the network has {} kernels", all.len()));
        };
        let layer = TheLayer::of(&network, kernel)?;
        let found = match layer.patch {
            None => Measured::value(layer.exact(probe)?),
            Some(_) => layer.drawn(probe, self.tolerance)?,
        };
        if !found.value.is_finite() {
            return MeasureError::undefined("the second derivatives of the loss are not finite");
        }
        Ok(found.with_detail("layer", kernel.name.as_str()))
    }
}

/// A layer z = W x + b of which the loss is a function of z: H is Σ over samples of x xᵀ ⊗ ∂²ℓ/∂z².
struct TheLayer<'a> {
    network: &'a Network,
    node: usize,
    /// `[fan-in, units]`, f64.
    matrix: Tensor,
    /// For convolutions: the layer with a single output.
    patch: Option<Architecture>,
    /// The kernel's shape but for its last axis.
    fan_in: Vec<i64>,
}

impl<'a> TheLayer<'a> {
    fn of(network: &'a Network, kernel: &Kernel<'_>) -> Result<Self, MeasureError> {
        let node = kernel.node;
        let input = match network.architecture().nodes[node].inputs[0] {
            Source::Input => network.architecture().input_shape.clone(),
            Source::Node(j) => network.shapes()[j].clone(),
        };
        let patch = match kernel.layer {
            Layer::Dense(_) if input.len() == 1 => None,
            Layer::Conv2d(conv) if conv.groups == 1 => {
                let single = Layer::Conv2d(Conv2d { filters: 1, use_bias: false, ..conv.clone() });
                Some(Architecture::sequential(input, vec![single])?)
            }
            other => {
                return MeasureError::undefined(format!(
                    "layer `{}` ({}) is neither dense nor an ordinary convolution",
                    kernel.name,
                    other.kind()
                ));
            }
        };
        if network.cut_points().binary_search(&node).is_err() {
            return MeasureError::undefined(format!(
                "layer `{}` is not all that later layers read",
                kernel.name
            ));
        }
        let mut fan_in = kernel.tensor.size();
        let units = fan_in.pop().unwrap_or(1);
        let matrix = kernel.tensor.f_detach()?.f_to_kind(Kind::Double)?.f_reshape([-1, units])?;
        let matrix = finite(matrix, "the layer's kernel")?;
        Ok(Self { network, node, matrix, patch, fan_in })
    }

    /// What the layer reads, `[b, …]`.
    fn input(&self, inputs: &Tensor) -> Result<Tensor, MeasureError> {
        Ok(match self.network.architecture().nodes[self.node].inputs[0] {
            Source::Input => inputs.shallow_clone(),
            Source::Node(j) => no_grad(|| self.network.forward_to(j, inputs, Mode::Evaluate))?,
        })
    }

    /// z as a leaf, and ∂Σℓ/∂z with a graph.
    fn slope(
        &self,
        probe: &Probe,
        inputs: &Tensor,
        labels: &Tensor,
    ) -> Result<(Tensor, Tensor), MeasureError> {
        let z = no_grad(|| self.network.forward_to(self.node, inputs, Mode::Evaluate))?;
        let z = z.f_detach_copy()?.f_set_requires_grad(true)?;
        let logits = self.network.forward_from(self.node, &z, Mode::Evaluate)?;
        let loss = logits.f_cross_entropy_loss::<Tensor>(labels, None, Reduction::Sum, -100, 0.0)?;
        probe.count_forward(labels.numel() as i64);
        let slope = gradients(&loss, &[&z], Graph::Differentiable)?.swap_remove(0);
        Ok((z, slope))
    }

    /// Over the whole sample, mean of ‖x‖² tr(Wᵀ W ∂²ℓ/∂z²).
    fn exact(&self, probe: &Probe) -> Result<f64, MeasureError> {
        let (eigenvalues, vectors) = self.matrix.f_tr()?.f_mm(&self.matrix)?.f_linalg_eigh("L")?;
        let eigenvalues = Vec::<f64>::try_from(&eigenvalues)?;
        let mut sum = 0.0;
        for batch in probe.batches() {
            let batch = batch?;
            let x = self.input(&batch.inputs)?.f_to_kind(Kind::Double)?;
            let lengths = x.f_square()?.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
            let (z, slope) = self.slope(probe, &batch.inputs, &batch.labels)?;
            for (at, eigenvalue) in eigenvalues.iter().enumerate() {
                let direction = vectors.f_select(1, at as i64)?.f_unsqueeze(0)?;
                let curvature = curvatures(&z, &slope, &direction.f_expand_as(&z)?)?;
                sum += eigenvalue * curvature.f_dot(&lengths.f_reshape([-1])?)?.f_double_value(&[])?;
            }
            probe.count_hvp(batch.len());
        }
        Ok(sum / probe.sample_size() as f64)
    }

    /// By Hutchinson: with signs a and b of the shape of the fan-in, the curvature along (x · a) Wᵀ b.
    fn drawn(&self, probe: &Probe, tolerance: f64) -> Result<Measured, MeasureError> {
        let Some(patch) = &self.patch else { return MeasureError::failed("a dense layer is not drawn") };
        let blocks = Blocks::new(probe, (probe.sample_size() as i64 / 50).clamp(32, 128))?;
        let draw = |at: usize| -> Result<f64, MeasureError> {
            let mut random = probe.generator(&format!("draw {at}"));
            let a = random.sign_tensor(&[self.fan_in.as_slice(), &[1]].concat())?;
            let b = random.sign_tensor(&[self.matrix.size()[0]])?.f_to_kind(Kind::Double)?;
            let units = self.matrix.f_tr()?.f_mv(&b)?;
            let index = blocks.get(at as i64)?;
            let (inputs, labels) =
                (probe.inputs().f_index_select(0, &index)?, probe.labels().f_index_select(0, &index)?);
            let single = Network::new(patch.clone(), vec![vec![a]])?;
            let read = self.input(&inputs)?;
            let along = no_grad(|| single.forward(&read, Mode::Evaluate))?;
            let (z, slope) = self.slope(probe, &inputs, &labels)?;
            let direction = along.f_to_kind(Kind::Double)?.f_mul(&units)?;
            probe.count_hvp(labels.numel() as i64);
            let each = curvatures(&z, &slope, &direction)?;
            Ok(each.f_mean(Kind::Double)?.f_double_value(&[])?)
        };
        let each = |draws: Range<usize>| draws.map(draw).collect();
        let found = mean_until(probe, Until { tolerance, fewest: 32, most: 200 }, each)?;
        Ok(Measured::value(found.mean)
            .with_standard_error(found.standard_error)
            .with_detail("draws", found.draws as f64))
    }
}

/// dᵀ (∂²ℓ/∂z²) d of each sample: `[b]`, f64, given ∂Σℓ/∂z with a graph.
fn curvatures(z: &Tensor, slope: &Tensor, direction: &Tensor) -> Result<Tensor, MeasureError> {
    let direction = direction.f_to_kind(z.kind())?;
    let rows = |tensor: &Tensor| tensor.f_to_kind(Kind::Double)?.f_flatten(1, -1);
    if !slope.requires_grad() {
        return Ok(rows(z)?.f_detach()?.f_select(1, 0)?.f_zeros_like()?);
    }
    let along = slope.f_mul(&direction)?.f_sum(None)?;
    let product = gradients(&along, &[z], Graph::Keep)?.swap_remove(0).f_detach()?;
    Ok(rows(&product.f_mul(&direction)?)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)
}
