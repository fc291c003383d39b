//! The records file: one record a line, appended and never changed.
//!
//! Each record is one `write` of one whole line, made under a lock, so that several processes may share a file. A
//! process that dies in the middle of a write leaves half a line at the end; whoever writes next moves it aside.
//!
//! When is what safe? A record is in the kernel's hands as soon as [`Journal::append`] returns, so that no death of a
//! process can take it back. Against a loss of power it is safe after [`Journal::sync`], which a run calls once per
//! network: one wait for the disk per network costs nothing beside its evaluation, one per record would cost more than
//! many a measure.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::compressed;
use crate::error::{Result, RunError};
use crate::record::{LineError, Record};

/// A line of a records file that holds no record. It is left alone, and counts as not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedLine {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub cause: LineError,
}

/// What a records file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The records, in the order in which they were written.
    pub records: Vec<Record>,
    /// Lines that are no records.
    pub damaged: Vec<DamagedLine>,
    /// Whether the file ends in half a line.
    pub half_written: bool,
}

/// Reads a records file without changing it; compressed ones ([`crate::write_compressed`]) are told by their content.
///
/// # Errors
/// [`RunError::Storage`] if the file cannot be read, [`RunError::NewerSchema`] if a line comes from a later version,
/// [`RunError::Data`] if a compressed file is damaged.
pub fn read_records(path: &Path) -> Result<Contents> {
    let failed = |source| RunError::storage("read", path, source);
    let mut file = File::open(path).map_err(|source| RunError::storage("open", path, source))?;
    let length = file.metadata().map_err(failed)?.len();
    if length >= 2 && compressed::is_compressed(&mut file).map_err(failed)? {
        return compressed::read(file, path);
    }
    let mut scan = Scan::default();
    scan.read(&file, length, path)?;
    let half_written = scan.offset < length;
    Ok(Contents { records: scan.records, damaged: scan.damaged, half_written })
}

/// How far a file has been read, and what was found since the last look.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    offset: u64,
    lines: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) damaged: Vec<DamagedLine>,
}

impl Scan {
    /// Reads the whole lines between the last look and `length`.
    fn read(&mut self, mut file: &File, length: u64, path: &Path) -> Result<()> {
        let failed = |source| RunError::storage("read", path, source);
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut reader = BufReader::new(file.take(length.saturating_sub(self.offset)));
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(failed)?;
            if line.last() != Some(&b'\n') {
                return Ok(());
            }
            self.take_line(&line, path)?;
        }
    }

    /// Takes one whole line.
    pub(crate) fn take_line(&mut self, line: &[u8], path: &Path) -> Result<()> {
        self.lines += 1;
        self.offset += line.len() as u64;
        let parsed = match std::str::from_utf8(line) {
            Ok(text) if text.trim().is_empty() => return Ok(()),
            Ok(text) => Record::from_line(text),
            Err(error) => Err(LineError::Malformed(error.to_string())),
        };
        match parsed {
            Ok(record) => self.records.push(record),
            Err(LineError::NewerSchema { found }) => {
                return Err(RunError::NewerSchema { path: path.to_owned(), line: self.lines, found });
            }
            Err(cause) => self.damaged.push(DamagedLine { line: self.lines, cause }),
        }
        Ok(())
    }
}

/// A records file that is open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Held by whoever writes, and only while it writes.
    lock: File,
    lock_path: PathBuf,
    scan: Scan,
    healed: u64,
}

