//! The largest singular value of a linear map that is known by its products alone.
//!
//! The best value in the span of all iterates of a power iteration on AᵀA (Lanczos 1950), instead of that of the last
//! iterate: the same products with the map and its transpose, far fewer of them. The basis is kept orthonormal to
//! machine precision and is restarted from its best vectors when it is full (Wu and Simon 2000).
//!
//! **When to stop.** The value θ for ‖A‖² is never too large, being the Rayleigh quotient of a unit vector y. That
//! ‖AᵀAy − θy‖ ≤ τθ says that *some* squared singular value is near; that none lies above (1 + ε)θ follows from the
//! start b, which was drawn before A was looked at. Suppose λ, with unit eigenvector v, does lie there. Then
//!
//! 1. |⟨v, y⟩| ≤ τ/ε, and the part of y along eigenvectors with eigenvalues within εθ/2 of θ has a square of at least
//!    1 − 4τ²/ε²: both by the residual.
//! 2. y = p(AᵀA)b for a polynomial p whose roots are Ritz values at most θ: the other ones of the last basis, and those
//!    that restarts dropped. So |p(μ)| ≤ |p(λ)| for every μ within εθ/2 of θ.
//! 3. By 1 and 2, ⟨v, b⟩² ≤ s²‖b‖² with s² = (τ/ε)² / (1 − 4τ²/ε²).
//!
//! A uniform direction b in n dimensions has that with a probability of at most s√(2n/π). τ is what makes this
//! [`FAILURE`] at ε = 2 · [`TOLERANCE`].

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};

use crate::linear_map::LinearMap;

/// The relative error that a norm may have. It is never too large, but for rounding.
pub const TOLERANCE: f64 = 1e-6;

/// The probability, over the start vector, that the error is larger, for whatever map.
pub const FAILURE: f64 = 1e-4;

/// Vectors in the basis before it is restarted.
const BASIS: usize = 40;

/// Vectors that a restart keeps.
const KEPT: usize = 12;

/// Products between two looks at the value.
const STEPS: usize = 4;

/// Products after which it is given up.
const MAX_PRODUCTS: usize = 20_000;

/// A matrix with no more rows or columns than this is decomposed.
const SMALL: i64 = 512;

/// ‖A‖₂ to [`TOLERANCE`]; 0 for the zero map. Matrices with a short side are decomposed, to machine precision. The start
/// is the same vector for every map of one input size.
///
/// `check` is called before each product.
///
/// # Errors
/// It did not converge, `check` says stop, or libtorch refuses.
pub fn largest_singular_value(
    map: &LinearMap,
    check: impl Fn() -> Result<(), MeasureError>,
) -> Result<f64, MeasureError> {
    // Squares of what is very small or large would leave the range of numbers.
    let size = map.kernel().f_abs()?.f_max()?.f_double_value(&[])?;
    if size == 0.0 {
        return Ok(0.0);
    }
    if !size.is_finite() {
        return MeasureError::undefined("the operator norm is beyond the range of numbers");
    }
    let unit = map.scaled(1.0 / size)?;
    match unit.matrix() {
        Some(matrix) if matrix.size().iter().any(|side| *side <= SMALL) => {
            check()?;
            Ok(size * largest_of_matrices(matrix)?)
        }
        _ => Ok(size * lanczos(&unit, check)?.sqrt()),
    }
}

/// The τ at which [`FAILURE`] is reached in `n` dimensions.
fn residual_tolerance(n: i64) -> f64 {
    let epsilon = 2.0 * TOLERANCE;
    let share = FAILURE * (std::f64::consts::PI / (2.0 * n as f64)).sqrt();
    epsilon * share / (1.0 + 4.0 * share * share).sqrt()
}

