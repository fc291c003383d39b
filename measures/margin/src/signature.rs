//! The signature of a distribution of margins: quartiles and fences.

use crate::percentile::percentile;

/// Quartiles and fences (Jiang, Krishnan, Mobahi, Bengio 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signature {
    /// Next to q₁ − 1.5 (q₃ − q₁): from outside by [`Signature::of`], from inside by [`Signature::of_box_plot`].
    pub lower_fence: f64,
    /// The 25th percentile.
    pub q1: f64,
    /// The 50th percentile.
    pub median: f64,
    /// The 75th percentile.
    pub q3: f64,
    /// Next to q₃ + 1.5 (q₃ − q₁), likewise.
    pub upper_fence: f64,
}

impl Signature {
    /// The signature of `values`, which get sorted; `None` when there are none. A fence is the outlier next to the
    /// quartiles, beyond 1.5 (q₃ − q₁), as common code has it; the extreme value where there is no outlier.
    pub fn of(values: &mut [f64]) -> Option<Self> {
        let (q1, median, q3) =
            (percentile(values, 25.0)?, percentile(values, 50.0)?, percentile(values, 75.0)?);
        let (below, above) = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1));
        let lower_fence = values.iter().rev().find(|value| **value < below).or(values.first())?;
        let upper_fence = values.iter().find(|value| **value > above).or(values.last())?;
        Some(Self { lower_fence: *lower_fence, q1, median, q3, upper_fence: *upper_fence })
    }

    /// The same with the fences of a box plot (McGill, Tukey, Larsen 1978): the extremes of the values that are not
    /// further than 1.5 (q₃ − q₁) from the quartiles, the ends of its whiskers.
    pub fn of_box_plot(values: &mut [f64]) -> Option<Self> {
        let outside = Self::of(values)?;
        let reach = 1.5 * (outside.q3 - outside.q1);
        let lower_fence = values.iter().find(|value| **value >= outside.q1 - reach)?;
        let upper_fence = values.iter().rev().find(|value| **value <= outside.q3 + reach)?;
        Some(Self { lower_fence: *lower_fence, upper_fence: *upper_fence, ..outside })
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
        let inside = Signature::of_box_plot(&mut values).unwrap();
        assert_eq!(inside, Signature { lower_fence: 2.0, upper_fence: 6.0, ..found });
        let even = Signature::of(&mut [1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((even.lower_fence, even.upper_fence), (1.0, 5.0));
        assert_eq!(Signature::of_box_plot(&mut [1.0, 2.0, 3.0, 4.0, 5.0]), Some(even));
        assert_eq!((Signature::of(&mut []), Signature::of_box_plot(&mut [])), (None, None));
    }
}
