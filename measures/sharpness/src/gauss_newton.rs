//! Traces of the diagonal blocks of the Gauss–Newton matrix, from few samples.
//!
//! The matrix of the mean cross-entropy is G = (1/n) Σᵢ Jᵢᵀ Sᵢ Jᵢ, with Jᵢ the Jacobian of the logits of sample i and
//! Sᵢ = diag(pᵢ) − pᵢ pᵢᵀ. Where the logits are piecewise affine in each parameter by itself, the rest of the Hessian, Σ
//! (pᵢ − yᵢ)ᵀ ∇² fᵢ, has a zero diagonal, and every trace here is the Hessian's (Martens 2020, New Insights and
//! Perspectives on the Natural Gradient Method, on the two parts).
//!
//! Samples are drawn with a probability in proportion to tr Sᵢ, which the logits tell: those that are fit with certainty
//! hold next to nothing of the trace. Of each, ‖Jᵢᵀ Bᵢ ε‖² with Bᵢ Bᵢᵀ = Sᵢ and signs ε has the expectation tr(Jᵢᵀ Sᵢ Jᵢ).

use std::ops::Range;

use pgdl_measure::network::{Graph, gradients};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Perturbed, Probe};

use crate::open::Open;

/// Samples of a draw.
const SAMPLES: usize = 16;

/// Parameters of the copies that are in memory at once, at most; their gradients come to as many.
const NUMBERS: i64 = 1 << 26;

/// Draws of traces.
#[derive(Debug)]
pub(crate) struct GaussNewton<'a> {
    probe: &'a Probe,
    moved: &'a Perturbed<'a>,
    open: Open,
}

impl<'a> GaussNewton<'a> {
    /// For the probe's sample; `moved` is the network with BatchNormalization folded. None where the matrix is exactly zero:
    /// every prediction is certain.
    ///
    /// # Errors
    /// Undefined where logits are not finite.
    pub(crate) fn new(probe: &'a Probe, moved: &'a Perturbed<'a>) -> Result<Option<Self>, MeasureError> {
        let open = Open::new(probe)?;
        Ok((open.total() > 0.0).then_some(Self { probe, moved, open }))
    }

    /// For each draw the traces of the blocks that the parameters in each of `places` have, from samples of its own.
    ///
    /// # Errors
    /// Undefined where a gradient is not finite; time is up, or libtorch refuses.
    pub(crate) fn traces(
        &self,
        places: &[Range<i64>],
        draws: Range<usize>,
    ) -> Result<Vec<Vec<f64>>, MeasureError> {
        let mut found = Vec::new();
        for draw in draws {
            self.probe.check_deadline()?;
            let mut random = self.probe.generator(&format!("draw {draw}"));
            let drawn: Vec<usize> = (0..SAMPLES).map(|_| self.open.draw(&mut random)).collect();
            let signs = random.sign_tensor(&[SAMPLES as i64, self.probe.classes()])?;
            let sums = self.sums(places, &drawn, &signs)?;
            if sums.iter().any(|sum| !sum.is_finite()) {
                return MeasureError::undefined("a gradient of the logits is not finite");
            }
            // The mean of ‖Jᵀ B ε‖² / tr S over drawn samples has the trace over Σ tr S / n for its expectation.
            let factor = self.open.total() / (self.open.len() * SAMPLES) as f64;
            found.push(sums.into_iter().map(|sum| sum * factor).collect());
        }
        Ok(found)
    }

    /// Σ (Jᵀ B ε)² / tr S over the samples `drawn`, and over the parameters in each of `places`.
    fn sums(&self, places: &[Range<i64>], drawn: &[usize], signs: &Tensor) -> Result<Vec<f64>, MeasureError> {
        let probe = self.probe;
        let index: Vec<i64> = drawn.iter().map(|sample| *sample as i64).collect();
        let index = Tensor::f_from_slice(&index)?.f_to_device(probe.device())?;
        let scale: Vec<f64> = drawn.iter().map(|sample| self.open.of(*sample).sqrt().recip()).collect();
        let scale = Tensor::f_from_slice(&scale)?.f_to_device(probe.device())?.f_unsqueeze(1)?;
        let p = self.open.p.f_index_select(0, &index)?;
        let signed = p.f_sqrt()?.f_mul(&signs.f_to_kind(Kind::Double)?)?;
        // B ε = √p ∘ ε − p (√pᵀ ε)
        let inner = signed.f_sum_dim_intlist([-1i64].as_slice(), true, Kind::Double)?;
        let along = signed.f_sub(&p.f_mul(&inner)?)?.f_mul(&scale)?.f_to_kind(probe.kind())?;
        let samples = drawn.len() as i64;
        let size = self.moved.center().numel() as i64;
        let at_once = self.moved.copies_at_once(1).min(NUMBERS / size.max(1)).max(1);
        let mut sums = vec![0.0; places.len()];
        let mut from = 0;
        while from < samples {
            let count = at_once.min(samples - from);
            let rows = index.f_narrow(0, from, count)?.f_unsqueeze(1)?;
            let point = self.moved.repeated(count)?.f_set_requires_grad(true)?;
            let logits = self.moved.network().forward_copies(&point, &self.moved.inputs_of(&rows)?)?;
            let along = along.f_narrow(0, from, count)?.f_unsqueeze(1)?;
            let slope =
                gradients(&logits.f_mul(&along)?.f_sum(None)?, &[&point], Graph::Free)?.swap_remove(0);
            probe.count_forward(count);
            probe.count_backward(count);
            let squares = slope.f_square()?;
            for (sum, place) in sums.iter_mut().zip(places) {
                let part = squares.f_narrow(1, place.start, place.end - place.start)?;
                *sum += part.f_sum(Kind::Double)?.f_double_value(&[])?;
            }
            from += count;
        }
        Ok(sums)
    }
}
