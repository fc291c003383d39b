//! NumPy arrays: `.npy` files, and the arrays in `.npz` archives.
//!
//! Element types f4, f8, i4, i8 and u1, of either byte order; C and Fortran order; header versions 1 to 3.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use tch::{Kind, Tensor, kind::Element};
use zip::ZipArchive;

use crate::atomic_file::write_file;
use crate::tensor_memory::{filled, with_elements};
use crate::{Result, ZooError};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// No array of a supported type needs more.
const LONGEST_HEADER: u64 = 1 << 20;
/// Deflate cannot compress better than this.
const LARGEST_RATIO: u64 = 1032;
/// Arrays in compressed archives may not unpack to more.
const LARGEST_COMPRESSED: u64 = 8 << 30;
/// What is read.
const SUPPORTED: &str = "f4, f8, i4, i8, u1";

/// Reads a `.npy` file into a CPU tensor of the same shape and type.
pub fn read_npy(path: &Path) -> Result<Tensor> {
    let io = |source| ZooError::io(path, source);
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    decode(path, None, BufReader::new(file), size)
}

/// Reads the array `name` of a `.npz` archive into a CPU tensor of the same shape and type.
pub fn read_npz(path: &Path, name: &str) -> Result<Tensor> {
    let io = |source| ZooError::io(path, source);
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let broken =
        |error: zip::result::ZipError| ZooError::malformed(path, format!("is no sound zip: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let names = array_names(&archive);
    let wanted = [format!("{name}.npy"), name.to_owned()];
    let Some(index) = wanted.iter().find_map(|wanted| archive.index_for_name(wanted)) else {
        return Err(ZooError::Unknown {
            kind: "array",
            name: format!("{name}` in `{}", path.display()),
            meant: None,
            known: names,
        });
    };
    let entry = archive.by_index(index).map_err(broken)?;
    let at_most = entry.compressed_size().min(size).saturating_mul(LARGEST_RATIO).min(LARGEST_COMPRESSED);
    let at_most = if entry.compressed_size() == entry.size() { size } else { at_most };
    decode(path, Some(name), entry, at_most)
}

/// Reads an array at a place written `file.npy`, `file.npz:name`, or `file.npz` when that holds only one array.
pub fn read_at(place: &str) -> Result<Tensor> {
    let path = Path::new(place);
    if let Some((file, name)) = place.rsplit_once(".npz:") {
        return read_npz(Path::new(&format!("{file}.npz")), name);
    }
    if path.extension().is_none_or(|extension| extension != "npz") {
        return read_npy(path);
    }
    let names = npz_names(path)?;
    match names.as_slice() {
        [name] => read_npz(path, name),
        names => Err(ZooError::Invalid(format!(
            "{place} holds {} arrays ({}): say which, as in {place}:{}",
            names.len(),
            names.join(", "),
            names.first().map_or("name", String::as_str)
        ))),
    }
}

/// The names of the arrays in a `.npz` archive, in its order.
pub fn npz_names(path: &Path) -> Result<Vec<String>> {
    let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
    let archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| ZooError::malformed(path, format!("is no sound zip: {error}")))?;
    Ok(array_names(&archive))
}

/// Writes a tensor (f32, f64, i32, i64 or u8) as a `.npy` file, header version 1, in full or not at all.
pub fn write_npy(path: &Path, tensor: &Tensor) -> Result<()> {
    let (descr, values) = match tensor.f_kind()? {
        Kind::Float => ("<f4", bytes_of(tensor, f32::to_le_bytes)?),
        Kind::Double => ("<f8", bytes_of(tensor, f64::to_le_bytes)?),
        Kind::Int => ("<i4", bytes_of(tensor, i32::to_le_bytes)?),
        Kind::Int64 => ("<i8", bytes_of(tensor, i64::to_le_bytes)?),
        Kind::Uint8 => ("|u1", bytes_of(tensor, u8::to_le_bytes)?),
        kind => {
            return Err(ZooError::unsupported(path, format!("writing elements of type {kind:?}"), SUPPORTED));
        }
    };
    let io = |source| ZooError::io(path, source);
    write_file(path, |file| {
        file.write_all(&header(descr, &tensor.size())).map_err(io)?;
        file.write_all(&values).map_err(io)
    })
}

fn array_names<R: Read + std::io::Seek>(archive: &ZipArchive<R>) -> Vec<String> {
    archive.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned()).collect()
}

