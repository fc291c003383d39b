//! What predictions leave open, sample by sample.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, Logits, MeasureError, Probe};

/// tr(diag(pᵢ) − pᵢ pᵢᵀ) = 1 − ‖pᵢ‖² of each sample, with pᵢ its softmax: the curvature of the cross-entropy in the logits.
/// Samples that are fit with certainty have next to none.
#[derive(Debug)]
pub(crate) struct Open {
    /// Softmax, `[n, C]`, f64.
    pub p: Tensor,
    /// 1 − ‖pᵢ‖².
    each: Vec<f64>,
    /// Running sums.
    running: Vec<f64>,
}

impl Open {
    /// Of the probe's sample.
    ///
    /// # Errors
    /// Undefined where logits are not finite.
    pub(crate) fn new(probe: &Probe) -> Result<Self, MeasureError> {
        let p = probe.get(&Logits)?.f_softmax(-1, Kind::Double)?;
        // Σ p_c (1 − p_c), without the cancellation of 1 − Σ p_c².
        let each = p.f_mul(&p.f_neg()?.f_add_scalar(1.0)?)?;
        let each = Vec::<f64>::try_from(&each.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Double)?)?;
        let each: Vec<f64> = each.into_iter().map(|one| one.max(0.0)).collect();
        let running = each.iter().scan(0.0, |sum, one| {
            *sum += one;
            Some(*sum)
        });
        let running = running.collect();
        Ok(Self { p, each, running })
    }

    /// Number of samples n.
    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    /// The sum over all samples.
    pub(crate) fn total(&self) -> f64 {
        self.running.last().copied().unwrap_or(0.0)
    }

    /// That of one sample.
    pub(crate) fn of(&self, sample: usize) -> f64 {
        self.each[sample]
    }

    /// A sample, with a probability in proportion to what it leaves open; the last where none leaves anything.
    pub(crate) fn draw(&self, random: &mut Generator) -> usize {
        let at = random.random::<f64>() * self.total();
        self.running.partition_point(|sum| *sum <= at).min(self.len() - 1)
    }
}
