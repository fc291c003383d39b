//! The memory bank: the snapshots that the meta-learner draws its batches from.

use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};

/// One thing that is kept of every snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its shape in one snapshot; empty for a number.
    pub shape: Vec<i64>,
    /// Its kind of numbers: 32-bit floats, or integers where a column holds indices of examples instead of examples.
    pub kind: Kind,
}

/// Snapshots in a ring: when it is full, new ones take the place of the oldest.
#[derive(Debug)]
pub struct Bank {
    columns: Vec<Column>,
    /// Per column `[capacity, …]`.
    storage: Vec<Tensor>,
    capacity: i64,
    /// How many snapshots ever came in. The next one goes to this number modulo the capacity.
    received: i64,
}

impl Bank {
    /// An empty bank. Its memory is taken page by page, as snapshots come in.
    pub fn new(columns: Vec<Column>, capacity: i64, device: Device) -> Result<Self> {
        if capacity < 1 {
            return Err(NcError::value("meta.bank", capacity, "at least 1"));
        }
        let storage = columns
            .iter()
            .map(|column| Tensor::f_empty(whole(capacity, &column.shape), (column.kind, device)))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns, storage, capacity, received: 0 })
    }

    /// How many snapshots it holds.
    pub fn len(&self) -> i64 {
        self.received().min(self.capacity)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many snapshots ever came in.
    pub fn received(&self) -> i64 {
        self.received
    }

    /// Its columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes in snapshots: one tensor per column, `[count, …]`.
    ///
    /// # Errors
    /// When a tensor is not of its column's shape.
    pub fn push(&mut self, snapshots: &[Tensor]) -> Result<()> {
        let count = snapshots.first().map_or(0, |first| first.size().first().copied().unwrap_or(0));
        if snapshots.len() != self.columns.len() {
            let found = [snapshots.len() as i64];
            return Err(NcError::shape("a group of snapshots", &found, format!("{}", self.columns.len())));
        }
        for (column, tensor) in self.columns.iter().zip(snapshots) {
            let wanted = whole(count, &column.shape);
            if tensor.size() != wanted || tensor.f_kind()? != column.kind {
                let wanted = format!("{wanted:?} of {:?}", column.kind);
                return Err(NcError::shape(column.name, &tensor.size(), wanted));
            }
        }
        // Of more than the ring holds, only the last stay.
        let skipped = (count - self.capacity).max(0);
        let mut taken = skipped;
        while taken < count {
            let at = (self.received() + taken) % self.capacity;
            let piece = (count - taken).min(self.capacity - at);
            for (storage, tensor) in self.storage.iter().zip(snapshots) {
                storage.f_narrow(0, at, piece)?.f_copy_(&tensor.f_narrow(0, taken, piece)?)?;
            }
            taken += piece;
        }
        self.received += count;
        Ok(())
    }

    /// The snapshots at these positions, `[count]` integers below [`len`](Self::len): one tensor per column.
    pub fn take(&self, positions: &Tensor) -> Result<Vec<Tensor>> {
        self.storage.iter().map(|storage| Ok(storage.f_index_select(0, positions)?)).collect()
    }

    /// What it holds, per column, as views `[len, …]`, for a file.
    pub(crate) fn contents(&self) -> Result<Vec<(String, Tensor)>> {
        let filled = self.len();
        self.columns
            .iter()
            .zip(&self.storage)
            .map(|(column, storage)| Ok((format!("bank.{}", column.name), storage.f_narrow(0, 0, filled)?)))
            .collect()
    }

    /// Puts contents back: `taken` gives the tensor of a column, of this shape.
    pub(crate) fn restore(
        &mut self,
        received: i64,
        mut taken: impl FnMut(&str, &[i64], Kind) -> Result<Tensor>,
    ) -> Result<()> {
        let filled = received.clamp(0, self.capacity);
        for (column, storage) in self.columns.iter().zip(&self.storage) {
            let tensor = taken(&format!("bank.{}", column.name), &whole(filled, &column.shape), column.kind)?;
            storage.f_narrow(0, 0, filled)?.f_copy_(&tensor)?;
        }
        self.received = received;
        Ok(())
    }
}

fn whole(count: i64, shape: &[i64]) -> Vec<i64> {
    std::iter::once(count).chain(shape.iter().copied()).collect()
}
