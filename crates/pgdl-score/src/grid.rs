//! The grid of hyperparameters that a zoo's networks stand on.

use crate::error::ScoreError;

/// One hyperparameter: its possible values, and the level of every network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Name of the hyperparameter.
    pub name: String,
    /// Its possible values as text, one per level. Values that no network takes are allowed.
    pub labels: Vec<String>,
    /// Per network: index into `labels`.
    pub levels: Vec<u32>,
}

impl Axis {
    /// An axis whose possible values are those that occur, in order of first appearance.
    ///
    /// Levels are equal where the texts are equal; normalise numbers (`512` and `512.0`) before.
    pub fn observed<T: AsRef<str>>(name: impl Into<String>, values: &[T]) -> Self {
        let mut labels: Vec<String> = Vec::new();
        let mut known = std::collections::HashMap::new();
        let mut levels = Vec::with_capacity(values.len());
        for value in values {
            let next = labels.len() as u32;
            let level = *known.entry(value.as_ref()).or_insert_with(|| {
                labels.push(value.as_ref().to_owned());
                next
            });
            levels.push(level);
        }
        Self { name: name.into(), labels, levels }
    }

    /// Number of possible values.
    pub fn values(&self) -> usize {
        self.labels.len()
    }
}

/// The hyperparameters of a zoo's networks, checked to be of equal length and within their possible values.
///
/// A grid need not be complete or unique; [`Grid::occupancy`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    networks: usize,
    axes: Vec<Axis>,
    seeds: Option<Vec<u32>>,
}

/// How the networks fill the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Number of combinations of possible values (and of occurring seeds, where the grid has seeds);
    /// `u64::MAX` where it is larger than that.
    pub combinations: u64,
    /// Number of combinations that at least one network takes.
    pub occupied: u64,
    /// Number of networks beyond the first one of each combination.
    pub duplicates: u64,
}

impl Grid {
    /// A grid of `networks` networks.
    ///
    /// `seeds` marks repeated trainings of one setting: networks that agree in all axes and differ in their seed.
    /// The granulated Kendall coefficient holds the seed fixed like another hyperparameter; no other statistic
    /// treats it as an axis. Whoever wants it to be one everywhere adds it to `axes`.
    ///
    /// # Errors
    /// A list whose length is not `networks`, a level beyond the possible values, an axis named twice.
    pub fn new(networks: usize, axes: Vec<Axis>, seeds: Option<Vec<u32>>) -> Result<Self, ScoreError> {
        for (position, axis) in axes.iter().enumerate() {
            if axis.levels.len() != networks {
                return Err(ScoreError::Length {
                    what: format!("hyperparameter {}", axis.name),
                    expected: networks,
                    found: axis.levels.len(),
                });
            }
            if let Some(network) = axis.levels.iter().position(|&level| level as usize >= axis.values()) {
                return Err(ScoreError::Level {
                    axis: axis.name.clone(),
                    network,
                    level: axis.levels[network],
                    values: axis.values(),
                });
            }
            if axes[..position].iter().any(|other| other.name == axis.name) {
                return Err(ScoreError::RepeatedAxis(axis.name.clone()));
            }
        }
        if let Some(seeds) = &seeds
            && seeds.len() != networks
        {
            return Err(ScoreError::Length { what: "seeds".into(), expected: networks, found: seeds.len() });
        }
        Ok(Self { networks, axes, seeds })
    }

    /// Number of networks.
    pub fn networks(&self) -> usize {
        self.networks
    }

    /// The hyperparameters.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Per network, the seed of its training, where the caller said so.
    pub fn seeds(&self) -> Option<&[u32]> {
        self.seeds.as_deref()
    }

    /// Names of the axes with the given indices; indices that are no axis are passed over.
    pub fn names(&self, axes: &[usize]) -> Vec<&str> {
        axes.iter().filter_map(|&axis| self.axes.get(axis)).map(|axis| axis.name.as_str()).collect()
    }

