//! How well a model's estimates fit the gaps.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{NcError, Result};
use crate::model::{Ready, Rows};

/// Hypotheses per forward pass when a model is evaluated.
const BATCH: i64 = 512;

/// Agreement of estimates with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// How many hypotheses.
    pub count: i64,
    /// Share of the gaps' variance that the estimates explain: 1 − Σ(G − NC)² / Σ(G − Ḡ)².
    pub r2: f64,
    /// Mean of |G − NC|.
    pub mae: f64,
}

impl Fit {
    /// The fit of estimates to gaps, both [B].
    ///
    /// # Errors
    /// [`NcError::Undefined`] when there is no hypothesis, when all gaps are equal, or a number is not finite.
    pub fn new(estimates: &Tensor, gaps: &Tensor) -> Result<Self> {
        let count = gaps.numel() as i64;
        if count == 0 || estimates.size() != gaps.size() {
            return Err(NcError::Undefined("R² needs one gap per estimate, and at least one".into()));
        }
        let gaps = gaps.f_to_kind(Kind::Double)?;
        let errors = gaps.f_sub(&estimates.f_to_kind(Kind::Double)?)?;
        let number = |tensor: Tensor| -> Result<f64> { Ok(f64::try_from(&tensor)?) };
        let left = number(errors.f_square()?.f_sum(Kind::Double)?)?;
        let total = number(gaps.f_sub(&gaps.f_mean(Kind::Double)?)?.f_square()?.f_sum(Kind::Double)?)?;
        let mae = number(errors.f_abs()?.f_mean(Kind::Double)?)?;
        if !(left.is_finite() && total.is_finite()) {
            return Err(NcError::Undefined("R²: an estimate or a gap is infinite or NaN".into()));
        }
        if total == 0.0 {
            return Err(NcError::Undefined("R²: all gaps are equal".into()));
        }
        Ok(Self { count, r2: 1.0 - left / total, mae })
    }
}

/// NC of any number of hypotheses, [B], without derivatives, in passes of bounded size.
pub fn estimate(model: &Ready, rows: &Rows) -> Result<Tensor> {
    tch::no_grad(|| {
        let count = rows.train_inputs.size().first().copied().unwrap_or(0);
        let mut estimates = Vec::new();
        for start in (0..count).step_by(BATCH as usize) {
            let size = BATCH.min(count - start);
            let part = |tensor: &Tensor| tensor.f_narrow(0, start, size);
            estimates.push(model.complexity(&Rows {
                train_inputs: part(&rows.train_inputs)?,
                train_targets: part(&rows.train_targets)?,
                train_outputs: part(&rows.train_outputs)?,
                test_inputs: part(&rows.test_inputs)?,
                test_outputs: part(&rows.test_outputs)?,
            })?);
        }
        Ok(Tensor::f_cat(&estimates, 0)?)
    })
}
