//! Centroids of the classes, and how the samples lie around them.

use pgdl_measure::network::Source;
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{MeasureError, Probe};

use crate::gram::{
    Grams, ROUNDING, activations, blocks, centred, check_finite, check_varies, chosen_labels, rows,
};
use crate::hidden_layers;

/// The geometry of C ≥ 2 classes in one representation.
#[derive(Debug)]
pub struct ClassGeometry {
    /// S_c: mean distance of each class's samples from its centroid μ_c.
    pub spreads: Vec<f64>,
    /// V_c: mean squared distance of each class's samples from its centroid.
    pub variances: Vec<f64>,
    /// Squared distances ‖μ_a − μ_b‖², `[C][C]`.
    pub between: Vec<Vec<f64>>,
    /// ⟨μ_a, μ_b⟩ with the mean over all samples taken off: `[C, C]`.
    centroids: Tensor,
    /// ⟨xᵢ, μ_c⟩ likewise: `[m, C]`.
    to_centroids: Tensor,
    membership: Membership,
}

/// Which sample belongs to which class. Classes without a sample do not count.
#[derive(Debug)]
struct Membership {
    /// The labels that occur, in ascending order.
    names: Vec<i64>,
    /// Position in `names` of each sample's label: `[m]`.
    class: Tensor,
    /// 1 / n_c where sample i is of class c, 0 elsewhere: `[m, C]`. Means over the classes are products with it.
    mean: Tensor,
}

impl Membership {
    fn new(labels: &[i64]) -> Result<Self, MeasureError> {
        let mut names = labels.to_vec();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            return MeasureError::undefined("the samples are all of one class");
        }
        let position = |label: &i64| names.partition_point(|name| name < label) as i64;
        let class = Tensor::f_from_slice(&labels.iter().map(position).collect::<Vec<i64>>())?;
        let member = class.f_one_hot(names.len() as i64)?.f_to_kind(Kind::Double)?;
        let mean = member.f_div(&member.f_sum_dim_intlist([0i64].as_slice(), true, Kind::Double)?)?;
        Ok(Self { names, class, mean })
    }
}

impl ClassGeometry {
    /// From inner products `[m, m]` and `[m]` labels.
    ///
    /// # Errors
    /// Fewer than two classes, activations that are all the same, or two classes with one centroid: undefined.
    pub fn from_gram(gram: &Tensor, labels: &[i64]) -> Result<Self, MeasureError> {
        let membership = Membership::new(labels)?;
        let gram = centred(gram)?;
        let to_centroids = gram.f_matmul(&membership.mean)?;
        let centroids = membership.mean.f_transpose(0, 1)?.f_matmul(&to_centroids)?;
        Self::from_products(&gram.f_diag(0)?, to_centroids, centroids, membership)
    }

    /// From activations `[m, …]` and `[m]` labels: no m × m matrix is made.
    ///
    /// # Errors
    /// As [`Self::from_gram`].
    pub fn from_activations(activations: &Tensor, labels: &[i64]) -> Result<Self, MeasureError> {
        let membership = Membership::new(labels)?;
        let mean = membership.mean.f_to_device(activations.device())?;
        let (mut own, mut to_centroids, mut centroids, mut size) =
            (Tensor::new(), Tensor::new(), Tensor::new(), 0.0);
        for block in blocks(activations)? {
            let block = block?;
            size += block.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
            let block = block.f_sub(&block.f_mean_dim([0i64].as_slice(), true, Kind::Double)?)?;
            let means = mean.f_transpose(0, 1)?.f_matmul(&block)?;
            let turned = means.f_transpose(0, 1)?;
            let parts = [
                block.f_square()?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?,
                block.f_matmul(&turned)?,
                means.f_matmul(&turned)?,
            ];
            for (sum, part) in [&mut own, &mut to_centroids, &mut centroids].into_iter().zip(parts) {
                *sum = if sum.defined() { sum.f_add(&part)? } else { part };
            }
        }
        check_finite(&own)?;
        check_varies(own.f_sum(Kind::Double)?.f_double_value(&[])?, size)?;
        let home = |tensor: Tensor| tensor.f_to_device(Device::Cpu);
        Self::from_products(&home(own)?, home(to_centroids)?, home(centroids)?, membership)
    }

    /// From ⟨xᵢ, xᵢ⟩ `[m]`, ⟨xᵢ, μ_c⟩ `[m, C]` and ⟨μ_a, μ_b⟩ `[C, C]`, centred.
    fn from_products(
        own: &Tensor,
        to_centroids: Tensor,
        centroids: Tensor,
        membership: Membership,
    ) -> Result<Self, MeasureError> {
        let norms = centroids.f_diag(0)?;
        let crossed = to_centroids.f_gather(1, &membership.class.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?;
        let from_own = norms.f_index_select(0, &membership.class)?;
        let squares = own.f_sub(&crossed.f_mul_scalar(2.0)?)?.f_add(&from_own)?.f_clamp_min(0.0)?;
        let class_means = |of_samples: &Tensor| -> Result<Vec<f64>, MeasureError> {
            Ok(Vec::try_from(&membership.mean.f_transpose(0, 1)?.f_mv(of_samples)?)?)
        };
        let (spreads, variances) = (class_means(&squares.f_sqrt()?)?, class_means(&squares)?);
        let between = norms.f_unsqueeze(1)?.f_add(&norms.f_unsqueeze(0)?)?;
        let between = rows(&between.f_sub(&centroids.f_mul_scalar(2.0)?)?)?;
        let scale = own.f_mean(Kind::Double)?.f_double_value(&[])?;
        for (a, row) in between.iter().enumerate() {
            if let Some(b) = (0..a).find(|&b| row[b] <= ROUNDING * scale) {
                let names = &membership.names;
                return MeasureError::undefined(format!(
                    "classes {} and {} have the same centroid",
                    names[b], names[a]
                ));
            }
        }
        Ok(Self { spreads, variances, between, centroids, to_centroids, membership })
    }

    /// Of the representation that a measure's `layer` names, on its `samples`, with that layer's name.
    pub(crate) fn of_layer(probe: &Probe, layer: i64, samples: i64) -> Result<(String, Self), MeasureError> {
        let representation = hidden_layers::chosen(probe.network(), layer)?;
        let grams = probe.get(&Grams::of_node(representation.node, samples))?;
        Ok((representation.layer, Self::from_gram(&grams[0], &chosen_labels(probe, samples)?)?))
    }

    /// Of a node's output on some inputs, pooled by `pool` first.
    pub(crate) fn of_pooled(
        probe: &Probe,
        node: usize,
        inputs: &Tensor,
        labels: &[i64],
        pool: impl Fn(&Tensor) -> Result<Tensor, MeasureError>,
    ) -> Result<Self, MeasureError> {
        let output = activations(probe, inputs, &[Source::Node(node)])?.swap_remove(0);
        Self::from_activations(&pool(&output)?, labels)
    }

    /// Number C of classes.
    pub fn classes(&self) -> usize {
        self.spreads.len()
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
        let own = self.centroids.f_index_select(0, &self.membership.class)?;
        let deviations = self.to_centroids.f_sub(&own)?.f_matmul(&centring)?;
        let weights = self.membership.mean.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
        let scatter = deviations.f_transpose(0, 1)?.f_matmul(&deviations.f_mul(&weights)?)?;
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
