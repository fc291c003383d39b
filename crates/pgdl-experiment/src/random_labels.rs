//! Networks fit random labels, with regularization and without.

use pgdl_measure::tch::Kind;
use pgdl_measure::{Generator, tch};
use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::Dataset;
use pgdl_zoo::data::Transform;
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct RandomLabels;

/// What `random_labels` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "random_labels",
    title: "A multilayer perceptron with 512 hidden units fits random labels of CIFAR-10 as well as the true ones; weight \
            decay does not keep it from it.",
    paper: "Zhang, Bengio, Hardt, Recht, Vinyals 2017, Understanding Deep Learning Requires Rethinking Generalization, \
            table 1 (MLP 1×512; there on crops of 28 × 28 pixels, here on all 32 × 32)",
    version: 1,
    quick: "500 training images and 60 epochs; minutes",
    full: "all 50,000 training images and 200 epochs",
    data: &["cifar10"],
    options: &[],
};

const CLASSES: f64 = 10.0;
const DECAYS: [f64; 2] = [0.0, 0.0005];

#[derive(Serialize, Deserialize)]
struct Fitted {
    train_accuracy: f64,
    test_accuracy: f64,
    train_loss: f64,
    /// The mean loss during each epoch.
    losses: Vec<f64>,
}

impl Experiment for RandomLabels {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        run.expect(4);
        let mut table = Table::new(vec![
            Column::new("labels", "labels"),
            Column::new("weight_decay", "weight decay"),
            Column::new("train_accuracy", "train accuracy").digits(Digits::Fixed { decimals: 4, scale: 1.0 }),
            Column::new("test_accuracy", "test accuracy").digits(Digits::Fixed { decimals: 4, scale: 1.0 }),
            Column::new("train_loss", "train loss").digits(Digits::Significant(3)),
        ]);
        let (mut outcome, mut curves) = (Outcome::default(), Vec::new());
        for random in [false, true] {
            for decay in DECAYS {
                let labels = if random { "random" } else { "true" };
                let key = format!("labels={labels} weight_decay={decay}");
                let fitted: Fitted = run.cell(&key, |run| fit(run, random, decay))?;
                table.push(vec![
                    Cell::text(labels),
                    Cell::number(decay),
                    Cell::number(fitted.train_accuracy),
                    Cell::number(fitted.test_accuracy),
                    Cell::number(fitted.train_loss),
                ]);
                let epochs = fitted.losses.iter().enumerate();
                let points = epochs.map(|(epoch, loss)| ((epoch + 1) as f64, *loss));
                curves.push(Curve::through(format!("{labels} labels, λ = {decay}"), points));
                let percent = match (random, decay == 0.0) {
                    (false, false) => Some(("99.80 %", "50.39 %")),
                    (false, true) => Some(("100.0 %", "50.51 %")),
                    (true, true) => Some(("99.34 %", "10.61 %")),
                    (true, false) => None,
                };
                if let Some((train_there, test_there)) = percent {
                    let here = [
                        ("train", train_there, fitted.train_accuracy),
                        ("test", test_there, fitted.test_accuracy),
                    ];
                    for (split, there, here) in here {
                        outcome = outcome.beside(Published {
                            what: format!("{split} accuracy, {labels} labels, weight decay {decay}"),
                            published: there.to_owned(),
                            source: "Zhang et al. 2017, table 1".to_owned(),
                            measured: Some(Estimate::exact(here)),
                        });
                    }
                }
            }
        }
        let figure = Curves {
            title: "Fit of true and random labels".to_owned(),
            x: "epochs".to_owned(),
            y: "mean cross-entropy during the epoch".to_owned(),
            logarithmic_y: true,
            curves,
            ..Curves::default()
        };
        Ok(outcome.table("fits", "Fits", table).figure("fits", figure))
    }
}

/// Each channel to mean 0 and standard deviation 1 over CIFAR-10's training images.
fn standardized() -> Transform {
    Transform {
        mean: vec![0.4914, 0.4822, 0.4465],
        std: vec![0.2470, 0.2435, 0.2616],
        ..Transform::default()
    }
}

fn fit(run: &Run<'_>, random: bool, decay: f64) -> Result<Fitted> {
    let (samples, tests, epochs, batch) =
        if run.quick() { (500, 1000, 60, 20) } else { (50_000, 10_000, 200, 128) };
    let (mut sample, test) = data::first_of("cifar10", standardized(), samples, tests)?;
    if random {
        let seed = run.seed("labels").to_le_bytes();
        let mut generator = Generator::new(&[&seed], tch::Device::Cpu, Kind::Double);
        let drawn = generator.uniform_tensor(&[samples as i64])?.f_mul_scalar(CLASSES)?.f_floor()?;
        sample = Dataset::new(sample.inputs, drawn.f_to_kind(Kind::Int64)?)?;
    }
    // The seed of recipes is a signed number of 64 bits.
    let seed = run.seed("networks") >> 1;
    let recipe = Recipe::parse(&format!(
        r#"
schema = 1
name = "random_labels"
seed = {seed}
family = "mlp"

[data]
dataset = "cifar10"
train = "0-{}"
test = "0-{}"

[fixed]
width = 512
depth = 1
lr = 0.001

[[axis]]
name = "weight_decay"
values = [{decay:?}]

[[axis]]
name = "bs"
values = [{batch}]

[training]
optimizer = "adam"
decay = "linear"
max_epochs = {epochs}
"#,
        samples - 1,
        tests - 1
    ))?;
    let mut losses = Vec::new();
    let trained = train(&recipe, 0, &sample, &test, run.device(), &mut |epoch| {
        losses.push(epoch.running_loss);
        Ok(())
    })?;
    Ok(Fitted {
        train_accuracy: trained.train.accuracy,
        test_accuracy: trained.test.accuracy,
        train_loss: trained.train.cross_entropy,
        losses,
    })
}
