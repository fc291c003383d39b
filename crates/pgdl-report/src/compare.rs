//! A reproduction held against the committed results.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use pgdl_run::{Record, RunError, RunFolder};

use crate::error::{ReportError, Result};
use crate::manifest::{Level, Manifest, Tolerance};
use crate::reproduce::{Origin, RECORDS_ARCHIVE, Results, read_processor};
use crate::table::{Cell, Column, Digits, Table, Tone};

/// The columns of a table of scores that say what it cost, not what came out.
const COST: [&str; 1] = ["seconds"];
const MEASURE: &str = "measure";
const SCORE: &str = "cmi_pgdl";
/// What names a choice that a tiny change of a score may turn over: compared at the level `strict` only.
const CHOICES: [&str; 2] = ["cmi_pgdl_pair", "cmi_fgm_set"];

/// The results that are committed beside a manifest.
#[derive(Clone, Debug)]
pub struct Committed {
    tables: BTreeMap<String, ScoreFile>,
    records: Vec<Record>,
    processor: Option<String>,
}

/// A table of scores as its file has it.
#[derive(Clone, Debug, PartialEq)]
struct ScoreFile {
    path: PathBuf,
    columns: Vec<String>,
    /// Measure and the row's fields, in the file's order.
    rows: Vec<(String, Vec<String>)>,
}

/// One thing that is not as committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The table it is in: the zoo, with the seed where there are several.
    pub zoo: String,
    /// The measure.
    pub measure: String,
    /// What of it: a statistic, the values, or the place on the board.
    pub what: String,
    /// As committed.
    pub committed: String,
    /// As found.
    pub found: String,
    /// By how much, where both are numbers.
    pub difference: Option<f64>,
    /// How much is allowed.
    pub allowed: Option<f64>,
    /// What differs about the origins, and so may be the reason.
    pub why: String,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The level at which it was made.
    pub level: Level,
    /// Scores that were compared.
    pub scores: usize,
    /// Values that were compared.
    pub values: usize,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Committed {
    /// Reads the committed results of a manifest.
    ///
    /// # Errors
    /// When a file is missing or damaged, a table is not one, or records come from a later version. Nothing is changed.
    pub fn read(manifest: &Manifest) -> Result<Committed> {
        let folder = manifest.results_folder();
        let archive = folder.join(RECORDS_ARCHIVE);
        if !folder.is_dir() {
            return Err(ReportError::Invalid {
                message: format!("{}: there are no committed results to compare with", folder.display()),
                hint: Some("--update writes them".to_owned()),
            });
        }
        let contents = RunFolder::read(&archive).map_err(run_error)?;
        if let Some(damaged) = contents.damaged.first() {
            return Err(ReportError::Invalid {
                message: format!("{} line {}: {}", archive.display(), damaged.line, damaged.cause),
                hint: Some("restore the file, or make it anew with --update".to_owned()),
            });
        }
        if contents.half_written {
            return Err(ReportError::Invalid {
                message: format!("{}: the last line is not whole", archive.display()),
                hint: Some("restore the file, or make it anew with --update".to_owned()),
            });
        }
        let mut tables = BTreeMap::new();
        for zoo in &manifest.zoos {
            for &seed in &manifest.evaluation.seeds {
                let stem = Results::stem(manifest, &zoo.name, seed);
                let path = folder.join(format!("{stem}.csv"));
                let bytes = std::fs::read(&path).map_err(|source| ReportError::Invalid {
                    message: format!("{}: {source}", path.display()),
                    hint: Some("restore the table, or make it anew with --update".to_owned()),
                })?;
                tables.insert(stem, ScoreFile::parse(&path, &bytes)?);
            }
        }
        Ok(Committed { tables, records: contents.records, processor: read_processor(&folder)? })
    }

    /// The committed records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The processor that they were made on, where it is known.
    pub fn processor(&self) -> Option<&str> {
        self.processor.as_deref()
    }

    /// Compares what was found with what is committed.
    ///
    /// # Errors
    /// When a committed table has other columns than this version writes.
    pub fn compare(&self, manifest: &Manifest, level: Level, found: &Results) -> Result<Comparison> {
        let tolerance = &manifest.tolerance;
        let mut comparison = Comparison { level, scores: 0, values: 0, differences: Vec::new() };
        for scored in &found.scored {
            let stem = Results::stem(manifest, &scored.zoo, scored.seed);
            let of_this = |record: &&Record| record.zoo == scored.zoo && record.seed == scored.seed;
            let origins = Origins::new(
                self.records.iter().filter(of_this),
                found.records.iter().filter(of_this),
                (self.processor.as_deref(), found.processor.as_deref()),
            );
            let table = ScoreFile::parse(Path::new("found"), scored.report.table().to_csv().as_bytes())?;
            let Some(committed) = self.tables.get(&stem) else {
                return Err(manifest.error(format!("{stem} has no committed table"), "--update writes it"));
            };
            committed.check_columns(&table)?;
            let tables = Tables { zoo: &stem, committed, found: &table, origins: &origins };
            match level {
                Level::Loose => tables.compare_order(tolerance.score, &mut comparison),
                Level::Strict | Level::Balanced => {
                    tables.compare_scores(level, tolerance.score, &mut comparison);
                    compare_values(&stem, level, tolerance, &origins, &mut comparison);
                }
            }
        }
        Ok(comparison)
    }
}

