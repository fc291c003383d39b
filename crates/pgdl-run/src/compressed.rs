//! Records files that are kept: gzip, the same bytes for the same records.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::error::{Result, RunError};
use crate::folder::write_whole;
use crate::journal::{Contents, Scan};
use crate::record::Record;

/// What a gzip file begins with (RFC 1952, section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// No record is longer. A file that unpacks to a longer line is damaged, or made to fill the memory.
const LONGEST_LINE: u64 = 64 << 20;

/// Writes records as gzip, one a line in the order given, whole or not at all. The bytes depend on the records alone: the
/// header names no file and no time.
///
/// # Errors
/// [`RunError::Storage`] if the file cannot be written, [`RunError::Unwritable`] if a record breaks the rules of records.
pub fn write_compressed(path: &Path, records: &[Record]) -> Result<()> {
    let bytes = to_compressed(records)?;
    write_whole(path, &bytes).map_err(|source| RunError::storage("write", path, source))
}

/// The bytes that [`write_compressed`] writes.
///
/// # Errors
/// [`RunError::Unwritable`].
pub fn to_compressed(records: &[Record]) -> Result<Vec<u8>> {
    let in_memory = |source| RunError::storage("compress", "records", source);
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new().write(Vec::new(), Compression::best());
    for record in records {
        let line = record.to_line().map_err(|source| RunError::Unwritable {
            spec: record.spec(),
            network: record.network,
            source,
        })?;
        encoder.write_all(line.as_bytes()).map_err(in_memory)?;
    }
    encoder.finish().map_err(in_memory)
}

/// Whether a file is gzip. Leaves it at its start.
pub(crate) fn is_compressed(file: &mut File) -> io::Result<bool> {
    let mut magic = [0; 2];
    file.read_exact(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(magic == MAGIC)
}

pub(crate) fn read(file: File, path: &Path) -> Result<Contents> {
    let damaged = |cause: &str| RunError::Data {
        message: format!("{}: {cause}", path.display()),
        hint: Some("the file is cut short or damaged: copy it again, or make it anew".to_owned()),
    };
    let mut reader = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
    let mut scan = Scan::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| damaged(&format!("not whole as gzip: {error}")))?;
        if line.last() != Some(&b'\n') {
            if read as u64 == LONGEST_LINE {
                return Err(damaged("has a line of more than 64 MiB"));
            }
            return Ok(Contents { half_written: read > 0, records: scan.records, damaged: scan.damaged });
        }
        scan.take_line(&line, path)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read_records;
    use crate::record::Status;
    use crate::record::tests::sample_record;

    fn records() -> Vec<Record> {
        (0..50).map(|network| sample_record(network, "l2_norm", Status::Ok)).collect()
    }

    #[test]
    fn what_is_compressed_is_read_again_and_the_bytes_depend_on_the_records_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one.jsonl.gz"), dir.path().join("other.gz"));
        write_compressed(&one, &records()).unwrap();
        write_compressed(&other, &records()).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
        assert_eq!(read_records(&one).unwrap(), Contents { records: records(), ..Contents::default() });
        let plain: usize = records().iter().map(|record| record.to_line().unwrap().len()).sum();
        assert!((std::fs::metadata(&one).unwrap().len() as usize) < plain / 10);
    }

    #[test]
    fn a_compressed_file_that_is_cut_or_damaged_is_named_and_never_taken_for_a_shorter_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl.gz");
        let whole = to_compressed(&records()).unwrap();
        for cut in 2..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = read_records(&path).unwrap_err();
            assert!(error.to_string().contains("records.jsonl.gz"), "cut at {cut}: {error}");
        }
        for place in (10..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read_records(&path).is_err(), "byte {place}");
        }
    }

    #[test]
    fn a_line_that_would_fill_the_memory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.gz");
        let mut encoder = GzBuilder::new().write(File::create(&path).unwrap(), Compression::fast());
        let block = vec![b'x'; 1 << 20];
        for _ in 0..65 {
            encoder.write_all(&block).unwrap();
        }
        encoder.finish().unwrap();
        let error = read_records(&path).unwrap_err();
        assert!(error.to_string().contains("64 MiB"), "{error}");
    }
}
