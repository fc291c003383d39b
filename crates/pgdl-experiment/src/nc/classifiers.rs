//! What the experiments on one data set have in common: a network that is trained with a regularizer, and the model of
//! Neural Complexity that was meta-trained on the same training images.

use std::ops::Range;
use std::path::{Path, PathBuf};

use pgdl_nc::{Checkpoint, Recipe as NcRecipe};
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::Split;
use pgdl_zoo::data::Transform;
use pgdl_zoo::data_reference::{DataReference, Indices};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::nc::model::meta_trained;
use crate::run::Run;

/// A data set.
#[derive(Clone, Copy)]
pub struct DataSet {
    pub name: &'static str,
    /// Mean and deviation of each channel's pixels, as shares of 255.
    mean: &'static [f64],
    std: &'static [f64],
    /// Images of the full setting: those that networks are trained on, those behind them that are queries, test images.
    full: [usize; 3],
    /// Test accuracies in percent that the paper reports, in the order of [`Method::ALL`], and NC's for both of its kinds.
    published: [f64; 5],
}

const GREY: DataSet =
    DataSet { name: "", mean: &[0.0], std: &[1.0], full: [55_000, 5_000, 10_000], published: [0.0; 5] };

pub const MNIST: DataSet = DataSet {
    name: "mnist",
    mean: &[0.1307],
    std: &[0.3081],
    published: [98.31, 98.36, 98.57, 97.80, 99.03],
    ..GREY
};

/// All of them; those that only their publishers have come last.
pub const DATA_SETS: [DataSet; 5] = [
    MNIST,
    DataSet {
        name: "fashion_mnist",
        mean: &[0.2860],
        std: &[0.3530],
        published: [88.21, 88.46, 89.15, 89.50, 89.74],
        ..GREY
    },
    DataSet {
        name: "cifar10",
        mean: &[0.4914, 0.4822, 0.4465],
        std: &[0.2470, 0.2435, 0.2616],
        full: [45_000, 5_000, 10_000],
        published: [79.76, 79.84, 80.45, 80.92, 81.15],
    },
    DataSet {
        name: "kmnist",
        mean: &[0.1918],
        std: &[0.3483],
        published: [91.12, 91.31, 91.40, 91.05, 96.30],
        ..GREY
    },
    DataSet {
        name: "svhn",
        mean: &[0.4377, 0.4438, 0.4728],
        std: &[0.1980, 0.2010, 0.1970],
        full: [68_000, 5_000, 26_000],
        published: [93.23, 94.06, 94.70, 94.88, 93.83],
    },
];

impl DataSet {
    /// What the paper reports of a method, in percent.
    pub fn published(&self, method: Method) -> f64 {
        let place = Method::ALL.into_iter().position(|other| other == method).unwrap_or(0);
        self.published[place.min(self.published.len() - 1)]
    }

    fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The networks of its images: perceptrons with this many hidden units where they are grey, else ResNet-18 of a first stage
    /// of so many filters.
    pub fn width(&self, run: &Run<'_>) -> u32 {
        match (self.channels(), run.quick()) {
            (1, _) => 500,
            (_, true) => 8,
            (_, false) => 64,
        }
    }

    /// What is trained on it, in words.
    pub fn network(&self, run: &Run<'_>) -> String {
        let width = self.width(run);
        match self.channels() {
            1 => format!("a perceptron with {width} hidden units"),
            _ => format!("ResNet-18 of {width} to {} filters", 8 * width),
        }
    }
}

/// How a network is trained.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    CrossEntropy,
    L2,
    LabelSmoothing,
    Mixup,
    /// With NC, which asks about images of the training half that the network is not trained on.
    Nc,
    /// With NC, which asks about the test images: the network sees them, but not their labels.
    NcOnTestInputs,
}

impl Method {
    pub const ALL: [Self; 6] =
        [Self::CrossEntropy, Self::L2, Self::LabelSmoothing, Self::Mixup, Self::Nc, Self::NcOnTestInputs];

    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::L2 => "l2",
            Self::LabelSmoothing => "label_smoothing",
            Self::Mixup => "mixup",
            Self::Nc => "nc",
            Self::NcOnTestInputs => "nc_on_test_inputs",
        }
    }

    pub fn with_nc(self) -> bool {
        matches!(self, Self::Nc | Self::NcOnTestInputs)
    }
}

