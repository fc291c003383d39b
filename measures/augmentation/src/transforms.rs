//! Changes of images `[b, H, W, channels]` that leave most of their meaning.

use pgdl_measure::MeasureError;
use pgdl_measure::rand::Rng;
use pgdl_measure::tch::{Kind, Tensor};

/// Left and right exchanged.
pub(crate) fn flip(images: &Tensor) -> Result<Tensor, MeasureError> {
    Ok(images.f_flip([2])?)
}

/// Every number raised by 0.5.
pub(crate) fn brighten(images: &Tensor) -> Result<Tensor, MeasureError> {
    Ok(images.f_add_scalar(0.5)?)
}

/// 0.2989 + 0.5870 + 0.1140.
const GREY: f64 = 0.9999;

/// The colours' distances from each pixel's largest channel times a factor per image. With `clipped` the saturation
/// stays at most 1, as for colours between 0 and 1: a pixel whose largest channel is not positive turns grey. Other
/// than three channels have no saturation and stay; clipped, one channel is multiplied by 0.9999, the sum of the weights
/// by which TensorFlow makes colours grey again.
pub(crate) fn saturate(images: &Tensor, factors: &[f64], clipped: bool) -> Result<Tensor, MeasureError> {
    match images.size().last() {
        Some(3) => {}
        Some(1) if clipped => return Ok(images.f_mul_scalar(GREY)?),
        _ => return Ok(images.shallow_clone()),
    }
    let factors = Tensor::f_from_slice(factors)?.f_to_kind(images.kind())?.f_to_device(images.device())?;
    let factors = factors.f_reshape([-1, 1, 1, 1])?;
    let largest = images.f_amax([-1], true)?;
    let factors = if clipped {
        let range = largest.f_sub(&images.f_amin([-1], true)?)?;
        let most = largest.f_clamp_min(0.0)?.f_div(&range)?.f_nan_to_num(0.0, f64::MAX, 0.0)?;
        factors.f_minimum(&most)?
    } else {
        factors
    };
    Ok(largest.f_sub(&largest.f_sub(images)?.f_mul(&factors)?)?)
}

/// The central nine tenths, stretched bilinearly to the full size.
pub(crate) fn crop(images: &Tensor) -> Result<Tensor, MeasureError> {
    let (height, width) = (images.size()[1], images.size()[2]);
    let margin = |size: i64| ((size as f64 - size as f64 * 0.9) / 2.0) as i64;
    let (top, left) = (margin(height), margin(width));
    let part = images.f_narrow(1, top, height - 2 * top)?.f_narrow(2, left, width - 2 * left)?;
    let stretched =
        part.f_permute([0, 3, 1, 2])?.f_upsample_bilinear2d([height, width], false, None, None)?;
    Ok(stretched.f_permute([0, 2, 3, 1])?)
}

/// The horizontal Sobel derivative of each channel, a quarter of it plus 0.5; the image is mirrored at its border.
pub(crate) fn edges(images: &Tensor) -> Result<Tensor, MeasureError> {
    let (height, width) = (images.size()[1], images.size()[2]);
    let padded = images.f_permute([0, 3, 1, 2])?.f_reflection_pad2d([1, 1, 1, 1])?;
    let across = padded.f_narrow(3, 2, width)?.f_sub(&padded.f_narrow(3, 0, width)?)?;
    let (above, here, below) =
        (across.f_narrow(2, 0, height)?, across.f_narrow(2, 1, height)?, across.f_narrow(2, 2, height)?);
    let sum = above.f_add(&here.f_mul_scalar(2.0)?)?.f_add(&below)?;
    Ok(sum.f_mul_scalar(0.25)?.f_add_scalar(0.5)?.f_permute([0, 2, 3, 1])?)
}

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rectangle {
    pub top: i64,
    pub left: i64,
    pub height: i64,
    pub width: i64,
}

impl Rectangle {
    /// A random one with sides from √(0.006 · area) to √(4/3 · area), and less than the image's; `None` where the
    /// image is too small for any.
    pub(crate) fn random(random: &mut impl Rng, height: i64, width: i64) -> Option<Self> {
        let area = (height * width) as f64;
        let least = (0.02 * area * 0.3).sqrt().round() as i64;
        let most = (0.4 * area / 0.3).sqrt().round() as i64;
        let mut side =
            |size: i64| (least < most.min(size)).then(|| random.random_range(least..most.min(size)));
        let (rectangle_height, rectangle_width) = (side(height)?, side(width)?);
        Some(Self {
            top: random.random_range(0..height - rectangle_height),
            left: random.random_range(0..width - rectangle_width),
            height: rectangle_height,
            width: rectangle_width,
        })
    }
}

