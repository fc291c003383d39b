//! Neural Complexity beside networks that are larger.

use std::path::PathBuf;

use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};

use crate::error::Result;
use crate::estimate::{cell, mean_of};
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::nc::PAPER;
use crate::nc::classifiers::{self, Case, Fitted, MNIST, Method, Model, WEIGHTS};
use crate::outcome::Outcome;
use crate::run::Run;

/// Neural Complexity beside larger networks.
pub struct NcNetworkSize;

/// What `nc_network_size` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "nc_network_size",
    title: "On MNIST, a perceptron with 500 hidden units and Neural Complexity as its regularizer, beside perceptrons of two and \
            four times the width without it.",
    paper: PAPER,
    version: 3,
    quick: "4,000 training images, 5 epochs, 2 runs, 150 and 150 meta-steps; minutes",
    full: "55,000 training images, 10 epochs, 5 runs, 3,000 meta-steps on errors and 3,000 on the cross-entropy; an hour",
    data: &["mnist"],
    options: &[OptionInfo {
        name: "checkpoint",
        doc: "a trained model to take instead of training one, as that of nc_single_dataset",
    }],
};

const WIDTH: u32 = 500;

impl Experiment for NcNetworkSize {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let runs = classifiers::runs(run);
        let cases = [
            (Method::CrossEntropy, WIDTH),
            (Method::CrossEntropy, 2 * WIDTH),
            (Method::CrossEntropy, 4 * WIDTH),
            (Method::NcOnTestInputs, WIDTH),
        ];
        run.expect(cases.len() * runs + WEIGHTS.len());
        let model = match run.option::<PathBuf>("checkpoint")? {
            Some(path) => Model::read(run, path)?,
            None => Model::trained(run, MNIST)?,
        };
        let mut outcome = Outcome::default();
        if let Some(words) = model.in_words(MNIST) {
            outcome = outcome.finding(words);
        }
        let percent = |key: &str, title: &str| {
            Column::new(key, title).digits(Digits::Fixed { decimals: 2, scale: 100.0 }).with_interval()
        };
        let mut table = Table::new(vec![
            Column::new("width", "hidden units"),
            Column::new("method", "regularizer"),
            percent("test_accuracy", "test accuracy, %"),
            percent("train_accuracy", "train accuracy, %"),
        ]);
        let (mut plain, mut regularized, mut means) = (Vec::new(), Vec::new(), Vec::new());
        for (method, width) in cases {
            let mut case = Case { data: MNIST, method, model: &model.path, weight: 0.0, width, index: 0 };
            if method.with_nc() {
                case.weight = classifiers::best_weight(classifiers::validated(run, case)?);
                outcome = outcome.finding(format!(
                    "λ is {}, that of the best accuracy on training images that meta-training did not see. NC asks about the \
                     test images, without their labels.",
                    case.weight
                ));
            }
            let mut fits: Vec<Fitted> = Vec::new();
            for index in 0..runs {
                let key = format!("method={} width={width} run={index}", method.name());
                fits.push(run.cell(&key, |run| classifiers::fit(run, Case { index, ..case }))?);
            }
            let accuracy = mean_of(&fits, |fit| fit.test_accuracy);
            means.extend(accuracy.map(|accuracy| accuracy.value));
            let points = if method.with_nc() { &mut regularized } else { &mut plain };
            points.extend(fits.iter().map(|fit| (f64::from(width), 100.0 * fit.test_accuracy)));
            table.push(vec![
                Cell::count(width as usize),
                Cell::text(method.name()),
                cell(accuracy),
                cell(mean_of(&fits, |fit| fit.train_accuracy)),
            ]);
        }
        let figure = Curves {
            title: "Test accuracy of every run on MNIST".to_owned(),
            x: "hidden units".to_owned(),
            y: "test accuracy, %".to_owned(),
            curves: vec![
                Curve { line: false, dots: true, ..Curve::through("no regularizer", plain) },
                Curve { line: false, dots: true, ..Curve::through("Neural Complexity", regularized) },
            ],
            ..Curves::default()
        };
        if let [_, _, widest, with] = means[..] {
            outcome = outcome.finding(format!(
                "With NC, {WIDTH} units reach {:.2} % of the test images; {} units without it reach {:.2} %. The paper reports \
                 that NC beats mere size.",
                100.0 * with,
                4 * WIDTH,
                100.0 * widest
            ));
        }
        Ok(outcome.table("accuracies", "Test accuracy by width", table).figure("accuracies", figure))
    }
}
