//! Writing: old-style groups, fixed-length strings, arrays of 32-bit floats. Every HDF5 library reads these.

use std::io::{Seek, SeekFrom, Write};

use super::bytes::UNDEFINED;
use super::object::kind;
use super::{Problem, Result, SIGNATURE, filter, malformed};

/// Half the members of a symbol node, and half the children of a group's tree node.
const GROUP_K: usize = 4;
/// Half the children of a chunk tree's node. Arrays are written as one chunk.
const CHUNK_K: usize = 1;

/// What a group has.
#[derive(Debug, Default)]
pub struct Group<'a> {
    /// Attributes by name.
    pub attributes: Vec<(String, Attribute)>,
    /// Members by name.
    pub members: Vec<(String, Node<'a>)>,
}

/// A member of a group.
#[derive(Debug)]
pub enum Node<'a> {
    /// A group.
    Group(Group<'a>),
    /// An array.
    Array(Array<'a>),
}

/// An array in row-major order.
#[derive(Debug)]
pub struct Array<'a> {
    /// Lengths of the axes.
    pub shape: Vec<u64>,
    /// The values.
    pub values: &'a [f32],
}

/// An attribute.
#[derive(Debug)]
pub enum Attribute {
    /// One string.
    Text(String),
    /// A list of strings; none are written as 64-bit floats of shape `[0]`, as Keras does.
    Texts(Vec<String>),
}

/// How the values of arrays are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As they are.
    Plain,
    /// Shuffled and deflated at this level (1 to 9) where that saves room.
    Compressed(u32),
}

/// Writes a file whose root group is `root` to `sink`, from its start.
pub fn write<W: Write + Seek>(root: &Group<'_>, storage: Storage, sink: W) -> Result<()> {
    const SUPERBLOCK: usize = 100;
    let mut writer = Writer { sink, at: 0, storage };
    writer.append(&[0; SUPERBLOCK])?;
    let root = writer.group(root)?;
    writer.align()?;
    let mut block = Fields::default();
    block.bytes(&SIGNATURE).bytes(&[1, 0, 0, 0, 0, 8, 8, 0]);
    block.u16(GROUP_K as u16).u16(GROUP_K as u16).u32(0).u16(CHUNK_K as u16).u16(0);
    block.u64(0).u64(UNDEFINED).u64(writer.at).u64(UNDEFINED);
    block.u64(0).u64(root).u32(0).u32(0).bytes(&[0; 16]);
    writer.sink.seek(SeekFrom::Start(0)).map_err(Problem::Io)?;
    writer.sink.write_all(&block.0).map_err(Problem::Io)?;
    writer.sink.flush().map_err(Problem::Io)
}

struct Writer<W> {
    sink: W,
    at: u64,
    storage: Storage,
}

