//! Tasks on images: classify, from a few examples.

use std::collections::{BTreeMap, HashMap, HashSet};

use pgdl_zoo::data::Transform;
use pgdl_zoo::data_reference::{DataReference, Indices};
use pgdl_zoo::fetch::Progress;
use pgdl_zoo::{Dataset, Split};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::random::Draws;

/// Tasks on images of public data sets, all of the same number of classes.
///
/// A task has a data set, examples to learn from and others to measure the gap on, all of them from the data set's
/// training half: its test half is never touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Names of the data sets; each task takes one of them.
    pub datasets: Vec<String>,
    /// Positions in their training halves that the tasks of meta-training are made of.
    pub positions: Indices,
    /// Names of the data sets of held-out tasks, where they are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_out_datasets: Vec<String>,
    /// Positions that held-out tasks are made of.
    pub held_out: Indices,
    /// What learners and model see of an image.
    #[serde(default)]
    pub view: View,
    /// Classes of a task.
    #[serde(default = "default_classes")]
    pub classes: i64,
    /// Whether each task draws its classes among those of its data set, which may have any number of them, and numbers them
    /// anew. Its examples are of these alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub draw_classes: bool,
    /// Examples to learn from, least and most: the tasks of an episode have one number of them, drawn uniformly on a
    /// logarithmic scale.
    pub train: [i64; 2],
    /// Whether they hold the same number of each class.
    #[serde(default)]
    pub balanced: bool,
    /// Examples that the gap is measured on.
    pub test: i64,
    /// Rows of each kind that the model sees of a learner, at most. Others are taken at each snapshot.
    pub rows: i64,
    /// The share of tasks in which some training labels are drawn anew, from all classes alike.
    #[serde(default)]
    pub noisy: f64,
    /// The share of such labels in those tasks, least and most; uniform between them.
    #[serde(default)]
    pub noise: [f64; 2],
    /// The loss whose gap the model learns.
    pub gap: Gap,
    /// The examples that this gap is over.
    #[serde(default, skip_serializing_if = "Over::is_examples")]
    pub over: Over,
    /// What the model sees of a learner's outputs.
    #[serde(default, skip_serializing_if = "Look::is_plain")]
    pub look: Look,
}

/// What the model sees of a hypothesis on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// h(x), as in the paper.
    #[default]
    Plain,
    /// h(x), and h of x with left and right changed, which no learner of a recipe is trained on. Hypotheses that generalize
    /// better agree more with themselves on such images; of networks that fit their training data alike, the outputs
    /// on test images alone tell next to nothing of the gap.
    Mirrored,
}

impl Look {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// How many outputs there are of a row.
    pub fn count(self) -> i64 {
        match self {
            Self::Plain => 1,
            Self::Mirrored => 2,
        }
    }
}

fn default_classes() -> i64 {
    10
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A loss, and with it a gap G = L − L̂.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Cross-entropy, in nats.
    CrossEntropy,
    /// Share of errors: the gap is training accuracy minus test accuracy.
    Error,
}

/// The examples that a gap is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// All of the task's, of which the model sees some rows: what those leave open it cannot know.
    #[default]
    Examples,
    /// The rows that the model sees, as in the paper, where it sees all.
    Rows,
}

impl Over {
    fn is_examples(&self) -> bool {
        *self == Self::Examples
    }
}

/// What learners and model see of an image: so many channels, brought to a square of so many pixels by averaging.
///
/// An image with one channel is repeated; of one with three, where one is wanted, the mean is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Pixels in its height, and in its width.
    pub size: i64,
    /// Its channels.
    pub channels: i64,
}

impl Default for View {
    fn default() -> Self {
        Self { size: 16, channels: 3 }
    }
}

/// Mean and standard deviation of each channel.
#[derive(Debug)]
pub struct Scale {
    /// `[C]`
    pub mean: Tensor,
    /// `[C]`
    pub std: Tensor,
}

