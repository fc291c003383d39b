//! Neural Complexity, meta-trained on a data set's own training images, as a regularizer on that data set.

use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};

use crate::error::{ExperimentError, Result};
use crate::estimate::{cell, mean_of};
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::nc::PAPER;
use crate::nc::classifiers::{self, Case, DATA_SETS, DataSet, Fitted, Method, Model, WEIGHTS};
use crate::outcome::{Outcome, Published};
use crate::run::{Run, Settings};

/// Neural Complexity as a regularizer on a single data set.
pub struct NcSingleDataset;

/// What `nc_single_dataset` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_single_dataset",
    title: "A perceptron with 500 hidden units on MNIST and Fashion-MNIST, or ResNet-18 on CIFAR-10, and Neural Complexity as \
            its regularizer, beside none, L2, label smoothing and mixup.",
    paper: PAPER,
    version: 3,
    quick: "4,000 training images, 5 epochs, 2 runs, 150 and 150 meta-steps; minutes",
    full: "55,000 training images, 10 epochs (of CIFAR-10 45,000, of SVHN 68,000, and 30), 5 runs, 3,000 meta-steps on \
           errors and 3,000 on the cross-entropy; an hour, with ResNet-18 hours on a GPU",
    data: &["mnist", "fashion_mnist"],
    options: &[OptionInfo {
        name: "datasets",
        doc: "of mnist,fashion_mnist,cifar10,kmnist,svhn [default: mnist,fashion_mnist]",
    }],
};

/// Those of option `datasets`.
fn asked(settings: &Settings) -> Result<Vec<DataSet>> {
    let Some(names) = settings.list::<String>("datasets")? else { return Ok(DATA_SETS[..2].to_vec()) };
    let find = |name: &String| DATA_SETS.into_iter().find(|data| data.name == name);
    names.iter().map(find).collect::<Option<_>>().ok_or_else(|| {
        let known: Vec<&str> = DATA_SETS.iter().map(|data| data.name).collect();
        ExperimentError::option("datasets", format!("of {}, a list", known.join(", ")))
    })
}

impl Experiment for NcSingleDataset {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn data(&self, settings: &Settings) -> Result<Vec<&'static str>> {
        Ok(asked(settings)?.into_iter().map(|data| data.name).collect())
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let asked = asked(run.settings())?;
        let runs = classifiers::runs(run);
        let with_nc = Method::ALL.into_iter().filter(|method| method.with_nc()).count();
        run.expect(asked.len() * (Method::ALL.len() * runs + with_nc * WEIGHTS.len()));
        let percent = |key: &str, title: &str| {
            Column::new(key, title).digits(Digits::Fixed { decimals: 2, scale: 100.0 }).with_interval()
        };
        let mut table = Table::new(vec![
            Column::new("dataset", "data set"),
            Column::new("method", "regularizer"),
            percent("test_accuracy", "test accuracy, %"),
            Column::new("weight", "λ"),
            percent("train_accuracy", "train accuracy, %"),
            Column::new("test_loss", "test loss").digits(Digits::Significant(3)).with_interval(),
            Column::new("train_loss", "train loss").digits(Digits::Significant(3)).with_interval(),
            Column::new("published", "published test accuracy, %"),
        ]);
        let mut weights = Table::new(vec![
            Column::new("dataset", "data set"),
            Column::new("method", "regularizer"),
            Column::new("weight", "λ"),
            Column::new("accuracy", "accuracy on held-out training images, %")
                .digits(Digits::Fixed { decimals: 2, scale: 100.0 }),
        ]);
        let (mut outcome, mut curves) = (Outcome::default(), Vec::new());
        for data in asked {
            outcome = outcome.finding(format!("{}: {}.", data.name, data.network(run)));
            let width = data.width(run);
            let model = Model::trained(run, data)?;
            if let Some(words) = model.in_words(data) {
                outcome = outcome.finding(words);
            }
            let mut points = Vec::new();
            for (place, method) in Method::ALL.into_iter().enumerate() {
                let there = data.published(method);
                let mut case = Case { data, method, model: &model.path, weight: 0.0, width, index: 0 };
                if method.with_nc() {
                    let accuracies = classifiers::validated(run, case)?;
                    case.weight = classifiers::best_weight(accuracies);
                    for (weight, accuracy) in WEIGHTS.into_iter().zip(accuracies) {
                        weights.push(vec![
                            Cell::text(data.name),
                            Cell::text(method.name()),
                            Cell::text(weight.to_string()),
                            Cell::number(accuracy),
                        ]);
                    }
                }
                let mut fits: Vec<Fitted> = Vec::new();
                for index in 0..runs {
                    let key = format!("dataset={} method={} run={index}", data.name, method.name());
                    fits.push(run.cell(&key, |run| classifiers::fit(run, Case { index, ..case }))?);
                }
                let accuracy = mean_of(&fits, |fit| fit.test_accuracy);
                points.extend(fits.iter().map(|fit| (place as f64, 100.0 * fit.test_accuracy)));
                table.push(vec![
                    Cell::text(data.name),
                    Cell::text(method.name()),
                    cell(accuracy),
                    Cell::text(if method.with_nc() { case.weight.to_string() } else { "–".to_owned() }),
                    cell(mean_of(&fits, |fit| fit.train_accuracy)),
                    cell(mean_of(&fits, |fit| fit.test_loss)),
                    cell(mean_of(&fits, |fit| fit.train_loss)),
                    Cell::text(format!("{there:.2}")),
                ]);
                outcome = outcome.beside(Published {
                    what: format!("test accuracy, {}, {}", data.name, method.name()),
                    published: format!("{there:.2} %"),
                    source: "Lee et al. 2020, single-data-set experiment".to_owned(),
                    measured: accuracy,
                });
            }
            curves.push(Curve { line: false, dots: true, ..Curve::through(data.name, points) });
        }
        let names: Vec<&str> = Method::ALL.into_iter().map(Method::name).collect();
        let figure = Curves {
            title: "Test accuracy of every run".to_owned(),
            x: format!("regularizer: {}", names.join(", ")),
            y: "test accuracy, %".to_owned(),
            curves,
            ..Curves::default()
        };
        Ok(outcome
            .finding(
                "`nc` asks about images of the training half that the network is not trained on, `nc_on_test_inputs` about the test \
                 images themselves, without their labels. We do not know which the paper's number is of; it stands beside both. λ is that of the best accuracy of one run on training images that \
                 meta-training did not see.",
            )
            .table("accuracies", "Test accuracy by regularizer", table)
            .table("weights", "The choice of λ", weights)
            .figure("accuracies", figure))
    }
}
