//! A folder of results: the tables of a manifest, the records they were made from, and a board page.
//!
//! ```text
//! results/<name>.toml                    the manifest
//! results/<name>/records.jsonl.gz        one record per network, measure and seed, sorted
//! results/<name>/<zoo>.csv, <zoo>.md     the scores on each zoo; with several seeds <zoo>.seed_<N>.csv, .md
//! results/<name>/board.csv               zoos and seeds together, where there are several
//! results/<name>/board.md                the page for people
//! results/<name>/provenance.json         the processor; all else stands in the records
//! ```
//! Everything but the manifest is made from the records and the zoos' gaps alone, and comes out in the same bytes from the
//! same records.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use pgdl_run::Record;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::error::{ReportError, Result};
use crate::leaderboard::{Leaderboard, Statistic};
use crate::manifest::Manifest;
use crate::score_report::ScoreReport;

/// The name of the records in a folder of results.
pub const RECORDS_ARCHIVE: &str = "records.jsonl.gz";

const BOARD_PAGE: &str = "board.md";
const BOARD_TABLE: &str = "board.csv";
const PROVENANCE: &str = "provenance.json";

/// The measures of a manifest on one zoo under one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredZoo {
    /// The zoo's name.
    pub zoo: String,
    /// The seed of the evaluation.
    pub seed: u64,
    /// The scores.
    pub report: ScoreReport,
}

/// All that a manifest leads to.
#[derive(Clone, Debug)]
pub struct Results {
    /// Zoo by zoo, seed by seed, in the manifest's order.
    pub scored: Vec<ScoredZoo>,
    /// The records behind them.
    pub records: Vec<Record>,
    /// The processor they were evaluated on, where it is known.
    pub processor: Option<String>,
}

/// What the records do not say of their origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Provenance {
    schema: u32,
    processor: Option<String>,
}

impl Results {
    /// Sorts the records, so that the same ones make the same file.
    pub fn new(scored: Vec<ScoredZoo>, mut records: Vec<Record>, processor: Option<String>) -> Results {
        records.sort_by_cached_key(|record| (record.zoo.clone(), record.seed, record.key()));
        Results { scored, records, processor }
    }

    /// The name, without extension, of a zoo's table.
    pub fn stem(manifest: &Manifest, zoo: &str, seed: u64) -> String {
        match manifest.evaluation.seeds.len() {
            1 => zoo.to_owned(),
            _ => format!("{zoo}.seed_{seed}"),
        }
    }

    /// The files of the results folder, by name.
    ///
    /// # Errors
    /// When a record breaks the rules of records, or a frame refuses.
    pub fn files(&self, manifest: &Manifest) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let records = pgdl_run::to_compressed(&self.records)
            .map_err(|error| ReportError::invalid(error.to_string()))?;
        files.insert(RECORDS_ARCHIVE.to_owned(), records);
        for ScoredZoo { zoo, seed, report } in &self.scored {
            let (stem, table) = (Results::stem(manifest, zoo, *seed), report.table());
            files.insert(format!("{stem}.csv"), table.to_csv().into_bytes());
            files.insert(format!("{stem}.md"), table.to_markdown().into_bytes());
        }
        let board = self.board(manifest)?;
        if let Some(board) = &board {
            files.insert(BOARD_TABLE.to_owned(), board.table()?.to_csv().into_bytes());
        }
        files.insert(BOARD_PAGE.to_owned(), self.page(manifest, board.as_ref())?.into_bytes());
        let provenance = Provenance { schema: 1, processor: self.processor.clone() };
        let mut provenance = serde_json::to_string_pretty(&provenance)
            .map_err(|error| ReportError::invalid(format!("provenance: {error}")))?;
        provenance.push('\n');
        files.insert(PROVENANCE.to_owned(), provenance.into_bytes());
        Ok(files)
    }

    /// The board of all zoos and seeds, where there are several.
    fn board(&self, manifest: &Manifest) -> Result<Option<Leaderboard>> {
        if self.scored.len() < 2 {
            return Ok(None);
        }
        let named = |scored: &ScoredZoo| ScoreReport {
            zoo: Results::stem(manifest, &scored.zoo, scored.seed),
            ..scored.report.clone()
        };
        let reports: Vec<ScoreReport> = self.scored.iter().map(named).collect();
        Ok(Some(Leaderboard::new(&reports, Statistic::CmiPgdl)?))
    }

    fn page(&self, manifest: &Manifest, board: Option<&Leaderboard>) -> Result<String> {
        let mut page = format!(
            "# {}\n\n<!-- Made by `pgdl reproduce {}.toml --update` from the records beside it. -->\n\n\
             CMI is the competition's conditional mutual information, τ-b Kendall's rank correlation with its 95 % interval, \
             and\nΨ the mean granulated Kendall coefficient: see docs/scores.md.\n",
            manifest.title, manifest.name
        );
        if let Some(board) = board {
            let _ = write!(page, "\n## All zoos\n\n{}", board.table()?.to_markdown());
        }
        for ScoredZoo { zoo, seed, report } in &self.scored {
            let stem = Results::stem(manifest, zoo, *seed);
            let digest = manifest.zoos.iter().find(|known| known.name == *zoo).map_or("", |zoo| &zoo.digest);
            let _ = write!(
                page,
                "\n## {stem}\n\n{} networks, seed {seed}, zoo `{}…`; every statistic is in [{stem}.csv]({stem}.csv).\n\n{}",
                report.networks,
                digest.get(..12).unwrap_or(digest),
                report.table().to_markdown()
            );
        }
        page.push_str("\n## Provenance\n\n| what | |\n| --- | --- |\n");
        let mut row = |what: &str, text: String| {
            let _ = writeln!(page, "| {what} | {} |", text.replace('|', "\\|"));
        };
        for cause in Origin::ALL {
            let values: BTreeSet<String> = self.records.iter().map(|record| cause.of(record)).collect();
            if cause != Origin::MeasureVersion {
                row(cause.title(), values.into_iter().collect::<Vec<_>>().join(", "));
            }
        }
        row("processor", self.processor.clone().unwrap_or_else(|| "unknown".to_owned()));
        let times = self.records.iter().map(|record| record.utc.as_str());
        let day = |time: &str| time.get(..10).unwrap_or(time).to_owned();
        let (first, last) = (times.clone().min().unwrap_or(""), times.max().unwrap_or(""));
        row(
            "evaluated",
            if day(first) == day(last) { day(first) } else { format!("{} to {}", day(first), day(last)) },
        );
        let seconds: f64 = self.records.iter().map(|record| record.seconds).sum();
        row("evaluations", format!("{}, {:.0} s in all", self.records.len(), seconds));
        Ok(page)
    }

    /// Replaces the results folder by one with these results: all of it or nothing. Files of other kinds stay in it.
    ///
    /// # Errors
    /// When a file cannot be written; then the folder is as it was.
    pub fn write(&self, manifest: &Manifest) -> Result<()> {
        replace_folder(&manifest.results_folder(), &self.files(manifest)?)
    }
}

