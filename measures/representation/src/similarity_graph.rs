//! Graphs that connect samples with similar activations, and how the labels vary along them.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity, RegistryError};

use crate::gram::Grams;

/// Weights of the edges, from the cosine s of two activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// exp(−d² / (3 std d²)), d² = 2 − 2s the squared distance of the activations at unit length, its standard
    /// deviation over all m² pairs.
    Rbf,
    /// s, and 0 where that is negative.
    Cosine,
    /// 1.
    Binary,
}

impl Weights {
    /// By its word.
    pub(crate) fn named(id: &str, word: &str) -> Result<Self, RegistryError> {
        match word {
            "rbf" => Ok(Self::Rbf),
            "cosine" => Ok(Self::Cosine),
            "binary" => Ok(Self::Binary),
            other => Err(RegistryError::IllegalCombination {
                id: id.to_string(),
                reason: format!("no graph has weights called `{other}`"),
            }),
        }
    }

    /// Of all pairs `[m, m]`.
    fn of(self, cosines: &Tensor) -> Result<Tensor, MeasureError> {
        match self {
            Self::Binary => Ok(cosines.f_ones_like()?),
            Self::Cosine => Ok(cosines.f_clamp_min(0.0)?),
            Self::Rbf => {
                let distances = cosines.f_mul_scalar(-2.0)?.f_add_scalar(2.0)?;
                let width = 3.0 * distances.f_std(false)?.f_double_value(&[])?;
                if width > 0.0 {
                    Ok(distances.f_div_scalar(-width)?.f_exp()?)
                } else {
                    Ok(cosines.f_ones_like()?)
                }
            }
        }
    }
}

/// Cosines of all pairs of activations `[m, m]` from their inner products, 0 for activations of zero; rounded to 1e-9,
/// less than f32 activations carry, so that equal similarities stay equal whatever the batches were.
///
/// # Errors
/// All activations are zero: undefined.
pub fn cosines(gram: &Tensor) -> Result<Tensor, MeasureError> {
    let norms = gram.f_diag(0)?.f_clamp_min(0.0)?.f_sqrt()?;
    if norms.f_max()?.f_double_value(&[])? == 0.0 {
        return MeasureError::undefined("the activations are zero on every sample");
    }
    let zero = norms.f_eq(0.0)?;
    let inverse = norms.f_reciprocal()?.f_masked_fill(&zero, 0.0)?;
    let scaled = gram.f_mul(&inverse.f_unsqueeze(1)?)?.f_mul(&inverse.f_unsqueeze(0)?)?;
    Ok(scaled.f_round_decimals(9)?)
}

/// Which samples are neighbours by the cosine of their activations.
#[derive(Debug)]
pub struct Neighbours {
    /// Cosines of all pairs, `[m, m]`.
    cosines: Tensor,
    /// Whether either is among the most similar ones of the other: `[m, m]`, bool, symmetric, false on the diagonal.
    joined: Tensor,
}

impl Neighbours {
    /// Two samples are neighbours when either is among the `count` most similar ones of the other; of equally similar
    /// samples the earlier ones count.
    ///
    /// # Errors
    /// There are no more samples than neighbours, or all activations are zero: undefined. A single activation of
    /// zeros is similar to none: its cosines are 0.
    pub fn new(gram: &Tensor, count: usize) -> Result<Self, MeasureError> {
        let samples = gram.size()[0];
        let wanted = match i64::try_from(count) {
            Ok(wanted) if wanted < samples => wanted,
            _ => {
                return MeasureError::undefined(format!("{samples} samples have no {count} neighbours each"));
            }
        };
        let cosines = cosines(gram)?;
        let mut others = cosines.f_detach_copy()?;
        let others = others.f_fill_diagonal_(f64::NEG_INFINITY, false)?;
        let least = others.f_topk(wanted, 1, true, true)?.0.f_narrow(1, wanted - 1, 1)?;
        let nearer = others.f_gt_tensor(&least)?;
        let tied = others.f_eq_tensor(&least)?;
        let room =
            nearer.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Int64)?.f_neg()?.f_add_scalar(wanted)?;
        let first = tied.f_cumsum(1, Kind::Int64)?.f_le_tensor(&room)?.f_logical_and(&tied)?;
        let chosen = nearer.f_logical_or(&first)?;
        let joined = chosen.f_logical_or(&chosen.f_transpose(0, 1)?)?;
        Ok(Self { cosines, joined })
    }

    /// The graph of these edges.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn graph(&self, weights: Weights) -> Result<SimilarityGraph, MeasureError> {
        let joined = self.joined.f_to_kind(Kind::Double)?;
        Ok(SimilarityGraph { weights: weights.of(&self.cosines)?.f_mul(&joined)? })
    }
}

/// [`Neighbours`] in one of the representations of [`Grams`].
#[derive(Clone, Debug)]
pub struct NeighboursIn {
    /// The representations.
    pub grams: Grams,
    /// Which of them.
    pub at: usize,
    /// Number of neighbours.
    pub count: usize,
}

impl Quantity for NeighboursIn {
    type Value = Neighbours;

    fn name(&self) -> String {
        format!("neighbours count={} at={} of {}", self.count, self.at, self.grams.name())
    }

    fn compute(&self, probe: &Probe) -> Result<Neighbours, MeasureError> {
        Neighbours::new(&probe.get(&self.grams)?[self.at], self.count)
    }
}

/// A weighted graph on m samples.
#[derive(Debug)]
pub struct SimilarityGraph {
    /// `[m, m]`, not negative; 0 where there is no edge.
    weights: Tensor,
}

impl SimilarityGraph {
    /// From its weights `[m, m]`: row i holds the edges that leave i. Symmetric, but for graphs [as coded](crate::as_coded).
    pub(crate) fn from_weights(weights: Tensor) -> Self {
        Self { weights }
    }

    /// tr(YᵀLY) of signals Y `[m, C]` with L = D − A, or with `normalized` L = I − D^−½ A D^−½ (where a sample without
    /// edges has no part); D the row sums of the weights A. On a symmetric graph these are Σ over edges of w ‖yᵢ − yⱼ‖²
    /// and Σ over edges of w ‖yᵢ/√dᵢ − yⱼ/√dⱼ‖².
    ///
    /// # Errors
    /// The signals do not fit, or libtorch refuses.
    pub fn variation(&self, signals: &Tensor, normalized: bool) -> Result<f64, MeasureError> {
        let degrees = self.weights.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
        let laplacian_of_signals = if normalized {
            let isolated = degrees.f_eq(0.0)?;
            let root = degrees.f_rsqrt()?.f_masked_fill(&isolated, 0.0)?;
            let smoothed = self.weights.f_matmul(&signals.f_mul(&root)?)?.f_mul(&root)?;
            signals.f_masked_fill(&isolated, 0.0)?.f_sub(&smoothed)?
        } else {
            signals.f_mul(&degrees)?.f_sub(&self.weights.f_matmul(signals)?)?
        };
        Ok(signals.f_mul(&laplacian_of_signals)?.f_sum(Kind::Double)?.f_double_value(&[])?)
    }
}

/// Labels as rows of the unit matrix: `[m, C]`, f64, on the CPU.
///
/// # Errors
/// A label is no class.
pub fn one_hot(labels: &[i64], classes: i64) -> Result<Tensor, MeasureError> {
    Ok(Tensor::f_from_slice(labels)?.f_one_hot(classes)?.f_to_kind(Kind::Double)?)
}
