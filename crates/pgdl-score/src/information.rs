//! Mutual information and entropy of small tables of counts, in bits.

use std::ops::AddAssign;

/// A cell's mutual information between the signs of gap and measure, and the entropy of the gap's sign, in bits;
/// or a weighted sum of such.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Information {
    pub mutual: f64,
    pub entropy: f64,
}

impl AddAssign for Information {
    fn add_assign(&mut self, other: Self) {
        self.mutual += other.mutual;
        self.entropy += other.entropy;
    }
}

impl Information {
    pub fn times(self, weight: f64) -> Self {
        Self { mutual: self.mutual * weight, entropy: self.entropy * weight }
    }
}

/// Mutual information of rows and columns, Σ p(r,c) log₂ p(r,c) / (p(r) p(c)), in bits.
///
/// It is exactly 0 where rows or columns are constant, and never negative.
pub(crate) fn mutual_information<const SIGNS: usize>(table: &[[u64; SIGNS]; SIGNS]) -> f64 {
    let rows = row_sums(table);
    let total: u64 = rows.iter().sum();
    let mut mutual = 0.0;
    for (counts, &row) in table.iter().zip(&rows) {
        for (column, &count) in counts.iter().enumerate() {
            if count > 0 {
                let column: u64 = table.iter().map(|counts| counts[column]).sum();
                // Ratio of integer products: exactly 1, hence log₂ 0, for a constant row or column.
                let ratio = (count as f64 * total as f64) / (row as f64 * column as f64);
                mutual += count as f64 / total as f64 * ratio.log2();
            }
        }
    }
    f64::max(mutual, 0.0)
}

/// Entropy of the rows, −Σ p log₂ p, in bits.
pub(crate) fn row_entropy<const SIGNS: usize>(table: &[[u64; SIGNS]; SIGNS]) -> f64 {
    let rows = row_sums(table);
    let total: u64 = rows.iter().sum();
    let occurring = rows.iter().filter(|&&row| row > 0).map(|&row| row as f64 / total as f64);
    f64::max(-occurring.map(|p| p * p.log2()).sum::<f64>(), 0.0)
}

/// Entropy of the rows as the competition's program computes it, −Σ p log₂(p + 10⁻¹²): about −1.44·10⁻¹² bits
/// where the rows are constant.
pub(crate) fn row_entropy_pgdl(table: &[[u64; 2]; 2]) -> f64 {
    let rows = row_sums(table);
    let total: u64 = rows.iter().sum();
    -rows.iter().map(|&row| row as f64 / total as f64).map(|p| p * (p + 1e-12).log2()).sum::<f64>()
}

fn row_sums<const SIGNS: usize>(table: &[[u64; SIGNS]; SIGNS]) -> [u64; SIGNS] {
    table.map(|counts| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        assert_eq!(mutual_information(&[[3, 0], [0, 3]]), 1.0);
        assert_eq!(mutual_information(&[[2, 2], [3, 3]]), 0.0);
        assert_eq!(mutual_information(&[[5, 0], [7, 0]]), 0.0);
        assert_eq!(row_entropy(&[[1, 1], [1, 1]]), 1.0);
        assert_eq!(row_entropy(&[[4, 3], [0, 0]]), 0.0);
        assert!((mutual_information(&[[1, 0, 0], [0, 1, 0], [0, 0, 1]]) - 3f64.log2()).abs() < 1e-15);
    }

    #[test]
    fn the_competitions_entropy_of_constant_rows_is_a_trace_below_zero() {
        let entropy = row_entropy_pgdl(&[[0, 0], [4, 3]]);
        assert!((entropy + 1.4427e-12).abs() < 1e-15, "{entropy:e}");
    }
}
