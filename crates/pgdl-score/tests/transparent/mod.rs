//! Every statistic once more, as slowly and as plainly as its definition reads. Shares no code with the crate.

#![allow(dead_code, reason = "each test and the benchmark use some of it")]

use std::collections::BTreeMap;

/// A grid of networks, with plain lists: `levels[axis][network]`, `values[axis]` = number of possible values.
#[derive(Clone, Debug)]
pub struct Case {
    pub levels: Vec<Vec<u32>>,
    pub values: Vec<usize>,
    pub seeds: Option<Vec<u32>>,
    pub gap: Vec<f64>,
    pub measure: Vec<f64>,
}

impl Case {
    pub fn networks(&self) -> usize {
        self.gap.len()
    }

    fn covered(&self) -> Vec<usize> {
        (0..self.networks()).filter(|&a| !self.gap[a].is_nan() && !self.measure[a].is_nan()).collect()
    }

    fn place(&self, a: usize, axes: &[usize]) -> Vec<u32> {
        axes.iter().map(|&axis| self.levels[axis][a]).collect()
    }
}

fn sign(a: f64, b: f64) -> i32 {
    i32::from(a > b) - i32::from(a < b)
}

/// Steps 1 to 4 of the competition's program; `mirrored` adds the flipped pair to the swapped cell.
pub fn cmi_pgdl(case: &Case, mirrored: bool) -> Option<(f64, Vec<f64>)> {
    let mut every_pair = Vec::new();
    for h1 in 0..case.values.len() {
        for h2 in 0..case.values.len() {
            if h1 != h2 {
                every_pair.push(((h1, h2), cmi_pgdl_of_pair(case, h1, h2, mirrored)));
            }
        }
    }
    let least = every_pair.iter().map(|&(_, value)| value).reduce(f64::min)?;
    let unordered = every_pair.iter().filter(|((h1, h2), _)| h1 < h2).map(|&(_, value)| value).collect();
    Some((least, unordered))
}

fn cmi_pgdl_of_pair(case: &Case, h1: usize, h2: usize, mirrored: bool) -> f64 {
    let mut cells: BTreeMap<[u32; 4], [[f64; 2]; 2]> = BTreeMap::new();
    let n = case.networks();
    for a in 0..n {
        for b in 0..n {
            let key = |a: usize, b: usize| {
                [case.levels[h1][a], case.levels[h1][b], case.levels[h2][a], case.levels[h2][b]]
            };
            let row = usize::from(case.gap[a] > case.gap[b]);
            let column = usize::from(case.measure[a] > case.measure[b]);
            cells.entry(key(a, b)).or_default()[row][column] += 1.0;
            if mirrored {
                cells.entry(key(b, a)).or_default()[1 - row][1 - column] += 1.0;
            }
        }
    }
    let all_cells = (case.values[h1] * case.values[h1] * case.values[h2] * case.values[h2]) as f64;
    let (mut mutual, mut entropy) = (0.0, 0.0);
    for table in cells.values() {
        let total: f64 = table.iter().flatten().sum();
        for row in table {
            let p_row = (row[0] + row[1]) / total;
            entropy -= p_row * (p_row + 1e-12).log2();
            for (column, count) in row.iter().enumerate() {
                let p_column = (table[0][column] + table[1][column]) / total;
                let p = count / total;
                if p > 0.0 {
                    mutual += p * (p / (p_row * p_column)).log2();
                }
            }
        }
    }
    (mutual / all_cells) / (entropy / all_cells)
}

/// min over sets of at most two hyperparameters of I(V_μ; V_g | U_S) / H(V_g | U_S), over unordered pairs: directed
/// by U_S where it differs, in either direction with half the weight where it does not.
pub fn cmi_fgm(case: &Case) -> Option<f64> {
    let mut sets: Vec<Vec<usize>> = vec![vec![]];
    for first in 0..case.values.len() {
        sets.push(vec![first]);
        sets.extend((0..first).map(|second| vec![first, second]));
    }
    sets.iter().filter_map(|set| cmi_fgm_of_set(case, set)).reduce(f64::min)
}

fn cmi_fgm_of_set(case: &Case, set: &[usize]) -> Option<f64> {
    type Key = (Vec<u32>, Vec<u32>);
    let mut joint: BTreeMap<(Key, i32, i32), f64> = BTreeMap::new();
    let covered = case.covered();
    for (i, &a) in covered.iter().enumerate() {
        for &b in &covered[..i] {
            let (of_a, of_b) = (case.place(a, set), case.place(b, set));
            let (gap, measure) = (sign(case.gap[a], case.gap[b]), sign(case.measure[a], case.measure[b]));
            let mut add = |key: Key, gap: i32, measure: i32, weight: f64| {
                *joint.entry((key, gap, measure)).or_default() += weight;
            };
            match of_a.cmp(&of_b) {
                std::cmp::Ordering::Less => add((of_a, of_b), gap, measure, 1.0),
                std::cmp::Ordering::Greater => add((of_b, of_a), -gap, -measure, 1.0),
                std::cmp::Ordering::Equal => {
                    add((of_a.clone(), of_b.clone()), gap, measure, 0.5);
                    add((of_a, of_b), -gap, -measure, 0.5);
                }
            }
        }
    }
    let total: f64 = joint.values().sum();
    let share = |matches: &dyn Fn(&(Key, i32, i32)) -> bool| {
        joint.iter().filter(|(event, _)| matches(event)).map(|(_, weight)| weight / total).sum::<f64>()
    };
    let mut mutual = 0.0;
    let mut entropy = 0.0;
    for ((key, gap, measure), weight) in &joint {
        let p = weight / total;
        let p_key = share(&|event| event.0 == *key);
        let p_gap = share(&|event| event.0 == *key && event.1 == *gap);
        let p_measure = share(&|event| event.0 == *key && event.2 == *measure);
        mutual += p * (p * p_key / (p_gap * p_measure)).ln();
        entropy -= p * (p_gap / p_key).ln();
    }
    // Certain signs leave a trace of rounding.
    (entropy > 1e-14).then(|| mutual / entropy)
}

