//! Numeric matrices in MATLAB's level 5 MAT-files, zlib-compressed or not; little-endian files only.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::{Result, ZooError};

const HEADER: u64 = 128;
const MI_INT8: u32 = 1;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_MATRIX: u32 = 14;
const MI_COMPRESSED: u32 = 15;
/// mxDOUBLE … mxUINT64, the classes that hold plain numbers.
const NUMERIC_CLASSES: std::ops::RangeInclusive<u32> = 6..=15;
const COMPLEX: u32 = 0x0800;
/// Deflate cannot compress better than this.
const LARGEST_RATIO: u64 = 1032;
/// Longer names and more axes than these are taken as damage.
const LONGEST_NAME: u64 = 4096;
const MOST_AXES: u64 = 32;

/// A numeric matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The variable's name.
    pub name: String,
    /// Its axes; the first runs fastest.
    pub shape: Vec<usize>,
    /// Its elements, in the narrowest type in which they are stored.
    pub values: Values,
}

/// Stored elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Kind {
    fn from_code(code: u32) -> Option<Kind> {
        Some(match code {
            1 => Kind::I8,
            2 => Kind::U8,
            3 => Kind::I16,
            4 => Kind::U16,
            5 => Kind::I32,
            6 => Kind::U32,
            7 => Kind::F32,
            9 => Kind::F64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::F64 => 8,
        }
    }
}

impl Values {
    /// The elements when they are stored as unsigned bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        (self.kind == Kind::U8).then_some(&self.bytes)
    }

    /// All elements as numbers.
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        self.bytes.chunks_exact(self.kind.size()).map(|bytes| number(self.kind, bytes))
    }
}

