//! The dimensions of a random subspace that is large enough.

use pgdl_measure::network::{
    Batch, Descent, Network, Projection, ProjectionKind, Subspace, Threshold, ThresholdSearch,
};
use pgdl_measure::rand::RngCore;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::fit::fit;
use crate::repeats::{REPEATS, repeated, repeats};

/// Samples of a step.
const BATCH: usize = 50;
/// Epochs after which more steps gain little.
const EPOCHS: usize = 40;
/// The dimension that is tried first.
const FIRST: i64 = 256;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct IntrinsicDimension {
    accuracy: f64,
    projection: ProjectionKind,
    steps: usize,
    rate: f64,
    most: i64,
    repeats: usize,
}

/// What `intrinsic_dimension` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "intrinsic_dimension",
    family: "description_length",
    version: 2,
    title: "The dimensions of a random subspace through the initial weights in which training comes nearly as far as in all.",
    formula: "min { d : A(w⁰ + P z_d) ≥ accuracy · A(w⁰ + z_D) },  z_d: [d], trained from 0",
    shapes: "A: accuracy on the sample; w⁰: initial weights, all D trainable ones, BatchNormalization folded into the layers \
             before it; P: [D, d], random, of columns of norm 1",
    paper: "Li, Farkhoor, Liu, Yosinski 2018, Measuring the Intrinsic Dimension of Objective Landscapes (there by validation \
            accuracy)",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "a retraining measure: 6 to 14 trainings, most often 8, each of 50 · steps/n B and 1 F (at n = 5000 and 500 steps 5 B \
           and 1 F), and D log d operations a step for P; with `projection=dense` D d of them and of memory",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "Of the trained network it takes the architecture and the initial weights alone. d is searched by doubling and \
                halving from 256, then twice by halving a ratio; the value lies between the last two on a straight line over ln d, and is 1 where one dimension is enough. Each training \
                is the same, and short: `steps` of Adam on 50 samples, no more than 40 epochs, the rate falling to 0: it is the dimension \
                of what such a training learns, not of the whole fit. It carries the noise of the trainings, \
                and of one projection for each d: over seeds the \
                deviation was 11 % on mnist_width/37 (6 seeds), and 73 % on /0 (7), whose 4 hidden units a training may \
                or may not put to use. Only several searches (`repeats`) tell it of a network: then there is a standard error, and the details are the values. Undefined where \
                the accuracy to compare with is no better than the share of the most frequent class, and where `most` dimensions (or all D) \
                are not enough; the reason says how far they lead. Unavailable where a zoo keeps no initial weights.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "accuracy",
            kind: ParameterKind::Float { default: 0.9, min: 0.0, max: 1.0 },
            doc: "the share of the full accuracy that is enough",
        },
        ParameterInfo {
            name: "projection",
            kind: ParameterKind::Choice { default: "fastfood", options: &["fastfood", "sparse", "dense"] },
            doc: "how P is made",
        },
        ParameterInfo {
            name: "steps",
            kind: ParameterKind::Integer { default: 500, min: 1, max: 10_000_000 },
            doc: "steps of each training, but no more than 40 epochs",
        },
        ParameterInfo {
            name: "lr",
            kind: ParameterKind::Float { default: 0.001, min: 1e-9, max: 10.0 },
            doc: "Adam's rate at first for the weights; √(D/d) times larger for z",
        },
        ParameterInfo {
            name: "most",
            kind: ParameterKind::Integer { default: 65536, min: 1, max: 1_000_000_000 },
            doc: "the largest d (at most D)",
        },
        REPEATS,
    ],
};

