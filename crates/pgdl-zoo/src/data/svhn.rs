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
        return Err(ZooError::malformed(path, format!("X has the axes {:?}, not [32, 32, 3, N]", pixels.shape)));
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
