//! How the networks of two groups compare, in gap and in measure.

/// Index of "the first network's number is larger".
pub(crate) const ABOVE: usize = 0;
/// Index of "neither is larger": a tie, or a missing number on either side.
pub(crate) const LEVEL: usize = 1;
/// Index of "the second network's number is larger".
pub(crate) const BELOW: usize = 2;

/// Counts of ordered pairs (a, b), a from one group and b from another: rows by gap, columns by measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignTable(pub [[u64; 3]; 3]);

/// Ranks of a group of networks, in the same order; NaN for a missing number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub gap: &'a [f32],
    pub measure: &'a [f32],
}

/// Fewer comparisons than this are not worth a second thread.
pub(crate) const PARALLEL_FROM: u64 = 1 << 20;

impl SignTable {
    /// Compares every network of `first` with every one of `second`; a network meets itself where it is in both.
    ///
    /// All counts are integers, so that the split over threads cannot change them.
    pub fn count(first: Group, second: Group) -> Self {
        use rayon::prelude::*;
        const ROWS: usize = 128;
        if (first.gap.len() as u64).saturating_mul(second.gap.len() as u64) < PARALLEL_FROM {
            return Self::count_rows(first, second);
        }
        first
            .gap
            .par_chunks(ROWS)
            .zip(first.measure.par_chunks(ROWS))
            .map(|(gap, measure)| Self::count_rows(Group { gap, measure }, second))
            .reduce(Self::default, Self::plus)
    }

    fn count_rows(first: Group, second: Group) -> Self {
        let mut table = [[0; 3]; 3];
        for (&gap, &measure) in first.gap.iter().zip(first.measure) {
            for (sums, row) in table.iter_mut().zip(count_row(gap, measure, second)) {
                for (sum, count) in sums.iter_mut().zip(row) {
                    *sum += u64::from(count);
                }
            }
        }
        Self(table)
    }

    /// The table of the pairs (b, a).
    pub fn mirrored(&self) -> Self {
        let mut mirrored = [[0; 3]; 3];
        for (row, counts) in self.0.iter().enumerate() {
            for (column, &count) in counts.iter().enumerate() {
                mirrored[2 - row][2 - column] = count;
            }
        }
        Self(mirrored)
    }

    fn plus(self, other: Self) -> Self {
        let mut sum = self;
        for (row, counts) in other.0.iter().enumerate() {
            for (column, &count) in counts.iter().enumerate() {
                sum.0[row][column] += count;
            }
        }
        sum
    }
}

/// Compares one network with all of a group, of fewer than 2³² networks.
fn count_row(gap: f32, measure: f32, group: Group) -> [[u32; 3]; 3] {
    // Separate sums, no branch, no table to index: so the compiler makes vector instructions of it.
    let [mut gap_above, mut gap_below, mut measure_above, mut measure_below] = [0; 4];
    let [mut both_above, mut above_below, mut below_above, mut both_below] = [0; 4];
    for (&other_gap, &other_measure) in group.gap.iter().zip(group.measure) {
        let ga = u32::from(gap > other_gap);
        let gb = u32::from(gap < other_gap);
        let ma = u32::from(measure > other_measure);
        let mb = u32::from(measure < other_measure);
        gap_above += ga;
        gap_below += gb;
        measure_above += ma;
        measure_below += mb;
        both_above += ga & ma;
        above_below += ga & mb;
        below_above += gb & ma;
        both_below += gb & mb;
    }
    let level = group.gap.len() as u32 - gap_above - gap_below;
    let level_above = measure_above - both_above - below_above;
    let level_below = measure_below - above_below - both_below;
    [
        [both_above, gap_above - both_above - above_below, above_below],
        [level_above, level - level_above - level_below, level_below],
        [below_above, gap_below - below_above - both_below, both_below],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_missing_numbers_are_level() {
        let first = Group { gap: &[1.0, 1.0, f32::NAN], measure: &[1.0, f32::NAN, 5.0] };
        let second = Group { gap: &[0.0, 1.0], measure: &[1.0, 0.0] };
        // (1,1) with (0,1): above, level; with (1,0): level, above. The measure NaN: above and level, measure level.
        // The gap NaN: level, above twice.
        let expected = SignTable([[0, 2, 0], [3, 1, 0], [0, 0, 0]]);
        assert_eq!(SignTable::count(first, second), expected);
        assert_eq!(SignTable::count(second, first), expected.mirrored());
    }

    #[test]
    fn threads_do_not_change_the_counts() {
        let gap: Vec<f32> = (0..1500u16).map(|i| f32::from(i * 17 % 1009)).collect();
        let measure: Vec<f32> = (0..1500u16).map(|i| f32::from(i * 31 % 997)).collect();
        let group = Group { gap: &gap, measure: &measure };
        assert!((gap.len() as u64).pow(2) >= PARALLEL_FROM);
        assert_eq!(SignTable::count(group, group), SignTable::count_rows(group, group));
    }
}