fn run_error(error: RunError) -> ReportError {
    let hint = match &error {
        RunError::Storage { .. } => Some("restore the file, or make it anew with --update".to_owned()),
        other => other.hint(),
    };
    ReportError::Invalid { message: error.to_string(), hint }
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// What differs, by how much, and why it may.
    pub fn table(&self) -> Table {
        let number = |key: &str, title: &str| Column::new(key, title).digits(Digits::Significant(3));
        let mut table = Table::new(vec![
            Column::new("zoo", "zoo"),
            Column::new(MEASURE, MEASURE),
            Column::new("what", "what"),
            Column::new("committed", "committed"),
            Column::new("found", "found"),
            number("difference", "difference"),
            number("allowed", "allowed"),
            Column::new("why", "possible reason"),
        ]);
        for difference in &self.differences {
            table.push(vec![
                Cell::text(&difference.zoo),
                Cell::text(&difference.measure),
                Cell::text(&difference.what),
                Cell::text(&difference.committed),
                Cell::text(&difference.found).tone(Tone::Bad),
                Cell::maybe(difference.difference),
                Cell::maybe(difference.allowed),
                Cell::text(&difference.why),
            ]);
        }
        table
    }
}

impl ScoreFile {
    fn parse(path: &Path, bytes: &[u8]) -> Result<ScoreFile> {
        let malformed = |message: String| ReportError::Invalid {
            message: format!("{}: {message}", path.display()),
            hint: Some("restore the table, or make it anew with --update".to_owned()),
        };
        let text = crate::text::utf8(bytes).map_err(&malformed)?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| malformed(format!("not CSV: {error}")))?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let Some(place) = columns.iter().position(|column| column == MEASURE) else {
            return Err(malformed(format!("no column `{MEASURE}`")));
        };
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| malformed(format!("not CSV: {error}")))?;
            let fields: Vec<String> = record.iter().map(str::to_owned).collect();
            if rows.iter().any(|(measure, _)| *measure == fields[place]) {
                return Err(malformed(format!("has the measure {} twice", fields[place])));
            }
            rows.push((fields[place].clone(), fields));
        }
        Ok(ScoreFile { path: path.to_owned(), columns, rows })
    }

    fn check_columns(&self, current: &ScoreFile) -> Result<()> {
        if self.columns == current.columns {
            return Ok(());
        }
        let names = |of: &[String], without: &[String]| -> Vec<String> {
            of.iter().filter(|name| !without.contains(name)).map(|name| format!("`{name}`")).collect()
        };
        let (lacking, foreign) =
            (names(&current.columns, &self.columns), names(&self.columns, &current.columns));
        let mut faults = Vec::new();
        if !lacking.is_empty() {
            faults.push(format!("lacks the columns {}", lacking.join(", ")));
        }
        if !foreign.is_empty() {
            faults.push(format!("has the unknown columns {}", foreign.join(", ")));
        }
        if faults.is_empty() {
            faults.push("has its columns in another order or twice".to_owned());
        }
        Err(ReportError::Invalid {
            message: format!("{}: the table {}", self.path.display(), faults.join(" and ")),
            hint: Some("it was edited, or made by another version of pgdl: restore it, or make it anew with --update".to_owned()),
        })
    }

    fn row(&self, measure: &str) -> Option<&[String]> {
        self.rows.iter().find(|(name, _)| name == measure).map(|(_, fields)| fields.as_slice())
    }

    fn score(&self, measure: &str) -> Option<f64> {
        let place = self.columns.iter().position(|column| column == SCORE)?;
        self.row(measure)?.get(place)?.parse().ok()
    }
}

