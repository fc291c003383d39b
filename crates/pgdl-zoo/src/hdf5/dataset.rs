//! Arrays of floats, read into memory that the caller provides.

use super::bytes::{Cursor, Source, UNDEFINED};
use super::datatype::{Type, element_count, parse_shape};
use super::filter::{self, Filter};
use super::object::{Object, kind, within};
use super::{Problem, Result, malformed, tree};

/// An array: its shape, and where its values lie. Nothing is read before [`Dataset::read_f32`].
#[derive(Debug)]
pub struct Dataset<'f> {
    source: &'f Source,
    name: String,
    shape: Vec<u64>,
    element: Type,
    layout: Layout,
    filters: Vec<Filter>,
}

#[derive(Debug)]
enum Layout {
    /// In the object header itself.
    Compact(Vec<u8>),
    /// In one piece.
    Contiguous { address: u64, length: u64 },
    /// In equal boxes that a B-tree lists.
    Chunked { tree: u64, chunk: Vec<u64> },
}

/// Deflate never shrinks data to less than a 1032th.
const LARGEST_COMPRESSION: u64 = 1032;

/// Chunks up to this size may be larger than their array: arrays that can grow have such chunks.
const SMALL_CHUNK: u64 = 1 << 20;

pub(super) fn describe<'f>(object: &Object<'f>) -> Result<Dataset<'f>> {
    let message = |kind, what: &str| {
        object.message(kind)?.ok_or_else(|| Problem::Malformed(format!("not an array: it has no {what}")))
    };
    let shape = parse_shape(message(kind::DATASPACE, "shape")?)?;
    let mut element = Type::parse(message(kind::DATATYPE, "element type")?)?;
    // NumPy's bfloat16 is unknown to HDF5: Keras keeps its bytes, and says so in an attribute.
    if matches!(element, Type::Other { size: 2, .. })
        && object.strings("dtype")?.is_some_and(|names| names == ["bfloat16"])
    {
        element = Type::BrainFloat { big_endian: false };
    }
    if object.message(kind::EXTERNAL_FILES)?.is_some() {
        return Err(Problem::Unsupported("an array in external files".into()));
    }
    let filters = object.message(kind::FILTERS)?.map(filter::parse).transpose()?.unwrap_or_default();
    let layout = layout(message(kind::LAYOUT, "layout")?, shape.len())?;
    Ok(Dataset { source: object.source, name: object.name().to_owned(), shape, element, layout, filters })
}

fn layout(body: &[u8], rank: usize) -> Result<Layout> {
    let mut cursor = Cursor::new(body, "layout message");
    let (version, class) = (cursor.u8()?, cursor.u8()?);
    match (version, class) {
        (3 | 4, 0) => {
            let length = usize::from(cursor.u16()?);
            Ok(Layout::Compact(cursor.take(length)?.to_vec()))
        }
        (3 | 4, 1) => Ok(Layout::Contiguous { address: cursor.u64()?, length: cursor.u64()? }),
        (3, 2) => {
            let axes = usize::from(cursor.u8()?);
            if axes != rank + 1 {
                return malformed(format!("chunks of {axes} axes in an array of {rank}"));
            }
            let tree = cursor.u64()?;
            let chunk = (0..rank).map(|_| cursor.u32().map(u64::from)).collect::<Result<Vec<_>>>()?;
            Ok(Layout::Chunked { tree, chunk })
        }
        _ => Err(Problem::Unsupported(format!("array layout version {version}, class {class}"))),
    }
}

