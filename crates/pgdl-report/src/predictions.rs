//! Competition prediction files: `<task>.predict`, JSON of the form `{"model_<ID>": value}`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::{ReportError, Result};
use crate::population::Population;
use crate::values::{Entry, MeasureValues, ValueStatus};

/// The text in place of a value whose evaluation did not finish within the budget.
pub const EXCEEDED: &str = "EXCEEDED";

/// What a prediction file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// The file.
    pub path: PathBuf,
    /// Per network id what it says.
    pub values: Prediction,
}

/// The content of a prediction file.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// A value or [`EXCEEDED`] per network id.
    PerNetwork(BTreeMap<u64, Entry>),
    /// The text [`EXCEEDED`] in place of the whole: no value on any network.
    Exceeded,
}

impl Predictions {
    /// Reads a prediction file.
    ///
    /// Values are JSON numbers or what Python writes in their place (`NaN`, `Infinity`, `-Infinity`); `null` and the
    /// text [`EXCEEDED`] stand for no value. Keys are `model_<ID>` or the bare id. A byte order mark and Windows line
    /// ends are accepted.
    ///
    /// # Errors
    /// When the file cannot be read, is not such JSON, names a network twice or gives it something else than a number.
    pub fn read(path: impl AsRef<Path>) -> Result<Predictions> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ReportError::io(path, source))?;
        let values = parse(&bytes).map_err(|message| ReportError::malformed(path, message))?;
        Ok(Predictions { path: path.to_path_buf(), values })
    }

    /// The name of the measure, from the path: in `nc/cifar_vgg.predict` the folder names the measure and the file the
    /// zoo; a file that is not named after `zoo` names the measure itself.
    pub fn measure(&self, zoo: &str) -> String {
        let name = |text: Option<&std::ffi::OsStr>| text.map(|text| text.to_string_lossy().into_owned());
        let stem = name(self.path.file_stem()).unwrap_or_default();
        if stem == zoo {
            let full = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
            if let Some(folder) = full.parent().and_then(|parent| name(parent.file_name())) {
                return folder;
            }
        }
        stem
    }

    /// The predictions in the order of the population's networks. A network that the file does not name is missing.
    ///
    /// # Errors
    /// When the file names networks that the population does not have.
    pub fn values(&self, population: &Population) -> Result<MeasureValues> {
        let measure = self.measure(&population.name);
        let exceeded = || Entry::absent(ValueStatus::Exceeded, "");
        let entries = match &self.values {
            Prediction::Exceeded => population.networks.iter().map(|_| exceeded()).collect(),
            Prediction::PerNetwork(values) => {
                let known: std::collections::BTreeSet<u64> =
                    population.networks.iter().filter_map(|network| network.id).collect();
                let foreign: Vec<String> =
                    values.keys().filter(|id| !known.contains(id)).map(u64::to_string).collect();
                if !foreign.is_empty() {
                    return Err(ReportError::ForeignNetworks {
                        path: self.path.clone(),
                        population: population.name.clone(),
                        count: foreign.len(),
                        first: foreign.into_iter().take(5).collect(),
                    });
                }
                let entry = |id: Option<u64>| id.and_then(|id| values.get(&id)).cloned();
                population
                    .networks
                    .iter()
                    .map(|network| entry(network.id).unwrap_or_else(Entry::missing))
                    .collect()
            }
        };
        Ok(MeasureValues { measure, entries, seconds: None, expression: None })
    }
}

/// The prediction file of a measure, as the competition reads it: numbers in Python's notation, [`EXCEEDED`] where the
/// budget was used up, and NaN where there is no value for another reason (the competition has no other word for it).
///
/// # Errors
/// When a network has no id.
pub fn predict_file(population: &Population, values: &MeasureValues) -> Result<String> {
    let mut text = String::from("{");
    for (place, (network, entry)) in population.networks.iter().zip(&values.entries).enumerate() {
        let id = network.id.ok_or_else(|| {
            ReportError::invalid(format!("{}: {} has no network id", population.name, network.label))
        })?;
        let value = match (entry.value(), entry.status()) {
            (Some(value), _) => python_number(value),
            (None, ValueStatus::Timeout | ValueStatus::Exceeded) => format!("\"{EXCEEDED}\""),
            (None, _) => "NaN".to_owned(),
        };
        let comma = if place == 0 { "" } else { "," };
        // Writing into a string cannot fail.
        let _ = write!(text, "{comma}\n    \"model_{id}\": {value}");
    }
    text.push_str("\n}\n");
    Ok(text)
}