fn bytes_of<T: Element + Copy + Sync, const N: usize>(
    tensor: &Tensor,
    bytes: impl Fn(T) -> [u8; N],
) -> Result<Vec<u8>> {
    with_elements(tensor, |values: &[T]| values.iter().flat_map(|value| bytes(*value)).collect())
}

/// The head of a `.npy` file; the elements begin at a multiple of 64 bytes.
fn header(descr: &str, shape: &[i64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    // With up to 64 axes of at most 19 digits the text stays far below 65,536 bytes.
    [MAGIC, &[1, 0][..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// `at_most`: bytes that the source can give, header included.
fn decode(path: &Path, name: Option<&str>, mut reader: impl Read, at_most: u64) -> Result<Tensor> {
    let wrong = |message: String| {
        let array = name.map_or(String::new(), |name| format!("array `{name}`: "));
        ZooError::malformed(path, format!("{array}{message}"))
    };
    let broken = |error: std::io::Error| wrong(format!("ends or breaks early: {error}"));
    let mut head = [0; 8];
    reader.read_exact(&mut head).map_err(broken)?;
    let (magic, version) = head.split_at(6);
    if magic != MAGIC {
        return Err(wrong("does not begin as a .npy file does".into()));
    }
    let length = match version[0] {
        1 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(broken)?;
            u64::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(broken)?;
            u64::from(u32::from_le_bytes(length))
        }
        version => {
            return Err(ZooError::unsupported(path, format!(".npy version {version}"), "versions 1 to 3"));
        }
    };
    if length > LONGEST_HEADER {
        return Err(wrong(format!("claims a header of {length} bytes")));
    }
    let mut text = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut text).map_err(broken)?;
    if text.len() as u64 != length {
        return Err(wrong("ends within its header".into()));
    }
    let text = String::from_utf8(text).map_err(|_| wrong("has a header that is no text".into()))?;
    let header = Header::parse(&text).ok_or_else(|| wrong(format!("has the header `{}`", text.trim())))?;
    let Some((size, big_endian, kind)) = element_type(&header.descr) else {
        return Err(ZooError::unsupported(path, format!("element type `{}`", header.descr), SUPPORTED));
    };
    let needed = (header.shape.iter())
        .try_fold(size, |product, size| product.checked_mul(usize::try_from(*size).ok()?))
        .filter(|needed| *needed as u64 <= at_most);
    let Some(needed) = needed else {
        return Err(wrong(format!("claims the shape {:?}, more than it can hold", header.shape)));
    };
    let mut bytes = Vec::new();
    // One byte more than there should be shows what does not belong there; at the end a zip verifies its checksum.
    reader.take(needed as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() != needed {
        let held = if bytes.len() > needed { "more".to_owned() } else { bytes.len().to_string() };
        return Err(wrong(format!("needs {needed} bytes for the shape {:?} and holds {held}", header.shape)));
    }
    // The other order of axes in memory is that of the transposed array.
    let stored: Vec<i64> = if header.fortran_order {
        header.shape.iter().rev().copied().collect()
    } else {
        header.shape.clone()
    };
    let tensor = match kind {
        Kind::Float => elements(&stored, &bytes, big_endian, f32::from_le_bytes),
        Kind::Double => elements(&stored, &bytes, big_endian, f64::from_le_bytes),
        Kind::Int => elements(&stored, &bytes, big_endian, i32::from_le_bytes),
        Kind::Int64 => elements(&stored, &bytes, big_endian, i64::from_le_bytes),
        _ => elements(&stored, &bytes, big_endian, u8::from_le_bytes),
    }?;
    if !header.fortran_order {
        return Ok(tensor);
    }
    let axes: Vec<i64> = (0..stored.len() as i64).rev().collect();
    Ok(tensor.f_permute(axes)?.f_contiguous()?)
}

fn elements<T: Element, const N: usize>(
    shape: &[i64],
    bytes: &[u8],
    big_endian: bool,
    value: impl Fn([u8; N]) -> T,
) -> Result<Tensor> {
    filled(shape, |elements: &mut [T]| {
        for (element, bytes) in elements.iter_mut().zip(bytes.chunks_exact(N)) {
            let mut own = [0; N];
            own.copy_from_slice(bytes);
            if big_endian {
                own.reverse();
            }
            *element = value(own);
        }
        Ok(())
    })
}

/// Bytes per element, whether the most significant comes first, and the type.
fn element_type(descr: &str) -> Option<(usize, bool, Kind)> {
    let (order, code) = descr.split_at_checked(1)?;
    let (size, kind) = match code {
        "f4" => (4, Kind::Float),
        "f8" => (8, Kind::Double),
        "i4" => (4, Kind::Int),
        "i8" => (8, Kind::Int64),
        "u1" => (1, Kind::Uint8),
        _ => return None,
    };
    match order {
        "<" => Some((size, false, kind)),
        ">" => Some((size, true, kind)),
        "|" if size == 1 => Some((size, false, kind)),
        "=" => Some((size, cfg!(target_endian = "big"), kind)),
        _ => None,
    }
}

/// The Python dictionary at the head of the file.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<i64>,
}

impl Header {
    /// Nothing when `text` is not a dictionary of exactly the three entries.
    fn parse(text: &str) -> Option<Header> {
        let mut rest = text.trim().strip_prefix('{')?;
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                let header = Header { descr: descr?, fortran_order: fortran_order?, shape: shape? };
                return after.is_empty().then_some(header);
            }
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" if descr.is_none() => {
                    let (value, after) = quoted(rest)?;
                    descr = Some(value.to_owned());
                    after
                }
                "fortran_order" if fortran_order.is_none() => {
                    let (value, word) =
                        if rest.starts_with("True") { (true, "True") } else { (false, "False") };
                    fortran_order = Some(value);
                    rest.strip_prefix(word)?
                }
                "shape" if shape.is_none() => {
                    let (inside, after) = rest.strip_prefix('(')?.split_once(')')?;
                    let sizes = inside.trim().strip_suffix(',').unwrap_or(inside.trim());
                    // Python 2 wrote long integers with an `L`.
                    let size =
                        |size: &str| size.trim().trim_end_matches('L').parse().ok().filter(|size| *size >= 0);
                    let sizes: Option<Vec<i64>> = if sizes.trim().is_empty() {
                        Some(Vec::new())
                    } else {
                        sizes.split(',').map(size).collect()
                    };
                    shape = Some(sizes?);
                    after
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
}

/// A string in single or double quotes at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Cursor;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    fn file(bytes: &[u8], read: impl FnOnce(&Path) -> Result<Tensor>) -> Result<Tensor> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array.npz");
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn npy(bytes: &[u8]) -> Result<Tensor> {
        file(bytes, read_npy)
    }

    fn written(tensor: &Tensor) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array.npy");
        write_npy(&path, tensor).unwrap();
        fs::read(&path).unwrap()
    }

    fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn with_header(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let length =
            if version == 1 { (length as u16).to_le_bytes().to_vec() } else { length.to_le_bytes().to_vec() };
        [MAGIC, &[version, 0][..], &length, header.as_bytes(), elements].concat()
    }

    fn doubles(tensor: &Tensor) -> Vec<f64> {
        with_elements(&tensor.to_kind(Kind::Double), |values: &[f64]| values.to_vec()).unwrap()
    }

    #[test]
    fn every_type_order_and_version_is_read() {
        let shape = "'shape': (2, 3)";
        let number = |bytes: usize, big: bool| {
            (0..6u8).flat_map(move |value| {
                let mut element = vec![0; bytes];
                element[if big { bytes - 1 } else { 0 }] = value;
                element
            })
        };
        for (descr, bytes, big, kind) in [
            ("<i4", 4, false, Kind::Int),
            (">i4", 4, true, Kind::Int),
            ("<i8", 8, false, Kind::Int64),
            (">i8", 8, true, Kind::Int64),
            ("|u1", 1, false, Kind::Uint8),
        ] {
            for version in [1, 2, 3] {
                let elements: Vec<u8> = number(bytes, big).collect();
                let c = format!("{{'descr': '{descr}', 'fortran_order': False, {shape}, }}\n");
                let read = npy(&with_header(version, &c, &elements)).unwrap();
                assert_eq!(
                    (read.kind(), read.size(), doubles(&read)),
                    (kind, vec![2, 3], vec![0., 1., 2., 3., 4., 5.])
                );
                // Other order of keys, double quotes, long integers, no trailing comma.
                let f = format!("{{\"shape\": (2L, 3L), \"fortran_order\": True, \"descr\": \"{descr}\"}}");
                let read = npy(&with_header(version, &f, &elements)).unwrap();
                assert_eq!((read.size(), doubles(&read)), (vec![2, 3], vec![0., 2., 4., 1., 3., 5.]));
            }
        }
        let scalar =
            with_header(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &1.5f64.to_le_bytes());
        let read = npy(&scalar).unwrap();
        assert_eq!((read.size(), doubles(&read)), (vec![], vec![1.5]));
    }

    #[test]
    fn written_headers_are_numpys() {
        // The first 64 + 4 bytes that numpy 2.3 writes for np.array([1.5], dtype="<f4") have this form.
        let bytes = written(&Tensor::from_slice(&[1.5f32]));
        assert_eq!(bytes.len(), 128 + 4);
        assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }   "));
        assert_eq!((bytes[127], &bytes[128..]), (b'\n', 1.5f32.to_le_bytes().as_slice()));
    }

    #[test]
    fn arrays_are_found_in_archives() {
        let (x, y) = (Tensor::from_slice(&[1f32, 2.0]), Tensor::from_slice(&[7i64]));
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = archive(&[("x.npy", &written(&x)), ("grad/y:0.npy", &written(&y))], method);
            assert_eq!(file(&bytes, |path| read_npz(path, "x")).unwrap(), x);
            assert_eq!(file(&bytes, |path| read_npz(path, "grad/y:0")).unwrap(), y);
            let place = |path: &Path| path.to_str().unwrap().to_owned();
            assert_eq!(file(&bytes, |path| read_at(&format!("{}:grad/y:0", place(path)))).unwrap(), y);
            let ambiguous = file(&bytes, |path| read_at(&place(path))).unwrap_err().to_string();
            assert!(ambiguous.contains("2 arrays (x, grad/y:0)"), "{ambiguous}");
            let unknown = file(&bytes, |path| read_npz(path, "z")).unwrap_err();
            assert_eq!(unknown.hint().as_deref(), Some("known: x, grad/y:0"));
        }
    }

    #[test]
    fn damage_is_an_error() {
        let plain = written(&Tensor::from_slice(&[1f32, 2.0, 3.0]));
        let compressed = archive(&[("x.npy", &plain)], CompressionMethod::Deflated);
        let stored = archive(&[("x.npy", &plain)], CompressionMethod::Stored);
        for length in 0..plain.len() {
            assert!(npy(&plain[..length]).is_err(), "{length} bytes");
        }
        assert!(npy(&[plain.as_slice(), &[0]].concat()).is_err());
        for whole in [&compressed, &stored] {
            for length in 0..whole.len() {
                assert!(file(&whole[..length], |path| read_npz(path, "x")).is_err(), "{length} bytes");
            }
            for position in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[position] ^= 0x55;
                let _ = file(&bytes, |path| read_npz(path, "x"));
            }
        }
        // A changed element of a stored entry is caught by the archive's own checksum.
        let element = stored.windows(4).position(|bytes| bytes == 2f32.to_le_bytes()).unwrap();
        let mut bytes = stored.clone();
        bytes[element] ^= 1;
        assert!(file(&bytes, |path| read_npz(path, "x")).is_err());
    }

    #[test]
    fn claims_are_not_believed() {
        let claim = |descr: &str, shape: &str| {
            with_header(
                1,
                &format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}"),
                &[0; 16],
            )
        };
        for shape in
            ["1000000000000,", "9223372036854775807, 9223372036854775807", "-1,", "1e3,", "2, x", "0, 99"]
        {
            assert!(npy(&claim("<f4", shape)).is_err(), "{shape}");
            let zip = archive(&[("x.npy", &claim("<f4", shape))], CompressionMethod::Deflated);
            assert!(file(&zip, |path| read_npz(path, "x")).is_err(), "{shape}");
        }
        for descr in ["<f2", "|O", "<U4", "|b1", "<c8", "f4", "", "\u{e9}4"] {
            assert!(matches!(npy(&claim(descr, "4,")), Err(ZooError::Unsupported { .. })), "{descr}");
        }
        let bytes = with_header(2, "", &[]);
        let long = [&bytes[..8], &u32::MAX.to_le_bytes()].concat();
        assert!(npy(&long).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(shape in prop::collection::vec(0i64..5, 0..5), kind in 0usize..5) {
            let kind = [Kind::Float, Kind::Double, Kind::Int, Kind::Int64, Kind::Uint8][kind];
            let count: i64 = shape.iter().product();
            let tensor = (Tensor::arange(count, (Kind::Double, tch::Device::Cpu)) * 1.25).to_kind(kind).reshape(&shape);
            let read = npy(&written(&tensor)).unwrap();
            prop_assert_eq!((read.kind(), read.size(), doubles(&read)), (kind, shape, doubles(&tensor)));
        }

        #[test]
        fn any_header_gives_an_array_or_an_error(header in "[{}()'\",: a-zA-Z0-9<|L-]{0,60}") {
            let _ = npy(&with_header(1, &header, &[0; 8]));
            let _ = npy(&with_header(1, &format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {header}}}"), &[0; 8]));
        }
    }
}