/// Concordant, discordant, tied in x, tied in y: by looking at all pairs.
pub fn kendall_counts(x: &[f64], y: &[f64]) -> [u64; 4] {
    let mut counts = [0; 4];
    for i in 0..x.len() {
        for j in 0..i {
            if [x[i], x[j], y[i], y[j]].iter().any(|value| value.is_nan()) {
                continue;
            }
            match sign(x[i], x[j]) * sign(y[i], y[j]) {
                1 => counts[0] += 1,
                -1 => counts[1] += 1,
                _ => {}
            }
            counts[2] += u64::from(x[i] == x[j]);
            counts[3] += u64::from(y[i] == y[j]);
        }
    }
    counts
}

pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan()).count();
    let [concordant, discordant, tied_x, tied_y] = kendall_counts(x, y).map(|count| count as f64);
    let pairs = n as f64 * (n as f64 - 1.0) / 2.0;
    let ordered = (pairs - tied_x) * (pairs - tied_y);
    (n > 1 && ordered > 0.0).then(|| (concordant - discordant) / ordered.sqrt())
}

/// ψ per axis with the number of undefined cells.
pub fn granulated_kendall(case: &Case) -> Vec<(Option<f64>, usize)> {
    (0..case.values.len())
        .map(|axis| {
            let others: Vec<usize> = (0..case.values.len()).filter(|&other| other != axis).collect();
            type Place = (Vec<u32>, Option<u32>);
            let mut cells: BTreeMap<Place, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
            for a in 0..case.networks() {
                let seed = case.seeds.as_ref().map(|seeds| seeds[a]);
                let cell = cells.entry((case.place(a, &others), seed)).or_default();
                cell.0.push(case.measure[a]);
                cell.1.push(case.gap[a]);
            }
            let taus: Vec<f64> = cells.values().filter_map(|(x, y)| kendall_tau_b(x, y)).collect();
            let mean = (!taus.is_empty()).then(|| taus.iter().sum::<f64>() / taus.len() as f64);
            (mean, cells.len() - taus.len())
        })
        .collect()
}

/// Sign errors of all kept environments (ordered pairs of settings), ascending.
pub fn sign_errors(case: &Case, n: f64, floor: f64) -> Vec<f64> {
    let all: Vec<usize> = (0..case.values.len()).collect();
    let mut settings: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for a in case.covered() {
        settings.entry(case.place(a, &all)).or_default().push(a);
    }
    let mut errors = Vec::new();
    for (first, of_first) in &settings {
        for (second, of_second) in &settings {
            if first.iter().zip(second).filter(|(a, b)| a != b).count() != 1 {
                continue;
            }
            let mut pairs = Vec::new();
            for &a in of_first {
                for &b in of_second {
                    let delta = (case.gap[a] - case.gap[b]).abs();
                    let w = (1.0 - 2.0 * (-2.0 * n * (delta / 2.0).powi(2)).exp()).max(0.0).powi(2);
                    let product = sign(case.measure[a], case.measure[b]) * sign(case.gap[a], case.gap[b]);
                    pairs.push(((w - 0.5).max(0.0), 0.5 * (1.0 - f64::from(product))));
                }
            }
            let total: f64 = pairs.iter().map(|(w, _)| w).sum();
            let squares: f64 = pairs.iter().map(|(w, _)| w * w).sum();
            if total > 0.0 && total * total / squares >= floor {
                errors.push(pairs.iter().map(|(w, error)| w * error).sum::<f64>() / total);
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    errors
}

/// Spearman's ρ from ranks found by counting.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    let ranks = |values: &[f64]| -> Vec<f64> {
        let below = |v: f64| values.iter().filter(|&&other| other < v).count() as f64;
        let equal = |v: f64| values.iter().filter(|&&other| other == v).count() as f64;
        values.iter().map(|&v| below(v) + (equal(v) + 1.0) / 2.0).collect()
    };
    pearson(&ranks(x), &ranks(y))
}

pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    let (sxx, syy) = (sum(&|x, _| x * x), sum(&|_, y| y * y));
    (sxx > 1e-20 && syy > 1e-20).then(|| sum(&|x, y| x * y) / (sxx * syy).sqrt())
}

/// n lines, each fitted to the other n − 1 networks.
pub fn cross_validated_r2(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len();
    let mean = y.iter().sum::<f64>() / n as f64;
    let (mut press, mut around_mean) = (0.0, 0.0);
    for i in 0..n {
        let others: Vec<(f64, f64)> = (0..n).filter(|&j| j != i).map(|j| (x[j], y[j])).collect();
        let m = others.len() as f64;
        let (mx, my) =
            (others.iter().map(|p| p.0).sum::<f64>() / m, others.iter().map(|p| p.1).sum::<f64>() / m);
        let slope = others.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
            / others.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
        press += (y[i] - my - slope * (x[i] - mx)).powi(2);
        around_mean += (y[i] - mean).powi(2);
    }
    1.0 - press / around_mean
}