    /// Whether every combination of possible values (and seeds) is taken, and by one network only.
    pub fn occupancy(&self) -> Occupancy {
        let axes: Vec<usize> = (0..self.axes.len()).collect();
        let order = self.sorted_by(&axes, true);
        let occupied = self.runs(&order, &axes, true).count() as u64;
        let mut combinations: u64 =
            self.axes.iter().fold(1, |product, axis| product.saturating_mul(axis.values() as u64));
        if let Some(seeds) = &self.seeds {
            let distinct: std::collections::BTreeSet<u32> = seeds.iter().copied().collect();
            combinations = combinations.saturating_mul(distinct.len() as u64);
        }
        Occupancy { combinations, occupied, duplicates: self.networks as u64 - occupied }
    }

    /// Positions of the networks, ordered by their levels on `axes`, then by seed if asked, then by position.
    pub(crate) fn sorted_by(&self, axes: &[usize], by_seed: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.networks).collect();
        order.sort_by(|&a, &b| self.compare(a, b, axes, by_seed));
        order
    }

    /// Cuts `order` into runs of networks that agree on `axes` (and in their seed, if asked).
    pub(crate) fn runs<'a>(
        &'a self,
        order: &'a [usize],
        axes: &'a [usize],
        by_seed: bool,
    ) -> impl Iterator<Item = &'a [usize]> {
        order.chunk_by(move |&a, &b| self.compare(a, b, axes, by_seed).is_eq())
    }

    fn compare(&self, a: usize, b: usize, axes: &[usize], by_seed: bool) -> std::cmp::Ordering {
        let mut order = std::cmp::Ordering::Equal;
        for &axis in axes {
            let levels = &self.axes[axis].levels;
            order = order.then(levels[a].cmp(&levels[b]));
        }
        match &self.seeds {
            Some(seeds) if by_seed => order.then(seeds[a].cmp(&seeds[b])),
            _ => order,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, levels: &[u32], values: usize) -> Axis {
        Axis {
            name: name.into(),
            labels: (0..values).map(|value| value.to_string()).collect(),
            levels: levels.to_vec(),
        }
    }

    #[test]
    fn a_list_of_another_length_is_refused_by_name() {
        let error = Grid::new(3, vec![axis("lr", &[0, 1], 2)], None).unwrap_err();
        assert_eq!(error.to_string(), "hyperparameter lr has 2 entries for 3 networks");
        let error = Grid::new(2, vec![axis("lr", &[0, 1], 2)], Some(vec![0])).unwrap_err();
        assert_eq!(error.to_string(), "seeds has 1 entries for 2 networks");
    }

    #[test]
    fn a_level_beyond_the_possible_values_is_refused() {
        let error = Grid::new(2, vec![axis("lr", &[0, 2], 2)], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "hyperparameter lr: network at position 1 has level 2 of 2 possible values"
        );
    }

    #[test]
    fn an_axis_named_twice_is_refused() {
        let axes = vec![axis("lr", &[0], 1), axis("lr", &[0], 1)];
        assert_eq!(Grid::new(1, axes, None), Err(ScoreError::RepeatedAxis("lr".into())));
    }

    #[test]
    fn occupancy_counts_holes_and_duplicates() {
        let axes = vec![axis("lr", &[0, 0, 1, 1], 2), axis("bs", &[0, 0, 0, 1], 3)];
        let grid = Grid::new(4, axes.clone(), None).unwrap();
        assert_eq!(grid.occupancy(), Occupancy { combinations: 6, occupied: 3, duplicates: 1 });
        let grid = Grid::new(4, axes, Some(vec![0, 1, 0, 0])).unwrap();
        assert_eq!(grid.occupancy(), Occupancy { combinations: 12, occupied: 4, duplicates: 0 });
    }

    #[test]
    fn occupancy_of_a_grid_without_axes_or_networks() {
        let empty = Grid::new(0, vec![], None).unwrap();
        assert_eq!(empty.occupancy(), Occupancy { combinations: 1, occupied: 0, duplicates: 0 });
        let pile = Grid::new(3, vec![], None).unwrap();
        assert_eq!(pile.occupancy(), Occupancy { combinations: 1, occupied: 1, duplicates: 2 });
    }

    #[test]
    fn observed_levels_follow_first_appearance() {
        let axis = Axis::observed("bs", &["32", "8", "32", "512"]);
        assert_eq!(axis.levels, [0, 1, 0, 2]);
        assert_eq!(axis.labels, ["32", "8", "512"]);
    }
}
