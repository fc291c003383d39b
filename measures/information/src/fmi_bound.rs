//! A bound on the gap by what predictions tell of which samples were trained on.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use pgdl_measure::rand::RngCore;
use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError, Retraining, Schedule, Training, decisions,
};
use pgdl_measure_gradient::jackknife;

/// How often bits are drawn that the networks know nothing of.
const RANDOM_BITS: usize = 16;

/// Samples of a training step: small ones, which make many steps of few samples.
const BATCH: usize = 8;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FmiBound {
    form: Form,
    pairs: usize,
    supersamples: usize,
    splits: usize,
    schedule: Schedule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Which of a pair is predicted rightly, all pairs together.
    Losses,
    /// The classes that are predicted for a pair, each pair by itself.
    Predictions,
}

/// What `fmi_bound` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "fmi_bound",
    family: "information",
    version: 1,
    title: "A bound on the generalization gap of the architecture, trained anew: by how much its predictions for a pair of samples tell \
            which of the two it was trained on.",
    formula: "√(2 I(Δ; U)) = √(2 (a + b) (ln 2 − h(a/(a + b)))),  Δ = L₂ − L₁,  h(p) = −p ln p − (1 − p) ln(1 − p);  form=predictions: \
              (1/(g m)) Σᵢ √(2 Î(ŷᵢ₁, ŷᵢ₂; Uᵢ))",
    shapes: "g super-samples of m pairs of samples; Uᵢ ∈ {1, 2}: which of pair i is trained on, by fair coins, s times drawn; with each \
             draw two networks are trained on m samples each, one on those that U selects and one on all others; ŷᵢ₁, ŷᵢ₂: the classes \
             that are predicted for the pair, L₁, L₂: 1 where they are wrong, or else 0; a: the share of (pair, network) where the \
             selected sample alone is predicted rightly, b: where the other one alone is; Î: information of the frequencies over the 2 s \
             networks, in nats",
    paper: "Harutyunyan, Raginsky, Ver Steeg, Galstyan 2021, Information-theoretic generalization bounds for black-box learning algorithms \
            (f-CMI, form=predictions); Hellström & Durisi 2022, A new family of generalization bounds using samplewise evaluated CMI; \
            Wang & Mao 2023, Tighter information-theoretic generalization bounds from supersamples (loss differences)",
    needs: &[Need::Labels, Need::InitialWeights],
    cost: "2 g s epochs m/n B and 4 g s m/n F, g = 4, s = 1, m = 96, 15 epochs",
    invariances: Invariances::ALL,
    behaviour: "A retraining measure, trained as `disagreement` is: of the network it takes the architecture and the distribution of its \
                initial weights, of which each training has a fresh draw. The gap is that of the errors of networks trained on m \
                samples. Pinsker's inequality bounds it in every law of predictions and a fair coin U, so also in that of the \
                frequencies: the value is never below the measured gap |a − b| (`gap` in the details), nor its expectation below the \
                expected gap, with any number of trainings. Frequencies make it a loose bound where they count few networks: E Î ≥ I. \
                The detail `value_of_random_bits` is what bits give in the mean that the networks know nothing of: a value near \
                it tells nothing. form=losses pools all pairs, in either order: I(Δ; U) of a random pair is at most the mean of I(ŷᵢ₁, ŷᵢ₂; \
                Uᵢ) over pairs. It is |a − b|/√(a + b) times a factor from 1 to 1.18, and information that is not there adds about \
                1/(2 g s m) to its square. form=predictions is the paper's, pair by pair: with s = 1 every pair of which both networks say \
                different things counts √(2 ln 2) = 1.18; splits=8 with pairs=64 is a beginning. Other details are `information` (nats; the \
                mean over pairs), `selected_error` and `unselected_error`. The standard error is the jackknife's over super-samples, each \
                drawn from the sample independently of the others: it holds super-samples, bits, initial weights and orders together, but \
                not the draw of the sample itself. Who ignores the data has 0 but for that bias, and who learns by heart and errs \
                everywhere else √(2 ln 2): on mnist_width it ranks against the gap (τ = −0.42), since the narrow networks with the largest gap do \
                not fit in so short a training. Undefined where all labels are the same, and where an output is not finite.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "form",
            kind: ParameterKind::Choice { default: "losses", options: &["losses", "predictions"] },
            doc: "what of the predictions is looked at",
        },
        ParameterInfo {
            name: "pairs",
            kind: ParameterKind::Integer { default: 96, min: 1, max: 1_000_000_000 },
            doc: "pairs m of a super-sample; half the sample when there are fewer",
        },
        ParameterInfo {
            name: "supersamples",
            kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
            doc: "number g of super-samples",
        },
        ParameterInfo {
            name: "splits",
            kind: ParameterKind::Integer { default: 1, min: 1, max: 10_000 },
            doc: "how often s each super-sample is split in two halves, of which each trains a network",
        },
        ParameterInfo {
            name: "epochs",
            kind: ParameterKind::Integer { default: 15, min: 0, max: 100_000 },
            doc: "passes over the samples in each training",
        },
        ParameterInfo {
            name: "lr",
            kind: ParameterKind::Float { default: 1e-3, min: 1e-9, max: 10.0 },
            doc: "learning rate of Adam at its start",
        },
    ],
};

