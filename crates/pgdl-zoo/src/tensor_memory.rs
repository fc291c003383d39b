//! A CPU tensor's own memory as a slice, so that bytes are decoded straight into it.

use std::ffi::c_void;

use tch::{Device, Kind, Tensor, kind::Element};

use crate::{Result, ZooError};

/// Number of elements of `shape`; an error when a size is negative or the product overflows.
pub(crate) fn element_count(shape: &[i64]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))
        .filter(|&count| isize::try_from(count.saturating_mul(8)).is_ok())
        .ok_or_else(|| ZooError::Invalid(format!("a tensor cannot have the shape {shape:?}")))
}

/// A new contiguous CPU tensor of `shape`, all zero, whose elements `fill` then writes.
pub(crate) fn filled<T: Element>(shape: &[i64], fill: impl FnOnce(&mut [T]) -> Result<()>) -> Result<Tensor> {
    let count = element_count(shape)?;
    let tensor = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
    let elements: &mut [T] = match pointer::<T>(&tensor) {
        // SAFETY: the tensor was made above, holds `count` initialized (zero) elements of type T in contiguous
        // CPU memory, and nobody else has a handle to it while the slice lives.
        Some(start) => unsafe { std::slice::from_raw_parts_mut(start, count) },
        None => &mut [],
    };
    fill(elements)?;
    Ok(tensor)
}

/// Lends the elements of `tensor` to `read`: its own memory when it is contiguous, of type T and on the CPU, a
/// copy otherwise.
pub(crate) fn with_elements<T: Element + Sync, R>(
    tensor: &Tensor,
    read: impl FnOnce(&[T]) -> R,
) -> Result<R> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(T::KIND)?.f_contiguous()?;
    let count = element_count(&tensor.size())?;
    let elements: &[T] = match pointer::<T>(&tensor) {
        // SAFETY: `tensor` is a live handle to `count` elements of type T in contiguous CPU memory. This crate never
        // writes to a tensor that it has handed out; a caller that writes to one from another thread while it is being
        // read breaks tch's rules before ours.
        Some(start) => unsafe { std::slice::from_raw_parts(start, count) },
        None => &[],
    };
    Ok(read(elements))
}

/// Where the elements start; nothing for a tensor without elements, whose pointer may be null.
fn pointer<T: Element>(tensor: &Tensor) -> Option<*mut T> {
    let start: *mut c_void = tensor.data_ptr();
    (!start.is_null() && tensor.kind() == T::KIND && tensor.numel() > 0).then_some(start.cast())
}

/// `tensor` detached, on the CPU, contiguous and of `kind`; the same memory when it already is.
pub(crate) fn on_cpu(tensor: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?)
}
