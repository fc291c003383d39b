//! What a measure gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::draws::{mean, standard_error_of_mean};

/// The value of a measure on a network, and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value: larger predicts a larger gap.
    pub value: f64,
    /// Monte-Carlo standard error of `value`, where it is random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// The parts, for a measure made of layers, in the order of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerDetail>,
    /// Anything else worth keeping, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Detail>,
}

impl Measured {
    /// A value alone.
    pub fn value(value: f64) -> Self {
        Self { value, standard_error: None, layers: Vec::new(), details: BTreeMap::new() }
    }

    /// The mean of independent draws, with its standard error where there are two or more.
    pub fn mean_of(draws: &[f64]) -> Self {
        Self { standard_error: standard_error_of_mean(draws), ..Self::value(mean(draws)) }
    }

    /// With a Monte-Carlo standard error.
    pub fn with_standard_error(mut self, standard_error: f64) -> Self {
        self.standard_error = Some(standard_error);
        self
    }

    /// With the parts per layer.
    pub fn with_layers(mut self, layers: Vec<LayerDetail>) -> Self {
        self.layers = layers;
        self
    }

    /// With one more detail.
    pub fn with_detail(mut self, name: &str, detail: impl Into<Detail>) -> Self {
        self.details.insert(name.to_string(), detail.into());
        self
    }

    /// The first number in it that is NaN or infinite, by name: such numbers are never stored.
    pub fn not_finite(&self) -> Option<String> {
        if !self.value.is_finite() {
            return Some(format!("value {}", self.value));
        }
        if let Some(error) = self.standard_error.filter(|error| !error.is_finite()) {
            return Some(format!("standard error {error}"));
        }
        if let Some(layer) = self.layers.iter().find(|layer| !layer.value.is_finite()) {
            return Some(format!("value {} of layer `{}`", layer.value, layer.layer));
        }
        self.details.iter().find_map(|(name, detail)| match detail {
            Detail::Number(number) if !number.is_finite() => Some(format!("detail `{name}` {number}")),
            _ => None,
        })
    }
}

/// One layer's part in a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerDetail {
    /// The layer's name; with the tensor's name behind a slash where a layer has several.
    pub layer: String,
    /// Its part.
    pub value: f64,
}

/// A detail: a number or a text. On disk simply a JSON number or string.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl From<f64> for Detail {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for Detail {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl serde::de::Visitor<'_> for NumberOrText {
            type Value = Detail;
            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("a number or a text")
            }
            fn visit_f64<E>(self, number: f64) -> Result<Detail, E> {
                Ok(Detail::Number(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Detail, E> {
                Ok(Detail::Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Detail, E> {
                Ok(Detail::Number(number as f64))
            }
            fn visit_str<E>(self, text: &str) -> Result<Detail, E> {
                Ok(Detail::Text(text.to_string()))
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_it_reads_back_as_written() {
        let measured = Measured::value(1.5)
            .with_standard_error(0.25)
            .with_layers(vec![LayerDetail { layer: "dense".to_string(), value: 0.1 }])
            .with_detail("draws", 3.0)
            .with_detail("note", "as is");
        let text = serde_json::to_string(&measured).unwrap();
        assert_eq!(
            text,
            r#"{"value":1.5,"standard_error":0.25,"layers":[{"layer":"dense","value":0.1}],"details":{"draws":3.0,"note":"as is"}}"#
        );
        assert_eq!(serde_json::from_str::<Measured>(&text).unwrap(), measured);
    }

    #[test]
    fn numbers_that_are_not_finite_are_named() {
        assert_eq!(Measured::value(1.0).not_finite(), None);
        assert_eq!(Measured::value(f64::NAN).not_finite().unwrap(), "value NaN");
        let layers = vec![LayerDetail { layer: "dense".to_string(), value: f64::INFINITY }];
        assert_eq!(
            Measured::value(1.0).with_layers(layers).not_finite().unwrap(),
            "value inf of layer `dense`"
        );
        assert!(Measured::value(1.0).with_detail("x", f64::NAN).not_finite().unwrap().contains("`x`"));
    }
}
