//! What is to be reported of one zoo: scores, slices, costs and provenance, from records.

use std::collections::BTreeSet;
use std::path::Path;

use pgdl_measure::Composite;
use pgdl_run::{Passes, Record, RunContext};
use pgdl_score::{Cmi, Grid, Options, Outcome, kendall_tau_b};
use pgdl_zoo::{Gap, Zoo};

use crate::composite::composite_values;
use crate::error::Result;
use crate::population::{Population, PopulationNetwork};
use crate::score_report::{MeasureScore, SCORE_REPORT_SCHEMA, ScoreReport};
use crate::score_table::by_score;
use crate::values::{CountingRecords, MeasureValues, counting_records};

/// What a measure's author says of it, where its author is known to the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasureNote {
    /// One sentence.
    pub title: String,
    /// The family it belongs to.
    pub family: String,
    /// The formula.
    pub formula: String,
    /// The paper it comes from.
    pub paper: String,
    /// Whether it is a control, made to be compared with.
    pub control: bool,
    /// Whether it looks at the true gaps, so that its records hold for the very same zoo only.
    pub uses_gaps: bool,
}

/// The records of one zoo, as they were found.
#[derive(Clone, Debug, Default)]
pub struct FoundRecords {
    /// The records, in the order in which they were written.
    pub records: Vec<Record>,
    /// Composites to show besides the measures that have records.
    pub composites: Vec<Composite>,
    /// The contexts of the runs, as far as they are kept.
    pub contexts: Vec<RunContext>,
    /// What a reader should know about how they were found.
    pub notes: Vec<String>,
}

/// All that a report shows of one zoo.
#[derive(Clone, Debug)]
pub struct Findings {
    pub(crate) population: Population,
    pub(crate) grid: Grid,
    /// The scores, the best measure first.
    pub(crate) report: ScoreReport,
    /// One per score, in the same order.
    pub(crate) measures: Vec<MeasureFindings>,
    pub(crate) zoo_digest: String,
    pub(crate) contexts: Vec<RunContext>,
    pub(crate) notes: Vec<String>,
    pub(crate) options: Options,
}

/// All that a report shows of one measure.
#[derive(Clone, Debug)]
pub(crate) struct MeasureFindings {
    pub note: Option<MeasureNote>,
    pub values: MeasureValues,
    pub score: MeasureScore,
    pub cmi_pgdl: Outcome<Cmi>,
    pub cmi_fgm: Outcome<Cmi>,
    /// One per hyperparameter.
    pub slices: Vec<AxisSlices>,
    pub provenance: Provenance,
}

/// Kendall's τ-b among the networks that share a value of one hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AxisSlices {
    /// The granulated coefficient: all other hyperparameters held fixed, this one free.
    pub granulated: Option<f64>,
    /// One per value.
    pub slices: Vec<Slice>,
}

/// The networks that share a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    /// How many of them the measure has a value on.
    pub covered: usize,
    pub tau: Outcome,
}

/// How the values of a measure came to be: what its records say, every different answer once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Provenance {
    pub versions: BTreeSet<u32>,
    pub seeds: BTreeSet<u64>,
    pub samples: BTreeSet<u64>,
    pub dtypes: BTreeSet<String>,
    pub devices: BTreeSet<String>,
    pub batch_sizes: BTreeSet<u64>,
    pub threads: BTreeSet<u64>,
    pub pgdl_versions: BTreeSet<String>,
    pub libtorch_versions: BTreeSet<String>,
    pub data_digests: BTreeSet<String>,
    /// When the first and the last evaluation ended.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Means per network over the records with a value.
    pub mean_seconds: Option<f64>,
    pub mean_passes: Option<Passes>,
    pub peak_memory_bytes: Option<u64>,
}

impl Findings {
    /// Scores what records hold for a zoo.
    ///
    /// Records count as [`counting_records`] says, and only where the network's files, the zoo's data (and for
    /// measures that look at the gaps, all of the zoo) are those of `zoo`. Networks without a gap in the zoo's listing are left
    /// out, with a note. `describe` tells what is known of a measure, by its id.
    ///
    /// # Errors
    /// When no network has a gap, the networks are not on the zoo's grid, or the zoo's listing cannot be read.
    pub fn new(
        zoo: &Zoo,
        gap: Gap,
        found: FoundRecords,
        options: &Options,
        describe: &dyn Fn(&str) -> Option<MeasureNote>,
    ) -> Result<Findings> {
        let mut notes = found.notes;
        let population = population(zoo, gap, &mut notes)?;
        let records = valid_records(zoo, found.records, describe, &mut notes);
        let zoo_digest = zoo.digest().unwrap_or_default();
        let findings = Findings::of_records(population, &records, &found.composites, options, describe)?;
        notes.extend(findings.notes);
        Ok(Findings { zoo_digest, contexts: found.contexts, notes, ..findings })
    }