/// A zoo's two tables.
struct Tables<'a> {
    zoo: &'a str,
    committed: &'a ScoreFile,
    found: &'a ScoreFile,
    origins: &'a Origins<'a>,
}

impl Tables<'_> {
    fn difference(&self, measure: &str, what: impl Into<String>) -> Difference {
        Difference {
            zoo: self.zoo.to_owned(),
            measure: measure.to_owned(),
            what: what.into(),
            committed: String::new(),
            found: String::new(),
            difference: None,
            allowed: None,
            why: self.origins.reasons(measure),
        }
    }

    /// Measures that only one of the two tables has.
    fn compare_rows(&self, comparison: &mut Comparison) {
        for (measure, _) in &self.found.rows {
            if self.committed.row(measure).is_none() {
                comparison.differences.push(Difference {
                    committed: "not there".to_owned(),
                    found: "a row".to_owned(),
                    why: "the manifest came to name it after the table was made".to_owned(),
                    ..self.difference(measure, "row")
                });
            }
        }
        for (measure, _) in &self.committed.rows {
            if self.found.row(measure).is_none() {
                comparison.differences.push(Difference {
                    committed: "a row".to_owned(),
                    found: "not there".to_owned(),
                    why: "the manifest no longer names it".to_owned(),
                    ..self.difference(measure, "row")
                });
            }
        }
    }

    fn compare_scores(&self, level: Level, tolerance: f64, comparison: &mut Comparison) {
        self.compare_rows(comparison);
        for (measure, found) in &self.found.rows {
            let Some(committed) = self.committed.row(measure) else { continue };
            for (place, column) in self.found.columns.iter().enumerate() {
                let judged = !COST.contains(&column.as_str())
                    && (level == Level::Strict || !CHOICES.contains(&column.as_str()));
                if !judged {
                    continue;
                }
                comparison.scores += 1;
                let (committed, found) = (&committed[place], &found[place]);
                if committed == found {
                    continue;
                }
                let numbers = committed.parse::<f64>().ok().zip(found.parse::<f64>().ok());
                let difference = numbers.map(|(a, b)| (a - b).abs());
                let allowed = match (level, numbers) {
                    (Level::Strict, _) => Some(0.0),
                    (_, Some((a, _))) => Some(tolerance * a.abs().max(1.0)),
                    (_, None) => None,
                };
                let within = level != Level::Strict
                    && difference.zip(allowed).is_some_and(|(difference, allowed)| difference <= allowed);
                if !within {
                    let shown = |text: &String| if text.is_empty() { "–".to_owned() } else { text.clone() };
                    comparison.differences.push(Difference {
                        committed: shown(committed),
                        found: shown(found),
                        difference,
                        allowed: difference.and(allowed),
                        ..self.difference(measure, column)
                    });
                }
            }
        }
    }

    /// Pairs of measures whose committed scores are further apart than the tolerance, and that changed places.
    fn compare_order(&self, tolerance: f64, comparison: &mut Comparison) {
        self.compare_rows(comparison);
        let both = |(measure, _): &(String, Vec<String>)| {
            self.committed.row(measure)?;
            Some((measure.clone(), self.committed.score(measure), self.found.score(measure)))
        };
        let scores: Vec<(String, Option<f64>, Option<f64>)> =
            self.found.rows.iter().filter_map(both).collect();
        comparison.scores += scores.len();
        for (measure, committed, found) in &scores {
            if committed.is_some() != found.is_some() {
                let shown =
                    |score: &Option<f64>| score.map_or_else(|| "–".to_owned(), |score| score.to_string());
                comparison.differences.push(Difference {
                    committed: shown(committed),
                    found: shown(found),
                    ..self.difference(measure, SCORE)
                });
                continue;
            }
            let (Some(committed), Some(found)) = (committed, found) else { continue };
            let overtaken_by: Vec<&str> = scores
                .iter()
                .filter(|(_, other_committed, other_found)| {
                    other_committed.is_some_and(|other| committed - other > tolerance)
                        && other_found.is_some_and(|other| *found < other)
                })
                .map(|(other, ..)| other.as_str())
                .collect();
            if !overtaken_by.is_empty() {
                comparison.differences.push(Difference {
                    committed: format!("above {}", overtaken_by.join(", ")),
                    found: "below".to_owned(),
                    difference: Some((committed - found).abs()),
                    allowed: Some(tolerance),
                    ..self.difference(measure, "place on the board")
                });
            }
        }
    }
}

