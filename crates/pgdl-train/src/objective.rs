//! What training minimizes: the cross-entropy, or that and a regularizer.

use pgdl_nc::images::Scale;
use pgdl_nc::model::{Precision, Ready, Rows, Source};
use pgdl_nc::{Checkpoint, NcError};
use pgdl_network::{Mode, Network};
use pgdl_zoo::Dataset;
use pgdl_zoo::data_reference::DataReference;
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
    Mixup { alpha: f64, generator: Box<ChaCha20Rng> },
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
            Some(Regularizer::Mixup) => {
                Self::Mixup { alpha: plan.mixup_alpha, generator: Box::new(generator) }
            }
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
    let sample = (settings.queries_from, settings.queries.clone());
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
    use pgdl_zoo::Split;
    use tch::no_grad;

    use super::*;

    const RECIPE: &str = r#"
        schema = 1
        name = "test"
        seed = 3
        family = "mlp"
        [synthetic]
        shape = [4, 4, 1]
        classes = 3
        train = 12
        test = 9
        noise = 0.3
        [fixed]
        depth = 1
        width = 5
        lr = 0.25
        weight_decay = 0.0
        [[axis]]
        name = "bs"
        values = [4, 12]
        [training]
        optimizer = "sgd"
        max_epochs = 2
        "#;

    const MODEL: &str = r#"
        schema = 1
        name = "tiny"
        seed = 4
        form = "classification"
        [model]
        inputs = 16
        outputs = 4
        width = 8
        heads = 2
        image = { size = 4, channels = 1, filters = [2] }
        value = { bilinear = true, constant = true, loss = true }
        [images]
        datasets = ["mnist"]
        positions = "0-11"
        held_out = "12-23"
        view = { size = 4, channels = 1 }
        classes = 4
        train = [4, 6]
        test = 4
        rows = 4
        gap = "cross_entropy"
        [meta]
        steps = 1
        bank = 1000
        fill = 1
        "#;

    fn network(recipe: &Recipe) -> Network {
        let architecture = recipe.architecture(0).unwrap();
        let network =
            Network::initialize_with(architecture, pgdl_network::Initializer::HeNormal, 5, Device::Cpu);
        network.unwrap().trainable().unwrap()
    }

    fn value(loss: &Tensor) -> f64 {
        loss.double_value(&[])
    }

    /// The network, the data, and logits and labels of the batch at [`BATCH`].
    fn set_up() -> (Recipe, Network, Dataset, Tensor, Tensor) {
        let recipe = Recipe::parse(RECIPE).unwrap();
        let (train, _) = recipe.synthetic.as_ref().unwrap().draw(1).unwrap();
        let index = Tensor::from_slice(&BATCH);
        let (x, y) = (train.inputs.index_select(0, &index), train.labels.index_select(0, &index));
        let network = network(&recipe);
        (recipe, network, train, x, y)
    }

    const BATCH: [i64; 4] = [7, 0, 3, 11];

    #[test]
    fn label_smoothing_is_the_cross_entropy_with_smoothed_targets() {
        let (_, network, _, x, y) = set_up();
        let mut objective = Objective::LabelSmoothing(0.3);
        let found = value(&objective.loss(&network, &BATCH, &x, &y, 0).unwrap());
        let logarithms = network.forward(&x, Mode::Train).unwrap().log_softmax(1, Kind::Double);
        let targets = y.one_hot(3).to_kind(Kind::Double) * 0.7 + 0.1;
        let expected = -value(&(logarithms * targets).sum(Kind::Double)) / 4.0;
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    }

    #[test]
    fn mixup_mixes_inputs_and_labels_alike() {
        let (recipe, network, train, x, y) = set_up();
        let text = RECIPE.replace("max_epochs", "regularizer = \"mixup\"\nmax_epochs");
        let mixed = Recipe::parse(&text).unwrap();
        let mut objective = Objective::new(&mixed, 0, &train, Kind::Float, Device::Cpu, 3.0).unwrap();
        let found = value(&objective.loss(&network, &BATCH, &x, &y, 0).unwrap());
        // The same draws by hand.
        let mut generator = ChaCha20Rng::seed_from_u64(recipe.seed_of(0, "regularizer").unwrap());
        let weight = beta(1.0, &mut generator);
        let mut order: Vec<i64> = (0..4).collect();
        for last in (1..4).rev() {
            order.swap(last, below(last as u64 + 1, &mut generator) as usize);
        }
        let order = Tensor::from_slice(&order);
        let inputs = &x * weight + x.index_select(0, &order) * (1.0 - weight);
        let both = y.one_hot(3) * weight + y.index_select(0, &order).one_hot(3) * (1.0 - weight);
        let logarithms = network.forward(&inputs, Mode::Train).unwrap().log_softmax(1, Kind::Double);
        let expected = -value(&(logarithms * both).sum(Kind::Double)) / 4.0;
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}");
    }

    /// With a single query, the rows that NC sees are known.
    #[test]
    fn neural_complexity_is_added_with_its_weight_and_its_gradient() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.safetensors");
        let model = pgdl_nc::Recipe::parse(MODEL).unwrap();
        let (images, classifier) = model.classification().unwrap();
        let (recipe, network, train, x, y) = set_up();
        let pool = || pgdl_nc::images::Pool::new(images, &[train.shallow_clone()], Device::Cpu).unwrap();
        let hypotheses = pgdl_nc::Hypotheses::on_images(images.clone(), classifier.clone(), [pool(), pool()]);
        let training =
            pgdl_nc::MetaTraining::open_on(model.clone(), hypotheses, folder.path(), Device::Cpu).unwrap();
        let checkpoint = training.checkpoint().unwrap();
        checkpoint.write(&path).unwrap();

        let settings = Complexity {
            checkpoint: path,
            weight: 0.5,
            rise_epochs: 2.0,
            queries: pgdl_zoo::data_reference::Indices::new(0..1).unwrap(),
            queries_from: Split::Train,
        };
        let query = Dataset::new(train.inputs.narrow(0, 5, 1), train.labels.narrow(0, 5, 1)).unwrap();
        let generator = ChaCha20Rng::seed_from_u64(recipe.seed_of(0, "regularizer").unwrap());
        let penalty =
            Penalty::new(&settings, &train, &query, Kind::Float, Device::Cpu, 3.0, generator).unwrap();
        let mut objective = Objective::Complexity(Box::new(penalty));
        let plain = value(&Objective::CrossEntropy.loss(&network, &BATCH, &x, &y, 0).unwrap());
        let mut at = |step| value(&objective.loss(&network, &BATCH, &x, &y, step).unwrap());
        assert!((at(0) - plain).abs() < 1e-6);

        let logits = network.forward(&x, Mode::Train).unwrap();
        let asked = query.inputs.expand([4, -1, -1, -1], false);
        let scale = Scale::of(&train.inputs).unwrap();
        let view = |inputs: &Tensor| images.view.of(inputs, &scale).unwrap().unsqueeze(0);
        let probabilities = |logits: &Tensor| logits.softmax(1, Kind::Float).constant_pad_nd([0, 1]);
        let complexity = checkpoint
            .model
            .ready(Precision::Float32, false)
            .unwrap()
            .complexity(&Rows {
                source: Source::Inputs,
                train_losses: Some(
                    logits.cross_entropy_loss::<Tensor>(&y, None, Reduction::None, -100, 0.0).unsqueeze(0),
                ),
                train_inputs: view(&x),
                train_targets: y.one_hot(4).to_kind(Kind::Float).unsqueeze(0),
                train_outputs: probabilities(&logits).unsqueeze(0),
                test_inputs: view(&asked),
                test_outputs: probabilities(&network.forward(&asked, Mode::Train).unwrap()).unsqueeze(0),
            })
            .unwrap();
        let complexity = value(&complexity.squeeze());
        assert!(complexity.abs() > 1e-3);
        // λ has risen half of the way after one of two epochs, and all of it after both.
        for (step, weight) in [(3, 0.25), (6, 0.5), (60, 0.5)] {
            let expected = plain + weight * complexity;
            assert!((at(step) - expected).abs() < 1e-5, "{} instead of {expected}", at(step));
        }
        // The gradient along itself is what a small step changes.
        let loss = objective.loss(&network, &BATCH, &x, &y, 60).unwrap();
        let parameters: Vec<Tensor> =
            network.parameters().map(|parameter| parameter.tensor.shallow_clone()).collect();
        let gradients = Tensor::run_backward(&[&loss], &parameters, false, false);
        let square: f64 = gradients.iter().map(|gradient| value(&gradient.square().sum(Kind::Double))).sum();
        let step = 1e-3 / square.sqrt();
        let mut moved = |by: f64| -> f64 {
            no_grad(|| {
                for (parameter, gradient) in parameters.iter().zip(&gradients) {
                    let _ = parameter.shallow_clone().g_add_(&(gradient * by));
                }
            });
            value(&objective.loss(&network, &BATCH, &x, &y, 60).unwrap())
        };
        let (above, below) = (moved(step), moved(-2.0 * step));
        let slope = (above - below) / (2.0 * step);
        assert!((slope / square - 1.0).abs() < 0.02, "{slope} instead of {square}");

        let labels = &train.labels + 2;
        let many = Dataset::new(train.inputs.shallow_clone(), labels).unwrap();
        let generator = ChaCha20Rng::seed_from_u64(1);
        let error = Penalty::new(&settings, &many, &query, Kind::Float, Device::Cpu, 3.0, generator);
        assert!(error.err().unwrap().to_string().contains("for 4 classes, but there is a label 4"));
    }

    #[test]
    fn regularizers_that_cannot_be_are_refused() {
        let refused = |training: &str, word: &str| {
            let text = RECIPE.replace("max_epochs", &format!("{training}\nmax_epochs"));
            let error = Recipe::parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused("regularizer = \"nc\"", "go together");
        refused("regularizer = \"mixup\"\nmixup_alpha = 0.0", "mixup_alpha");
        refused("regularizer = \"label_smoothing\"\nsmoothing = 1.5", "smoothing");
        refused("regularizer = \"prayer\"", "prayer");
        let table = "\n[training.nc]\ncheckpoint = \"c\"\nqueries = \"0-3\"";
        let error = Recipe::parse(&format!("{RECIPE}{table}")).unwrap_err().to_string();
        assert!(error.contains("go together"), "{error}");
    }

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