impl Journal {
    /// Opens `path`, makes it if need be, and heals its end. `lock_path` is the lock that its writers share.
    ///
    /// # Errors
    /// [`RunError::Storage`] if a file cannot be made, read or locked; [`RunError::NewerSchema`].
    pub fn open(path: &Path, lock_path: &Path) -> Result<Journal> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(|source| RunError::storage("open", path, source))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock_path)
            .map_err(|source| RunError::storage("open", lock_path, source))?;
        let mut journal = Journal {
            path: path.to_owned(),
            file,
            lock,
            lock_path: lock_path.to_owned(),
            scan: Scan::default(),
            healed: 0,
        };
        journal.locked(|journal| {
            journal.heal()?;
            journal.scan_to_end()
        })?;
        Ok(journal)
    }

    /// The records file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Half-written lines that this journal moved aside.
    pub fn healed(&self) -> u64 {
        self.healed
    }

    /// Lines that hold no record.
    pub fn damaged(&self) -> &[DamagedLine] {
        &self.scan.damaged
    }

    /// Takes the records read since the last call: at first all of the file, later what this and other processes have
    /// appended.
    ///
    /// # Errors
    /// [`RunError::Storage`], [`RunError::NewerSchema`].
    pub fn take_new(&mut self) -> Result<Vec<Record>> {
        self.locked(Journal::scan_to_end)?;
        Ok(std::mem::take(&mut self.scan.records))
    }

    /// Appends one record: one line, one write.
    ///
    /// # Errors
    /// [`RunError::Storage`] if it could not be written whole; then none of it stays in the file.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = record.to_line().map_err(|source| RunError::Unwritable {
            spec: record.spec(),
            network: record.network,
            source,
        })?;
        self.locked(|journal| {
            let start = journal.heal()?;
            if let Err(source) = journal.file.write_all(line.as_bytes()) {
                // If this fails as well, half a line stays behind, for the next writer to move aside.
                let _ = journal.file.set_len(start);
                return Err(RunError::storage("append to", &journal.path, source));
            }
            Ok(())
        })
    }

    /// Waits until everything appended is on the disk.
    ///
    /// # Errors
    /// [`RunError::Storage`] if the disk says that it is not.
    pub fn sync(&self) -> Result<()> {
        match self.file.sync_data() {
            // What is no regular file (a pipe, a device) has nothing to wait for.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result.map_err(|source| RunError::storage("write out", &self.path, source)),
        }
    }

    fn locked<T>(&mut self, work: impl FnOnce(&mut Journal) -> Result<T>) -> Result<T> {
        self.lock.lock().map_err(|source| RunError::storage("lock", &self.lock_path, source))?;
        let result = work(self);
        let unlocked = self.lock.unlock();
        let value = result?;
        unlocked.map_err(|source| RunError::storage("unlock", &self.lock_path, source))?;
        Ok(value)
    }

    fn scan_to_end(&mut self) -> Result<()> {
        let length = self.length()?;
        self.scan.read(&self.file, length, &self.path)
    }

    fn length(&self) -> Result<u64> {
        let metadata =
            self.file.metadata().map_err(|source| RunError::storage("read", &self.path, source))?;
        if metadata.nlink() == 0 {
            let deleted =
                io::Error::new(io::ErrorKind::NotFound, "the file was deleted while the run used it");
            return Err(RunError::storage("use", &self.path, deleted));
        }
        Ok(metadata.len())
    }

    /// Makes the file end where a line ends, and returns its length. Needs the lock.
    fn heal(&mut self) -> Result<u64> {
        let length = self.length()?;
        let tail = self.tail(length).map_err(|source| RunError::storage("read", &self.path, source))?;
        if tail.is_empty() {
            return Ok(length);
        }
        let whole = std::str::from_utf8(&tail).is_ok_and(|text| Record::from_line(text).is_ok());
        if whole {
            // Only the newline is missing.
            self.file
                .write_all(b"\n")
                .map_err(|source| RunError::storage("append to", &self.path, source))?;
            return Ok(length + 1);
        }
        let start = length - tail.len() as u64;
        self.set_aside(&tail)?;
        self.file.set_len(start).map_err(|source| RunError::storage("shorten", &self.path, source))?;
        self.healed += 1;
        Ok(start)
    }

    /// The bytes behind the last newline.
    fn tail(&self, length: u64) -> io::Result<Vec<u8>> {
        const BLOCK: u64 = 1 << 16;
        let mut file = &self.file;
        let mut tail = Vec::new();
        let mut end = length;
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            let mut block = vec![0; (end - start) as usize];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut block)?;
            if let Some(newline) = block.iter().rposition(|&byte| byte == b'\n') {
                block.drain(..=newline);
                block.append(&mut tail);
                return Ok(block);
            }
            block.append(&mut tail);
            tail = block;
            end = start;
        }
        Ok(tail)
    }

    /// Keeps a half-written line beside the records: `records.jsonl.damaged`.
    fn set_aside(&self, tail: &[u8]) -> Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".damaged");
        let aside = PathBuf::from(name);
        let mut bytes = tail.to_vec();
        bytes.push(b'\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&aside)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|source| RunError::storage("set a half-written line aside in", &aside, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Status;
    use crate::record::tests::sample_record;

    fn open(dir: &Path) -> Journal {
        Journal::open(&dir.join("records.jsonl"), &dir.join("lock")).unwrap()
    }

    fn three() -> Vec<Record> {
        [(1, Status::Ok), (2, Status::Failed), (3, Status::Ok)]
            .map(|(network, status)| sample_record(network, "l2_norm", status))
            .to_vec()
    }

    #[test]
    fn what_is_appended_is_read_again_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        for record in three() {
            journal.append(&record).unwrap();
        }
        assert_eq!(journal.take_new().unwrap(), three());
        assert_eq!(journal.take_new().unwrap(), [], "each record is taken once");
        let contents = read_records(journal.path()).unwrap();
        assert_eq!(contents, Contents { records: three(), ..Contents::default() });
    }

    #[test]
    fn a_file_cut_anywhere_loses_only_the_line_that_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let lines: Vec<String> = three().iter().map(|record| record.to_line().unwrap()).collect();
        let whole = lines.concat();
        let path = dir.path().join("records.jsonl");
        let near_a_line_end =
            |cut: usize| whole.as_bytes()[cut.saturating_sub(2)..whole.len().min(cut + 2)].contains(&b'\n');
        for cut in (0..=whole.len()).filter(|&cut| cut % 61 == 0 || near_a_line_end(cut)) {
            std::fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
            let kept = three().len().min(whole[..cut].matches('\n').count());
            let mut journal = open(dir.path());
            let mut records = journal.take_new().unwrap();
            let only_the_newline_is_missing = records.len() == kept + 1;
            if only_the_newline_is_missing {
                assert_eq!(whole.as_bytes()[cut], b'\n');
            } else {
                assert_eq!(records.len(), kept, "cut at {cut}");
                let half = cut > 0 && whole.as_bytes()[cut - 1] != b'\n';
                assert_eq!(journal.healed(), u64::from(half), "cut at {cut}");
            }
            journal.append(&three()[2]).unwrap();
            records.append(&mut journal.take_new().unwrap());
            let contents = read_records(&path).unwrap();
            assert_eq!(contents.records, records);
            assert!(contents.damaged.is_empty() && !contents.half_written, "cut at {cut}");
        }
    }

    #[test]
    fn half_a_line_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        std::fs::write(&path, b"{\"schema\":1,\"zo").unwrap();
        assert!(read_records(&path).unwrap().half_written, "reading alone changes nothing");
        open(dir.path());
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::read(dir.path().join("records.jsonl.damaged")).unwrap(), b"{\"schema\":1,\"zo\n");
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let [first, second, third] = three().try_into().unwrap();
        let mut bytes = first.to_line().unwrap().into_bytes();
        bytes.extend_from_slice(b"\0\0\0\xff\n");
        bytes.extend_from_slice(third.to_line().unwrap().as_bytes());
        std::fs::write(&path, bytes).unwrap();
        let mut journal = open(dir.path());
        assert_eq!(journal.damaged().iter().map(|damaged| damaged.line).collect::<Vec<_>>(), [2]);
        journal.append(&second).unwrap();
        assert_eq!(journal.take_new().unwrap(), [first, third, second]);
    }

    #[test]
    fn a_newer_schema_stops_the_reader_and_leaves_the_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let text = format!("{}{{\"schema\":99,\"later\":true}}\n", three()[0].to_line().unwrap());
        std::fs::write(&path, &text).unwrap();
        let error = Journal::open(&path, &dir.path().join("lock")).unwrap_err();
        assert!(matches!(error, RunError::NewerSchema { line: 2, found: 99, .. }), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn two_journals_on_one_file_do_not_mix_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut journal = open(dir.path());
                std::thread::spawn(move || {
                    for _ in 0..50 {
                        journal.append(&sample_record(writer, "l2_norm", Status::Ok)).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let contents = read_records(&dir.path().join("records.jsonl")).unwrap();
        assert_eq!(contents.records.len(), 200);
        assert!(contents.damaged.is_empty());
    }

    #[test]
    fn a_file_that_was_deleted_takes_no_more_records() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = open(dir.path());
        std::fs::remove_file(dir.path().join("records.jsonl")).unwrap();
        let error = journal.append(&three()[0]).unwrap_err();
        assert!(error.to_string().contains("deleted"), "{error}");
    }

    #[test]
    fn a_full_disk_is_named_with_path_cause_and_hint() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            println!("skipped: /dev/full not found");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        std::os::unix::fs::symlink(full, &path).unwrap();
        let mut journal = open(dir.path());
        let error = journal.append(&three()[0]).unwrap_err();
        assert!(error.to_string().contains("records.jsonl"), "{error}");
        assert!(error.hint().unwrap().contains("space"));
    }
}
