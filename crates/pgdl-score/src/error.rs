//! What a caller can get wrong: shapes and options. Data that merely lack a value are [`crate::Undefined`].

/// A grid, a sample or options that do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A list with one entry per network has another length than the grid.
    #[error("{what} has {found} entries for {expected} networks")]
    Length {
        /// The list: `gap`, `measure`, `seeds` or `hyperparameter <name>`.
        what: String,
        /// Number of networks of the grid.
        expected: usize,
        /// Length of the list.
        found: usize,
    },
    /// A network's level is not an index into the axis's possible values.
    #[error(
        "hyperparameter {axis}: network at position {network} has level {level} of {values} possible values"
    )]
    Level {
        /// Name of the hyperparameter.
        axis: String,
        /// Position of the network in the grid.
        network: usize,
        /// The level found.
        level: u32,
        /// Number of possible values.
        values: usize,
    },
    /// Two axes carry the same name.
    #[error("hyperparameter {0} stands twice in the grid")]
    RepeatedAxis(String),
    /// An option is outside its legal range.
    #[error("option {name} is {found}, but must be {legal}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// The value given.
        found: f64,
        /// The legal range in words.
        legal: &'static str,
    },
}

impl ScoreError {
    /// What the caller can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Length { .. } => Some("give one entry per network, in the grid's order".into()),
            Self::Level { axis, .. } => Some(format!("list every value of {axis} among its possible values")),
            Self::RepeatedAxis(_) => Some("name each hyperparameter once".into()),
            Self::Option { .. } => None,
        }
    }
}
