//! Labelled images as bytes, and the map from bytes to network inputs.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::tensor_memory::filled;
use crate::{Dataset, Result, ZooError};

/// Labelled images of one size, one byte per channel, as the public data sets hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Height, width, channels.
    pub shape: [usize; 3],
    /// All pixels, `[N, H, W, C]` in C order.
    pub pixels: Vec<u8>,
    /// One class per image.
    pub labels: Vec<u8>,
}

impl Images {
    /// Puts images together from what the file at `path` held.
    ///
    /// # Errors
    /// When the number of pixels is not that of as many images as there are labels.
    pub fn new(path: &Path, shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let size = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        if size.and_then(|size| size.checked_mul(labels.len())) != Some(pixels.len()) {
            return Err(ZooError::malformed(
                path,
                format!("{} bytes are not {} images of {shape:?}", pixels.len(), labels.len()),
            ));
        }
        Ok(Images { shape, pixels, labels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `index`, `[H, W, C]`.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let size = self.image_bytes();
        self.pixels.get(index.checked_mul(size)?..)?.get(..size)
    }

    /// Appends the images of `more`, read from `path`.
    pub fn append(&mut self, path: &Path, mut more: Images) -> Result<()> {
        if more.shape != self.shape {
            return Err(ZooError::malformed(
                path,
                format!("images of {:?} among images of {:?}", more.shape, self.shape),
            ));
        }
        self.pixels.append(&mut more.pixels);
        self.labels.append(&mut more.labels);
        Ok(())
    }

    /// The images at `indices`, in that order, as network inputs.
    pub fn dataset(
        &self,
        transform: &Transform,
        indices: impl IntoIterator<Item = usize>,
    ) -> Result<Dataset> {
        let indices: Vec<usize> = indices.into_iter().collect();
        if let Some(index) = indices.iter().find(|index| **index >= self.len()) {
            return Err(ZooError::Invalid(format!("there is no image {index} among {}", self.len())));
        }
        let [height, width, channels] = self.shape;
        let table = transform.table(channels)?;
        let size = self.image_bytes();
        let shape = [indices.len() as i64, height as i64, width as i64, channels as i64];
        let inputs = filled(&shape, |values: &mut [f32]| {
            values.par_chunks_exact_mut(size.max(1)).zip(&indices).for_each(|(values, index)| {
                let pixels = &self.pixels[index * size..][..size];
                for (values, pixels) in values.chunks_exact_mut(channels).zip(pixels.chunks_exact(channels)) {
                    for ((value, pixel), table) in values.iter_mut().zip(pixels).zip(&table) {
                        *value = table[usize::from(*pixel)];
                    }
                }
            });
            Ok(())
        })?;
        let labels: Vec<i64> = indices.iter().map(|index| i64::from(self.labels[*index])).collect();
        // Finite by the table, labels not negative by their type: nothing for `Dataset::new` to check.
        Ok(Dataset { inputs, labels: Tensor::f_from_slice(&labels)? })
    }

    fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Bytes to network inputs: `(byte · scale − mean) / std`, each of the three operations rounded to f32, so that the
/// result is the same bits on every machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Factor on the byte.
    pub scale: f64,
    /// Subtracted after scaling: one number for all channels, one per channel, or none for 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f64>,
    /// Divisor: one number for all channels, one per channel, or none for 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f64>,
}

impl Default for Transform {
    /// Bytes to [0, 1].
    fn default() -> Self {
        Transform { scale: 1.0 / 255.0, mean: Vec::new(), std: Vec::new() }
    }
}

impl Transform {
    /// For each channel, the input value of each byte.
    ///
    /// # Errors
    /// When `mean` or `std` has another number of channels, or a result is not finite.
    pub fn table(&self, channels: usize) -> Result<Vec<[f32; 256]>> {
        let per_channel = |what: &str, values: &[f64], absent: f64| match values {
            [] => Ok(vec![absent as f32; channels]),
            [value] => Ok(vec![*value as f32; channels]),
            values if values.len() == channels => Ok(values.iter().map(|value| *value as f32).collect()),
            values => Err(ZooError::Invalid(format!(
                "the transform has a {what} of {} channels, the images have {channels}",
                values.len()
            ))),
        };
        let scale = self.scale as f32;
        let mean = per_channel("mean", &self.mean, 0.0)?;
        let std = per_channel("std", &self.std, 1.0)?;
        let table: Vec<[f32; 256]> = (mean.iter().zip(&std))
            .map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 * scale - mean) / std))
            .collect();
        if table.iter().flatten().any(|value| !value.is_finite()) {
            return Err(ZooError::Invalid(format!(
                "the transform {self:?} gives values that are not finite"
            )));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_memory::with_elements;

    fn images() -> Images {
        Images::new(Path::new("made"), [1, 2, 2], vec![0, 255, 51, 102, 1, 2, 3, 4], vec![3, 1]).unwrap()
    }

    #[test]
    fn bytes_are_scaled_shifted_and_divided_in_f32() {
        let transform = Transform { scale: 1.0 / 255.0, mean: vec![0.5, 0.25], std: vec![0.5, 2.0] };
        let data = images().dataset(&transform, [1, 0, 1]).unwrap();
        assert_eq!(data.inputs.size(), [3, 1, 2, 2]);
        let expected: Vec<f32> = [1u8, 2, 3, 4, 0, 255, 51, 102, 1, 2, 3, 4]
            .iter()
            .enumerate()
            .map(|(index, byte)| {
                let (mean, std) = if index % 2 == 0 { (0.5f32, 0.5f32) } else { (0.25, 2.0) };
                let scaled = f32::from(*byte) * (1.0f64 / 255.0) as f32;
                (scaled - mean) / std
            })
            .collect();
        with_elements(&data.inputs, |values: &[f32]| assert_eq!(values, expected)).unwrap();
        with_elements(&data.labels, |labels: &[i64]| assert_eq!(labels, [1, 3, 1])).unwrap();
    }

    #[test]
    fn transforms_that_do_not_fit_are_refused() {
        let wrong = Transform { mean: vec![0.1; 3], ..Transform::default() };
        assert!(images().dataset(&wrong, [0]).is_err());
        let infinite = Transform { std: vec![0.0], ..Transform::default() };
        assert!(images().dataset(&infinite, [0]).is_err());
        assert!(images().dataset(&Transform::default(), [2]).is_err());
    }

    #[test]
    fn pixels_must_match_labels() {
        assert!(Images::new(Path::new("made"), [1, 2, 2], vec![0; 7], vec![0; 2]).is_err());
        assert!(Images::new(Path::new("made"), [usize::MAX, 2, 2], vec![0; 7], vec![0; 2]).is_err());
        assert!(Images::new(Path::new("made"), [usize::MAX, 2, 2], vec![], vec![]).is_err());
    }
}
