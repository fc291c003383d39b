//! `model_configs.json`: hyperparameters and metrics of a zoo's networks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::hyperparameter::{HyperValue, Hyperparameter};
use crate::ordinary_file;
use crate::zoo::{Metrics, NetworkEntry};
use crate::{Result, ZooError};

/// What `model_configs.json` says: axes in the order of the first network, networks by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The axes of the grid.
    pub hyperparameters: Vec<Hyperparameter>,
    /// The networks.
    pub networks: Vec<NetworkEntry>,
}

#[derive(Deserialize, Serialize)]
struct FileEntry {
    hparams: Entries<FileAxis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dev_name: Option<serde_json::Value>,
}

#[derive(Deserialize, Serialize)]
struct FileAxis {
    possible_values: Vec<HyperValue>,
    current_value: HyperValue,
}

/// A JSON object in its own order, in which no key stands twice.
struct Entries<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Entries<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(de::Error::custom(format!("`{key}` stands twice")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Listing {
    /// Reads a `model_configs.json`.
    ///
    /// # Errors
    /// When it is no such file: not JSON, a network listed twice or under a name that is no number, networks with
    /// different axes, a value that its axis does not list.
    pub fn read(path: &Path) -> Result<Listing> {
        let mut bytes = Vec::new();
        ordinary_file::open(path)?.read_to_end(&mut bytes).map_err(|source| ZooError::io(path, source))?;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let entries: Entries<FileEntry> =
            serde_json::from_slice(text).map_err(|error| ZooError::malformed(path, in_words(&error)))?;
        Listing::from_entries(entries.0).map_err(|message| ZooError::malformed(path, message))
    }

    /// Writes a `model_configs.json`, whole or not at all.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let axis = |(axis, value): (&Hyperparameter, &HyperValue)| {
            let file =
                FileAxis { possible_values: axis.possible_values.clone(), current_value: value.clone() };
            (axis.name.clone(), file)
        };
        let entries = Entries(
            self.networks
                .iter()
                .map(|network| {
                    let hparams = Entries(
                        self.hyperparameters.iter().zip(&network.hyperparameters).map(axis).collect(),
                    );
                    let entry = FileEntry {
                        hparams,
                        metrics: network.metrics,
                        dev_name: network.dev_name.clone().map(serde_json::Value::String),
                    };
                    (network.id.to_string(), entry)
                })
                .collect(),
        );
        let mut text = serde_json::to_vec_pretty(&entries)
            .map_err(|error| ZooError::malformed(path, error.to_string()))?;
        text.push(b'\n');
        let temporary = path.with_extension("json.tmp");
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|source| ZooError::io(path, source))
    }

    fn from_entries(entries: Vec<(String, FileEntry)>) -> Result<Listing, String> {
        let mut axes: Vec<Axis> = Vec::new();
        let mut networks: BTreeMap<u64, NetworkEntry> = BTreeMap::new();
        for (position, (key, entry)) in entries.into_iter().enumerate() {
            let digits = key.strip_prefix("model_").unwrap_or(&key);
            let id: u64 = digits.parse().map_err(|_| format!("network `{key}`: ids are whole numbers"))?;
            if position == 0 {
                axes = entry.hparams.0.iter().map(|(name, _)| Axis::new(name)).collect();
            }
            let values = values(id, entry.hparams.0, &mut axes)?;
            let metrics = entry.metrics.map(|metrics| metrics.checked(id)).transpose()?;
            let dev_name = entry.dev_name.and_then(|name| name.as_str().map(str::to_owned));
            if networks.insert(id, NetworkEntry { id, hyperparameters: values, metrics, dev_name }).is_some()
            {
                return Err(format!("network {id} is listed twice"));
            }
        }
        let hyperparameters = axes
            .into_iter()
            .map(|axis| Hyperparameter { name: axis.name, possible_values: axis.in_order })
            .collect();
        Ok(Listing { hyperparameters, networks: networks.into_values().collect() })
    }
}

/// What serde says, and what is meant by it where that is no English.
fn in_words(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("not valid JSON (which knows no NaN or Infinity): {error}"),
    }
}