    /// Scores what records hold for a population.
    pub(crate) fn of_records(
        population: Population,
        records: &[Record],
        composites: &[Composite],
        options: &Options,
        describe: &dyn Fn(&str) -> Option<MeasureNote>,
    ) -> Result<Findings> {
        let grid = population.grid()?;
        let gaps = population.gaps();
        let counting = counting_records(&population, records);
        let mut notes = Vec::new();
        let other: usize = counting.iter().map(|counting| counting.other_conditions).sum();
        if other > 0 {
            notes.push(format!(
                "{other} older records were made under other conditions (version of the measure, seed, sample, \
                 floating-point type, data) than the newest of their measure, and do not count"
            ));
        }
        let columns: Vec<MeasureValues> = counting.iter().map(CountingRecords::values).collect();
        let of_measures = counting.iter().zip(&columns).map(|(counting, values)| {
            let records = counting.records.iter().flatten();
            let id = records.clone().next().map_or("", |record| record.measure.as_str());
            MeasureFindings::new(
                &grid,
                &gaps,
                values.clone(),
                describe(id),
                Provenance::of(records.copied()),
                options,
            )
        });
        let mut measures = of_measures.collect::<Result<Vec<_>>>()?;
        for composite in composites {
            let values = composite_values(&population, composite, &columns);
            let ingredients: Vec<&MeasureFindings> = composite
                .expression
                .ingredients()
                .into_iter()
                .filter_map(|spec| measures.iter().find(|measure| measure.values.measure == spec.as_str()))
                .collect();
            let note = note_of_composite(composite, &ingredients);
            let provenance = Provenance::together(ingredients.iter().map(|measure| &measure.provenance));
            measures.push(MeasureFindings::new(&grid, &gaps, values, Some(note), provenance, options)?);
        }
        measures.sort_by(|a, b| by_score(a.score.cmi_pgdl, b.score.cmi_pgdl));
        let report = ScoreReport {
            schema: SCORE_REPORT_SCHEMA,
            zoo: population.name.clone(),
            networks: population.networks.len(),
            gap: population.gap,
            scores: measures.iter().map(|measure| measure.score.clone()).collect(),
            ranking: None,
            competition_totals: None,
        };
        Ok(Findings {
            population,
            grid,
            report,
            measures,
            zoo_digest: String::new(),
            contexts: Vec::new(),
            notes,
            options: *options,
        })
    }

    /// The scores, the best measure first.
    pub fn report(&self) -> &ScoreReport {
        &self.report
    }

    /// What a reader should know: records that do not count, networks that are left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The warnings of the scores, each once, with the measures it concerns; none where it concerns all.
    pub(crate) fn warnings(&self) -> Vec<(&str, Vec<&str>)> {
        let mut warnings: Vec<(&str, Vec<&str>)> = Vec::new();
        for score in &self.report.scores {
            for warning in &score.warnings {
                match warnings.iter_mut().find(|(known, _)| *known == warning.as_str()) {
                    Some((_, measures)) => measures.push(&score.measure),
                    None => warnings.push((warning, vec![&score.measure])),
                }
            }
        }
        for (_, measures) in &mut warnings {
            if measures.len() == self.report.scores.len() {
                measures.clear();
            }
        }
        warnings
    }
}

impl MeasureFindings {
    fn new(
        grid: &Grid,
        gaps: &[f64],
        values: MeasureValues,
        note: Option<MeasureNote>,
        provenance: Provenance,
        options: &Options,
    ) -> Result<MeasureFindings> {
        let numbers: Vec<Option<f64>> = values.entries.iter().map(|entry| entry.value()).collect();
        let scores = pgdl_score::score(grid, gaps, &numbers, options)?;
        let granulated = scores.granulated_kendall.axes.iter().map(|axis| axis.value.clone().ok());
        let slices = granulated
            .enumerate()
            .map(|(axis, granulated)| AxisSlices { granulated, slices: slices(grid, axis, gaps, &numbers) })
            .collect();
        let (cmi_pgdl, cmi_fgm) = (scores.cmi_pgdl.clone(), scores.cmi_fgm.clone());
        Ok(MeasureFindings {
            note,
            score: MeasureScore::new(grid, &values, scores),
            values,
            cmi_pgdl,
            cmi_fgm,
            slices,
            provenance,
        })
    }

