//! The linear assignment problem, exactly.

/// The least Σᵢ `cost[i][σ(i)]` over all permutations σ, for a square matrix `[n · n]` of finite costs by rows; `None`
/// where `costs` is something else.
///
/// Rows are assigned one after another along shortest augmenting paths in reduced costs (Jonker, Volgenant 1987;
/// the Hungarian method with potentials): O(n³), exact up to rounding.
pub fn least_assignment(costs: &[f64], n: usize) -> Option<f64> {
    if n.checked_mul(n) != Some(costs.len()) || costs.iter().any(|cost| !cost.is_finite()) {
        return None;
    }
    let mut row_price = vec![0.0; n];
    let mut column_price = vec![0.0; n];
    let mut row_of: Vec<Option<usize>> = vec![None; n];
    for start in 0..n {
        let path = shortest_path(costs, n, start, &row_price, &column_price, &row_of);
        // Prices keep every reduced cost ≥ 0, and those of assigned pairs at 0.
        row_price[start] += path.length;
        for &column in &path.scanned {
            if let Some(row) = row_of[column] {
                row_price[row] += path.length - path.distance[column];
            }
            column_price[column] -= path.length - path.distance[column];
        }
        let mut column = path.end;
        loop {
            let row = path.row_before[column];
            row_of[column] = Some(row);
            if row == start {
                break;
            }
            column = path.column_before[row];
        }
    }
    let mut sum = 0.0;
    for (column, row) in row_of.into_iter().enumerate() {
        sum += costs[row? * n + column];
    }
    Some(sum)
}

/// A shortest augmenting path.
struct Path {
    /// Its length in reduced costs.
    length: f64,
    /// The free column where it ends.
    end: usize,
    /// The assigned columns nearer than the end.
    scanned: Vec<usize>,
    /// Distance of each column from the start.
    distance: Vec<f64>,
    /// For each column the row from which it is reached.
    row_before: Vec<usize>,
    /// For each row on the way the column through which it is reached.
    column_before: Vec<usize>,
}

/// Dijkstra's search from a free row to the nearest free column.
fn shortest_path(
    costs: &[f64],
    n: usize,
    start: usize,
    row_price: &[f64],
    column_price: &[f64],
    row_of: &[Option<usize>],
) -> Path {
    let mut distance = vec![f64::INFINITY; n];
    let mut row_before = vec![start; n];
    let mut column_before = vec![0; n];
    let mut open: Vec<usize> = (0..n).collect();
    let mut scanned = Vec::new();
    let (mut row, mut length) = (start, 0.0);
    loop {
        let mut nearest = 0;
        for (position, &column) in open.iter().enumerate() {
            let through = length + costs[row * n + column] - row_price[row] - column_price[column];
            if through < distance[column] {
                distance[column] = through;
                row_before[column] = row;
            }
            if distance[column] < distance[open[nearest]] {
                nearest = position;
            }
        }
        let column = open.swap_remove(nearest);
        length = distance[column];
        match row_of[column] {
            None => return Path { length, end: column, scanned, distance, row_before, column_before },
            Some(next) => {
                scanned.push(column);
                column_before[next] = column;
                row = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::least_assignment;

    /// Numbers that look random, the same in Rust and Python.
    fn pseudo_random(count: usize, mut state: u64) -> Vec<f64> {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..count).map(|_| next()).collect()
    }

    /// Least cost by trying all permutations.
    fn by_enumeration(costs: &[f64], n: usize, row: usize, used: &mut Vec<bool>) -> f64 {
        if row == n {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..n {
            if !used[column] {
                used[column] = true;
                best = best.min(costs[row * n + column] + by_enumeration(costs, n, row + 1, used));
                used[column] = false;
            }
        }
        best
    }

    #[test]
    fn the_least_of_all_permutations() {
        for n in 1..=7 {
            for seed in 0..20 {
                let costs: Vec<f64> =
                    pseudo_random(n * n, seed).iter().map(|x| (x * 8.0).floor() - 3.0).collect();
                let expected = by_enumeration(&costs, n, 0, &mut vec![false; n]);
                assert_eq!(least_assignment(&costs, n), Some(expected), "{n} {seed}");
            }
        }
    }

    /// From `scipy.optimize.linear_sum_assignment` (SciPy 1.17.1) on the same costs.
    #[test]
    fn golden_values_of_scipy() {
        for (n, seed, expected) in GOLDEN {
            let found = least_assignment(&pseudo_random(n * n, seed), n).unwrap();
            assert!((found - expected).abs() < 1e-12, "{n}: {found} {expected}");
        }
    }

    const GOLDEN: [(usize, u64, f64); 4] = [
        (2, 1, 0.8060725613809734),
        (10, 2, 0.8511212616964259),
        (57, 3, 1.6110523468854465),
        (150, 4, 1.653424305244358),
    ];

    #[test]
    fn what_is_no_square_of_finite_costs_has_no_assignment() {
        assert_eq!(least_assignment(&[], 0), Some(0.0));
        assert_eq!(least_assignment(&[1.0, 2.0], 1), None);
        assert_eq!(least_assignment(&[f64::NAN], 1), None);
        assert_eq!(least_assignment(&[f64::INFINITY], 1), None);
    }
}
