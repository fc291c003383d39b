//! The runner-up of the 2020 competition.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::Tensor;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind,
    ParameterValue, Parameters, Probe, RegistryError,
};

use crate::decisions::{Decisions, PlainDecisions, decisions};
use crate::draws::{SAMPLES, draws, size, standard_error_of_sum};
use crate::transforms::{Rectangle, brighten, crop, edges, erase, flip, saturate};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct AlwaysGeneralize {
    samples: usize,
    draws: usize,
    as_coded: bool,
}

/// What `always_generalize` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "always_generalize",
    family: "augmentation",
    version: 3,
    title: "The mean penalty for decisions, or certainties, that change when images are augmented in seven ways.",
    formula: "E (1/m) Σᵢ Σ_t penalty_t(xᵢ),  penalty_t(x) = |max p(t(x)) − max p(x)| where the class stays, else c_t;  c: \
              flip 6, saturation 1, crop 2, Sobel 3, brightness 1, flip and saturation 12, erase 2",
    shapes: "p: [m, C] softmax probabilities; t: [m, H, W, channels] → the same shape; m: the first samples",
    paper: "Aithal, Kashyap, Subramanyam 2021, Robustness to Augmentations as a Generalization Metric; the second place \
            of the 2020 competition",
    needs: &[],
    cost: "11 m/n F (5, and 3 for each of 2 draws), m = 1000",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Flip: left to right. Saturation: a factor from 0.6 to 1.6 on each pixel's distances from its largest \
                channel, for three channels (one factor per image; a pixel whose largest channel is not positive becomes grey, as many of \
                normalized images do); images of other depth stay. Crop: the central \
                0.9, stretched back. Sobel: the horizontal derivative / 4 + 0.5. Brightness: + 0.5. Erase: a random \
                rectangle set to 0. `as_coded` sums over the first 12864 samples and negates, as the entry did, so that \
                it points the other way; with one channel its saturation multiplies by 0.9999; saturation has one factor per 64 images and stays at most 1. Its single draw \
                is repeated here and averaged. Undefined for inputs that are no images, or too small to erase in.",
    stochastic: true,
    control: false,
    parameters: &[
        SAMPLES,
        DRAWS,
        ParameterInfo {
            name: "variant",
            kind: ParameterKind::Choice { default: "mean", options: &["mean", "as_coded"] },
            doc: "`as_coded` sums and negates, as the competition's entry, on its own number of samples",
        },
    ],
};

/// Number of draws.
const DRAWS: ParameterInfo = draws(2);

/// Samples and batches of the entry: batches 0 to 200.
const ENTRY_SAMPLES: usize = 201 * ENTRY_BATCH;
const ENTRY_BATCH: usize = 64;

impl AlwaysGeneralize {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `samples` beside the variant that does not look at it.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let as_coded = parameters.choice("variant")? == "as_coded";
        let samples = parameters.integer(SAMPLES.name)?;
        if as_coded && SAMPLES.kind.default_value() != ParameterValue::Integer(samples) {
            return Err(RegistryError::IllegalCombination {
                id: INFO.id.to_string(),
                reason: format!("`variant=as_coded` takes {ENTRY_SAMPLES} samples, whatever `samples` says"),
            });
        }
        let samples = if as_coded { ENTRY_SAMPLES } else { size(parameters, SAMPLES.name)? };
        Ok(Self { samples, draws: size(parameters, DRAWS.name)?, as_coded })
    }

    /// The decisions on changed inputs; `change` gets a batch and the index of its first sample.
    fn decide(
        self,
        probe: &Probe,
        change: impl Fn(&Tensor, usize) -> Result<Tensor, MeasureError>,
    ) -> Result<Decisions, MeasureError> {
        let mut all = Decisions::default();
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let changed = change(&batch.inputs, batch.start as usize)?.f_contiguous()?;
            all.extend(decisions(&probe.forward(&changed)?)?);
        }
        Ok(all)
    }
}

impl Measure for AlwaysGeneralize {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let shape = probe.inputs().size();
        let [_, height, width, _] = shape[..] else {
            return MeasureError::undefined(format!(
                "flips, crops and edges are of images [n, height, width, channels], but the inputs are {shape:?}"
            ));
        };
        if height < 2 || width < 2 {
            return MeasureError::undefined(format!("images of {height} × {width} have no edges"));
        }
        let plain = probe.get(&PlainDecisions { samples: self.samples })?;
        let count = plain.classes.len();
        let mut fixed = vec![0.0; count];
        type Change = fn(&Tensor) -> Result<Tensor, MeasureError>;
        let changes: [(Change, f64); 4] = [(flip, 6.0), (crop, 2.0), (edges, 3.0), (brighten, 1.0)];
        for (change, cost) in changes {
            add_penalties(&mut fixed, &plain, &self.decide(probe, |images, _| change(images))?, cost);
        }
        // Samples that are changed alike.
        let alike = if self.as_coded { ENTRY_BATCH } else { 1 };
        let draws = (0..self.draws)
            .map(|draw| {
                let mut generator = probe.generator(&format!("draw {draw}"));
                let mut factors = || -> Vec<f64> {
                    let groups: Vec<f64> =
                        (0..count.div_ceil(alike)).map(|_| generator.random_range(0.6..1.6)).collect();
                    (0..count).map(|sample| groups[sample / alike]).collect()
                };
                let (first, second) = (factors(), factors());
                let Some(rectangles) = (0..count)
                    .map(|_| Rectangle::random(&mut generator, height, width))
                    .collect::<Option<Vec<Rectangle>>>()
                else {
                    return MeasureError::undefined(format!(
                        "images of {height} × {width} are too small to erase in"
                    ));
                };
                let range = |images: &Tensor, start: usize| start..start + images.size()[0] as usize;
                let saturated = self.decide(probe, |images, start| {
                    saturate(images, &first[range(images, start)], self.as_coded)
                })?;
                let flipped = self.decide(probe, |images, start| {
                    saturate(&flip(images)?, &second[range(images, start)], self.as_coded)
                })?;
                let erased =
                    self.decide(probe, |images, start| erase(images, &rectangles[range(images, start)]))?;
                let mut penalties = fixed.clone();
                for (changed, cost) in [(saturated, 1.0), (flipped, 12.0), (erased, 2.0)] {
                    add_penalties(&mut penalties, &plain, &changed, cost);
                }
                Ok(penalties.chunks(alike).map(|group| group.iter().sum()).collect())
            })
            .collect::<Result<Vec<Vec<f64>>, _>>()?;
        let sum = draws.iter().flatten().sum::<f64>() / self.draws as f64;
        let scale = if self.as_coded { -1.0 } else { 1.0 / count as f64 };
        let mut measured = Measured::value(scale * sum);
        measured.standard_error = standard_error_of_sum(&draws).map(|error| scale.abs() * error);
        Ok(measured)
    }
}

/// To each sample's penalty the change in its certainty, or `cost` where the class changes.
fn add_penalties(penalties: &mut [f64], plain: &Decisions, changed: &Decisions, cost: f64) {
    let classes = plain.classes.iter().zip(&changed.classes);
    let certainties = plain.probabilities.iter().zip(&changed.probabilities);
    for ((penalty, (one, other)), (p, q)) in penalties.iter_mut().zip(classes).zip(certainties) {
        *penalty += if one == other { (p - q).abs() } else { cost };
    }
}