/// An axis while it is read: its values in the file's order, and as a set, for there may be very many.
struct Axis {
    name: String,
    in_order: Vec<HyperValue>,
    known: BTreeSet<HyperValue>,
}

impl Axis {
    fn new(name: &str) -> Axis {
        Axis { name: name.to_owned(), in_order: Vec::new(), known: BTreeSet::new() }
    }

    fn add(&mut self, values: Vec<HyperValue>) {
        for value in values {
            if self.known.insert(value.clone()) {
                self.in_order.push(value);
            }
        }
    }
}

/// A network's values in the zoo's order of axes. An axis knows the possible values that any network lists.
fn values(id: u64, file: Vec<(String, FileAxis)>, axes: &mut [Axis]) -> Result<Vec<HyperValue>, String> {
    if let Some((name, _)) = file.iter().find(|(name, _)| !axes.iter().any(|axis| axis.name == *name)) {
        return Err(format!("network {id} has a hyperparameter `{name}` that others have not"));
    }
    let mut file: BTreeMap<String, FileAxis> = file.into_iter().collect();
    axes.iter_mut()
        .map(|axis| {
            let FileAxis { possible_values, current_value } = file
                .remove(&axis.name)
                .ok_or_else(|| format!("network {id} has no hyperparameter `{}`", axis.name))?;
            axis.add(possible_values);
            if axis.known.contains(&current_value) {
                Ok(current_value)
            } else {
                Err(format!("network {id}: {} = {current_value} is not among its possible values", axis.name))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Listing> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model_configs.json");
        std::fs::write(&path, json).unwrap();
        Listing::read(&path)
    }

    fn network(id: &str, value: &str) -> String {
        format!(
            r#""{id}": {{"hparams": {{"bs": {{"possible_values": [32, 512], "current_value": {value}}}}},
                "metrics": {{"train_acc": 1.0, "test_acc": 0.5}}}}"#
        )
    }

    #[test]
    fn networks_are_in_numeric_order_and_values_compare_by_value() {
        let listing = read(&format!("{{{}, {}}}", network("100", "\"512\""), network("20", "32"))).unwrap();
        assert_eq!(listing.networks.iter().map(|network| network.id).collect::<Vec<_>>(), [20, 100]);
        assert_eq!(listing.hyperparameters[0].possible_values.len(), 2);
        assert_eq!(listing.networks[1].hyperparameters, [HyperValue::Number(512.0)]);
    }

    #[test]
    fn writing_and_reading_give_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model_configs.json");
        let listing = read(&format!("{{{}}}", network("3", "32"))).unwrap();
        listing.write(&path).unwrap();
        assert_eq!(Listing::read(&path).unwrap(), listing);
    }

    #[test]
    fn a_million_possible_values_are_read_in_no_time() {
        let values: Vec<String> = (0..1_000_000).map(|value| value.to_string()).collect();
        let values = values.join(",");
        let json = format!(
            r#"{{"7": {{"hparams": {{"seed": {{"possible_values": [{values}], "current_value": 3}}}}}}}}"#
        );
        // One comparison of each value with each other one would take an hour.
        assert_eq!(read(&json).unwrap().hyperparameters[0].possible_values.len(), 1_000_000);
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_name() {
        let bad = [
            (format!("{{{}, {}}}", network("3", "32"), network("3", "512")), "stands twice"),
            (format!("{{{}}}", network("3", "7")), "bs = 7"),
            (format!("{{{}}}", network("three", "32")), "three"),
            (format!("{{{}, \"4\": {{\"hparams\": {{}}}}}}", network("3", "32")), "no hyperparameter `bs`"),
            (network("3", "32"), "line"),
            (format!("{{{}}}", network("3", "NaN")), "NaN"),
            ("[".repeat(1_000_000), "line"),
            (
                "{\"3\": {\"hparams\": {}, \"metrics\": {\"train_acc\": 2, \"test_acc\": 0}}}".to_owned(),
                "train_acc",
            ),
        ];
        for (json, sign) in bad {
            let message = read(&json).unwrap_err().to_string();
            assert!(message.contains(sign) && message.contains("model_configs.json"), "{message}");
        }
    }
}
