//! Bytes of a file and of a structure in it, never beyond their ends.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Problem, Result, malformed};

/// The address of what was never stored.
pub(super) const UNDEFINED: u64 = u64::MAX;

/// Where an HDF5 file's bytes lie.
#[derive(Debug)]
pub enum Source {
    /// In a file, or in a part of one.
    File {
        /// The file.
        file: fs::File,
        /// Where in it the first byte lies.
        start: u64,
        /// How many bytes there are.
        length: u64,
    },
    /// In memory.
    Memory(Vec<u8>),
}

impl Source {
    /// The whole file at `path`.
    pub fn open(path: &Path) -> Result<Source> {
        let file = fs::File::open(path).map_err(Problem::Io)?;
        let metadata = file.metadata().map_err(Problem::Io)?;
        if !metadata.is_file() {
            return malformed("not a file");
        }
        Ok(Source::File { file, start: 0, length: metadata.len() })
    }

    /// Number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Source::File { length, .. } => *length,
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buffer` with the bytes from `offset`.
    pub fn read_into(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.check(offset, buffer.len() as u64)?;
        match self {
            Source::File { file, start, .. } => {
                file.read_exact_at(buffer, start.saturating_add(offset)).map_err(Problem::Io)
            }
            Source::Memory(bytes) => {
                let at = offset as usize;
                buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
                Ok(())
            }
        }
    }

    /// The `length` bytes from `offset`, allocated only where they exist.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        self.check(offset, length as u64)?;
        let mut buffer = vec![0; length];
        self.read_into(offset, &mut buffer)?;
        Ok(buffer)
    }

    fn check(&self, offset: u64, length: u64) -> Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length() => Ok(()),
            _ => malformed(format!(
                "{length} bytes at {offset} lie beyond the end of the file ({} bytes)",
                self.length()
            )),
        }
    }
}

/// Reads a structure's fields, little-endian, one after the other.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Cursor { bytes, at: 0, what }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.bytes[self.at..].get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => malformed(format!("{} ends early", self.what)),
        }
    }

    pub(super) fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(drop)
    }

    pub(super) fn seek(&mut self, position: usize) -> Result<()> {
        self.at = 0;
        self.skip(position)
    }

    /// Skips to the next multiple of eight bytes from the structure's start.
    pub(super) fn align(&mut self) -> Result<()> {
        self.skip(self.at.next_multiple_of(8) - self.at)
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    pub(super) fn magic(&mut self, expected: &[u8; 4]) -> Result<()> {
        if self.take(4)? == expected {
            Ok(())
        } else {
            malformed(format!("{} has no signature {}", self.what, String::from_utf8_lossy(expected)))
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A little-endian unsigned integer of `size` bytes, 1 to 8.
    pub(super) fn unsigned(&mut self, size: usize) -> Result<u64> {
        Ok(self.take(size)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }
}
