//! The learning coefficients of deep linear networks, estimated, beside their closed form.

use pgdl_measure::{Generator, tch};
use pgdl_measure_singular::Sampling;
use pgdl_measure_singular::deep_linear::{DeepLinear, DeepLinearPotential};
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct LlcDeepLinear;

/// What `llc_deep_linear` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "llc_deep_linear",
    title: "The local learning coefficient of deep linear networks, by the chains of `llc`, beside Aoyagi's closed form.",
    paper: "Lau, Furman, Wang, Murfet, Wei 2023, The Local Learning Coefficient; exact values: Aoyagi 2024, \
            Consideration on the Learning Efficiency of Multiple-Layered Neural Networks with Linear Units",
    version: 2,
    quick: "five networks of up to 50 parameters, one draw of the true map each; a minute",
    full: "ten networks of up to 1,200 parameters, five draws of the true map each",
    data: &[],
    options: &[
        OptionInfo {
            name: "rank",
            doc: "rank of the true map; with --input and --widths one network instead of the list",
        },
        OptionInfo { name: "input", doc: "dimensions of the input" },
        OptionInfo { name: "widths", doc: "widths of the layers, a,b,…, the last one the output's" },
        OptionInfo {
            name: "samples",
            doc: "size n of the training set, for β = 1 / ln n [default: 1000000]",
        },
    ],
};

/// Rank, input, widths.
type Case = (usize, usize, &'static [usize]);

const QUICK: [Case; 5] =
    [(0, 1, &[1, 1]), (2, 6, &[5, 4]), (1, 3, &[3, 3]), (0, 4, &[4, 4, 4]), (2, 4, &[3])];
const LARGER: [Case; 5] = [
    (3, 10, &[8, 12, 10]),
    (2, 20, &[10, 15]),
    (0, 10, &[10, 10, 10]),
    (4, 12, &[12, 12, 12, 12]),
    (5, 30, &[20, 20, 10]),
];

/// What is kept of a network and a seed.
#[derive(Serialize, Deserialize)]
struct Found {
    value: f64,
    standard_error: f64,
    r_hat: f64,
    effective_sample_size: f64,
    draws: usize,
    localization: f64,
    step: f64,
}

impl Experiment for LlcDeepLinear {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let networks = networks(run)?;
        let samples: f64 = run.option("samples")?.unwrap_or(1e6);
        if !(3.0..1e300).contains(&samples) {
            return Err(ExperimentError::option("samples", "a number of at least 3"));
        }
        let repeats = if run.quick() { 1 } else { 5 };
        run.expect(networks.len() * repeats);
        let mut table = Table::new(vec![
            Column::new("network", "network"),
            Column::new("rank", "rank"),
            Column::new("parameters", "P"),
            Column::new("exact", "λ").digits(Digits::Significant(5)),
            Column::new("multiplicity", "multiplicity"),
            Column::new("run", "run"),
            Column::new("estimate", "λ̂").digits(Digits::Significant(5)).with_standard_error(),
            Column::new("relative_error", "λ̂/λ − 1").digits(Digits::Fixed { decimals: 4, scale: 1.0 }),
            Column::new("r_hat", "R̂").digits(Digits::Fixed { decimals: 3, scale: 1.0 }),
            Column::new("effective_sample_size", "effective draws")
                .digits(Digits::Fixed { decimals: 0, scale: 1.0 }),
            Column::new("draws", "draws"),
            Column::new("localization", "γ").digits(Digits::Significant(3)),
            Column::new("step", "step size").digits(Digits::Significant(3)),
        ]);
        let mut outcome = Outcome::default();
        let (mut points, mut largest, mut worst) = (Vec::new(), 0.0f64, 0.0f64);
        for (name, network) in &networks {
            let exact = network.learning_coefficient();
            let mut values = Vec::new();
            for repeat in 0..repeats {
                let key = format!("{name} run={repeat}");
                let found: Found = run.cell(&key, |run| estimate(run, network, samples, &key))?;
                let relative = found.value / exact.value - 1.0;
                worst = worst.max(relative.abs());
                largest = largest.max(exact.value);
                let half = 1.959_964 * found.standard_error;
                points.push(CurvePoint {
                    x: exact.value,
                    y: found.value,
                    interval: Some([found.value - half, found.value + half]),
                });
                table.push(vec![
                    Cell::text(network.to_string()),
                    Cell::count(network.rank()),
                    Cell::count(network.parameters()),
                    Cell::number(exact.value),
                    Cell::count(exact.multiplicity),
                    Cell::count(repeat),
                    Cell::number(found.value).standard_error(Some(found.standard_error)),
                    Cell::number(relative),
                    Cell::number(found.r_hat),
                    Cell::number(found.effective_sample_size),
                    Cell::count(found.draws),
                    Cell::number(found.localization),
                    Cell::number(found.step),
                ]);
                values.push(found);
            }
            let measured = match &values[..] {
                [only] => Some(Estimate::normal(only.value, only.standard_error)),
                several => Estimate::mean(&several.iter().map(|found| found.value).collect::<Vec<_>>()),
            };
            outcome = outcome.beside(Published {
                what: format!("λ of {network}, rank {}", network.rank()),
                published: format!("{}", exact.value),
                source: "Aoyagi 2024, main theorem".to_owned(),
                measured,
            });
        }
        let identity = [(0.0, 0.0), (1.05 * largest, 1.05 * largest)];
        let exactly = Curve { dots: false, ..Curve::through("exact", identity) };
        let figure = Curves {
            title: "Learning coefficients of deep linear networks".to_owned(),
            x: "λ, closed form".to_owned(),
            y: "estimate, with its 95 % interval".to_owned(),
            curves: vec![exactly, Curve::of("estimated", points).scattered()],
            ..Curves::default()
        };
        Ok(outcome
            .finding(format!("The largest deviation of λ̂ from λ is {:.1} %.", 100.0 * worst))
            .table("coefficients", "Learning coefficients", table)
            .figure("coefficients", figure))
    }
}