/// Records of one zoo and seed, by measure and network, from both sides.
struct Origins<'a> {
    committed: HashMap<String, BTreeMap<u64, &'a Record>>,
    found: HashMap<String, BTreeMap<u64, &'a Record>>,
    processors: (Option<&'a str>, Option<&'a str>),
}

impl<'a> Origins<'a> {
    fn new(
        committed: impl Iterator<Item = &'a Record>,
        found: impl Iterator<Item = &'a Record>,
        processors: (Option<&'a str>, Option<&'a str>),
    ) -> Origins<'a> {
        Origins { committed: by_measure(committed), found: by_measure(found), processors }
    }

    /// What differs about the origins of a measure's records, in words. A measure without records of its own is made from
    /// others: all count.
    fn reasons(&self, measure: &str) -> String {
        let of = |side: &HashMap<String, BTreeMap<u64, &'a Record>>, origin: Origin| -> BTreeSet<String> {
            match side.get(measure) {
                Some(records) => records.values().map(|record| origin.of(record)).collect(),
                None => side.values().flat_map(BTreeMap::values).map(|record| origin.of(record)).collect(),
            }
        };
        let joined = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(" and ");
        let mut reasons = Vec::new();
        for origin in Origin::ALL {
            let (committed, found) = (of(&self.committed, origin), of(&self.found, origin));
            if committed != found {
                reasons.push(format!("{} {}, not {}", origin.title(), joined(&found), joined(&committed)));
            }
        }
        if let (Some(committed), Some(found)) = self.processors
            && committed != found
        {
            reasons.push(format!("processor {found}, not {committed}"));
        }
        if reasons.is_empty() {
            return "none known: versions, device, threads and processor agree".to_owned();
        }
        reasons.join("; ")
    }
}

fn by_measure<'a>(records: impl Iterator<Item = &'a Record>) -> HashMap<String, BTreeMap<u64, &'a Record>> {
    let mut by_measure: HashMap<String, BTreeMap<u64, &Record>> = HashMap::new();
    for record in records {
        by_measure.entry(record.spec()).or_default().insert(record.network, record);
    }
    by_measure
}

/// Compares the values network by network; one difference per measure, which names the worst.
fn compare_values(
    zoo: &str,
    level: Level,
    tolerance: &Tolerance,
    origins: &Origins,
    comparison: &mut Comparison,
) {
    let measures: BTreeSet<&String> = origins.found.keys().collect();
    for measure in measures {
        let Some(committed) = origins.committed.get(measure) else { continue };
        let found = &origins.found[measure];
        comparison.values += found.len();
        let mut worst: Option<Apart> = None;
        let mut count = 0;
        for (network, record) in found {
            let Some(apart) = apart(committed.get(network).copied(), record, level, tolerance) else {
                continue;
            };
            count += 1;
            if worst.as_ref().is_none_or(|worst| apart.excess > worst.excess) {
                worst = Some(apart);
            }
        }
        if let Some(worst) = worst {
            comparison.differences.push(Difference {
                zoo: zoo.to_owned(),
                measure: measure.clone(),
                what: match count {
                    1 => format!("{} of network {}", worst.what, worst.network),
                    _ => format!("{} of {count} networks, most of network {}", worst.what, worst.network),
                },
                committed: worst.committed,
                found: worst.found,
                difference: worst.difference,
                allowed: worst.allowed,
                why: origins.reasons(measure),
            });
        }
    }
}

/// Two records that are further apart than allowed.
struct Apart {
    network: u64,
    what: &'static str,
    committed: String,
    found: String,
    difference: Option<f64>,
    allowed: Option<f64>,
    /// How many times too far; infinite where there is no distance.
    excess: f64,
}

