//! Training batches, with or without augmentation.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use tch::{Device, Tensor};

use crate::error::Result;
use crate::recipe::Augmentation;
use crate::train::Sample;

/// Zeros around an image that it may be moved by, in pixels.
const MARGIN: i64 = 4;

/// The batches of a sample.
pub(crate) struct Batches<'a> {
    sample: &'a Sample,
    /// `[n, H + 8, W + 8, C]`: the inputs with zeros around them, where images are augmented.
    padded: Option<Tensor>,
    generator: ChaCha20Rng,
}

impl<'a> Batches<'a> {
    /// Batches of a sample of images `[n, H, W, C]` (of any inputs, without augmentation).
    pub(crate) fn new(
        augmentation: Augmentation,
        sample: &'a Sample,
        generator: ChaCha20Rng,
    ) -> Result<Self> {
        let padded = match augmentation {
            Augmentation::None => None,
            Augmentation::Standard => {
                let margins = [0, 0, MARGIN, MARGIN, MARGIN, MARGIN];
                Some(sample.inputs.f_constant_pad_nd(margins)?)
            }
        };
        Ok(Self { sample, padded, generator })
    }

    /// The samples at `positions`: inputs `[b, …]` and labels `[b]`.
    pub(crate) fn take(&mut self, positions: &[i64]) -> Result<(Tensor, Tensor)> {
        let device = self.sample.inputs.device();
        let index = Tensor::f_from_slice(positions)?.f_to_device(device)?;
        let labels = self.sample.labels.f_index_select(0, &index)?;
        let inputs = match &self.padded {
            None => self.sample.inputs.f_index_select(0, &index)?,
            Some(padded) => {
                let [height, width] = [self.sample.inputs.size()[1], self.sample.inputs.size()[2]];
                let (rows, columns) = views(positions.len(), height, width, &mut self.generator);
                let index = index.f_reshape([-1, 1, 1])?;
                let rows = on(device, &rows)?.f_reshape([-1, height, 1])?;
                let columns = on(device, &columns)?.f_reshape([-1, 1, width])?;
                padded.f_index(&[Some(index), Some(rows), Some(columns)])?
            }
        };
        Ok((inputs, labels))
    }
}

fn on(device: Device, positions: &[i64]) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(positions)?.f_to_device(device)?)
}

/// Rows `[count · height]` and columns `[count · width]` of the padded images that are seen: windows at independent uniform
/// offsets, half of them mirrored.
fn views(count: usize, height: i64, width: i64, generator: &mut ChaCha20Rng) -> (Vec<i64>, Vec<i64>) {
    let offsets = 2 * MARGIN as u64 + 1;
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let [down, right] = [(); 2].map(|()| crate::train::below(offsets, generator) as i64);
        let mirrored = generator.next_u32() & 1 == 1;
        rows.extend((0..height).map(|row| row + down));
        columns.extend((0..width).map(|column| right + if mirrored { width - 1 - column } else { column }));
    }
    (rows, columns)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rand_chacha::rand_core::SeedableRng;
    use tch::Kind;

    use super::*;

    fn sample(inputs: Tensor) -> Sample {
        let len = inputs.size()[0] as usize;
        let labels = Tensor::arange(len as i64, (Kind::Int64, Device::Cpu));
        Sample { inputs, labels, kind: Kind::Float, len }
    }

    #[test]
    fn without_augmentation_inputs_are_as_they_are() {
        let sample = sample(Tensor::randn([5, 3, 2, 1], (Kind::Float, Device::Cpu)));
        let mut batches = Batches::new(Augmentation::None, &sample, ChaCha20Rng::seed_from_u64(1)).unwrap();
        let (inputs, labels) = batches.take(&[3, 0, 3]).unwrap();
        assert_eq!(Vec::<i64>::try_from(&labels).unwrap(), [3, 0, 3]);
        for (row, position) in [3, 0, 3].into_iter().enumerate() {
            assert!(inputs.get(row as i64).equal(&sample.inputs.get(position)));
        }
    }

    /// Each of the 9 · 9 · 2 views, made by slicing and flipping a padded image, appears about equally often, and no other.
    #[test]
    fn standard_augmentation_draws_all_windows_and_their_mirror_images_equally() {
        // Sides of more than 8 pixels, so that every window holds enough of the image to differ from all others.
        let image = Tensor::arange(10 * 11 * 2, (Kind::Float, Device::Cpu)).reshape([1, 10, 11, 2]) + 1.0;
        let padded = image.constant_pad_nd([0, 0, 4, 4, 4, 4]);
        let key = |view: &Tensor| {
            let values = Vec::<f32>::try_from(view.reshape([-1])).unwrap();
            values.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let mut expected = BTreeSet::new();
        for down in 0..9 {
            for right in 0..9 {
                let window = padded.narrow(1, down, 10).narrow(2, right, 11);
                expected.extend([key(&window.flip([2])), key(&window)]);
            }
        }
        assert_eq!(expected.len(), 162);
        let sample = sample(image);
        let mut batches =
            Batches::new(Augmentation::Standard, &sample, ChaCha20Rng::seed_from_u64(2)).unwrap();
        let (views, labels) = batches.take(&[0; 16_200]).unwrap();
        assert_eq!((views.size(), labels.size()), (vec![16_200, 10, 11, 2], vec![16_200]));
        let mut found: BTreeMap<Vec<u32>, i32> = BTreeMap::new();
        for row in 0..16_200 {
            *found.entry(key(&views.get(row))).or_insert(0) += 1;
        }
        assert!(found.keys().eq(expected.iter()));
        // 100 expected of each, standard deviation 10.
        assert!(found.values().all(|count| (50..150).contains(count)), "{:?}", found.values());
    }
}
