//! What one sample does to a linear model.

use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{MeasureError, ParameterInfo, ParameterKind, Parameters, Probe, Quantity, RegistryError};

use crate::last_layer::{LastLayer, finite};

/// Weight decay of the last layer.
pub(crate) const RIDGE: ParameterInfo = ParameterInfo {
    name: "ridge",
    kind: ParameterKind::Float { default: 5e-4, min: 1e-12, max: 1e6 },
    doc: "λ, the ridge on the mean loss: the customary weight decay",
};

/// How much of the curvature is taken.
pub(crate) const FORM: ParameterInfo = ParameterInfo {
    name: "form",
    kind: ParameterKind::Choice { default: "full", options: &["full", "class"] },
    doc: "the whole matrix, or its blocks within each class alone",
};

/// Largest matrix that is factorized, in rows.
const LARGEST: i64 = 6000;

/// Samples at a time, by the room that products with their features take.
const ELEMENTS: i64 = 1 << 22;

/// How much of the curvature is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it.
    Full,
    /// Each class by itself.
    Class,
}

/// Curvature and ridge of the last layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Influence {
    /// How much of the curvature.
    pub form: Form,
    /// λ.
    pub ridge: f64,
}

/// What one sample more or less does.
#[derive(Debug)]
pub(crate) struct Effects {
    /// Change of each sample's logits when it is left out, `[n, C]`, f64.
    pub shifts: Tensor,
    /// gᵢᵀ A⁻¹ gᵢ, A = Σⱼ Hⱼ + nλ I: `[n]`, f64.
    pub squares: Tensor,
}

impl Influence {
    /// Reads [`FORM`] and [`RIDGE`].
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let form = if parameters.choice("form")? == "class" { Form::Class } else { Form::Full };
        Ok(Self { form, ridge: parameters.float("ridge")? })
    }
}

impl Quantity for Influence {
    type Value = Effects;

    fn name(&self) -> String {
        format!("influence form={:?} ridge={}", self.form, self.ridge)
    }

    fn compute(&self, probe: &Probe) -> Result<Effects, MeasureError> {
        let model = probe.get(&LastLayer)?;
        let features = model.features_with_bias()?;
        let probabilities = model.logits.f_softmax(1, Kind::Double)?;
        let own = probe.labels().f_one_hot(probe.classes())?.f_to_kind(Kind::Double)?;
        let samples = Samples {
            residuals: &probabilities.f_sub(&own)?,
            curvature: Curvature::Softmax(&probabilities),
            features: &features,
        };
        let ridge = self.ridge * probe.sample_size() as f64;
        let check = || probe.check_deadline();
        let effects = match self.form {
            Form::Full => samples.full(ridge, &check)?,
            Form::Class => samples.by_class(ridge, &check)?,
        };
        Ok(Effects {
            shifts: finite(effects.shifts, "what leaving one sample out does")?,
            squares: finite(effects.squares, "the influence of a sample on itself")?,
        })
    }
}

/// Second derivatives Sᵢ of a sample's loss in its logits.
enum Curvature<'a> {
    /// diag(p) − p pᵀ, p the rows of `[n, C]`.
    Softmax(&'a Tensor),
    /// The identity, for n samples and C outputs like these: half the squared error.
    #[cfg(test)]
    Squared(&'a Tensor),
}

impl Curvature<'_> {
    /// Sᵢ of the samples `start`, … that have these residuals, `[b, C]`: `[b, C, C]`.
    fn blocks(&self, start: i64, residuals: &Tensor) -> Result<Tensor, MeasureError> {
        match self {
            Self::Softmax(probabilities) => {
                let p = probabilities.f_narrow(0, start, residuals.size()[0])?;
                let outer = p.f_unsqueeze(2)?.f_mul(&p.f_unsqueeze(1)?)?;
                Ok(p.f_diag_embed(0, 1, 2)?.f_sub(&outer)?)
            }
            #[cfg(test)]
            Self::Squared(_) => Ok(residuals.f_ones_like()?.f_diag_embed(0, 1, 2)?),
        }
    }

    /// The diagonals of all Sᵢ, without the rest: `[n, C]`.
    fn diagonals(&self) -> Result<Tensor, MeasureError> {
        match self {
            Self::Softmax(p) => Ok(p.f_mul(&p.f_neg()?.f_add_scalar(1.0)?)?),
            #[cfg(test)]
            Self::Squared(like) => Ok(like.f_ones_like()?),
        }
    }
}