/// A trained network's fit.
#[derive(Serialize, Deserialize)]
pub struct Fitted {
    pub train_accuracy: f64,
    pub test_accuracy: f64,
    pub train_loss: f64,
    pub test_loss: f64,
}

/// Sizes of a setting.
struct Sizes {
    /// The first images of the training half, which networks are trained on.
    train: usize,
    /// How many behind them are queries without labels.
    queries: usize,
    test: usize,
    epochs: u32,
    /// Meta-steps.
    meta_steps: u64,
}

impl Sizes {
    /// Where the last tenth of the training images begins: no task of meta-training has those.
    fn held_out(&self) -> usize {
        self.train - self.train / 10
    }
}

/// Images of a batch.
const BATCH: usize = 100;

/// λ of the learners at the end of meta-training.
const LARGEST_LAMBDA: f64 = 0.3;

/// Of each network there are so many.
pub fn runs(run: &Run<'_>) -> usize {
    if run.quick() { 2 } else { 5 }
}

fn sizes(run: &Run<'_>, data: DataSet) -> Sizes {
    let grey = data.channels() == 1;
    if run.quick() {
        return Sizes { train: 4_000, queries: 1_000, test: 2_000, epochs: 5, meta_steps: 300 };
    }
    let [train, queries, test] = data.full;
    Sizes { train, queries, test, epochs: if grey { 10 } else { 30 }, meta_steps: 6_000 }
}

/// The recipe of the model that is meta-trained on a data set's training images but their last tenth, which is held out.
///
/// Tasks share their classes, so that the model can learn to tell by itself where a learner errs. It does so where the gap
/// is that of the rows that it sees, and these are few. It learns so first from the gap of errors, which is bounded: on MNIST R² is
/// 0.90 after 1,500 meta-steps, and 0.53 where the gap is that of the cross-entropy from the start. `start` is the model of
/// that first part.
fn meta_recipe(run: &Run<'_>, data: DataSet, sizes: &Sizes, start: Option<&Path>) -> Result<NcRecipe> {
    let held_out = sizes.held_out();
    let quick = run.quick();
    let channels = data.channels();
    let filters = if channels == 1 { "[]" } else { "[16, 32]" };
    Ok(NcRecipe::parse(&format!(
        r#"
schema = 1
name = "{name}"
seed = {seed}
form = "classification"
{start}

[model]
inputs = {inputs}
outputs = 10
width = 64
encoder_layers = 2
heads = 4
image = {{ size = 16, channels = {channels}, filters = [16, 32] }}
value = {{ bilinear = true, constant = true, loss = true }}

[images]
datasets = ["{name}"]
positions = "0-{last}"
held_out = "{held_out}-{end}"
view = {{ size = 16, channels = {channels} }}
train = [30, {most}]
test = {test}
rows = 8
gap = "{gap}"
over = "rows"

[classifier]
filters = [{filters}]
hidden = [[64]]
lr = [0.01, {most_lr}]
batch = 32
steps = 120
every = 5

[meta]
steps = {meta_steps}
batch = 256
lr = 0.001
warmup = 100
decay = "cosine"
parallel = 16
every = 10
bank = 60000
fill = {fill}
lambda = {lambda}
lambda_steps = {rise}

[watch]
every = {watch}
tasks = {tasks}
save = 250
"#,
        name = data.name,
        start = start.map(|path| format!("start = {:?}", path.to_string_lossy())).unwrap_or_default(),
        gap = if start.is_some() { "cross_entropy" } else { "error" },
        most_lr = if start.is_some() { 0.05 } else { 0.2 },
        lambda = if start.is_some() { LARGEST_LAMBDA } else { 0.0 },
        inputs = 16 * 16 * channels,
        // The seed of recipes is a signed number of 64 bits.
        seed = run.seed("model") >> 1,
        last = held_out - 1,
        end = sizes.train - 1,
        most = if quick { 200 } else { 1_000 },
        test = if quick { 128 } else { 256 },
        meta_steps = sizes.meta_steps / 2,
        fill = if quick { 800 } else { 4_000 },
        rise = sizes.meta_steps / 4,
        watch = sizes.meta_steps / 12,
        tasks = if quick { 16 } else { 64 },
    ))?)
}

/// A trained model and its file.
pub struct Model {
    pub checkpoint: Checkpoint,
    pub path: PathBuf,
}

