//! Attributes of strings.

use super::bytes::{Cursor, UNDEFINED};
use super::datatype::{Padding, Type, element_count, parse_shape};
use super::heap::GlobalHeap;
use super::object::{Object, kind};
use super::{Problem, Result, malformed};

pub(super) fn strings(object: &Object<'_>, name: &str) -> Result<Option<Vec<String>>> {
    for message in object.messages.iter().filter(|message| message.kind == kind::ATTRIBUTE) {
        let attribute = Attribute::parse(message.body()?)?;
        if attribute.name == name.as_bytes() {
            let strings = attribute.strings(object);
            return strings
                .map(Some)
                .map_err(|problem| super::object::within(&format!("attribute {name}"), problem));
        }
    }
    if let Some(info) = object.message(kind::ATTRIBUTE_INFO)? {
        let mut cursor = Cursor::new(info, "attribute info message");
        let (_version, flags) = (cursor.u8()?, cursor.u8()?);
        if flags & 1 != 0 {
            cursor.skip(2)?;
        }
        if cursor.u64()? != UNDEFINED {
            return Err(Problem::Unsupported("an object with dense attributes".into()));
        }
    }
    Ok(None)
}

struct Attribute<'a> {
    name: &'a [u8],
    datatype: &'a [u8],
    dataspace: &'a [u8],
    data: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn parse(body: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body, "attribute message");
        let (version, flags) = (cursor.u8()?, cursor.u8()?);
        if !(1..=3).contains(&version) {
            return Err(Problem::Unsupported(format!("attribute version {version}")));
        }
        if version > 1 && flags != 0 {
            return Err(Problem::Unsupported("an attribute of a shared type".into()));
        }
        let (name, datatype, dataspace) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        if version == 3 {
            cursor.skip(1)?;
        }
        let mut field = |length: u16| {
            let field = cursor.take(usize::from(length))?;
            if version == 1 {
                cursor.align()?;
            }
            Ok(field)
        };
        let (name, datatype, dataspace) = (field(name)?, field(datatype)?, field(dataspace)?);
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        Ok(Attribute { name, datatype, dataspace, data: cursor.rest() })
    }

    fn strings(&self, object: &Object<'_>) -> Result<Vec<String>> {
        let count = element_count(&parse_shape(self.dataspace)?)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let element = Type::parse(self.datatype)?;
        let expected = count.checked_mul(element.size() as u64);
        if expected.is_none_or(|expected| expected > self.data.len() as u64) {
            return malformed(format!("{count} elements do not fit into {} bytes", self.data.len()));
        }
        let elements = self.data.chunks_exact(element.size()).take(count as usize);
        match element {
            Type::Text { padding, .. } => elements.map(|element| fixed_text(element, padding)).collect(),
            Type::VariableText => {
                let mut heap = GlobalHeap::new(object.source);
                let mut total = 0_u64;
                elements
                    .map(|element| {
                        let mut cursor = Cursor::new(element, "variable-length text");
                        let (length, address, index) = (cursor.u32()?, cursor.u64()?, cursor.u32()?);
                        total += u64::from(length);
                        match length {
                            0 => Ok(String::new()),
                            _ if total > object.source.length() => malformed("more text than the file holds"),
                            _ => fixed_text(heap.object(address, index, length)?, Padding::Null),
                        }
                    })
                    .collect()
            }
            _ => malformed("not text"),
        }
    }
}

fn fixed_text(bytes: &[u8], padding: Padding) -> Result<String> {
    let text = match padding {
        Padding::Null => bytes.split(|byte| *byte == 0).next().unwrap_or_default(),
        Padding::Space => bytes.trim_ascii_end(),
    };
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => malformed("text that is not UTF-8"),
    }
}
