//! SVHN's MATLAB files (`train_32x32.mat`): `X` uint8 `[32, 32, 3, N]`, `y` `[N, 1]` with the digit 0 as label 10.

use std::path::Path;

use super::Images;
use super::matlab::{self, Matrix};
use crate::{Result, ZooError};

/// Reads the images; label 10 becomes 0.
pub fn read(path: &Path) -> Result<Images> {
    let mut matrices = matlab::read(path, &["X", "y"])?;
    let mut take = |name: &str| {
        matrices
            .iter()
            .position(|matrix| matrix.name == name)
            .map(|index| matrices.swap_remove(index))
            .ok_or_else(|| ZooError::malformed(path, format!("holds no matrix `{name}`")))
    };
    let (pixels, labels) = (take("X")?, take("y")?);
    let labels = digits(path, &labels)?;
    let &[height, width, channels, count] = pixels.shape.as_slice() else {
        return Err(ZooError::malformed(
            path,
            format!("X has the axes {:?}, not [32, 32, 3, N]", pixels.shape),
        ));
    };
    if count != labels.len() {
        return Err(ZooError::malformed(path, format!("{} labels for {count} images", labels.len())));
    }
    let Some(bytes) = pixels.values.bytes() else {
        return Err(ZooError::malformed(path, "X does not hold unsigned bytes"));
    };
    let size = height * width * channels;
    let mut image_bytes = vec![0; bytes.len()];
    for (image, source) in image_bytes.chunks_exact_mut(size.max(1)).zip(bytes.chunks_exact(size.max(1))) {
        // MATLAB's first axis runs fastest.
        for (index, byte) in source.iter().enumerate() {
            let (row, column, channel) = (index % height, index / height % width, index / (height * width));
            image[(row * width + column) * channels + channel] = *byte;
        }
    }
    Images::new(path, [height, width, channels], image_bytes, labels)
}

fn digits(path: &Path, labels: &Matrix) -> Result<Vec<u8>> {
    labels
        .values
        .numbers()
        .enumerate()
        .map(|(index, label)| match label {
            10.0 => Ok(0),
            label if (0.0..10.0).contains(&label) && label.fract() == 0.0 => Ok(label as u8),
            label => Err(ZooError::malformed(path, format!("image {index} has the label {label}"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    // Made with SciPy by tests/data/make_svhn.py.
    const COMPRESSED: &[u8] = include_bytes!("../../tests/data/svhn_compressed.mat");
    const PLAIN: &[u8] = include_bytes!("../../tests/data/svhn_plain.mat");

    fn from_bytes(bytes: &[u8]) -> Result<Images> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.mat");
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn images_and_labels_are_what_scipy_wrote() {
        for bytes in [COMPRESSED, PLAIN] {
            let images = from_bytes(bytes).unwrap();
            assert_eq!((images.shape, images.labels.as_slice()), ([3, 4, 3], [0u8, 1, 9, 0, 3].as_slice()));
            for (index, pixel) in images.pixels.iter().enumerate() {
                let (channel, column, row, image) = (index % 3, index / 3 % 4, index / 12 % 3, index / 36);
                assert_eq!(usize::from(*pixel), (60 * row + 13 * column + 5 * channel + 29 * image) % 256);
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for bytes in [COMPRESSED, PLAIN] {
            for length in 0..bytes.len() {
                assert!(from_bytes(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn every_changed_byte_is_an_error_or_images() {
        for bytes in [COMPRESSED, PLAIN] {
            for position in 0..bytes.len() {
                for change in [0x01, 0xff] {
                    let mut bytes = bytes.to_vec();
                    bytes[position] ^= change;
                    if let Ok(images) = from_bytes(&bytes) {
                        assert_eq!(
                            images.pixels.len(),
                            images.len() * images.shape.iter().product::<usize>()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        let with_head = |head: [u8; 4]| {
            let mut bytes = PLAIN.to_vec();
            bytes[124..128].copy_from_slice(&head);
            from_bytes(&bytes).unwrap_err().to_string()
        };
        assert!(with_head([0, 2, b'I', b'M']).contains("7.3"));
        assert!(with_head([1, 0, b'M', b'I']).contains("big-endian"));
        assert!(with_head([0, 0, 0, 0]).contains("level 5"));
    }
}
