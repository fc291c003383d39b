//! The idx files of the MNIST family, plain or gzip-compressed.
//!
//! Two zero bytes, the element type, the number of axes, each axis as a big-endian u32, then the elements.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::Images;
use crate::{Result, ZooError};

/// The code of unsigned bytes, the only element type of the data sets we read.
const UNSIGNED_BYTE: u8 = 8;
/// Deflate cannot compress better than this.
const LARGEST_RATIO: u64 = 1032;

/// An array of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Its axes.
    pub shape: Vec<usize>,
    /// Its elements in C order.
    pub values: Vec<u8>,
}

/// Reads an idx file of unsigned bytes; a gzip-compressed one is recognized by its first bytes.
pub fn read(path: &Path) -> Result<IdxArray> {
    let io = |source| ZooError::io(path, source);
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let reader = BufReader::new(file);
    if magic == [0x1f, 0x8b] {
        decode(path, MultiGzDecoder::new(reader), size.saturating_mul(LARGEST_RATIO))
    } else {
        decode(path, reader, size)
    }
}

/// Reads images `[N, H, W]` (or `[N, H, W, C]`) and their labels `[N]`.
pub fn read_images(images: &Path, labels: &Path) -> Result<Images> {
    let (pixels, classes) = (read(images)?, read(labels)?);
    let shape = match *pixels.shape.as_slice() {
        [_, height, width] => [height, width, 1],
        [_, height, width, channels] => [height, width, channels],
        _ => return Err(ZooError::malformed(images, format!("axes {:?} are not images", pixels.shape))),
    };
    if classes.shape.len() != 1 {
        return Err(ZooError::malformed(labels, format!("axes {:?} are not labels", classes.shape)));
    }
    if pixels.shape[0] != classes.shape[0] {
        return Err(ZooError::malformed(
            labels,
            format!("{} labels for {} images of {}", classes.shape[0], pixels.shape[0], images.display()),
        ));
    }
    Images::new(images, shape, pixels.values, classes.values)
}

/// Writes an idx file, uncompressed.
///
/// # Errors
/// When the values do not fill the shape, or an axis does not fit in 32 bits.
pub fn write(path: &Path, array: &IdxArray) -> Result<()> {
    let axes = u8::try_from(array.shape.len());
    let sizes: Option<Vec<u32>> = array.shape.iter().map(|size| u32::try_from(*size).ok()).collect();
    let (Ok(axes), Some(sizes), true) =
        (axes, sizes, element_count(&array.shape) == Some(array.values.len()))
    else {
        return Err(ZooError::Invalid(format!(
            "{} values with the axes {:?} are no idx array",
            array.values.len(),
            array.shape
        )));
    };
    let mut bytes = vec![0, 0, UNSIGNED_BYTE, axes];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    let io = |source| ZooError::io(path, source);
    let mut file = File::create(path).map_err(io)?;
    file.write_all(&bytes).and_then(|()| file.write_all(&array.values)).map_err(io)
}

/// `at_most`: bytes that the file can hold, header included.
fn decode(path: &Path, mut reader: impl Read, at_most: u64) -> Result<IdxArray> {
    let broken = |error: std::io::Error| ZooError::malformed(path, format!("ends or breaks early: {error}"));
    let mut head = [0; 4];
    reader.read_exact(&mut head).map_err(broken)?;
    let [0, 0, kind, axes] = head else {
        return Err(ZooError::malformed(path, format!("begins with {head:02x?}, which is not idx")));
    };
    if kind != UNSIGNED_BYTE {
        return Err(ZooError::unsupported(
            path,
            format!("idx element type {kind:#04x}"),
            "unsigned bytes (0x08)",
        ));
    }
    let mut shape = Vec::with_capacity(usize::from(axes));
    for _ in 0..axes {
        let mut size = [0; 4];
        reader.read_exact(&mut size).map_err(broken)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let count = element_count(&shape).filter(|count| *count as u64 <= at_most);
    let Some(count) = count else {
        return Err(ZooError::malformed(path, format!("claims the axes {shape:?}, more than it can hold")));
    };
    let mut values = Vec::new();
    // One byte more than there should be shows what does not belong there.
    reader.take(count as u64 + 1).read_to_end(&mut values).map_err(broken)?;
    if values.len() != count {
        let held = if values.len() > count { "more".to_owned() } else { values.len().to_string() };
        return Err(ZooError::malformed(
            path,
            format!("claims the axes {shape:?}, {count} bytes, and holds {held}"),
        ));
    }
    Ok(IdxArray { shape, values })
}

fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    fn array() -> IdxArray {
        IdxArray { shape: vec![3, 2, 2], values: (0..12).collect() }
    }

    fn bytes_of(array: &IdxArray) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array");
        write(&path, array).unwrap();
        std::fs::read(&path).unwrap()
    }

    fn from_bytes(bytes: &[u8]) -> Result<IdxArray> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("array");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn layout_is_the_published_one() {
        let bytes = bytes_of(&array());
        assert_eq!(bytes[..16], [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2]);
        assert_eq!(bytes[16..], array().values);
    }

    #[test]
    fn compressed_files_are_recognized() {
        assert_eq!(from_bytes(&gzip(&bytes_of(&array()))).unwrap(), array());
    }

    #[test]
    fn every_truncation_and_extension_is_an_error() {
        let plain = bytes_of(&array());
        let compressed = gzip(&plain);
        for whole in [&plain, &compressed] {
            for length in 0..whole.len() {
                assert!(from_bytes(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
            }
        }
        assert!(from_bytes(&[plain.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn claims_are_not_believed() {
        let huge = [&[0u8, 0, 8, 4][..], &[0xff; 16], &[1, 2, 3]].concat();
        assert!(from_bytes(&huge).is_err());
        assert!(from_bytes(&gzip(&huge)).is_err());
        let large = [&[0u8, 0, 8, 1][..], &[0x7f, 0xff, 0xff, 0xff], &[1, 2, 3]].concat();
        assert!(from_bytes(&large).is_err());
        let floats = [&[0u8, 0, 0x0d, 1][..], &[0, 0, 0, 1], &[0; 4]].concat();
        assert!(matches!(from_bytes(&floats), Err(ZooError::Unsupported { .. })));
    }

    #[test]
    fn images_and_labels_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
        write(&images, &array()).unwrap();
        write(&labels, &IdxArray { shape: vec![3], values: vec![7, 0, 2] }).unwrap();
        let read = read_images(&images, &labels).unwrap();
        assert_eq!((read.shape, read.labels.as_slice()), ([2, 2, 1], [7u8, 0, 2].as_slice()));
        assert_eq!(read.image(1), Some([4u8, 5, 6, 7].as_slice()));
        write(&labels, &IdxArray { shape: vec![2], values: vec![7, 0] }).unwrap();
        assert!(read_images(&images, &labels).is_err());
        assert!(read_images(&labels, &images).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(shape in prop::collection::vec(0usize..5, 1..4), seed in any::<u8>()) {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|index| (index as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let array = IdxArray { shape, values };
            prop_assert_eq!(from_bytes(&bytes_of(&array)).unwrap(), array);
        }

        #[test]
        fn any_bytes_give_an_array_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64), idx in any::<bool>()) {
            let bytes = if idx { [&[0u8, 0, 8][..], &bytes].concat() } else { bytes };
            if let Ok(array) = from_bytes(&bytes) {
                prop_assert_eq!(bytes_of(&array), bytes);
            }
        }
    }
}