impl Dataset<'_> {
    /// Lengths of the axes.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// An error unless the file can hold all elements: to be asked before memory is allocated for them.
    pub fn check_storage(&self) -> Result<()> {
        self.storage().map_err(|problem| within(&self.name, problem))
    }

    fn storage(&self) -> Result<()> {
        let bytes = self.byte_count()?;
        let available = match &self.layout {
            Layout::Compact(data) => data.len() as u64,
            Layout::Contiguous { length, .. } => *length,
            Layout::Chunked { .. } if self.filters.is_empty() => self.source.length(),
            Layout::Chunked { .. } => self.source.length().saturating_mul(LARGEST_COMPRESSION),
        };
        if matches!(self.layout, Layout::Contiguous { .. } | Layout::Compact(_)) && !self.filters.is_empty() {
            return malformed("filters on an array without chunks");
        }
        let in_file = !matches!(&self.layout, Layout::Contiguous { address, .. }
            if address.checked_add(bytes).is_none_or(|end| end > self.source.length()));
        if bytes > 0 && (bytes > available || !in_file) {
            return malformed(format!(
                "shape {:?} needs {bytes} bytes, more than the file holds",
                self.shape
            ));
        }
        Ok(())
    }

    /// Reads all elements, in row-major order, as 32-bit floats; 16- and 64-bit floats are converted.
    ///
    /// `out` must have exactly as many elements as the array. Where the file holds little-endian 32-bit floats in
    /// one piece, its bytes go straight into `out`.
    pub fn read_f32(&self, out: &mut [f32]) -> Result<()> {
        self.read(out).map_err(|problem| within(&self.name, problem))
    }

    fn read(&self, out: &mut [f32]) -> Result<()> {
        let count = element_count(&self.shape)?;
        if count != out.len() as u64 {
            return malformed(format!("{count} elements in place of {}", out.len()));
        }
        if count == 0 {
            return Ok(());
        }
        self.storage()?;
        let convert = self.conversion()?;
        match &self.layout {
            Layout::Compact(data) => {
                convert(&data[..out.len() * self.element.size()], out);
                Ok(())
            }
            Layout::Contiguous { address, .. } => {
                if *address == UNDEFINED {
                    return malformed("its values were never stored");
                }
                if self.element == (Type::Float { size: 4, big_endian: cfg!(target_endian = "big") }) {
                    return self.source.read_into(*address, bytes_of(out));
                }
                self.read_converted(*address, out, convert)
            }
            Layout::Chunked { tree, chunk } => self.read_chunks(*tree, chunk, out, convert),
        }
    }

    fn read_converted(&self, address: u64, out: &mut [f32], convert: Conversion) -> Result<()> {
        const ELEMENTS: usize = 1 << 14;
        let size = self.element.size();
        let mut buffer = vec![0; ELEMENTS.min(out.len()) * size];
        let mut at = address;
        for part in out.chunks_mut(ELEMENTS) {
            let bytes = &mut buffer[..part.len() * size];
            self.source.read_into(at, bytes)?;
            convert(bytes, part);
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn read_chunks(&self, tree: u64, chunk: &[u64], out: &mut [f32], convert: Conversion) -> Result<()> {
        let grid = ChunkGrid::new(&self.shape, chunk, self.element.size())?;
        let mut seen = vec![false; grid.total];
        let mut values = vec![0_f32; grid.elements];
        let rank = self.shape.len();
        tree::walk(self.source, tree, tree::Kind::Chunks { rank }, &mut |key, address| {
            let mut cursor = Cursor::new(key, "chunk key");
            let (stored, mask) = (cursor.u32()?, cursor.u32()?);
            let origin = (0..rank).map(|_| cursor.u64()).collect::<Result<Vec<_>>>()?;
            let index = grid.index(&origin)?;
            if std::mem::replace(&mut seen[index], true) {
                return malformed(format!("chunk {origin:?} is there twice"));
            }
            let stored = self.source.read(address, stored as usize)?;
            let bytes = filter::undo(&self.filters, mask, stored, grid.elements * self.element.size())?;
            convert(&bytes, &mut values);
            grid.place(&origin, &values, out);
            Ok(())
        })?;
        match seen.iter().filter(|seen| !**seen).count() {
            0 => Ok(()),
            missing => malformed(format!("{missing} of {} chunks are missing", grid.total)),
        }
    }

    fn byte_count(&self) -> Result<u64> {
        element_count(&self.shape)?
            .checked_mul(self.element.size() as u64)
            .ok_or_else(|| Problem::Malformed(format!("shape {:?} has too many elements", self.shape)))
    }

    fn conversion(&self) -> Result<Conversion> {
        match self.element {
            Type::Float { size: 4, big_endian: false } => {
                Ok(|bytes, out| each(bytes, out, f32::from_le_bytes))
            }
            Type::Float { size: 4, big_endian: true } => {
                Ok(|bytes, out| each(bytes, out, f32::from_be_bytes))
            }
            Type::Float { size: 8, big_endian: false } => {
                Ok(|bytes, out| each(bytes, out, |value| f64::from_le_bytes(value) as f32))
            }
            Type::Float { size: 8, big_endian: true } => {
                Ok(|bytes, out| each(bytes, out, |value| f64::from_be_bytes(value) as f32))
            }
            Type::Float { size: 2, big_endian: false } => {
                Ok(|bytes, out| each(bytes, out, |value| half(u16::from_le_bytes(value))))
            }
            Type::Float { size: 2, big_endian: true } => {
                Ok(|bytes, out| each(bytes, out, |value| half(u16::from_be_bytes(value))))
            }
            Type::BrainFloat { big_endian: false } => {
                Ok(|bytes, out| each(bytes, out, |value| brain(u16::from_le_bytes(value))))
            }
            Type::BrainFloat { big_endian: true } => {
                Ok(|bytes, out| each(bytes, out, |value| brain(u16::from_be_bytes(value))))
            }
            _ => Err(Problem::Unsupported(format!(
                "an array whose elements are no floats ({:?})",
                self.element
            ))),
        }
    }
}

/// Converts stored elements to floats.
type Conversion = fn(&[u8], &mut [f32]);

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (elements, _) = bytes.as_chunks::<N>();
    for (value, element) in out.iter_mut().zip(elements) {
        *value = convert(*element);
    }
}

