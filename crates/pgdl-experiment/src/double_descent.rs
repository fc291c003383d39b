//! The test risk's second descent, beyond the models that just interpolate.

mod features;
mod hidden_layer;

use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::{ExperimentError, Result};
use crate::estimate::{Estimate, cell};
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct DoubleDescent;

/// What `double_descent` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "double_descent",
    title: "The test risk of random Fourier features and of networks with one hidden layer on MNIST falls, rises to a peak \
            where training data are just interpolated, and falls again.",
    paper: "Belkin, Hsu, Ma, Mandal 2019, Reconciling Modern Machine-Learning Practice and the Classical Bias–Variance \
            Trade-Off (PNAS 116), figures 2 and 3",
    version: 1,
    quick: "500 training images, up to 4,000 features and 64 hidden units, 600 epochs, three runs; a minute or two",
    full: "4,000 training images, up to 40,000 features and 800 hidden units, 6,000 epochs, five runs; a day or more",
    data: &["mnist"],
    options: &[
        OptionInfo { name: "models", doc: "of features,network [default: both]" },
        OptionInfo { name: "runs", doc: "number of runs [default: 3 with --quick, else 5]" },
        OptionInfo {
            name: "units",
            doc: "hidden units of the networks, a rising list [default: the setting's]",
        },
    ],
};

/// Classes C.
const CLASSES: i64 = 10;

/// What a model of one size comes to, run by run.
#[derive(Serialize, Deserialize)]
struct Risks {
    /// Mean over samples of ‖h(x) − y‖², y the label's unit vector: over all classes together.
    train_loss: Vec<f64>,
    test_loss: Vec<f64>,
    /// Share of samples whose label has not the largest output.
    train_error: Vec<f64>,
    test_error: Vec<f64>,
    /// ‖a‖, of features' coefficients; of a network's weights.
    norm: Vec<f64>,
}

/// The sizes and the samples of a setting.
struct Plan {
    samples: usize,
    tests: usize,
    runs: usize,
    features: Vec<i64>,
    units: Vec<i64>,
    epochs: usize,
}

impl Plan {
    fn new(run: &Run<'_>) -> Result<Plan> {
        let runs = run.option("runs")?.unwrap_or(if run.quick() { 3 } else { 5 });
        if !(1..=1000).contains(&runs) {
            return Err(ExperimentError::option("runs", "a number from 1 to 1000"));
        }
        // Shares of the threshold, closer together about it.
        let shares = [0.02, 0.1, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 4.0, 8.0];
        let features = |samples: f64, more: &[f64]| {
            shares.iter().chain(more).map(|share| (share * samples).round() as i64).collect()
        };
        let units: Option<Vec<i64>> = run.list("units")?;
        let rising = |units: &Vec<i64>| units.windows(2).all(|pair| pair[0] < pair[1]) && units[0] > 0;
        if units.as_ref().is_some_and(|units| !rising(units) || units[units.len() - 1] > 100_000) {
            return Err(ExperimentError::option("units", "a rising list of numbers from 1 to 100,000"));
        }
        let mut plan = if run.quick() {
            Plan {
                samples: 500,
                tests: 2000,
                runs,
                features: features(500.0, &[]),
                units: vec![1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 24, 64],
                epochs: 600,
            }
        } else {
            Plan {
                samples: 4000,
                tests: 10_000,
                runs,
                features: features(4000.0, &[10.0]),
                units: vec![
                    3, 5, 8, 12, 18, 25, 32, 38, 42, 46, 48, 50, 51, 52, 54, 58, 64, 75, 100, 150, 250, 400,
                    800,
                ],
                epochs: 6000,
            }
        };
        plan.units = units.unwrap_or(plan.units);
        Ok(plan)
    }
}

/// A squared loss below this is none: what is left is rounding.
const FITTED: f64 = 1e-9;

/// A model's risks over its sizes.
struct Sweep {
    /// Size, number of parameters that count towards the threshold, risks.
    points: Vec<(i64, i64, Risks)>,
}

impl Sweep {
    /// Of each run, the number of parameters where the risk stands highest above the least risk of fewer parameters: the
    /// peak of a curve that falls first. Where the train loss, too, is above that of fewer parameters, the training came
    /// less far, and its risk says nothing of their number.
    fn peaks(&self, risk: impl Fn(&Risks) -> &Vec<f64>) -> Vec<f64> {
        let runs = self.points.first().map_or(0, |(_, _, risks)| risk(risks).len());
        (0..runs)
            .filter_map(|run| {
                let (mut least, mut peak): (f64, Option<(f64, i64)>) = (f64::INFINITY, None);
                let mut fitted = f64::INFINITY;
                for (_, parameters, risks) in &self.points {
                    let (value, train_loss) = (risk(risks)[run], risks.train_loss[run]);
                    let trained = train_loss <= fitted.max(FITTED);
                    fitted = fitted.min(train_loss);
                    least = least.min(value);
                    if trained && value > least && peak.is_none_or(|(height, _)| value - least > height) {
                        peak = Some((value - least, *parameters));
                    }
                }
                peak.map(|(_, parameters)| parameters as f64)
            })
            .collect()
    }

