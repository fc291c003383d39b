//! Small random changes of images that leave their class as it is.

use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};

/// What happens to one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// Whether left and right are exchanged: half of the time.
    pub flip: bool,
    /// Factor of the contrast about each channel's mean: uniform in [0.7, 1].
    pub contrast: f64,
    /// Side of the central cutout that is stretched to the whole image: 1 half of the time, else 0.85, 0.86, … or
    /// 0.99.
    pub cutout: f64,
}

impl Change {
    /// A random one.
    pub(crate) fn random(generator: &mut Generator) -> Self {
        let flip = generator.random::<bool>();
        let contrast = generator.random_range(0.7..1.0);
        let cutout =
            if generator.random::<bool>() { 1.0 } else { f64::from(generator.random_range(85..100)) / 100.0 };
        Self { flip, contrast, cutout }
    }
}

/// Applies a change to each image of a batch `[b, H, W, C]`. The cutout is stretched bilinearly, corner to corner.
pub(crate) fn change_images(images: &Tensor, changes: &[Change]) -> Result<Tensor, MeasureError> {
    let (kind, device) = (images.kind(), images.device());
    let count = changes.len() as i64;
    let placed = |values: &[f64], shape: &[i64]| -> Result<Tensor, MeasureError> {
        Ok(Tensor::f_from_slice(values)?.f_to_kind(kind)?.f_to_device(device)?.f_reshape(shape)?)
    };
    let contrasts: Vec<f64> = changes.iter().map(|change| change.contrast).collect();
    let means = images.f_mean_dim([1i64, 2].as_slice(), true, None)?;
    let images = images.f_sub(&means)?.f_mul(&placed(&contrasts, &[count, 1, 1, 1])?)?.f_add(&means)?;

    let maps: Vec<f64> = changes
        .iter()
        .flat_map(|change| {
            let across = if change.flip { -change.cutout } else { change.cutout };
            [across, 0.0, 0.0, 0.0, change.cutout, 0.0]
        })
        .collect();
    let images = images.f_permute([0, 3, 1, 2])?;
    let grid = Tensor::f_affine_grid_generator(&placed(&maps, &[count, 2, 3])?, images.size(), true)?;
    // Bilinear; beyond the border (by rounding only) the border itself.
    let changed = images.f_grid_sampler(&grid, 0, 1, true)?;
    Ok(changed.f_permute([0, 2, 3, 1])?.f_contiguous()?)
}

/// Augmentations need images.
pub(crate) fn check_images(inputs: &Tensor) -> Result<(), MeasureError> {
    match inputs.size()[..] {
        [_, _, _, _] if inputs.kind() != Kind::Int64 => Ok(()),
        ref shape => MeasureError::undefined(format!(
            "flips, cutouts and contrast are changes of images [n, height, width, channels], but the inputs are {shape:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, change_images};
    use pgdl_measure::tch::{Kind, Tensor};

    fn images() -> Tensor {
        let values: Vec<f64> = (0..2 * 5 * 4 * 3).map(|k| (0.37 * f64::from(k)).sin()).collect();
        Tensor::from_slice(&values).reshape([2, 5, 4, 3])
    }

    fn difference(one: &Tensor, other: &Tensor) -> f64 {
        (one - other).abs().max().double_value(&[])
    }

    const NONE: Change = Change { flip: false, contrast: 1.0, cutout: 1.0 };

    #[test]
    fn nothing_and_flips_are_exact() {
        let flip = Change { flip: true, ..NONE };
        let found = change_images(&images(), &[NONE, flip]).unwrap();
        let expected = Tensor::cat(&[images().narrow(0, 0, 1), images().narrow(0, 1, 1).flip([2])], 0);
        assert!(difference(&found, &expected) < 1e-14);
    }

    #[test]
    fn contrast_keeps_each_channels_mean() {
        let found = change_images(&images(), &[Change { contrast: 0.7, ..NONE }; 2]).unwrap();
        let mean = images().mean_dim([1i64, 2].as_slice(), true, Kind::Double);
        assert!(difference(&found, &(&mean + (images() - &mean) * 0.7)) < 1e-14);
    }

    /// Along an affine image the interpolation is exact: the corners of the cutout move to the corners.
    #[test]
    fn a_cutout_is_stretched_corner_to_corner() {
        let rows = Tensor::arange(5, (Kind::Double, pgdl_measure::tch::Device::Cpu)).reshape([1, 5, 1, 1]);
        let image = rows.expand([1, 5, 5, 1], false).contiguous();
        let found = change_images(&image, &[Change { cutout: 0.9, ..NONE }]).unwrap();
        let expected = (rows - 2.0) * 0.9 + 2.0;
        assert!(difference(&found, &expected.expand([1, 5, 5, 1], false)) < 1e-14);
    }
}
