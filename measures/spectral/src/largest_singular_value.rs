//! The largest singular value of a linear map that is known by its products alone.
//!
//! The best value in the span of all iterates of a power iteration on AᵀA (Lanczos 1950), instead of that of the last
//! iterate: the same products with the map and its transpose, far fewer of them. The basis is kept orthonormal to
//! machine precision and is restarted from its best vectors when it is full (Wu and Simon 2000).

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};

use crate::linear_map::LinearMap;

/// ‖AᵀA v − θv‖ ≤ `TOLERANCE` · θ at the end: then θ is within that relative distance of a squared singular value, and
/// its root within half of it. The error is in fact of the order of the square of the residual.
pub const TOLERANCE: f64 = 1e-6;

/// Vectors in the basis before it is restarted.
const BASIS: usize = 40;

/// Vectors that a restart keeps.
const KEPT: usize = 12;

/// Products after which it is given up.
const MAX_PRODUCTS: usize = 5000;

/// ‖A‖₂ to [`TOLERANCE`]; 0 for the zero map. The start is the same vector for every map of one input size.
///
/// `check` is called before each product.
///
/// # Errors
/// It did not converge, `check` says stop, or libtorch refuses.
pub fn largest_singular_value(
    map: &LinearMap,
    check: impl Fn() -> Result<(), MeasureError>,
) -> Result<f64, MeasureError> {
    let (size, device) = (map.inputs(), map.kernel().device());
    let options = (Kind::Double, device);
    let mut start = Generator::new(&[b"pgdl operator norm"], device, Kind::Double);
    let start = start.normal_tensor(&[size])?;
    let start = start.f_div(&start.f_dot(&start)?.f_sqrt()?)?;

    // Rows are orthonormal; `projected` is the matrix of AᵀA in this basis.
    let basis = Tensor::f_zeros([BASIS as i64, size], options)?;
    basis.f_get(0)?.f_copy_(&start)?;
    let mut projected = vec![0.0; BASIS * BASIS];
    let mut used = 1;
    for _ in 0..MAX_PRODUCTS {
        check()?;
        let vectors = basis.f_narrow(0, 0, used as i64)?;
        let mut product = map.gram_product(&vectors.f_get(used as i64 - 1)?)?;
        let first = vectors.f_mv(&product)?;
        product = product.f_sub(&vectors.f_tr()?.f_mv(&first)?)?;
        // Twice is enough (Kahan, in Parlett 1980).
        let second = vectors.f_mv(&product)?;
        product = product.f_sub(&vectors.f_tr()?.f_mv(&second)?)?;
        for (row, value) in Vec::<f64>::try_from(&first.f_add(&second)?)?.into_iter().enumerate() {
            projected[row * BASIS + used - 1] = value;
            projected[(used - 1) * BASIS + row] = value;
        }
        let rest = product.f_dot(&product)?.f_sqrt()?.f_double_value(&[])?;

        let small = Tensor::f_from_slice(&projected)?.f_reshape([BASIS as i64, BASIS as i64])?;
        let small = small.f_narrow(0, 0, used as i64)?.f_narrow(1, 0, used as i64)?;
        let (values, combinations) = small.f_linalg_eigh("L")?;
        let top = used as i64 - 1;
        let value = values.f_double_value(&[top])?;
        let last = combinations.f_double_value(&[top, top])?.abs();
        if !value.is_finite() || !rest.is_finite() {
            return MeasureError::undefined("the operator norm is beyond the range of numbers");
        }
        if rest * last <= TOLERANCE * value.max(0.0) {
            return Ok(value.max(0.0).sqrt());
        }
        if used == BASIS {
            let best = combinations.f_narrow(1, used as i64 - KEPT as i64, KEPT as i64)?.f_tr()?;
            let best = best.f_to_device(device)?.f_mm(&vectors)?;
            basis.f_narrow(0, 0, KEPT as i64)?.f_copy_(&best)?;
            projected.fill(0.0);
            for kept in 0..KEPT {
                projected[kept * BASIS + kept] = values.f_double_value(&[(used - KEPT + kept) as i64])?;
            }
            used = KEPT;
        }
        basis.f_get(used as i64)?.f_copy_(&product.f_div_scalar(rest)?)?;
        used += 1;
    }
    MeasureError::failed(format!("no operator norm to {TOLERANCE:e} after {MAX_PRODUCTS} products"))
}

/// The largest singular value of a matrix `[m, n]`; the largest of all, for a batch of (complex) matrices `[…, m, n]`.
///
/// It is the root of the largest eigenvalue of the smaller of AᴴA and AAᴴ, which is as exact as the largest singular
/// value itself.
///
/// # Errors
/// libtorch refuses.
pub(crate) fn largest_of_matrices(matrices: &Tensor) -> Result<f64, MeasureError> {
    if matrices.numel() == 0 {
        return Ok(0.0);
    }
    let shape = matrices.size();
    let adjoint = matrices.f_transpose(-2, -1)?.f_conj()?;
    let gram = if shape[shape.len() - 2] < shape[shape.len() - 1] {
        matrices.f_matmul(&adjoint)?
    } else {
        adjoint.f_matmul(matrices)?
    };
    let largest = gram.f_linalg_eigvalsh("L")?.f_max()?.f_double_value(&[])?;
    Ok(largest.max(0.0).sqrt())
}
