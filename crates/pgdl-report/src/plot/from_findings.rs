//! The plots of what was found: the same for pages and for files.

use pgdl_score::{Cmi, Outcome};

use crate::figure::{Colour, Figure};
use crate::findings::{Findings, MeasureFindings};
use crate::leaderboard::Statistic;
use crate::plot::cmi_heat_map::{CmiCell, CmiHeatMap};
use crate::plot::cost::{CostPlot, CostPoint};
use crate::plot::frame::Axis;
use crate::plot::intervals::{Estimate, IntervalPlot, Panel};
use crate::plot::scale::{Scale, number};
use crate::plot::scatter::{Legend, Point, Scatter};
use crate::plot::slices::{SlicePlot, SliceRow};
use crate::population::GapKind;
use crate::score_report::MeasureScore;

/// What the dots of a scatter plot are coloured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColouredBy {
    /// What the page's reader chooses.
    Choice,
    /// One hyperparameter, with a legend.
    Hyperparameter(usize),
    /// Nothing.
    Nothing,
}

/// The two definitions of conditional mutual information whose sets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CmiKind {
    /// The competition's: pairs.
    Pgdl,
    /// Jiang et al. 2019: at most two.
    Fgm,
}

/// Measure against gap.
pub(crate) fn scatter(
    findings: &Findings,
    measure: &MeasureFindings,
    by: ColouredBy,
    titled: bool,
) -> Figure {
    let population = &findings.population;
    let axes = findings.grid.axes();
    let name = &measure.score.measure;
    let points: Vec<Point> = population
        .networks
        .iter()
        .enumerate()
        .filter_map(|(place, network)| {
            let entry = &measure.values.entries[place];
            let x = entry.value().filter(|value| value.is_finite())?;
            let levels = || axes.iter().map(|axis| axis.levels[place] as usize);
            let colour = match by {
                ColouredBy::Choice => Colour::Chosen(levels().collect()),
                ColouredBy::Hyperparameter(axis) => {
                    Colour::Level { axis, level: axes.get(axis)?.levels[place] as usize }
                }
                ColouredBy::Nothing => Colour::Accent,
            };
            let error = entry.standard_error();
            let spread = error.map_or_else(String::new, |error| format!(" ± {}", number(error)));
            // Its hyperparameters stand once per page, in the table of values.
            let note = format!(
                "network {}\nvalue {}{spread}\ngap {}",
                network.label,
                number(x),
                number(network.gap)
            );
            Some(Point { x, y: network.gap, error, colour, note })
        })
        .collect();
    let legend = match by {
        ColouredBy::Hyperparameter(axis) => axes.get(axis).map(|shown| {
            let mut order: Vec<usize> = (0..shown.values()).collect();
            let values = &population.hyperparameters[axis].possible_values;
            order.sort_by(|a, b| values[*a].cmp(&values[*b]));
            let entry = |level: usize| (Colour::Level { axis, level }, shown.labels[level].clone());
            Legend { title: shown.name.clone(), entries: order.into_iter().map(entry).collect() }
        }),
        _ => None,
    };
    let agreement = match measure.score.kendall_tau_b {
        Some(tau) => format!("Kendall’s τ-b {}", coefficient(tau)),
        None => "no rank correlation".to_owned(),
    };
    Scatter {
        title: titled.then(|| name.clone()),
        description: format!(
            "Scatter plot of {name} against the gap of {} of {} networks of {}: {agreement}.",
            points.len(),
            population.networks.len(),
            population.name
        ),
        x: Axis { name: name.clone(), scale: Scale::fitting(points.iter().map(|point| point.x)) },
        y: Axis {
            name: gap_name(population.gap).to_owned(),
            scale: Scale::linear(population.networks.iter().map(|network| network.gap)),
        },
        points,
        legend,
    }
    .figure()
}