impl FmiBound {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let count = |name: &str| Ok(usize::try_from(parameters.integer(name)?).unwrap_or(usize::MAX));
        Ok(Self {
            form: if parameters.choice("form")? == "losses" { Form::Losses } else { Form::Predictions },
            pairs: count("pairs")?,
            supersamples: count("supersamples")?,
            splits: count("splits")?,
            schedule: Schedule { batch: BATCH, epochs: count("epochs")?, rate: parameters.float("lr")? },
        })
    }

    /// Trains and predicts: the pairs of each super-sample.
    fn observe(&self, probe: &Probe) -> Result<Vec<Vec<Pair>>, MeasureError> {
        let retraining = Retraining::new(probe)?;
        retraining.check_labels()?;
        // Labels differ, and so there are two samples at least.
        let pairs = self.pairs.min(probe.sample_size() / 2);
        let (mut trainings, mut samples, mut selected) = (Vec::new(), Vec::new(), Vec::new());
        for set in 0..self.supersamples {
            let generator = |what: &str| probe.generator(&format!("{what} of super-sample {set}"));
            let order = generator("samples").permutation(probe.sample_size());
            let both = &order[..2 * pairs];
            let mut coins = generator("bits");
            for split in 0..self.splits {
                let bits: Vec<usize> = (0..pairs).map(|_| (coins.next_u32() & 1) as usize).collect();
                for half in 0..2 {
                    let generator = |what: &str| generator(&format!("{what} {split} {half}"));
                    let own: Vec<usize> = bits.iter().map(|bit| bit ^ half).collect();
                    trainings.push(Training {
                        start: retraining.fresh_start(&mut generator("start"))?,
                        samples: both.chunks(2).zip(&own).map(|(pair, bit)| pair[*bit]).collect(),
                        order: generator("order"),
                    });
                    samples.push(both.to_vec());
                    selected.push(own);
                }
            }
        }
        let weights = retraining.train(&mut trainings, self.schedule)?;
        let predicted = decisions(&retraining.outputs(&weights, &samples)?)?;
        let predicted: Vec<Vec<i64>> = Vec::try_from(predicted)?;
        let labels: Vec<Vec<i64>> = Vec::try_from(retraining.labels_of(&samples)?)?;
        let of_set = |set: usize| {
            let networks = set * 2 * self.splits..(set + 1) * 2 * self.splits;
            let pair = |pair: usize| Pair {
                labels: [labels[networks.start][2 * pair], labels[networks.start][2 * pair + 1]],
                networks: networks
                    .clone()
                    .map(|network| Seen {
                        predicted: [predicted[network][2 * pair], predicted[network][2 * pair + 1]],
                        selected: selected[network][pair],
                    })
                    .collect(),
            };
            (0..pairs).map(pair).collect()
        };
        Ok((0..self.supersamples).map(of_set).collect())
    }
}

