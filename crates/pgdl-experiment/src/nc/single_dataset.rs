//! Neural Complexity, meta-trained on a data set's own training images, as a regularizer on that data set.

use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};

use crate::error::{ExperimentError, Result};
use crate::estimate::{cell, mean_of};
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::nc::PAPER;
use crate::nc::classifiers::{self, DataSet, FASHION_MNIST, Fitted, MNIST, Method};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// Neural Complexity as a regularizer on a single data set.
pub struct NcSingleDataset;

/// What `nc_single_dataset` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_single_dataset",
    title: "On MNIST and Fashion-MNIST, a perceptron with 500 hidden units and Neural Complexity as its regularizer, beside \
            none, L2, label smoothing and mixup.",
    paper: PAPER,
    version: 2,
    quick: "4,000 training images, 5 epochs, 2 runs, learners of 64 units; minutes",
    full: "55,000 training images, 10 epochs, 5 runs, learners of 128 units; hours",
    data: &["mnist", "fashion_mnist"],
    options: &[OptionInfo { name: "datasets", doc: "of mnist,fashion_mnist [default: both]" }],
};

/// The paper's test accuracies in percent, in the order of [`Method::ALL`].
const PUBLISHED: [(DataSet, [f64; 5]); 2] =
    [(MNIST, [98.31, 98.36, 98.57, 97.80, 99.03]), (FASHION_MNIST, [88.21, 88.46, 89.15, 89.50, 89.74])];

impl Experiment for NcSingleDataset {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let sizes = classifiers::sizes(run);
        let asked = match run.list::<String>("datasets")? {
            None => PUBLISHED.to_vec(),
            Some(names) => names
                .iter()
                .map(|name| PUBLISHED.into_iter().find(|(data, _)| data.name == name))
                .collect::<Option<_>>()
                .ok_or_else(|| ExperimentError::option("datasets", "of mnist and fashion_mnist, a list"))?,
        };
        run.expect(asked.len() * Method::ALL.len() * sizes.runs);
        let percent = |key: &str, title: &str| {
            Column::new(key, title).digits(Digits::Fixed { decimals: 2, scale: 100.0 }).with_interval()
        };
        let mut table = Table::new(vec![
            Column::new("dataset", "data set"),
            Column::new("method", "regularizer"),
            percent("test_accuracy", "test accuracy, %"),
            percent("train_accuracy", "train accuracy, %"),
            Column::new("test_loss", "test loss").digits(Digits::Significant(3)).with_interval(),
            Column::new("train_loss", "train loss").digits(Digits::Significant(3)).with_interval(),
            Column::new("published", "published test accuracy, %"),
        ]);
        let (mut outcome, mut curves) = (Outcome::default(), Vec::new());
        for (data, published) in asked {
            let model = classifiers::model(run, data)?;
            if let Some(point) = model.description.held_out {
                outcome = outcome.finding(format!(
                    "{}: after {} meta-steps the model explains a share R² of {:.3} of the gaps of held-out tasks' learners, \
                     and {:.3} of those trained with it.",
                    data.name, point.step, point.plain.r2, point.regularized.r2
                ));
            }
            let mut points = Vec::new();
            for (place, (method, there)) in Method::ALL.into_iter().zip(published).enumerate() {
                let mut fits: Vec<Fitted> = Vec::new();
                for index in 0..sizes.runs {
                    let key = format!("dataset={} method={} run={index}", data.name, method.name());
                    fits.push(run.cell(&key, |run| classifiers::fit(run, data, method, 500, index))?);
                }
                let accuracy = mean_of(&fits, |fit| fit.test_accuracy);
                points.extend(fits.iter().map(|fit| (place as f64, 100.0 * fit.test_accuracy)));
                table.push(vec![
                    Cell::text(data.name),
                    Cell::text(method.name()),
                    cell(accuracy),
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
        Ok(outcome.table("accuracies", "Test accuracy by regularizer", table).figure("accuracies", figure))
    }
}
