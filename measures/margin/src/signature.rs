//! The signature of a distribution of margins: quartiles and fences.

use crate::percentile::percentile;

/// Quartiles and the outliers next to them (Jiang, Krishnan, Mobahi, Bengio 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature {
    /// The largest value below q₁ − 1.5 (q₃ − q₁); the smallest of all when there is none.
    pub lower_fence: f64,
    /// The 25th percentile.
    pub q1: f64,
    /// The 50th percentile.
    pub median: f64,
    /// The 75th percentile.
    pub q3: f64,
    /// The smallest value above q₃ + 1.5 (q₃ − q₁); the largest of all when there is none.
    pub upper_fence: f64,
}

impl Signature {
    /// The signature of `values`, which get sorted; `None` when there are none.
    pub fn of(values: &mut [f64]) -> Option<Self> {
        let (q1, median, q3) =
            (percentile(values, 25.0)?, percentile(values, 50.0)?, percentile(values, 75.0)?);
        let (below, above) = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1));
        let lower_fence = values.iter().rev().find(|value| **value < below).or(values.first())?;
        let upper_fence = values.iter().find(|value| **value > above).or(values.last())?;
        Some(Self { lower_fence: *lower_fence, q1, median, q3, upper_fence: *upper_fence })
    }

    /// Its five numbers with their names.
    pub fn parts(&self) -> [(&'static str, f64); 5] {
        [
            ("lower_fence", self.lower_fence),
            ("q1", self.q1),
            ("median", self.median),
            ("q3", self.q3),
            ("upper_fence", self.upper_fence),
        ]
    }

    /// The mean of the five numbers.
    pub fn mean(&self) -> f64 {
        self.parts().iter().map(|(_, value)| value).sum::<f64>() / 5.0
    }
}

#[cfg(test)]
mod tests {
    use super::Signature;

    #[test]
    fn fences_are_the_nearest_outliers_or_the_ends() {
        // Sorted: -9, -8, 2, 3, 4, 5, 5, 6, 30. Of nine values the quartiles are those at positions 2, 4 and 6.
        let mut values = [3.0, -9.0, 4.0, 30.0, 2.0, 5.0, -8.0, 6.0, 5.0];
        let found = Signature::of(&mut values).unwrap();
        assert_eq!((found.q1, found.median, found.q3), (2.0, 4.0, 5.0));
        assert_eq!((found.lower_fence, found.upper_fence), (-8.0, 30.0));
        assert!((found.mean() - 33.0 / 5.0).abs() < 1e-12);
        let even = Signature::of(&mut [1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((even.lower_fence, even.upper_fence), (1.0, 5.0));
        assert_eq!(Signature::of(&mut []), None);
    }
}
