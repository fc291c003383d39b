//! Graphs that connect samples with similar activations, and how the labels vary along them.

use pgdl_measure::tch::Tensor;
use pgdl_measure::{MeasureError, RegistryError};

use crate::gram::rows;

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
}

/// An undirected weighted graph on m samples.
#[derive(Clone, Debug)]
pub struct SimilarityGraph {
    /// Edges (i, j, weight), i < j.
    edges: Vec<(usize, usize, f64)>,
    degrees: Vec<f64>,
}

impl SimilarityGraph {
    /// Two samples are joined when either is among the `neighbours` most similar ones of the other, by the cosine of
    /// their activations; of equally similar samples the earlier ones count.
    ///
    /// # Errors
    /// There are no more samples than neighbours, or all activations are zero: undefined. A single activation of
    /// zeros is similar to none: its cosines are 0.
    pub fn new(gram: &Tensor, neighbours: usize, weights: Weights) -> Result<Self, MeasureError> {
        let gram = rows(gram)?;
        let count = gram.len();
        if count <= neighbours {
            return MeasureError::undefined(format!("{count} samples have no {neighbours} neighbours each"));
        }
        let norms: Vec<f64> = (0..count).map(|i| gram[i][i].max(0.0).sqrt()).collect();
        if norms.iter().all(|norm| *norm == 0.0) {
            return MeasureError::undefined("the activations are zero on every sample");
        }
        let cosine = |i: usize, j: usize| {
            let product = norms[i] * norms[j];
            // Rounded to what f32 activations carry, so that equal similarities stay equal whatever the batches were.
            if product > 0.0 { (gram[i][j] / product * 1e9).round() / 1e9 } else { 0.0 }
        };
        let cosines: Vec<Vec<f64>> = (0..count).map(|i| (0..count).map(|j| cosine(i, j)).collect()).collect();
        let mut pairs = Vec::with_capacity(count * neighbours);
        for (i, row) in cosines.iter().enumerate() {
            let mut others: Vec<usize> = (0..count).filter(|&j| j != i).collect();
            others.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            pairs.extend(others[..neighbours].iter().map(|&j| (i.min(j), i.max(j))));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let width = 3.0 * spread(&cosines);
        let weight = |s: f64| match weights {
            Weights::Binary => 1.0,
            Weights::Cosine => s.max(0.0),
            Weights::Rbf if width > 0.0 => (-(2.0 - 2.0 * s) / width).exp(),
            Weights::Rbf => 1.0,
        };
        let edges: Vec<(usize, usize, f64)> =
            pairs.into_iter().map(|(i, j)| (i, j, weight(cosines[i][j]))).collect();
        let mut degrees = vec![0.0; count];
        for &(i, j, weight) in &edges {
            degrees[i] += weight;
            degrees[j] += weight;
        }
        Ok(Self { edges, degrees })
    }

    /// tr(YᵀLY) of the signals Y, a row for each sample: Σ over edges of w ‖yᵢ − yⱼ‖² for L = D − A; with `normalized`
    /// Σ over edges of w ‖yᵢ/√dᵢ − yⱼ/√dⱼ‖², for L = I − D^−½ A D^−½ (0 for samples without edges).
    pub fn variation(&self, signals: &[Vec<f64>], normalized: bool) -> f64 {
        let factor = |i: usize| if normalized { self.degrees[i].sqrt().recip() } else { 1.0 };
        let positive = self.edges.iter().filter(|edge| edge.2 > 0.0);
        positive
            .map(|&(i, j, weight)| {
                let (own, other) = (factor(i), factor(j));
                let differences =
                    signals[i].iter().zip(&signals[j]).map(|(a, b)| (a * own - b * other).powi(2));
                weight * differences.sum::<f64>()
            })
            .sum()
    }
}

/// Standard deviation of 2 − 2s over all pairs, a sample with itself included.
fn spread(cosines: &[Vec<f64>]) -> f64 {
    let count = (cosines.len() * cosines.len()) as f64;
    let distances = || cosines.iter().flatten().map(|s| 2.0 - 2.0 * s);
    let mean = distances().sum::<f64>() / count;
    (distances().map(|distance| (distance - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Labels as rows of the unit matrix.
pub fn one_hot(labels: &[i64], classes: i64) -> Vec<Vec<f64>> {
    let row = |label: &i64| (0..classes).map(|class| f64::from(u8::from(class == *label))).collect();
    labels.iter().map(row).collect()
}

/// The middle of the values, or the mean of the two middle ones; `None` when there are none.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[last.div_ceil(2)]) / 2.0)
}
