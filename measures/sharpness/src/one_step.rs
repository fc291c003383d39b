//! The rise of the loss one step away: what `sam` and `asam` share.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Measured, Perturbed, Probe};

use crate::loss::{FoldedGradient, mean_loss_at};

/// Makes one vector `[P]` from another.
pub(crate) type Elementwise = fn(&Tensor) -> Result<Tensor, MeasureError>;

/// L(w + ρ T² g / ‖T g‖₂) − L(w), with g = ∇L(w). `scale` makes the diagonal of T, `[P]`, f64, from the weights `[P]`; T is the
/// identity without it.
///
/// # Errors
/// The gradient is exactly zero, or a loss is not finite: undefined.
pub(crate) fn rise(probe: &Probe, radius: f64, scale: Option<Elementwise>) -> Result<Measured, MeasureError> {
    let moved = Perturbed::folded(probe)?;
    let gradient = probe.get(&FoldedGradient)?;
    let scale = scale.map(|scale| scale(moved.center())).transpose()?;
    let scaled = |vector: &Tensor| match &scale {
        Some(scale) => vector.f_mul(scale),
        None => Ok(vector.shallow_clone()),
    };
    let direction = scaled(&gradient)?;
    let length = direction.f_dot(&direction)?.f_double_value(&[])?.sqrt();
    if length == 0.0 {
        return MeasureError::undefined("the gradient of the loss is exactly zero: it points nowhere");
    }
    let step = scaled(&direction)?.f_mul_scalar(radius / length)?;
    let vector = moved.center().f_add(&step.f_to_kind(probe.kind())?)?;
    let before = mean_loss_at(probe, &moved, moved.center())?;
    let after = mean_loss_at(probe, &moved, &vector)?;
    if !(after - before).is_finite() {
        return MeasureError::undefined(format!("the loss is {before} before the step and {after} after it"));
    }
    Ok(Measured::value(after - before)
        .with_detail("gradient_norm", gradient.f_norm()?.f_to_kind(Kind::Double)?.f_double_value(&[])?)
        .with_detail("loss_after_the_step", after))
}
