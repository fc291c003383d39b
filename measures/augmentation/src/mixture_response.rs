//! Accuracy on mixtures of growing strength: what `gi_score` and `pal_score` share.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Tensor, no_grad};
use pgdl_measure::{
    Generator, MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, Quantity,
    RegistryError,
};
use pgdl_measure_margin::Depth;

use crate::decisions::decisions;
use crate::draws::{draws, samples, size, standard_error_of_sum};
use crate::response_curve::{ResponseCurve, Score};

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

/// Draws at each magnitude.
pub(crate) const DRAWS: ParameterInfo = draws(2);

/// Curves of accuracy against the share of another sample that is mixed in. Every point of every curve has others drawn
/// for itself: what chance leaves at one magnitude is made good at the next, which the area below a curve, a sum over
/// its points, gains by. Draws · K passes over the samples, and one; inside the network as many again, up to the layer.
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

    /// What `score` makes of the mean curve, and with its slopes in the curve's points the standard error, as others are
    /// drawn for each sample by itself; the curve is in the details.
    pub(crate) fn summary(
        self,
        probe: &Probe,
        score: impl Fn(&ResponseCurve) -> Result<Score, MeasureError>,
    ) -> Result<Measured, MeasureError> {
        let hits = probe.get(&self)?;
        let points = self.magnitudes + 1;
        let samples = hits[0][0].len();
        let accuracy =
            |at: usize| hits.iter().flat_map(|draw| &draw[at]).sum::<f64>() / (hits.len() * samples) as f64;
        let accuracies: Vec<f64> = (0..points).map(accuracy).collect();
        let Some(curve) = ResponseCurve::new(accuracies.clone()) else {
            return MeasureError::failed("a curve needs two points");
        };
        let Score { value, slopes } = score(&curve)?;
        let shares: Vec<Vec<f64>> = hits
            .iter()
            .map(|draw| {
                let of_sample = |sample: usize| {
                    draw.iter().zip(&slopes).map(|(point, slope)| slope * point[sample]).sum::<f64>()
                };
                (0..samples).map(|sample| of_sample(sample) / samples as f64).collect()
            })
            .collect();
        let mut measured = Measured::value(value);
        measured.standard_error = standard_error_of_sum(&shares);
        Ok(accuracies.into_iter().enumerate().fold(measured, |measured, (at, accuracy)| {
            measured.with_detail(&format!("accuracy/{:.3}", self.share(at)), accuracy)
        }))
    }

    /// Share of the other sample at a point of the curve.
    fn share(self, at: usize) -> f64 {
        LARGEST * at as f64 / self.magnitudes as f64
    }
}

impl Quantity for MixtureResponse {
    /// 1 where the network is right, else 0: `[draws][magnitudes, 0 first][samples]`.
    type Value = Vec<Vec<Vec<f64>>>;

    fn name(&self) -> String {
        let Self { same_class, depth, samples, magnitudes, draws } = self;
        format!(
            "mixture_response same_class={same_class} at={} samples={samples} magnitudes={magnitudes} draws={draws}",
            depth.word()
        )
    }

    fn compute(&self, probe: &Probe) -> Result<Self::Value, MeasureError> {
        let place = self.depth.place(probe.network())?;
        let mut labels = Vec::<i64>::try_from(probe.labels())?;
        labels.truncate(self.samples);
        let partners = (0..self.draws)
            .map(|draw| {
                let mut generator = probe.generator(&format!("draw {draw}"));
                (0..self.magnitudes).map(|_| partners(&labels, self.same_class, &mut generator)).collect()
            })
            .collect::<Result<Vec<Vec<Vec<i64>>>, _>>()?;
        let mut found = vec![vec![Vec::new(); self.magnitudes + 1]; self.draws];
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let range = batch.start as usize..(batch.start + batch.len()) as usize;
            let own = place.representation(probe, &batch.inputs)?;
            let hits = |representations: &Tensor| -> Result<Vec<f64>, MeasureError> {
                let found = decisions(&no_grad(|| place.logits(probe, representations))?)?.classes;
                let right = |(one, other): (&i64, &i64)| f64::from(u8::from(one == other));
                Ok(found.iter().zip(&labels[range.clone()]).map(right).collect())
            };
            let unchanged = hits(&own)?;
            for (found, partners) in found.iter_mut().zip(&partners) {
                probe.check_deadline()?;
                found[0].extend(&unchanged);
                for (before, partners) in partners.iter().enumerate() {
                    let index =
                        Tensor::f_from_slice(&partners[range.clone()])?.f_to_device(probe.device())?;
                    let other = place.representation(probe, &probe.inputs().f_index_select(0, &index)?)?;
                    found[before + 1].extend(hits(&own.f_lerp(&other, self.share(before + 1))?)?);
                }
            }
        }
        Ok(found)
    }
}

/// For each sample a random one with its label, itself among them, or with another label: each with the same
/// probability, whatever the others meet.
fn partners(labels: &[i64], same_class: bool, generator: &mut Generator) -> Result<Vec<i64>, MeasureError> {
    let mut by_label: Vec<i64> = (0..labels.len() as i64).collect();
    by_label.sort_by_key(|&at| labels[at as usize]);
    let start = |label: i64| by_label.partition_point(|&at| labels[at as usize] < label);
    let end = |label: i64| by_label.partition_point(|&at| labels[at as usize] <= label);
    labels
        .iter()
        .map(|&label| {
            let (start, end) = (start(label), end(label));
            if same_class {
                return Ok(by_label[generator.random_range(start..end)]);
            }
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
    use super::partners;
    use pgdl_measure::Generator;
    use pgdl_measure::tch::{Device, Kind};

    #[test]
    fn all_of_the_same_or_of_another_class_are_met() {
        let labels = [2, 0, 2, 1, 0, 2];
        let mut generator = Generator::new(&[b"partners"], Device::Cpu, Kind::Double);
        for same_class in [false, true] {
            let mut met = [[0; 6]; 6];
            for _ in 0..1000 {
                for (at, other) in
                    partners(&labels, same_class, &mut generator).unwrap().into_iter().enumerate()
                {
                    met[at][other as usize] += 1;
                }
            }
            for (at, met) in met.iter().enumerate() {
                let fits = |other: usize| (labels[at] == labels[other]) == same_class;
                let count = (0..6).filter(|&other| fits(other)).count();
                for (other, &times) in met.iter().enumerate() {
                    let expected = if fits(other) { 1000.0 / count as f64 } else { 0.0 };
                    // Five standard deviations of a binomial count.
                    let error = (expected * (1.0 - expected / 1000.0)).sqrt();
                    assert!((f64::from(times) - expected).abs() <= 5.0 * error, "{at} {other}: {times}");
                }
            }
        }
        assert!(partners(&[3, 3, 3], false, &mut generator).is_err());
    }
}
