//! First-order distances to the decision boundary, batched.

use pgdl_measure::MeasureError;
use pgdl_measure::network::{Graph, gradients};
use pgdl_measure::tch::{Kind, Tensor};

/// Margins of a batch and how fast they change.
#[derive(Debug)]
pub(crate) struct Slopes {
    /// f_y − f_j with j the strongest other class: `[b]`.
    pub margins: Vec<f64>,
    /// ‖∇_h (f_y − f_j)‖₂ for each place h: `[places][b]`.
    pub norms: Vec<Vec<f64>>,
}

/// The strongest class but y: `[b, 1]`.
pub(crate) fn strongest_rivals(logits: &Tensor, labels: &Tensor) -> Result<Tensor, MeasureError> {
    let others = logits.f_detach()?.f_scatter_value(1, &labels.f_unsqueeze(1)?, f64::NEG_INFINITY)?;
    Ok(others.f_argmax(1, true)?)
}

/// The signed differences f_y − f_j, j the strongest class but y: `[b]`, with the graph of `logits` `[b, C]`.
pub(crate) fn differences(logits: &Tensor, labels: &Tensor) -> Result<Tensor, MeasureError> {
    let rival = strongest_rivals(logits, labels)?;
    let own = logits.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
    Ok(own.f_sub(&logits.f_gather(1, &rival, false)?)?.f_squeeze_dim(1)?)
}

/// Margins, and the norms of their gradients at each of `places`. In evaluation mode no sample sees another, so that
/// one backward pass of the sum holds the gradient of every sample.
pub(crate) fn slopes(logits: &Tensor, labels: &Tensor, places: &[&Tensor]) -> Result<Slopes, MeasureError> {
    let difference = differences(logits, labels)?;
    let margins = Vec::<f64>::try_from(&difference.f_detach()?.f_to_kind(Kind::Double)?)?;
    let norms = gradients(&difference.f_sum(None)?, places, Graph::Free)?
        .iter()
        .map(row_norms)
        .collect::<Result<_, _>>()?;
    Ok(Slopes { margins, norms })
}

/// The Euclidean norm of each row, summed in f64.
pub(crate) fn row_norms(rows: &Tensor) -> Result<Vec<f64>, MeasureError> {
    let rows = rows.f_detach()?.f_flatten(1, -1)?;
    let norms = rows.f_norm_scalaropt_dim_dtype(2.0, [1i64].as_slice(), false, Kind::Double)?;
    Ok(Vec::<f64>::try_from(&norms)?)
}

/// Margin over gradient norm for each sample that has a gradient. Without one there is no distance to first order:
/// such samples are left out.
///
/// # Errors
/// Undefined where numbers are not finite, or no sample has a gradient.
pub(crate) fn distances(margins: &[f64], norms: &[f64]) -> Result<Vec<f64>, MeasureError> {
    if margins.iter().chain(norms).any(|number| !number.is_finite()) {
        return MeasureError::undefined("the network's outputs or their gradients are not finite");
    }
    let found: Vec<f64> = margins
        .iter()
        .zip(norms)
        .map(|(margin, norm)| margin / norm)
        .filter(|distance| distance.is_finite())
        .collect();
    if found.is_empty() {
        return MeasureError::undefined("the margins have no gradient on any sample");
    }
    Ok(found)
}

/// Margins need a second class.
pub(crate) fn check_classes(classes: i64) -> Result<(), MeasureError> {
    if classes < 2 {
        return MeasureError::undefined("a margin needs at least two classes");
    }
    Ok(())
}
