//! Ordinary least squares with an intercept.

/// A column whose part orthogonal to the columns before it is smaller than this share of its length says nothing new.
const COLLINEAR: f64 = 1e-9;

/// Fits `targets` by a linear function of `rows` and evaluates it at `at`. Columns that are constant or depend linearly
/// on those before them are left out. Rows, `at`: the same number of columns.
///
/// The fit is made by Gram–Schmidt orthogonalization of the centred columns; the same steps turn `at` into its
/// coordinates, so that the prediction is a sum over orthogonal directions. `None` without rows.
pub fn predict(rows: &[Vec<f64>], targets: &[f64], at: &[f64]) -> Option<f64> {
    let count = rows.len();
    if count == 0 {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count as f64;
    let level = mean(&mut targets.iter().copied());
    let mut prediction = level;
    // Orthonormal directions over the rows, each with the coordinate of `at` along it.
    let mut directions: Vec<(Vec<f64>, f64)> = Vec::new();
    for (column, &coordinate) in at.iter().enumerate() {
        let centre = mean(&mut rows.iter().map(|row| row[column]));
        let mut direction: Vec<f64> = rows.iter().map(|row| row[column] - centre).collect();
        let mut coordinate = coordinate - centre;
        let length = dot(&direction, &direction).sqrt();
        // A second round removes what rounding left in the first.
        for (other, other_coordinate) in directions.iter().chain(&directions) {
            let along = dot(&direction, other);
            direction.iter_mut().zip(other).for_each(|(value, part)| *value -= along * part);
            coordinate -= along * other_coordinate;
        }
        let rest = dot(&direction, &direction).sqrt();
        if rest <= COLLINEAR * length || rest <= f64::MIN_POSITIVE {
            continue;
        }
        direction.iter_mut().for_each(|value| *value /= rest);
        coordinate /= rest;
        let effect: f64 = direction.iter().zip(targets).map(|(value, target)| value * (target - level)).sum();
        prediction += effect * coordinate;
        directions.push((direction, coordinate));
    }
    Some(prediction)
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: Option<f64>, expected: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }

    #[test]
    fn a_line_through_three_points_by_hand() {
        // Points (0, 0), (1, 1), (2, 1): slope 1/2 through the means (1, 2/3); at 4 that is 2/3 + 3/2.
        close(predict(&[vec![0.0], vec![1.0], vec![2.0]], &[0.0, 1.0, 1.0], &[4.0]), 13.0 / 6.0);
    }

    #[test]
    fn a_linear_function_is_found_exactly_whatever_the_scales() {
        let rows: Vec<Vec<f64>> =
            (0..12).map(|i| vec![(i % 4) as f64, 1e-4 * f64::from(i / 4), 1e3 * f64::from(i * i)]).collect();
        let function = |row: &[f64]| 0.3 - 0.1 * row[0] + 500.0 * row[1] + 1e-5 * row[2];
        let targets: Vec<f64> = rows.iter().map(|row| function(row)).collect();
        let at = [2.5, -3e-4, 77.0];
        close(predict(&rows, &targets, &at), function(&at));
    }

    #[test]
    fn constant_and_dependent_columns_change_nothing() {
        let targets = [0.0, 1.0, 1.0];
        let rows = [vec![5.0, 0.0, 0.0], vec![5.0, 1.0, 2.0], vec![5.0, 2.0, 4.0]];
        close(predict(&rows, &targets, &[9.0, 4.0, 8.0]), 13.0 / 6.0);
        close(predict(&[vec![1.0]], &[0.25], &[7.0]), 0.25);
        assert_eq!(predict(&[], &[], &[1.0]), None);
    }
}
