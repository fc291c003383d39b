//! A part of the networks, for sharing a run among machines.

use std::fmt;
use std::str::FromStr;

use crate::error::RunError;

/// Part `index` of `count` parts of the networks, counted from 1.
///
/// Parts are dealt out like cards, in the zoo's order: neighbours on the grid, which cost about the same, go to
/// different parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Part `index` of `count`, counted from 1.
    ///
    /// # Errors
    /// [`RunError::Shard`] unless 1 ≤ `index` ≤ `count`.
    pub fn new(index: usize, count: usize) -> Result<Shard, RunError> {
        if (1..=count).contains(&index) {
            Ok(Shard { index, count })
        } else {
            Err(RunError::Shard {
                text: format!("{index}/{count}"),
                reason: "the part lies outside 1 to the number of parts",
            })
        }
    }

    /// Whether the network at `position` in the zoo belongs to this part.
    pub fn holds(&self, position: usize) -> bool {
        position % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = RunError;

    fn from_str(text: &str) -> Result<Shard, RunError> {
        let bad = |reason| RunError::Shard { text: text.to_owned(), reason };
        let (index, count) = text.split_once('/').ok_or_else(|| bad("there is no `/` in it"))?;
        let number =
            |text: &str| text.trim().parse().map_err(|_| bad("both parts are positive whole numbers"));
        Shard::new(number(index)?, number(count)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_disjoint_and_together_everything() {
        for count in 1..=7 {
            for position in 0..30 {
                let holders = (1..=count).filter(|&index| Shard::new(index, count).unwrap().holds(position));
                assert_eq!(holders.count(), 1, "network {position} of {count} parts");
            }
        }
    }

    #[test]
    fn a_shard_reads_as_it_is_written_and_nonsense_is_refused() {
        assert_eq!("2/8".parse::<Shard>().unwrap().to_string(), "2/8");
        for text in ["", "2", "0/8", "9/8", "a/8", "2/0", "-1/2", "1/2/3"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.hint().is_some(), "{text}");
        }
    }
}
