//! Ridge regression on features of networks of several zoos, and its strength by leaving one zoo out.
//!
//! Zoos differ in the level and the scale of their gaps (those of `fmnist_vgg` have a standard deviation of 0.009 around 0.17,
//! those of `mnist_width` one of 0.06), and a measure is to order the networks of one zoo. So within each zoo features are
//! centred, and gaps centred and brought to variance 1, and each zoo counts alike, however many networks it has. Plain sums in
//! a fixed order: the same bytes on every machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A network's part in a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The zoo it belongs to.
    pub zoo: String,
    /// Its id there.
    pub network: u64,
    /// What it is recognized by.
    pub digest: String,
    /// Training accuracy − test accuracy.
    pub gap: f64,
    /// p numbers.
    pub features: Vec<f64>,
}

/// A fit: value = offset + Σ coefficients · features, in standard deviations of a zoo's gaps; 0 at the mean of the zoos that
/// it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// `all`, or `without_ZOO`.
    pub name: String,
    /// The zoos that it saw.
    pub zoos: Vec<String>,
    /// The ridge's strength: the penalty's weight beside the mean squared error, features of variance 1.
    pub strength: f64,
    /// Mean squared error with this strength on each of those zoos in turn, from the others; 1 is that of no prediction.
    pub left_out_error: f64,
    /// See above.
    pub offset: f64,
    /// p numbers.
    pub coefficients: Vec<f64>,
}

/// One fit on all zoos, one without each of them, and the networks that they saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fits {
    /// `all` first.
    pub fits: Vec<Fit>,
    /// Digests of the networks of each zoo.
    pub networks: BTreeMap<String, Vec<String>>,
}

/// Strengths that are tried, from the largest; of equally good ones the first is taken.
pub const STRENGTHS: [f64; 9] = [1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5];

impl Fit {
    /// The fit's value for p features.
    pub fn value(&self, features: &[f64]) -> f64 {
        self.offset + dot(&self.coefficients, features)
    }
}

impl Fits {
    /// Fits on `rows`, those of a zoo one behind the other.
    ///
    /// # Errors
    /// Fewer than three zoos (one is left out, and of the others one more for the strength), rows of different length, or a
    /// zoo whose gaps are all the same.
    pub fn of(rows: &[Row]) -> Result<Self, String> {
        let zoos: Vec<Moments> =
            rows.chunk_by(|one, next| one.zoo == next.zoo).map(Moments::of).collect::<Result<_, _>>()?;
        let count = zoos.first().map_or(0, |zoo| zoo.means.len());
        if zoos.iter().any(|zoo| zoo.means.len() != count) {
            return Err("networks with different numbers of features".to_string());
        }
        let mut networks: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            networks.entry(row.zoo.clone()).or_default().push(row.digest.clone());
        }
        if zoos.len() < 3 || networks.len() != zoos.len() {
            return Err("a fit needs three zoos, each in one piece".to_string());
        }
        let all: Vec<&Moments> = zoos.iter().collect();
        let mut fits = vec![chosen("all".to_string(), &all)?];
        for zoo in &zoos {
            let others: Vec<&Moments> = all.iter().copied().filter(|other| other.name != zoo.name).collect();
            fits.push(chosen(format!("without_{}", zoo.name), &others)?);
        }
        Ok(Self { fits, networks })
    }

    /// The fit of this name.
    pub fn named(&self, name: &str) -> Option<&Fit> {
        self.fits.iter().find(|fit| fit.name == name)
    }

    /// The zoo of the network with this digest.
    pub fn zoo_of(&self, digest: &str) -> Option<&str> {
        let zoo = self.networks.iter().find(|(_, digests)| digests.iter().any(|one| one == digest));
        zoo.map(|(name, _)| name.as_str())
    }
}

/// What a fit needs of a zoo: means of the features, and covariances of features with each other and with the gap, that
/// brought to variance 1.
struct Moments {
    name: String,
    means: Vec<f64>,
    covariance: Vec<Vec<f64>>,
    with_gap: Vec<f64>,
}

impl Moments {
    fn of(rows: &[Row]) -> Result<Self, String> {
        let name = rows.first().map_or_else(String::new, |row| row.zoo.clone());
        let length = rows.first().map_or(0, |row| row.features.len());
        if rows.iter().any(|row| row.features.len() != length) {
            return Err(format!("networks of {name} with different numbers of features"));
        }
        let count = rows.len() as f64;
        let mean = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / count;
        let means: Vec<f64> = (0..length).map(|at| mean(&|row| row.features[at])).collect();
        let gap = mean(&|row| row.gap);
        let spread = mean(&|row| (row.gap - gap).powi(2)).sqrt();
        if !spread.is_finite() || spread <= 0.0 {
            return Err(format!("the gaps of {name} have the standard deviation {spread}"));
        }
        let deviation = |row: &Row, at: usize| row.features[at] - means[at];
        let covariance = (0..length)
            .map(|one| {
                (0..length).map(|two| mean(&|row| deviation(row, one) * deviation(row, two))).collect()
            })
            .collect();
        let with_gap =
            (0..length).map(|at| mean(&|row| deviation(row, at) * (row.gap - gap) / spread)).collect();
        Ok(Self { name, means, covariance, with_gap })
    }

