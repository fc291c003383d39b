//! Types and shapes of elements.

use super::bytes::Cursor;
use super::{Problem, Result, malformed};

/// An element's type, as far as Keras files need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// IEEE 754, of 2, 4 or 8 bytes.
    Float { size: usize, big_endian: bool },
    /// The upper half of a 32-bit float.
    BrainFloat { big_endian: bool },
    /// Text of a fixed number of bytes.
    Text { size: usize, padding: Padding },
    /// Text of any length, in the global heap.
    VariableText,
    /// Anything else, by its class number.
    Other { class: u8, size: usize },
}

/// How fixed-length text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Null,
    Space,
}

impl Type {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Type::Float { size, .. } | Type::Text { size, .. } | Type::Other { size, .. } => size,
            Type::BrainFloat { .. } => 2,
            Type::VariableText => 16,
        }
    }

    pub(super) fn parse(body: &[u8]) -> Result<Type> {
        let mut cursor = Cursor::new(body, "datatype message");
        let class = cursor.u8()? & 0x0f;
        let bits = cursor.unsigned(3)? as u32;
        let size = cursor.u32()? as usize;
        if size == 0 {
            return malformed("a type of no bytes");
        }
        match class {
            1 => float(&mut cursor, bits, size),
            3 => match bits & 0x0f {
                0 | 1 => Ok(Type::Text { size, padding: Padding::Null }),
                2 => Ok(Type::Text { size, padding: Padding::Space }),
                other => malformed(format!("text with padding {other}")),
            },
            9 if bits & 0x0f == 1 && size == 16 => Ok(Type::VariableText),
            _ => Ok(Type::Other { class, size }),
        }
    }
}

fn float(cursor: &mut Cursor<'_>, bits: u32, size: usize) -> Result<Type> {
    let big_endian = bits & 1 != 0;
    let sign = (bits >> 8) & 0xff;
    let (offset, precision) = (cursor.u16()?, cursor.u16()?);
    let (exponent_at, exponent, mantissa_at, mantissa) =
        (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let bias = cursor.u32()?;
    let layout = (offset, precision, sign, exponent_at, exponent, mantissa_at, mantissa, bias);
    match (size, layout, bits & 0x40) {
        (2, (0, 16, 15, 10, 5, 0, 10, 15), 0) => Ok(Type::Float { size, big_endian }),
        (4, (0, 32, 31, 23, 8, 0, 23, 127), 0) => Ok(Type::Float { size, big_endian }),
        (8, (0, 64, 63, 52, 11, 0, 52, 1023), 0) => Ok(Type::Float { size, big_endian }),
        (2, (0, 16, 15, 7, 8, 0, 7, 127), 0) => Ok(Type::BrainFloat { big_endian }),
        _ => {
            Err(Problem::Unsupported(format!("a floating-point type of {size} bytes that is not IEEE 754's")))
        }
    }
}

/// The lengths of an array's axes; a scalar has none. An array of no elements ("null") has one axis of length 0.
pub(super) fn parse_shape(body: &[u8]) -> Result<Vec<u64>> {
    let mut cursor = Cursor::new(body, "dataspace message");
    let (version, rank) = (cursor.u8()?, usize::from(cursor.u8()?));
    match version {
        1 => cursor.skip(6)?,
        2 => {
            cursor.skip(1)?;
            const NULL: u8 = 2;
            if cursor.u8()? == NULL {
                return Ok(vec![0]);
            }
        }
        _ => return Err(Problem::Unsupported(format!("dataspace version {version}"))),
    }
    (0..rank).map(|_| cursor.u64()).collect()
}

/// Number of elements of a shape.
pub(super) fn element_count(shape: &[u64]) -> Result<u64> {
    shape
        .iter()
        .try_fold(1_u64, |count, axis| count.checked_mul(*axis))
        .ok_or_else(|| Problem::Malformed(format!("shape {shape:?} has too many elements")))
}