impl Model {
    /// The one that is meta-trained on a data set.
    pub fn trained(run: &mut Run<'_>, data: DataSet) -> Result<Model> {
        let sizes = sizes(run, data);
        let folders = ["model_of_errors", "model"].map(|part| format!("{part}_{}", data.name));
        let [of_errors, path] =
            folders.each_ref().map(|name| run.folder().join(name).join("checkpoint.safetensors"));
        let first = meta_recipe(run, data, &sizes, None)?;
        meta_trained(run, first, &folders[0])?;
        let second = meta_recipe(run, data, &sizes, Some(&of_errors))?;
        Ok(Model { checkpoint: meta_trained(run, second, &folders[1])?, path })
    }

    /// The one of a file.
    pub fn read(run: &Run<'_>, path: PathBuf) -> Result<Model> {
        Ok(Model { checkpoint: Checkpoint::read(&path, run.device())?, path })
    }

    /// In a sentence, how well it explains the gaps of learners of held-out tasks.
    pub fn in_words(&self, data: DataSet) -> Option<String> {
        let point = self.checkpoint.description.held_out?;
        Some(format!(
            "{}: after {} meta-steps the model explains a share R² of {:.3} of the gaps of held-out tasks' learners, and {:.3} of \
             those trained with it.",
            data.name, point.step, point.plain.r2, point.regularized.r2
        ))
    }
}

/// A network to be trained.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub data: DataSet,
    pub method: Method,
    /// The model's file, for the methods with NC.
    pub model: &'a Path,
    /// λ, likewise.
    pub weight: f64,
    pub width: u32,
    /// Tells runs apart.
    pub index: usize,
}

/// Images: those that a network is trained on, that it is tested on, that NC asks about.
struct Images {
    train: Range<usize>,
    test: (Split, Range<usize>),
    queries: (Split, Range<usize>),
}

impl Images {
    /// The setting's.
    fn of(sizes: &Sizes, method: Method) -> Self {
        let test = (Split::Test, 0..sizes.test);
        let queries = match method {
            Method::NcOnTestInputs => test.clone(),
            _ => (Split::Train, sizes.train..sizes.train + sizes.queries),
        };
        Self { train: 0..sizes.train, test, queries }
    }

    /// Training images alone, those that are held out from meta-training in place of both queries and test images.
    fn for_validation(sizes: &Sizes, method: Method) -> Self {
        let (start, middle) = (sizes.held_out(), sizes.held_out().midpoint(sizes.train));
        let test = (Split::Train, middle..sizes.train);
        let queries = match method {
            Method::NcOnTestInputs => test.clone(),
            _ => (Split::Train, start..middle),
        };
        Self { train: 0..start, test, queries }
    }
}

/// NC's weights λ that are tried.
pub const WEIGHTS: [f64; 4] = [0.03, 0.1, 0.3, 1.0];

/// Accuracies with each of [`WEIGHTS`] on training images that meta-training did not see, one run each.
pub fn validated(run: &mut Run<'_>, case: Case<'_>) -> Result<[f64; WEIGHTS.len()]> {
    let Case { data, method, width, .. } = case;
    let mut accuracies = [0.0; WEIGHTS.len()];
    for (accuracy, weight) in accuracies.iter_mut().zip(WEIGHTS) {
        let key = format!("dataset={} method={} width={width} weight={weight}", data.name, method.name());
        *accuracy = run.cell(&key, |run| {
            let images = Images::for_validation(&sizes(run, data), method);
            Ok(fit_on(run, &Case { weight, ..case }, &images)?.test_accuracy)
        })?;
    }
    Ok(accuracies)
}

/// The weight of the best accuracy; of equal ones the smallest.
pub fn best_weight(accuracies: [f64; WEIGHTS.len()]) -> f64 {
    let better = |best: (f64, f64), next: (f64, f64)| if next.0 > best.0 { next } else { best };
    accuracies.into_iter().zip(WEIGHTS).fold((f64::NEG_INFINITY, 0.0), better).1
}

/// Trains a network.
pub fn fit(run: &Run<'_>, case: Case<'_>) -> Result<Fitted> {
    fit_on(run, &case, &Images::of(&sizes(run, case.data), case.method))
}

