//! The leading principal components of the inputs.

use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

/// Samples that the components are computed from, the first ones.
const SAMPLES: usize = 1000;

/// Principal components of the first inputs of the sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrincipalComponents;

/// How the inputs vary along orthonormal directions.
#[derive(Debug)]
pub(crate) struct Components {
    /// Σ of squared deviations along each direction, falling.
    pub strengths: Vec<f64>,
    /// Eigenvectors by columns, in this order: of the covariance `[D, r]` or of the Gram matrix `[n, r]`.
    vectors: Tensor,
    /// The inputs less their mean `[n, D]`, where the eigenvectors are those of the Gram matrix.
    centred: Option<Tensor>,
}

impl Components {
    /// The first `count` directions, `[D, count]`, f64, on the CPU.
    pub(crate) fn directions(&self, count: usize) -> Result<Tensor, MeasureError> {
        let count = count.min(self.strengths.len());
        let vectors = self.vectors.f_narrow(1, 0, count as i64)?;
        let Some(centred) = &self.centred else { return Ok(vectors.f_contiguous()?) };
        let lengths = Tensor::f_from_slice(&self.strengths[..count])?.f_sqrt()?;
        Ok(centred.f_tr()?.f_matmul(&vectors)?.f_div(&lengths)?)
    }
}

impl Quantity for PrincipalComponents {
    type Value = Components;

    fn name(&self) -> String {
        "principal_components".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Components, MeasureError> {
        let count = probe.sample_size().min(SAMPLES) as i64;
        let inputs = probe.inputs().f_narrow(0, 0, count)?.f_flatten(1, -1)?;
        let inputs = inputs.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        principal_components(&inputs)
    }
}

/// How rows `[n, D]` vary, by an eigendecomposition of the smaller of covariance and Gram matrix.
pub(crate) fn principal_components(rows: &Tensor) -> Result<Components, MeasureError> {
    let centred = rows.f_sub(&rows.f_mean_dim(0, true, None)?)?;
    let (count, width) = (rows.size()[0], rows.size()[1]);
    let by_width = width <= count;
    let products =
        if by_width { centred.f_tr()?.f_matmul(&centred)? } else { centred.f_matmul(&centred.f_tr()?)? };
    if products.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined("the inputs are not finite");
    }
    let (values, vectors) = products.f_linalg_eigh("L")?;
    let rising = Vec::<f64>::try_from(&values)?;
    let largest = rising.last().copied().unwrap_or(0.0);
    // Below this an eigenvalue is rounding.
    let floor = largest * f64::EPSILON * count.max(width) as f64;
    let rank = rising.iter().filter(|&&value| value > floor).count() as i64;
    if largest <= 0.0 || rank == 0 {
        return MeasureError::undefined("the inputs are all the same");
    }
    let strengths: Vec<f64> = rising.iter().rev().take(rank as usize).copied().collect();
    let vectors = vectors.f_narrow(1, rising.len() as i64 - rank, rank)?.f_flip([1])?;
    Ok(Components { strengths, vectors, centred: (!by_width).then_some(centred) })
}

/// Number of components up to the elbow of their strengths: where the falling curve, scaled to the unit square, is
/// farthest below its chord (Satopää, Albrecht, Irwin, Raghavan 2011). All where there is no elbow.
pub(crate) fn elbow(strengths: &[f64]) -> usize {
    let (Some(first), Some(last)) = (strengths.first(), strengths.last()) else { return 0 };
    let range = first - last;
    let steps = (strengths.len() - 1) as f64;
    let below = |(at, strength): (usize, &f64)| 1.0 - at as f64 / steps - (strength - last) / range;
    let mut best = (strengths.len(), 0.0);
    for (at, depth) in strengths.iter().enumerate().map(below).enumerate() {
        if depth > best.1 {
            best = (at + 1, depth);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::{elbow, principal_components};
    use pgdl_measure::tch::{Kind, Tensor};

    #[test]
    fn both_matrices_give_the_same_components() {
        let values: Vec<f64> = (0..6 * 4).map(|k| (1.3 * f64::from(k * k)).sin()).collect();
        let tall = Tensor::from_slice(&values).reshape([6, 4]);
        let one = principal_components(&tall).unwrap();
        // Padding with columns of zeros makes it wide and changes nothing.
        let wide = Tensor::cat(&[&tall, &Tensor::zeros([6, 5], (Kind::Double, tall.device()))], 1);
        let other = principal_components(&wide).unwrap();
        assert_eq!(one.strengths.len(), other.strengths.len());
        for (a, b) in one.strengths.iter().zip(&other.strengths) {
            assert!((a / b - 1.0).abs() < 1e-10, "{a} {b}");
        }
        let projector = |u: &Tensor| u.narrow(1, 0, 2).matmul(&u.narrow(1, 0, 2).tr());
        let (p, q) = (projector(&one.directions(2).unwrap()), projector(&other.directions(9).unwrap()));
        assert!((p - q.narrow(0, 0, 4).narrow(1, 0, 4)).abs().max().double_value(&[]) < 1e-10);
    }

    #[test]
    fn the_elbow_is_farthest_below_the_chord() {
        // Depths of the inner points: 1 − 1/4 − 0.15 = 0.6, 1 − 2/4 − 0.1 = 0.4, 1 − 3/4 − 0.06 = 0.19.
        assert_eq!(elbow(&[10.0, 1.5, 1.0, 0.6, 0.0]), 2);
        assert_eq!(elbow(&[3.0, 3.0, 3.0]), 3);
        assert_eq!(elbow(&[3.0]), 1);
        assert_eq!(elbow(&[3.0, 2.0, 1.0]), 3);
    }
}