impl Scale {
    /// That of a sample of images `[N, H, W, C]`. A channel that never changes has 1 for its deviation.
    pub fn of(images: &Tensor) -> Result<Self> {
        let channels = images.size().last().copied().unwrap_or(1);
        let by_channel = images.f_reshape([-1, channels])?;
        let std = by_channel.f_std_dim(0, false, false)?;
        let constant = std.f_le(1e-12)?;
        Ok(Self {
            mean: by_channel.f_mean_dim(0, false, Kind::Float)?,
            std: std.f_masked_fill(&constant, 1.0)?,
        })
    }
}

impl View {
    /// Numbers in a view.
    pub fn numbers(&self) -> i64 {
        self.size * self.size * self.channels
    }

    /// Views `[…, numbers]` with left and right changed.
    pub fn mirrored(&self, views: &Tensor) -> Result<Tensor> {
        let rows = views.f_reshape([-1, self.size])?;
        Ok(rows.f_flip([1])?.f_view(&views.size()[..])?)
    }

    /// Views of images `[N, H, W, C]`, scaled to mean 0 and deviation 1 by `scale`: `[N, channels·size·size]`.
    ///
    /// # Errors
    /// When they are no images, or of a number of channels that cannot be brought to the view's.
    pub fn of(&self, images: &Tensor, scale: &Scale) -> Result<Tensor> {
        let [_, _, _, channels] = images.size()[..] else {
            return Err(NcError::shape("the images", &images.size(), "[N, H, W, C]"));
        };
        let scaled = images.f_sub(&scale.mean)?.f_div(&scale.std)?.f_permute([0, 3, 1, 2])?;
        let of_channels = match channels {
            channels if channels == self.channels => scaled,
            1 => scaled.f_expand([-1, self.channels, -1, -1], false)?,
            _ if self.channels == 1 => scaled.f_mean_dim([1].as_slice(), true, Kind::Float)?,
            _ => {
                return Err(NcError::shape(
                    "the images",
                    &images.size(),
                    format!("{} channels", self.channels),
                ));
            }
        };
        let [.., height, width] = of_channels.size()[..] else {
            return Err(NcError::shape("the images", &images.size(), "[N, H, W, C]"));
        };
        let view = if (height, width) == (self.size, self.size) {
            of_channels
        } else {
            of_channels.f_adaptive_avg_pool2d([self.size, self.size])?
        };
        Ok(view.f_contiguous()?.f_reshape([-1, self.numbers()])?)
    }
}

impl Images {
    pub(crate) fn check(&self) -> Result<()> {
        for (key, names) in [("datasets", &self.datasets), ("held_out_datasets", self.held_out_datasets())] {
            if names.is_empty() || names.len() > 64 {
                return Err(NcError::value(format!("images.{key}"), names.len(), "between 1 and 64 names"));
            }
        }
        let counts = [
            ("view.size", self.view.size, 1024),
            ("view.channels", self.view.channels, 64),
            ("classes", self.classes, 4096),
            ("train[0]", self.train[0], self.train[1]),
            ("train[1]", self.train[1], 1 << 24),
            ("test", self.test, 1 << 24),
            ("rows", self.rows, self.train[0].min(self.test)),
        ];
        for (key, value, most) in counts {
            if !(1..=most).contains(&value) {
                return Err(NcError::value(format!("images.{key}"), value, format!("between 1 and {most}")));
            }
        }
        if self.balanced && self.train.iter().any(|count| count % self.classes != 0) {
            let found = format!("{:?}", self.train);
            return Err(NcError::value("images.train", found, "multiples of images.classes, to be balanced"));
        }
        let shares = [("noisy", self.noisy), ("noise[0]", self.noise[0]), ("noise[1]", self.noise[1])];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(NcError::value(format!("images.{key}"), share, "between 0 and 1"));
            }
        }
        if self.noise[0] > self.noise[1] {
            return Err(NcError::value("images.noise", format!("{:?}", self.noise), "two shares in order"));
        }
        let both: Vec<&Indices> = vec![&self.positions, &self.held_out];
        for (key, indices) in [("positions", both[0]), ("held_out", both[1])] {
            let least = (self.train[1] + self.test) as usize;
            if indices.count().is_none_or(|count| count < least) {
                let allowed = format!("at least {least} positions, the examples of one task");
                return Err(NcError::value(format!("images.{key}"), indices, allowed));
            }
        }
        if self.held_out_datasets().iter().any(|name| self.datasets.contains(name)) {
            let trained: HashSet<usize> = self.positions.iter().collect();
            if let Some(shared) = self.held_out.iter().find(|position| trained.contains(position)) {
                let allowed = "positions that images.positions has not";
                return Err(NcError::value("images.held_out", shared, allowed));
            }
        }
        Ok(())
    }

    /// Names of the data sets of held-out tasks.
    pub fn held_out_datasets(&self) -> &Vec<String> {
        if self.held_out_datasets.is_empty() { &self.datasets } else { &self.held_out_datasets }
    }

    /// What a model of these tasks was trained on, in words.
    pub(crate) fn in_words(&self) -> String {
        let drawn = match self.draw_classes {
            true => format!(" of {} classes drawn for each", self.classes),
            false => String::new(),
        };
        format!(
            "tasks of {} to {} images of {} (positions {} of the training half){drawn}, seen as {} × {} pixels of {} channels; \
             no stored network",
            self.train[0],
            self.train[1],
            self.datasets.join(", "),
            self.positions,
            self.view.size,
            self.view.size,
            self.view.channels
        )
    }
}