fn apart(committed: Option<&Record>, found: &Record, level: Level, tolerance: &Tolerance) -> Option<Apart> {
    let outcome = |record: &Record| match record.value {
        Some(value) => value.to_string(),
        None => record.status.to_string(),
    };
    let apart = Apart {
        network: found.network,
        what: "value",
        committed: committed.map_or_else(|| "no record".to_owned(), outcome),
        found: outcome(found),
        difference: None,
        allowed: None,
        excess: f64::INFINITY,
    };
    let Some(committed) = committed else { return Some(apart) };
    let (Some(a), Some(b)) = (committed.value, found.value) else {
        let same = committed.status == found.status
            && (level != Level::Strict || result(committed) == result(found));
        return (!same).then_some(Apart { what: "status", ..apart });
    };
    let difference = (a - b).abs();
    if level == Level::Strict {
        if result(committed) == result(found) {
            return None;
        }
        let what = if a.to_bits() == b.to_bits() { "details" } else { "value" };
        return Some(Apart { what, difference: Some(difference), allowed: Some(0.0), ..apart });
    }
    let [se_a, se_b] = [committed, found].map(|record| record.standard_error.unwrap_or(0.0));
    let allowed = tolerance.value * a.abs().max(b.abs()) + tolerance.standard_errors * se_a.hypot(se_b);
    let excess = if allowed > 0.0 { difference / allowed } else { f64::INFINITY };
    (difference > allowed).then_some(Apart {
        difference: Some(difference),
        allowed: Some(allowed),
        excess,
        ..apart
    })
}

