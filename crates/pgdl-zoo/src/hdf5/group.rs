//! Members of a group: names and where their object headers lie.

use std::collections::BTreeMap;

use super::bytes::{Cursor, Source, UNDEFINED};
use super::heap::LocalHeap;
use super::object::{Object, kind};
use super::{Problem, Result, malformed, tree};

pub(super) fn members(object: &Object<'_>) -> Result<BTreeMap<String, u64>> {
    if let Some(table) = object.message(kind::SYMBOL_TABLE)? {
        let mut cursor = Cursor::new(table, "symbol table message");
        let (tree, heap) = (cursor.u64()?, cursor.u64()?);
        return symbol_table(object.source, tree, heap);
    }
    if let Some(info) = object.message(kind::LINK_INFO)? {
        let mut cursor = Cursor::new(info, "link info message");
        let (_version, flags) = (cursor.u8()?, cursor.u8()?);
        if flags & 1 != 0 {
            cursor.skip(8)?;
        }
        if cursor.u64()? != UNDEFINED {
            return Err(Problem::Unsupported("a group with dense links".into()));
        }
    }
    let mut members = BTreeMap::new();
    for message in object.messages.iter().filter(|message| message.kind == kind::LINK) {
        let (name, address) = link(message.body()?)?;
        members.insert(name, address);
    }
    Ok(members)
}

fn symbol_table(source: &Source, tree: u64, heap: u64) -> Result<BTreeMap<String, u64>> {
    let heap = LocalHeap::read(source, heap)?;
    let mut members = BTreeMap::new();
    let mut room = source.length() / 40;
    tree::walk(source, tree, tree::Kind::Group, &mut |_key, node| {
        let head = source.read(node, 8)?;
        let mut cursor = Cursor::new(&head, "symbol node");
        cursor.magic(b"SNOD")?;
        cursor.skip(2)?;
        let count = usize::from(cursor.u16()?);
        room = room.checked_sub(count as u64).ok_or_else(|| {
            Problem::Malformed("a group has more members than the file has room for".into())
        })?;
        let entries = source.read(node.saturating_add(8), count * 40)?;
        let mut cursor = Cursor::new(&entries, "symbol node");
        for _ in 0..count {
            let (name, address) = (heap.text(cursor.u64()?)?, cursor.u64()?);
            const SOFT_LINK: u32 = 2;
            if cursor.u32()? == SOFT_LINK {
                return Err(Problem::Unsupported(format!("soft link {name}")));
            }
            cursor.skip(20)?;
            members.insert(name, address);
        }
        Ok(())
    })?;
    Ok(members)
}

fn link(body: &[u8]) -> Result<(String, u64)> {
    let mut cursor = Cursor::new(body, "link message");
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    if version != 1 {
        return Err(Problem::Unsupported(format!("link message version {version}")));
    }
    let link_type = if flags & 0x08 != 0 { cursor.u8()? } else { 0 };
    if flags & 0x04 != 0 {
        cursor.skip(8)?;
    }
    if flags & 0x10 != 0 {
        cursor.skip(1)?;
    }
    let length = cursor.unsigned(1 << (flags & 3))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Ok(name) = std::str::from_utf8(cursor.take(length)?) else {
        return malformed("a link's name is not text");
    };
    if link_type != 0 {
        return Err(Problem::Unsupported(format!("soft or external link {name}")));
    }
    Ok((name.to_owned(), cursor.u64()?))
}
