//! Disagreement of networks that are trained alike.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError, Retraining, Schedule, Training, decisions,
};

/// Samples of a training step: small ones, which make many steps of few samples.
const BATCH: usize = 8;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Disagreement {
    disjoint: bool,
    pairs: usize,
    samples: usize,
    held_out: usize,
    schedule: Schedule,
}

/// What `disagreement` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "disagreement",
    family: "stability",
    version: 1,
    title: "How often two networks of the architecture, trained anew and alike, predict different classes for samples that they were \
            not trained on.",
    formula: "(1/p) Σ_{t ≤ p} (1/q) Σ_{x ∈ H_t} 1[argmax f(x; v_t) ≠ argmax f(x; v′_t)]",
    shapes: "v_t, v′_t: two trainings on m samples S_t, drawn from the sample, from two fresh draws of initial weights and in two \
             orders; H_t: q other samples; data=disjoint: v′_t on m samples of its own; at most half of the sample is trained on (a third \
             by each, data=disjoint)",
    paper: "Nakkiran & Bansal 2020, Distributional Generalization (agreement property; data=disjoint); Jiang, Nagarajan, Baek, Kolter \
            2022, Assessing Generalization of SGD via Disagreement",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "2 p epochs m/n B and 2 p (m + q)/n F, p = 4, m = 96, q = 300, 15 epochs",
    invariances: Invariances::ALL,
    behaviour: "A retraining measure: of the network it takes the architecture and the distribution of its initial weights, of which a fresh \
                draw is each initial tensor with its values in random order. Networks that differ in neither, such as by batch size, \
                differ by the draws only. Training is Adam on batches of 8 in evaluation mode, without dropout or \
                augmentation, BatchNormalization folded, with a rate that falls to 0. Disagreement equals the test error in expectation over \
                trainings where votes are calibrated: of all (sample, class) for which a share v of trainings votes, a share v is right \
                (Jiang et al., class-aggregated calibration). What tells whether that can be expected is in the details: the twins' mean \
                error on H (`held_out_error`: that of training on m samples), their mean confidence less their accuracy there \
                (`confidence_gap`), and the mean and the worst accuracy on what they were trained on (`train_accuracy`, \
                `least_train_accuracy`), beside the share of the most frequent class there (`most_frequent_class`): twins \
                that did not fit agree or disagree for no good reason. On mnist_width it ranks with the gap (τ = 0.76). The standard error is over pairs, each drawn from the sample \
                independently of the others: it holds samples, held-out samples, initial weights and orders together, but not the draw of \
                the sample itself. Undefined where every twin predicts one class for all that it was trained on, where all \
                labels are the same, and where an output is not finite.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "data",
            kind: ParameterKind::Choice { default: "same", options: &["same", "disjoint"] },
            doc: "whether the twins of a pair are trained on the same samples or on disjoint ones",
        },
        ParameterInfo {
            name: "pairs",
            kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
            doc: "number p of pairs of twins",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 96, min: 1, max: 1_000_000_000 },
            doc: "number m of samples of each training",
        },
        ParameterInfo {
            name: "held_out",
            kind: ParameterKind::Integer { default: 300, min: 1, max: 1_000_000_000 },
            doc: "number q of samples that each pair is compared on; all others when there are fewer",
        },
        ParameterInfo {
            name: "epochs",
            kind: ParameterKind::Integer { default: 15, min: 1, max: 100_000 },
            doc: "passes over the samples in each training",
        },
        ParameterInfo {
            name: "lr",
            kind: ParameterKind::Float { default: 1e-3, min: 1e-9, max: 10.0 },
            doc: "learning rate of Adam at its start",
        },
    ],
};