/// What came out of an evaluation, without where it came from and what it cost: as one line, so that bytes are compared.
fn result(record: &Record) -> String {
    let result = (
        record.status,
        record.value.map(f64::to_bits),
        record.standard_error.map(f64::to_bits),
        &record.message,
        &record.layers,
        &record.details,
        &record.passes,
    );
    format!("{result:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::tests::{manifest, results};

    /// Committed results of two measures in a folder, and the manifest.
    fn committed() -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest(folder.path());
        results(&["margin", "l2_norm"]).write(&manifest).unwrap();
        (folder, manifest)
    }

    fn compare(manifest: &Manifest, level: Level, found: &Results) -> Comparison {
        Committed::read(manifest).unwrap().compare(manifest, level, found).unwrap()
    }

    #[test]
    fn the_same_is_the_same_at_every_level_whatever_it_cost() {
        let (_folder, manifest) = committed();
        let mut found = results(&["margin", "l2_norm"]);
        for record in &mut found.records {
            record.seconds = 99.0;
            record.utc = "2030-01-01T00:00:00.000Z".into();
        }
        found.scored[0].report.scores[0].seconds = Some(99.0);
        for level in Level::ALL {
            let comparison = compare(&manifest, level, &found);
            assert!(comparison.is_same(), "{level}: {comparison:?}");
            assert!(comparison.scores > 0);
        }
        assert_eq!(compare(&manifest, Level::Balanced, &found).values, 16);
    }

    #[test]
    fn a_value_that_is_off_is_found_with_its_network_and_a_reason() {
        let (_folder, manifest) = committed();
        let mut found = results(&["margin", "l2_norm"]);
        for record in &mut found.records {
            record.libtorch_version = "9.9".into();
            if record.measure == "margin" && record.network >= 70 {
                record.value = record.value.map(|value| value * (1.0 + 1e-5 * record.network as f64));
            }
        }
        let strict = compare(&manifest, Level::Strict, &found);
        assert_eq!(strict.differences.len(), 1);
        let balanced = compare(&manifest, Level::Balanced, &found);
        let [difference] = balanced.differences.as_slice() else { panic!("{balanced:?}") };
        assert_eq!(difference.measure, "margin");
        assert_eq!(difference.what, "value of 2 networks, most of network 80");
        assert!((difference.difference.unwrap() - 0.8 * 8e-4).abs() < 1e-12, "{difference:?}");
        assert_eq!(difference.why, "libtorch 9.9, not 2.11.0");
        assert!(compare(&manifest, Level::Loose, &found).is_same());
    }

    #[test]
    fn monte_carlo_errors_count() {
        let (_folder, manifest) = committed();
        let mut found = results(&["margin", "l2_norm"]);
        for record in &mut found.records {
            record.value = record.value.map(|value| value + 0.01);
            record.standard_error = Some(0.0026);
        }
        assert!(compare(&manifest, Level::Balanced, &found).is_same());
        found.records.iter_mut().for_each(|record| record.standard_error = Some(0.0024));
        assert_eq!(compare(&manifest, Level::Balanced, &found).differences.len(), 2);
    }

    #[test]
    fn a_score_that_is_off_is_found_beyond_its_tolerance() {
        let (_folder, manifest) = committed();
        let mut found = results(&["margin", "l2_norm"]);
        let score = &mut found.scored[0].report.scores[0];
        score.kendall_tau_b = score.kendall_tau_b.map(|tau| tau - 0.004);
        assert!(compare(&manifest, Level::Balanced, &found).is_same());
        let strict = compare(&manifest, Level::Strict, &found);
        assert_eq!(strict.differences.len(), 1);
        assert!(strict.differences[0].why.starts_with("none known"), "{strict:?}");
        found.scored[0].report.scores[0].kendall_tau_b = Some(0.9);
        let balanced = compare(&manifest, Level::Balanced, &found);
        assert_eq!(balanced.differences[0].what, "kendall_tau_b");
        found.scored[0].report.scores[0].kendall_tau_b = None;
        let balanced = compare(&manifest, Level::Balanced, &found);
        assert_eq!(balanced.differences[0].found, "–");
    }

    #[test]
    fn the_order_counts_only_between_scores_that_are_apart() {
        let (_folder, manifest) = committed();
        let mut found = results(&["margin", "l2_norm"]);
        found.scored[0].report.scores[0].cmi_pgdl = Some(0.2);
        assert!(compare(&manifest, Level::Loose, &found).is_same(), "both were equal as committed");
        let mut first = results(&["margin", "l2_norm"]);
        first.scored[0].report.scores[1].cmi_pgdl = Some(0.5);
        first.write(&manifest).unwrap();
        assert!(compare(&manifest, Level::Loose, &first).is_same());
        found.scored[0].report.scores[1].cmi_pgdl = Some(0.9);
        let turned = compare(&manifest, Level::Loose, &found);
        assert_eq!(turned.differences.len(), 1, "{turned:?}");
        assert_eq!(turned.differences[0].committed, "above l2_norm");
        assert!(
            turned
                .table()
                .to_text(crate::TextOptions { width: None, colour: false })
                .contains("place on the board")
        );
    }

    #[test]
    fn measures_that_come_and_go_are_named() {
        let (_folder, manifest) = committed();
        let found = results(&["margin", "vc_dim"]);
        for level in Level::ALL {
            let comparison = compare(&manifest, level, &found);
            let rows: Vec<(&str, &str)> = comparison
                .differences
                .iter()
                .filter(|difference| difference.what == "row")
                .map(|difference| (difference.measure.as_str(), difference.found.as_str()))
                .collect();
            assert_eq!(rows, [("vc_dim", "a row"), ("l2_norm", "not there")], "{level}");
        }
    }

    #[test]
    fn damaged_results_are_named_and_left_alone() {
        let damage = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, sign: &str| {
            let (_folder, manifest) = committed();
            let path = manifest.results_folder().join(file);
            let changed = change(std::fs::read(&path).unwrap());
            std::fs::write(&path, &changed).unwrap();
            let found = results(&["margin", "l2_norm"]);
            let error = Committed::read(&manifest)
                .and_then(|committed| committed.compare(&manifest, Level::Balanced, &found))
                .unwrap_err();
            assert!(error.to_string().contains(file) && error.to_string().contains(sign), "{sign}: {error}");
            assert!(error.hint().is_some());
            assert_eq!(std::fs::read(&path).unwrap(), changed);
        };
        let text = |change: fn(String) -> String| {
            move |bytes: Vec<u8>| change(String::from_utf8(bytes).unwrap()).into_bytes()
        };
        damage(
            "tiny.csv",
            &text(|csv| csv.replace("kendall_tau_b,", "tau,")),
            "lacks the columns `kendall_tau_b`",
        );
        damage("tiny.csv", &text(|csv| csv.replace("measure,", "name,")), "no column `measure`");
        damage("tiny.csv", &text(|csv| format!("{csv}margin,1\n")), "not CSV");
        damage("tiny.csv", &text(|csv| csv.replace("l2_norm", "margin")), "twice");
        damage("tiny.csv", &|_| vec![0xff, 0xfe, 0], "UTF-8");
        damage("records.jsonl.gz", &|bytes| bytes[..bytes.len() / 2].to_vec(), "not whole");
        damage("records.jsonl.gz", &|_| b"{\"schema\":99}\n".to_vec(), "newer");
        damage("records.jsonl.gz", &|_| b"{\"schema\":1".to_vec(), "not whole");
        damage("records.jsonl.gz", &|_| b"{}\n".to_vec(), "line 1");
    }

    #[test]
    fn without_results_the_way_to_them_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Committed::read(&manifest(folder.path())).unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("--update writes them"));
    }
}
