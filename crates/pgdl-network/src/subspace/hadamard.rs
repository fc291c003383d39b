//! The fast Walsh–Hadamard transform.

use tch::Tensor;

use crate::error::{NetworkError, Result};

/// H x for each row x of `[…, n]`, n a power of 2, where H is Sylvester's Hadamard matrix of entries ±1: H₁ = 1,
/// H₂ₙ = [[Hₙ, Hₙ], [Hₙ, −Hₙ]]. H is symmetric, and H H = n.
///
/// Since H is a Kronecker product of smaller ones, the digits of an index are transformed one after the other, by four bits
/// at a time: (log₂ n)/4 passes over the rows, each a product of matrices, are several times faster than log₂ n passes of
/// sums and differences, though those take fewer operations.
///
/// # Errors
/// n is no power of 2, or libtorch refuses.
pub fn hadamard_transform(rows: &Tensor) -> Result<Tensor> {
    const DIGIT: i64 = 16;
    let size = rows.size();
    let n = size.last().copied().unwrap_or(0);
    if n < 1 || n & (n - 1) != 0 {
        return Err(NetworkError::Input(format!("a Hadamard transform of {size:?}: no power of 2")));
    }
    let mut found = rows.shallow_clone();
    let mut below = 1;
    while below < n {
        let digit = DIGIT.min(n / below);
        let matrix = sylvester(digit, rows)?;
        found = if below == 1 {
            found.f_reshape([-1, digit])?.f_matmul(&matrix)?
        } else {
            matrix.f_matmul(&found.f_reshape([-1, digit, below])?)?
        };
        below *= digit;
    }
    Ok(found.f_reshape(size)?)
}

/// `[n, n]`, of the kind and on the device of `like`.
fn sylvester(n: i64, like: &Tensor) -> Result<Tensor> {
    let mut matrix = Tensor::f_ones([1, 1], (like.f_kind()?, like.device()))?;
    while matrix.size()[0] < n {
        let upper = Tensor::f_cat(&[&matrix, &matrix], 1)?;
        let lower = Tensor::f_cat(&[&matrix, &matrix.f_neg()?], 1)?;
        matrix = Tensor::f_cat(&[upper, lower], 0)?;
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn it_is_sylvesters_matrix() {
        for power in [0, 1, 3, 4, 5, 9] {
            let n = 1i64 << power;
            // The entry at (i, j) is −1 to the number of bits that i and j share.
            let entries: Vec<f64> = (0..n * n)
                .map(|at| if ((at / n) & (at % n)).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 })
                .collect();
            let dense = Tensor::from_slice(&entries).reshape([n, n]);
            let rows = Tensor::randn([3, 2, n], (Kind::Double, Device::Cpu));
            let found = hadamard_transform(&rows).unwrap();
            assert_eq!(found.size(), [3, 2, n]);
            assert!((found - rows.matmul(&dense)).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        for n in [0, 3, 12] {
            assert!(hadamard_transform(&Tensor::zeros([2, n], (Kind::Float, Device::Cpu))).is_err());
        }
    }
}
