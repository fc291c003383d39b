//! Moments of the gradients of each sample's loss.

use pgdl_measure::network::{Network, per_sample_gradients};
use pgdl_measure::tch::{Device, Kind, Reduction, Tensor};
use pgdl_measure::{
    MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, Quantity, RegistryError,
};

/// Number of samples, the first ones.
pub(crate) const SAMPLES: ParameterInfo = ParameterInfo {
    name: "samples",
    kind: ParameterKind::Integer { default: 1000, min: 2, max: i64::MAX },
    doc: "number m of samples, the first ones; all when there are fewer",
};

/// Reads [`SAMPLES`].
pub(crate) fn samples(parameters: &Parameters) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer("samples")?).unwrap_or(usize::MAX))
}

/// First and second moments of gᵢ = ∇ℓᵢ over the first m samples: the cross-entropy's gradients in all trainable
/// parameters, BatchNormalization folded, in evaluation mode. m/n forward and backward passes, each for one copy of the
/// network per sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientMoments {
    /// m, or all when there are fewer.
    pub samples: usize,
}

/// What [`GradientMoments`] finds.
#[derive(Debug)]
pub(crate) struct Moments {
    /// The mean of gᵢ: `[P]`, f64.
    pub mean: Tensor,
    /// The mean of its squares, entry by entry: `[P]`, f64.
    pub second: Tensor,
    /// ‖gᵢ‖²: `[m]`.
    pub squares: Vec<f64>,
    /// ⟨w, gᵢ⟩: `[m]`.
    pub along_weights: Vec<f64>,
    /// ⟨w − w₀, gᵢ⟩: `[m]`; nothing without initial weights.
    pub along_training: Option<Vec<f64>>,
}

impl Moments {
    /// Number m of samples.
    pub(crate) fn count(&self) -> f64 {
        self.squares.len() as f64
    }

    /// tr C, C = (1/m) Σ gᵢ gᵢᵀ.
    pub(crate) fn trace(&self) -> f64 {
        self.squares.iter().sum::<f64>() / self.count()
    }

    /// ‖(1/m) Σ gᵢ‖².
    pub(crate) fn square_of_mean(&self) -> Result<f64, MeasureError> {
        Ok(self.mean.f_dot(&self.mean)?.f_double_value(&[])?)
    }

    /// The trace of the unbiased covariance matrix of the gᵢ.
    pub(crate) fn variance(&self) -> Result<f64, MeasureError> {
        let count = self.count();
        if count < 2.0 {
            return MeasureError::undefined("one sample has no variance");
        }
        // Rounding can make a variance of zero slightly negative.
        Ok(((self.trace() - self.square_of_mean()?) * count / (count - 1.0)).max(0.0))
    }
}

impl Quantity for GradientMoments {
    type Value = Moments;

    fn name(&self) -> String {
        format!("gradient_moments samples={}", self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Moments, MeasureError> {
        let network = probe.folded()?;
        let double = |vector: Tensor| vector.f_to_kind(Kind::Double);
        let weights = double(network.trainable_vector()?)?;
        check_parameters(&weights)?;
        let training = match probe.initial() {
            Ok(_) => Some(weights.f_sub(&double(probe.folded_initial()?.trainable_vector()?)?)?),
            Err(_) => None,
        };
        let mut sums = Sums::new(&weights)?;
        let (mut along_weights, mut along_training) = (Vec::new(), training.as_ref().map(|_| Vec::new()));
        for batch in probe.batches_of(self.samples).at_most(at_once(&network)) {
            let batch = batch?;
            let losses = |outputs: &Tensor| {
                Ok(outputs.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::None, -100, 0.0)?)
            };
            let found = per_sample_gradients(&network, &batch.inputs, losses)?;
            probe.count_forward(batch.len());
            probe.count_backward(batch.len());
            let gradients = double(found.gradients)?;
            sums.add(&gradients)?;
            let along = |direction: &Tensor| -> Result<Vec<f64>, MeasureError> {
                Ok(Vec::<f64>::try_from(gradients.f_mv(direction)?)?)
            };
            along_weights.extend(along(&weights)?);
            if let (Some(all), Some(direction)) = (&mut along_training, &training) {
                all.extend(along(direction)?);
            }
        }
        let (mean, second, squares) = sums.finish()?;
        Ok(Moments { mean, second, squares, along_weights, along_training })
    }
}

/// Sums over gradients, in f64.
pub(crate) struct Sums {
    first: Tensor,
    second: Tensor,
    squares: Vec<f64>,
}

impl Sums {
    /// For gradients like `weights`, `[P]`, f64.
    pub(crate) fn new(weights: &Tensor) -> Result<Self, MeasureError> {
        Ok(Self { first: weights.f_zeros_like()?, second: weights.f_zeros_like()?, squares: Vec::new() })
    }

    /// Adds rows `[b, P]`, f64.
    pub(crate) fn add(&mut self, gradients: &Tensor) -> Result<(), MeasureError> {
        let squares = gradients.f_square()?;
        self.first = self.first.f_add(&gradients.f_sum_dim_intlist(0, false, None)?)?;
        self.second = self.second.f_add(&squares.f_sum_dim_intlist(0, false, None)?)?;
        self.squares.extend(Vec::<f64>::try_from(squares.f_sum_dim_intlist(1, false, None)?)?);
        Ok(())
    }

    /// The mean, the mean of squares, and the squared length of each.
    ///
    /// # Errors
    /// Undefined where one is not finite.
    pub(crate) fn finish(self) -> Result<(Tensor, Tensor, Vec<f64>), MeasureError> {
        if self.squares.iter().any(|square| !square.is_finite()) {
            return MeasureError::undefined("the gradients of the losses are not finite");
        }
        let count = self.squares.len() as f64;
        Ok((self.first.f_div_scalar(count)?, self.second.f_div_scalar(count)?, self.squares))
    }
}

/// Samples at a time for [`per_sample_gradients`]: each takes a few copies of all parameters.
pub fn at_once(network: &Network) -> i64 {
    let parameters = network.architecture().trainable_count().unwrap_or(i64::MAX).max(1);
    match network.device() {
        // What the caches hold.
        Device::Cpu => ((1 << 21) / parameters).clamp(1, 16),
        _ => ((1 << 28) / parameters).clamp(1, 256),
    }
}

pub(crate) fn check_parameters(weights: &Tensor) -> Result<(), MeasureError> {
    if weights.numel() == 0 {
        return MeasureError::undefined("the network has no parameters to be trained");
    }
    Ok(())
}

/// The value, or why it has none where it divides by `what`.
pub(crate) fn ratio(numerator: f64, denominator: f64, what: &str) -> Result<Measured, MeasureError> {
    let value = numerator / denominator;
    if denominator > 0.0 && value.is_finite() {
        return Ok(Measured::value(value));
    }
    MeasureError::undefined(format!("{what} is {denominator:e}, and the measure divides by it"))
}
