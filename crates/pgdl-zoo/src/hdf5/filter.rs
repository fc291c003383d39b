//! Filters of chunked arrays: byte shuffling, deflate, and Fletcher's checksum.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::bytes::Cursor;
use super::{Problem, Result, malformed};

pub(super) const DEFLATE: u16 = 1;
pub(super) const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;

/// One step of an array's filter pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Deflate,
    /// Bytes of an element.
    Shuffle(usize),
    Fletcher32,
}

/// Filters in the order in which they were applied when the chunk was written.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Filter>> {
    let mut cursor = Cursor::new(body, "filter message");
    let (version, count) = (cursor.u8()?, cursor.u8()?);
    match version {
        1 => cursor.skip(6)?,
        2 => {}
        _ => return Err(Problem::Unsupported(format!("filter message version {version}"))),
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = cursor.u16()?;
        let name = if version == 1 || id >= 256 { usize::from(cursor.u16()?) } else { 0 };
        cursor.skip(2)?;
        let values = usize::from(cursor.u16()?);
        cursor.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
        let first = if values > 0 { Some(cursor.u32()?) } else { None };
        cursor.skip(4 * values.saturating_sub(1))?;
        if version == 1 && values % 2 == 1 {
            cursor.skip(4)?;
        }
        filters.push(match (id, first) {
            (DEFLATE, _) => Filter::Deflate,
            (SHUFFLE, Some(size)) if size > 0 => Filter::Shuffle(size as usize),
            (SHUFFLE, _) => return malformed("shuffle filter without a size"),
            (FLETCHER32, _) => Filter::Fletcher32,
            _ => return Err(Problem::Unsupported(format!("HDF5 filter {id}"))),
        });
    }
    Ok(filters)
}

/// Undoes the filters on one chunk; those in `mask` were skipped. The result has exactly `size` bytes.
pub(super) fn undo(filters: &[Filter], mask: u32, stored: Vec<u8>, size: usize) -> Result<Vec<u8>> {
    let mut bytes = stored;
    for (position, filter) in filters.iter().enumerate().rev() {
        if position < 32 && mask & (1 << position) != 0 {
            continue;
        }
        bytes = match filter {
            Filter::Deflate => inflate(&bytes, size + 4)?,
            Filter::Shuffle(element) => unshuffle(&bytes, *element),
            Filter::Fletcher32 => {
                let Some((data, stored)) = bytes.split_last_chunk::<4>() else {
                    return malformed("a chunk is shorter than its checksum");
                };
                let computed = fletcher32(data);
                let stored = u32::from_le_bytes(*stored);
                if stored != computed {
                    return malformed(format!(
                        "a chunk's checksum differs ({stored:08x} stored, {computed:08x} computed)"
                    ));
                }
                data.to_vec()
            }
        };
    }
    if bytes.len() != size {
        return malformed(format!("a chunk holds {} bytes in place of {size}", bytes.len()));
    }
    Ok(bytes)
}

/// Inflates a zlib stream to at most `limit` bytes, whatever the stream says.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut result = Vec::with_capacity(limit);
    match Decompress::new(true).decompress_vec(bytes, &mut result, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => Ok(result),
        Ok(_) => malformed("a compressed chunk is truncated, or longer than the array"),
        Err(error) => malformed(format!("a compressed chunk is damaged: {error}")),
    }
}

/// Compresses to a zlib stream.
pub(super) fn deflate(bytes: &[u8], level: u32) -> Result<Vec<u8>> {
    // zlib's own bound for incompressible data.
    let mut result = Vec::with_capacity(bytes.len() + bytes.len() / 1000 + 64);
    let status =
        Compress::new(Compression::new(level), true).compress_vec(bytes, &mut result, FlushCompress::Finish);
    match status {
        Ok(Status::StreamEnd) => Ok(result),
        _ => malformed("deflate did not finish"),
    }
}

/// Element-wise bytes → all first bytes, all second bytes, …; what is left over stays at the end.
pub(super) fn shuffle(bytes: &[u8], element: usize) -> Vec<u8> {
    let count = bytes.len() / element;
    let mut result = Vec::with_capacity(bytes.len());
    for byte in 0..element {
        result.extend((0..count).map(|index| bytes[index * element + byte]));
    }
    result.extend_from_slice(&bytes[count * element..]);
    result
}

fn unshuffle(bytes: &[u8], element: usize) -> Vec<u8> {
    let count = bytes.len() / element;
    let mut result = bytes.to_vec();
    if count == 0 {
        return result;
    }
    for byte in 0..element {
        for index in 0..count {
            result[index * element + byte] = bytes[byte * count + index];
        }
    }
    result
}

/// Fletcher's checksum as HDF5 computes it: 16-bit big-endian words, an odd last byte as the high half of a word;
/// a sum that is a multiple of 65,535 stays 65,535 unless all words are zero.
fn fletcher32(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0_u32, 0_u32);
    let mut add = |word: u32| {
        low = fold(low + word);
        high = fold(high + low);
    };
    let words = data.chunks_exact(2);
    let odd = words.remainder().first().copied();
    words.for_each(|word| add(u32::from(word[0]) << 8 | u32::from(word[1])));
    if let Some(last) = odd {
        add(u32::from(last) << 8);
    }
    high << 16 | low
}

/// A sum of two 16-bit numbers modulo 65,535, with 65,535 for a sum that is not zero but divisible.
fn fold(sum: u32) -> u32 {
    if sum > 65_535 { sum - 65_535 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffle_and_deflate_are_undone() {
        let bytes: Vec<u8> = (0..1003_u32).map(|i| (i * i % 251) as u8).collect();
        let stored = deflate(&shuffle(&bytes, 4), 6).unwrap();
        let filters = [Filter::Shuffle(4), Filter::Deflate];
        assert_eq!(undo(&filters, 0, stored, bytes.len()).unwrap(), bytes);
    }

    #[test]
    fn a_bomb_stops_at_the_size_of_the_chunk() {
        let stored = deflate(&vec![0; 1 << 22], 9).unwrap();
        assert!(undo(&[Filter::Deflate], 0, stored, 1024).is_err());
    }
}
