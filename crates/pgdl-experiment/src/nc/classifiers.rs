//! What the experiments on one data set have in common: a network that is trained with a regularizer, and the model of
//! Neural Complexity that was meta-trained on the same training images.

use std::path::{Path, PathBuf};

use pgdl_nc::{Checkpoint, Recipe as NcRecipe};
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::data::Transform;
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::Result;
use crate::nc::model::meta_trained;
use crate::run::Run;

/// A data set.
#[derive(Clone, Copy)]
pub struct DataSet {
    pub name: &'static str,
    /// Pixels in an image's height, and in its width.
    side: u32,
    /// Mean and deviation of each channel's pixels, as shares of 255.
    mean: &'static [f64],
    std: &'static [f64],
    /// Images of the full setting: those that networks are trained on, those behind them that are queries, test images.
    full: [usize; 3],
    /// Test accuracies in percent that the paper reports, in the order of [`Method::ALL`].
    pub published: [f64; 5],
}

const GREY: DataSet = DataSet {
    name: "",
    side: 28,
    mean: &[0.0],
    std: &[1.0],
    full: [55_000, 5_000, 10_000],
    published: [0.0; 5],
};

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
        side: 32,
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
        side: 32,
        mean: &[0.4377, 0.4438, 0.4728],
        std: &[0.1980, 0.2010, 0.1970],
        full: [68_000, 5_000, 26_000],
        published: [93.23, 94.06, 94.70, 94.88, 93.83],
    },
];

impl DataSet {
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
    Nc,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::CrossEntropy, Self::L2, Self::LabelSmoothing, Self::Mixup, Self::Nc];

    pub fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross_entropy",
            Self::L2 => "l2",
            Self::LabelSmoothing => "label_smoothing",
            Self::Mixup => "mixup",
            Self::Nc => "nc",
        }
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
pub struct Sizes {
    /// The first images of the training half, which networks are trained on.
    pub train: usize,
    /// How many behind them are queries without labels.
    pub queries: usize,
    pub test: usize,
    pub epochs: u32,
    pub batch: usize,
    /// Meta-steps.
    pub meta_steps: u64,
}

/// Of each network there are so many.
pub fn runs(run: &Run<'_>) -> usize {
    if run.quick() { 2 } else { 5 }
}

fn sizes(run: &Run<'_>, data: DataSet) -> Sizes {
    let grey = data.channels() == 1;
    if run.quick() {
        return Sizes { train: 4_000, queries: 1_000, test: 2_000, epochs: 5, batch: 100, meta_steps: 100 };
    }
    let [train, queries, test] = data.full;
    Sizes { train, queries, test, epochs: if grey { 10 } else { 30 }, batch: 100, meta_steps: 6_000 }
}

/// The recipe of the model that is meta-trained on a data set's training images: the last tenth of them is held out.
fn meta_recipe(run: &Run<'_>, data: DataSet, sizes: &Sizes) -> Result<NcRecipe> {
    let held_out = sizes.train - sizes.train / 10;
    let (most, test) = if run.quick() { (200, 128) } else { (2_000, 512) };
    let quick = run.quick();
    let channels = data.channels();
    // The quick setting sees coloured images at half their size.
    let size = if quick && channels > 1 { 16 } else { data.side };
    let filters = if channels == 1 { "[]" } else { "[16, 32]" };
    Ok(NcRecipe::parse(&format!(
        r#"
schema = 1
name = "{name}"
seed = {seed}
form = "classification"

[model]
inputs = {inputs}
outputs = 10
width = 64
encoder_layers = 2
heads = 4
image = {{ size = {size}, channels = {channels}, filters = [8, 16] }}
value = {{ bilinear = true, constant = true, loss = true }}

[images]
datasets = ["{name}"]
positions = "0-{last}"
held_out = "{held_out}-{end}"
view = {{ size = {size}, channels = {channels} }}
train = [{least}, {most}]
test = {test}
rows = 64
gap = "cross_entropy"

[classifier]
filters = [{filters}]
hidden = [[{hidden}]]
lr = [0.02, 0.2]
batch = 64
steps = {steps}
every = {every}

[meta]
steps = {meta_steps}
batch = 32
lr = 0.001
warmup = {warmup}
decay = "cosine"
parallel = {parallel}
every = {episode}
bank = 40000
fill = {fill}
lambda = 1.0
lambda_steps = {rise}
precision = "bfloat16"

[watch]
every = {watch}
tasks = {tasks}
save = 250
"#,
        name = data.name,
        inputs = size * size * channels as u32,
        // The seed of recipes is a signed number of 64 bits.
        seed = run.seed("model") >> 1,
        last = held_out - 1,
        end = sizes.train - 1,
        least = if quick { 64 } else { 500 },
        hidden = if quick { 64 } else { 128 },
        steps = if quick { 100 } else { 300 },
        every = 20,
        meta_steps = sizes.meta_steps,
        warmup = sizes.meta_steps / 20,
        parallel = if quick { 4 } else { 8 },
        episode = if quick { 20 } else { 10 },
        fill = if quick { 80 } else { 2_400 },
        rise = sizes.meta_steps / 2,
        watch = sizes.meta_steps / 6 + 1,
        tasks = if quick { 8 } else { 32 },
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
        let recipe = meta_recipe(run, data, &sizes(run, data))?;
        let folder = format!("model_{}", data.name);
        let checkpoint = meta_trained(run, recipe, &folder)?;
        Ok(Model { checkpoint, path: run.folder().join(folder).join("checkpoint.safetensors") })
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

/// Trains a network of this width, with the model of the file `model` where the method is NC; `index` tells runs
/// apart.
pub fn fit(
    run: &Run<'_>,
    data: DataSet,
    method: Method,
    model: &Path,
    width: u32,
    index: usize,
) -> Result<Fitted> {
    let sizes = sizes(run, data);
    let transform = Transform { mean: data.mean.to_vec(), std: data.std.to_vec(), ..Transform::default() };
    let (sample, test) = data::first_of(data.name, transform, sizes.train, sizes.test)?;
    let regularizer = match method {
        Method::CrossEntropy | Method::L2 => String::new(),
        Method::LabelSmoothing => "regularizer = \"label_smoothing\"".to_owned(),
        Method::Mixup => "regularizer = \"mixup\"".to_owned(),
        Method::Nc => {
            // Debug writes the quotes and escapes of a TOML string, too.
            format!(
                "regularizer = \"nc\"\n[training.nc]\ncheckpoint = {:?}\nqueries = \"{}-{}\"",
                model.to_string_lossy(),
                sizes.train,
                sizes.train + sizes.queries - 1
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
values = [{batch}]

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
        last = sizes.train - 1,
        last_test = sizes.test - 1,
        mean = data.mean,
        std = data.std,
        decay = if method == Method::L2 { 5e-4 } else { 0.0 },
        batch = sizes.batch,
        epochs = sizes.epochs,
    ))?;
    let trained = train(&recipe, 0, &sample, &test, run.device(), &mut |_| Ok(()))?;
    Ok(Fitted {
        train_accuracy: trained.train.accuracy,
        test_accuracy: trained.test.accuracy,
        train_loss: trained.train.cross_entropy,
        test_loss: trained.test.cross_entropy,
    })
}