    fn curve(&self, name: &str, risk: impl Fn(&Risks) -> &Vec<f64>) -> Curve {
        let point = |(_, parameters, risks): &(i64, i64, Risks)| {
            let mean = Estimate::mean(risk(risks))?;
            // On a logarithmic axis an interval that reaches 0 has no lower end.
            let interval = mean.interval.filter(|[low, _]| *low > 0.0);
            Some(CurvePoint { x: *parameters as f64, y: mean.value, interval })
        };
        // What is rounding alone would stretch the scale over thirty orders of magnitude.
        let points = self.points.iter().filter_map(point).filter(|point| point.y > FITTED);
        Curve::of(name, points.collect())
    }
}

impl Experiment for DoubleDescent {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let plan = Plan::new(run)?;
        let models =
            run.list::<String>("models")?.unwrap_or_else(|| vec!["features".into(), "network".into()]);
        if models.is_empty() || models.iter().any(|model| model != "features" && model != "network") {
            return Err(ExperimentError::option("models", "of features and network, a list"));
        }
        let asked = |model: &str| models.iter().any(|other| other == model);
        let cells = [("features", plan.features.len()), ("network", plan.units.len())];
        run.expect(cells.iter().filter(|(model, _)| asked(model)).map(|(_, count)| count).sum());
        let mut outcome = Outcome::default();
        if asked("features") {
            let sweep = features::sweep(run, &plan)?;
            let about = About {
                name: "features",
                what: "random Fourier features",
                size: "features N",
                threshold: plan.samples as f64,
                known: "n",
                published: "N = n",
                source: "Belkin et al. 2019, fig. 2 (there n = 10,000)",
            };
            outcome = reported(outcome, &sweep, &about);
        }
        if asked("network") {
            let sweep = hidden_layer::sweep(run, &plan)?;
            let about = About {
                name: "network",
                what: "one hidden layer",
                size: "hidden units H",
                threshold: plan.samples as f64 * CLASSES as f64,
                known: "n C",
                published: "near n C parameters",
                source: "Belkin et al. 2019, fig. 3 (there n = 4,000, C = 10)",
            };
            outcome = reported(outcome, &sweep, &about);
            outcome = outcome.finding(
                "As in the paper, a network below the threshold begins with the weights of the one before it, and one above it afresh: \
                 between the two the way of training changes, too, and how steeply the risk falls there is in part due to that.",
            );
            if run.quick() {
                outcome = outcome.finding(
                    "Networks near the threshold have 6 to 8 hidden units here, and about 50 in the full setting. Where the train loss of \
                     one is above that of smaller ones, training came less far, and its risk says nothing of its size.",
                );
            }
        }
        Ok(outcome.finding(format!(
            "n = {} training and {} test images, C = {CLASSES} classes. A run's peak is the size at which its risk stands highest \
             above the least risk of the smaller ones, among those whose train loss is no higher than that of smaller ones; sizes \
             are those of the table, so that no peak is known better than its neighbours are apart. Intervals are over runs, which share their samples.",
            plan.samples, plan.tests
        )))
    }
}

/// What is said of a sweep.
struct About {
    name: &'static str,
    what: &'static str,
    size: &'static str,
    threshold: f64,
    known: &'static str,
    published: &'static str,
    source: &'static str,
}

type Column4 = (&'static str, &'static str, fn(&Risks) -> &Vec<f64>);

const RISKS: [Column4; 4] = [
    ("train_loss", "train loss", |risks| &risks.train_loss),
    ("test_loss", "test loss", |risks| &risks.test_loss),
    ("train_error", "train error", |risks| &risks.train_error),
    ("test_error", "test error", |risks| &risks.test_error),
];

