//! Why a measure has no value, and why a registry refuses a request.

use pgdl_network::NetworkError;
use tch::TchError;

/// Why a measure gave no value on a network. Each variant is a status of the record that is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// The formula has no value here (a margin percentile ≤ 0, a logarithm of zero): says why.
    #[error("{0}")]
    Undefined(String),
    /// Something the measure needs does not exist (no initial weights, no true gap): says what.
    #[error("{0}")]
    Unavailable(String),
    /// The deadline passed before the value was there.
    #[error("{0}")]
    Timeout(String),
    /// A program that computes the measure died.
    #[error("{0}")]
    Crashed(String),
    /// The computation broke: an error of libtorch, of the network, or of the measure itself.
    #[error("{0}")]
    Failed(String),
}

impl MeasureError {
    /// The status word of a record with this outcome: `undefined`, `unavailable`, `timeout`, `crashed` or `failed`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "undefined",
            Self::Unavailable(_) => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Crashed(_) => "crashed",
            Self::Failed(_) => "failed",
        }
    }

    /// `Err(Undefined)` with a reason; reads well after `return`.
    pub fn undefined<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Undefined(reason.into()))
    }

    /// `Err(Unavailable)` with a reason.
    pub fn unavailable<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Unavailable(reason.into()))
    }

    /// `Err(Failed)` with a reason.
    pub fn failed<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Failed(reason.into()))
    }
}

impl From<TchError> for MeasureError {
    /// libtorch's message up to its C++ stack trace.
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        let end = text.find("\nException raised from").unwrap_or(text.len());
        Self::Failed(format!("libtorch: {}", text[..end].trim_end()))
    }
}

impl From<NetworkError> for MeasureError {
    fn from(error: NetworkError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a registry answers to a measure, a parameter or a list it cannot accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A measure id that is not snake_case, or a reserved word.
    #[error("measure id `{id}` is not usable: {reason}")]
    BadId {
        /// The id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two measures with one id.
    #[error("measure `{id}` is registered twice (families `{first}` and `{second}`)")]
    Duplicate {
        /// The id.
        id: String,
        /// Family of the measure that is there already.
        first: String,
        /// Family of the one that was refused.
        second: String,
    },
    /// No measure of this id.
    #[error("unknown measure `{id}`")]
    UnknownMeasure {
        /// The id as given.
        id: String,
        /// The registered id that comes closest, if any is close.
        meant: Option<String>,
    },
    /// No family of this name.
    #[error("unknown measure family `{family}`")]
    UnknownFamily {
        /// The family as given.
        family: String,
        /// The registered family that comes closest, if any is close.
        meant: Option<String>,
        /// All families.
        families: Vec<String>,
    },
    /// The measure has no parameter of this name.
    #[error("measure `{id}` has no parameter `{name}`")]
    UnknownParameter {
        /// The measure.
        id: String,
        /// The parameter as given.
        name: String,
        /// The measure's parameters with their legal values, one sentence.
        legal: String,
    },
    /// A parameter's value is not legal.
    #[error("measure `{id}`: parameter `{name}={value}` is not legal: it takes {legal}")]
    IllegalValue {
        /// The measure.
        id: String,
        /// The parameter.
        name: String,
        /// The value as given.
        value: String,
        /// The legal values, in words.
        legal: String,
    },
    /// Parameters that are legal one by one but not together.
    #[error("measure `{id}`: {reason}")]
    IllegalCombination {
        /// The measure.
        id: String,
        /// Why.
        reason: String,
    },
    /// Text that is no measure or expression.
    #[error("cannot read `{text}` at character {position}: {reason}")]
    Misread {
        /// The item of the list, as given.
        text: String,
        /// Where, counted from 1.
        position: usize,
        /// What is wrong there.
        reason: String,
        /// The way out, where there is one.
        hint: Option<String>,
    },
    /// A composite that cannot be made of these measures, or under this name.
    #[error("composite `{composite}`: {reason}")]
    BadComposite {
        /// The composite, as given.
        composite: String,
        /// Why.
        reason: String,
    },
    /// Several mistakes in one list.
    #[error("{} mistakes:{}", .0.len(), listed(.0))]
    Several(Vec<RegistryError>),
    /// Text that is no measure, parameter or list at all.
    #[error("cannot read `{text}` as a measure: {reason}")]
    Syntax {
        /// The text as given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RegistryError {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownMeasure { meant, .. } => Some(match meant {
                Some(id) => format!("did you mean `{id}`?"),
                None => "`pgdl measures` lists them all".to_string(),
            }),
            Self::UnknownFamily { meant, families, .. } => Some(match meant {
                Some(family) => format!("did you mean `{family}`?"),
                None => format!("families are {}", families.join(", ")),
            }),
            Self::UnknownParameter { legal, .. } => Some(legal.clone()),
            Self::Syntax { .. } => Some(
                "a measure is `id` or `id:key=value,key=value`; a list joins measures, `all`, `family:NAME` and expressions with commas"
                    .to_string(),
            ),
            Self::Misread { hint, .. } => hint.clone(),
            Self::BadId { .. } | Self::Duplicate { .. } => {
                Some("give the measure another `id` in its `MeasureInfo`".to_string())
            }
            Self::IllegalValue { .. }
            | Self::IllegalCombination { .. }
            | Self::BadComposite { .. }
            | Self::Several(_) => None,
        }
    }
}

/// Each mistake on its own line, with its way out.
fn listed(mistakes: &[RegistryError]) -> String {
    let line = |mistake: &RegistryError| match mistake.hint() {
        Some(hint) => format!("\n  {mistake} ({hint})"),
        None => format!("\n  {mistake}"),
    };
    mistakes.iter().map(line).collect()
}
