//! Accuracy on mixtures of growing strength: what `gi_score` and `pal_score` share.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Tensor, no_grad};
use pgdl_measure::{
    Generator, MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, Quantity,
    RegistryError,
};
use pgdl_measure_margin::Depth;

use crate::decisions::decisions;
use crate::draws::{DRAWS, mean_of_draws, samples, size};
use crate::response_curve::ResponseCurve;

/// The largest share of the other sample: from there on it is the other way round.
const LARGEST: f64 = 0.5;

/// What is mixed in.
pub(crate) const PERTURBATION: ParameterInfo = ParameterInfo {
    name: "perturbation",
    kind: ParameterKind::Choice { default: "inter_class", options: &["inter_class", "intra_class"] },
    doc: "whose representation is mixed in: a sample's of another class, or of the same",
};

/// Where.
pub(crate) const LAYER: ParameterInfo = ParameterInfo {
    name: "layer",
    kind: ParameterKind::Choice { default: "input", options: &["input", "first", "middle", "last"] },
    doc: "what is mixed: inputs, or what enters the second, a middle or the last layer with weights",
};

/// How finely the curve is sampled.
pub(crate) const MAGNITUDES: ParameterInfo = ParameterInfo {
    name: "magnitudes",
    kind: ParameterKind::Integer { default: 10, min: 1, max: 1000 },
    doc: "number K of magnitudes beside 0, evenly spaced up to the largest",
};

/// Number of samples.
pub(crate) const SAMPLES: ParameterInfo = samples(500);

/// Curves of accuracy against the share of another sample that is mixed in, one curve per draw of the other samples.
/// Draws · (K + 2) passes over the samples, and one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MixtureResponse {
    same_class: bool,
    depth: Depth,
    samples: usize,
    magnitudes: usize,
    draws: usize,
}

impl MixtureResponse {
    /// With the parameters `perturbation`, `layer`, `samples`, `magnitudes` and `draws`.
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            same_class: parameters.choice("perturbation")? == "intra_class",
            depth: Depth::named(parameters.choice("layer")?),
            samples: size(parameters, SAMPLES.name)?,
            magnitudes: size(parameters, MAGNITUDES.name)?,
            draws: size(parameters, DRAWS.name)?,
        })
    }

    /// The mean over the draws of what `score` makes of each curve, with the mean curve in the details.
    pub(crate) fn summary(
        self,
        probe: &Probe,
        score: impl Fn(&ResponseCurve) -> Result<f64, MeasureError>,
    ) -> Result<Measured, MeasureError> {
        let curves = probe.get(&self)?;
        let measured = mean_of_draws(self.draws, |draw| {
            let curve = ResponseCurve::new(curves[draw].clone());
            score(&curve.ok_or_else(|| MeasureError::Failed("a curve needs two points".to_string()))?)
        })?;
        Ok((0..=self.magnitudes).fold(measured, |measured, at| {
            let mean = curves.iter().map(|curve| curve[at]).sum::<f64>() / curves.len() as f64;
            measured.with_detail(&format!("accuracy/{:.3}", self.share(at)), mean)
        }))
    }

    /// Share of the other sample at a point of the curve.
    fn share(self, at: usize) -> f64 {
        LARGEST * at as f64 / self.magnitudes as f64
    }

    /// For each sample another one.
    fn partners(self, labels: &[i64], generator: &mut Generator) -> Result<Vec<i64>, MeasureError> {
        if self.same_class { Ok(generator.permutation_within(labels)) } else { strangers(labels, generator) }
    }
}

impl Quantity for MixtureResponse {
    /// Per draw the accuracies at all magnitudes, 0 first.
    type Value = Vec<Vec<f64>>;

    fn name(&self) -> String {
        let Self { same_class, depth, samples, magnitudes, draws } = self;
        format!(
            "mixture_response same_class={same_class} at={} samples={samples} magnitudes={magnitudes} draws={draws}",
            depth.word()
        )
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Vec<f64>>, MeasureError> {
        let place = self.depth.place(probe.network())?;
        let mut labels = Vec::<i64>::try_from(probe.labels())?;
        labels.truncate(self.samples);
        let partners = (0..self.draws)
            .map(|draw| self.partners(&labels, &mut probe.generator(&format!("draw {draw}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let mut right = vec![vec![0usize; self.magnitudes + 1]; self.draws];
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let range = batch.start as usize..(batch.start + batch.len()) as usize;
            let own = place.representation(probe, &batch.inputs)?;
            let hits = |representations: &Tensor| -> Result<usize, MeasureError> {
                let found = decisions(&no_grad(|| place.logits(probe, representations))?)?.classes;
                Ok(found.iter().zip(&labels[range.clone()]).filter(|(one, other)| one == other).count())
            };
            let unchanged = hits(&own)?;
            for (right, partners) in right.iter_mut().zip(&partners) {
                probe.check_deadline()?;
                let index = Tensor::f_from_slice(&partners[range.clone()])?.f_to_device(probe.device())?;
                let other = place.representation(probe, &probe.inputs().f_index_select(0, &index)?)?;
                right[0] += unchanged;
                for (at, right) in right.iter_mut().enumerate().skip(1) {
                    *right += hits(&own.f_lerp(&other, self.share(at))?)?;
                }
            }
        }
        let share = |right: usize| right as f64 / labels.len() as f64;
        Ok(right.into_iter().map(|curve| curve.into_iter().map(share).collect()).collect())
    }
}

/// For each sample a random one with another label, each with the same probability.
fn strangers(labels: &[i64], generator: &mut Generator) -> Result<Vec<i64>, MeasureError> {
    let mut by_label: Vec<i64> = (0..labels.len() as i64).collect();
    by_label.sort_by_key(|&at| labels[at as usize]);
    let start = |label: i64| by_label.partition_point(|&at| labels[at as usize] < label);
    let end = |label: i64| by_label.partition_point(|&at| labels[at as usize] <= label);
    labels
        .iter()
        .map(|&label| {
            let (start, end) = (start(label), end(label));
            let others = labels.len() - (end - start);
            if others == 0 {
                return MeasureError::undefined(format!(
                    "all {} samples are of one class, and none of another can be mixed in",
                    labels.len()
                ));
            }
            let chosen = generator.random_range(0..others);
            Ok(by_label[if chosen < start { chosen } else { chosen + (end - start) }])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::strangers;
    use pgdl_measure::Generator;
    use pgdl_measure::tch::{Device, Kind};

    #[test]
    fn strangers_are_of_another_class_and_all_are_met() {
        let labels = [2, 0, 2, 1, 0, 2];
        let mut generator = Generator::new(&[b"strangers"], Device::Cpu, Kind::Double);
        let mut met = [[0; 6]; 6];
        for _ in 0..1000 {
            for (at, other) in strangers(&labels, &mut generator).unwrap().into_iter().enumerate() {
                met[at][other as usize] += 1;
            }
        }
        for (at, met) in met.iter().enumerate() {
            let others = labels.iter().filter(|label| **label != labels[at]).count();
            for (other, &times) in met.iter().enumerate() {
                let expected = if labels[at] == labels[other] { 0.0 } else { 1000.0 / others as f64 };
                // Five standard deviations of a binomial count.
                let error = (expected * (1.0 - expected / 1000.0)).sqrt();
                assert!((f64::from(times) - expected).abs() <= 5.0 * error, "{at} {other}: {times}");
            }
        }
        assert!(strangers(&[3, 3, 3], &mut generator).is_err());
    }
}
