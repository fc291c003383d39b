//! What the experiments on one data set have in common: a perceptron with one hidden layer, trained with a regularizer,
//! and the model of Neural Complexity that was meta-trained on the same training images.

use pgdl_nc::Recipe as NcRecipe;
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::data::Transform;
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::Result;
use crate::nc::model::meta_trained;
use crate::run::Run;

/// A data set, with mean and deviation of its pixels, as shares of 255.
#[derive(Clone, Copy)]
pub struct DataSet {
    pub name: &'static str,
    pub mean: f64,
    pub std: f64,
}

pub const MNIST: DataSet = DataSet { name: "mnist", mean: 0.1307, std: 0.3081 };
pub const FASHION_MNIST: DataSet = DataSet { name: "fashion_mnist", mean: 0.2860, std: 0.3530 };

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
    pub runs: usize,
    /// Meta-steps.
    pub meta_steps: u64,
}

pub fn sizes(run: &Run<'_>) -> Sizes {
    if run.quick() {
        Sizes { train: 4_000, queries: 1_000, test: 2_000, epochs: 5, batch: 100, runs: 2, meta_steps: 100 }
    } else {
        Sizes {
            train: 55_000,
            queries: 5_000,
            test: 10_000,
            epochs: 10,
            batch: 100,
            runs: 5,
            meta_steps: 6_000,
        }
    }
}

/// The recipe of the model that is meta-trained on a data set's training images: the last tenth of them is held out.
fn meta_recipe(run: &Run<'_>, data: DataSet, sizes: &Sizes) -> Result<NcRecipe> {
    let held_out = sizes.train - sizes.train / 10;
    let (most, test) = if run.quick() { (200, 128) } else { (2_000, 512) };
    let quick = run.quick();
    Ok(NcRecipe::parse(&format!(
        r#"
schema = 1
name = "{name}"
seed = {seed}
form = "classification"

[model]
inputs = 784
outputs = 10
width = 64
encoder_layers = 2
heads = 4
image = {{ size = 28, channels = 1, filters = [8, 16] }}
value = {{ bilinear = true, constant = true, loss = true }}

[images]
datasets = ["{name}"]
positions = "0-{last}"
held_out = "{held_out}-{end}"
view = {{ size = 28, channels = 1 }}
train = [{least}, {most}]
test = {test}
rows = 64
gap = "cross_entropy"

[classifier]
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

/// The model that is meta-trained on a data set.
pub fn model(run: &mut Run<'_>, data: DataSet) -> Result<pgdl_nc::Checkpoint> {
    let recipe = meta_recipe(run, data, &sizes(run))?;
    meta_trained(run, recipe, &folder(data))
}

fn folder(data: DataSet) -> String {
    format!("model_{}", data.name)
}

/// Trains a network of `width` hidden units; `index` tells runs apart.
pub fn fit(run: &Run<'_>, data: DataSet, method: Method, width: u32, index: usize) -> Result<Fitted> {
    let sizes = sizes(run);
    let transform = Transform { mean: vec![data.mean], std: vec![data.std], ..Transform::default() };
    let (sample, test) = data::first_of(data.name, transform, sizes.train, sizes.test)?;
    let regularizer = match method {
        Method::CrossEntropy | Method::L2 => String::new(),
        Method::LabelSmoothing => "regularizer = \"label_smoothing\"".to_owned(),
        Method::Mixup => "regularizer = \"mixup\"".to_owned(),
        Method::Nc => {
            let path = run.folder().join(folder(data)).join("checkpoint.safetensors");
            // Debug writes the quotes and escapes of a TOML string, too.
            format!(
                "regularizer = \"nc\"\n[training.nc]\ncheckpoint = {:?}\nqueries = \"{}-{}\"",
                path.to_string_lossy(),
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
family = "mlp"

[data]
dataset = "{dataset}"
train = "0-{last}"
test = "0-{last_test}"

[data.transform]
scale = 0.00392156862745098
mean = [{mean:?}]
std = [{std:?}]

[fixed]
width = {width}
depth = 1
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
compute = "bfloat16"
target_cross_entropy = 0.0
evaluate_below = 0.0
max_epochs = {epochs}
{regularizer}
"#,
        seed = run.seed(&format!("run {index}")) >> 1,
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
