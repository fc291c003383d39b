//! CIFAR-10's binary files: records of one label byte and 3,072 pixel bytes, channel by channel.

use std::fs;
use std::path::Path;

use super::Images;
use crate::{Result, ZooError};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + CHANNELS * PLANE;

/// Reads one `.bin` file, of any number of records.
pub fn read(path: &Path) -> Result<Images> {
    let bytes = fs::read(path).map_err(|source| ZooError::io(path, source))?;
    decode(path, &bytes)
}

/// Reads several `.bin` files one after the other.
pub fn read_all<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Images> {
    let mut all = Images { shape: [SIDE, SIDE, CHANNELS], pixels: Vec::new(), labels: Vec::new() };
    for path in paths {
        all.append(path.as_ref(), read(path.as_ref())?)?;
    }
    Ok(all)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Images> {
    let records = bytes.chunks_exact(RECORD);
    if !records.remainder().is_empty() || bytes.is_empty() {
        return Err(ZooError::malformed(
            path,
            format!("{} bytes are not a whole number of records of {RECORD} bytes", bytes.len()),
        ));
    }
    let mut pixels = vec![0; bytes.len() / RECORD * CHANNELS * PLANE];
    let mut labels = Vec::with_capacity(bytes.len() / RECORD);
    for (index, (record, image)) in records.zip(pixels.chunks_exact_mut(CHANNELS * PLANE)).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if label > 9 {
            return Err(ZooError::malformed(path, format!("record {index} has the label {label}")));
        }
        labels.push(label);
        for (position, pixel) in image.chunks_exact_mut(CHANNELS).enumerate() {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = planes[channel * PLANE + position];
            }
        }
    }
    Images::new(path, [SIDE, SIDE, CHANNELS], pixels, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let mut bytes = vec![0; 2 * RECORD];
        bytes[0] = 7;
        bytes[RECORD] = 9;
        // Record 1, row 2, column 5: red 10, green 20, blue 30.
        for channel in 0..CHANNELS {
            bytes[RECORD + 1 + channel * PLANE + 2 * SIDE + 5] = 10 * (channel as u8 + 1);
        }
        let images = decode(Path::new("made.bin"), &bytes).unwrap();
        assert_eq!((images.shape, images.labels.as_slice()), ([32, 32, 3], [7u8, 9].as_slice()));
        let image = images.image(1).unwrap();
        assert_eq!(image[(2 * SIDE + 5) * 3..][..3], [10, 20, 30]);
        assert_eq!(images.pixels.iter().filter(|byte| **byte != 0).count(), 3);
    }

    #[test]
    fn broken_files_are_errors() {
        let path = Path::new("made.bin");
        for length in [0, 1, RECORD - 1, RECORD + 1] {
            assert!(decode(path, &vec![0; length]).is_err(), "{length} bytes");
        }
        let mut bytes = vec![0; RECORD];
        bytes[0] = 10;
        assert!(decode(path, &bytes).is_err());
    }
}
