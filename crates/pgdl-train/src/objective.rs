//! What training minimizes: the cross-entropy, or that and a regularizer.

use pgdl_nc::images::Scale;
use pgdl_nc::model::{Precision, Ready, Rows, Source};
use pgdl_nc::{Checkpoint, NcError};
use pgdl_network::{Mode, Network};
use pgdl_zoo::data_reference::DataReference;
use pgdl_zoo::{Dataset, Split};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tch::{Device, Kind, Reduction, Tensor};

use crate::error::{Result, TrainError};
use crate::recipe::{Complexity, Recipe, Regularizer};
use crate::train::below;

/// A training loss.
pub(crate) enum Objective {
    /// The cross-entropy.
    CrossEntropy,
    /// With targets that give this share of every label to all classes alike (Szegedy et al. 2016, section 7).
    LabelSmoothing(f64),
    /// Of convex combinations of two inputs and of their labels, with weights of a Beta(α, α) distribution, one for each
    /// batch (Zhang et al. 2018).
    Mixup { alpha: f64, generator: ChaCha20Rng },
    /// And λ times the network's Neural Complexity (Lee et al. 2020).
    Complexity(Box<Penalty>),
}

/// What λ·NC needs.
pub(crate) struct Penalty {
    model: Ready,
    classes: i64,
    /// What the model's image part makes of the training inputs and, behind them, of the queries: `[n + q, width]`.
    embedded: Tensor,
    /// Unlabelled inputs, `[q, …]`, in the kind of numbers that passes use.
    queries: Tensor,
    /// How many training inputs there are.
    train: i64,
    weight: f64,
    /// Steps over which the weight rises from 0 on a line.
    rise: f64,
    generator: ChaCha20Rng,
}

impl Objective {
    /// Of network `id`, on these training data, whose passes use numbers of `kind`.
    pub(crate) fn new(
        recipe: &Recipe,
        id: u64,
        train: &Dataset,
        kind: Kind,
        device: Device,
        steps_per_epoch: f64,
    ) -> Result<Self> {
        let plan = &recipe.training;
        let generator = ChaCha20Rng::seed_from_u64(recipe.seed_of(id, "regularizer")?);
        Ok(match plan.regularizer {
            None => Self::CrossEntropy,
            Some(Regularizer::LabelSmoothing) => Self::LabelSmoothing(plan.smoothing),
            Some(Regularizer::Mixup) => Self::Mixup { alpha: plan.mixup_alpha, generator },
            Some(Regularizer::Nc) => {
                let missing = || TrainError::Recipe("regularizer `nc` takes a table [training.nc]".into());
                let settings = plan.nc.as_ref().ok_or_else(missing)?;
                let queries = queries(recipe, settings)?;
                Self::Complexity(Box::new(Penalty::new(
                    settings,
                    train,
                    &queries,
                    kind,
                    device,
                    steps_per_epoch,
                    generator,
                )?))
            }
        })
    }

    /// The loss of a batch: inputs `x` `[b, …]` and labels `y` `[b]` of the samples at `positions`, at `step`, counted
    /// from 0. In 32-bit numbers.
    pub(crate) fn loss(
        &mut self,
        network: &Network,
        positions: &[i64],
        x: &Tensor,
        y: &Tensor,
        step: u64,
    ) -> Result<Tensor> {
        // Gradients pass through the conversion to the 32-bit leaves.
        let network = network.to_kind(x.kind())?;
        let logits = |inputs: &Tensor| -> Result<Tensor> {
            Ok(network.forward(inputs, Mode::Train)?.f_to_kind(Kind::Float)?)
        };
        match self {
            Self::CrossEntropy => cross_entropy(&logits(x)?, y, Reduction::Mean),
            Self::LabelSmoothing(share) => {
                let smooth = *share;
                Ok(logits(x)?.f_cross_entropy_loss(y, None::<&Tensor>, Reduction::Mean, -100, smooth)?)
            }
            Self::Mixup { alpha, generator } => {
                let weight = beta(*alpha, generator);
                let mut order: Vec<i64> = (0..positions.len() as i64).collect();
                for last in (1..order.len()).rev() {
                    order.swap(last, below(last as u64 + 1, generator) as usize);
                }
                let order = Tensor::f_from_slice(&order)?.f_to_device(x.device())?;
                let (others, labels) = (x.f_index_select(0, &order)?, y.f_index_select(0, &order)?);
                let mixed = x.f_mul_scalar(weight)?.f_add(&others.f_mul_scalar(1.0 - weight)?)?;
                let logits = logits(&mixed)?;
                let own = cross_entropy(&logits, y, Reduction::Mean)?;
                let other = cross_entropy(&logits, &labels, Reduction::Mean)?;
                Ok(own.f_mul_scalar(weight)?.f_add(&other.f_mul_scalar(1.0 - weight)?)?)
            }
            Self::Complexity(penalty) => penalty.loss(&logits, positions, x, y, step),
        }
    }
}

