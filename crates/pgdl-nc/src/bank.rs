//! The memory bank: the snapshots that the meta-learner draws its batches from.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::spill::{Spill, bytes_of};

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

/// Snapshots in a ring: when it is full, new ones take the place of the oldest. Columns are in memory, or in a file where the
/// bank would be larger than a limit; what is taken from it is the same.
#[derive(Debug)]
pub struct Bank {
    columns: Vec<Column>,
    device: Device,
    /// Per column `[capacity, …]`; none of those in the file.
    storage: Vec<Option<Tensor>>,
    spill: Option<Spill>,
    capacity: i64,
    /// How many snapshots ever came in. The next one goes to this number modulo the capacity.
    received: i64,
}

impl Bank {
    /// An empty bank in memory, which is taken page by page, as snapshots come in.
    pub fn new(columns: Vec<Column>, capacity: i64, device: Device) -> Result<Self> {
        Self::beside(columns, capacity, device, &[], None)
    }

    /// An empty bank whose columns of these names are in a new file, with room for the snapshots of `surplus` more between
    /// two kept states; all in memory where there is no name.
    pub(crate) fn with_file(
        columns: Vec<Column>,
        capacity: i64,
        device: Device,
        names: &[String],
        file: (&Path, &str),
        surplus: i64,
    ) -> Result<Self> {
        let (path, recipe) = file;
        let spill = match &columns_named(&columns, names)[..] {
            [] => None,
            spilled => Some(Spill::create(path, recipe, spilled.to_vec(), capacity, surplus)?),
        };
        Self::beside(columns, capacity, device, names, spill)
    }

    /// A bank whose columns of these names are in the file of an earlier training, as it was when a state was kept. The others
    /// are still to be [`restore`](Self::restore)d.
    pub(crate) fn reopened(
        columns: Vec<Column>,
        capacity: i64,
        device: Device,
        names: &[String],
        file: (&Path, &str),
        received: i64,
    ) -> Result<Self> {
        let (path, recipe) = file;
        let spill = match &columns_named(&columns, names)[..] {
            [] => None,
            spilled => Some(Spill::open(path, recipe, spilled.to_vec(), capacity, received)?),
        };
        Self::beside(columns, capacity, device, names, spill)
    }

    fn beside(
        columns: Vec<Column>,
        capacity: i64,
        device: Device,
        names: &[String],
        spill: Option<Spill>,
    ) -> Result<Self> {
        if capacity < 1 {
            return Err(NcError::value("meta.bank", capacity, "at least 1"));
        }
        let storage = columns
            .iter()
            .map(|column| {
                let in_memory = !names.iter().any(|name| name == column.name);
                let shape = whole(capacity, &column.shape);
                in_memory.then(|| Ok(Tensor::f_empty(shape, (column.kind, device))?)).transpose()
            })
            .collect::<Result<_>>()?;
        Ok(Self { columns, device, storage, spill, capacity, received: 0 })
    }

    /// Names of the columns that are in a file.
    pub(crate) fn spilled(&self) -> Vec<String> {
        let columns = self.spill.iter().flat_map(Spill::columns);
        columns.map(|column| column.name.to_string()).collect()
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
    /// When a tensor is not of its column's shape, or when there is no [`room`](Self::room) for them.
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
        if let Some(spill) = &self.spill {
            if count > spill.room(self.received) {
                let room = format!("at most {}, until a state is kept", spill.room(self.received));
                return Err(NcError::value("the number of new snapshots", count, room));
            }
            let spilled: Vec<Tensor> = (self.storage.iter().zip(snapshots))
                .filter(|(storage, _)| storage.is_none())
                .map(|(_, tensor)| tensor.f_narrow(0, skipped, count - skipped))
                .collect::<Result<_, _>>()?;
            spill.write(self.received + skipped, &spilled)?;
        }
        let mut taken = skipped;
        while taken < count {
            let at = (self.received() + taken) % self.capacity;
            let piece = (count - taken).min(self.capacity - at);
            for (storage, tensor) in self.storage.iter().zip(snapshots) {
                if let Some(storage) = storage {
                    storage.f_narrow(0, at, piece)?.f_copy_(&tensor.f_narrow(0, taken, piece)?)?;
                }
            }
            taken += piece;
        }
        self.received += count;
        Ok(())
    }

    /// How many snapshots may come in before a state must be kept: any number, unless some of it is in a file, where those
    /// of the last kept state stay until there is another.
    pub fn room(&self) -> i64 {
        self.spill.as_ref().map_or(i64::MAX, |spill| spill.room(self.received))
    }

