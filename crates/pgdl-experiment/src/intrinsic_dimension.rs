//! How many dimensions a random subspace needs to hold a good network.

use std::collections::BTreeMap;

use pgdl_measure::Generator;
use pgdl_measure::tch::{self, Tensor};
use pgdl_network::{
    Activation, Architecture, Batch, Conv2d, Dense, Descent, Initializer, Layer, Network, Padding, Pool,
    Projection, ProjectionKind, Subspace, Threshold, ThresholdSearch,
};
use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};
use pgdl_train::train::evaluate;
use pgdl_zoo::Dataset;
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct IntrinsicDimension;

/// What `intrinsic_dimension` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "intrinsic_dimension",
    title: "Networks trained in random subspaces of their parameters: the least dimension that reaches 90 % of the test \
            accuracy of training all of them.",
    paper: "Li, Farkhoor, Liu, Yosinski 2018, Measuring the Intrinsic Dimension of Objective Landscapes, table 1 (MNIST)",
    version: 1,
    quick: "10,000 training images (2,000 for LeNet), 10 epochs, Fastfood projections alone, three runs; ten minutes",
    full: "all 60,000 training images, 20 epochs, dense, sparse and Fastfood projections, three runs each",
    data: &["mnist"],
    options: &[
        OptionInfo { name: "networks", doc: "of fc,lenet [default: both]" },
        OptionInfo {
            name: "projections",
            doc: "of dense,sparse,fastfood [default: all, or fastfood alone with --quick]",
        },
        OptionInfo {
            name: "runs",
            doc: "number of runs: initial weights, projections, batches [default: 3]",
        },
    ],
};

/// The share of the full accuracy that is enough.
const SHARE: f64 = 0.9;
/// Samples of a step.
const BATCH: usize = 100;
/// Adam's rate at first.
const RATE: f64 = 0.002;
/// The largest subspace.
const MOST: i64 = 8192;

/// A network of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Fc,
    LeNet,
}

impl Model {
    const ALL: [Model; 2] = [Self::Fc, Self::LeNet];

    fn name(self) -> &'static str {
        match self {
            Self::Fc => "fc",
            Self::LeNet => "lenet",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Fc => "784-200-200-10",
            Self::LeNet => "LeNet",
        }
    }

    /// The dimension of table 1.
    fn published(self) -> f64 {
        match self {
            Self::Fc => 750.0,
            Self::LeNet => 290.0,
        }
    }

    /// Where the search begins: near by, so that it is short; where it ends does not depend on it, but for noise.
    fn first(self) -> i64 {
        match self {
            Self::Fc => 512,
            Self::LeNet => 256,
        }
    }

    /// Training images and epochs.
    fn sample(self, quick: bool) -> (usize, usize) {
        match (quick, self) {
            (false, _) => (60_000, 20),
            (true, Self::Fc) => (10_000, 10),
            (true, Self::LeNet) => (2_000, 10),
        }
    }

    fn architecture(self) -> Result<Architecture> {
        let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
        let conv = |filters| {
            Layer::Conv2d(Conv2d {
                filters,
                kernel: [5, 5],
                strides: [1, 1],
                padding: Padding::Valid,
                dilation: [1, 1],
                groups: 1,
                use_bias: true,
                activation: Activation::Relu,
            })
        };
        let pool = || Layer::MaxPooling2d(Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid });
        let (relu, linear) = (Activation::Relu, Activation::Linear);
        let layers = match self {
            Self::Fc => vec![Layer::Flatten, dense(200, relu), dense(200, relu), dense(10, linear)],
            Self::LeNet => vec![
                conv(6),
                pool(),
                conv(16),
                pool(),
                Layer::Flatten,
                dense(120, relu),
                dense(84, relu),
                dense(10, linear),
            ],
        };
        Ok(Architecture::sequential(vec![28, 28, 1], layers)?)
    }
}

/// A network after training.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Trained {
    train_accuracy: f64,
    test_accuracy: f64,
}

