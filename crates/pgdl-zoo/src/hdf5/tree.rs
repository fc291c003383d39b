//! Version 1 B-trees: the indices of old-style groups and of chunked arrays.

use super::bytes::{Cursor, Source, UNDEFINED};
use super::{Problem, Result, malformed};

/// What a tree indexes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Symbol nodes of a group.
    Group,
    /// Chunks of an array of this rank.
    Chunks { rank: usize },
}

/// Calls `visit(key, address)` for every leaf entry, where `key` is the entry's left key.
///
/// A node of level n has children of level n−1 only, and no more nodes and leaf entries are followed than the file
/// has room for, so a damaged tree ends in an error.
pub(super) fn walk(
    source: &Source,
    root: u64,
    kind: Kind,
    visit: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<()> {
    let mut budget = source.length() / 16 + 1;
    walk_node(source, root, kind, None, &mut budget, visit)
}

fn walk_node(
    source: &Source,
    address: u64,
    kind: Kind,
    expected_level: Option<u8>,
    budget: &mut u64,
    visit: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<()> {
    if address == UNDEFINED {
        return malformed("a B-tree node has no address");
    }
    let head = source.read(address, 24)?;
    let mut cursor = Cursor::new(&head, "B-tree node");
    cursor.magic(b"TREE")?;
    let (node_type, level, entries) = (cursor.u8()?, cursor.u8()?, usize::from(cursor.u16()?));
    let (expected_type, key) = match kind {
        Kind::Group => (0, 8),
        // Bytes of the chunk, mask of skipped filters, and the chunk's place with the element's as last axis.
        Kind::Chunks { rank } => (1, 8 + 8 * (rank + 1)),
    };
    if node_type != expected_type {
        return malformed(format!("a B-tree node of type {node_type} in place of type {expected_type}"));
    }
    if expected_level.is_some_and(|expected| expected != level) {
        return malformed("a B-tree node at the wrong level");
    }
    // A node takes 24 bytes and each of its entries at least 16.
    *budget = budget
        .checked_sub(1 + entries as u64)
        .ok_or_else(|| Problem::Malformed("a B-tree has more entries than the file has room for".into()))?;
    let body = source.read(address.saturating_add(24), entries * (key + 8))?;
    let mut cursor = Cursor::new(&body, "B-tree node");
    for _ in 0..entries {
        let key = cursor.take(key)?;
        let child = cursor.u64()?;
        match level.checked_sub(1) {
            None => visit(key, child)?,
            Some(below) => walk_node(source, child, kind, Some(below), budget, visit)?,
        }
    }
    Ok(())
}
