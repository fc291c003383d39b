//! A layer's settings in a file, with types.

use std::path::Path;

use serde_json::{Map, Value};

use super::Dialect;
use crate::{Result, ZooError};

/// The settings of one layer, and where they come from.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) path: &'a Path,
    /// The layer's name, or its position where it has none.
    pub(super) layer: &'a str,
    pub(super) class: &'a str,
    pub(super) values: &'a Map<String, Value>,
    pub(super) dialect: Dialect,
}

impl<'a> Settings<'a> {
    /// A setting that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn malformed(&self, message: impl std::fmt::Display) -> ZooError {
        ZooError::malformed(self.path, format!("layer {} ({}): {message}", self.layer, self.class))
    }

    /// `key` has a value that these networks do not have.
    pub(super) fn unsupported(&self, key: &str, supported: &str) -> ZooError {
        let value = self.values.get(key).unwrap_or(&Value::Null);
        ZooError::unsupported(
            self.path,
            format!("layer {} ({}): {key} = {value}", self.layer, self.class),
            format!("{key} = {supported}"),
        )
    }

    fn wrong(&self, key: &str, value: &Value, expected: &str) -> ZooError {
        self.malformed(format_args!("{key} must be {expected}, not {value}"))
    }

    /// An integer; a float with an integer value is one, too.
    pub(super) fn integer(&self, key: &str, default: Option<i64>) -> Result<i64> {
        match (self.get(key), default) {
            (Some(value), _) => as_integer(value).ok_or_else(|| self.wrong(key, value, "an integer")),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.malformed(format_args!("{key} is missing"))),
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.number_or_none(key).map(|number| number.unwrap_or(default))
    }

    pub(super) fn number_or_none(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match as_number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, value, "a finite number")),
        }
    }

    pub(super) fn required_number(&self, key: &str) -> Result<f64> {
        self.number_or_none(key)?.ok_or_else(|| self.malformed(format_args!("{key} is missing")))
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => match as_integer(value) {
                Some(0) => Ok(false),
                Some(1) => Ok(true),
                _ => Err(self.wrong(key, value, "true or false")),
            },
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong(key, value, "text")),
        }
    }

    /// One integer for both axes, or one for each.
    pub(super) fn pair(&self, key: &str, default: Option<[i64; 2]>) -> Result<[i64; 2]> {
        let value = match (self.get(key), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return Ok(default),
            (None, None) => return Err(self.malformed(format_args!("{key} is missing"))),
        };
        let pair = match value {
            Value::Array(items) => match items.as_slice() {
                [a, b] => as_integer(a).zip(as_integer(b)),
                [a] => as_integer(a).map(|a| (a, a)),
                _ => None,
            },
            one => as_integer(one).map(|a| (a, a)),
        };
        match pair {
            Some((a, b)) => Ok([a, b]),
            None => Err(self.wrong(key, value, "an integer or a pair of integers")),
        }
    }

    /// One integer, or a list of them.
    pub(super) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let list = match value {
            Value::Array(items) => items.iter().map(as_integer).collect(),
            one => as_integer(one).map(|one| vec![one]),
        };
        list.map(Some).ok_or_else(|| self.wrong(key, value, "a list of integers"))
    }

    /// An error unless images have their channels last.
    pub(super) fn channels_last(&self) -> Result<()> {
        match self.text("data_format")? {
            None | Some("channels_last") => Ok(()),
            Some(_) => Err(self.unsupported("data_format", "channels_last")),
        }
    }

    /// An error unless the setting is absent, null, or one of `allowed`.
    pub(super) fn only(&self, key: &str, allowed: &[Value], supported: &str) -> Result<()> {
        match self.get(key) {
            Some(value) if !allowed.contains(value) => Err(self.unsupported(key, supported)),
            _ => Ok(()),
        }
    }
}

pub(super) fn as_integer(value: &Value) -> Option<i64> {
    if let Some(integer) = value.as_i64() {
        return Some(integer);
    }
    // Beyond 2⁵³ a float no longer says which integer is meant.
    value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9.0e15).map(|float| float as i64)
}

/// A number; NumPy scalars are wrapped in an object by some versions of Keras.
fn as_number(value: &Value) -> Option<f64> {
    let value = match value {
        Value::Object(wrapped) => wrapped.get("config")?.get("value")?,
        plain => plain,
    };
    value.as_f64().filter(|number| number.is_finite())
}
