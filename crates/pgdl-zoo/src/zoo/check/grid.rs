//! Whether the networks are a grid: every combination of possible values once.

use std::collections::BTreeMap;

use super::Finding;
use crate::hyperparameter::HyperValue;
use crate::zoo::Listing;

/// Holes that are named one by one.
const NAMED_HOLES: usize = 20;
/// Combinations that are gone through.
const LARGEST_GRID: usize = 1 << 20;

/// What there is to say about a grid.
#[derive(Debug, Default, PartialEq)]
pub(in crate::zoo) struct Grid {
    pub findings: Vec<Finding>,
    pub notes: Vec<String>,
}

/// Examines the grid of a listing.
pub(in crate::zoo) fn examine(listing: &Listing) -> Grid {
    let mut grid = Grid::default();
    if listing.hyperparameters.is_empty() {
        grid.notes.push("the networks have no hyperparameters: there is no grid".to_owned());
        return grid;
    }
    // Per axis: the values that occur, in the order of the possible values.
    let mut axes: Vec<(&str, Vec<&HyperValue>)> = Vec::new();
    for (position, axis) in listing.hyperparameters.iter().enumerate() {
        let occurs = |value: &&HyperValue| {
            listing.networks.iter().any(|network| network.hyperparameters.get(position) == Some(value))
        };
        let (used, unused): (Vec<_>, Vec<_>) = axis.possible_values.iter().partition(|value| occurs(value));
        for value in unused {
            grid.findings.push(Finding::new(format!("grid: no network has {} = {value}", axis.name)));
        }
        if let [value] = used.as_slice() {
            grid.notes.push(format!("{} has one value only: {value}", axis.name));
        }
        axes.push((&axis.name, used));
    }
    let mut cells: BTreeMap<Vec<usize>, Vec<u64>> = BTreeMap::new();
    for network in &listing.networks {
        let place = |((_, values), own): (&(&str, Vec<&HyperValue>), &HyperValue)| {
            values.iter().position(|value| *value == own).unwrap_or(values.len())
        };
        let cell = axes.iter().zip(&network.hyperparameters).map(place).collect();
        cells.entry(cell).or_default().push(network.id);
    }
    let described = |cell: &[usize]| {
        let parts: Vec<String> = axes
            .iter()
            .zip(cell)
            .filter_map(|((name, values), place)| Some(format!("{name} = {}", values.get(*place)?)))
            .collect();
        parts.join(", ")
    };
    for (cell, ids) in cells.iter().filter(|(_, ids)| ids.len() > 1) {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        grid.findings.push(Finding::new(format!(
            "grid: networks {} share one combination ({})",
            ids.join(", "),
            described(cell)
        )));
    }
    let sizes: Vec<usize> = axes.iter().map(|(_, values)| values.len()).collect();
    let size = sizes.iter().try_fold(1usize, |size, axis| size.checked_mul(*axis));
    let Some(size) = size.filter(|size| *size <= LARGEST_GRID) else {
        grid.findings.push(Finding::new(format!(
            "grid: {} networks are far from a complete grid (of {})",
            listing.networks.len(),
            sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
        )));
        return grid;
    };
    let holes = (0..size).map(|number| combination(number, &sizes)).filter(|cell| !cells.contains_key(cell));
    for cell in holes.take(NAMED_HOLES) {
        grid.findings.push(Finding::new(format!("grid: no network has {}", described(&cell))));
    }
    let more = size.saturating_sub(cells.len()).saturating_sub(NAMED_HOLES);
    if more > 0 {
        grid.findings.push(Finding::new(format!("grid: {more} further combinations are missing")));
    }
    grid
}

/// The combination of this number; the last axis moves fastest.
fn combination(mut number: usize, sizes: &[usize]) -> Vec<usize> {
    let mut cell: Vec<usize> = sizes
        .iter()
        .rev()
        .map(|size| {
            let place = number % size;
            number /= size;
            place
        })
        .collect();
    cell.reverse();
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyperparameter::Hyperparameter;
    use crate::zoo::NetworkEntry;

    fn listing(axes: &[(&str, &[f64])], networks: &[&[f64]]) -> Listing {
        Listing {
            hyperparameters: axes
                .iter()
                .map(|(name, values)| Hyperparameter {
                    name: (*name).to_owned(),
                    possible_values: values.iter().map(|value| (*value).into()).collect(),
                })
                .collect(),
            networks: networks
                .iter()
                .enumerate()
                .map(|(id, values)| NetworkEntry {
                    id: 10 * id as u64,
                    hyperparameters: values.iter().map(|value| (*value).into()).collect(),
                    metrics: None,
                    dev_name: None,
                })
                .collect(),
        }
    }

    fn problems(listing: &Listing) -> Vec<String> {
        examine(listing).findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_complete_grid_has_nothing_wrong() {
        let complete = listing(
            &[("lr", &[0.1, 0.2]), ("depth", &[2.0, 4.0]), ("width", &[8.0])],
            &[&[0.1, 2.0, 8.0], &[0.2, 2.0, 8.0], &[0.1, 4.0, 8.0], &[0.2, 4.0, 8.0]],
        );
        let grid = examine(&complete);
        assert_eq!(grid.findings, []);
        assert_eq!(grid.notes, ["width has one value only: 8"]);
    }

    #[test]
    fn holes_and_duplicates_are_named() {
        let broken = listing(
            &[("lr", &[0.1, 0.2]), ("depth", &[2.0, 4.0])],
            &[&[0.1, 2.0], &[0.2, 2.0], &[0.1, 4.0], &[0.1, 4.0]],
        );
        assert_eq!(
            problems(&broken),
            [
                "grid: networks 20, 30 share one combination (lr = 0.1, depth = 4)",
                "grid: no network has lr = 0.2, depth = 4"
            ]
        );
    }

    #[test]
    fn values_that_never_occur_are_named_once() {
        let broken = listing(
            &[("lr", &[0.1, 0.2, 0.3]), ("depth", &[2.0, 4.0])],
            &[&[0.1, 2.0], &[0.2, 2.0], &[0.1, 4.0], &[0.2, 4.0]],
        );
        assert_eq!(problems(&broken), ["grid: no network has lr = 0.3"]);
    }

    #[test]
    fn many_holes_are_counted_and_no_grid_is_too_large() {
        let values: Vec<f64> = (0..30).map(f64::from).collect();
        let diagonal: Vec<Vec<f64>> = values.iter().map(|value| vec![*value; 2]).collect();
        let networks: Vec<&[f64]> = diagonal.iter().map(Vec::as_slice).collect();
        let found = problems(&listing(&[("a", &values), ("b", &values)], &networks));
        assert_eq!(found.len(), NAMED_HOLES + 1);
        assert_eq!(found[NAMED_HOLES], format!("grid: {} further combinations are missing", 900 - 30 - NAMED_HOLES));
        let axes: Vec<(String, &[f64])> = (0..20).map(|axis| (axis.to_string(), values.as_slice())).collect();
        let axes: Vec<(&str, &[f64])> = axes.iter().map(|(name, values)| (name.as_str(), *values)).collect();
        let diagonal: Vec<Vec<f64>> = values.iter().map(|value| vec![*value; 20]).collect();
        let networks: Vec<&[f64]> = diagonal.iter().map(Vec::as_slice).collect();
        assert!(problems(&listing(&axes, &networks))[0].contains("30 networks are far from"));
    }

    #[test]
    fn without_hyperparameters_there_is_no_grid() {
        let grid = examine(&listing(&[], &[&[], &[]]));
        assert_eq!((grid.findings.len(), grid.notes.len()), (0, 1));
    }
}