/// The largest eigenvalue of AᵀA.
fn lanczos(map: &LinearMap, check: impl Fn() -> Result<(), MeasureError>) -> Result<f64, MeasureError> {
    let (size, device) = (map.inputs(), map.kernel().device());
    let tolerance = residual_tolerance(size);
    let options = (Kind::Double, device);
    let mut start = Generator::new(&[b"pgdl operator norm"], device, Kind::Double);
    let start = start.normal_tensor(&[size])?;
    let start = start.f_div(&start.f_dot(&start)?.f_sqrt()?)?;

    // Rows are orthonormal; `projected` is the matrix of AᵀA in this basis.
    let basis = Tensor::f_zeros([BASIS as i64, size], options)?;
    basis.f_get(0)?.f_copy_(&start)?;
    let mut projected = vec![0.0; BASIS * BASIS];
    let (mut near, mut used) = (0, 1);
    for _ in 0..MAX_PRODUCTS {
        check()?;
        let vectors = basis.f_narrow(0, 0, used as i64)?;
        let mut product = map.gram_product(&vectors.f_get(used as i64 - 1)?)?;
        let whole = length(&product)?;
        // The newest two, or all that a restart kept, take nearly all of the product. What the whole basis still takes is
        // rounding; once more, if that was more than half of what was left (Parlett 1980, Twice is enough).
        let newest = vectors.f_narrow(0, near as i64, (used - near) as i64)?;
        let taken = newest.f_mv(&product)?;
        product = product.f_sub(&newest.f_tr()?.f_mv(&taken)?)?;
        let column = Tensor::f_zeros([used as i64], options)?;
        let _ = column.f_narrow(0, near as i64, (used - near) as i64)?.f_add_(&taken)?;
        let mut rest = length(&product)?;
        loop {
            let before = rest;
            let taken = vectors.f_mv(&product)?;
            product = product.f_sub(&vectors.f_tr()?.f_mv(&taken)?)?;
            let _ = column.shallow_clone().f_add_(&taken)?;
            rest = length(&product)?;
            if rest <= f64::EPSILON * whole || rest.is_nan() || rest > 0.5 * before {
                break;
            }
        }
        for (row, value) in Vec::<f64>::try_from(&column)?.into_iter().enumerate() {
            projected[row * BASIS + used - 1] = value;
            projected[(used - 1) * BASIS + row] = value;
        }
        if !rest.is_finite() {
            return MeasureError::undefined("the operator norm is beyond the range of numbers");
        }
        let exhausted = rest <= f64::EPSILON * whole;
        if used % STEPS != 0 && used < BASIS && !exhausted {
            basis.f_get(used as i64)?.f_copy_(&product.f_div_scalar(rest)?)?;
            (near, used) = (used - 1, used + 1);
            continue;
        }

        let small = Tensor::f_from_slice(&projected)?.f_reshape([BASIS as i64, BASIS as i64])?;
        let small = small.f_narrow(0, 0, used as i64)?.f_narrow(1, 0, used as i64)?;
        let (values, combinations) = small.f_linalg_eigh("L")?;
        let top = used as i64 - 1;
        let value = values.f_double_value(&[top])?;
        let last = combinations.f_double_value(&[top, top])?.abs();
        // The residual of the best vector (Paige 1971).
        if rest * last <= tolerance * value.max(0.0) || exhausted {
            return Ok(value.max(0.0));
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
        (near, used) = (if used == KEPT { 0 } else { used - 1 }, used + 1);
    }
    MeasureError::failed(format!("no operator norm to {TOLERANCE:e} after {MAX_PRODUCTS} products"))
}

fn length(vector: &Tensor) -> Result<f64, MeasureError> {
    Ok(vector.f_dot(vector)?.f_double_value(&[])?.sqrt())
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

#[cfg(test)]
mod tests {
    use pgdl_measure::network::{Activation, DepthwiseConv2d, Layer, Padding};
    use pgdl_measure::tch::Device;

    use super::*;

    /// A map with these singular values: a factor for each channel of a single pixel.
    fn diagonal(values: &[f64]) -> LinearMap {
        let channels = values.len() as i64;
        let layer = Layer::DepthwiseConv2d(DepthwiseConv2d {
            kernel: [1, 1],
            strides: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            depth_multiplier: 1,
            use_bias: false,
            activation: Activation::Linear,
        });
        let kernel = Tensor::from_slice(values).reshape([1, 1, channels, 1]);
        LinearMap::new(layer, &kernel, vec![1, 1, channels]).unwrap()
    }

    fn norm(values: &[f64]) -> f64 {
        largest_singular_value(&diagonal(values), || Ok(())).unwrap()
    }

    /// Evenly spread over (0, 1).
    fn spread(count: usize) -> Vec<f64> {
        (0..count).map(|at| (at as f64 + 0.5) / count as f64).collect()
    }

    #[test]
    fn a_probability_holds_at_the_residual_that_it_asks_for() {
        for n in [1, 3_072, 16_384, 10_000_000] {
            let (epsilon, tau) = (2.0 * TOLERANCE, residual_tolerance(n));
            let ratio = (tau / epsilon).powi(2);
            let failure =
                (ratio / (1.0 - 4.0 * ratio)).sqrt() * (2.0 * n as f64 / std::f64::consts::PI).sqrt();
            assert!((failure / FAILURE - 1.0).abs() < 1e-9, "{n}: {failure}");
            assert!(tau > 100.0 * f64::EPSILON, "{n}: {tau}");
        }
    }

    /// However little the largest value stands above the next ones, which may be many, and wherever it stands.
    #[test]
    fn small_gaps_do_not_hide_the_largest_value() {
        for (gap, below) in [(1e-2, 40), (1e-4, 2), (1e-5, 1), (1e-5, 40), (1e-6, 3), (1e-8, 1)] {
            for place in [3, 250, 511] {
                let mut values: Vec<f64> = spread(599 - below).iter().map(|value| 0.9 * value).collect();
                values.extend((0..below).map(|_| 1.0 - gap));
                values.insert(place, 1.0);
                let error = 1.0 - norm(&values);
                assert!((-1e-12..TOLERANCE).contains(&error), "{gap} above {below}, at {place}: {error}");
            }
        }
    }

    #[test]
    fn values_without_a_gap_are_told_apart_as_far_as_they_must_be() {
        // The largest of 1,000 evenly spread values is 1e-3 above the next.
        let found = norm(&spread(1000));
        assert!((1.0 - found / (1.0 - 0.5 / 1000.0)).abs() < TOLERANCE, "{found}");
    }

    #[test]
    fn equal_values_are_one() {
        for repeated in [2, 5, 600] {
            let mut values = spread(600);
            values.truncate(600 - repeated);
            values.extend(std::iter::repeat_n(1.5, repeated));
            let found = norm(&values);
            assert!((found / 1.5 - 1.0).abs() < 1e-12, "{repeated}: {found}");
        }
    }

    #[test]
    fn zero_and_the_ends_of_the_range_of_numbers() {
        assert_eq!(norm(&[0.0; 700]), 0.0);
        for size in [1e-300, 1e-160, 1e160, 1e300] {
            let values: Vec<f64> = spread(700).iter().map(|value| value * size).collect();
            let expected = (1.0 - 0.5 / 700.0) * size;
            assert!((norm(&values) / expected - 1.0).abs() < TOLERANCE, "{size}");
        }
        let broken = largest_singular_value(&diagonal(&[1.0, f64::INFINITY]), || Ok(()));
        assert!(matches!(broken, Err(MeasureError::Undefined(_))), "{broken:?}");
    }

    #[test]
    fn matrices_are_decomposed_and_long_ones_are_not() {
        use pgdl_measure::network::Dense;
        for [rows, columns] in [[30, 900], [900, 30], [600, 520]] {
            let mut random = Generator::new(&[b"matrix"], Device::Cpu, Kind::Double);
            let kernel = random.normal_tensor(&[rows, columns]).unwrap();
            let layer =
                Layer::Dense(Dense { units: columns, use_bias: false, activation: Activation::Linear });
            let map = LinearMap::new(layer, &kernel, vec![rows]).unwrap();
            let expected = kernel.svd(true, false).1.max().double_value(&[]);
            let found = largest_singular_value(&map, || Ok(())).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-10, "{rows} × {columns}: {found} {expected}");
        }
    }

    #[test]
    fn it_stops_when_told_to() {
        let timeout = || Err(MeasureError::Timeout("now".to_string()));
        let stopped = largest_singular_value(&diagonal(&spread(600)), timeout);
        assert!(matches!(stopped, Err(MeasureError::Timeout(_))), "{stopped:?}");
    }
}