    /// Mean squared error of these coefficients, each zoo's level aside.
    fn error(&self, coefficients: &[f64]) -> f64 {
        let explained: f64 =
            self.covariance.iter().zip(coefficients).map(|(row, own)| own * dot(row, coefficients)).sum();
        1.0 - 2.0 * dot(&self.with_gap, coefficients) + explained
    }
}

/// The fit on these zoos, with the strength that does best on each of them from the others.
fn chosen(name: String, zoos: &[&Moments]) -> Result<Fit, String> {
    let mut best: Option<(f64, f64)> = None;
    for strength in STRENGTHS {
        let mut error = 0.0;
        for left_out in zoos {
            let others: Vec<&Moments> =
                zoos.iter().copied().filter(|zoo| zoo.name != left_out.name).collect();
            error += left_out.error(&coefficients(&others, strength)?) / zoos.len() as f64;
        }
        if best.is_none_or(|(least, _)| error < least) {
            best = Some((error, strength));
        }
    }
    let (left_out_error, strength) = best.ok_or("no strength to choose from")?;
    let coefficients = coefficients(zoos, strength)?;
    let offset = -zoos.iter().map(|zoo| dot(&zoo.means, &coefficients)).sum::<f64>() / zoos.len() as f64;
    let zoos = zoos.iter().map(|zoo| zoo.name.clone()).collect();
    Ok(Fit { name, zoos, strength, left_out_error, offset, coefficients })
}

/// argmin over β of (1/Z) Σ_zoos (1/n) Σ_networks (gap − βᵀx)² + strength · Σ_j (s_j β_j)², s_j² the mean over the zoos of the
/// variance of x_j.
fn coefficients(zoos: &[&Moments], strength: f64) -> Result<Vec<f64>, String> {
    let share = 1.0 / zoos.len() as f64;
    let length = zoos.first().map_or(0, |zoo| zoo.means.len());
    let over_zoos = |of: &dyn Fn(&Moments) -> f64| zoos.iter().map(|zoo| of(zoo) * share).sum::<f64>();
    let scales: Vec<f64> = (0..length).map(|at| over_zoos(&|zoo| zoo.covariance[at][at]).sqrt()).collect();
    if let Some(at) = scales.iter().position(|scale| !scale.is_finite() || *scale <= 0.0) {
        return Err(format!("feature {at} has the standard deviation {}", scales[at]));
    }
    let system = (0..length)
        .map(|one| {
            (0..length)
                .map(|two| {
                    let penalty = if one == two { strength } else { 0.0 };
                    over_zoos(&|zoo| zoo.covariance[one][two]) / (scales[one] * scales[two]) + penalty
                })
                .collect()
        })
        .collect();
    let wanted = (0..length).map(|at| over_zoos(&|zoo| zoo.with_gap[at]) / scales[at]).collect();
    let solved =
        solve(system, wanted).ok_or("the features depend on each other, and the ridge is too weak")?;
    Ok(solved.iter().zip(&scales).map(|(solved, scale)| solved / scale).collect())
}