/// Images in memory, as learners and model see them.
#[derive(Debug)]
pub struct Pool {
    /// `[N, numbers]`.
    inputs: Tensor,
    /// Of each data set.
    sets: Vec<Set>,
}

/// A data set's images in a pool.
#[derive(Debug)]
struct Set {
    /// The place in the pool of its first image.
    start: usize,
    /// The class of each.
    labels: Vec<i64>,
    /// The classes that there are.
    classes: Vec<i64>,
}

/// An image of a task.
#[derive(Debug, Clone, Copy)]
struct Example {
    /// Its place in the pool.
    place: usize,
    /// Its class in the task.
    class: i64,
}

impl Pool {
    /// Loads the images at these positions of data sets, which are fetched when they are missing.
    pub fn load(
        images: &Images,
        datasets: &[String],
        positions: &Indices,
        device: Device,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let mut sets = Vec::new();
        for name in datasets {
            let sample = (Split::Train, positions.clone());
            let (_, data, _) = DataReference::new(name, Transform::default(), sample, None, progress)?;
            sets.push(data);
        }
        Self::new(images, &sets, device)
    }

    /// A pool of these data, one set each.
    ///
    /// # Errors
    /// When data have more classes than the recipe says, or, where tasks draw theirs, too few or too small ones.
    pub fn new(images: &Images, data: &[Dataset], device: Device) -> Result<Self> {
        let (mut inputs, mut sets, mut start) = (Vec::new(), Vec::new(), 0);
        for data in data {
            let set = Set::new(images, start, Vec::try_from(&data.labels)?)?;
            inputs.push(images.view.of(&data.inputs, &Scale::of(&data.inputs)?)?);
            start += set.labels.len();
            sets.push(set);
        }
        Ok(Self { inputs: Tensor::f_cat(&inputs, 0)?.f_to_device(device)?, sets })
    }

    /// The images: `[N, numbers]`.
    pub fn inputs(&self) -> &Tensor {
        &self.inputs
    }

    /// Draws tasks, as the recipe says.
    pub fn draw(&self, images: &Images, count: i64, draws: &mut Draws) -> Result<ImageTasks> {
        let [least, most] = images.train.map(|count| (count as f64).ln());
        let train = ((least + (most - least) * draws.fraction()).exp().round() as i64)
            .clamp(images.train[0], images.train[1]);
        let train = if images.balanced { train / images.classes * images.classes } else { train };
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let set = &self.sets[draws.places(1, self.sets.len())[0]];
            let mut order = set.shuffled(images, draws);
            if images.balanced {
                order = balanced_first(order, train as usize, images.classes)?;
            }
            order.truncate((train + images.test) as usize);
            let noisy = draws.fraction() < images.noisy;
            let share = images.noise[0] + (images.noise[1] - images.noise[0]) * draws.fraction();
            for (row, Example { place, class }) in order.into_iter().enumerate() {
                let anew = (draws.fraction(), draws.places(1, images.classes as usize)[0] as i64);
                let changed = noisy && row < train as usize && anew.0 < share;
                labels.push(if changed { anew.1 } else { class });
                positions.push(place as i64);
            }
        }
        let device = self.inputs.device();
        let table = |values: &[i64]| -> Result<Tensor> {
            Ok(Tensor::f_from_slice(values)?.f_view([count, train + images.test])?.f_to_device(device)?)
        };
        let (positions, labels) = (table(&positions)?, table(&labels)?);
        let inputs = self.inputs.f_index_select(0, &positions.f_reshape([-1])?)?;
        Ok(ImageTasks { inputs, positions, labels, train, classes: images.classes })
    }
}

