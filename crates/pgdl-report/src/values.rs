//! The values of a measure on the networks to be scored: each a number, or a status with its reason.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use pgdl_run::Record;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::population::Population;

/// How the evaluation of a measure on a network ended, here or elsewhere.
///
/// The order is that of gravity: a measure's own status is the gravest of its networks' statuses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ValueStatus {
    /// There is a value.
    #[default]
    Ok,
    /// The formula has no value here, or the file gives NaN.
    Undefined,
    /// Something that the measure needs does not exist.
    Unavailable,
    /// No record and no file says anything.
    Missing,
    /// The measure returned an error.
    Failed,
    /// The budget was used up before the measure ended.
    Timeout,
    /// A competition file holds the text `EXCEEDED`: the pooled budget was used up.
    Exceeded,
    /// The process died while it evaluated the measure.
    Crashed,
}

impl ValueStatus {
    /// The word for the status.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueStatus::Ok => "ok",
            ValueStatus::Undefined => "undefined",
            ValueStatus::Unavailable => "unavailable",
            ValueStatus::Missing => "missing",
            ValueStatus::Failed => "failed",
            ValueStatus::Timeout => "timeout",
            ValueStatus::Exceeded => "exceeded",
            ValueStatus::Crashed => "crashed",
        }
    }
}

impl fmt::Display for ValueStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<pgdl_run::Status> for ValueStatus {
    fn from(status: pgdl_run::Status) -> Self {
        use pgdl_run::Status;
        match status {
            Status::Ok => ValueStatus::Ok,
            Status::Undefined => ValueStatus::Undefined,
            Status::Unavailable => ValueStatus::Unavailable,
            Status::Failed => ValueStatus::Failed,
            Status::Timeout => ValueStatus::Timeout,
            Status::Crashed => ValueStatus::Crashed,
        }
    }
}

/// What is known of one measure on one network.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A value.
    Value {
        /// The value: never NaN. Records hold finite ones; a file made elsewhere may hold an infinity, which can be
        /// ranked, though not averaged.
        value: f64,
        /// Its Monte-Carlo standard error, where it has one.
        standard_error: Option<f64>,
    },
    /// No value.
    Absent {
        /// How it came about; never [`ValueStatus::Ok`].
        status: ValueStatus,
        /// Why, in words; may be empty.
        reason: String,
    },
}

impl Entry {
    /// The entry of a number from outside; NaN is no value.
    pub fn number(value: f64) -> Entry {
        if value.is_nan() {
            Entry::absent(ValueStatus::Undefined, "the file gives NaN")
        } else {
            Entry::Value { value, standard_error: None }
        }
    }

    /// The entry of a network without a value.
    pub fn absent(status: ValueStatus, reason: impl Into<String>) -> Entry {
        Entry::Absent { status, reason: reason.into() }
    }

    /// The entry where nothing is known.
    pub fn missing() -> Entry {
        Entry::absent(ValueStatus::Missing, "")
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Entry::Value { value, .. } => Some(*value),
            Entry::Absent { .. } => None,
        }
    }

    /// The standard error of the value, where it has one.
    pub fn standard_error(&self) -> Option<f64> {
        match self {
            Entry::Value { standard_error, .. } => *standard_error,
            Entry::Absent { .. } => None,
        }
    }

    /// How the evaluation ended.
    pub fn status(&self) -> ValueStatus {
        match self {
            Entry::Value { .. } => ValueStatus::Ok,
            Entry::Absent { status, .. } => *status,
        }
    }
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        match record.value {
            Some(value) => Entry::Value { value, standard_error: record.standard_error },
            None => Entry::absent(record.status.into(), record.message.clone().unwrap_or_default()),
        }
    }
}

/// One measure on all networks of a [`Population`].
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureValues {
    /// The measure as a user writes it: `margin:p=10`, or the name of a file or column.
    pub measure: String,
    /// One entry per network, in the population's order.
    pub entries: Vec<Entry>,
    /// Seconds the evaluations took together; `None` for values from outside.
    pub seconds: Option<f64>,
    /// For a composite the expression that gives its values.
    pub expression: Option<String>,
}

impl MeasureValues {
    /// The number of networks that have a value.
    pub fn covered(&self) -> usize {
        self.entries.iter().filter(|entry| entry.value().is_some()).count()
    }

    /// The gravest status among the networks; `ok` if every network has a value.
    pub fn status(&self) -> ValueStatus {
        self.entries.iter().map(Entry::status).max().unwrap_or_default()
    }

    /// How many networks have each status.
    pub fn statuses(&self) -> BTreeMap<ValueStatus, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.status()).or_insert(0) += 1;
        }
        counts
    }

    /// Whether some evaluation used up its budget, which makes the competition's total 0.
    pub fn exceeded(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.status(), ValueStatus::Exceeded | ValueStatus::Timeout))
    }
}

/// Under which conditions a value was computed; values computed under different ones are never mixed.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Conditions<'a> {
    version: u32,
    sample: u64,
    seed: u64,
    dtype: &'a str,
    data_digest: &'a str,
}

impl<'a> Conditions<'a> {
    fn of(record: &'a Record) -> Self {
        Conditions {
            version: record.version,
            sample: record.sample,
            seed: record.seed,
            dtype: &record.dtype,
            data_digest: &record.data_digest,
        }
    }
}

/// The records of one measure that count for a population.
#[derive(Clone, Debug)]
pub struct CountingRecords<'a> {
    /// The measure as a user writes it.
    pub measure: String,
    /// Per network its record, in the population's order.
    pub records: Vec<Option<&'a Record>>,
    /// Number of records that were made under other conditions than the newest.
    pub other_conditions: usize,
}

