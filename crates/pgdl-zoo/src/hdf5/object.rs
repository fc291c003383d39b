//! Object headers: the messages that describe a group or an array.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::bytes::{Cursor, Source};
use super::{Dataset, Problem, Result, attribute, dataset, group, malformed};

/// Message types of the specification, section IV.A.2.
pub(super) mod kind {
    pub(crate) const DATASPACE: u16 = 0x01;
    pub(crate) const LINK_INFO: u16 = 0x02;
    pub(crate) const DATATYPE: u16 = 0x03;
    pub(crate) const FILL_VALUE: u16 = 0x05;
    pub(crate) const LINK: u16 = 0x06;
    pub(crate) const EXTERNAL_FILES: u16 = 0x07;
    pub(crate) const LAYOUT: u16 = 0x08;
    pub(crate) const FILTERS: u16 = 0x0b;
    pub(crate) const ATTRIBUTE: u16 = 0x0c;
    pub(crate) const CONTINUATION: u16 = 0x10;
    pub(crate) const SYMBOL_TABLE: u16 = 0x11;
    pub(crate) const ATTRIBUTE_INFO: u16 = 0x15;
}

/// One message of an object header.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    flags: u8,
    body: Vec<u8>,
}

impl Message {
    /// The message's bytes; a message that is kept elsewhere in the file and only pointed to is refused.
    pub(super) fn body(&self) -> Result<&[u8]> {
        const SHARED: u8 = 0x02;
        if self.flags & SHARED != 0 {
            return Err(Problem::Unsupported(format!("shared header message {:#x}", self.kind)));
        }
        Ok(&self.body)
    }
}

/// A group or an array.
#[derive(Debug)]
pub struct Object<'f> {
    pub(super) source: &'f Source,
    pub(super) messages: Vec<Message>,
    name: String,
    children: OnceCell<BTreeMap<String, u64>>,
}

impl<'f> Object<'f> {
    pub(super) fn read(source: &'f Source, address: u64, name: String) -> Result<Self> {
        let messages = read_messages(source, address).map_err(|problem| within(&name, problem))?;
        Ok(Object { source, messages, name, children: OnceCell::new() })
    }

    /// Path from the root, `/` between names.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { "/" } else { &self.name }
    }

    /// The first message of this type.
    pub(super) fn message(&self, kind: u16) -> Result<Option<&[u8]>> {
        self.messages.iter().find(|message| message.kind == kind).map(Message::body).transpose()
    }

    /// Names of the group's members, sorted. An array has none.
    pub fn children(&self) -> Result<impl Iterator<Item = &str>> {
        Ok(self.addresses()?.keys().map(String::as_str))
    }

    /// The member at `path`, whose names are separated by `/`; `None` where there is none.
    pub fn child(&self, path: &str) -> Result<Option<Object<'f>>> {
        let mut found: Option<Object<'f>> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let parent = found.as_ref().unwrap_or(self);
            let Some(address) = parent.addresses()?.get(name).copied() else { return Ok(None) };
            let separator = if parent.name.is_empty() { "" } else { "/" };
            found = Some(Object::read(self.source, address, format!("{}{separator}{name}", parent.name))?);
        }
        Ok(found)
    }

    /// The strings of an attribute; `None` where there is no such attribute. An attribute of no elements gives
    /// no strings, whatever its type: that is how Keras writes the weight names of a layer without weights.
    pub fn strings(&self, attribute: &str) -> Result<Option<Vec<String>>> {
        attribute::strings(self, attribute).map_err(|problem| within(&self.name, problem))
    }

    /// The array's description. An error where the object is no array.
    pub fn dataset(&self) -> Result<Dataset<'f>> {
        dataset::describe(self).map_err(|problem| within(&self.name, problem))
    }

    fn addresses(&self) -> Result<&BTreeMap<String, u64>> {
        if let Some(children) = self.children.get() {
            return Ok(children);
        }
        let children = group::members(self).map_err(|problem| within(&self.name, problem))?;
        Ok(self.children.get_or_init(|| children))
    }
}

/// Names the object in a message.
pub(super) fn within(name: &str, problem: Problem) -> Problem {
    let name = if name.is_empty() { "/" } else { name };
    match problem {
        Problem::Malformed(message) => Problem::Malformed(format!("{name}: {message}")),
        Problem::Unsupported(message) => Problem::Unsupported(format!("{name}: {message}")),
        Problem::Io(error) => Problem::Io(error),
    }
}

