//! The ledger of a competition: every submission in one line, appended and never changed; and the leaderboard made of
//! it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pgdl_report::{Cell, Column, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// The format of the entries that this build writes. It rises when a field is added or changes its meaning.
const SCHEMA: u32 = 1;
/// The ledger's file.
const LEDGER: &str = "ledger.jsonl";

/// One submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The format of this entry.
    pub schema: u32,
    /// When it was entered: RFC 3339 in UTC.
    pub utc: String,
    /// The phase.
    pub phase: String,
    /// Who submitted.
    pub name: String,
    /// The measure's id.
    pub measure: String,
    /// SHA-256 of the submission, hexadecimal.
    pub digest: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it has no score, where it has none.
    pub reason: Option<String>,
    /// The phase's score × 100: the mean over its zoos.
    pub total: Option<f64>,
    /// Zoo by zoo.
    pub tasks: Vec<Task>,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has a score.
    Scored,
    /// It exceeded the budget: the score is 0.
    Exceeded,
    /// It gave no value on some network, and has no score.
    Failed,
    /// It exceeded the budget of the phase before, and was not admitted.
    NotAdmitted,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Scored => "scored",
            Verdict::Exceeded => "exceeded",
            Verdict::Failed => "failed",
            Verdict::NotAdmitted => "not admitted",
        }
    }
}

/// A submission on one zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The zoo.
    pub zoo: String,
    /// SHA-256 of the zoo.
    pub zoo_digest: String,
    /// Its score × 100.
    pub score: Option<f64>,
    /// Networks.
    pub networks: usize,
    /// Networks with a value.
    pub ok: usize,
    /// Seconds that all evaluations took together.
    pub seconds: f64,
}

/// A competition's folder.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    /// The ledger in a folder, which is made if need be.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Ledger, Failure> {
        fs::create_dir_all(folder).map_err(|error| about(folder, &error))?;
        Ok(Ledger { folder: folder.to_owned() })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All entries in the order in which they were made, and the number of lines that hold none.
    ///
    /// # Errors
    /// The file cannot be read, or was written by a later version.
    pub fn entries(&self) -> Result<(Vec<Entry>, usize), Failure> {
        let path = self.folder.join(LEDGER);
        match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((Vec::new(), 0)),
            Err(error) => Err(about(&path, &error)),
        }
    }

    /// Appends an entry, unless its author has used up the day's submissions meanwhile.
    ///
    /// # Errors
    /// As [`check_day`], and where the file cannot be written.
    pub fn append(&self, entry: &Entry, per_day: u32) -> Result<(), Failure> {
        let path = self.folder.join(LEDGER);
        let failed = |error: std::io::Error| about(&path, &error);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        // Two submissions may come at the same time.
        file.lock().map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        check_day(&parse(&path, &bytes)?.0, &entry.name, &entry.phase, &entry.utc, per_day)?;
        let mut line = serde_json::to_string(entry).map_err(|error| failed(error.into()))?;
        line.push('\n');
        if bytes.last().is_some_and(|last| *last != b'\n') {
            // Half a line, left by somebody who died: it stays alone.
            line.insert(0, '\n');
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Writes a file of a submission, in full or not at all.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, name: &Path, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let part = path.with_extension("part");
        let parent = path.parent().unwrap_or(&self.folder);
        let written = fs::create_dir_all(parent).and_then(|()| {
            let mut file = File::create(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)
        });
        written.map_err(|error| about(&path, &error))
    }
}

/// Whether somebody may submit once more on the day of `utc`.
///
/// # Errors
/// The day's submissions are used up.
pub fn check_day(entries: &[Entry], name: &str, phase: &str, utc: &str, per_day: u32) -> Result<(), Failure> {
    let day = |utc: &str| utc.get(..10).map(str::to_owned);
    let today = |entry: &&Entry| entry.name == name && entry.phase == phase && day(&entry.utc) == day(utc);
    let used = entries.iter().filter(today).count();
    if used < per_day as usize {
        return Ok(());
    }
    Err(Failure::usage(format!("{name} has used up the {per_day} submissions of today in phase {phase}"))
        .hint("days begin at midnight, UTC"))
}

/// The leaderboard of a phase: everybody's best submission, the best first; of equals the earlier one.
pub fn leaderboard(entries: &[Entry], phase: &str, zoos: &[String]) -> Table {
    let mut columns = vec![Column::new("rank", "rank"), Column::new("name", "name")];
    columns.push(Column::new("total", "total").digits(Digits::Fixed { decimals: 2, scale: 1.0 }));
    for zoo in zoos {
        columns.push(Column::new(zoo, zoo).digits(Digits::Fixed { decimals: 2, scale: 1.0 }));
    }
    columns.push(Column::new("seconds", "time").digits(Digits::Duration));
    columns.extend([
        Column::new("verdict", "verdict"),
        Column::new("utc", "date"),
        Column::new("reason", "reason"),
    ]);
    let mut table = Table::new(columns);
    for (place, entry) in best(entries, phase).into_iter().enumerate() {
        let rank = if entry.total.is_some() { Cell::count(place + 1) } else { Cell::empty() };
        let mut row = vec![rank, Cell::text(&entry.name), Cell::maybe(entry.total)];
        for zoo in zoos {
            let task = entry.tasks.iter().find(|task| task.zoo == *zoo);
            row.push(Cell::maybe(task.and_then(|task| task.score)));
        }
        row.push(Cell::number(entry.tasks.iter().map(|task| task.seconds).sum()));
        row.push(Cell::text(entry.verdict.word()));
        row.push(Cell::text(entry.utc.get(..19).unwrap_or(&entry.utc)));
        row.push(entry.reason.as_ref().map_or_else(Cell::empty, Cell::text));
        table.push(row);
    }
    table
}