impl<W: Write + Seek> Writer<W> {
    /// Appends bytes, and answers where they begin.
    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.at;
        self.sink.write_all(bytes).map_err(Problem::Io)?;
        self.at += bytes.len() as u64;
        Ok(at)
    }

    fn align(&mut self) -> Result<()> {
        let gap = (self.at.next_multiple_of(8) - self.at) as usize;
        self.append(&[0; 8][..gap]).map(drop)
    }

    fn append_aligned(&mut self, bytes: &[u8]) -> Result<u64> {
        self.align()?;
        self.append(bytes)
    }

    /// Writes a group after its members, and answers where its object header lies.
    fn group(&mut self, group: &Group<'_>) -> Result<u64> {
        let mut members: Vec<&(String, Node<'_>)> = group.members.iter().collect();
        members.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        let mut heap = vec![0_u8; 8];
        let mut entries = Vec::with_capacity(members.len());
        for (name, node) in members {
            let address = match node {
                Node::Group(group) => self.group(group)?,
                Node::Array(array) => self.array(array)?,
            };
            entries.push((heap.len() as u64, address));
            heap.extend_from_slice(name.as_bytes());
            heap.push(0);
            heap.resize(heap.len().next_multiple_of(8), 0);
        }
        let tree = self.group_tree(&entries)?;
        let heap = self.local_heap(&heap)?;
        let mut messages = Messages::default();
        let mut table = Fields::default();
        table.u64(tree).u64(heap);
        messages.add(kind::SYMBOL_TABLE, &table.0)?;
        for (name, attribute) in &group.attributes {
            messages.add(kind::ATTRIBUTE, &attribute_message(name, attribute)?)?;
        }
        self.append_aligned(&messages.header())
    }

    fn local_heap(&mut self, data: &[u8]) -> Result<u64> {
        const NO_FREE_BLOCK: u64 = 1;
        self.align()?;
        let mut head = Fields::default();
        head.bytes(b"HEAP").bytes(&[0; 4]).u64(data.len() as u64).u64(NO_FREE_BLOCK).u64(self.at + 32);
        let at = self.append(&head.0)?;
        self.append(data)?;
        Ok(at)
    }

    /// Symbol nodes and the tree over them, for entries (offset of the name, address) sorted by name.
    fn group_tree(&mut self, entries: &[(u64, u64)]) -> Result<u64> {
        // Of each child: its address, and the name of its last entry, which is the key on its right.
        let mut children = Vec::new();
        for part in entries.chunks(2 * GROUP_K) {
            let mut node = Fields::default();
            node.bytes(b"SNOD").bytes(&[1, 0]).u16(part.len() as u16);
            for (name, address) in part {
                node.u64(*name).u64(*address).u32(0).u32(0).bytes(&[0; 16]);
            }
            node.0.resize(8 + 2 * GROUP_K * 40, 0);
            children.push((self.append_aligned(&node.0)?, part.last().map_or(0, |entry| entry.0)));
        }
        for level in 0.. {
            const NODE: u64 = 24 + (2 * GROUP_K as u64) * 8 + (2 * GROUP_K as u64 + 1) * 8;
            let count = children.len().div_ceil(2 * GROUP_K).max(1);
            self.align()?;
            let start = self.at;
            let mut left_key = 0;
            let mut parents = Vec::with_capacity(count);
            for index in 0..count {
                let part = &children[index * 2 * GROUP_K..children.len().min((index + 1) * 2 * GROUP_K)];
                let sibling = |there: bool, at: u64| if there { at } else { UNDEFINED };
                let at = start + index as u64 * NODE;
                let mut node = Fields::default();
                node.bytes(b"TREE").bytes(&[0, level]).u16(part.len() as u16);
                node.u64(sibling(index > 0, at.wrapping_sub(NODE)))
                    .u64(sibling(index + 1 < count, at + NODE));
                node.u64(left_key);
                for (address, last) in part {
                    node.u64(*address).u64(*last);
                    left_key = *last;
                }
                node.0.resize(NODE as usize, 0);
                parents.push((self.append(&node.0)?, left_key));
            }
            children = parents;
            if let [(root, _)] = children.as_slice() {
                return Ok(*root);
            }
        }
        malformed("a group with too many members")
    }

    fn array(&mut self, array: &Array<'_>) -> Result<u64> {
        const LATE: u8 = 2;
        const INCREMENTAL: u8 = 3;
        let mut bytes = Vec::with_capacity(size_of_val(array.values));
        bytes.extend(array.values.iter().flat_map(|value| value.to_le_bytes()));
        let compressed = match self.storage {
            Storage::Compressed(level) => {
                let compressed = filter::deflate(&filter::shuffle(&bytes, 4), level)?;
                // What a chunk's own tree and the filters' messages take.
                let overhead = 160 + 40 * array.shape.len();
                (compressed.len() + overhead < bytes.len() && !array.shape.is_empty()).then_some(compressed)
            }
            Storage::Plain => None,
        };
        let mut messages = Messages::default();
        messages.add(kind::DATASPACE, &shape_message(&array.shape))?;
        messages.add(kind::DATATYPE, &float_type(4))?;
        let allocation = if compressed.is_some() { INCREMENTAL } else { LATE };
        messages.add(kind::FILL_VALUE, &[2, allocation, 2, 1, 0, 0, 0, 0])?;
        let mut layout = Fields::default();
        match compressed {
            None => {
                let length = bytes.len() as u64;
                let address = if bytes.is_empty() { UNDEFINED } else { self.append_aligned(&bytes)? };
                layout.bytes(&[3, 1]).u64(address).u64(length);
            }
            Some(stored) => {
                let data = self.append_aligned(&stored)?;
                let tree = self.chunk_tree(&array.shape, data, stored.len())?;
                layout.bytes(&[3, 2, array.shape.len() as u8 + 1]).u64(tree);
                for axis in &array.shape {
                    let axis = u32::try_from(*axis);
                    layout.u32(axis.map_err(|_| Problem::Malformed("an axis of more than 2^32".into()))?);
                }
                layout.u32(4);
                messages.add(kind::FILTERS, &filter_message())?;
            }
        }
        messages.add(kind::LAYOUT, &layout.0)?;
        self.append_aligned(&messages.header())
    }

    /// The tree of an array that is one chunk.
    fn chunk_tree(&mut self, shape: &[u64], data: u64, length: usize) -> Result<u64> {
        let key = 8 + 8 * (shape.len() + 1);
        let Ok(length) = u32::try_from(length) else { return malformed("a chunk of more than 4 GiB") };
        let mut node = Fields::default();
        node.bytes(b"TREE").bytes(&[1, 0]).u16(1).u64(UNDEFINED).u64(UNDEFINED);
        node.u32(length).u32(0).bytes(&vec![0; 8 * (shape.len() + 1)]).u64(data);
        // The key on the right: where the next chunk would begin.
        node.u32(0).u32(0);
        for axis in shape {
            node.u64(*axis);
        }
        node.u64(0);
        node.0.resize(24 + (2 * CHUNK_K + 1) * key + 2 * CHUNK_K * 8, 0);
        self.append_aligned(&node.0)
    }
}