/// The network of the options, or the list of the setting; each with its key.
fn networks(run: &Run<'_>) -> Result<Vec<(String, DeepLinear)>> {
    let (rank, input, widths) = (run.option("rank")?, run.option("input")?, run.list::<usize>("widths")?);
    let make = |rank, input, widths: &[usize]| {
        let name = format!("rank={rank} input={input} widths={widths:?}");
        DeepLinear::new(rank, input, widths)
            .map(|network| (name, network))
            .map_err(|reason| ExperimentError::option("widths", format!("the network {reason}")))
    };
    match (rank, input, widths) {
        (None, None, None) => {
            let larger: &[Case] = if run.quick() { &[] } else { &LARGER };
            QUICK.iter().chain(larger).map(|(rank, input, widths)| make(*rank, *input, widths)).collect()
        }
        (rank, Some(input), Some(widths)) => Ok(vec![make(rank.unwrap_or(0), input, &widths)?]),
        (_, None, _) => Err(ExperimentError::option("input", "it is needed beside --widths and --rank")),
        (_, _, None) => Err(ExperimentError::option("widths", "they are needed beside --input and --rank")),
    }
}

fn estimate(run: &Run<'_>, network: &DeepLinear, samples: f64, key: &str) -> Result<Found> {
    let seed = run.seed(key).to_le_bytes();
    let mut random = Generator::new(&[&seed], tch::Device::Cpu, tch::Kind::Double);
    let centre = network.true_parameter(&mut random)?;
    let potential = DeepLinearPotential::new(network.clone(), centre)?;
    let posterior = Sampling::default().run(&potential, samples / samples.ln(), &mut random)?;
    let found = posterior.learning_coefficient()?;
    let (Some(r_hat), Some(effective)) = (posterior.r_hat(), posterior.effective_sample_size()) else {
        return Err(ExperimentError::failed("too few draws"));
    };
    posterior.check().map_err(|error| ExperimentError::failed(format!("{key}: {error}")))?;
    Ok(Found {
        value: found.value,
        standard_error: found.standard_error,
        r_hat,
        effective_sample_size: effective,
        draws: posterior.draws(),
        localization: posterior.localization,
        step: posterior.step,
    })
}