/// IEEE 754 binary16 → binary32, exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * (2_f32).powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * (2_f32).powi(exponent - 15),
    }
}

fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn bytes_of(values: &mut [f32]) -> &mut [u8] {
    let length = size_of_val(values);
    // SAFETY: the same memory, exclusively borrowed; every bit pattern is a valid u8 and a valid f32.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), length) }
}

/// How boxes of one shape tile an array; those at the far ends stick out.
struct ChunkGrid<'a> {
    shape: &'a [u64],
    chunk: &'a [u64],
    /// Number of boxes.
    total: usize,
    /// Elements in a box.
    elements: usize,
}

impl<'a> ChunkGrid<'a> {
    fn new(shape: &'a [u64], chunk: &'a [u64], element: usize) -> Result<Self> {
        let size = element_count(chunk)?.saturating_mul(element as u64);
        let array = element_count(shape)?.saturating_mul(element as u64);
        if size == 0 || size > array.max(SMALL_CHUNK) {
            return malformed(format!("chunks of shape {chunk:?} in an array of shape {shape:?}"));
        }
        let counts: Vec<u64> = shape.iter().zip(chunk).map(|(axis, step)| axis.div_ceil(*step)).collect();
        let total = element_count(&counts)? as usize;
        Ok(ChunkGrid { shape, chunk, total, elements: size as usize / element })
    }

    fn index(&self, origin: &[u64]) -> Result<usize> {
        let mut index = 0;
        for ((at, step), axis) in origin.iter().zip(self.chunk).zip(self.shape) {
            if at >= axis || at % step != 0 {
                return malformed(format!("a chunk at {origin:?}, where none can be"));
            }
            index = index * axis.div_ceil(*step) + at / step;
        }
        Ok(index as usize)
    }

    /// Copies the part of a box that lies inside the array to its place.
    fn place(&self, origin: &[u64], values: &[f32], out: &mut [f32]) {
        let Some((last_chunk, outer_chunk)) = self.chunk.split_last() else {
            out.copy_from_slice(values);
            return;
        };
        let rank = self.shape.len();
        let width = (self.shape[rank - 1] - origin[rank - 1]).min(*last_chunk) as usize;
        let rows = values.chunks_exact(*last_chunk as usize);
        // Position of the row inside the box, over all axes but the last.
        let mut row = vec![0_u64; outer_chunk.len()];
        for values in rows {
            let mut start = 0;
            let mut inside = true;
            for (axis, within) in row.iter().enumerate() {
                let at = origin[axis] + within;
                inside &= at < self.shape[axis];
                start = start * self.shape[axis] + at;
            }
            if inside {
                let start = (start * self.shape[rank - 1] + origin[rank - 1]) as usize;
                out[start..start + width].copy_from_slice(&values[..width]);
            }
            for (axis, within) in row.iter_mut().enumerate().rev() {
                *within += 1;
                if *within < outer_chunk[axis] {
                    break;
                }
                *within = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        let expected = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, value) in expected {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn boxes_that_stick_out_are_cut() {
        let (shape, chunk) = ([3, 5], [2, 2]);
        let grid = ChunkGrid::new(&shape, &chunk, 4).unwrap();
        assert_eq!((grid.total, grid.elements), (6, 4));
        let mut out = [0.0; 15];
        for row in [0, 2] {
            for column in [0, 2, 4] {
                let at = |i: u64, j: u64| (10 * (row + i) + column + j) as f32;
                grid.place(&[row, column], &[at(0, 0), at(0, 1), at(1, 0), at(1, 1)], &mut out);
            }
        }
        let expected: Vec<f32> = (0..3).flat_map(|i| (0..5).map(move |j| (10 * i + j) as f32)).collect();
        assert_eq!(out.as_slice(), expected);
    }
}