    /// The snapshots at these positions, `[count]` integers below [`len`](Self::len): one tensor per column.
    ///
    /// # Errors
    /// When a position is none of them, or the file cannot be read.
    pub fn take(&self, positions: &Tensor) -> Result<Vec<Tensor>> {
        let mut from_file = match &self.spill {
            None => Vec::new(),
            Some(spill) => {
                let places: Vec<i64> = Vec::try_from(positions)?;
                if let Some(place) = places.iter().find(|place| !(0..self.len()).contains(*place)) {
                    return Err(NcError::value("a position", place, format!("below {}", self.len())));
                }
                // The newest snapshot whose number is this place modulo the capacity.
                let last = self.received - 1;
                let numbers: Vec<i64> =
                    places.iter().map(|place| last - (last - place) % self.capacity).collect();
                spill.read(&numbers, self.device)?
            }
        }
        .into_iter();
        self.storage
            .iter()
            .map(|storage| match storage {
                Some(storage) => Ok(storage.f_index_select(0, positions)?),
                None => from_file.next().ok_or_else(|| NcError::shape("a record", &[], "all columns")),
            })
            .collect()
    }

    /// Prepares what is in a file for keeping a state; see [`kept`](Self::kept).
    pub(crate) fn before_keeping(&mut self) -> Result<()> {
        let received = self.received;
        self.spill.as_mut().map_or(Ok(()), |spill| spill.before_keeping(received))
    }

    /// The state is kept.
    pub(crate) fn kept(&mut self) {
        if let Some(spill) = &mut self.spill {
            spill.after_keeping(self.received);
        }
    }

    /// What it holds in memory, per column, as views `[len, …]`, for a file.
    pub(crate) fn contents(&self) -> Result<Vec<(String, Tensor)>> {
        let filled = self.len();
        self.in_memory()
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
        for (column, storage) in self.in_memory() {
            let tensor = taken(&format!("bank.{}", column.name), &whole(filled, &column.shape), column.kind)?;
            storage.f_narrow(0, 0, filled)?.f_copy_(&tensor)?;
        }
        self.received = received;
        Ok(())
    }

    fn in_memory(&self) -> impl Iterator<Item = (&Column, &Tensor)> {
        let columns = self.columns.iter().zip(&self.storage);
        columns.filter_map(|(column, storage)| Some((column, storage.as_ref()?)))
    }
}

/// Names of the columns that go to a file so that the others need no more than `memory` bytes: the largest first.
pub(crate) fn too_large(columns: &[Column], capacity: i64, memory: u64) -> Vec<String> {
    let size = |column: &Column| bytes_of(column).saturating_mul(capacity.unsigned_abs());
    let mut order: Vec<&Column> = columns.iter().collect();
    order.sort_by_key(|column| size(column));
    let mut left = memory;
    let (mut full, mut names) = (false, Vec::new());
    for column in order {
        full = full || size(column) > left;
        if full {
            names.push(column.name.to_string());
        } else {
            left -= size(column);
        }
    }
    names
}

/// In the order of the columns.
fn columns_named(columns: &[Column], names: &[String]) -> Vec<Column> {
    columns.iter().filter(|column| names.iter().any(|name| name == column.name)).cloned().collect()
}

