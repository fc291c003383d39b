//! The worst rise of the loss within a ball around the weights.

use pgdl_measure::draws::{mean, standard_error_of_mean};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Perturbed, Probe, RegistryError,
};

use crate::ascent::{Ascent, Ball, Objective, Samples};
use crate::loss::Blocks;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Sharpness {
    ball: Ball,
    adaptive: bool,
    group: i64,
    radius: f64,
    samples: i64,
    starts: i64,
    steps: usize,
    tolerance: f64,
}

/// Steps over which the gain is looked at.
const PATIENCE: usize = 5;

/// What `sharpness` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "sharpness",
    family: "sharpness",
    version: 2,
    title: "The worst rise of the loss within a ball around the weights, averaged over groups of samples.",
    formula: "mean over groups G of m samples of max { L_G(w + r ∘ v) − L_G(w) : ‖v‖ ≤ ρ }, r = 1, or |w| where \
             adaptive",
    shapes: "L_G: mean cross-entropy over a group; w, v: [P]; ‖·‖: ℓ2 or ℓ∞",
    paper: "Foret, Kleiner, Mobahi, Neyshabur 2021, Sharpness-Aware Minimization for Efficiently Improving \
             Generalization, on m-sharpness; Kwon, Kim, Park, Choi 2021, ASAM, on the adaptive form; \
             Andriushchenko, Croce, Müller, Hein, Flammarion 2023, A Modern Look at the Relationship between \
             Sharpness and Generalization",
    needs: &[Need::Labels],
    cost: "steps · starts · samples/n B, of at most 40 steps some 8 to 12, and samples/n F: at n = 5000, 3 to 5 B and 0.1 F",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. Each group has a perturbation of its own, \
             climbed from several starts: each step goes to the point of the ball that is furthest along the gradient \
             (ℓ2) or its signs (ℓ∞) in the perturbation, until that gains nothing more; the largest loss on the way \
             counts. It is a lower bound of the true maximum: with all samples in one group, on three networks of \
             mnist_width, at least 99.9 % of what 200 decreasing steps find, ℓ2, relative or not. On convolutional networks the \
             rise may pause for five steps and then go on: of seven cases on cifar_nin/5 and cifar_vgg_noise/48 (ℓ2 and ℓ∞, \
             relative or not) four were within 0.1 % of what 30 steps without `tolerance` find, and three 2.9 to 4.3 % short. The details hold what \
             the worst start found. The standard error is over the groups. Undefined where \
             all weights are zero and the perturbation is relative.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "norm",
            kind: ParameterKind::Choice { default: "l2", options: &["l2", "linf"] },
            doc: "the norm whose ball the perturbation stays in",
        },
        ParameterInfo {
            name: "adaptive",
            kind: ParameterKind::Choice { default: "no", options: &["no", "yes"] },
            doc: "perturbations in proportion to the weights",
        },
        ParameterInfo {
            name: "m",
            kind: ParameterKind::Integer { default: 128, min: 0, max: i64::MAX },
            doc: "samples that share a perturbation; 0: all of them",
        },
        ParameterInfo {
            name: "rho",
            kind: ParameterKind::Float { default: 0.0, min: 0.0, max: 1e6 },
            doc: "radius; 0: 0.05 for l2, 0.0005 for linf, and ten times that where adaptive",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 512, min: 1, max: i64::MAX },
            doc: "how many samples, drawn from the training sample",
        },
        ParameterInfo {
            name: "starts",
            kind: ParameterKind::Integer { default: 4, min: 1, max: 100 },
            doc: "points from which the loss is climbed: the weights themselves, and random ones on the ball",
        },
        ParameterInfo {
            name: "steps",
            kind: ParameterKind::Integer { default: 40, min: 1, max: 10_000 },
            doc: "steps of each ascent, at most",
        },
        ParameterInfo {
            name: "tolerance",
            kind: ParameterKind::Float { default: 0.01, min: 0.0, max: 1.0 },
            doc: "an ascent ends where its last five steps gained no more than this share of the rise; 0: after all steps",
        },
    ],
};

impl Sharpness {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let ball = if parameters.choice("norm")? == "l2" { Ball::L2 } else { Ball::Linf };
        let adaptive = parameters.choice("adaptive")? == "yes";
        let given = parameters.float("rho")?;
        let usual = if ball == Ball::L2 { 0.05 } else { 0.0005 } * if adaptive { 10.0 } else { 1.0 };
        Ok(Self {
            ball,
            adaptive,
            group: parameters.integer("m")?,
            radius: if given == 0.0 { usual } else { given },
            samples: parameters.integer("samples")?,
            starts: parameters.integer("starts")?,
            steps: usize::try_from(parameters.integer("steps")?).unwrap_or(1),
            tolerance: parameters.float("tolerance")?,
        })
    }
}

