//! Sums over the draws of each sample's loss, from which functional variance and WAIC follow.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::{Device, Kind, Tensor};

/// Per chain and sample, sums over the draws in which a chain saw the sample: of 1, d, d² and exp(−d), where
/// d = ℓᵢ(w) − ℓᵢ(w*).
pub struct PerSample {
    /// `[4, K, n]`, f64.
    sums: Tensor,
}

/// What follows from the losses of each sample under the posterior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predictive {
    /// The mean over the samples of the posterior variance of the loss: V / n.
    pub variance: f64,
    /// The Bayes training loss T = −(1/n) Σᵢ ln E_w p(yᵢ | xᵢ, w).
    pub training_loss: f64,
}

impl PerSample {
    /// For K chains and n samples.
    ///
    /// # Errors
    /// libtorch has no memory for it.
    pub fn new(chains: i64, samples: i64, device: Device) -> Result<Self, MeasureError> {
        Ok(Self { sums: Tensor::f_zeros([4, chains, samples], (Kind::Double, device))? })
    }

    /// Adds a draw of each chain: `rise`, `[K, m]`, is d on the samples `batch`, `[K, m]`, or on all in order.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn add(&mut self, rise: &Tensor, batch: Option<&Tensor>) -> Result<(), MeasureError> {
        let rise = rise.f_to_kind(Kind::Double)?;
        let draws = Tensor::f_stack(
            &[rise.f_ones_like()?, rise.shallow_clone(), rise.f_square()?, rise.f_neg()?.f_exp()?],
            0,
        )?;
        match batch {
            None => self.sums = self.sums.f_add(&draws)?,
            Some(batch) => {
                let places = batch.f_unsqueeze(0)?.f_expand(draws.size(), false)?;
                self.sums = self.sums.f_scatter_add(2, &places, &draws)?;
            }
        }
        Ok(())
    }

    /// From all chains, or all but one; `centre`, `[n]`, f64, holds ℓᵢ(w*). Samples seen in fewer than two draws are
    /// left out; none where that is all of them.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn predictive(
        &self,
        centre: &Tensor,
        without: Option<i64>,
    ) -> Result<Option<Predictive>, MeasureError> {
        let mut sums = self.sums.f_sum_dim_intlist(1, false, Kind::Double)?;
        if let Some(chain) = without {
            sums = sums.f_sub(&self.sums.f_select(1, chain)?)?;
        }
        let seen = sums.f_get(0)?.f_ge(2.0)?;
        let kept: Vec<Tensor> = (0..4)
            .map(|row| Ok(sums.f_get(row)?.f_masked_select(&seen)?))
            .collect::<Result<_, MeasureError>>()?;
        let [count, sum, squares, likelihood] = &kept[..] else { return Ok(None) };
        if count.numel() == 0 {
            return Ok(None);
        }
        let variance = squares.f_sub(&sum.f_square()?.f_div(count)?)?.f_div(&count.f_add_scalar(-1.0)?)?;
        let loss = centre.f_masked_select(&seen)?.f_sub(&likelihood.f_div(count)?.f_log()?)?;
        let number = |tensor: &Tensor| -> Result<f64, MeasureError> {
            Ok(tensor.f_mean(Kind::Double)?.f_double_value(&[])?)
        };
        // Rounding can make a variance of zero slightly negative.
        let variance = number(&variance.f_clamp_min(0.0)?)?;
        Ok(Some(Predictive { variance, training_loss: number(&loss)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_measure::Generator;

    /// The definitions, on a matrix of losses `[draws, n]` (Watanabe 2010; 2018).
    fn by_definition(losses: &[Vec<f64>]) -> Predictive {
        let draws = losses.len() as f64;
        let n = losses[0].len();
        let (mut variance, mut training_loss) = (0.0, 0.0);
        for sample in 0..n {
            let column: Vec<f64> = losses.iter().map(|row| row[sample]).collect();
            let mean = column.iter().sum::<f64>() / draws;
            variance += column.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (draws - 1.0);
            training_loss -= (column.iter().map(|loss| (-loss).exp()).sum::<f64>() / draws).ln();
        }
        Predictive { variance: variance / n as f64, training_loss: training_loss / n as f64 }
    }

    #[test]
    fn sums_in_passing_are_the_definitions_on_the_matrix_of_losses() {
        let (chains, draws, n) = (3, 20, 7);
        let mut random = Generator::new(&[b"losses"], Device::Cpu, Kind::Double);
        let centre = random.uniform_tensor(&[n]).unwrap();
        let losses = random.uniform_tensor(&[draws, chains, n]).unwrap() * 3.0;
        let mut whole = PerSample::new(chains, n, Device::Cpu).unwrap();
        let mut parts = PerSample::new(chains, n, Device::Cpu).unwrap();
        for draw in 0..draws {
            let rise = losses.get(draw) - &centre;
            whole.add(&rise, None).unwrap();
            // The same in two batches of another order.
            let order = Tensor::from_slice(&random.permutation(n as usize));
            for part in order.split(4, 0) {
                let batch = part.unsqueeze(0).expand([chains, -1], false);
                parts.add(&rise.gather(1, &batch, false), Some(&batch)).unwrap();
            }
        }
        let rows = |without: Option<i64>| -> Vec<Vec<f64>> {
            let of_chain = |chain| losses.select(1, chain);
            (0..chains)
                .filter(|chain| Some(*chain) != without)
                .flat_map(|chain| Vec::<Vec<f64>>::try_from(of_chain(chain)).unwrap())
                .collect()
        };
        for without in [None, Some(0), Some(2)] {
            let expected = by_definition(&rows(without));
            for sums in [&whole, &parts] {
                let found = sums.predictive(&centre, without).unwrap().unwrap();
                assert!((found.variance - expected.variance).abs() < 1e-12, "{found:?} {expected:?}");
                assert!((found.training_loss - expected.training_loss).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn samples_that_were_hardly_seen_are_left_out() {
        let centre = Tensor::from_slice(&[0.0, 0.0]);
        let mut sums = PerSample::new(1, 2, Device::Cpu).unwrap();
        let first = Tensor::from_slice(&[0i64]).unsqueeze(0);
        let rise = |value: f64| Tensor::from_slice(&[value]).unsqueeze(0);
        sums.add(&rise(1.0), Some(&first)).unwrap();
        assert_eq!(sums.predictive(&centre, None).unwrap(), None);
        sums.add(&rise(3.0), Some(&first)).unwrap();
        let found = sums.predictive(&centre, None).unwrap().unwrap();
        assert_eq!(found.variance, 2.0);
        assert!((found.training_loss + (((-1f64).exp() + (-3f64).exp()) / 2.0).ln()).abs() < 1e-12);
    }
}
