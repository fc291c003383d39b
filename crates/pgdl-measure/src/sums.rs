//! Sums over tensors in f64, without an f64 copy of the whole tensor.

use tch::{Kind, Tensor};

use crate::error::MeasureError;

/// Elements converted to f64 at a time: 16 MiB.
const BLOCK: i64 = 1 << 21;

/// Σ x².
///
/// # Errors
/// libtorch refuses.
pub fn sum_of_squares(tensor: &Tensor) -> Result<f64, MeasureError> {
    over_blocks(tensor, |block| block.f_dot(block))
}

/// Σ |x|.
///
/// # Errors
/// libtorch refuses.
pub fn sum_of_magnitudes(tensor: &Tensor) -> Result<f64, MeasureError> {
    over_blocks(tensor, |block| block.f_abs()?.f_sum(Kind::Double))
}

/// Σ (x − y)² of two tensors of one shape.
///
/// # Errors
/// The shapes differ, or libtorch refuses.
pub fn sum_of_squared_differences(tensor: &Tensor, other: &Tensor) -> Result<f64, MeasureError> {
    if tensor.size() != other.size() {
        return MeasureError::failed(format!(
            "tensors of shapes {:?} and {:?} have no difference",
            tensor.size(),
            other.size()
        ));
    }
    let (tensor, other) = (tensor.f_reshape([-1])?, other.f_reshape([-1])?);
    let mut sum = 0.0;
    for (start, length) in blocks(&tensor) {
        let block = tensor.f_narrow(0, start, length)?.f_to_kind(Kind::Double)?;
        let block = block.f_sub(&other.f_narrow(0, start, length)?.f_to_kind(Kind::Double)?)?;
        sum += block.f_dot(&block)?.f_double_value(&[])?;
    }
    Ok(sum)
}

fn over_blocks(
    tensor: &Tensor,
    part: impl Fn(&Tensor) -> Result<Tensor, tch::TchError>,
) -> Result<f64, MeasureError> {
    let flat = tensor.f_detach()?.f_reshape([-1])?;
    let mut sum = 0.0;
    for (start, length) in blocks(&flat) {
        let block = flat.f_narrow(0, start, length)?.f_to_kind(Kind::Double)?;
        sum += part(&block)?.f_double_value(&[])?;
    }
    Ok(sum)
}

fn blocks(flat: &Tensor) -> impl Iterator<Item = (i64, i64)> + use<> {
    let count = flat.numel() as i64;
    (0..count).step_by(BLOCK as usize).map(move |start| (start, BLOCK.min(count - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_more_than_one_block_are_exact_where_f32_is_not() {
        let count = 2 * BLOCK + 5;
        // Every square is 2⁻²⁰; a sum in f32 stalls long before the end.
        let tensor = Tensor::f_full([count], 2f64.powi(-10), (Kind::Float, tch::Device::Cpu)).unwrap();
        assert_eq!(sum_of_squares(&tensor).unwrap(), count as f64 * 2f64.powi(-20));
        assert_eq!(sum_of_magnitudes(&tensor.f_neg().unwrap()).unwrap(), count as f64 * 2f64.powi(-10));
        let other = tensor.f_mul_scalar(3.0).unwrap();
        assert_eq!(sum_of_squared_differences(&tensor, &other).unwrap(), count as f64 * 2f64.powi(-18));
    }

    #[test]
    fn empty_tensors_sum_to_zero_and_other_shapes_are_refused() {
        let empty = Tensor::f_zeros([0, 3], (Kind::Float, tch::Device::Cpu)).unwrap();
        assert_eq!(sum_of_squares(&empty).unwrap(), 0.0);
        assert!(sum_of_squared_differences(&empty, &Tensor::from_slice(&[1f32])).is_err());
    }
}