impl Penalty {
    fn new(
        settings: &Complexity,
        train: &Dataset,
        queries: &Dataset,
        kind: Kind,
        device: Device,
        steps_per_epoch: f64,
        generator: ChaCha20Rng,
    ) -> Result<Self> {
        let path = &settings.checkpoint;
        let checkpoint = Checkpoint::read(path, device)?;
        let (images, _) = checkpoint.description.recipe.classification()?;
        if checkpoint.model.shape().looks != 1 {
            return Err(TrainError::Recipe(format!(
                "{}: the model looks at mirrored images, too: it is a measure, and no regularizer",
                path.display()
            )));
        }
        let labels = train.labels.f_max()?.f_int64_value(&[])?;
        if labels >= images.classes {
            return Err(TrainError::Recipe(format!(
                "{}: the model is for {} classes, but there is a label {labels}",
                path.display(),
                images.classes
            )));
        }
        let model = checkpoint.model.ready(Precision::Float32, false)?;
        let scale = Scale::of(&train.inputs)?;
        let mut embedded = Vec::new();
        for data in [train, queries] {
            let views = images.view.of(&data.inputs, &scale)?.f_to_device(device)?;
            embedded.push(model.embed_images(&views)?);
        }
        Ok(Self {
            model,
            classes: images.classes,
            embedded: Tensor::f_cat(&embedded, 0)?,
            queries: queries.inputs.f_to_device(device)?.f_to_kind(kind)?,
            train: train.len() as i64,
            weight: settings.weight,
            rise: settings.rise_epochs * steps_per_epoch,
            generator,
        })
    }

    fn loss(
        &mut self,
        logits: &dyn Fn(&Tensor) -> Result<Tensor>,
        positions: &[i64],
        x: &Tensor,
        y: &Tensor,
        step: u64,
    ) -> Result<Tensor> {
        let risen = if self.rise > 0.0 { (step as f64 / self.rise).min(1.0) } else { 1.0 };
        let weight = self.weight * risen;
        if weight == 0.0 {
            return cross_entropy(&logits(x)?, y, Reduction::Mean);
        }
        let count = positions.len() as i64;
        let asked = self.queries.size().first().copied().unwrap_or(0);
        let drawn: Vec<i64> =
            (0..count).map(|_| below(asked.unsigned_abs(), &mut self.generator) as i64).collect();
        let index =
            |values: &[i64]| -> Result<Tensor> { Ok(Tensor::f_from_slice(values)?.f_to_device(x.device())?) };
        let drawn = index(&drawn)?;
        let both = logits(&Tensor::f_cat(&[x, &self.queries.f_index_select(0, &drawn)?], 0)?)?;
        let losses = both.f_narrow(0, 0, count)?.f_cross_entropy_loss(
            y,
            None::<&Tensor>,
            Reduction::None,
            -100,
            0.0,
        )?;
        // Classes that the data have not, but the model has, are never right.
        let missing = self.classes - both.size()[1];
        let outputs = both.f_softmax(1, Kind::Float)?.f_constant_pad_nd([0, missing])?;
        let one = |tensor: &Tensor| tensor.f_unsqueeze(0);
        let complexity = self.model.complexity(&Rows {
            source: Source::Embedded(self.embedded.shallow_clone()),
            train_losses: Some(one(&losses)?),
            train_inputs: one(&index(positions)?)?,
            train_targets: one(&y.f_one_hot(self.classes)?.f_to_kind(Kind::Float)?)?,
            train_outputs: one(&outputs.f_narrow(0, 0, count)?)?,
            test_inputs: one(&drawn.f_add_scalar(self.train)?)?,
            test_outputs: one(&outputs.f_narrow(0, count, count)?)?,
        })?;
        let penalty = complexity.f_sum(Kind::Float)?.f_mul_scalar(weight)?;
        Ok(losses.f_mean(Kind::Float)?.f_add(&penalty)?)
    }
}

/// The unlabelled images that NC asks about.
fn queries(recipe: &Recipe, settings: &Complexity) -> Result<Dataset> {
    let Some(data) = &recipe.data else {
        return Err(TrainError::Recipe("regularizer `nc` takes [data], not [synthetic]".into()));
    };
    let sample = (Split::Train, settings.queries.clone());
    let (_, queries, _) =
        DataReference::new(&data.dataset, data.transform.clone(), sample, None, &mut |_| {})?;
    Ok(queries)
}

pub(crate) fn cross_entropy(logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Result<Tensor> {
    Ok(logits.f_cross_entropy_loss(labels, None::<&Tensor>, reduction, -100, 0.0)?)
}

/// A draw from Beta(α, α) (Jöhnk 1964).
fn beta(alpha: f64, generator: &mut ChaCha20Rng) -> f64 {
    loop {
        let mut power = || {
            // In (0, 1].
            let uniform = ((generator.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
            uniform.powf(1.0 / alpha)
        };
        let (left, right) = (power(), power());
        let sum = left + right;
        if sum <= 1.0 && sum > 0.0 {
            return left / sum;
        }
    }
}

impl From<NcError> for TrainError {
    fn from(error: NcError) -> Self {
        Self::Nc(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 1/2 and variance 1/(4(2α + 1)).
    #[test]
    fn beta_has_its_moments() {
        for alpha in [0.2, 1.0, 3.0] {
            let mut generator = ChaCha20Rng::seed_from_u64(7);
            let draws: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut generator)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.01, "α = {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "α = {alpha}: variance {variance}");
        }
    }
}