impl Disagreement {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let count = |name: &str| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        Ok(Self {
            disjoint: parameters.choice("data")? == "disjoint",
            pairs: count("pairs")?,
            samples: count("samples")?,
            held_out: count("held_out")?,
            schedule: Schedule { batch: BATCH, epochs: count("epochs")?, rate: parameters.float("lr")? },
        })
    }

    /// The samples of both twins of a pair, and those to compare them on.
    fn draw(&self, probe: &Probe, pair: usize) -> Result<([Vec<i64>; 2], Vec<i64>), MeasureError> {
        let sets = if self.disjoint { 2 } else { 1 };
        let size = probe.sample_size();
        let samples = self.samples.min(size / (sets + 1));
        if samples == 0 {
            return MeasureError::undefined(format!(
                "a sample of {size} is too small to train on a part of it and compare on another"
            ));
        }
        let order = probe.generator(&format!("samples of pair {pair}")).permutation(size);
        let (trained, rest) = order.split_at(sets * samples);
        let twins = [trained[..samples].to_vec(), trained[(sets - 1) * samples..].to_vec()];
        Ok((twins, rest[..self.held_out.min(rest.len())].to_vec()))
    }
}

/// How many rows of `[k, q]` have more than one value.
fn varied(rows: &Tensor) -> Result<i64, MeasureError> {
    let differ = rows.f_ne_tensor(&rows.f_narrow(1, 0, 1)?)?;
    Ok(differ.f_any_dim(1, false)?.f_sum(Kind::Int64)?.f_int64_value(&[])?)
}

/// The share of the most frequent label.
fn share_of_the_most_frequent(mut labels: Vec<i64>) -> f64 {
    labels.sort_unstable();
    let most = labels.chunk_by(|a, b| a == b).map(<[i64]>::len).max().unwrap_or(0);
    most as f64 / labels.len() as f64
}

/// The mean of a tensor of any kind.
fn mean(tensor: &Tensor) -> Result<f64, MeasureError> {
    Ok(tensor.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?)
}

impl Measure for Disagreement {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let retraining = Retraining::new(probe)?;
        retraining.check_labels()?;
        let (mut trainings, mut seen, mut held_out) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..self.pairs {
            let (twins, rest) = self.draw(probe, pair)?;
            for (twin, samples) in twins.into_iter().enumerate() {
                let generator =
                    |what: &str| probe.generator(&format!("{what} of twin {twin} of pair {pair}"));
                seen.push(samples.clone());
                held_out.push(rest.clone());
                trainings.push(Training {
                    start: retraining.fresh_start(&mut generator("start"))?,
                    samples,
                    order: generator("order"),
                });
            }
        }
        let weights = retraining.train(&mut trainings, self.schedule)?;
        let right = |outputs: &Tensor, samples: &[Vec<i64>]| -> Result<Tensor, MeasureError> {
            Ok(decisions(outputs)?.f_eq_tensor(&retraining.labels_of(samples)?)?)
        };

        let outputs = retraining.outputs(&weights, &seen)?;
        if varied(&decisions(&outputs)?)? == 0 {
            return MeasureError::undefined(format!(
                "each of the {} networks, trained anew, predicts one class for all that it was trained on",
                seen.len()
            ));
        }
        let fitted = right(&outputs, &seen)?.f_to_kind(Kind::Double)?.f_mean_dim(1, false, Kind::Double)?;
        let mut chance = 0.0;
        for labels in Vec::<Vec<i64>>::try_from(retraining.labels_of(&seen)?)? {
            chance += share_of_the_most_frequent(labels) / seen.len() as f64;
        }

        let outputs = retraining.outputs(&weights, &held_out)?;
        let accuracy = mean(&right(&outputs, &held_out)?)?;
        let confidence = mean(&outputs.f_softmax(-1, Kind::Double)?.f_amax([-1], false)?)?;
        let decided = decisions(&outputs)?.f_reshape([self.pairs as i64, 2, -1])?;
        let differ = decided.f_select(1, 0)?.f_ne_tensor(&decided.f_select(1, 1)?)?;
        let shares = differ.f_to_kind(Kind::Double)?.f_mean_dim(1, false, Kind::Double)?;
        let standard_error = shares.f_std(true)?.f_double_value(&[])? / (self.pairs as f64).sqrt();
        Ok(Measured::value(mean(&shares)?)
            .with_standard_error(standard_error)
            .with_detail("held_out_error", 1.0 - accuracy)
            .with_detail("confidence_gap", confidence - accuracy)
            .with_detail("train_accuracy", mean(&fitted)?)
            .with_detail("most_frequent_class", chance)
            .with_detail("least_train_accuracy", fitted.f_min()?.f_double_value(&[])?))
    }
}