/// Agreement within slices; `None` without hyperparameters.
pub(crate) fn slice_plot(findings: &Findings, measure: &MeasureFindings, titled: bool) -> Option<Figure> {
    let name = &measure.score.measure;
    let overall = measure.score.kendall_tau_b;
    let rows: Vec<SliceRow> = measure
        .slices
        .iter()
        .zip(findings.grid.axes())
        .enumerate()
        .map(|(place, (slices, axis))| SliceRow {
            name: axis.name.clone(),
            reversed: slices.reverses(overall),
            dots: slices
                .slices
                .iter()
                .enumerate()
                .filter_map(|(level, slice)| {
                    let tau = slice.tau.clone().ok()?;
                    let note = format!(
                        "{} {}\nτ-b {} over {} networks",
                        axis.name,
                        axis.labels[level],
                        coefficient(tau),
                        slice.covered
                    );
                    Some((tau, Colour::Level { axis: place, level }, note))
                })
                .collect(),
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let reversed: Vec<&str> = rows.iter().filter(|row| row.reversed).map(|row| row.name.as_str()).collect();
    let remark = match reversed.as_slice() {
        [] => "No hyperparameter reverses it".to_owned(),
        names => format!("Reversed within {}", names.join(", ")),
    };
    let all = overall.map_or_else(|| "undefined".to_owned(), coefficient);
    Some(
        SlicePlot {
            title: titled.then(|| format!("{name}: agreement within slices")),
            description: format!("Kendall’s τ-b of {name} over all networks, {all}, and within each value of each hyperparameter. {remark}."),
            overall,
            interval: measure.score.kendall_tau_b_ci,
            rows,
        }
        .figure(),
    )
}

/// Conditional mutual information per set of hyperparameters; `None` where it is undefined for this grid.
pub(crate) fn cmi_map(
    findings: &Findings,
    measure: &MeasureFindings,
    kind: CmiKind,
    titled: bool,
) -> Option<Figure> {
    let outcome: &Outcome<Cmi> = match kind {
        CmiKind::Pgdl => &measure.cmi_pgdl,
        CmiKind::Fgm => &measure.cmi_fgm,
    };
    let cmi = outcome.as_ref().ok()?;
    let names: Vec<String> = findings.grid.axes().iter().map(|axis| axis.name.clone()).collect();
    let cells = cmi
        .sets
        .iter()
        .filter_map(|set| {
            // Pairs lie below the diagonal; one hyperparameter, or none, has a column of its own.
            let (row, column) = match (kind, set.axes.as_slice()) {
                (CmiKind::Pgdl, &[first, second]) => (second - 1, first),
                (CmiKind::Fgm, &[first, second]) => (second + 1, first + 1),
                (CmiKind::Fgm, &[axis]) => (axis + 1, 0),
                (CmiKind::Fgm, &[]) => (0, 0),
                _ => return None,
            };
            let given = match findings.grid.names(&set.axes).as_slice() {
                [] => "given nothing".to_owned(),
                names => format!("given {}", names.join(" and ")),
            };
            let note = match &set.value {
                Ok(value) => format!("CMI × 100 {}\n{given}", hundredfold(*value)),
                Err(reason) => format!("undefined {given}: {reason}"),
            };
            Some(CmiCell { row, column, value: set.value.clone().ok(), least: set.axes == cmi.argmin, note })
        })
        .collect();
    let (rows, columns, which) = match kind {
        CmiKind::Pgdl => {
            (names[1..].to_vec(), names[..names.len() - 1].to_vec(), "as the competition computes it")
        }
        CmiKind::Fgm => {
            let rows = std::iter::once("nothing".to_owned()).chain(names.iter().cloned()).collect();
            let last = names.len().saturating_sub(1);
            let columns = std::iter::once("alone".to_owned()).chain(names[..last].iter().cloned()).collect();
            (rows, columns, "as Jiang et al. 2019 define it")
        }
    };
    let name = &measure.score.measure;
    Some(
        CmiHeatMap {
            title: titled.then(|| format!("{name}: CMI × 100, {which}")),
            description: format!(
                "Conditional mutual information × 100 of {name} and the gap, {which}, per set of hyperparameters. The \
                 smallest is {}.",
                hundredfold(cmi.value)
            ),
            rows,
            columns,
            cells,
        }
        .figure(),
    )
}

/// The scores with their intervals; `None` without measures.
pub(crate) fn interval_plot(findings: &Findings, titled: bool) -> Option<Figure> {
    let scores = &findings.report.scores;
    let panel = |name: &str, scale, landmarks: &[f64], of: fn(&MeasureScore) -> Estimate| Panel {
        name: name.to_owned(),
        landmarks: landmarks.to_vec(),
        values: scores.iter().map(of).collect(),
        scale,
    };
    let confidence = 100.0 * findings.options.confidence;
    let zoo = &findings.population.name;
    (!scores.is_empty()).then(|| {
        IntervalPlot {
            title: titled.then(|| format!("{zoo}: scores with their {confidence} % intervals")),
            description: format!(
                "Scores of {} measures on {zoo} with their {confidence} % bootstrap intervals.",
                scores.len()
            ),
            rows: scores.iter().map(|score| score.measure.clone()).collect(),
            panels: vec![
                panel("CMI × 100", 100.0, &[0.0], |score| (score.cmi_pgdl, score.cmi_pgdl_ci)),
                panel("Kendall’s τ-b", 1.0, &[0.0], |score| (score.kendall_tau_b, score.kendall_tau_b_ci)),
                panel("granulated Kendall Ψ", 1.0, &[0.0], |score| {
                    (score.granulated_kendall_mean, score.granulated_kendall_mean_ci)
                }),
            ],
        }
        .figure()
    })
}

/// Score over cost; `None` where no measure has both.
pub(crate) fn cost_plot(findings: &Findings, statistic: Statistic, titled: bool) -> Option<Figure> {
    let (score, scale) = match statistic {
        Statistic::CmiPgdl => ("CMI × 100", 100.0),
        Statistic::KendallTauB => ("Kendall’s τ-b", 1.0),
        other => (other.key(), 1.0),
    };
    let points: Vec<CostPoint> = findings
        .measures
        .iter()
        .filter_map(|measure| {
            Some(CostPoint {
                measure: measure.score.measure.clone(),
                seconds: measure.provenance.mean_seconds?,
                score: scale * statistic.of(&measure.score)?,
                control: measure.note.as_ref().is_some_and(|note| note.control),
            })
        })
        .collect();
    let zoo = &findings.population.name;
    (!points.is_empty()).then(|| {
        CostPlot {
            title: titled.then(|| format!("{zoo}: what measures cost and what they score")),
            description: format!(
                "{score} over the mean time per network of {} measures on {zoo}. A dashed line joins the best for \
                 their cost.",
                points.len()
            ),
            score: score.to_owned(),
            points,
        }
        .figure()
    })
}

/// The gap in words.
pub(crate) fn gap_name(gap: GapKind) -> &'static str {
    match gap {
        GapKind::Accuracy => "gap (train − test accuracy)",
        GapKind::Loss => "gap (test − train loss, nats)",
        GapKind::Given => "gap",
    }
}

/// A coefficient as people write it.
pub(crate) fn coefficient(value: f64) -> String {
    format!("{:.3}", value + 0.0).replace('-', "−")
}

/// A fraction, times 100.
pub(crate) fn hundredfold(value: f64) -> String {
    format!("{:.2}", 100.0 * value + 0.0).replace('-', "−")
}