/// What of a record's origin may change its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    MeasureVersion,
    Pgdl,
    Libtorch,
    Device,
    Threads,
    BatchSize,
    Sample,
    Dtype,
}

impl Origin {
    pub(crate) const ALL: [Origin; 8] = [
        Origin::MeasureVersion,
        Origin::Pgdl,
        Origin::Libtorch,
        Origin::Device,
        Origin::Threads,
        Origin::BatchSize,
        Origin::Sample,
        Origin::Dtype,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Origin::MeasureVersion => "version of the measure",
            Origin::Pgdl => "pgdl",
            Origin::Libtorch => "libtorch",
            Origin::Device => "device",
            Origin::Threads => "threads",
            Origin::BatchSize => "batch size",
            Origin::Sample => "training samples",
            Origin::Dtype => "dtype",
        }
    }

    pub(crate) fn of(self, record: &Record) -> String {
        match self {
            Origin::MeasureVersion => record.version.to_string(),
            Origin::Pgdl => record.pgdl_version.clone(),
            Origin::Libtorch => record.libtorch_version.clone(),
            Origin::Device => record.device.clone(),
            Origin::Threads => record.threads.to_string(),
            Origin::BatchSize => record.batch_size.to_string(),
            Origin::Sample => record.sample.to_string(),
            Origin::Dtype => record.dtype.clone(),
        }
    }
}

/// The processor that a results folder names.
///
/// # Errors
/// When the file is there and is not what it should be, or comes from a later version.
pub(crate) fn read_processor(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(PROVENANCE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ReportError::io(path, source)),
    };
    let provenance: Provenance =
        serde_json::from_str(&text).map_err(|error| ReportError::malformed(&path, error.to_string()))?;
    Ok(provenance.processor)
}

/// Whether a file of a results folder is made by [`Results::write`], now or for zoos that the manifest no longer names.
fn is_ours(name: &str) -> bool {
    name == RECORDS_ARCHIVE || name == PROVENANCE || name.ends_with(".csv") || name.ends_with(".md")
}

fn replace_folder(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let Some(name) = folder.file_name() else {
        return Err(ReportError::invalid(format!("{} is no name for a folder", folder.display())));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    let new = folder.with_file_name(hidden);
    let replaced = fill(&new, folder, files).and_then(|()| exchange(&new, folder));
    // Now the old folder, or what could not be completed.
    let _ = fs::remove_dir_all(&new);
    replaced
}

fn fill(new: &Path, old: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let made = fs::remove_dir_all(new).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    made.and_then(|()| fs::create_dir_all(new)).map_err(|source| full_or_io(new, source))?;
    for (name, bytes) in files {
        let path = new.join(name);
        File::create(&path)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|source| full_or_io(&path, source))?;
    }
    for entry in fs::read_dir(old).into_iter().flatten() {
        let entry = entry.map_err(|source| ReportError::io(old, source))?;
        let name = entry.file_name();
        let foreign = !is_ours(&name.to_string_lossy());
        if foreign && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::copy(entry.path(), new.join(&name)).map_err(|source| full_or_io(&entry.path(), source))?;
        } else if foreign {
            return Err(ReportError::Invalid {
                message: format!("{} holds the folder or link {}", old.display(), name.to_string_lossy()),
                hint: Some("results hold plain files: move it away".to_owned()),
            });
        }
    }
    Ok(())
}

