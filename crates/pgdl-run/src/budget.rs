//! How much time an evaluation may take.

use std::time::Duration;

use crate::protocol::seconds;

/// What a budget is counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetUnit {
    /// One network with all its measures, from the moment its weights are read.
    Network,
    /// One measure on one network.
    Measure,
    /// One measure over all networks of the plan together, as in the competition: the limit times the number of
    /// networks. It is looked at between networks, so that the network in hand when it runs out is still finished
    /// (within one further share of the limit), and those after it are not begun.
    Pooled,
}

/// A limit of time, and what it is counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The time: per network, per measure and network, or per network of the pool.
    pub limit: Duration,
    /// What it is counted over.
    pub unit: BudgetUnit,
}

impl Budget {
    /// The whole pool for `networks` networks.
    pub fn pool(&self, networks: usize) -> Duration {
        self.limit.saturating_mul(u32::try_from(networks).unwrap_or(u32::MAX))
    }

    /// The budget in words, for `networks` networks.
    pub fn describe(&self, networks: usize) -> String {
        let limit = seconds(self.limit);
        match self.unit {
            BudgetUnit::Network => format!("budget of {limit} s per network"),
            BudgetUnit::Measure => format!("budget of {limit} s per measure and network"),
            BudgetUnit::Pooled => {
                let pool = seconds(self.pool(networks));
                format!("pooled budget of {pool} s ({limit} s × {networks} networks)")
            }
        }
    }
}

/// The time that each measure has used of its pool.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    size: Duration,
    share: Duration,
    used: Vec<f64>,
}

impl Pools {
    /// `used` holds, per measure, the seconds that the plan's networks have taken already.
    pub(crate) fn new(budget: &Budget, networks: usize, used: Vec<f64>) -> Pools {
        Pools { size: budget.pool(networks), share: budget.limit, used }
    }

    /// The time a measure may take on the next network; `None` if its pool is empty.
    pub(crate) fn next_limit(&self, measure: usize) -> Option<Duration> {
        let used = self.used.get(measure).copied().unwrap_or_default();
        let left = self.size.saturating_sub(Duration::try_from_secs_f64(used).unwrap_or(Duration::MAX));
        (!left.is_zero()).then(|| left.saturating_add(self.share))
    }

    pub(crate) fn charge(&mut self, measure: usize, seconds: f64) {
        if let Some(used) = self.used.get_mut(measure) {
            *used += seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_reads_as_it_was_given() {
        let budget = |unit| Budget { limit: Duration::from_millis(1500), unit };
        assert_eq!(budget(BudgetUnit::Network).describe(96), "budget of 1.5 s per network");
        let competition = Budget { limit: Duration::from_secs(300), unit: BudgetUnit::Pooled };
        assert_eq!(competition.describe(96), "pooled budget of 28800 s (300 s × 96 networks)");
    }

    #[test]
    fn a_pool_is_looked_at_between_networks() {
        let budget = Budget { limit: Duration::from_secs(10), unit: BudgetUnit::Pooled };
        let mut pools = Pools::new(&budget, 3, vec![0.0, 29.0]);
        assert_eq!(pools.next_limit(0), Some(Duration::from_secs(40)));
        assert_eq!(pools.next_limit(1), Some(Duration::from_secs(11)));
        pools.charge(1, 5.0);
        assert_eq!(pools.next_limit(1), None, "overdrawn by the last network");
        assert_eq!(pools.next_limit(0), Some(Duration::from_secs(40)), "each measure has a pool of its own");
    }
}