fn reported(mut outcome: Outcome, sweep: &Sweep, about: &About) -> Outcome {
    let mut columns = vec![
        Column::new("size", about.size),
        Column::new("parameters", "parameters"),
        Column::new("share_of_threshold", format!("parameters / {}", about.known))
            .digits(Digits::Significant(3)),
    ];
    columns.extend(
        RISKS
            .iter()
            .map(|(key, title, _)| Column::new(*key, *title).digits(Digits::Significant(4)).with_interval()),
    );
    columns.push(Column::new("norm", "norm").digits(Digits::Significant(4)));
    let mut table = Table::new(columns);
    for (size, parameters, risks) in &sweep.points {
        let mut row = vec![
            Cell::count(*size as usize),
            Cell::count(*parameters as usize),
            Cell::number(*parameters as f64 / about.threshold),
        ];
        row.extend(RISKS.iter().map(|(_, _, risk)| cell(Estimate::mean(risk(risks)))));
        row.push(Cell::maybe(Estimate::mean(&risks.norm).map(|mean| mean.value)));
        table.push(row);
    }
    for (_, title, risk) in RISKS.iter().filter(|(key, ..)| key.starts_with("test")) {
        let peaks = sweep.peaks(risk);
        let runs = sweep.points.first().map_or(0, |(_, _, risks)| risk(risks).len());
        let of = if peaks.len() < runs {
            format!(" ({} of {runs} runs have one)", peaks.len())
        } else {
            String::new()
        };
        outcome = outcome.beside(Published {
            what: format!(
                "parameters at the peak of the {title}, {}{of}; {} = {}",
                about.what, about.known, about.threshold
            ),
            published: about.published.to_owned(),
            source: about.source.to_owned(),
            measured: Estimate::mean(&peaks),
        });
    }
    let figure = |y: &str, title: &str, curves| Curves {
        title: title.to_owned(),
        x: "parameters".to_owned(),
        y: y.to_owned(),
        logarithmic_x: true,
        logarithmic_y: true,
        curves,
        places: vec![(about.threshold, format!("{} = {}", about.known, about.threshold))],
        ..Curves::default()
    };
    let loss =
        vec![sweep.curve("test", |risks| &risks.test_loss), sweep.curve("train", |risks| &risks.train_loss)];
    let error = vec![
        sweep.curve("test", |risks| &risks.test_error),
        sweep.curve("train", |risks| &risks.train_error),
    ];
    outcome
        .table(about.name, &format!("Risks, {}", about.what), table)
        .figure(
            &format!("{}_loss", about.name),
            figure("mean squared loss, all classes", &format!("Squared loss, {}", about.what), loss),
        )
        .figure(
            &format!("{}_error", about.name),
            figure("share of wrong classes", &format!("Zero-one loss, {}", about.what), error),
        )
}

/// The samples as rows of pixels from 0 to 1, `[n, 784]` f64, labels `[n]` and their unit vectors `[n, C]`.
struct Samples {
    inputs: tch::Tensor,
    labels: tch::Tensor,
    targets: tch::Tensor,
}

impl Samples {
    /// For training and for testing.
    fn of(run: &Run<'_>, plan: &Plan) -> Result<[Samples; 2]> {
        let (train, test) = data::first("mnist", plan.samples, plan.tests)?;
        let of = |data: pgdl_zoo::Dataset| -> Result<Samples> {
            let labels = data.labels.f_to_device(run.device())?;
            Ok(Samples {
                inputs: data
                    .inputs
                    .f_reshape([labels.numel() as i64, -1])?
                    .f_to_device(run.device())?
                    .f_to_kind(tch::Kind::Double)?,
                targets: labels.f_one_hot(CLASSES)?.f_to_kind(tch::Kind::Double)?,
                labels,
            })
        };
        Ok([of(train)?, of(test)?])
    }

    /// Squared and zero-one loss of outputs `[…, n, C]`, each `[…]`.
    fn losses(&self, outputs: &tch::Tensor) -> Result<[tch::Tensor; 2]> {
        let double = Some(tch::Kind::Double);
        let squares = outputs.f_sub(&self.targets)?.f_square()?.f_sum_dim_intlist(-1, false, double)?;
        let wrong = outputs.f_argmax(-1, false)?.f_ne_tensor(&self.labels)?;
        Ok([squares.f_mean_dim(-1, false, double)?, wrong.f_mean_dim(-1, false, double)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(losses: &[(i64, f64)]) -> Sweep {
        trained(&losses.iter().map(|(parameters, loss)| (*parameters, *loss, 0.0)).collect::<Vec<_>>())
    }

    /// Parameters, risk and train loss.
    fn trained(losses: &[(i64, f64, f64)]) -> Sweep {
        let points = losses.iter().map(|(parameters, loss, train_loss)| {
            let one = || vec![*loss];
            let risks = Risks {
                train_loss: vec![*train_loss],
                test_loss: one(),
                train_error: one(),
                test_error: one(),
                norm: one(),
            };
            (*parameters, *parameters, risks)
        });
        Sweep { points: points.collect() }
    }

    #[test]
    fn the_peak_is_the_highest_rise_and_not_the_worst_small_model() {
        let falls_and_rises =
            sweep(&[(1, 9.0), (2, 3.0), (4, 2.0), (8, 2.5), (16, 5.0), (32, 4.0), (64, 1.0)]);
        assert_eq!(falls_and_rises.peaks(|risks| &risks.test_loss), [16.0]);
        assert!(sweep(&[(1, 3.0), (2, 2.0), (3, 1.0)]).peaks(|risks| &risks.test_loss).is_empty());
        // With 4 the training came less far than with 2: only the rise at 8 is one.
        let interrupted =
            trained(&[(1, 3.0, 2.0), (2, 2.0, 1.0), (4, 5.0, 1.5), (8, 2.5, 0.5), (16, 1.0, 0.1)]);
        assert_eq!(interrupted.peaks(|risks| &risks.test_loss), [8.0]);
    }
}