/// Gives `new` the name of `old` and the other way round, in one step where the file system can.
fn exchange(new: &Path, old: &Path) -> Result<()> {
    let failed = |source: std::io::Error| ReportError::io(old, source);
    if !old.exists() {
        return fs::rename(new, old).map_err(failed);
    }
    if renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    // A file system that cannot exchange: a reader between the two steps finds no folder, but never half of one.
    let mut aside = new.as_os_str().to_owned();
    aside.push(".old");
    fs::rename(old, &aside).map_err(failed)?;
    fs::rename(new, old).map_err(failed)?;
    fs::rename(&aside, new).map_err(failed)
}

fn full_or_io(path: &Path, source: std::io::Error) -> ReportError {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ReportError::Invalid {
            message: format!("{}: {source}", path.display()),
            hint: Some(
                "free some space and give the same command again; the results are as they were".to_owned(),
            ),
        },
        _ => ReportError::io(path, source),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::example::{perfect, population, record};
    use crate::manifest::tests::EXAMPLE;

    pub(crate) fn manifest(folder: &Path) -> Manifest {
        Manifest::parse(EXAMPLE, &folder.join("tiny.toml")).unwrap()
    }

    /// `perfect` values for each measure, with records that hold them.
    pub(crate) fn results(measures: &[&str]) -> Results {
        let population = population();
        let mut records = Vec::new();
        let mut values = Vec::new();
        for measure in measures {
            for network in &population.networks {
                let mut record =
                    record(network.id.unwrap(), measure, "", "ok", 0, "2026-01-02T03:04:05.000Z");
                record.value = Some(10.0 * network.gap);
                record.standard_error = None;
                records.push(record);
            }
            values.push(perfect(&population, measure));
        }
        let options = pgdl_score::Options { bootstrap: 20, ..Default::default() };
        let report = ScoreReport::new(&population, &values, &options).unwrap();
        records.reverse();
        Results::new(
            vec![ScoredZoo { zoo: "tiny".into(), seed: 0, report }],
            records,
            Some("a processor".into()),
        )
    }

    #[test]
    fn results_are_written_whole_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest(folder.path());
        let results = results(&["margin", "l2_norm"]);
        results.write(&manifest).unwrap();
        let inside = manifest.results_folder();
        let mut names: Vec<String> = fs::read_dir(&inside)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["board.md", "provenance.json", "records.jsonl.gz", "tiny.csv", "tiny.md"]);
        let contents = pgdl_run::RunFolder::read(&inside.join(RECORDS_ARCHIVE)).unwrap();
        assert_eq!(contents.records, results.records);
        assert_eq!(contents.records[0].network, 10, "sorted");
        assert_eq!(read_processor(&inside).unwrap().as_deref(), Some("a processor"));
        let page = fs::read_to_string(inside.join("board.md")).unwrap();
        assert!(page.contains("| margin |") && page.contains("a processor") && page.contains("2026-01-02"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the folder");
    }

    #[test]
    fn what_is_replaced_goes_and_files_of_other_kinds_stay() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest(folder.path());
        let inside = manifest.results_folder();
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("former_zoo.csv"), "old").unwrap();
        fs::write(inside.join("report.html"), "page").unwrap();
        results(&["margin"]).write(&manifest).unwrap();
        assert!(!inside.join("former_zoo.csv").exists());
        assert_eq!(fs::read_to_string(inside.join("report.html")).unwrap(), "page");
        fs::create_dir(inside.join("below")).unwrap();
        let before = fs::read(inside.join("tiny.csv")).unwrap();
        let error = results(&["l2_norm"]).write(&manifest).unwrap_err();
        assert!(error.to_string().contains("below"), "{error}");
        assert_eq!(fs::read(inside.join("tiny.csv")).unwrap(), before, "nothing was changed");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_same_records_in_any_order_make_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest(folder.path());
        let one = results(&["margin", "l2_norm"]);
        let mut records = one.records.clone();
        records.rotate_left(5);
        let other = Results::new(one.scored.clone(), records, one.processor.clone());
        assert_eq!(one.files(&manifest).unwrap(), other.files(&manifest).unwrap());
    }

    #[test]
    fn several_seeds_make_several_tables_and_one_board() {
        let text = EXAMPLE.replace("\n[[zoo]]", "\n[evaluation]\nseeds = [0, 7]\n[[zoo]]");
        let manifest = Manifest::parse(&text, Path::new("tiny.toml")).unwrap();
        let one = results(&["margin"]);
        let mut other = one.scored[0].clone();
        other.seed = 7;
        let both = Results::new(vec![one.scored[0].clone(), other], one.records, None);
        let files = both.files(&manifest).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        for name in ["board.csv", "tiny.seed_0.csv", "tiny.seed_7.md"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        let board = String::from_utf8(files["board.csv"].clone()).unwrap();
        assert!(board.starts_with("measure,total,zoo.tiny.seed_0,zoo.tiny.seed_7,covered"), "{board}");
    }
}