/// The solution of a symmetric positive definite system, by Cholesky's factorization; `None` where it is none.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let length = right.len();
    for row in 0..length {
        for column in 0..=row {
            let inner = dot(&matrix[row][..column], &matrix[column][..column]);
            let rest = matrix[row][column] - inner;
            matrix[row][column] = if row == column {
                (rest.is_finite() && rest > 0.0).then(|| rest.sqrt())?
            } else {
                rest / matrix[column][column]
            };
        }
    }
    for row in 0..length {
        right[row] = (right[row] - dot(&matrix[row][..row], &right[..row])) / matrix[row][row];
    }
    for row in (0..length).rev() {
        let later: f64 = (row + 1..length).map(|other| matrix[other][row] * right[other]).sum();
        right[row] = (right[row] - later) / matrix[row][row];
    }
    Some(right)
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zoo, gap, features. The gaps of the zoos have other levels and other scales.
    const ROWS: [(&str, f64, [f64; 2]); 19] = [
        ("a", 0.5687, [0.597, 0.599]),
        ("a", -0.123, [0.332, 1.384]),
        ("a", 0.8974, [0.993, 0.205]),
        ("a", 0.011, [0.978, 1.94]),
        ("a", 0.0409, [0.244, 0.666]),
        ("a", -0.2154, [0.342, 1.548]),
        ("b", 3.0607, [0.584, 0.455]),
        ("b", 2.9665, [0.008, 1.127]),
        ("b", 2.944, [0.155, 1.81]),
        ("b", 3.0136, [0.551, 0.893]),
        ("b", 3.05, [0.966, 1.115]),
        ("b", 3.0621, [0.808, 0.922]),
        ("b", 3.0216, [0.426, 0.788]),
        ("b", 3.0806, [0.818, 0.274]),
        ("c", -2.5638, [0.025, 1.756]),
        ("c", -1.3112, [0.148, 0.96]),
        ("c", -0.2536, [0.409, 0.434]),
        ("c", -0.3538, [0.166, 0.212]),
        ("c", -1.6948, [0.274, 1.631]),
    ];

    fn rows() -> Vec<Row> {
        let row = |(at, (zoo, gap, features)): (usize, &(&str, f64, [f64; 2]))| Row {
            zoo: (*zoo).to_string(),
            network: at as u64,
            digest: at.to_string(),
            gap: *gap,
            features: features.to_vec(),
        };
        ROWS.iter().enumerate().map(row).collect()
    }

    /// Made with NumPy: `numpy.linalg.lstsq` of the rows of all zoos, centred, and divided by √(nZ), on top of the penalty's rows
    /// √strength · diag(s); the strength by a loop over zoos and strengths.
    #[test]
    fn golden_values_of_fits() {
        let expected = [
            (
                "all",
                1e-5,
                0.02805543028819053,
                0.42444820192927907,
                [1.9354238822414027, -1.2883863920531362],
            ),
            (
                "without_a",
                1e-3,
                0.044803974176054924,
                0.4932078371464181,
                [2.0077258932688116, -1.2905719016941637],
            ),
            (
                "without_b",
                1e-5,
                0.04562925051934731,
                0.5891994982641551,
                [1.937453494616689, -1.3135215855226006],
            ),
            (
                "without_c",
                1e-5,
                0.03347008128013809,
                0.16418270138636554,
                [1.902184771848918, -1.242304767489618],
            ),
        ];
        let fits = Fits::of(&rows()).unwrap();
        assert_eq!(fits.fits.len(), expected.len());
        for (fit, (name, strength, error, offset, coefficients)) in fits.fits.iter().zip(expected) {
            assert_eq!((fit.name.as_str(), fit.strength), (name, strength));
            assert!((fit.left_out_error - error).abs() < 1e-12, "{name}: {}", fit.left_out_error);
            assert!((fit.offset - offset).abs() < 1e-12, "{name}: {}", fit.offset);
            for (found, expected) in fit.coefficients.iter().zip(coefficients) {
                assert!((found - expected).abs() < 1e-12, "{name}: {found} {expected}");
            }
        }
    }

    /// Of one feature, coefficient = mean of cov(x, gap/σ) / (mean of var(x) · (1 + strength)).
    #[test]
    fn one_feature_has_a_closed_form() {
        let mut rows = rows();
        rows.iter_mut().for_each(|row| row.features.truncate(1));
        let zoos: Vec<Moments> =
            rows.chunk_by(|one, next| one.zoo == next.zoo).map(|rows| Moments::of(rows).unwrap()).collect();
        let all: Vec<&Moments> = zoos.iter().collect();
        let mean = |of: &dyn Fn(&Moments) -> f64| zoos.iter().map(of).sum::<f64>() / 3.0;
        let plain = mean(&|zoo| zoo.with_gap[0]) / mean(&|zoo| zoo.covariance[0][0]);
        for strength in [0.0, 0.5, 3.0] {
            let found = coefficients(&all, strength).unwrap()[0];
            assert!((found - plain / (1.0 + strength)).abs() < 1e-12, "{strength}: {found} {plain}");
        }
    }

    #[test]
    fn neither_level_nor_scale_of_a_zoos_gaps_matters() {
        let mut rows = rows();
        let before = Fits::of(&rows).unwrap();
        rows.iter_mut().filter(|row| row.zoo == "b").for_each(|row| row.gap = 40.0 * row.gap - 7.0);
        for (before, after) in before.fits.iter().zip(&Fits::of(&rows).unwrap().fits) {
            for (before, after) in before.coefficients.iter().zip(&after.coefficients) {
                assert!((before - after).abs() < 1e-9, "{before} {after}");
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_said() {
        let fails = |change: &dyn Fn(&mut Row)| {
            let mut rows = rows();
            rows.iter_mut().for_each(change);
            Fits::of(&rows).unwrap_err()
        };
        assert!(fails(&|row| row.gap = 0.5).contains("gaps of a have the standard deviation 0"));
        assert!(fails(&|row| row.features[1] = 2.0).contains("feature 1 has the standard deviation 0"));
        assert!(fails(&|row| row.gap = f64::NAN).contains("NaN"));
        assert!(fails(&|row| row.zoo = "a".into()).contains("three zoos"));
        assert!(fails(&|row| row.features.truncate(row.network as usize)).contains("different numbers"));
        let mut split = rows();
        split.rotate_left(3);
        assert!(Fits::of(&split).unwrap_err().contains("in one piece"));
    }
}