impl CountingRecords<'_> {
    /// The values that the records hold.
    pub fn values(&self) -> MeasureValues {
        MeasureValues {
            measure: self.measure.clone(),
            seconds: Some(self.records.iter().flatten().map(|record| record.seconds).sum()),
            entries: self
                .records
                .iter()
                .map(|record| record.map_or_else(Entry::missing, Entry::from))
                .collect(),
            expression: None,
        }
    }
}

/// The values that records hold for `population`: those of [`counting_records`].
pub fn values_from_records<'a>(
    population: &Population,
    records: impl IntoIterator<Item = &'a Record>,
) -> Vec<MeasureValues> {
    counting_records(population, records).iter().map(CountingRecords::values).collect()
}

/// The records that count for `population`, measures in the order of their first record.
///
/// Records of other zoos and of networks that the population does not have are passed over. For each measure (id with
/// parameters) the *newest* record decides version of the measure, sample, seed, floating-point type and data; older
/// records made under other conditions do not count, so that a column never mixes seeds or samples. Among the rest the
/// newest per network counts; newest means latest in `utc`, then last in the order given.
pub fn counting_records<'a>(
    population: &Population,
    records: impl IntoIterator<Item = &'a Record>,
) -> Vec<CountingRecords<'a>> {
    let places: HashMap<u64, usize> = population
        .networks
        .iter()
        .enumerate()
        .filter_map(|(place, network)| network.id.map(|id| (id, place)))
        .collect();
    let mut order: Vec<String> = Vec::new();
    let mut by_measure: HashMap<String, Vec<&Record>> = HashMap::new();
    for record in records {
        if record.zoo != population.name || !places.contains_key(&record.network) {
            continue;
        }
        let spec = record.spec();
        by_measure
            .entry(spec.clone())
            .or_insert_with(|| {
                order.push(spec);
                Vec::new()
            })
            .push(record);
    }

    order
        .into_iter()
        .map(|measure| {
            let mut records = by_measure.remove(&measure).unwrap_or_default();
            records.sort_by(|a, b| a.utc.cmp(&b.utc));
            let conditions = records.last().map(|newest| Conditions::of(newest));
            let mut newest: Vec<Option<&Record>> = vec![None; population.networks.len()];
            let mut other_conditions = 0;
            for record in records {
                if Some(Conditions::of(record)) == conditions {
                    newest[places[&record.network]] = Some(record);
                } else {
                    other_conditions += 1;
                }
            }
            CountingRecords { measure, records: newest, other_conditions }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{population, record};

    fn seconds(values: &MeasureValues) -> f64 {
        values.seconds.unwrap()
    }

    #[test]
    fn the_newest_record_of_a_network_counts() {
        let records = [
            record(10, "margin", "", "ok", 0, "2026-01-02T00:00:00Z"),
            record(10, "margin", "", "timeout", 0, "2026-01-01T00:00:00Z"),
            record(20, "margin", "", "ok", 0, "2026-01-01T00:00:00Z"),
            record(20, "margin", "", "failed", 0, "2026-01-01T00:00:00Z"),
        ];
        let [margin] = values_from_records(&population(), &records).try_into().unwrap();
        assert_eq!(margin.entries[0], Entry::Value { value: 0.5, standard_error: Some(0.125) });
        assert_eq!(
            margin.entries[1],
            Entry::absent(ValueStatus::Failed, "a reason"),
            "of equal times the last line"
        );
        assert_eq!(margin.entries[2], Entry::missing());
        assert_eq!(margin.covered(), 1);
        assert_eq!(margin.status(), ValueStatus::Failed);
        assert_eq!(seconds(&margin), 0.5, "of the records that count");
    }

    #[test]
    fn seeds_are_never_mixed() {
        let records = [
            record(10, "margin", "", "ok", 0, "2026-01-01T00:00:00Z"),
            record(20, "margin", "", "ok", 7, "2026-01-01T00:00:01Z"),
        ];
        let [margin] = values_from_records(&population(), &records).try_into().unwrap();
        assert_eq!(margin.entries[0], Entry::missing(), "made under another seed than the newest record");
        assert!(margin.entries[1].value().is_some());
    }

    #[test]
    fn parameters_make_another_measure_and_other_zoos_do_not_count() {
        let mut foreign = record(10, "margin", "", "ok", 0, "2026-01-01T00:00:00Z");
        foreign.zoo = "other".into();
        let records = [
            record(10, "margin", "p=5", "ok", 0, "2026-01-01T00:00:00Z"),
            record(10, "l2_norm", "", "ok", 0, "2026-01-01T00:00:00Z"),
            record(11, "margin", "", "ok", 0, "2026-01-01T00:00:00Z"),
            foreign,
        ];
        let values = values_from_records(&population(), &records);
        let measures: Vec<&str> = values.iter().map(|values| values.measure.as_str()).collect();
        assert_eq!(measures, ["margin:p=5", "l2_norm"]);
    }

    #[test]
    fn the_status_of_a_measure_is_the_gravest() {
        let absent = |status| Entry::absent(status, "");
        let values =
            |entries| MeasureValues { measure: "m".into(), entries, seconds: None, expression: None };
        assert_eq!(values(vec![Entry::number(1.0)]).status(), ValueStatus::Ok);
        let several =
            values(vec![Entry::number(1.0), absent(ValueStatus::Timeout), absent(ValueStatus::Undefined)]);
        assert_eq!(several.status(), ValueStatus::Timeout);
        assert_eq!(several.covered(), 1);
        assert_eq!(several.statuses().values().sum::<usize>(), 3);
    }
}