/// A rectangle of each image set to 0.
pub(crate) fn erase(images: &Tensor, rectangles: &[Rectangle]) -> Result<Tensor, MeasureError> {
    let device = images.device();
    let inside = |axis: usize, start: fn(&Rectangle) -> i64, length: fn(&Rectangle) -> i64| {
        let mut shape = [1, 1, 1, 1];
        shape[axis] = -1;
        let at = Tensor::f_arange(images.size()[axis], (Kind::Int64, device))?.f_reshape(shape)?;
        let starts: Vec<i64> = rectangles.iter().map(start).collect();
        let ends: Vec<i64> = rectangles.iter().map(|one| start(one) + length(one)).collect();
        let of_image =
            |ends: &[i64]| Tensor::f_from_slice(ends)?.f_to_device(device)?.f_reshape([-1, 1, 1, 1]);
        at.f_ge_tensor(&of_image(&starts)?)?.f_logical_and(&at.f_lt_tensor(&of_image(&ends)?)?)
    };
    let rows = inside(1, |one| one.top, |one| one.height)?;
    let columns = inside(2, |one| one.left, |one| one.width)?;
    Ok(images.f_masked_fill(&rows.f_logical_and(&columns)?, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(one: &Tensor, other: &Tensor) -> f64 {
        (one - other).abs().max().double_value(&[])
    }

    /// In [0, 1], as TensorFlow's image functions expect.
    fn image() -> Tensor {
        let values: Vec<f64> = (0..4 * 5 * 3).map(|k| 0.5 + 0.5 * (0.7 * f64::from(k * k)).sin()).collect();
        Tensor::from_slice(&values).reshape([1, 4, 5, 3])
    }

    fn golden(values: &[f64]) -> Tensor {
        Tensor::from_slice(values)
    }

    /// Python's `colorsys` on the first pixels: to HSV, saturation · factor and at most 1, and back.
    #[test]
    fn saturation_is_that_of_hsv() {
        let pixels = image().reshape([-1]).narrow(0, 0, 6);
        for (factor, expected) in SATURATED {
            let found = saturate(&image(), &[factor], true).unwrap().reshape([-1]).narrow(0, 0, 6);
            assert!(difference(&found, &golden(&expected)) < 1e-12, "{factor}");
        }
        assert!(
            difference(&saturate(&image(), &[1.0], true).unwrap().reshape([-1]).narrow(0, 0, 6), &pixels)
                < 1e-15
        );
        let grey = image().narrow(3, 0, 1);
        assert_eq!(difference(&saturate(&grey, &[1.5], false).unwrap(), &grey), 0.0);
        assert_eq!(difference(&saturate(&grey, &[1.5], true).unwrap(), &(&grey * 0.9999)), 0.0);
    }

    /// `scipy.ndimage.sobel(axis=1, mode="mirror")` of the first channel, a quarter plus 0.5.
    #[test]
    fn edges_are_sobels() {
        let found = edges(&image()).unwrap().select(3, 0).reshape([-1]);
        assert!(difference(&found, &golden(&EDGES)) < 1e-12);
    }

    /// Nine tenths of 20 rows leave one row at each border; an affine image is stretched exactly inside.
    #[test]
    fn a_crop_is_stretched_about_the_centre() {
        let rows = Tensor::arange(20, (Kind::Double, pgdl_measure::tch::Device::Cpu));
        let image = rows.reshape([1, 20, 1, 1]).expand([1, 20, 20, 1], false).contiguous();
        let found = crop(&image).unwrap().select(3, 0).select(2, 7).reshape([-1]);
        let expected = (rows - 9.5) * 0.9 + 9.5;
        assert!(difference(&found.narrow(0, 1, 18), &expected.narrow(0, 1, 18)) < 1e-12);
    }

    #[test]
    fn a_rectangle_is_erased_and_nothing_else() {
        let rectangles = [
            Rectangle { top: 1, left: 2, height: 2, width: 3 },
            Rectangle { top: 0, left: 1, height: 4, width: 1 },
        ];
        let images = image().repeat([2, 1, 1, 1]) + 1.0;
        let found = erase(&images, &rectangles).unwrap();
        for (at, rectangle) in rectangles.iter().enumerate() {
            let found = found.get(at as i64);
            let Rectangle { top, left, height, width } = *rectangle;
            assert_eq!(found.eq(0.0).sum(Kind::Int64).int64_value(&[]), height * width * 3);
            let part = found.narrow(0, top, height).narrow(1, left, width);
            assert_eq!(part.abs().max().double_value(&[]), 0.0);
        }
        let kept = found.ne(0.0).to_kind(Kind::Double);
        assert_eq!(difference(&(&images * kept), &found), 0.0);
    }

    const SATURATED: [(f64, [f64; 6]); 2] = [
        (
            0.6,
            [
                0.6288435374475382,
                0.8221088436188455,
                0.7293399824943099,
                0.5084069502421749,
                0.20960946135147474,
                0.21067497845642266,
            ],
        ),
        (
            1.6,
            [
                0.3067346938286927,
                0.8221088436188455,
                0.5747252139534169,
                0.5084069502421749,
                0.0,
                0.001812988133764467,
            ],
        ),
    ];

    const EDGES: [f64; 20] = [
        0.5,
        0.5982316819935264,
        0.6112602123448536,
        0.610764470353949,
        0.5,
        0.5,
        0.5480445248342076,
        0.5196508540378657,
        0.4843064436495723,
        0.5,
        0.5,
        0.4083128087067731,
        0.4112212106007439,
        0.4245071099819302,
        0.5,
        0.5,
        0.31876824973865725,
        0.39440092547061,
        0.49116580301866486,
        0.5,
    ];
}
