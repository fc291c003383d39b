//! The part of a memory bank that lives on disk.
//!
//! One file of records of one size, a record being one snapshot's spilled columns one behind the other, behind a header of
//! fixed size. It is a ring like the bank, but with room for more records than the bank has snapshots: snapshot i (counted
//! from the first that ever came in) is record i modulo the number of records. So the snapshots of a kept state stay in the
//! file until more than that surplus has come in after it, and whoever writes keeps the state before that. A training that
//! ended anywhere goes on from its kept state: what it had written after that is in records which that state does not use,
//! and is written again. Keeping a state copies nothing.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::bank::Column;
use crate::error::{NcError, Result};

/// Bytes in front of the records.
const HEADER: u64 = 4096;
/// The version of the form.
const SCHEMA: u32 = 1;

/// Columns of snapshots in a file.
#[derive(Debug)]
pub(crate) struct Spill {
    path: PathBuf,
    file: File,
    header: Header,
    columns: Vec<Column>,
    capacity: i64,
    /// How many snapshots had come in when the state was kept that a training would go on from now.
    secured: i64,
}

/// What the file says of itself, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: u32,
    kind: String,
    /// The digest of the recipe.
    recipe: String,
    /// Names of the columns in a record.
    columns: Vec<String>,
    /// Bytes of a record.
    record: u64,
    /// How many records there is room for.
    records: i64,
    /// How many snapshots had come in when a state was last about to be kept.
    kept: i64,
}

