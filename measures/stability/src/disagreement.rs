//! Disagreement of networks that are trained alike.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError, Retraining, Schedule, Training, decisions,
};

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
    cost: "2 p epochs m/n B and 2 p (m + q)/n F, p = 4, m = 96, q = 300, 20 epochs",
    invariances: Invariances::ALL,
    behaviour: "A retraining measure: of the network it takes the architecture and the distribution of its initial weights, of which a fresh \
                draw is each initial tensor with its values in random order. Networks that differ in neither, such as by batch size, \
                differ by the draws only. Training is that of `prequential`: Adam on batches of 32, in evaluation mode, \
                BatchNormalization folded, the rate falling to 0. In expectation over trainings disagreement is the test error \
                exactly where the share of trainings that vote for a class is calibrated (Jiang et al., theorem 4.1). The details have what tells \
                whether it can be: the twins' mean error on H (`held_out_error`, here of networks trained on m samples), their mean \
                confidence less their accuracy there (`confidence_gap`), and their accuracy on what they were trained on, \
                the mean (`train_accuracy`) and the worst twin's (`least_train_accuracy`): twins that \
                did not fit may agree for no good reason. The standard error is over pairs, which are drawn independently of each other \
                from the sample: it holds samples, held-out samples, initial weights and orders together, but not \
                the draw of the sample itself. Undefined where the twins fit no better on the whole than the most frequent class \
                does, where all labels are the same, and where an output is not finite.",
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
            kind: ParameterKind::Integer { default: 20, min: 1, max: 100_000 },
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
            schedule: Schedule { epochs: count("epochs")?, rate: parameters.float("lr")? },
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

/// The number of samples of the most frequent label.
fn most_frequent(labels: &Tensor) -> Result<f64, MeasureError> {
    Ok(labels.f_bincount::<Tensor>(None, 0)?.f_max()?.f_double_value(&[])?)
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

        let fitted = right(&retraining.outputs(&weights, &seen)?, &seen)?
            .f_to_kind(Kind::Double)?
            .f_mean_dim(1, false, Kind::Double)?;
        let train_accuracy = mean(&fitted)?;
        let seen_labels = retraining.labels_of(&seen)?;
        let mut chance = 0.0;
        for training in 0..trainings.len() as i64 {
            chance += most_frequent(&seen_labels.f_get(training)?)?;
        }
        let chance = chance / seen_labels.numel() as f64;
        if train_accuracy <= chance {
            return MeasureError::undefined(format!(
                "the networks did not fit: trained anew they have the accuracy {train_accuracy} on their {} samples, of which the \
                 most frequent class has {chance}",
                seen[0].len()
            ));
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
            .with_detail("train_accuracy", train_accuracy)
            .with_detail("least_train_accuracy", fitted.f_min()?.f_double_value(&[])?))
    }
}