    /// The hyperparameters within whose slices the ranking is the reverse of that over all networks.
    pub fn reversals(&self) -> Vec<usize> {
        let overall = self.score.kendall_tau_b;
        (0..self.slices.len()).filter(|&axis| self.slices[axis].reverses(overall)).collect()
    }
}

/// What is to be said of a composite.
fn note_of_composite(composite: &Composite, ingredients: &[&MeasureFindings]) -> MeasureNote {
    let of = |is: fn(&MeasureNote) -> bool| {
        ingredients.iter().any(|measure| measure.note.as_ref().is_some_and(is))
    };
    MeasureNote {
        title: "A composite, computed from the records of the measures in its expression.".to_owned(),
        family: "composite".to_owned(),
        formula: composite.expression.to_string(),
        paper: "Its standard errors take the errors of its measures as independent.".to_owned(),
        control: of(|note| note.control),
        uses_gaps: of(|note| note.uses_gaps),
    }
}

/// τ-b within every value of a hyperparameter.
fn slices(grid: &Grid, axis: usize, gaps: &[f64], values: &[Option<f64>]) -> Vec<Slice> {
    let axis = &grid.axes()[axis];
    (0..axis.values())
        .map(|level| {
            let within = axis.levels.iter().zip(values).zip(gaps);
            let (x, y): (Vec<f64>, Vec<f64>) = within
                .filter(|((place, _), _)| **place as usize == level)
                .filter_map(|((_, value), gap)| value.map(|value| (value, *gap)))
                .unzip();
            Slice { covered: x.len(), tau: kendall_tau_b(&x, &y) }
        })
        .collect()
}

impl AxisSlices {
    /// The coefficients that are defined.
    pub fn taus(&self) -> impl Iterator<Item = f64> + '_ {
        self.slices.iter().filter_map(|slice| slice.tau.clone().ok())
    }

    /// Their unweighted mean.
    pub fn mean(&self) -> Option<f64> {
        let taus: Vec<f64> = self.taus().collect();
        (!taus.is_empty()).then(|| taus.iter().sum::<f64>() / taus.len() as f64)
    }

    /// Simpson's paradox: at least two slices have a coefficient, and each is of the opposite sign to that over all
    /// networks.
    pub fn reverses(&self, overall: Option<f64>) -> bool {
        overall.is_some_and(|overall| self.taus().count() >= 2 && self.taus().all(|tau| tau * overall < 0.0))
    }
}

impl Provenance {
    fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Provenance {
        let mut found = Provenance::default();
        let (mut ok, mut seconds) = (0, 0.0);
        let mut passes = Passes { forward: 0.0, backward: 0.0, hvp: 0.0 };
        for record in records {
            found.versions.insert(record.version);
            found.seeds.insert(record.seed);
            found.samples.insert(record.sample);
            found.dtypes.insert(record.dtype.clone());
            found.devices.insert(record.device.clone());
            found.batch_sizes.insert(record.batch_size);
            found.threads.insert(record.threads);
            found.pgdl_versions.insert(record.pgdl_version.clone());
            found.libtorch_versions.insert(record.libtorch_version.clone());
            found.data_digests.insert(record.data_digest.clone());
            if found.first.as_ref().is_none_or(|first| record.utc < *first) {
                found.first = Some(record.utc.clone());
            }
            if found.last.as_ref().is_none_or(|last| record.utc > *last) {
                found.last = Some(record.utc.clone());
            }
            found.peak_memory_bytes = found.peak_memory_bytes.max(record.peak_memory_bytes);
            if record.status.is_ok() {
                ok += 1;
                seconds += record.seconds;
                passes.forward += record.passes.forward;
                passes.backward += record.passes.backward;
                passes.hvp += record.passes.hvp;
            }
        }
        if ok > 0 {
            let mean = |sum: f64| sum / f64::from(ok);
            found.mean_seconds = Some(mean(seconds));
            found.mean_passes = Some(Passes {
                forward: mean(passes.forward),
                backward: mean(passes.backward),
                hvp: mean(passes.hvp),
            });
        }
        found
    }
}