/// The largest rise found for one group, and how it came.
struct Found {
    rise: f64,
    /// Over the starts, the smallest of their largest rises.
    least: f64,
    /// Points at which the loss was looked at.
    points: usize,
}

impl Measure for Sharpness {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moved = Perturbed::folded(probe)?;
        let size = moved.center().f_abs()?;
        if self.adaptive && size.f_max()?.f_double_value(&[])? == 0.0 {
            return MeasureError::undefined("every weight is zero: a relative perturbation moves nothing");
        }
        let ranges = if self.adaptive { size } else { size.f_ones_like()? };
        let ascent =
            Ascent { probe, moved: &moved, ranges: &ranges, ball: self.ball, objective: Objective::Loss };
        let samples = self.samples.min(probe.sample_size() as i64);
        let group = if self.group == 0 { samples } else { self.group.min(samples) };
        let blocks = Blocks::new(probe, group)?;
        let mut found: Vec<Found> = Vec::new();
        for at in 0..samples / group {
            found.push(self.worst(&ascent, &blocks.get(at)?, at).map_err(|error| match error {
                MeasureError::Timeout(reason) if at > 0 => MeasureError::Timeout(format!(
                    "{reason}; over {at} of {} groups the mean is {:.4e}",
                    samples / group,
                    mean_of(&found, |one| one.rise)
                )),
                other => other,
            })?);
        }
        let rises: Vec<f64> = found.iter().map(|one| one.rise).collect();
        let value = mean(&rises);
        if !value.is_finite() {
            return MeasureError::undefined("the loss is not finite within the ball");
        }
        let mut measured = Measured::value(value)
            .with_detail("rho", self.radius)
            .with_detail("groups", found.len() as f64)
            .with_detail("samples_of_a_group", group as f64)
            .with_detail("points", mean_of(&found, |one| one.points as f64))
            .with_detail("mean_rise_of_the_least_start", mean_of(&found, |one| one.least));
        measured.standard_error = standard_error_of_mean(&rises);
        Ok(measured)
    }
}

impl Sharpness {
    fn worst(&self, ascent: &Ascent<'_>, index: &Tensor, group: i64) -> Result<Found, MeasureError> {
        let probe = ascent.probe;
        let samples = |_: usize| Samples::of(probe, index);
        let mut random = probe.generator(&format!("starts of group {group}"));
        let v = ascent.starts(self.radius, self.starts, &mut random)?;
        let origin = v.f_narrow(0, 0, 1)?.f_zeros_like()?;
        let plain = ascent.means(&origin, &samples(0)?)?.f_double_value(&[0])?;
        let mut path = Path { largest: None, best: Vec::new() };
        let mut observe = |_: &Tensor, means: &Tensor| {
            path.note(means)?;
            Ok(!path.is_level(plain, self.tolerance))
        };
        let v = ascent.climb(v, self.radius, self.steps, &samples, &mut observe)?;
        if path.best.len() == self.steps {
            path.note(&ascent.means(&v, &samples(0)?)?)?;
        }
        let Some(largest) = path.largest else { return MeasureError::failed("no step was taken") };
        Ok(Found {
            rise: largest.f_max()?.f_to_kind(Kind::Double)?.f_double_value(&[])? - plain,
            least: largest.f_min()?.f_to_kind(Kind::Double)?.f_double_value(&[])? - plain,
            points: path.best.len(),
        })
    }
}

/// The losses on the way.
struct Path {
    /// The largest of each start, `[S]`.
    largest: Option<Tensor>,
    /// The largest of all starts so far, after each point.
    best: Vec<f64>,
}

impl Path {
    fn note(&mut self, means: &Tensor) -> Result<(), MeasureError> {
        let largest = match self.largest.take() {
            Some(largest) => largest.f_fmax(means)?,
            None => means.shallow_clone(),
        };
        self.best.push(largest.f_max()?.f_to_kind(Kind::Double)?.f_double_value(&[])?);
        self.largest = Some(largest);
        Ok(())
    }

    /// Whether the last steps gained no more than the share `tolerance` of the rise above `plain`.
    fn is_level(&self, plain: f64, tolerance: f64) -> bool {
        if self.best.len() <= PATIENCE || tolerance == 0.0 {
            return false;
        }
        let (last, before) = (self.best[self.best.len() - 1], self.best[self.best.len() - 1 - PATIENCE]);
        last - before <= tolerance * (last - plain)
    }
}

fn mean_of(found: &[Found], number: impl Fn(&Found) -> f64) -> f64 {
    mean(&found.iter().map(number).collect::<Vec<f64>>())
}
