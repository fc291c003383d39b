//! Random labels in place of a share of the true ones.

use pgdl_zoo::Dataset;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::settings::LABEL_NOISE;
use crate::train::below;

/// A class in one byte, as idx files hold it.
const MOST_CLASSES: i64 = 256;

/// The training sample of network `id` with the labels that it is to be trained on, where those are not the sample's own:
/// with probability p (the setting `label_noise`) a label is drawn anew, uniformly from all classes (Zhang et al. 2017,
/// Section 2.1), so that it may come out right.
///
/// What is drawn follows from the recipe's seed alone: networks with the same p have the same labels, and of two p's
/// the larger changes what the smaller does, and more.
pub(crate) fn relabelled(recipe: &Recipe, id: u64, train: &Dataset) -> Result<Option<Dataset>> {
    let share = recipe.settings(id)?.number_or_default(&LABEL_NOISE);
    if share == 0.0 {
        return Ok(None);
    }
    let (_, classes) = recipe.input()?;
    if classes > MOST_CLASSES {
        let expected = format!("0 with more than {MOST_CLASSES} classes");
        return Err(TrainError::value("label_noise", share, expected));
    }
    let mut generator = generator(recipe.seed);
    let labels = Vec::<i64>::try_from(&train.labels)?;
    let noisy: Vec<i64> = labels
        .into_iter()
        .map(|label| {
            // Both are drawn for every sample, so that the draws of one do not depend on the others.
            let (at, class) = (uniform(&mut generator), below(classes.unsigned_abs(), &mut generator) as i64);
            if at < share { class } else { label }
        })
        .collect();
    let labels = Tensor::f_from_slice(&noisy)?.f_to_kind(Kind::Int64)?;
    Ok(Some(Dataset { inputs: train.inputs.shallow_clone(), labels }))
}

fn generator(seed: u64) -> ChaCha20Rng {
    let mut hash = Sha256::new();
    hash.update(b"pgdl train label noise 1\0");
    hash.update(seed.to_le_bytes());
    ChaCha20Rng::from_seed(hash.finalize().into())
}

/// Uniform in [0, 1), of 53 bits.
fn uniform(generator: &mut ChaCha20Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    const SAMPLES: usize = 2_000;

    fn recipe() -> Recipe {
        Recipe::parse(&format!(
            r#"
            schema = 1
            name = "noisy"
            seed = 4
            family = "mlp"
            [synthetic]
            shape = [2, 1, 1]
            classes = 5
            train = {SAMPLES}
            test = 5
            noise = 0.3
            [fixed]
            depth = 1
            lr = 0.1
            bs = 20
            [[axis]]
            name = "width"
            values = [2, 3]
            [[axis]]
            name = "label_noise"
            values = [0.0, 0.25, 0.5, 1.0]
            [training]
            optimizer = "adam"
            max_epochs = 1
            "#
        ))
        .unwrap()
    }

    fn labels(recipe: &Recipe, id: u64, train: &Dataset) -> Vec<i64> {
        let relabelled = relabelled(recipe, id, train).unwrap();
        Vec::<i64>::try_from(&relabelled.as_ref().unwrap_or(train).labels).unwrap()
    }

    #[test]
    fn the_share_of_random_labels_is_the_one_asked_for() {
        let recipe = recipe();
        let (train, _) = recipe.synthetic.as_ref().unwrap().draw(recipe.seed).unwrap();
        let clean = Vec::<i64>::try_from(&train.labels).unwrap();
        assert!(relabelled(&recipe, 0, &train).unwrap().is_none());
        let mut before: Option<Vec<i64>> = None;
        for (id, share) in [(1, 0.25), (2, 0.5), (3, 1.0)] {
            let noisy = labels(&recipe, id, &train);
            assert_eq!(noisy, labels(&recipe, id + 4, &train), "the width changes no label");
            assert!(noisy.iter().all(|label| (0..5).contains(label)));
            let changed = noisy.iter().zip(&clean).filter(|(noisy, clean)| noisy != clean).count() as f64;
            // A random label is another one with probability 4/5; five standard deviations.
            let expected = SAMPLES as f64 * share * 0.8;
            let deviation = (SAMPLES as f64 * share * 0.8 * (1.0 - share * 0.8)).sqrt();
            assert!((changed - expected).abs() < 5.0 * deviation, "{changed} of {expected}");
            if let Some(before) = before {
                let kept =
                    before.iter().zip(&clean).zip(&noisy).filter(|((before, clean), _)| before != clean);
                assert!(kept.clone().count() > 0);
                kept.for_each(|((before, _), noisy)| assert_eq!(before, noisy));
            }
            before = Some(noisy);
        }
        assert_eq!(train.labels.device(), Device::Cpu);
    }
}