fn fit_on(run: &Run<'_>, case: &Case<'_>, images: &Images) -> Result<Fitted> {
    let Case { data, method, model, weight, width, index } = *case;
    let transform = Transform { mean: data.mean.to_vec(), std: data.std.to_vec(), ..Transform::default() };
    let part = |(half, range): (Split, Range<usize>)| -> Result<_> { Ok((half, Indices::new(range)?)) };
    let (_, sample, test) = DataReference::new(
        data.name,
        transform,
        part((Split::Train, images.train.clone()))?,
        Some(part(images.test.clone())?),
        &mut |_| {},
    )?;
    let test = test.ok_or_else(|| ExperimentError::failed(format!("{} has no test sample", data.name)))?;
    let regularizer = match method {
        Method::CrossEntropy | Method::L2 => String::new(),
        Method::LabelSmoothing => "regularizer = \"label_smoothing\"".to_owned(),
        Method::Mixup => "regularizer = \"mixup\"".to_owned(),
        Method::Nc | Method::NcOnTestInputs => {
            let (half, positions) = &images.queries;
            // Debug writes the quotes and escapes of a TOML string, too.
            format!(
                "regularizer = \"nc\"\n[training.nc]\ncheckpoint = {:?}\nweight = {weight}\nqueries = \"{}-{}\"\n\
                 queries_from = \"{half}\"",
                model.to_string_lossy(),
                positions.start,
                positions.end - 1
            )
        }
    };
    let recipe = Recipe::parse(&format!(
        r#"
schema = 1
name = "perceptron"
seed = {seed}
family = "{family}"

[data]
dataset = "{dataset}"
train = "0-{last}"
test = "0-{last_test}"

[data.transform]
scale = 0.00392156862745098
mean = {mean:?}
std = {std:?}

[fixed]
width = {width}
{depth}
lr = 0.05

[[axis]]
name = "weight_decay"
values = [{decay:?}]

[[axis]]
name = "bs"
values = [{BATCH}]

[training]
optimizer = "sgd"
decay = "linear"
compute = "{compute}"
target_cross_entropy = 0.0
evaluate_below = 0.0
max_epochs = {epochs}
{regularizer}
"#,
        seed = run.seed(&format!("run {index}")) >> 1,
        // Batch normalization takes 32-bit numbers.
        family = if data.channels() == 1 { "mlp" } else { "resnet" },
        depth = if data.channels() == 1 { "depth = 1" } else { "" },
        compute = if data.channels() == 1 { "bfloat16" } else { "float32" },
        dataset = data.name,
        last = images.train.end - 1,
        last_test = test.len() - 1,
        mean = data.mean,
        std = data.std,
        decay = if method == Method::L2 { 5e-4 } else { 0.0 },
        epochs = sizes(run, data).epochs,
    ))?;
    let trained = train(&recipe, 0, &sample, &test, run.device(), &mut |_| Ok(()))?;
    Ok(Fitted {
        train_accuracy: trained.train.accuracy,
        test_accuracy: trained.test.accuracy,
        train_loss: trained.train.cross_entropy,
        test_loss: trained.test.cross_entropy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_weight_is_the_smallest_of_equals() {
        assert_eq!(best_weight([0.5, 0.75, 0.25, 0.75]), 0.1);
        assert_eq!(best_weight([0.5; 4]), 0.03);
        assert_eq!(best_weight([0.0, 0.1, 0.2, 0.3]), 1.0);
    }

    /// λ is chosen without the test half and without the labels of queries, on images that meta-training has not seen.
    #[test]
    fn what_is_validated_on_is_held_out() {
        let sizes = Sizes { train: 400, queries: 50, test: 60, epochs: 1, meta_steps: 4 };
        for method in [Method::Nc, Method::NcOnTestInputs] {
            let images = Images::for_validation(&sizes, method);
            assert_eq!((images.test.0, images.queries.0), (Split::Train, Split::Train));
            assert!(images.train.end <= sizes.held_out());
            assert!(images.test.1.start >= sizes.held_out() && images.test.1.end <= sizes.train);
            assert!(images.queries.1.start >= images.train.end && !images.test.1.is_empty());
        }
        let (apart, on_test) = (Images::of(&sizes, Method::Nc), Images::of(&sizes, Method::NcOnTestInputs));
        assert_eq!(apart.queries, (Split::Train, 400..450));
        assert_eq!(on_test.queries, on_test.test);
    }
}
