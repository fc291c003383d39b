//! Heaps: the names of a group's members, and strings of variable length.

use std::collections::HashMap;

use super::bytes::{Cursor, Source};
use super::{Problem, Result, malformed};

/// The names of an old-style group.
pub(super) struct LocalHeap {
    data: Vec<u8>,
}

impl LocalHeap {
    pub(super) fn read(source: &Source, address: u64) -> Result<Self> {
        let head = source.read(address, 32)?;
        let mut cursor = Cursor::new(&head, "local heap");
        cursor.magic(b"HEAP")?;
        let version = cursor.u8()?;
        if version != 0 {
            return Err(Problem::Unsupported(format!("local heap version {version}")));
        }
        cursor.skip(3)?;
        let size = cursor.u64()?;
        cursor.skip(8)?;
        let data = cursor.u64()?;
        let size = usize::try_from(size).map_err(|_| Problem::Malformed("local heap too long".into()))?;
        Ok(LocalHeap { data: source.read(data, size)? })
    }

    /// The null-terminated text at `offset`.
    pub(super) fn text(&self, offset: u64) -> Result<String> {
        let tail = usize::try_from(offset).ok().and_then(|offset| self.data.get(offset..));
        let text =
            tail.and_then(|tail| tail.split(|byte| *byte == 0).next().filter(|text| text.len() < tail.len()));
        match text.map(std::str::from_utf8) {
            Some(Ok(text)) => Ok(text.to_owned()),
            _ => malformed(format!("no name at {offset} of a local heap")),
        }
    }
}

/// The collections of the global heap that an attribute's strings lie in, each read once.
pub(super) struct GlobalHeap<'f> {
    source: &'f Source,
    collections: HashMap<u64, Vec<u8>>,
    total: u64,
}

impl<'f> GlobalHeap<'f> {
    pub(super) fn new(source: &'f Source) -> Self {
        GlobalHeap { source, collections: HashMap::new(), total: 0 }
    }

    /// The first `length` bytes of object `index` in the collection at `address`.
    pub(super) fn object(&mut self, address: u64, index: u32, length: u32) -> Result<&[u8]> {
        if !self.collections.contains_key(&address) {
            let collection = self.collection(address)?;
            self.collections.insert(address, collection);
        }
        let Some(collection) = self.collections.get(&address) else {
            return malformed("global heap collection lost");
        };
        let mut cursor = Cursor::new(collection, "global heap");
        while cursor.remaining() >= 16 {
            let found = cursor.u16()?;
            cursor.skip(6)?;
            let size = cursor.u64()?;
            if found == 0 {
                break;
            }
            let Ok(size) = usize::try_from(size) else { break };
            let object = cursor.take(size)?;
            if u32::from(found) == index {
                return match object.get(..length as usize) {
                    Some(bytes) => Ok(bytes),
                    None => {
                        malformed(format!("object {index} of the global heap is shorter than {length} bytes"))
                    }
                };
            }
            cursor.skip((size.next_multiple_of(8) - size).min(cursor.remaining()))?;
        }
        malformed(format!("no object {index} in the global heap at {address}"))
    }

    fn collection(&mut self, address: u64) -> Result<Vec<u8>> {
        let head = self.source.read(address, 16)?;
        let mut cursor = Cursor::new(&head, "global heap");
        cursor.magic(b"GCOL")?;
        let version = cursor.u8()?;
        if version != 1 {
            return Err(Problem::Unsupported(format!("global heap version {version}")));
        }
        cursor.skip(3)?;
        let size = cursor.u64()?;
        self.total = self.total.saturating_add(size);
        if size < 16 || self.total > self.source.length() {
            return malformed("global heap longer than the file");
        }
        self.source.read(address + 16, (size - 16) as usize)
    }
}