impl Provenance {
    /// Of what several measures make together: every answer of each, and the sum of what they cost.
    fn together<'a>(parts: impl Iterator<Item = &'a Provenance>) -> Provenance {
        let mut all = Provenance::default();
        for part in parts {
            all.versions.extend(&part.versions);
            all.seeds.extend(&part.seeds);
            all.samples.extend(&part.samples);
            all.dtypes.extend(part.dtypes.clone());
            all.devices.extend(part.devices.clone());
            all.batch_sizes.extend(&part.batch_sizes);
            all.threads.extend(&part.threads);
            all.pgdl_versions.extend(part.pgdl_versions.clone());
            all.libtorch_versions.extend(part.libtorch_versions.clone());
            all.data_digests.extend(part.data_digests.clone());
            all.first = [all.first, part.first.clone()].into_iter().flatten().min();
            all.last = [all.last, part.last.clone()].into_iter().flatten().max();
            all.mean_seconds = sum(all.mean_seconds, part.mean_seconds, |a, b| a + b);
            all.mean_passes = sum(all.mean_passes, part.mean_passes, |a, b| Passes {
                forward: a.forward + b.forward,
                backward: a.backward + b.backward,
                hvp: a.hvp + b.hvp,
            });
            all.peak_memory_bytes = all.peak_memory_bytes.max(part.peak_memory_bytes);
        }
        all
    }
}

/// Of two that may be missing.
fn sum<T>(one: Option<T>, other: Option<T>, add: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(add(one, other)),
        (one, other) => one.or(other),
    }
}

/// The networks of the zoo that have a gap.
fn population(zoo: &Zoo, gap: Gap, notes: &mut Vec<String>) -> Result<Population> {
    let refused = match Population::from_zoo(zoo, gap) {
        Ok(population) => return Ok(population),
        Err(refused) => refused,
    };
    let (mut networks, mut without) = (Vec::new(), Vec::new());
    for network in zoo.networks() {
        match network.metrics.as_ref().and_then(|metrics| metrics.gap(gap)) {
            Some(gap) => networks.push(PopulationNetwork {
                id: Some(network.id),
                label: network.id.to_string(),
                hyperparameters: network.hyperparameters.clone(),
                seed: None,
                gap,
            }),
            None => without.push(network.id.to_string()),
        }
    }
    if networks.is_empty() {
        return Err(refused);
    }
    notes.push(format!(
        "{} of {} networks have no gap in the zoo’s listing, and are left out: {}",
        without.len(),
        zoo.networks().len(),
        enumerated(&without)
    ));
    Ok(Population {
        name: zoo.name().to_owned(),
        gap: gap.into(),
        hyperparameters: zoo.hyperparameters().to_vec(),
        networks,
    })
}

/// The records that were made of this zoo as it is now.
fn valid_records(
    zoo: &Zoo,
    records: Vec<Record>,
    describe: &dyn Fn(&str) -> Option<MeasureNote>,
    notes: &mut Vec<String>,
) -> Vec<Record> {
    let zoo_digest = zoo.digest().ok();
    let data_digest = zoo.data_digest().ok();
    let all = records.len();
    let foreign = records.iter().filter(|record| zoo.network(record.network).is_err()).count();
    if foreign > 0 {
        notes.push(format!("{foreign} records are of networks that the zoo does not list, and do not count"));
    }
    let mut unverified = 0;
    let valid: Vec<Record> = records
        .into_iter()
        .filter(|record| {
            if zoo_digest.as_deref() == Some(record.zoo_digest.as_str()) {
                return true;
            }
            if zoo.network(record.network).is_err() {
                return false;
            }
            let uses_gaps = describe(&record.measure).is_some_and(|note| note.uses_gaps);
            if uses_gaps && zoo_digest.is_some() {
                return false;
            }
            let weights = zoo.weights_digest(record.network).ok();
            if weights.is_none() || data_digest.is_none() {
                unverified += 1;
            }
            weights.is_none_or(|digest| digest == record.weights_digest)
                && data_digest.as_deref().is_none_or(|digest| digest == record.data_digest)
        })
        .collect();
    let outdated = all - foreign - valid.len();
    if outdated > 0 {
        notes.push(format!(
            "{outdated} records were made of other weights, data or gaps than the zoo has now, and do not count"
        ));
    }
    if unverified > 0 {
        notes.push(format!(
            "{unverified} records could not be compared with the zoo’s files, which are not all there: they are taken \
             at their word"
        ));
    }
    valid
}

/// The context that a run folder keeps: `None` where there is none, or one that cannot be read. It is for people.
pub fn read_context(run: &Path) -> Option<RunContext> {
    let text = std::fs::read_to_string(run.join("run.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// The first few of many names.
pub(crate) fn enumerated(names: &[String]) -> String {
    const SHOWN: usize = 24;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