impl IntrinsicDimension {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            accuracy: parameters.float("accuracy")?,
            // The registry lets no other word pass.
            projection: ProjectionKind::named(parameters.choice("projection")?)
                .unwrap_or(ProjectionKind::Fastfood),
            steps: usize::try_from(parameters.integer("steps")?).unwrap_or(usize::MAX),
            rate: parameters.float("lr")?,
            most: parameters.integer("most")?,
            repeats: repeats(parameters)?,
        })
    }

    /// The accuracy on the sample after training in a subspace of `d` dimensions.
    fn in_subspace(
        &self,
        probe: &Probe,
        initial: &Network,
        d: i64,
        repeat: &str,
    ) -> Result<f64, MeasureError> {
        let seed = probe.generator(&format!("projection d={d}{repeat}")).next_u64();
        let total = initial.architecture().trainable_count()?;
        let projection = Projection::new(self.projection, total, d, seed, (probe.kind(), probe.device()))?;
        self.trained(probe, &Subspace::new(initial, Some(projection))?, repeat)
    }

    fn trained(&self, probe: &Probe, subspace: &Subspace, repeat: &str) -> Result<f64, MeasureError> {
        let d = subspace.dimension();
        let samples = probe.sample_size();
        let batch = BATCH.min(samples);
        let steps = self.steps.min((EPOCHS * samples).div_ceil(batch));
        let mut random = probe.generator(&format!("batches{repeat}"));
        let mut order: Vec<i64> = Vec::new();
        let descent = Descent { steps, rate: self.rate };
        let z = descent.run(subspace, &mut |step| -> Result<Batch, MeasureError> {
            probe.check_deadline().map_err(|error| match error {
                MeasureError::Timeout(reason) => MeasureError::Timeout(format!(
                    "{reason}; after {step} of {steps} steps of training in {d} dimensions"
                )),
                other => other,
            })?;
            if order.len() < batch {
                order = random.permutation(samples);
            }
            let rows: Vec<i64> = order.drain(..batch).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(probe.device())?;
            probe.count_forward(batch as i64);
            probe.count_backward(batch as i64);
            Ok(Batch {
                inputs: probe.inputs().f_index_select(0, &rows)?,
                labels: probe.labels().f_index_select(0, &rows)?,
            })
        })?;
        Ok(fit(probe, &subspace.network_at(&z)?, samples)?.accuracy)
    }

    /// One search; the names of its generators end with `repeat`.
    fn search(&self, probe: &Probe, initial: &Network, repeat: &str) -> Result<Measured, MeasureError> {
        let total = initial.architecture().trainable_count()?;
        let whole = self.trained(probe, &Subspace::new(initial, None)?, repeat)?;
        let chance = chance(probe)?;
        if whole <= chance {
            return MeasureError::undefined(format!(
                "the full accuracy {whole} is not above the share {chance} of the most frequent class"
            ));
        }
        let search = ThresholdSearch { first: FIRST, most: self.most.min(total), halvings: 2 };
        let target = self.accuracy * whole;
        let Threshold { dimension, tried } =
            search.run(target, &mut |d| self.in_subspace(probe, initial, d, repeat))?;
        let Some(dimension) = dimension else {
            let (d, best) = tried.last().copied().unwrap_or_default();
            return MeasureError::undefined(format!(
                "{d} dimensions are not enough: training in them reaches the accuracy {best}, and {target} is asked for"
            ));
        };
        let mut measured = Measured::value(dimension)
            .with_detail("full_accuracy", whole)
            .with_detail("trainings", tried.len() as f64)
            .with_detail("parameters", total as f64);
        for (d, accuracy) in tried {
            measured = measured.with_detail(&format!("accuracy_in_{d}"), accuracy);
        }
        Ok(measured)
    }
}

/// The share of the most frequent label.
fn chance(probe: &Probe) -> Result<f64, MeasureError> {
    let counts = probe.labels().f_bincount(None::<Tensor>, probe.classes())?;
    Ok(counts.f_max()?.f_to_kind(Kind::Double)?.f_double_value(&[])? / probe.sample_size() as f64)
}

impl Measure for IntrinsicDimension {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let initial = probe.folded_initial()?;
        if initial.architecture().trainable_count()? == 0 {
            return MeasureError::undefined("the network has no parameters");
        }
        repeated(self.repeats, |repeat| self.search(probe, &initial, repeat))
    }
}
