//! TFRecord framing: length (u64), masked CRC-32C of the length, payload, masked CRC-32C of the payload;
//! everything little-endian.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::{Result, ZooError, ordinary_file};

/// Bytes before a payload: its length and the checksum of that.
const HEAD: u64 = 12;
/// Bytes after a payload: its checksum.
const FOOT: u64 = 4;

/// TensorFlow's masking of a checksum, so that checksums of data that hold checksums stay good.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Reads the payloads of one file, one after the other, verifying every checksum. A stated length is never believed
/// beyond the size of the file.
#[derive(Debug)]
pub struct RecordReader {
    path: PathBuf,
    file: BufReader<File>,
    size: u64,
    position: u64,
    record: usize,
}

impl RecordReader {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| ZooError::io(path, source);
        let file = ordinary_file::open(path)?;
        let size = file.metadata().map_err(io)?.len();
        Ok(RecordReader {
            path: path.to_path_buf(),
            file: BufReader::with_capacity(1 << 18, file),
            size,
            position: 0,
            record: 0,
        })
    }

    /// The number of the record that comes next, from 0.
    pub fn position(&self) -> usize {
        self.record
    }

    /// The next payload; none at the end of the file.
    ///
    /// # Errors
    /// When the file ends within a record or a checksum is wrong. Nothing can be read after that.
    pub fn next_payload(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        let mut payload = Vec::new();
        self.take(length, &mut payload)?;
        let mut foot = Vec::with_capacity(FOOT as usize);
        self.take(FOOT, &mut foot)?;
        self.verify("payload", &payload, &foot)?;
        self.record += 1;
        Ok(Some(payload))
    }

    /// Counts the records from here to the end; only their lengths are read and verified.
    pub fn count(mut self) -> Result<usize> {
        let mut count = 0;
        while let Some(length) = self.next_length()? {
            let body = length + FOOT;
            let offset = i64::try_from(body).map_err(|_| self.broken("is too long"))?;
            self.file.seek_relative(offset).map_err(|source| ZooError::io(&self.path, source))?;
            self.position += body;
            self.record += 1;
            count += 1;
        }
        Ok(count)
    }

    /// The verified length of the next payload, which fits into the rest of the file.
    fn next_length(&mut self) -> Result<Option<u64>> {
        if self.position == self.size {
            return Ok(None);
        }
        let mut head = Vec::with_capacity(HEAD as usize);
        self.take(HEAD, &mut head)?;
        let (length, checksum) = head.split_at(8);
        self.verify("length", length, checksum)?;
        let length = length.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if length.checked_add(FOOT).is_none_or(|needed| needed > self.size - self.position) {
            return Err(self.broken(&format!("has {length} bytes, and the file ends before")));
        }
        Ok(Some(length))
    }

    fn take(&mut self, count: u64, bytes: &mut Vec<u8>) -> Result<()> {
        if count > self.size.saturating_sub(self.position) {
            return Err(self.broken("is cut off by the end of the file"));
        }
        bytes.reserve_exact(count as usize);
        (&mut self.file)
            .take(count)
            .read_to_end(bytes)
            .map_err(|source| ZooError::Io { path: self.path.clone(), source })?;
        if bytes.len() as u64 != count {
            return Err(self.broken("is cut off: the file became shorter"));
        }
        self.position += count;
        Ok(())
    }

    fn verify(&self, what: &str, bytes: &[u8], stored: &[u8]) -> Result<()> {
        let found = masked_crc(bytes);
        if found.to_le_bytes() == stored {
            return Ok(());
        }
        let stored = stored.iter().rev().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        Err(ZooError::Checksum {
            path: self.path.clone(),
            what: format!("{what} of record {}", self.record),
            expected: format!("{stored:08x}"),
            found: format!("{found:08x}"),
        })
    }

    fn broken(&self, message: &str) -> ZooError {
        ZooError::malformed(&self.path, format!("record {} {message}", self.record))
    }
}

/// Writes records.
#[derive(Debug)]
pub struct RecordWriter<W> {
    output: W,
}

impl<W: Write> RecordWriter<W> {
    /// Writes to `output`, which should be buffered.
    pub fn new(output: W) -> Self {
        RecordWriter { output }
    }

    /// Appends a record.
    pub fn write(&mut self, payload: &[u8]) -> std::io::Result<()> {
        let length = (payload.len() as u64).to_le_bytes();
        self.output.write_all(&length)?;
        self.output.write_all(&masked_crc(&length).to_le_bytes())?;
        self.output.write_all(payload)?;
        self.output.write_all(&masked_crc(payload).to_le_bytes())
    }

    /// The output, after everything was handed to it.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = RecordWriter::new(Vec::new());
        payloads.iter().for_each(|payload| writer.write(payload).unwrap());
        writer.finish().unwrap()
    }

    fn with_file<R>(bytes: &[u8], read: impl FnOnce(&Path) -> R) -> R {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn payloads(path: &Path) -> Result<Vec<Vec<u8>>> {
        let mut reader = RecordReader::open(path)?;
        let mut payloads = Vec::new();
        while let Some(payload) = reader.next_payload()? {
            payloads.push(payload);
        }
        Ok(payloads)
    }

    #[test]
    fn framing_is_tensorflows() {
        // The first bytes of a shard that the competition's organizers wrote: a record of 66 bytes.
        assert_eq!(written(&[vec![0; 66]])[..12], [0x42, 0, 0, 0, 0, 0, 0, 0, 0x79, 0xf3, 0x6e, 0xaa]);
    }

    #[test]
    fn every_truncation_is_an_error_except_between_records() {
        let whole = written(&[vec![1, 2, 3], vec![], vec![4; 40]]);
        let ends = [0, 19, 35, whole.len()];
        for length in 0..=whole.len() {
            let (read, counted) = with_file(&whole[..length], |path| {
                (payloads(path), RecordReader::open(path).unwrap().count())
            });
            match ends.iter().position(|end| *end == length) {
                Some(records) => {
                    assert_eq!(read.unwrap().len(), records);
                    assert_eq!(counted.unwrap(), records);
                }
                None => assert!(read.is_err() && counted.is_err(), "{length} bytes"),
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let whole = written(&[vec![1, 2, 3], vec![7; 5]]);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = with_file(&bytes, payloads).unwrap_err();
            assert!(error.to_string().contains("record"), "bit {bit}: {error}");
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        for length in [u64::MAX, u64::MAX - 3, 1 << 40, 5] {
            let length = length.to_le_bytes();
            let bytes = [&length[..], &masked_crc(&length).to_le_bytes(), &[0; 8]].concat();
            with_file(&bytes, |path| {
                assert!(payloads(path).is_err());
                assert!(RecordReader::open(path).unwrap().count().is_err());
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            with_file(&written(&all), |path| {
                assert_eq!(payloads(path).unwrap(), all);
                assert_eq!(RecordReader::open(path).unwrap().count().unwrap(), all.len());
            });
        }
    }
}