fn number(kind: Kind, bytes: &[u8]) -> f64 {
    match (kind, bytes) {
        (Kind::I8, &[a]) => f64::from(a as i8),
        (Kind::U8, &[a]) => f64::from(a),
        (Kind::I16, &[a, b]) => f64::from(i16::from_le_bytes([a, b])),
        (Kind::U16, &[a, b]) => f64::from(u16::from_le_bytes([a, b])),
        (Kind::I32, &[a, b, c, d]) => f64::from(i32::from_le_bytes([a, b, c, d])),
        (Kind::U32, &[a, b, c, d]) => f64::from(u32::from_le_bytes([a, b, c, d])),
        (Kind::F32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (Kind::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => f64::NAN,
    }
}

/// Reads the numeric matrices with the `wanted` names; what else the file holds is passed over.
pub fn read(path: &Path, wanted: &[&str]) -> Result<Vec<Matrix>> {
    let io = |source| ZooError::io(path, source);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let size = file.get_ref().metadata().map_err(io)?.len();
    let mut header = [0; HEADER as usize];
    file.read_exact(&mut header)
        .map_err(|_| ZooError::malformed(path, "shorter than a MAT-file's header"))?;
    match (&header[124..126], &header[126..128]) {
        ([0, 1], b"IM") => {}
        ([0, 2], b"IM") => return Err(ZooError::unsupported(path, "a MAT-file of version 7.3", "level 5")),
        (_, b"MI") => return Err(ZooError::unsupported(path, "a big-endian MAT-file", "little-endian")),
        _ => return Err(ZooError::malformed(path, "does not begin as a level 5 MAT-file does")),
    }
    let mut matrices: Vec<Matrix> = Vec::new();
    let mut position = HEADER;
    while position < size && matrices.len() < wanted.len() {
        file.seek(SeekFrom::Start(position)).map_err(io)?;
        let tag = Tag::read(path, &mut file)?;
        let Some(end) =
            position.checked_add(8 + tag.bytes).filter(|end| *end <= size && tag.inline.is_none())
        else {
            return Err(ZooError::malformed(
                path,
                format!("the element at byte {position} reaches past the end"),
            ));
        };
        let body = (&mut file).take(tag.bytes);
        let found = match tag.kind {
            MI_COMPRESSED => {
                let at_most = tag.bytes.saturating_mul(LARGEST_RATIO);
                let mut inflated = ZlibDecoder::new(body);
                let inner = Tag::read(path, &mut inflated)?;
                match inner.kind {
                    MI_MATRIX if inner.bytes <= at_most => {
                        matrix(path, &mut inflated.take(inner.bytes), inner.bytes, wanted)?
                    }
                    MI_MATRIX => {
                        return Err(ZooError::malformed(
                            path,
                            format!("the element at byte {position} claims {} bytes", inner.bytes),
                        ));
                    }
                    _ => None,
                }
            }
            MI_MATRIX => matrix(path, &mut { body }, tag.bytes, wanted)?,
            _ => None,
        };
        if let Some(found) = found {
            if matrices.iter().any(|matrix| matrix.name == found.name) {
                return Err(ZooError::malformed(path, format!("holds two matrices `{}`", found.name)));
            }
            matrices.push(found);
        }
        position = end;
    }
    Ok(matrices)
}

/// The head of a data element; elements of at most four bytes lie in the head itself.
struct Tag {
    kind: u32,
    bytes: u64,
    inline: Option<[u8; 4]>,
}

impl Tag {
    fn read(path: &Path, reader: &mut impl Read) -> Result<Tag> {
        let mut head = [0; 8];
        reader.read_exact(&mut head).map_err(|error| ends_early(path, &error))?;
        let [a, b, c, d, e, f, g, h] = head;
        let first = u32::from_le_bytes([a, b, c, d]);
        let small = first >> 16;
        if small == 0 {
            let bytes = u64::from(u32::from_le_bytes([e, f, g, h]));
            return Ok(Tag { kind: first, bytes, inline: None });
        }
        if small > 4 {
            return Err(ZooError::malformed(path, format!("a small element claims {small} bytes")));
        }
        Ok(Tag { kind: first & 0xffff, bytes: u64::from(small), inline: Some([e, f, g, h]) })
    }

    /// The element's contents, which may have at most `limit` bytes; also reads the padding after it.
    fn contents(&self, path: &Path, reader: &mut impl Read, limit: u64) -> Result<Vec<u8>> {
        if let Some(inline) = self.inline {
            return Ok(inline[..self.bytes as usize].to_vec());
        }
        if self.bytes > limit {
            return Err(ZooError::malformed(path, format!("an element claims {} bytes", self.bytes)));
        }
        let mut contents = Vec::new();
        reader
            .by_ref()
            .take(self.bytes)
            .read_to_end(&mut contents)
            .map_err(|error| ends_early(path, &error))?;
        if contents.len() as u64 != self.bytes {
            return Err(ZooError::malformed(path, format!("ends within an element of {} bytes", self.bytes)));
        }
        let padding = self.bytes.next_multiple_of(8) - self.bytes;
        let mut skipped = Vec::new();
        reader.by_ref().take(padding).read_to_end(&mut skipped).map_err(|error| ends_early(path, &error))?;
        Ok(contents)
    }
}

/// The body of a matrix element of `size` bytes: flags, axes, name, elements.
fn matrix(path: &Path, reader: &mut impl Read, size: u64, wanted: &[&str]) -> Result<Option<Matrix>> {
    let mut part = |kind: Option<u32>, limit: u64| -> Result<(Tag, Vec<u8>)> {
        let tag = Tag::read(path, reader)?;
        if kind.is_some_and(|kind| kind != tag.kind) {
            return Err(ZooError::malformed(
                path,
                format!("an element of type {} is not in its place", tag.kind),
            ));
        }
        let contents = tag.contents(path, reader, limit.min(size))?;
        Ok((tag, contents))
    };
    let (_, flags) = part(Some(MI_UINT32), 8)?;
    let Some(flags) = words(&flags).next() else {
        return Err(ZooError::malformed(path, "a matrix without flags"));
    };
    let (_, axes) = part(Some(MI_INT32), 4 * MOST_AXES)?;
    let shape: Option<Vec<usize>> = words(&axes).map(|size| usize::try_from(size as i32).ok()).collect();
    let (_, name) = part(Some(MI_INT8), LONGEST_NAME)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    if !wanted.contains(&name.as_str()) {
        return Ok(None);
    }
    if !NUMERIC_CLASSES.contains(&(flags & 0xff)) || flags & COMPLEX != 0 {
        return Err(ZooError::malformed(path, format!("`{name}` is no matrix of real numbers")));
    }
    let (tag, bytes) = part(None, size)?;
    let Some(kind) = Kind::from_code(tag.kind) else {
        return Err(ZooError::unsupported(
            path,
            format!("`{name}`: element type {}", tag.kind),
            "integers of at most 32 bits, singles, doubles",
        ));
    };
    let shape = shape.filter(|shape| {
        let needed = shape.iter().try_fold(kind.size(), |product, size| product.checked_mul(*size));
        needed == Some(bytes.len())
    });
    let Some(shape) = shape else {
        return Err(ZooError::malformed(
            path,
            format!("`{name}`: {} bytes do not fill its axes", bytes.len()),
        ));
    };
    Ok(Some(Matrix { name, shape, values: Values { kind, bytes } }))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

fn ends_early(path: &Path, error: &std::io::Error) -> ZooError {
    ZooError::malformed(path, format!("ends or breaks within an element: {error}"))
}