/// A pair of samples and what networks predict for it: each two of them in a row were trained on its two samples.
#[derive(Clone, Debug)]
struct Pair {
    labels: [i64; 2],
    networks: Vec<Seen>,
}

/// What one network predicts for a pair.
#[derive(Clone, Copy, Debug)]
struct Seen {
    predicted: [i64; 2],
    /// Which of the two it was trained on.
    selected: usize,
}

/// What there is to say of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    value: f64,
    /// In nats.
    information: f64,
    selected_error: f64,
    unselected_error: f64,
}

impl Bound {
    fn of<'a>(form: Form, pairs: impl Iterator<Item = &'a Pair>) -> Self {
        let (mut count, mut networks) = (0.0, 0.0);
        let (mut selected, mut unselected, mut selected_alone, mut unselected_alone) = (0.0, 0.0, 0.0, 0.0);
        let (mut roots, mut informations) = (0.0, 0.0);
        for pair in pairs {
            count += 1.0;
            for seen in &pair.networks {
                let wrong = |of: usize| f64::from(u8::from(seen.predicted[of] != pair.labels[of]));
                let errors = [wrong(seen.selected), wrong(1 - seen.selected)];
                networks += 1.0;
                selected += errors[0];
                unselected += errors[1];
                selected_alone += (1.0 - errors[0]) * errors[1];
                unselected_alone += errors[0] * (1.0 - errors[1]);
            }
            if form == Form::Predictions {
                let information = plug_in(&pair.networks);
                informations += information;
                roots += (2.0 * information).sqrt();
            }
        }
        let (value, information) = match form {
            Form::Losses => {
                let information = of_differences(selected_alone / networks, unselected_alone / networks);
                ((2.0 * information).sqrt(), information)
            }
            Form::Predictions => (roots / count, informations / count),
        };
        Self {
            value,
            information,
            selected_error: selected / networks,
            unselected_error: unselected / networks,
        }
    }
}

/// (a + b) (ln 2 − h(a/(a + b))): the information of Δ on a fair coin U in a law that knows no order of a pair.
fn of_differences(a: f64, b: f64) -> f64 {
    let part = |share: f64| if share > 0.0 { share * (2.0 * share / (a + b)).ln() } else { 0.0 };
    (part(a) + part(b)).max(0.0)
}

/// The information, in nats, of the predictions on the selection by their frequencies.
fn plug_in(networks: &[Seen]) -> f64 {
    let mut counts: BTreeMap<[i64; 2], [f64; 2]> = BTreeMap::new();
    let mut of_bit = [0.0; 2];
    for seen in networks {
        counts.entry(seen.predicted).or_default()[seen.selected] += 1.0;
        of_bit[seen.selected] += 1.0;
    }
    let total: f64 = of_bit.iter().sum();
    let term = |both: f64, alone: f64, bit: f64| {
        if both > 0.0 { both / total * (both * total / (alone * bit)).ln() } else { 0.0 }
    };
    let sum: f64 = counts
        .values()
        .map(|both| (0..2).map(|bit| term(both[bit], both[0] + both[1], of_bit[bit])).sum::<f64>())
        .sum();
    sum.clamp(0.0, LN_2)
}

/// The same with bits that the networks know nothing of.
fn with_random_bits(sets: &[Vec<Pair>], random: &mut impl RngCore) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = sets.iter().flatten().cloned().collect();
    for pair in &mut pairs {
        for split in pair.networks.chunks_mut(2) {
            let flip = (random.next_u32() & 1) as usize;
            split.iter_mut().for_each(|seen| seen.selected ^= flip);
        }
    }
    pairs
}