fn read_messages(source: &Source, address: u64) -> Result<Vec<Message>> {
    let mut start = [0; 16];
    source.read_into(address, &mut start)?;
    match (&start[..4], start[0]) {
        (b"OHDR", _) => read_version_2(source, address),
        (_, 1) => read_version_1(source, address, &start),
        _ => malformed("no object header where one should be"),
    }
}

/// Blocks of a header still to be read. Their total is bounded by the file's length, so a chain that runs in a
/// circle ends.
struct Blocks {
    pending: Vec<(u64, u64)>,
    total: u64,
}

impl Blocks {
    fn add(&mut self, source: &Source, address: u64, length: u64) -> Result<()> {
        self.total = self.total.saturating_add(length.max(1));
        if self.total > source.length() {
            return malformed("object header longer than the file");
        }
        self.pending.push((address, length));
        Ok(())
    }

    fn continuation(&mut self, source: &Source, body: &[u8]) -> Result<()> {
        let mut cursor = Cursor::new(body, "continuation message");
        let (address, length) = (cursor.u64()?, cursor.u64()?);
        self.add(source, address, length)
    }
}

fn read_version_1(source: &Source, address: u64, start: &[u8; 16]) -> Result<Vec<Message>> {
    let mut cursor = Cursor::new(start, "object header");
    cursor.skip(2)?;
    let count = usize::from(cursor.u16()?);
    cursor.skip(4)?;
    let size = cursor.u32()?;
    let mut blocks = Blocks { pending: Vec::new(), total: 0 };
    blocks.add(source, address.saturating_add(16), u64::from(size))?;
    let mut messages = Vec::new();
    let mut seen = 0;
    while let Some((address, length)) = blocks.pending.pop() {
        let block = source.read(address, length as usize)?;
        let mut cursor = Cursor::new(&block, "object header");
        while cursor.remaining() >= 8 && seen < count {
            seen += 1;
            let (kind, size, flags) = (cursor.u16()?, cursor.u16()?, cursor.u8()?);
            cursor.skip(3)?;
            let body = cursor.take(usize::from(size))?;
            match kind {
                kind::CONTINUATION => blocks.continuation(source, body)?,
                _ => messages.push(Message { kind, flags, body: body.to_vec() }),
            }
        }
    }
    if seen < count {
        return malformed(format!("object header holds {seen} of its {count} messages"));
    }
    Ok(messages)
}

fn read_version_2(source: &Source, address: u64) -> Result<Vec<Message>> {
    let prefix = source.read(address, 64.min(source.length().saturating_sub(address)) as usize)?;
    let mut cursor = Cursor::new(&prefix, "object header");
    cursor.magic(b"OHDR")?;
    let version = cursor.u8()?;
    if version != 2 {
        return Err(Problem::Unsupported(format!("object header version {version}")));
    }
    let flags = cursor.u8()?;
    if flags & 0x20 != 0 {
        cursor.skip(16)?;
    }
    if flags & 0x10 != 0 {
        cursor.skip(4)?;
    }
    let size = cursor.unsigned(1 << (flags & 3))?;
    let start = address.saturating_add((prefix.len() - cursor.remaining()) as u64);
    let mut blocks = Blocks { pending: Vec::new(), total: 0 };
    blocks.add(source, start, size)?;
    let mut messages = Vec::new();
    let mut first = true;
    while let Some((address, length)) = blocks.pending.pop() {
        let block = source.read(address, length as usize)?;
        let mut cursor = Cursor::new(&block, "object header");
        let mut trailer = 0;
        if !first {
            cursor.magic(b"OCHK")?;
            // A continuation block's length counts its signature and its checksum.
            trailer = 4;
        }
        first = false;
        let header = if flags & 0x04 != 0 { 6 } else { 4 };
        while cursor.remaining() >= header + trailer {
            let (kind, size, message_flags) = (u16::from(cursor.u8()?), cursor.u16()?, cursor.u8()?);
            cursor.skip(header - 4)?;
            let body = cursor.take(usize::from(size))?;
            match kind {
                kind::CONTINUATION => blocks.continuation(source, body)?,
                _ => messages.push(Message { kind, flags: message_flags, body: body.to_vec() }),
            }
        }
    }
    Ok(messages)
}
