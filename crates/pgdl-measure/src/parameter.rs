//! Parameters of measures: what a measure declares, what a caller gives, and the checked result.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::RegistryError;
use crate::spec::{QUOTE, quoted};

/// A parameter that a measure declares.
#[derive(Debug)]
pub struct ParameterInfo {
    /// Its name, snake_case.
    pub name: &'static str,
    /// Its type, default and legal values.
    pub kind: ParameterKind,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

/// Type, default and legal values of a parameter. Ranges include both ends; an infinite end is no bound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParameterKind {
    /// A finite real number.
    Float {
        /// The value when none is given.
        default: f64,
        /// Least legal value.
        min: f64,
        /// Largest legal value.
        max: f64,
    },
    /// An integer.
    Integer {
        /// The value when none is given.
        default: i64,
        /// Least legal value.
        min: i64,
        /// Largest legal value.
        max: i64,
    },
    /// One of several words.
    Choice {
        /// The word when none is given.
        default: &'static str,
        /// The words.
        options: &'static [&'static str],
    },
    /// A file, or one of several words for what needs none. A file's spelling is `"PATH#DIGEST"`, with the first 16
    /// hexadecimal digits of the SHA-256 of its bytes, so that a record says what was read and not only where; whoever
    /// gives no digest gets that of the file as it is.
    File {
        /// The word when none is given.
        default: &'static str,
        /// The words.
        options: &'static [&'static str],
    },
}

/// Hexadecimal digits of a file's digest in its spelling.
const DIGITS: usize = 16;

impl ParameterKind {
    /// The legal values, in words that complete "it takes …".
    pub fn legal(self) -> String {
        match self {
            Self::Float { min, max, .. } => {
                format!("a number{}", range(min.is_finite().then_some(min), max.is_finite().then_some(max)))
            }
            Self::Integer { min, max, .. } => {
                format!(
                    "an integer{}",
                    range((min != i64::MIN).then_some(min), (max != i64::MAX).then_some(max))
                )
            }
            Self::Choice { options, .. } => format!("one of {}", options.join(", ")),
            Self::File { options, .. } => format!(
                "one of {}, or a file that can be read (`\"PATH\"`, or `\"PATH#DIGEST\"` with the first {DIGITS} digits of \
                 its SHA-256)",
                options.join(", ")
            ),
        }
    }

    /// The value that stands when none is given.
    pub fn default_value(self) -> ParameterValue {
        match self {
            Self::Float { default, .. } => ParameterValue::Float(default),
            Self::Integer { default, .. } => ParameterValue::Integer(default),
            Self::Choice { default, .. } | Self::File { default, .. } => {
                ParameterValue::Choice(default.to_string())
            }
        }
    }

    /// Reads a value; `None` when it is not legal.
    pub fn parse(self, text: &str) -> Option<ParameterValue> {
        match self {
            Self::Float { min, max, .. } => {
                // Adding zero makes -0 into 0, so that both are spelled alike.
                let value = text.parse::<f64>().ok().filter(|value| value.is_finite())? + 0.0;
                (min <= value && value <= max).then_some(ParameterValue::Float(value))
            }
            Self::Integer { min, max, .. } => {
                let value = text.parse::<i64>().ok()?;
                (min <= value && value <= max).then_some(ParameterValue::Integer(value))
            }
            Self::Choice { options, .. } => {
                options.contains(&text).then(|| ParameterValue::Choice(text.to_string()))
            }
            Self::File { options, .. } => {
                if options.contains(&text) {
                    return Some(ParameterValue::Choice(text.to_string()));
                }
                let text = quoted(text).filter(|found| *found == text)?.trim_matches(QUOTE);
                let (path, digest) =
                    text.rsplit_once('#').map_or((text, None), |(path, digest)| (path, Some(digest)));
                let found = Sha256::digest(std::fs::read(path).ok()?);
                let found: String = found.iter().map(|byte| format!("{byte:02x}")).take(DIGITS / 2).collect();
                let same = digest.is_none_or(|digest| digest == found);
                same.then(|| ParameterValue::Choice(format!("{QUOTE}{path}#{found}{QUOTE}")))
            }
        }
    }
}