impl Measure for FmiBound {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let sets = self.observe(probe)?;
        let measured = jackknife(sets.len(), |left_out| {
            let kept = sets.iter().enumerate().filter(|(set, _)| Some(*set) != left_out);
            Ok(Measured::value(Bound::of(self.form, kept.flat_map(|(_, pairs)| pairs)).value))
        })?;
        let mut random = probe.generator("random bits");
        let mut blind = 0.0;
        for _ in 0..RANDOM_BITS {
            probe.check_deadline()?;
            blind += Bound::of(self.form, with_random_bits(&sets, &mut random).iter()).value;
        }
        let bound = Bound::of(self.form, sets.iter().flatten());
        Ok(measured
            .with_detail("information", bound.information)
            .with_detail("gap", bound.unselected_error - bound.selected_error)
            .with_detail("selected_error", bound.selected_error)
            .with_detail("unselected_error", bound.unselected_error)
            .with_detail("value_of_random_bits", blind / RANDOM_BITS as f64))
    }
}

#[cfg(test)]
mod tests {
    use pgdl_measure::Generator;
    use pgdl_measure::tch::{Device, Kind};

    use super::*;

    fn generator(purpose: &str) -> Generator {
        Generator::new(&[b"fmi_bound", purpose.as_bytes()], Device::Cpu, Kind::Double)
    }

    /// Pairs of labels 0, and networks that predict the selected sample and the other one by `predict`; two networks a split.
    fn pairs(
        count: usize,
        splits: usize,
        random: &mut Generator,
        predict: impl Fn(&mut Generator) -> [i64; 2],
    ) -> Vec<Pair> {
        let pair = |_| {
            let mut networks = Vec::new();
            for _ in 0..splits {
                let bit = (random.next_u32() & 1) as usize;
                for selected in [bit, 1 - bit] {
                    let [own, other] = predict(random);
                    let predicted = if selected == 0 { [own, other] } else { [other, own] };
                    networks.push(Seen { predicted, selected });
                }
            }
            Pair { labels: [0, 0], networks }
        };
        (0..count).map(pair).collect()
    }

    fn bound(form: Form, pairs: &[Pair]) -> Bound {
        Bound::of(form, pairs.iter())
    }

    #[test]
    fn who_learns_by_heart_and_errs_elsewhere_tells_every_bit() {
        let known = pairs(30, 3, &mut generator("heart"), |_| [0, 1]);
        for form in [Form::Losses, Form::Predictions] {
            let found = bound(form, &known);
            assert!((found.information - LN_2).abs() < 1e-12, "{found:?}");
            assert!((found.value - (2.0 * LN_2).sqrt()).abs() < 1e-12, "{found:?}");
            assert_eq!((found.selected_error, found.unselected_error), (0.0, 1.0));
        }
    }

    #[test]
    fn who_says_the_same_of_either_sample_tells_nothing() {
        for answer in [0, 1] {
            let blind = pairs(30, 3, &mut generator("blind"), |_| [answer, answer]);
            for form in [Form::Losses, Form::Predictions] {
                assert_eq!(bound(form, &blind).value, 0.0);
            }
        }
    }

