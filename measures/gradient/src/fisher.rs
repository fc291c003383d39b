//! The Fisher information of the network's own predictions.

use pgdl_measure::network::per_sample_gradients;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

use crate::moments::{Sums, at_once, check_parameters};

/// The diagonal of F = (1/m) Σᵢ Σ_c p_c(xᵢ) ∇ ln p_c(xᵢ) ∇ ln p_c(xᵢ)ᵀ over the first m samples, which is also the
/// generalized Gauss–Newton matrix of the cross-entropy, by random signs: with Jᵢ = ∂f(xᵢ)/∂w, F = mean of Jᵢᵀ Sᵢ Jᵢ, S =
/// diag(p) − p pᵀ = E[z zᵀ] for z = Σ_c v_c √p_c (e_c − p) with random signs v. One sample takes one backward pass for each
/// draw, over all classes together, and no class is left to chance.
#[derive(Clone, Copy, Debug)]
pub struct FisherDiagonal {
    /// m, or all when there are fewer.
    pub samples: usize,
    /// Draws of the signs.
    pub draws: i64,
}

impl Quantity for FisherDiagonal {
    /// The estimate of each draw: `[P]`, f64.
    type Value = Vec<Tensor>;

    fn name(&self) -> String {
        format!("fisher_diagonal samples={} draws={}", self.samples, self.draws)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Tensor>, MeasureError> {
        let network = probe.folded()?;
        let weights = network.trainable_vector()?.f_to_kind(Kind::Double)?;
        check_parameters(&weights)?;
        let count = self.samples.min(probe.sample_size()) as i64;
        let mut generator = probe.generator("signs");
        (0..self.draws)
            .map(|_| {
                let signs = generator.sign_tensor(&[count, probe.classes()])?;
                let mut sums = Sums::new(&weights)?;
                for batch in probe.batches_of(self.samples).at_most(at_once(&network)) {
                    let batch = batch?;
                    let signs = signs.f_narrow(0, batch.start, batch.len())?;
                    let along = |outputs: &Tensor| {
                        let p = outputs.f_detach()?.f_softmax(1, None)?;
                        let rooted = p.f_sqrt()?.f_mul(&signs)?;
                        let total = rooted.f_sum_dim_intlist(1, true, None)?;
                        let z = rooted.f_sub(&p.f_mul(&total)?)?;
                        Ok(outputs.f_mul(&z)?.f_sum_dim_intlist(1, false, None)?)
                    };
                    let found = per_sample_gradients(&network, &batch.inputs, along)?;
                    probe.count_forward(batch.len());
                    probe.count_backward(batch.len());
                    sums.add(&found.gradients.f_to_kind(Kind::Double)?)?;
                }
                Ok(sums.finish()?.1)
            })
            .collect()
    }
}
