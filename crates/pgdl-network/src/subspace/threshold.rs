//! The least dimension that is enough.

/// A search for the least d from 1 to `most` at which a level reaches a target, for levels that rise with d but for noise:
/// by doubling and halving from `first` until two neighbours hold the target between them, then by halving their ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThresholdSearch {
    /// The d that is tried first; 1 or more.
    pub first: i64,
    /// The largest d.
    pub most: i64,
    /// How often the ratio of the neighbours, 2 at first, is halved (to √2, …).
    pub halvings: u32,
}

/// What a [`ThresholdSearch`] finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The d at which the level reaches the target, between the last two neighbours by a straight line over ln d; 1 where 1
    /// is enough. None where the largest d is not enough.
    pub dimension: Option<f64>,
    /// Every d that was tried, with its level, in the order of the trials.
    pub tried: Vec<(i64, f64)>,
}

impl ThresholdSearch {
    /// Searches; `level` gives the level at a d.
    ///
    /// # Errors
    /// Those of `level`.
    pub fn run<E>(
        &self,
        target: f64,
        level: &mut dyn FnMut(i64) -> std::result::Result<f64, E>,
    ) -> std::result::Result<Threshold, E> {
        let mut tried = Vec::new();
        let mut look = |d: i64, tried: &mut Vec<(i64, f64)>| {
            let found = level(d)?;
            tried.push((d, found));
            Ok(found)
        };
        let most = self.most.max(1);
        let mut d = self.first.clamp(1, most);
        let mut found = look(d, &mut tried)?;
        let (mut few, mut many);
        if found >= target {
            loop {
                many = (d, found);
                if d == 1 {
                    return Ok(Threshold { dimension: Some(1.0), tried });
                }
                d = (d / 2).max(1);
                found = look(d, &mut tried)?;
                if found < target {
                    few = (d, found);
                    break;
                }
            }
        } else {
            loop {
                few = (d, found);
                if d == most {
                    return Ok(Threshold { dimension: None, tried });
                }
                d = d.saturating_mul(2).min(most);
                found = look(d, &mut tried)?;
                if found >= target {
                    many = (d, found);
                    break;
                }
            }
        }
        for _ in 0..self.halvings {
            let middle = (few.0 as f64 * many.0 as f64).sqrt().round() as i64;
            if middle <= few.0 || middle >= many.0 {
                break;
            }
            let found = look(middle, &mut tried)?;
            if found >= target { many = (middle, found) } else { few = (middle, found) }
        }
        let way = (target - few.1) / (many.1 - few.1);
        let (low, high) = ((few.0 as f64).ln(), (many.0 as f64).ln());
        Ok(Threshold { dimension: Some((low + way * (high - low)).exp()), tried })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn found(search: ThresholdSearch, target: f64, level: impl Fn(i64) -> f64) -> Threshold {
        search.run(target, &mut |d| Ok::<f64, Infallible>(level(d))).unwrap()
    }

    #[test]
    fn a_level_that_is_straight_over_ln_d_is_met_exactly() {
        let straight = |d: i64| 0.1 * (d as f64).ln();
        for first in [1, 10, 64, 5000] {
            let search = ThresholdSearch { first, most: 10_000, halvings: 2 };
            for dimension in [3.3f64, 64.0, 777.7] {
                let threshold = found(search, 0.1 * dimension.ln(), straight);
                assert!((threshold.dimension.unwrap() / dimension - 1.0).abs() < 1e-9, "{threshold:?}");
                let few = threshold
                    .tried
                    .iter()
                    .filter(|(d, _)| (*d as f64) < dimension * 0.999)
                    .map(|(d, _)| *d)
                    .max();
                let many = threshold
                    .tried
                    .iter()
                    .filter(|(d, _)| (*d as f64) >= dimension * 0.999)
                    .map(|(d, _)| *d)
                    .min();
                let ratio = many.unwrap() as f64 / few.unwrap() as f64;
                assert!(ratio < 1.7, "{threshold:?}");
                assert!(threshold.tried.len() < 14, "{threshold:?}");
            }
        }
    }

    #[test]
    fn a_step_is_found_between_its_neighbours() {
        let search = ThresholdSearch { first: 8, most: 4096, halvings: 20 };
        let threshold = found(search, 0.5, |d| if d >= 100 { 1.0 } else { 0.0 });
        assert!((99.0..=100.0).contains(&threshold.dimension.unwrap()), "{threshold:?}");
    }

    #[test]
    fn the_ends() {
        let search = ThresholdSearch { first: 8, most: 100, halvings: 3 };
        let never = found(search, 0.5, |_| 0.1);
        assert_eq!(never.dimension, None);
        assert_eq!(never.tried.last(), Some(&(100, 0.1)));
        let always = found(search, 0.5, |_| 0.9);
        assert_eq!((always.dimension, always.tried.len()), (Some(1.0), 4));
    }
}
