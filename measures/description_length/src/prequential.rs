//! The prequential code of the labels.

use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{Kind, Reduction, Tensor, no_grad};
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError, Retraining, Schedule, Training,
};

use crate::fit::{SAMPLES, samples};
use crate::repeats::{REPEATS, repeated, repeats};

/// Samples of a training step.
const BATCH: usize = 32;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Prequential {
    samples: usize,
    first: usize,
    epochs: usize,
    rate: f64,
    repeats: usize,
}

/// What `prequential` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "prequential",
    family: "description_length",
    version: 1,
    title: "Bits per label of a code that predicts each block of labels by a network trained on the blocks before.",
    formula: "(1/m) (t₀ log₂ C − Σ_s Σ_{t_s ≤ i < t_{s+1}} log₂ p_s(yᵢ | xᵢ)),  t_s = min(2ˢ t₀, m)",
    shapes: "p_s: the softmax of the architecture, trained from its initial weights on the samples before t_s; t₀ = 8; C: the \
             classes; m: the first samples of the sample, in random order",
    paper: "Blier & Ollivier 2018, The Description Length of Deep Learning Models (prequential or online code); Dawid 1984",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "about 20 m/n B for 20 epochs, m = 1000: the sizes t_s add up to between m and 2 m; and 1 F",
    invariances: Invariances::ALL,
    behaviour: "A retraining measure: of the network it takes the architecture and the initial weights alone, never the final ones, so \
                that no change of these tells. Networks that differ in nothing else, such as batch size, differ by the order and \
                rounding of the draws only. Training is Adam on batches of 32 in evaluation mode: without dropout, augmentation or batch \
                statistics (BatchNormalization is folded with its initial moving ones), with a rate that falls to 0. The first t₀ labels \
                have log₂ C bits each. Both sides of the code know inputs, architecture, initial weights and order. A block that the \
                network predicts worse than chance costs more than log₂ C per label, as it does when few samples are learned by \
                heart. With epochs=0 every block is predicted by the initial weights. \
                On mnist_width it ranks with the gap (τ = 0.67). Random by order and draws: over seeds the deviation was 2.7 % on \
                mnist_width/0 (29 seeds) and 2.4 % on /37 (6). Only several codes (`repeats`), with other orders of the \
                same samples, tell it of a network: then there is a standard error, and the details are the values; otherwise they \
                are the bits per label of each block, by the number of samples that were known. Undefined where a prediction is not finite.",
    stochastic: true,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "first",
            kind: ParameterKind::Integer { default: 8, min: 1, max: 1_000_000 },
            doc: "labels t₀ of the first block, which are coded without a network",
        },
        ParameterInfo {
            name: "epochs",
            kind: ParameterKind::Integer { default: 20, min: 0, max: 100_000 },
            doc: "passes over the known samples in each training",
        },
        ParameterInfo {
            name: "lr",
            kind: ParameterKind::Float { default: 1e-3, min: 1e-9, max: 10.0 },
            doc: "learning rate of Adam at its start",
        },
        REPEATS,
    ],
};

impl Prequential {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let count = |name: &str| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        Ok(Self {
            samples: samples(parameters)?,
            first: count("first")?,
            epochs: count("epochs")?,
            rate: parameters.float("lr")?,
            repeats: repeats(parameters)?,
        })
    }

    /// One code; the names of its generators end with `repeat`.
    fn code(&self, probe: &Probe, retraining: &Retraining, repeat: &str) -> Result<Measured, MeasureError> {
        let schedule = Schedule { batch: BATCH, epochs: self.epochs, rate: self.rate };
        // Of the first samples, so that a larger sample that begins with them gives the same.
        let order =
            probe.generator(&format!("samples{repeat}")).permutation(self.samples.min(probe.sample_size()));
        let mut known = self.first.min(order.len());
        let mut total = known as f64 * (probe.classes() as f64).log2();
        let mut blocks = Vec::new();
        while known < order.len() {
            let next = known.saturating_mul(2).min(order.len());
            let training = Training {
                start: retraining.initial().shallow_clone(),
                samples: order[..known].to_vec(),
                order: probe.generator(&format!("order of {known}{repeat}")),
            };
            let weights = retraining.train(&mut [training], schedule)?.f_get(0)?;
            let trained = retraining.network().with_trainable_vector(&weights)?;
            let block = bits(probe, &trained, &order[known..next])?;
            blocks.push((known, block / (next - known) as f64));
            total += block;
            known = next;
        }
        let measured = Measured::value(total / order.len() as f64);
        let detail = |measured: Measured, (known, bits): (usize, f64)| {
            measured.with_detail(&format!("bits_after_{known}"), bits)
        };
        Ok(blocks.into_iter().fold(measured, detail))
    }
}

/// Inputs and labels of the samples `rows`.
fn rows_of(probe: &Probe, rows: &[i64]) -> Result<(Tensor, Tensor), MeasureError> {
    let index = Tensor::f_from_slice(rows)?.f_to_device(probe.device())?;
    Ok((probe.inputs().f_index_select(0, &index)?, probe.labels().f_index_select(0, &index)?))
}

/// The bits of the labels of the samples `rows`, together.
fn bits(probe: &Probe, network: &Network, rows: &[i64]) -> Result<f64, MeasureError> {
    let length = usize::try_from(probe.batch_size()).unwrap_or(usize::MAX).max(1);
    let mut nats = 0.0;
    for part in rows.chunks(length) {
        probe.check_deadline()?;
        let (inputs, labels) = rows_of(probe, part)?;
        let logits = no_grad(|| network.forward(&inputs, Mode::Evaluate))?.f_to_kind(Kind::Double)?;
        probe.count_forward(part.len() as i64);
        nats += logits
            .f_cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0)?
            .f_double_value(&[])?;
    }
    if !nats.is_finite() {
        return MeasureError::undefined("the predictions of a trained network are not finite");
    }
    Ok(nats / std::f64::consts::LN_2)
}

impl Measure for Prequential {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let retraining = Retraining::new(probe)?;
        repeated(self.repeats, |repeat| self.code(probe, &retraining, repeat))
    }
}