/// A linear model f = Φ W with its losses to second order.
struct Samples<'a> {
    /// Φ, `[n, D]`, f64.
    features: &'a Tensor,
    /// rᵢ = ∂ℓᵢ/∂fᵢ, `[n, C]`.
    residuals: &'a Tensor,
    curvature: Curvature<'a>,
}

impl Samples<'_> {
    /// With A = Σᵢ Sᵢ ⊗ φᵢφᵢᵀ + ridge · I and Qᵢ = (I ⊗ φᵢ)ᵀ A⁻¹ (I ⊗ φᵢ), `[C, C]`: the shifts (I − Qᵢ Sᵢ)⁻¹ Qᵢ rᵢ, which
    /// are those of a Newton step on the objective without sample i (Sherman, Morrison, Woodbury), and rᵢᵀ Qᵢ rᵢ.
    fn full(
        &self,
        ridge: f64,
        check: &dyn Fn() -> Result<(), MeasureError>,
    ) -> Result<Effects, MeasureError> {
        let (width, classes) = (self.features.size()[1], self.residuals.size()[1]);
        let rows = width.saturating_mul(classes);
        if rows > LARGEST {
            return MeasureError::unavailable(format!(
                "the last layer has {classes} · {width} weights, and a matrix of more than {LARGEST} rows is not \
                 factorized; form=class takes each class by itself"
            ));
        }
        let batch = (ELEMENTS / rows.max(1)).max(1);
        let matrix = self.features.f_new_zeros([rows, rows], (Kind::Double, self.features.device()))?;
        self.batches(batch, check, &mut |start, features, residuals| {
            let blocks = self.curvature.blocks(start, residuals)?;
            // The lower triangle of blocks, one column of blocks at a time.
            for class in 0..classes {
                let below = classes - class;
                let weights = blocks.f_narrow(1, class, below)?.f_select(2, class)?;
                let weighted = weights.f_unsqueeze(2)?.f_mul(&features.f_unsqueeze(1)?)?;
                let product = weighted.f_reshape([-1, below * width])?.f_tr()?.f_mm(features)?;
                let place =
                    matrix.f_narrow(0, class * width, below * width)?.f_narrow(1, class * width, width)?;
                let _ = place.shallow_clone().f_add_(&product)?;
            }
            Ok(())
        })?;
        let inverse = inverse(&matrix, ridge)?;
        check()?;
        let (mut shifts, mut squares) = (Vec::new(), Vec::new());
        self.batches(batch, check, &mut |start, features, residuals| {
            let count = features.size()[0];
            let within =
                features.f_new_zeros([count, classes, classes], (Kind::Double, features.device()))?;
            for class in 0..classes {
                let after = classes - class;
                let rows = inverse.f_narrow(0, class * width, width)?;
                let rows = rows.f_narrow(1, class * width, after * width)?;
                let product = features.f_mm(&rows)?.f_reshape([count, after, width])?;
                let row = product.f_matmul(&features.f_unsqueeze(2)?)?.f_squeeze_dim(2)?;
                within.f_select(1, class)?.f_narrow(1, class, after)?.f_copy_(&row)?;
                within.f_select(2, class)?.f_narrow(1, class, after)?.f_copy_(&row)?;
            }
            let steps = within.f_matmul(&residuals.f_unsqueeze(2)?)?;
            let identity = Tensor::f_eye(classes, (Kind::Double, features.device()))?;
            let systems = identity.f_sub(&within.f_matmul(&self.curvature.blocks(start, residuals)?)?)?;
            shifts.push(Tensor::f_linalg_solve(&systems, &steps, true)?.f_squeeze_dim(2)?);
            squares.push(residuals.f_mul(&steps.f_squeeze_dim(2)?)?.f_sum_dim_intlist(1, false, None)?);
            Ok(())
        })?;
        Ok(Effects { shifts: Tensor::f_cat(&shifts, 0)?, squares: Tensor::f_cat(&squares, 0)? })
    }

    /// The same without what couples the classes, in A and in Sᵢ.
    fn by_class(
        &self,
        ridge: f64,
        check: &dyn Fn() -> Result<(), MeasureError>,
    ) -> Result<Effects, MeasureError> {
        let curvatures = self.curvature.diagonals()?;
        let mut within = Vec::new();
        for class in 0..self.residuals.size()[1] {
            check()?;
            let weights = curvatures.f_narrow(1, class, 1)?;
            let matrix = self.features.f_tr()?.f_mm(&self.features.f_mul(&weights)?)?;
            let product = self.features.f_mm(&inverse(&matrix, ridge)?)?;
            within.push(product.f_mul(self.features)?.f_sum_dim_intlist(1, false, None)?);
        }
        let within = Tensor::f_stack(&within, 1)?;
        let steps = within.f_mul(self.residuals)?;
        let left = within.f_mul(&curvatures)?.f_neg()?.f_add_scalar(1.0)?;
        Ok(Effects {
            shifts: steps.f_div(&left)?,
            squares: steps.f_mul(self.residuals)?.f_sum_dim_intlist(1, false, None)?,
        })
    }

    fn batches(
        &self,
        batch: i64,
        check: &dyn Fn() -> Result<(), MeasureError>,
        each: &mut dyn FnMut(i64, &Tensor, &Tensor) -> Result<(), MeasureError>,
    ) -> Result<(), MeasureError> {
        let count = self.features.size()[0];
        let mut start = 0;
        while start < count {
            check()?;
            let length = batch.min(count - start);
            let part = |tensor: &Tensor| tensor.f_narrow(0, start, length);
            each(start, &part(self.features)?, &part(self.residuals)?)?;
            start += length;
        }
        Ok(())
    }
}