impl Experiment for IntrinsicDimension {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let (models, kinds, runs) = asked(run)?;
        let mut accuracies = Table::new(vec![
            Column::new("network", "network"),
            Column::new("projection", "projection"),
            Column::new("run", "run"),
            Column::new("d", "d"),
            Column::new("train_accuracy", "train accuracy").digits(ACCURACY),
            Column::new("test_accuracy", "test accuracy").digits(ACCURACY),
            Column::new("share", "test accuracy / that of all parameters").digits(ACCURACY),
        ]);
        let mut dimensions = Table::new(vec![
            Column::new("network", "network"),
            Column::new("parameters", "D"),
            Column::new("projection", "projection"),
            Column::new("full_accuracy", "test accuracy, all parameters").digits(ACCURACY).with_interval(),
            Column::new("d90", "d90").digits(Digits::Fixed { decimals: 0, scale: 1.0 }).with_interval(),
            Column::new("least", "least of the runs").digits(Digits::Fixed { decimals: 0, scale: 1.0 }),
            Column::new("largest", "largest").digits(Digits::Fixed { decimals: 0, scale: 1.0 }),
            Column::new("share_of_parameters", "d90 / D").digits(Digits::Significant(2)),
        ]);
        let mut outcome = Outcome::default();
        for model in models {
            let parameters = model.architecture()?.trainable_count()?;
            let (mut curves, mut places) = (Vec::new(), Vec::new());
            for &kind in &kinds {
                let (mut found, mut full) = (Vec::new(), Vec::new());
                let mut shares = Vec::new();
                for number in 0..runs {
                    let whole: Trained = run.cell(&format!("{} all run={number}", model.name()), |run| {
                        Training::new(run, model, number, None)?.run(run)
                    })?;
                    let mut trained = BTreeMap::new();
                    let threshold = search(run, model, kind, number, whole, &mut trained)?;
                    let name = [model.described().to_owned(), kind.name().to_owned()];
                    for (d, one) in trained.iter().chain([(&parameters, &whole)]) {
                        let share = one.test_accuracy / whole.test_accuracy;
                        if *d != parameters {
                            shares.push((*d as f64, share));
                        }
                        accuracies.push(vec![
                            Cell::text(&name[0]),
                            Cell::text(if *d == parameters { "none" } else { &name[1] }),
                            Cell::count(number),
                            Cell::count(*d as usize),
                            Cell::number(one.train_accuracy),
                            Cell::number(one.test_accuracy),
                            Cell::number(share),
                        ]);
                    }
                    full.push(whole.test_accuracy);
                    found.push(threshold.dimension);
                }
                let reached: Vec<f64> = found.iter().flatten().copied().collect();
                let measured = if reached.len() == runs { geometric(&reached) } else { None };
                if measured.is_none() {
                    outcome = outcome.finding(format!(
                        "{} with {} projections: {} of {runs} runs reach 90 % in no more than {MOST} dimensions.",
                        model.described(),
                        kind.name(),
                        reached.len()
                    ));
                }
                let number = |value: Option<f64>| value.map_or_else(Cell::empty, Cell::number);
                let estimate = |value: Option<Estimate>| {
                    value.map_or_else(Cell::empty, |value| Cell::number(value.value).interval(value.interval))
                };
                dimensions.push(vec![
                    Cell::text(model.described()),
                    Cell::count(parameters as usize),
                    Cell::text(kind.name()),
                    estimate(Estimate::mean(&full)),
                    estimate(measured),
                    number(reached.iter().copied().reduce(f64::min)),
                    number(reached.iter().copied().reduce(f64::max)),
                    number(measured.map(|measured| measured.value / parameters as f64)),
                ]);
                outcome = outcome.beside(Published {
                    what: format!("d90 of {}, {} projections", model.described(), kind.name()),
                    published: format!("{}", model.published()),
                    source: "Li et al. 2018, table 1".to_owned(),
                    measured,
                });
                if let Some(measured) = measured {
                    places.push((measured.value, format!("here {:.0}", measured.value)));
                }
                curves.push(Curve::through(kind.name(), shares).scattered());
            }
            places.push((model.published(), format!("published {}", model.published())));
            let figure = Curves {
                title: format!("{} in random subspaces: test accuracy", model.described()),
                x: "dimension d of the subspace".to_owned(),
                y: "test accuracy / that of all parameters".to_owned(),
                logarithmic_x: true,
                curves,
                levels: vec![(SHARE, "90 %".to_owned())],
                places: if kinds.len() == 1 { places } else { places.split_off(places.len() - 1) },
                ..Curves::default()
            };
            let (images, epochs) = model.sample(run.quick());
            outcome = outcome
                .finding(format!(
                    "Each training of {} is {} steps of {BATCH} images.",
                    model.described(),
                    epochs * images.div_ceil(BATCH)
                ))
                .figure(&format!("accuracy_{}", model.name()), figure);
        }
        Ok(outcome
            .finding(format!(
                "d90 is where the test accuracy crosses 90 % of that of all parameters, trained in the same way (Adam, {RATE} at \
                 first, falling to 0), between the last two dimensions of the search by a straight line over ln d; of several runs, the geometric mean. \
                 Short trainings ask for more dimensions than long ones: a subspace is slower to train than the whole."
            ))
            .table("dimensions", "Intrinsic dimensions", dimensions)
            .table("accuracies", "All trainings", accuracies))
    }
}

const ACCURACY: Digits = Digits::Fixed { decimals: 4, scale: 1.0 };