impl Spill {
    /// A new file, in place of any that is there, with room for `surplus` snapshots more than the bank's `capacity`.
    pub(crate) fn create(
        path: &Path,
        recipe: &str,
        columns: Vec<Column>,
        capacity: i64,
        surplus: i64,
    ) -> Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let header = Header {
            schema: SCHEMA,
            kind: "spill".into(),
            recipe: recipe.to_string(),
            columns: columns.iter().map(|column| column.name.to_string()).collect(),
            record: columns.iter().map(bytes_of).sum(),
            records: capacity + surplus,
            kept: 0,
        };
        let file = options.map_err(|source| NcError::io(path, source))?;
        let spill = Self { path: path.to_path_buf(), file, header, columns, capacity, secured: 0 };
        spill.write_header()?;
        Ok(spill)
    }

    /// The file of an earlier training, whose kept state has received `received` snapshots.
    ///
    /// # Errors
    /// [`NcError::OtherRecipe`] when it belongs to another recipe; [`NcError::File`] when it is damaged, too short, or not of
    /// that state; [`NcError::Io`] when it is missing.
    pub(crate) fn open(
        path: &Path,
        recipe: &str,
        columns: Vec<Column>,
        capacity: i64,
        received: i64,
    ) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| NcError::io(path, source))?;
        let mut bytes = vec![0; HEADER as usize];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|error| NcError::file(path, format!("it has no whole header: {error}")))?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let header: Header = serde_json::from_slice(&bytes[..end])
            .map_err(|error| NcError::file(path, format!("its header is not understood: {error}")))?;
        if header.kind != "spill" || header.schema != SCHEMA {
            let reason = format!("it is a {} of version {}", header.kind, header.schema);
            return Err(NcError::file(path, format!("{reason}, but a spill of version {SCHEMA} is wanted")));
        }
        if header.recipe != recipe {
            return Err(NcError::OtherRecipe {
                path: path.to_path_buf(),
                reason: "its snapshots came from another recipe".into(),
            });
        }
        let names = columns.iter().map(|column| column.name);
        let record: u64 = columns.iter().map(bytes_of).sum();
        if !names.eq(header.columns.iter().map(String::as_str))
            || header.record != record
            || header.records <= capacity
        {
            return Err(NcError::file(path, "its records are not of the kept state's columns"));
        }
        if !(received..=end_of_room(header.records, capacity, received)).contains(&header.kept) {
            let reason = format!(
                "it was last kept at {} snapshots, but the state beside it at {received}",
                header.kept
            );
            return Err(NcError::file(path, reason));
        }
        let wanted =
            (header.records.min(received).unsigned_abs()).saturating_mul(record).saturating_add(HEADER);
        let found = file.metadata().map_err(|source| NcError::io(path, source))?.len();
        if found < wanted {
            let reason = format!("it has {found} bytes, but the kept state needs {wanted}: it was cut off");
            return Err(NcError::file(path, reason));
        }
        Ok(Self { path: path.to_path_buf(), file, header, columns, capacity, secured: received })
    }

    /// Its columns.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many snapshots may come in, of `received` so far, before a state must be kept: more would take the place of ones
    /// that the kept state needs.
    pub(crate) fn room(&self, received: i64) -> i64 {
        end_of_room(self.header.records, self.capacity, self.secured) - received
    }

    /// Writes snapshots, the first of which is number `first`: one tensor `[count, …]` per column.
    pub(crate) fn write(&self, first: i64, snapshots: &[Tensor]) -> Result<()> {
        let record = self.header.record as usize;
        let count = snapshots.first().map_or(0, |first| first.size().first().copied().unwrap_or(0));
        let mut records = vec![0; count as usize * record];
        let mut offset = 0;
        for (column, tensor) in self.columns.iter().zip(snapshots) {
            let width = bytes_of(column) as usize;
            let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
            let mut bytes = vec![0; count as usize * width];
            tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
            if width > 0 {
                for (record, part) in records.chunks_exact_mut(record).zip(bytes.chunks_exact(width)) {
                    record[offset..offset + width].copy_from_slice(part);
                }
            }
            offset += width;
        }
        // At most one end of the ring is among them, since they are no more than it holds.
        let before_end = (self.header.records - first % self.header.records).min(count);
        let (head, tail) = records.split_at(before_end as usize * record);
        for (number, part) in [(first, head), (first + before_end, tail)] {
            self.file
                .write_all_at(part, self.offset(number))
                .map_err(|source| NcError::io(&self.path, source))?;
        }
        Ok(())
    }

    /// Reads the snapshots of these numbers: one tensor `[count, …]` per column.
    pub(crate) fn read(&self, numbers: &[i64], device: Device) -> Result<Vec<Tensor>> {
        let record = self.header.record as usize;
        let mut records = vec![0; numbers.len() * record];
        if record > 0 {
            for (number, part) in numbers.iter().zip(records.chunks_exact_mut(record)) {
                self.file.read_exact_at(part, self.offset(*number)).map_err(|source| {
                    NcError::file(&self.path, format!("snapshot {number} cannot be read: {source}"))
                })?;
            }
        }
        let mut offset = 0;
        let mut columns = Vec::new();
        for column in &self.columns {
            let width = bytes_of(column) as usize;
            let mut bytes = Vec::with_capacity(numbers.len() * width);
            for at in 0..numbers.len() {
                bytes.extend_from_slice(&records[at * record + offset..at * record + offset + width]);
            }
            offset += width;
            let shape: Vec<i64> =
                std::iter::once(numbers.len() as i64).chain(column.shape.iter().copied()).collect();
            columns.push(Tensor::f_from_data_size(&bytes, &shape, column.kind)?.f_to_device(device)?);
        }
        Ok(columns)
    }

    /// Makes sure that all that was written lies on the disk, and notes that a state of `received` snapshots is about to be
    /// kept. Should that state not come to be, the one before is still whole: nothing that it needs was overwritten.
    pub(crate) fn before_keeping(&mut self, received: i64) -> Result<()> {
        let sync = |spill: &Self| spill.file.sync_data().map_err(|source| NcError::io(&spill.path, source));
        sync(self)?;
        self.header.kept = received;
        self.write_header()?;
        sync(self)
    }

    /// Notes that a state of `received` snapshots is kept: those before its own may go.
    pub(crate) fn after_keeping(&mut self, received: i64) {
        self.secured = received;
    }

    fn write_header(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec(&self.header)
            .map_err(|error| NcError::file(&self.path, format!("its header cannot be written: {error}")))?;
        if bytes.len() as u64 > HEADER {
            return Err(NcError::file(&self.path, format!("its header would need more than {HEADER} bytes")));
        }
        bytes.resize(HEADER as usize, 0);
        self.file.write_all_at(&bytes, 0).map_err(|source| NcError::io(&self.path, source))
    }

    fn offset(&self, number: i64) -> u64 {
        HEADER + (number % self.header.records) as u64 * self.header.record
    }
}

/// The first number whose record is one that a state of `received` snapshots needs: those of its newest `capacity`.
fn end_of_room(records: i64, capacity: i64, received: i64) -> i64 {
    records.saturating_add((received - capacity).max(0))
}

/// Bytes of a column in one snapshot.
pub(crate) fn bytes_of(column: &Column) -> u64 {
    let numbers: u64 = column.shape.iter().map(|size| size.unsigned_abs()).product();
    numbers * column.kind.elt_size_in_bytes() as u64
}