impl Set {
    /// # Errors
    /// As of [`Pool::new`].
    fn new(images: &Images, start: usize, labels: Vec<i64>) -> Result<Self> {
        let mut sizes: BTreeMap<i64, usize> = BTreeMap::new();
        for label in &labels {
            *sizes.entry(*label).or_default() += 1;
        }
        let classes: Vec<i64> = sizes.keys().copied().collect();
        if images.draw_classes {
            let mut sizes: Vec<usize> = sizes.into_values().collect();
            sizes.sort_unstable();
            let Some(smallest) = sizes.get(..images.classes as usize) else {
                let allowed = format!("at most {}, those of a data set at the positions", classes.len());
                return Err(NcError::value("images.classes", images.classes, allowed));
            };
            let (least, examples) = (smallest.iter().sum::<usize>(), images.train[1] + images.test);
            if examples as usize > least {
                let allowed = format!("at most {least}, as many images as any such classes have");
                return Err(NcError::value("images.train[1] + images.test", examples, allowed));
            }
        } else if let Some(label) = classes.last().filter(|label| **label >= images.classes) {
            let allowed = format!("below {} (images.classes)", images.classes);
            return Err(NcError::value("a label", label, allowed));
        }
        Ok(Self { start, labels, classes })
    }

    /// The images that a task may have, in random order.
    fn shuffled(&self, images: &Images, draws: &mut Draws) -> Vec<Example> {
        let examples: Vec<Example> = if images.draw_classes {
            let drawn = draws.distinct(images.classes as usize, self.classes.len());
            let anew: HashMap<i64, i64> =
                drawn.into_iter().zip(0..).map(|(place, class)| (self.classes[place], class)).collect();
            let of_class = |(at, label)| {
                let class = *anew.get(label)?;
                Some(Example { place: self.start + at, class })
            };
            self.labels.iter().enumerate().filter_map(of_class).collect()
        } else {
            let example = |(at, class): (usize, &i64)| Example { place: self.start + at, class: *class };
            self.labels.iter().enumerate().map(example).collect()
        };
        let order = draws.distinct(examples.len(), examples.len());
        order.into_iter().map(|at| examples[at]).collect()
    }
}

/// The order changed so that the first `train` have the same number of each class.
fn balanced_first(order: Vec<Example>, train: usize, classes: i64) -> Result<Vec<Example>> {
    let each = train / classes as usize;
    let mut taken = vec![0; classes as usize];
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for example in order {
        let taken = &mut taken[example.class as usize];
        if *taken < each {
            *taken += 1;
            first.push(example);
        } else {
            rest.push(example);
        }
    }
    if first.len() < train {
        let reason = format!("a data set has a class of fewer than {each} images among the positions");
        return Err(NcError::value("images.train", train, reason));
    }
    first.extend(rest);
    Ok(first)
}

/// T tasks on images, of m training and n test examples each.
#[derive(Debug)]
pub struct ImageTasks {
    /// The images of one task after another, its training examples first: `[T·(m + n), numbers]`.
    pub inputs: Tensor,
    /// Their positions in the pool: `[T, m + n]`.
    pub positions: Tensor,
    /// Their classes: `[T, m + n]`. Those of test examples are always the true ones.
    pub labels: Tensor,
    /// m.
    pub train: i64,
    /// How many classes there are.
    pub classes: i64,
}

impl ImageTasks {
    /// How many there are.
    pub fn len(&self) -> i64 {
        self.positions.size().first().copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// m + n.
    pub fn examples(&self) -> i64 {
        self.positions.size().get(1).copied().unwrap_or(0)
    }
}