/// (M + ridge · I)⁻¹ of a symmetric matrix of which the lower triangle is given.
fn inverse(matrix: &Tensor, ridge: f64) -> Result<Tensor, MeasureError> {
    let _ = matrix.f_diagonal(0, 0, 1)?.f_add_scalar_(ridge)?;
    let (factor, info) = matrix.f_linalg_cholesky_ex(false, false)?;
    if info.f_to_device(Device::Cpu)?.f_int64_value(&[])? != 0 {
        return MeasureError::undefined(
            "the curvature of the last layer with its ridge is not positive definite in 64-bit numbers",
        );
    }
    Ok(factor.f_cholesky_inverse(false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: usize = 9;
    const WIDTH: usize = 4;
    const OUTPUTS: usize = 3;
    const RIDGE: f64 = 0.3;

    fn numbers(count: usize, seed: f64) -> Vec<f64> {
        (0..count).map(|k| ((k as f64 + 1.0) * 12.9898 + seed * 78.233).sin() * 1.3).collect()
    }

    fn matrix(values: &[f64], columns: usize) -> Tensor {
        Tensor::from_slice(values).reshape([-1, columns as i64])
    }

    fn kron(a: &Tensor, b: &Tensor) -> Tensor {
        let shape: Vec<i64> = a.size().iter().zip(b.size()).map(|(a, b)| a * b).collect();
        (a.unsqueeze(1).unsqueeze(3) * b.unsqueeze(0).unsqueeze(2)).reshape(shape)
    }

    /// The weights `[D, outputs]` that minimize ½ Σ‖Wᵀφ − y‖² + ½ ridge ‖W‖² over the samples `kept`.
    fn ridge_regression(features: &Tensor, targets: &Tensor, kept: &[i64]) -> Tensor {
        let rows = Tensor::from_slice(kept);
        let (x, y) = (features.index_select(0, &rows), targets.index_select(0, &rows));
        let normal = x.tr().mm(&x) + Tensor::eye(WIDTH as i64, (Kind::Double, Device::Cpu)) * RIDGE;
        Tensor::linalg_solve(&normal, &x.tr().mm(&y), true)
    }

    /// Half the squared error is its own second-order expansion: the shifts are those of real refits.
    #[test]
    fn ridge_regression_without_a_sample_is_exact() {
        let features = matrix(&numbers(SAMPLES * WIDTH, 1.0), WIDTH);
        let targets = matrix(&numbers(SAMPLES * OUTPUTS, 2.0), OUTPUTS);
        let all: Vec<i64> = (0..SAMPLES as i64).collect();
        let predictions = features.mm(&ridge_regression(&features, &targets, &all));
        let residuals = &predictions - &targets;
        let samples =
            Samples { features: &features, residuals: &residuals, curvature: Curvature::Squared(&residuals) };
        for effects in [samples.full(RIDGE, &|| Ok(())), samples.by_class(RIDGE, &|| Ok(()))] {
            let effects = effects.unwrap();
            for left_out in 0..SAMPLES as i64 {
                let kept: Vec<i64> = all.iter().copied().filter(|at| *at != left_out).collect();
                let refitted = ridge_regression(&features, &targets, &kept);
                let x = features.narrow(0, left_out, 1);
                let shift = x.mm(&refitted) - predictions.narrow(0, left_out, 1);
                let error = (shift - effects.shifts.narrow(0, left_out, 1)).abs().max().double_value(&[]);
                assert!(error < 1e-12, "sample {left_out}: {error}");
            }
        }
        let shifts = samples.full(RIDGE, &|| Ok(())).unwrap().shifts;
        assert!(shifts.abs().mean(Kind::Double).double_value(&[]) > 0.1);
    }

    /// The whole matrix with its ridge, its inverse and its blocks, by Kronecker products.
    #[test]
    fn blocks_of_the_inverse_are_those_of_the_dense_matrix() {
        let features = matrix(&numbers(SAMPLES * WIDTH, 3.0), WIDTH);
        let probabilities = matrix(&numbers(SAMPLES * OUTPUTS, 4.0), OUTPUTS).softmax(1, Kind::Double);
        let residuals = matrix(&numbers(SAMPLES * OUTPUTS, 5.0), OUTPUTS);
        let samples = Samples {
            features: &features,
            residuals: &residuals,
            curvature: Curvature::Softmax(&probabilities),
        };
        let effects = samples.full(RIDGE, &|| Ok(())).unwrap();
        let eye = |size: usize| Tensor::eye(size as i64, (Kind::Double, Device::Cpu));
        let block = |sample: usize| {
            let p = probabilities.select(0, sample as i64);
            p.diag(0) - p.outer(&p)
        };
        let column = |sample: usize| features.narrow(0, sample as i64, 1).tr();
        let mut dense = eye(OUTPUTS * WIDTH) * RIDGE;
        for sample in 0..SAMPLES {
            dense += kron(&block(sample), &column(sample).mm(&column(sample).tr()));
        }
        for sample in 0..SAMPLES {
            // Without the sample: no identity of Woodbury's, the matrix itself.
            let others = &dense - kron(&block(sample), &column(sample).mm(&column(sample).tr()));
            let along = kron(&eye(OUTPUTS), &column(sample));
            let r = residuals.narrow(0, sample as i64, 1).tr();
            let gradient = along.mm(&r);
            let shift = along.tr().mm(&Tensor::linalg_solve(&others, &gradient, true));
            let found = effects.shifts.narrow(0, sample as i64, 1).tr();
            assert!((shift - found).abs().max().double_value(&[]) < 1e-12);
            let square =
                gradient.tr().mm(&Tensor::linalg_solve(&dense, &gradient, true)).double_value(&[0, 0]);
            assert!((square - effects.squares.double_value(&[sample as i64])).abs() < 1e-12);
        }
    }

    #[test]
    fn too_large_a_matrix_is_refused_with_a_way_out() {
        let features = Tensor::ones([2, LARGEST], (Kind::Double, Device::Cpu));
        let residuals = Tensor::ones([2, 2], (Kind::Double, Device::Cpu));
        let samples =
            Samples { features: &features, residuals: &residuals, curvature: Curvature::Squared(&residuals) };
        let Err(MeasureError::Unavailable(reason)) = samples.full(1.0, &|| Ok(())) else { panic!() };
        assert!(reason.contains("form=class"), "{reason}");
    }
}
