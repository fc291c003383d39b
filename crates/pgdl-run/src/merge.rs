//! Records of several runs made one: shards, machines, repetitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Result, RunError};
use crate::folder::{RunFolder, write_whole};
use crate::record::{Key, Record};

/// What came of merging.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// One record per key, sorted by zoo, network, measure and key.
    pub records: Vec<Record>,
    /// Records that another one of the same key stands for.
    pub superseded: usize,
    /// Lines that hold no record, and half-written ones.
    pub damaged: usize,
}

/// Reads the records of several runs (run folders or records files) and keeps one of each key: the newest that is `ok`,
/// or else the newest. Newer is what ended later by its own clock; of equally old ones, the one that was read last.
///
/// # Errors
/// [`RunError::Storage`] if a file cannot be read, [`RunError::NewerSchema`].
pub fn merge(inputs: &[PathBuf]) -> Result<Merged> {
    let mut merged = Merged::default();
    let mut best: BTreeMap<(String, Key), Record> = BTreeMap::new();
    for input in inputs {
        let contents = RunFolder::read(input)?;
        merged.damaged += contents.damaged.len() + usize::from(contents.half_written);
        for record in contents.records {
            let place = (record.zoo.clone(), record.key());
            match best.get_mut(&place) {
                None => {
                    best.insert(place, record);
                }
                Some(known) => {
                    merged.superseded += 1;
                    let rank = |record: &Record| (record.status.is_ok(), record.utc.clone());
                    if rank(&record) >= rank(known) {
                        *known = record;
                    }
                }
            }
        }
    }
    merged.records = best.into_values().collect();
    Ok(merged)
}

impl Merged {
    /// Writes the records to a file of their own, whole or not at all.
    ///
    /// # Errors
    /// [`RunError::Storage`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for record in &self.records {
            text.push_str(&line(record)?);
        }
        write_whole(path, text.as_bytes()).map_err(|source| RunError::storage("write", path, source))
    }

    /// Appends to a run folder what it does not hold yet, and returns the number of records appended. A record of the
    /// folder stands unless it is not `ok` and the merged one is, or is newer.
    ///
    /// # Errors
    /// [`RunError::Storage`], [`RunError::NewerSchema`].
    pub fn append_to(&self, folder: &RunFolder) -> Result<usize> {
        let mut journal = folder.journal();
        let mut held: BTreeMap<(String, Key), (bool, String)> = BTreeMap::new();
        for record in folder.contents()?.records {
            let rank = (record.status.is_ok(), record.utc.clone());
            let best = held.entry((record.zoo.clone(), record.key())).or_insert_with(|| rank.clone());
            *best = rank.max(best.clone());
        }
        let mut appended = 0;
        for record in &self.records {
            let known = held.get(&(record.zoo.clone(), record.key()));
            if known.is_none_or(|(ok, utc)| !ok && (record.status.is_ok() || record.utc > *utc)) {
                journal.append(record)?;
                appended += 1;
            }
        }
        journal.sync()?;
        Ok(appended)
    }
}

fn line(record: &Record) -> Result<String> {
    record.to_line().map_err(|source| RunError::Unwritable {
        spec: record.spec(),
        network: record.network,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::record::tests::sample_record;

    fn at(network: u64, status: Status, utc: &str) -> Record {
        Record { utc: utc.into(), ..sample_record(network, "margin", status) }
    }

    fn write(path: &Path, records: &[Record]) {
        let text: String = records.iter().map(|record| record.to_line().unwrap()).collect();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_newest_ok_record_of_each_key_wins_whatever_the_order_of_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl"));
        write(&a, &[at(2, Status::Ok, "2026-01-01"), at(1, Status::Failed, "2026-01-09")]);
        write(
            &b,
            &[
                at(2, Status::Ok, "2026-01-02"),
                at(2, Status::Crashed, "2026-01-03"),
                at(1, Status::Ok, "2026-01-01"),
            ],
        );
        let expected = [at(1, Status::Ok, "2026-01-01"), at(2, Status::Ok, "2026-01-02")];
        for inputs in [[a.clone(), b.clone()], [b, a]] {
            let merged = merge(&inputs).unwrap();
            assert_eq!(merged.records, expected);
            assert_eq!((merged.superseded, merged.damaged), (3, 0));
        }
    }

    #[test]
    fn merging_reads_folders_counts_damage_and_is_idempotent() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let folder = RunFolder::open(&run).unwrap();
        folder.journal().append(&at(1, Status::Ok, "2026-01-01")).unwrap();
        let torn = dir.path().join("torn.jsonl");
        std::fs::write(&torn, format!("{}{{\"schema\"", at(2, Status::Ok, "2026-01-01").to_line().unwrap()))
            .unwrap();

        let merged = merge(&[run.clone(), torn]).unwrap();
        assert_eq!((merged.records.len(), merged.damaged), (2, 1));
        assert_eq!(merged.append_to(&folder).unwrap(), 1, "one of the two was there");
        assert_eq!(merged.append_to(&folder).unwrap(), 0);
        let file = dir.path().join("merged.jsonl");
        merged.write(&file).unwrap();
        let again = merge(&[file, run]).unwrap();
        assert_eq!((again.records, again.superseded), (merged.records, 2));
    }
}