fn range<T: fmt::Display>(min: Option<T>, max: Option<T>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(" of at least {min}"),
        (None, Some(max)) => format!(" of at most {max}"),
        (None, None) => String::new(),
    }
}

/// The checked value of a parameter. `Display` is its canonical spelling.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParameterValue {
    /// A finite real number.
    Float(f64),
    /// An integer.
    Integer(i64),
    /// A word, or a file's spelling.
    Choice(String),
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Choice(value) => formatter.write_str(value),
        }
    }
}

/// The checked parameters of a measure: every declared parameter has a legal value.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    measure: String,
    values: BTreeMap<&'static str, ParameterValue>,
}

impl Parameters {
    /// Every parameter at its default.
    pub fn defaults(measure: &str, declared: &[ParameterInfo]) -> Self {
        let values = declared.iter().map(|info| (info.name, info.kind.default_value())).collect();
        Self { measure: measure.to_string(), values }
    }

    /// Sets a parameter from text.
    ///
    /// # Errors
    /// The name is not declared, or the value not legal; the error says what is.
    pub fn set(&mut self, declared: &[ParameterInfo], name: &str, text: &str) -> Result<(), RegistryError> {
        let Some(info) = declared.iter().find(|info| info.name == name) else {
            return Err(RegistryError::UnknownParameter {
                id: self.measure.clone(),
                name: name.to_string(),
                legal: describe(declared),
            });
        };
        let value = info.kind.parse(text).ok_or_else(|| RegistryError::IllegalValue {
            id: self.measure.clone(),
            name: name.to_string(),
            value: text.to_string(),
            legal: info.kind.legal(),
        })?;
        self.values.insert(info.name, value);
        Ok(())
    }

    /// The value of a declared float parameter.
    ///
    /// # Errors
    /// The measure did not declare a float parameter of this name: a mistake in the measure.
    pub fn float(&self, name: &str) -> Result<f64, RegistryError> {
        match self.values.get(name) {
            Some(ParameterValue::Float(value)) => Ok(*value),
            _ => Err(self.undeclared(name, "float")),
        }
    }

    /// The value of a declared integer parameter.
    ///
    /// # Errors
    /// The measure did not declare an integer parameter of this name: a mistake in the measure.
    pub fn integer(&self, name: &str) -> Result<i64, RegistryError> {
        match self.values.get(name) {
            Some(ParameterValue::Integer(value)) => Ok(*value),
            _ => Err(self.undeclared(name, "integer")),
        }
    }

    /// The word chosen for a declared choice parameter.
    ///
    /// # Errors
    /// The measure did not declare a choice parameter of this name: a mistake in the measure.
    pub fn choice(&self, name: &str) -> Result<&str, RegistryError> {
        match self.values.get(name) {
            Some(ParameterValue::Choice(value)) => Ok(value),
            _ => Err(self.undeclared(name, "choice")),
        }
    }

    /// Names and values of the parameters that are not at their defaults, by name.
    pub(crate) fn changed<'a>(
        &'a self,
        declared: &'a [ParameterInfo],
    ) -> impl Iterator<Item = (&'static str, &'a ParameterValue)> {
        self.values.iter().filter_map(move |(name, value)| {
            let info = declared.iter().find(|info| info.name == *name)?;
            (info.kind.default_value() != *value).then_some((*name, value))
        })
    }

    fn undeclared(&self, name: &str, kind: &str) -> RegistryError {
        RegistryError::IllegalCombination {
            id: self.measure.clone(),
            reason: format!("reads a {kind} parameter `{name}` that it does not declare"),
        }
    }
}

fn describe(declared: &[ParameterInfo]) -> String {
    if declared.is_empty() {
        return "it takes no parameters".to_string();
    }
    let each: Vec<String> =
        declared.iter().map(|info| format!("`{}`, {}", info.name, info.kind.legal())).collect();
    format!("its parameters: {}", each.join("; "))
}
