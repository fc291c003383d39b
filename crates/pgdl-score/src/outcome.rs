//! A statistic either has a value or a reason why it has none.

/// Why a statistic has no value on this data: a lowercase sentence fragment.
///
/// Undefined is not an error: the formula was asked for a value where it has none (a constant measure has no
/// Kendall τ‑b). It is never replaced by a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undefined(pub String);

impl Undefined {
    /// An undefined statistic with its reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A statistic's value, or the reason why it has none.
pub type Outcome<T = f64> = Result<T, Undefined>;