/// Networks, projections and the number of runs.
fn asked(run: &Run<'_>) -> Result<(Vec<Model>, Vec<ProjectionKind>, usize)> {
    let models = match run.list::<String>("networks")? {
        None => Model::ALL.to_vec(),
        Some(names) => names
            .iter()
            .map(|name| Model::ALL.into_iter().find(|model| model.name() == name))
            .collect::<Option<_>>()
            .ok_or_else(|| ExperimentError::option("networks", "of fc and lenet, a list"))?,
    };
    let kinds = match run.list::<String>("projections")? {
        None if run.quick() => vec![ProjectionKind::Fastfood],
        None => ProjectionKind::ALL.to_vec(),
        Some(names) => {
            names.iter().map(|name| ProjectionKind::named(name)).collect::<Option<_>>().ok_or_else(|| {
                ExperimentError::option("projections", "of dense, sparse and fastfood, a list")
            })?
        }
    };
    let runs = run.option("runs")?.unwrap_or(3);
    if !(1..=1000).contains(&runs) {
        return Err(ExperimentError::option("runs", "a number from 1 to 1000"));
    }
    Ok((models, kinds, runs))
}

/// One run's search; what is trained goes into `trained`, by dimension.
fn search(
    run: &mut Run<'_>,
    model: Model,
    kind: ProjectionKind,
    number: usize,
    whole: Trained,
    trained: &mut BTreeMap<i64, Trained>,
) -> Result<Threshold> {
    let search = ThresholdSearch { first: model.first(), most: MOST, halvings: 2 };
    search.run(SHARE * whole.test_accuracy, &mut |d| {
        let key = format!("{} {} run={number} d={d}", model.name(), kind.name());
        let one: Trained =
            run.cell(&key, |run| Training::new(run, model, number, Some((kind, d)))?.run(run))?;
        trained.insert(d, one);
        Ok(one.test_accuracy)
    })
}

/// The geometric mean of dimensions, which are searched over ln d, with Student's interval there.
fn geometric(dimensions: &[f64]) -> Option<Estimate> {
    let mean = Estimate::mean(&dimensions.iter().map(|d| d.ln()).collect::<Vec<_>>())?;
    Some(Estimate { value: mean.value.exp(), interval: mean.interval.map(|ends| ends.map(f64::exp)) })
}

/// One training.
struct Training {
    subspace: Subspace,
    descent: Descent,
    train: Dataset,
    test: Dataset,
    batches: Generator,
}

impl Training {
    /// In a subspace of a kind and dimension, or of all parameters.
    fn new(
        run: &Run<'_>,
        model: Model,
        number: usize,
        projection: Option<(ProjectionKind, i64)>,
    ) -> Result<Training> {
        let (images, epochs) = model.sample(run.quick());
        let (train, test) = data::first("mnist", images, 10_000)?;
        let seed = |purpose: &str| run.seed(&format!("{} {purpose} run={number}", model.name()));
        let network = Network::initialize_with(
            model.architecture()?,
            Initializer::HeNormal,
            seed("initial weights"),
            run.device(),
        )?;
        let parameters = network.architecture().trainable_count()?;
        let projection = projection
            .map(|(kind, d)| {
                let seed = seed(&format!("projection {} d={d}", kind.name()));
                Projection::new(kind, parameters, d.min(parameters), seed, (network.kind(), network.device()))
            })
            .transpose()?;
        Ok(Training {
            subspace: Subspace::new(&network, projection)?,
            descent: Descent { steps: epochs * images.div_ceil(BATCH), rate: RATE },
            train: on(&train, run.device())?,
            test,
            batches: Generator::new(&[&seed("batches").to_le_bytes()], run.device(), tch::Kind::Double),
        })
    }

    fn run(mut self, run: &Run<'_>) -> Result<Trained> {
        let mut order: Vec<i64> = Vec::new();
        let z = self.descent.run(&self.subspace, &mut |_| -> Result<Batch> {
            run.check_stop()?;
            if order.is_empty() {
                order = self.batches.permutation(self.train.len());
            }
            let rows: Vec<i64> = order.split_off(order.len().saturating_sub(BATCH));
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(run.device())?;
            Ok(Batch {
                inputs: self.train.inputs.f_index_select(0, &rows)?,
                labels: self.train.labels.f_index_select(0, &rows)?,
            })
        })?;
        let network = self.subspace.network_at(&z)?;
        Ok(Trained {
            train_accuracy: evaluate(&network, &self.train)?.accuracy,
            test_accuracy: evaluate(&network, &self.test)?.accuracy,
        })
    }
}

fn on(data: &Dataset, device: tch::Device) -> Result<Dataset> {
    Ok(Dataset::new(data.inputs.f_to_device(device)?, data.labels.f_to_device(device)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_have_the_parameters_of_table_1() {
        let counts = Model::ALL.map(|model| model.architecture().unwrap().trainable_count().unwrap());
        assert_eq!(counts, [199_210, 44_426]);
    }

    #[test]
    fn dimensions_are_averaged_by_their_ratios() {
        let mean = geometric(&[100.0, 400.0]).unwrap();
        let [low, high] = mean.interval.unwrap();
        assert!((mean.value - 200.0).abs() < 1e-9 && (low * high - 40_000.0).abs() < 1e-6);
        assert_eq!(geometric(&[]), None);
    }
}