    /// I(Δ; U) = H(Δ) + H(U) − H(Δ, U) of the law with every pair in either order.
    #[test]
    fn the_closed_form_is_the_information_of_the_joint_law() {
        let entropy = |law: &[f64]| -law.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        for (a, b) in [(0.3, 0.1), (0.0, 0.4), (0.5, 0.5), (0.2, 0.2), (0.9, 0.05), (0.0, 0.0)] {
            let rest = 1.0 - a - b;
            // U by Δ = 1, −1, 0.
            let joint = [a, b, rest, b, a, rest].map(|p: f64| p / 2.0);
            let expected = entropy(&[(a + b) / 2.0, (a + b) / 2.0, rest]) + LN_2 - entropy(&joint);
            assert!((of_differences(a, b) - expected).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn the_plug_in_is_that_of_entropies() {
        let random = &mut generator("entropies");
        for pair in pairs(20, 6, random, |random| [0, 1].map(|_| i64::from(random.next_u32() % 3))) {
            let entropy = |key: &dyn Fn(&Seen) -> [i64; 3]| {
                let mut counts: BTreeMap<[i64; 3], f64> = BTreeMap::new();
                pair.networks.iter().for_each(|seen| *counts.entry(key(seen)).or_default() += 1.0 / 12.0);
                -counts.values().map(|p| p * p.ln()).sum::<f64>()
            };
            let predicted = entropy(&|seen| [seen.predicted[0], seen.predicted[1], 0]);
            let joint = entropy(&|seen| [seen.predicted[0], seen.predicted[1], seen.selected as i64]);
            let expected = predicted + LN_2 - joint;
            assert!((plug_in(&pair.networks) - expected).abs() < 1e-12);
        }
    }

    /// Each in every sample, not only in the mean: √(2 I) is above the gap, and the mean of what single pairs' predictions tell
    /// above what all pairs' losses tell together.
    #[test]
    fn both_forms_are_above_the_gap_and_information_is_lost_by_pooling() {
        let random = &mut generator("laws");
        for case in 0..200 {
            let (own, other) = (1 + case % 5, 1 + case / 5 % 7);
            let drawn = pairs(1 + case as usize % 4, 1 + case as usize % 3, random, |random| {
                [i64::from(random.next_u32() % own), i64::from(random.next_u32() % other)]
            });
            let [losses, predictions] = [Form::Losses, Form::Predictions].map(|form| bound(form, &drawn));
            let gap = (losses.unselected_error - losses.selected_error).abs();
            assert!(losses.value >= gap - 1e-12, "{losses:?}");
            assert!(predictions.value >= gap - 1e-12, "{predictions:?}");
            assert!(losses.information <= predictions.information + 1e-12, "{losses:?} {predictions:?}");
        }
    }

    /// The plug-in is never below the true information in the mean, and near it with many networks.
    #[test]
    fn few_networks_tell_too_much_and_never_too_little() {
        // Rightly with 0.9 where selected, with 0.5 elsewhere: predictions of the pair are (0, 0), (0, 1), (1, 0), (1, 1).
        let of_selection = |first: bool| -> [f64; 4] {
            let right = |selected: bool| if selected { [0.9, 0.1] } else { [0.5, 0.5] };
            let (one, two) = (right(first), right(!first));
            [one[0] * two[0], one[0] * two[1], one[1] * two[0], one[1] * two[1]]
        };
        let (one, two) = (of_selection(true), of_selection(false));
        let truth: f64 = one
            .iter()
            .zip(&two)
            .map(|(p, q)| {
                let mean = (p + q) / 2.0;
                p / 2.0 * (p / mean).ln() + q / 2.0 * (q / mean).ln()
            })
            .sum();
        let random = &mut generator("bias");
        let mean = |random: &mut Generator, splits: usize| {
            let drawn = pairs(400, splits, random, |random| {
                let wrong = |random: &mut Generator, of_ten: u32| i64::from(random.next_u32() % 10 < of_ten);
                [wrong(random, 1), wrong(random, 5)]
            });
            let each: Vec<f64> = drawn.iter().map(|pair| plug_in(&pair.networks)).collect();
            let mean = each.iter().sum::<f64>() / 400.0;
            (mean, (each.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / 399.0 / 400.0).sqrt())
        };
        let (few, error) = mean(random, 2);
        assert!(few > truth + 4.0 * error, "{few} {error} {truth}");
        let (many, error) = mean(random, 200);
        assert!(many > truth - 4.0 * error && many < truth + 0.01, "{many} {error} {truth}");
    }
}