/// Everybody's best entry of a phase, in the board's order: by total, then by date; who has no total comes last.
fn best<'a>(entries: &'a [Entry], phase: &str) -> Vec<&'a Entry> {
    let order = |one: &Entry, other: &Entry| {
        let total = |entry: &Entry| entry.total.unwrap_or(f64::NEG_INFINITY);
        total(other).total_cmp(&total(one)).then_with(|| one.utc.cmp(&other.utc))
    };
    let mut by_name: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.phase == phase) {
        by_name
            .entry(&entry.name)
            .and_modify(|best| {
                if order(entry, best).is_lt() {
                    *best = entry;
                }
            })
            .or_insert(entry);
    }
    let mut best: Vec<&Entry> = by_name.into_values().collect();
    best.sort_by(|one, other| order(one, other));
    best
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize), Failure> {
    #[derive(Deserialize)]
    struct Envelope {
        schema: u32,
    }
    let mut entries = Vec::new();
    let mut damaged = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Envelope>(line) {
            Ok(Envelope { schema }) if schema > SCHEMA => {
                return Err(Failure::new(
                    Exit::Invalid,
                    format!(
                        "{}: schema {schema} is newer than {SCHEMA}, the newest this version reads",
                        path.display()
                    ),
                )
                .hint("use the version of pgdl that wrote it, or a later one"));
            }
            _ => {}
        }
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => entries.push(entry),
            Err(_) => damaged += 1,
        }
    }
    Ok((entries, damaged))
}

fn about(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unexpected, format!("{}: {error}", path.display()))
}

impl Entry {
    /// An entry of now, without a score.
    pub fn new(phase: &str, name: &str, measure: &str, digest: &str) -> Entry {
        Entry {
            schema: SCHEMA,
            utc: pgdl_run::utc_now(),
            phase: phase.to_owned(),
            name: name.to_owned(),
            measure: measure.to_owned(),
            digest: digest.to_owned(),
            verdict: Verdict::Failed,
            reason: None,
            total: None,
            tasks: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, utc: &str, total: Option<f64>) -> Entry {
        let task = Task {
            zoo: "z".to_owned(),
            zoo_digest: "d".repeat(64),
            score: total,
            networks: 2,
            ok: 2,
            seconds: 1.5,
        };
        Entry {
            utc: utc.to_owned(),
            total,
            verdict: if total.is_some() { Verdict::Scored } else { Verdict::Failed },
            tasks: vec![task],
            ..Entry::new("p", name, "m", "0")
        }
    }

    #[test]
    fn of_equals_the_earlier_one_is_better_and_everybody_stands_once() {
        let entries = [
            entry("late", "2026-01-03T00:00:00.000Z", Some(5.0)),
            entry("early", "2026-01-01T00:00:00.000Z", Some(5.0)),
            entry("none", "2026-01-01T00:00:00.000Z", None),
            entry("best", "2026-01-04T00:00:00.000Z", Some(7.0)),
            entry("best", "2026-01-05T00:00:00.000Z", Some(6.0)),
            entry("late", "2026-01-04T00:00:00.000Z", Some(5.0)),
            Entry { phase: "q".to_owned(), ..entry("elsewhere", "2026-01-04T00:00:00.000Z", Some(9.0)) },
        ];
        let board: Vec<_> =
            best(&entries, "p").iter().map(|entry| (entry.name.as_str(), entry.total)).collect();
        assert_eq!(board, [("best", Some(7.0)), ("early", Some(5.0)), ("late", Some(5.0)), ("none", None)]);
        assert_eq!(best(&entries, "p")[2].utc, "2026-01-03T00:00:00.000Z");
        let text = leaderboard(&entries, "p", &["z".to_owned()]).to_csv();
        assert!(text.lines().nth(1).unwrap().starts_with("1,best,7"), "{text}");
        assert!(text.lines().nth(4).unwrap().starts_with(",none,,"), "{text}");
    }

    #[test]
    fn the_day_counts_per_name_and_phase() {
        let entries =
            [entry("a", "2026-01-01T00:00:00.000Z", None), entry("a", "2026-01-01T23:59:59.999Z", None)];
        let check = |name: &str, phase: &str, utc: &str| check_day(&entries, name, phase, utc, 2);
        assert!(check("a", "p", "2026-01-01T12:00:00.000Z").unwrap_err().message.contains("used up the 2"));
        assert!(check("a", "p", "2026-01-02T00:00:00.000Z").is_ok());
        assert!(check("b", "p", "2026-01-01T12:00:00.000Z").is_ok());
        assert!(check("a", "q", "2026-01-01T12:00:00.000Z").is_ok());
    }

    #[test]
    fn entries_survive_beside_half_a_line_and_the_limit_holds_when_two_come_at_once() {
        let place = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(place.path()).unwrap();
        let first = entry("a", "2026-01-01T00:00:00.000Z", Some(1.0 / 3.0));
        ledger.append(&first, 1).unwrap();
        let mut file = OpenOptions::new().append(true).open(place.path().join(LEDGER)).unwrap();
        file.write_all(b"{\"schema\":1,\"utc\"").unwrap();
        let second = entry("b", "2026-01-01T00:00:00.000Z", None);
        ledger.append(&second, 1).unwrap();
        assert_eq!(ledger.entries().unwrap(), (vec![first.clone(), second], 1));
        assert!(ledger.append(&first, 1).is_err());
        file.write_all(b"{\"schema\":2}\n").unwrap();
        assert!(ledger.entries().unwrap_err().message.contains("schema 2 is newer"));
    }
}