/// Little-endian fields, one after the other.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Bytes, then zeros up to a multiple of eight.
    fn padded(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes(bytes);
        self.0.resize(self.0.len() + bytes.len().next_multiple_of(8) - bytes.len(), 0);
        self
    }
}

/// The messages of a version 1 object header.
#[derive(Default)]
struct Messages {
    count: u16,
    body: Fields,
}

impl Messages {
    fn add(&mut self, kind: u16, body: &[u8]) -> Result<()> {
        let length = u16::try_from(body.len().next_multiple_of(8));
        let length =
            length.map_err(|_| Problem::Malformed(format!("a header message of {} bytes", body.len())))?;
        self.body.u16(kind).u16(length).bytes(&[0; 4]).padded(body);
        self.count += 1;
        Ok(())
    }

    fn header(self) -> Vec<u8> {
        let mut header = Fields::default();
        header.bytes(&[1, 0]).u16(self.count).u32(1).u32(self.body.0.len() as u32).u32(0).bytes(&self.body.0);
        header.0
    }
}

fn shape_message(shape: &[u64]) -> Vec<u8> {
    let mut message = Fields::default();
    message.bytes(&[1, shape.len() as u8, 0, 0, 0, 0, 0, 0]);
    for axis in shape {
        message.u64(*axis);
    }
    message.0
}

/// IEEE 754 little-endian of 4 or 8 bytes.
fn float_type(size: u32) -> Vec<u8> {
    let (sign, exponent_at, exponent, bias) = if size == 4 { (31, 23, 8, 127) } else { (63, 52, 11, 1023) };
    let mut message = Fields::default();
    message.bytes(&[0x11, 0x20, sign, 0]).u32(size).u16(0).u16(8 * size as u16);
    message.bytes(&[exponent_at, exponent, 0, exponent_at]).u32(bias);
    message.0
}

fn text_type(length: usize) -> Vec<u8> {
    const NULL_PADDED: u8 = 1;
    let mut message = Fields::default();
    message.bytes(&[0x13, NULL_PADDED, 0, 0]).u32(length as u32);
    message.0
}

fn filter_message() -> Vec<u8> {
    let mut message = Fields::default();
    message.bytes(&[1, 2, 0, 0, 0, 0, 0, 0]);
    // Id, length of the name, flags, number of values: the bytes of an element, and the level.
    message.u16(filter::SHUFFLE).u16(0).u16(1).u16(1).u32(4).u32(0);
    message.u16(filter::DEFLATE).u16(0).u16(1).u16(1).u32(6).u32(0);
    message.0
}

fn attribute_message(name: &str, attribute: &Attribute) -> Result<Vec<u8>> {
    let one;
    let (texts, shape): (&[String], Vec<u64>) = match attribute {
        Attribute::Text(text) => {
            one = [text.clone()];
            (&one, Vec::new())
        }
        Attribute::Texts(texts) => (texts, vec![texts.len() as u64]),
    };
    let (datatype, data) = if texts.is_empty() {
        (float_type(8), Vec::new())
    } else {
        let length = texts.iter().map(String::len).max().unwrap_or(0).max(1);
        let mut data = Vec::with_capacity(texts.len() * length);
        for text in texts {
            data.extend_from_slice(text.as_bytes());
            data.resize(data.len() + length - text.len(), 0);
        }
        (text_type(length), data)
    };
    let shape = shape_message(&shape);
    let Ok(name_length) = u16::try_from(name.len() + 1) else {
        return malformed("an attribute's name is too long");
    };
    let mut name_bytes = name.as_bytes().to_vec();
    name_bytes.push(0);
    let mut message = Fields::default();
    message.bytes(&[1, 0]).u16(name_length).u16(datatype.len() as u16).u16(shape.len() as u16);
    message.padded(&name_bytes).padded(&datatype).padded(&shape).bytes(&data);
    Ok(message.0)
}
