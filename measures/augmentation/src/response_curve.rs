//! How accuracy answers to a growing perturbation, as a curve.

/// The accuracies at magnitudes 0, 1/K, 2/K, … 1 of the largest one, joined by straight lines: A(α).
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseCurve {
    accuracies: Vec<f64>,
}

/// What a curve comes to, in one number.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The number.
    pub value: f64,
    /// Its derivative in the accuracy at each of the curve's points.
    pub slopes: Vec<f64>,
}

impl std::ops::Neg for Score {
    type Output = Self;

    fn neg(self) -> Self {
        Self { value: -self.value, slopes: self.slopes.into_iter().map(|slope| -slope).collect() }
    }
}

impl ResponseCurve {
    /// A curve through at least two points; `None` where there are fewer.
    pub fn new(accuracies: Vec<f64>) -> Option<Self> {
        (accuracies.len() >= 2).then_some(Self { accuracies })
    }

    /// D(α) = ∫₀^α C, the area below the cumulative curve C(β) = ∫₀^β A; α in [0, 1].
    fn cumulative_area(&self, alpha: f64) -> f64 {
        let width = 1.0 / (self.accuracies.len() - 1) as f64;
        // C and D at the left end of each piece, on which A is linear, C quadratic and D cubic.
        let (mut cumulative, mut area) = (0.0, 0.0);
        for (piece, ends) in self.accuracies.windows(2).enumerate() {
            let t = (alpha - piece as f64 * width).clamp(0.0, width);
            let slope = (ends[1] - ends[0]) / width;
            area += cumulative * t + ends[0] * t * t / 2.0 + slope * t * t * t / 6.0;
            cumulative += ends[0] * t + slope * t * t / 2.0;
        }
        area
    }

    /// A sum over the curve's points, `of`, with its slopes: what it makes of a curve that is 1 at one point, 0 elsewhere.
    fn sum(&self, of: impl Fn(&Self) -> f64) -> Score {
        let points = self.accuracies.len();
        let at = |point: usize| Self { accuracies: (0..points).map(|k| f64::from(k == point)).collect() };
        Score { value: of(self), slopes: (0..points).map(|point| of(&at(point))).collect() }
    }

    /// The area between the cumulative curve and that of a network which is always right: ½ − ∫₀¹ C. From 0 (always
    /// right) to ½ (never).
    pub fn gi(&self) -> Score {
        let area = self.sum(|curve| -curve.cumulative_area(1.0));
        Score { value: 0.5 + area.value, ..area }
    }

    /// The area below the cumulative curve at the largest magnitudes, a share `top` of them, over that at the smallest,
    /// a share `bottom`. `None` where the latter is zero.
    pub fn pal(&self, top: f64, bottom: f64) -> Option<Score> {
        let small = self.sum(|curve| curve.cumulative_area(bottom));
        let large = self.sum(|curve| curve.cumulative_area(1.0) - curve.cumulative_area(1.0 - top));
        let value = large.value / small.value;
        let slope = |(large, small_slope): (&f64, &f64)| (large - value * small_slope) / small.value;
        let slopes = large.slopes.iter().zip(&small.slopes).map(slope).collect();
        (small.value > 0.0).then_some(Score { value, slopes })
    }
}

#[cfg(test)]
mod tests {
    use super::{ResponseCurve, Score};

    fn curve(accuracy: impl Fn(f64) -> f64, pieces: usize) -> ResponseCurve {
        ResponseCurve::new((0..=pieces).map(|k| accuracy(k as f64 / pieces as f64)).collect()).unwrap()
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn a_constant_accuracy() {
        // C = a α: the areas are those of triangles, and the Palma ratio does not see a.
        for a in [1.0, 0.6, 0.01] {
            let flat = curve(|_| a, 7);
            close(flat.gi().value, (1.0 - a) / 2.0);
            close(flat.pal(0.6, 0.1).unwrap().value, (1.0 - 0.16) / 0.01);
        }
        assert_eq!(curve(|_| 0.0, 7).gi().value, 0.5);
        assert_eq!(curve(|_| 0.0, 7).pal(0.6, 0.1), None);
    }

    #[test]
    fn a_linear_fall() {
        // A = 1 − α: C = α − α²/2, D = α²/2 − α³/6.
        let area = |alpha: f64| alpha * alpha / 2.0 - alpha.powi(3) / 6.0;
        for pieces in [1, 2, 10, 13] {
            let fall = curve(|alpha| 1.0 - alpha, pieces);
            close(fall.gi().value, 1.0 / 6.0);
            for (top, bottom) in [(0.6, 0.1), (1.0, 1.0), (0.37, 0.05)] {
                close(fall.pal(top, bottom).unwrap().value, (area(1.0) - area(1.0 - top)) / area(bottom));
            }
        }
    }

    /// Ones up to ½ and zeros from ¾ on, in four pieces: D(1) = 1/8 + (7/6)/16 + (½ + 1/8)/4 by hand.
    #[test]
    fn a_fall_in_the_middle() {
        let fall = curve(|alpha| f64::from(u8::from(alpha <= 0.5)), 4);
        let middle = 0.5 * 0.25 + 0.25 * 0.25 / 2.0 - 4.0 * 0.25f64.powi(3) / 6.0;
        close(fall.gi().value, 0.5 - (0.125 + middle + 0.625 * 0.25));
    }

    #[test]
    fn slopes_are_difference_quotients() {
        let accuracies = [1.0, 0.97, 0.8, 0.75, 0.3];
        let scores: [fn(&ResponseCurve) -> Score; 2] =
            [ResponseCurve::gi, |curve| curve.pal(0.6, 0.3).unwrap()];
        for score in scores {
            let slopes = score(&ResponseCurve::new(accuracies.to_vec()).unwrap()).slopes;
            for (point, slope) in slopes.into_iter().enumerate() {
                let moved = |by: f64| {
                    let mut moved = accuracies.to_vec();
                    moved[point] += by;
                    score(&ResponseCurve::new(moved).unwrap()).value
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (slope - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                    "{point}: {slope} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_point_is_no_curve() {
        assert_eq!(ResponseCurve::new(vec![1.0]), None);
    }
}
