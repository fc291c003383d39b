//! Values of hyperparameters and their axes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of a hyperparameter. Task files hold numbers and texts, and at times the text of a number: values are equal
/// when they are the same number (`512` and `"512"`), else when they are the same text.
#[derive(Clone, Debug)]
pub enum HyperValue {
    /// A finite number.
    Number(f64),
    /// A text; the text of a number counts as that number.
    Text(String),
}

/// An axis of a zoo's grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hyperparameter {
    /// Its name, as the zoo's files spell it.
    pub name: String,
    /// All values that it may take, in the files' order, each once.
    pub possible_values: Vec<HyperValue>,
}

impl HyperValue {
    /// The number that the value is or spells, where it is finite.
    pub fn number(&self) -> Option<f64> {
        match self {
            HyperValue::Number(number) => Some(*number),
            HyperValue::Text(text) => text.trim().parse().ok(),
        }
        .filter(|number: &f64| number.is_finite())
        // −0 and 0 are one value.
        .map(|number| number + 0.0)
    }
}

/// Numbers in their order, before texts in theirs.
impl Ord for HyperValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.to_string().cmp(&other.to_string()),
        }
    }
}

impl PartialOrd for HyperValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HyperValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for HyperValue {}

impl Hash for HyperValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.number() {
            Some(number) => number.to_bits().hash(state),
            None => self.to_string().hash(state),
        }
    }
}

impl fmt::Display for HyperValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HyperValue::Number(number) => write!(formatter, "{number}"),
            HyperValue::Text(text) => formatter.write_str(text),
        }
    }
}

impl From<f64> for HyperValue {
    fn from(number: f64) -> Self {
        HyperValue::Number(number)
    }
}

/// Integers are written as such: `512`, not `512.0`.
impl Serialize for HyperValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            HyperValue::Number(number) if number.fract() == 0.0 && number.abs() < EXACT => {
                serializer.serialize_i64(*number as i64)
            }
            HyperValue::Number(number) => serializer.serialize_f64(*number),
            HyperValue::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for HyperValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = HyperValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a finite number, a text or a truth value")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<HyperValue, E> {
                if number.is_finite() {
                    Ok(HyperValue::Number(number))
                } else {
                    Err(E::custom("a hyperparameter is a finite number"))
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<HyperValue, E> {
                Ok(HyperValue::Number(number as f64))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<HyperValue, E> {
                Ok(HyperValue::Number(number as f64))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<HyperValue, E> {
                Ok(HyperValue::Text(truth.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HyperValue, E> {
                Ok(HyperValue::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> HyperValue {
        HyperValue::Text(text.to_owned())
    }

    #[test]
    fn the_text_of_a_number_is_that_number() {
        assert_eq!(text("512"), HyperValue::Number(512.0));
        assert_eq!(text("0.10"), HyperValue::Number(0.1));
        assert_eq!(HyperValue::Number(-0.0), HyperValue::Number(0.0));
        assert_ne!(text("adam"), text("sgd"));
        assert_ne!(text("nan"), HyperValue::Number(0.0));
        assert_eq!(text("nan"), text("nan"));
    }

    #[test]
    fn numbers_come_before_texts() {
        let mut values = [text("b"), HyperValue::Number(10.0), text("9"), text("a")];
        values.sort();
        assert_eq!(values.map(|value| value.to_string()), ["9", "10", "a", "b"]);
    }

    #[test]
    fn json_keeps_the_form() {
        for json in ["512", "0.5", "\"512\"", "\"adam\"", "-3"] {
            let value: HyperValue = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
        for bad in ["null", "[1]", "1e999"] {
            assert!(serde_json::from_str::<HyperValue>(bad).is_err(), "{bad}");
        }
    }
}