fn python_number(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        // Rust's `{:?}` is the shortest text that reads back as the same number, as Python's repr is.
        format!("{value:?}")
    }
}

fn parse(bytes: &[u8]) -> Result<Prediction, String> {
    let text = crate::text::utf8(bytes)?;
    if text.trim() == EXCEEDED {
        return Ok(Prediction::Exceeded);
    }
    match serde_json::from_str(&quote_python_constants(text)) {
        Ok(File(prediction)) => Ok(prediction),
        Err(error) => Err(format!("not a prediction file: {error}")),
    }
}

/// `NaN`, `Infinity` and `-Infinity` outside of strings, put in quotes: JSON proper has no such numbers.
fn quote_python_constants(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(character) = rest.chars().next() {
        if !in_string {
            let constant =
                ["NaN", "Infinity", "-Infinity"].into_iter().find(|constant| rest.starts_with(constant));
            if let Some(constant) = constant {
                out.push('"');
                out.push_str(constant);
                out.push('"');
                rest = &rest[constant.len()..];
                continue;
            }
        }
        let mut length = character.len_utf8();
        match character {
            '"' => in_string = !in_string,
            '\\' if in_string => length += rest[length..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

struct File(Prediction);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileVisitor;

        impl<'de> Visitor<'de> for FileVisitor {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of the form {\"model_<ID>\": value}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<File, E> {
                if text == EXCEEDED {
                    return Ok(File(Prediction::Exceeded));
                }
                Err(E::invalid_type(de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    let id: u64 =
                        key.strip_prefix("model_").unwrap_or(&key).parse().map_err(|_| {
                            de::Error::custom(format!("`{key}` is not of the form model_<ID>"))
                        })?;
                    let Value(entry) =
                        map.next_value().map_err(|error| de::Error::custom(format!("`{key}`: {error}")))?;
                    if values.insert(id, entry).is_some() {
                        return Err(de::Error::custom(format!("network {id} occurs twice")));
                    }
                }
                Ok(File(Prediction::PerNetwork(values)))
            }
        }

        deserializer.deserialize_any(FileVisitor)
    }
}

struct Value(Entry);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl Visitor<'_> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or the text EXCEEDED")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
                Ok(Value(Entry::number(value)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
                Ok(Value(Entry::number(value as f64)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
                Ok(Value(Entry::number(value as f64)))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value(Entry::missing()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value(match text {
                    EXCEEDED => Entry::absent(ValueStatus::Exceeded, ""),
                    "NaN" => Entry::number(f64::NAN),
                    "Infinity" => Entry::number(f64::INFINITY),
                    "-Infinity" => Entry::number(f64::NEG_INFINITY),
                    _ => return Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::population;

    fn entries(text: &str) -> BTreeMap<u64, Entry> {
        match parse(text.as_bytes()) {
            Ok(Prediction::PerNetwork(values)) => values,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_are_read_as_python_writes_them() {
        let values = entries(
            r#"{"model_20": 0.1, "model_21": 1e-3, "model_3": NaN, "model_4": -Infinity, "5": 7, "model_6": "EXCEEDED",
                "model_7": null, "model_8": -0.0, "model_9": 123456789012345678901234567890}"#,
        );
        assert_eq!(values[&20], Entry::number(0.1));
        assert_eq!(values[&21], Entry::number(0.001));
        assert_eq!(values[&3].status(), ValueStatus::Undefined);
        assert_eq!(values[&4], Entry::number(f64::NEG_INFINITY));
        assert_eq!(values[&5], Entry::number(7.0));
        assert_eq!(values[&6].status(), ValueStatus::Exceeded);
        assert_eq!(values[&7], Entry::missing());
        assert_eq!(values[&9], Entry::number(1.2345678901234568e29));
    }

    #[test]
    fn a_mark_and_windows_line_ends_are_accepted() {
        let values = parse(b"\xef\xbb\xbf{\r\n\"model_1\": 2.5\r\n}\r\n").unwrap();
        assert_eq!(values, Prediction::PerNetwork([(1, Entry::number(2.5))].into()));
    }

    #[test]
    fn the_whole_may_be_exceeded() {
        for text in ["EXCEEDED", "EXCEEDED\n", "\"EXCEEDED\""] {
            assert_eq!(parse(text.as_bytes()), Ok(Prediction::Exceeded), "{text}");
        }
    }

    #[test]
    fn what_is_no_prediction_file_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "EOF while parsing a value"),
            ("[1, 2]", "an object of the form"),
            ("{\"model_1\": 1, \"model_1\": 2}", "network 1 occurs twice"),
            ("{\"model_1\": 1, \"1\": 2}", "network 1 occurs twice"),
            ("{\"model_x\": 1}", "`model_x` is not of the form model_<ID>"),
            ("{\"model_-1\": 1}", "`model_-1` is not of the form model_<ID>"),
            ("{\"model_1\": \"fast\"}", "`model_1`: invalid value: string \"fast\""),
            ("{\"model_1\": [1]}", "`model_1`: invalid type: sequence"),
            ("{\"model_1\": true}", "`model_1`: invalid type: boolean `true`"),
            ("{\"model_1\": 1e999}", "number out of range"),
            ("{\"model_1\": 1}}", "trailing characters"),
            ("{\"model_1\": nan}", "not a prediction file"),
            ("{\"model_1\": NaNa}", "not a prediction file"),
        ] {
            let message = parse(text.as_bytes()).unwrap_err();
            assert!(message.contains(reason), "{text}: {message}");
        }
        assert_eq!(parse(b"{\"model_1\":\n \xff}").unwrap_err(), "is not UTF-8: byte 13 (line 2)");
        assert_eq!(parse(b"\xff\xfe{\0").unwrap_err(), "is UTF-16, but must be UTF-8");
    }

    #[test]
    fn every_proper_prefix_of_a_file_is_refused() {
        let text = r#"{"model_1": 0.5, "model_2": NaN, "model_3": "EXCEEDED"}"#;
        for end in 0..text.len() {
            assert!(parse(&text.as_bytes()[..end]).is_err(), "{}", &text[..end]);
        }
    }

    #[test]
    fn constants_within_strings_stay_as_they_are() {
        for text in [r#""NaN""#, r#""a\"NaN""#, r#""\\""#, "\"unfinished NaN"] {
            assert_eq!(quote_python_constants(text), text);
        }
        assert_eq!(quote_python_constants(r#"["\\", NaN]"#), r#"["\\", "NaN"]"#);
    }

    #[test]
    fn a_file_that_was_written_reads_back() {
        let population = population();
        let mut entries: Vec<Entry> =
            [0.1, -1e-300, 3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(Entry::number).to_vec();
        entries.push(Entry::absent(ValueStatus::Timeout, ""));
        entries.push(Entry::absent(ValueStatus::Crashed, ""));
        let values = MeasureValues { measure: "m".into(), entries, seconds: None, expression: None };
        let text = predict_file(&population, &values).unwrap();
        assert!(
            text.starts_with(
                "{\n    \"model_10\": 0.1,\n    \"model_20\": -1e-300,\n    \"model_30\": 3.0,\n"
            )
        );
        let again = Predictions { path: "m/tiny.predict".into(), values: parse(text.as_bytes()).unwrap() };
        let again = again.values(&population).unwrap();
        assert_eq!(again.measure, "m");
        assert_eq!(again.entries[..5], values.entries[..5]);
        let statuses: Vec<ValueStatus> = again.entries[5..].iter().map(Entry::status).collect();
        assert_eq!(statuses, [ValueStatus::Undefined, ValueStatus::Exceeded, ValueStatus::Undefined]);
    }

    #[test]
    fn networks_of_another_zoo_are_refused_and_lacking_ones_are_missing() {
        let predictions = |values| Predictions { path: "nc.predict".into(), values };
        let some = predictions(parse(br#"{"model_30": 1}"#).unwrap()).values(&population()).unwrap();
        assert_eq!(some.measure, "nc");
        assert_eq!((some.covered(), some.status()), (1, ValueStatus::Missing));
        let error = predictions(parse(br#"{"model_31": 1, "model_30": 2}"#).unwrap())
            .values(&population())
            .unwrap_err();
        assert_eq!(error.to_string(), "nc.predict: values for a network that tiny does not have: 31");
        let all = predictions(Prediction::Exceeded).values(&population()).unwrap();
        assert_eq!((all.covered(), all.status()), (0, ValueStatus::Exceeded));
    }
}