fn whole(count: i64, shape: &[i64]) -> Vec<i64> {
    std::iter::once(count).chain(shape.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: i64 = 10;
    const SURPLUS: i64 = 4;

    fn columns() -> Vec<Column> {
        let column = |name, shape: &[i64], kind| Column { name, shape: shape.to_vec(), kind };
        vec![
            column("places", &[3], Kind::Int64),
            column("outputs", &[2, 5], Kind::Float),
            column("gap", &[], Kind::Float),
        ]
    }

    /// Snapshots number `from` to `from + count`, no two numbers of which are the same.
    fn group(from: i64, count: i64) -> Vec<Tensor> {
        let numbers = Tensor::arange_start(from, from + count, (Kind::Int64, Device::Cpu)).unsqueeze(1);
        let of = |width: i64| &numbers * 100 + Tensor::arange(width, (Kind::Int64, Device::Cpu));
        vec![
            of(3),
            (of(10).to_kind(Kind::Float) / 7.0).view([count, 2, 5]),
            -of(1).to_kind(Kind::Float).squeeze_dim(1),
        ]
    }

    fn all(bank: &Bank) -> Vec<Tensor> {
        bank.take(&Tensor::arange(bank.len(), (Kind::Int64, Device::Cpu))).unwrap()
    }

    fn in_file(path: &Path, names: &[&str]) -> Bank {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        Bank::with_file(columns(), CAPACITY, Device::Cpu, &names, (path, "this"), SURPLUS).unwrap()
    }

    fn reopened(path: &Path, recipe: &str, received: i64) -> Result<Bank> {
        let names: Vec<String> = columns().iter().map(|column| column.name.to_string()).collect();
        let file = (path, recipe);
        let mut bank = Bank::reopened(columns(), CAPACITY, Device::Cpu, &names, file, received)?;
        bank.restore(received, |_, _, _| panic!("nothing is in memory"))?;
        Ok(bank)
    }

    fn keep(bank: &mut Bank) {
        bank.before_keeping().unwrap();
        bank.kept();
    }

    const ALL: [&str; 3] = ["places", "outputs", "gap"];

    #[test]
    fn a_file_holds_what_memory_holds() {
        let folder = tempfile::tempdir().unwrap();
        for names in [&ALL[..], &["outputs"], &["gap", "places"]] {
            let mut memory = Bank::new(columns(), CAPACITY, Device::Cpu).unwrap();
            let mut file = in_file(&folder.path().join("bank.spill"), names);
            let mut from = 0;
            // Around the file's end, and the bank's, at different times; one group larger than the bank, and one empty.
            for count in [3, 4, 6, 0, 1, 4, 4, 2, 3, 4, 4, 1, 4] {
                let group = group(from, count);
                memory.push(&group).unwrap();
                if file.room() < count {
                    keep(&mut file);
                }
                file.push(&group).unwrap();
                from += count;
                assert_eq!((memory.len(), memory.received()), (file.len(), file.received()));
                assert_eq!(all(&memory), all(&file), "{names:?} after {from}");
                // In any order, and more than once.
                let places: Vec<i64> = (0..30).map(|at| (at * at * 7 + from) % memory.len()).collect();
                let places = Tensor::from_slice(&places);
                assert_eq!(memory.take(&places).unwrap(), file.take(&places).unwrap());
            }
            assert!(from > 2 * (CAPACITY + SURPLUS));
            assert!(file.take(&Tensor::from_slice(&[CAPACITY])).is_err());
            assert!(file.take(&Tensor::from_slice(&[-1i64])).is_err());
        }
    }

    /// However a training ends after a state was kept, the file still has the snapshots of that state.
    #[test]
    fn a_kept_state_stays_until_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.spill");
        for filled in [6, 10, 13, 14, 25] {
            let mut bank = in_file(&path, &ALL);
            for number in 0..filled {
                if bank.room() == 0 {
                    keep(&mut bank);
                }
                bank.push(&group(number, 1)).unwrap();
            }
            keep(&mut bank);
            let (before, room) = (all(&bank), bank.room());
            assert!(room >= SURPLUS, "{room}");
            bank.push(&group(filled, room)).unwrap();
            assert_ne!(all(&bank), before);
            let error = bank.push(&group(filled + room, 1)).unwrap_err().to_string();
            assert!(error.contains("at most 0, until a state is kept"), "{error}");
            // The next state was about to be kept, but never was.
            bank.before_keeping().unwrap();
            assert_eq!(bank.room(), 0);
            drop(bank);

            let mut again = reopened(&path, "this", filled).unwrap();
            assert_eq!((all(&again), again.room()), (before, room));
            again.push(&group(filled, room)).unwrap();
            let mut memory = Bank::new(columns(), CAPACITY, Device::Cpu).unwrap();
            (0..filled + room).for_each(|number| memory.push(&group(number, 1)).unwrap());
            assert_eq!(all(&again), all(&memory));
        }
    }

    #[test]
    fn files_that_are_not_the_kept_states() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.spill");
        let mut bank = in_file(&path, &ALL);
        bank.push(&group(0, 9)).unwrap();
        keep(&mut bank);
        let refused = |recipe: &str, received: i64| reopened(&path, recipe, received).unwrap_err();
        assert!(matches!(refused("another", 9), NcError::OtherRecipe { .. }));
        let text = refused("this", 12).to_string();
        assert!(text.ends_with("it was last kept at 9 snapshots, but the state beside it at 12"), "{text}");
        let whole = std::fs::read(&path).unwrap();
        for (length, wanted) in [(whole.len() - 1, "it was cut off"), (100, "no whole header")] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let text = refused("this", 9).to_string();
            assert!(text.contains("bank.spill") && text.contains(wanted), "{text}");
        }
        let mut other = whole.clone();
        other[..9].copy_from_slice(b"[\"schema\"");
        std::fs::write(&path, &other).unwrap();
        assert!(refused("this", 9).to_string().contains("header is not understood"));
        let names = ["gap".to_string()];
        std::fs::write(&path, &whole).unwrap();
        let fewer = Bank::reopened(columns(), CAPACITY, Device::Cpu, &names, (&path, "this"), 9);
        assert!(fewer.unwrap_err().to_string().contains("not of the kept state's columns"));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(refused("this", 9), NcError::Io { .. }));
    }

    #[test]
    fn the_largest_columns_go_first() {
        // 24, 40 and 4 bytes of a snapshot.
        let names = |memory| too_large(&columns(), CAPACITY, memory);
        assert_eq!(names(680), [""; 0]);
        assert_eq!(names(679), ["outputs"]);
        assert_eq!(names(280), ["outputs"]);
        assert_eq!(names(279), ["places", "outputs"]);
        assert_eq!(names(39), ["gap", "places", "outputs"]);
    }
}
