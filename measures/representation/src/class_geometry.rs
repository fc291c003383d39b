//! Centroids of the classes, and how the samples lie around them.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe};

use crate::gram::{Gram, ROUNDING, centred, chosen_labels, rows};
use crate::hidden_layers;

/// The geometry of C ≥ 2 classes in one representation, from inner products alone.
#[derive(Debug)]
pub struct ClassGeometry {
    /// Squared distances of each class's samples from its centroid μ_c.
    pub within: Vec<Vec<f64>>,
    /// Squared distances ‖μ_a − μ_b‖², `[C][C]`.
    pub between: Vec<Vec<f64>>,
    /// ⟨μ_a, μ_b⟩ with the mean over all samples taken off: `[C, C]`.
    centroids: Tensor,
    /// ⟨xᵢ, μ_c⟩ likewise: `[m, C]`.
    to_centroids: Tensor,
    /// Class of each sample as a position in `within`.
    class: Vec<i64>,
}

impl ClassGeometry {
    /// From inner products `[m, m]` and `[m]` labels. Classes without a sample do not count.
    ///
    /// # Errors
    /// Fewer than two classes, activations that are all the same, or two classes with one centroid: undefined.
    pub fn new(gram: &Tensor, labels: &[i64]) -> Result<Self, MeasureError> {
        let mut names = labels.to_vec();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            return MeasureError::undefined("the samples are all of one class");
        }
        let class: Vec<i64> = labels
            .iter()
            .map(|label| names.iter().take_while(|name| *name != label).count() as i64)
            .collect();
        let gram = centred(gram)?;
        let count = names.len() as i64;
        let member = Tensor::f_from_slice(&class)?.f_one_hot(count)?.f_to_kind(Kind::Double)?;
        let sizes = member.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Double)?;
        let mean = member.f_div(&sizes)?;
        let to_centroids = gram.f_matmul(&mean)?;
        let centroids = mean.f_transpose(0, 1)?.f_matmul(&to_centroids)?;

        let inner = rows(&centroids)?;
        let own = Vec::<f64>::try_from(&gram.f_diag(0)?)?;
        let crossed = rows(&to_centroids)?;
        let mut within = vec![Vec::new(); names.len()];
        for (sample, &class) in class.iter().enumerate() {
            let class = class as usize;
            let square = own[sample] - 2.0 * crossed[sample][class] + inner[class][class];
            within[class].push(square.max(0.0));
        }
        let scale = own.iter().sum::<f64>() / own.len() as f64;
        let mut between = vec![vec![0.0; names.len()]; names.len()];
        for a in 0..names.len() {
            for b in (0..names.len()).filter(|&b| b != a) {
                between[a][b] = inner[a][a] + inner[b][b] - 2.0 * inner[a][b];
                if between[a][b] <= ROUNDING * scale {
                    return MeasureError::undefined(format!(
                        "classes {} and {} have the same centroid",
                        names[a], names[b]
                    ));
                }
            }
        }
        Ok(Self { within, between, centroids, to_centroids, class })
    }

    /// Of the representation that a measure's `layer` names, on its `samples`.
    pub(crate) fn of(probe: &Probe, layer: i64, samples: i64) -> Result<(String, Self), MeasureError> {
        let representation = hidden_layers::chosen(probe.network(), layer)?;
        let gram = probe.get(&Gram { node: representation.node, samples })?;
        Ok((representation.layer, Self::new(&gram, &chosen_labels(probe, samples)?)?))
    }

    /// Number C of classes.
    pub fn classes(&self) -> usize {
        self.within.len()
    }

    /// tr(Σ_W Σ_B⁺), Σ_W = mean over the classes of their covariances, Σ_B = covariance of the C centroids around their
    /// mean.
    ///
    /// With B `[C, D]` the centred centroids and G = B Bᵀ, Σ_B⁺ = C Bᵀ (G⁺)² B: no D × D matrix is ever made.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn collapse(&self) -> Result<f64, MeasureError> {
        let count = self.classes() as i64;
        let options = (Kind::Double, self.centroids.device());
        let centring = Tensor::f_eye(count, options)?.f_sub(&Tensor::f_full(
            [count, count],
            1.0 / count as f64,
            options,
        )?)?;
        let gram = centring.f_matmul(&self.centroids)?.f_matmul(&centring)?;
        let own = self.centroids.f_index_select(0, &Tensor::f_from_slice(&self.class)?)?;
        let deviations = self.to_centroids.f_sub(&own)?.f_matmul(&centring)?;
        let weights: Vec<f64> =
            self.class.iter().map(|&class| 1.0 / self.within[class as usize].len() as f64).collect();
        let weighted = deviations.f_mul(&Tensor::f_from_slice(&weights)?.f_unsqueeze(1)?)?;
        let scatter = deviations.f_transpose(0, 1)?.f_matmul(&weighted)?;
        let (u, s, _) = gram.f_svd(true, true)?;
        let singular = Vec::<f64>::try_from(&s)?;
        let largest = singular.first().copied().unwrap_or(0.0);
        let inverse: Vec<f64> = singular
            .iter()
            .map(|value| if *value > 1e-10 * largest { value.powi(-2) } else { 0.0 })
            .collect();
        let turned = u.f_transpose(0, 1)?.f_matmul(&scatter)?.f_matmul(&u)?;
        let total = turned.f_diag(0)?.f_mul(&Tensor::f_from_slice(&inverse)?)?.f_sum(Kind::Double)?;
        Ok(total.f_double_value(&[])?)
    }
}
