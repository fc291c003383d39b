//! The journal of finished cells: append-only lines of JSON, the first of which says which run they belong to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ExperimentError, Result};

/// Rises when the lines' fields change.
const SCHEMA: u32 = 1;

/// What a journal's cells depend on. Cells are taken over when all of it agrees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The journal's format.
    pub schema: u32,
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's version.
    pub version: u32,
    /// `quick` or `full`.
    pub setting: String,
    /// The run's seed.
    pub seed: u64,
    /// The experiment's own options, as given.
    pub options: BTreeMap<String, String>,
    /// `cpu` or `cuda`: other devices round differently.
    pub device: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    cell: String,
    seconds: f64,
    result: Value,
}

/// The finished cells of a run, and the file that holds them. While it is open no other run can open it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    cells: BTreeMap<String, Finished>,
}

/// A finished cell.
#[derive(Clone, Debug)]
struct Finished {
    line: usize,
    seconds: f64,
    result: Value,
}

impl Header {
    /// The header of a run.
    pub fn new(experiment: &crate::ExperimentInfo, settings: &crate::Settings) -> Header {
        Header {
            schema: SCHEMA,
            experiment: experiment.name.to_owned(),
            version: experiment.version,
            setting: settings.name().to_owned(),
            seed: settings.seed,
            options: settings.options.clone(),
            device: if settings.device.is_cuda() { "cuda" } else { "cpu" }.to_owned(),
        }
    }

    /// What differs between the header of a file and this one, in words.
    fn difference(&self, there: &Header) -> Option<String> {
        let pairs = [
            ("schema", there.schema.to_string(), self.schema.to_string()),
            ("experiment", there.experiment.clone(), self.experiment.clone()),
            ("version", there.version.to_string(), self.version.to_string()),
            ("setting", there.setting.clone(), self.setting.clone()),
            ("seed", there.seed.to_string(), self.seed.to_string()),
            ("options", format!("{:?}", there.options), format!("{:?}", self.options)),
            ("device", there.device.clone(), self.device.clone()),
        ];
        pairs
            .into_iter()
            .find(|(_, there, here)| there != here)
            .map(|(what, there, here)| format!("{what} {there} there, {here} here"))
    }
}

impl Journal {
    /// Opens the journal of a run, or begins it. A last line that was cut off is taken away.
    ///
    /// # Errors
    /// The file belongs to another run, another program holds it, a line is damaged, or the system refuses.
    pub fn open(path: &Path, header: &Header) -> Result<Journal> {
        let io = |source| ExperimentError::io(path, source);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        if file.try_lock().is_err() {
            let folder = path.parent().unwrap_or(path).to_path_buf();
            return Err(ExperimentError::Busy { path: folder });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut journal = Journal { path: path.to_path_buf(), file, cells: BTreeMap::new() };
        let mut lines = text[..whole].lines().enumerate();
        let Some((_, first)) = lines.next() else {
            journal.append(header)?;
            return Ok(journal);
        };
        let there: Header = serde_json::from_str(first).map_err(|error| journal.damaged(0, &error))?;
        if let Some(difference) = header.difference(&there) {
            return Err(ExperimentError::OtherRun { path: path.to_path_buf(), difference });
        }
        for (place, line) in lines {
            let line: Line = serde_json::from_str(line).map_err(|error| journal.damaged(place, &error))?;
            let finished = Finished { line: place, seconds: line.seconds, result: line.result };
            journal.cells.insert(line.cell, finished);
        }
        Ok(journal)
    }

    /// The number of finished cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no cell is finished.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// What the finished cells took in all.
    pub fn seconds(&self) -> f64 {
        self.cells.values().map(|cell| cell.seconds).sum()
    }

    /// The result of a cell, if it is finished.
    ///
    /// # Errors
    /// The line does not hold what the experiment keeps.
    pub fn get<T: serde::de::DeserializeOwned>(&self, cell: &str) -> Result<Option<T>> {
        let Some(finished) = self.cells.get(cell) else { return Ok(None) };
        serde_json::from_value(finished.result.clone())
            .map(Some)
            .map_err(|error| self.damaged(finished.line, &error))
    }

    /// Keeps the result of a cell.
    ///
    /// # Errors
    /// The system refuses.
    pub fn keep(&mut self, cell: &str, seconds: f64, result: Value) -> Result<()> {
        let line = Line { cell: cell.to_owned(), seconds, result };
        self.append(&line)?;
        let finished = Finished { line: self.cells.len() + 1, seconds, result: line.result };
        self.cells.insert(line.cell, finished);
        Ok(())
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let io = |source| ExperimentError::io(&self.path, source);
        let mut text = serde_json::to_string(line).map_err(|error| io(error.into()))?;
        text.push('\n');
        // In one call, and on the disk before the next cell begins: what is cut off is the last line alone.
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()).map_err(io)
    }

    fn damaged(&self, place: usize, error: &serde_json::Error) -> ExperimentError {
        ExperimentError::Damaged { path: self.path.clone(), line: place + 1, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            schema: SCHEMA,
            experiment: "e".into(),
            version: 1,
            setting: "quick".into(),
            seed: 0,
            options: BTreeMap::new(),
            device: "cpu".into(),
        }
    }

    #[test]
    fn what_is_kept_is_there_again_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let value = 0.1 + 0.2;
        Journal::open(&path, &header()).unwrap().keep("a", 1.5, value.into()).unwrap();
        let journal = Journal::open(&path, &header()).unwrap();
        assert_eq!(journal.get::<f64>("a").unwrap(), Some(value));
        assert_eq!(journal.get::<f64>("b").unwrap(), None);
        assert_eq!((journal.len(), journal.seconds()), (1, 1.5));
    }

    #[test]
    fn a_line_that_was_cut_off_is_forgotten_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, &header()).unwrap();
        journal.keep("a", 0.0, 1.into()).unwrap();
        journal.keep("b", 0.0, 2.into()).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 4]).unwrap();
        let mut journal = Journal::open(&path, &header()).unwrap();
        assert_eq!(journal.get::<u64>("b").unwrap(), None);
        journal.keep("b", 0.0, 2.into()).unwrap();
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn another_run_and_a_second_program_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path, &header()).unwrap();
        assert!(matches!(Journal::open(&path, &header()), Err(ExperimentError::Busy { .. })));
        drop(journal);
        let other = Header { seed: 1, ..header() };
        let error = Journal::open(&path, &other).unwrap_err();
        assert!(error.to_string().contains("seed 0 there, 1 here"), "{error}");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, &header()).unwrap();
        journal.keep("a", 0.0, "text".into()).unwrap();
        assert!(matches!(journal.get::<f64>("a"), Err(ExperimentError::Damaged { line: 2, .. })));
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + "no JSON\n").unwrap();
        assert!(matches!(Journal::open(&path, &header()), Err(ExperimentError::Damaged { line: 3, .. })));
    }
}
