//! How strongly the neurons of a network are correlated.

use pgdl_measure::rand::seq::index;
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

use crate::gram::{ROUNDING, Samples, check_finite, observe};
use crate::hidden_layers::neurons;
use crate::persistence::Dissimilarities;

/// Dissimilarities 1 − |r| of neurons, r the correlation of their activations, for several draws of neurons. One pass over
/// m samples for all draws.
///
/// A neuron is one entry of the output of a layer with weights. Each draw takes the same number from every layer, or all
/// of a layer that has fewer; the others then give more.
#[derive(Clone, Copy, Debug)]
pub struct NeuronCorrelations {
    /// Neurons in one draw, or all where there are fewer (but one of each layer in any case).
    pub neurons: usize,
    /// Number of draws. One is made where all neurons are taken anyway.
    pub draws: usize,
    /// m, at most, spread evenly over the sample.
    pub samples: i64,
}

/// One draw of neurons.
#[derive(Debug)]
pub struct DrawnNeurons {
    /// Those whose activations vary: 1 − |r|, rounded to 1e-9, less than f32 activations carry.
    pub dissimilarities: Dissimilarities,
    /// Number of those whose activations are the same on every sample: they have no correlation, and are left out.
    pub constant: usize,
}

impl Quantity for NeuronCorrelations {
    type Value = Vec<DrawnNeurons>;

    fn name(&self) -> String {
        format!("neuron correlations neurons={} draws={} samples={}", self.neurons, self.draws, self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<DrawnNeurons>, MeasureError> {
        let layers = neurons(probe.network());
        let shapes = probe.network().shapes();
        let widths: Vec<usize> = layers
            .iter()
            .map(|layer| shapes[layer.node].iter().product::<i64>().unsigned_abs() as usize)
            .collect();
        let counts = shares(self.neurons, &widths);
        let draws =
            if counts.iter().zip(&widths).any(|(count, width)| width > count) { self.draws } else { 1 };

        let mut generator = probe.generator("neurons");
        let mut wanted: Vec<Vec<i64>> = layers.iter().map(|_| Vec::new()).collect();
        for _ in 0..draws {
            for ((wanted, &width), &count) in wanted.iter_mut().zip(&widths).zip(&counts) {
                let drawn = index::sample(&mut generator, width, count);
                wanted.extend(drawn.iter().map(|neuron| neuron as i64));
            }
        }
        let wanted: Vec<Tensor> = wanted
            .iter()
            .map(|indices| Tensor::f_from_slice(indices)?.f_to_device(probe.device()))
            .collect::<Result<_, _>>()?;
        let mut parts: Vec<Vec<Tensor>> = layers.iter().map(|_| Vec::new()).collect();
        observe(probe, &Samples::Spread(self.samples).inputs(probe)?, &mut |node, output| {
            for ((layer, wanted), parts) in layers.iter().zip(&wanted).zip(&mut parts) {
                if layer.node == node {
                    let flat = output.f_reshape([output.size()[0], -1])?;
                    parts.push(flat.f_index_select(1, wanted)?.f_to_kind(Kind::Double)?);
                }
            }
            Ok(())
        })?;
        let activations: Vec<Tensor> =
            parts.iter().map(|parts| Tensor::f_cat(parts, 0)).collect::<Result<_, _>>()?;
        (0..draws)
            .map(|draw| {
                let of_layer = activations.iter().zip(&counts).map(|(activations, count)| {
                    let count = *count as i64;
                    activations.f_narrow(1, draw as i64 * count, count)
                });
                drawn(&Tensor::f_cat(&of_layer.collect::<Result<Vec<_>, _>>()?, 1)?)
            })
            .collect()
    }
}

/// How many neurons each layer gives of `total`: the same number, and what layers cannot give is shared out among those that
/// are wider. At least one of each, at most all.
fn shares(total: usize, widths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by_key(|layer| widths[*layer]);
    let (mut counts, mut left) = (vec![0; widths.len()], total);
    for (done, layer) in order.into_iter().enumerate() {
        let count = (left / (widths.len() - done)).max(1).min(widths[layer]);
        counts[layer] = count;
        left = left.saturating_sub(count);
    }
    counts
}

/// From activations `[m, N]`, f64.
fn drawn(activations: &Tensor) -> Result<DrawnNeurons, MeasureError> {
    check_finite(activations)?;
    let size = activations.f_square()?.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)?;
    let centred = activations.f_sub(&activations.f_mean_dim([0i64].as_slice(), true, Kind::Double)?)?;
    let spread = centred.f_square()?.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)?;
    let varying = spread.f_gt_tensor(&size.f_mul_scalar(ROUNDING)?)?;
    let kept = varying.f_nonzero()?.f_squeeze_dim(1)?;
    let points = kept.numel();
    let unit = centred.f_div(&spread.f_sqrt()?.f_unsqueeze(0)?)?.f_index_select(1, &kept)?;
    let correlations = unit.f_transpose(0, 1)?.f_matmul(&unit)?.f_abs()?;
    let dissimilarities = correlations.f_neg()?.f_add_scalar(1.0)?.f_round_decimals(9)?.f_clamp(0.0, 1.0)?;
    let values = Vec::<f64>::try_from(&dissimilarities.f_to_device(Device::Cpu)?.f_reshape([-1])?)?;
    Ok(DrawnNeurons {
        dissimilarities: Dissimilarities::new(points, values)?,
        constant: activations.size()[1].unsigned_abs() as usize - points,
    })
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn wide_layers_give_what_narrow_ones_cannot() {
        assert_eq!(
            shares(300, &[4096, 4096, 2048, 2048, 1024, 1024, 24, 10]),
            [45, 45, 44, 44, 44, 44, 24, 10]
        );
        assert_eq!(shares(7, &[9, 9]), [3, 4]);
        assert_eq!(shares(300, &[100, 20]), [100, 20]);
        assert_eq!(shares(2, &[5, 5, 5]), [1, 1, 1]);
        assert!(shares(5, &[]).is_empty());
    }
}
