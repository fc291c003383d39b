//! Data that a zoo names instead of holding them: a public data set, which of its samples, and the transform.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::{Images, Transform};
use crate::fetch::{self, NamedData, Progress, named};
use crate::json_file::{read_json, write_json};
use crate::{Dataset, Result, Split, ZooError};

/// The version of the form that is written, and the only one that is read.
const SCHEMA: u32 = 1;

/// Contents of a zoo's `dataset_1/data.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataReference {
    schema: u32,
    /// The data set's name in [`fetch::CATALOGUE`].
    pub dataset: String,
    /// The training sample.
    pub train: Sample,
    /// The test sample, where the zoo has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Sample>,
    /// Bytes to network inputs, for both.
    pub transform: Transform,
}

/// Which samples of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The half they are taken from; a "test" sample may well be a part of `train` that was held out.
    pub split: Split,
    /// Their positions in it.
    pub indices: Indices,
    /// How many they are.
    pub count: usize,
    /// [`Dataset::digest`] after the transform.
    pub sha256: String,
}

/// Positions of samples, each at most once, as text: `0-4999,6000-6009`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Indices(Vec<RangeInclusive<usize>>);

impl Indices {
    /// From single positions, in the order given.
    ///
    /// # Errors
    /// When a position occurs twice.
    pub fn new(indices: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut ranges: Vec<RangeInclusive<usize>> = Vec::new();
        for index in indices {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(index) => *last = *last.start()..=index,
                _ => ranges.push(index..=index),
            }
        }
        Indices::from_ranges(ranges)
    }

    fn from_ranges(ranges: Vec<RangeInclusive<usize>>) -> Result<Self> {
        let mut sorted: Vec<_> = ranges.iter().collect();
        sorted.sort_by_key(|range| *range.start());
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].end() >= pair[1].start()) {
            return Err(ZooError::Invalid(format!("the index {} occurs twice", pair[1].start())));
        }
        Ok(Indices(ranges))
    }

    /// How many positions there are; none when the number does not fit.
    pub fn count(&self) -> Option<usize> {
        self.0
            .iter()
            .try_fold(0usize, |sum, range| sum.checked_add((range.end() - range.start()).checked_add(1)?))
    }

    /// The largest position.
    pub fn last(&self) -> Option<usize> {
        self.0.iter().map(|range| *range.end()).max()
    }

    /// The positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().cloned().flatten()
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(formatter, "{comma}{start}")?,
                (start, end) => write!(formatter, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Indices {
    type Err = ZooError;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Indices(Vec::new()));
        }
        let range = |part: &str| {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            let (start, end) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
            (start <= end).then_some(start..=end)
        };
        let ranges: Result<_> = text
            .split(',')
            .map(|part| {
                range(part)
                    .ok_or_else(|| ZooError::Invalid(format!("`{}` is no range of indices", part.trim())))
            })
            .collect();
        Indices::from_ranges(ranges?)
    }
}

impl TryFrom<String> for Indices {
    type Error = ZooError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Indices> for String {
    fn from(indices: Indices) -> String {
        indices.to_string()
    }
}

impl DataReference {
    /// Names samples of a public data set, which is fetched when missing, and computes their digests. Also returns the
    /// samples.
    pub fn new(
        dataset: &str,
        transform: Transform,
        train: (Split, Indices),
        test: Option<(Split, Indices)>,
        progress: Progress<'_>,
    ) -> Result<(DataReference, Dataset, Option<Dataset>)> {
        let data = named(dataset)?;
        let mut select = |(split, indices): (Split, Indices)| -> Result<(Sample, Dataset)> {
            let chosen =
                choose(&fetch::images(data.name, split, progress)?, data, split, &indices, &transform)?;
            Ok((Sample { split, count: chosen.len(), sha256: chosen.digest()?, indices }, chosen))
        };
        let (train, train_data) = select(train)?;
        let (test, test_data) = test.map(select).transpose()?.unzip();
        let reference =
            DataReference { schema: SCHEMA, dataset: data.name.to_owned(), train, test, transform };
        Ok((reference, train_data, test_data))
    }

    /// Reads a `data.json`.
    ///
    /// # Errors
    /// When it is not of the form written here: another schema, an unknown data set, counts that contradict the
    /// indices, a digest that cannot be one.
    pub fn read(path: &Path) -> Result<Self> {
        let value = read_json(path)?;
        let malformed = |message: String| ZooError::malformed(path, message);
        let schema = value.get("schema").cloned();
        if schema != Some(SCHEMA.into()) {
            let found = schema.map_or("no schema".to_owned(), |schema| format!("schema {schema}"));
            return Err(ZooError::unsupported(path, found, format!("schema {SCHEMA}")));
        }
        let reference: DataReference =
            serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        named(&reference.dataset)?;
        for sample in std::iter::once(&reference.train).chain(&reference.test) {
            if sample.indices.count() != Some(sample.count) {
                return Err(malformed(format!("{} are not {} indices", sample.indices, sample.count)));
            }
            if sample.sha256.len() != 64 || !sample.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed(format!("`{}` is no SHA-256", sample.sha256)));
            }
        }
        Ok(reference)
    }

    /// Writes a `data.json`, in full or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    /// The zoo's training or test sample; the data set is fetched when missing.
    ///
    /// # Errors
    /// [`ZooError::Missing`] when the zoo names no test sample, [`ZooError::Checksum`] when the sample's digest is not
    /// the one that the zoo states, and whatever [`fetch::ensure`] says.
    pub fn load(&self, split: Split, progress: Progress<'_>) -> Result<Dataset> {
        let data = named(&self.dataset)?;
        let sample = match split {
            Split::Train => &self.train,
            Split::Test => self.test.as_ref().ok_or_else(|| ZooError::missing("data.json", "test sample"))?,
        };
        let folder = fetch::ensure(data.name, progress)?;
        let images = data.read(&folder, sample.split)?;
        let chosen = choose(&images, data, sample.split, &sample.indices, &self.transform)?;
        let found = chosen.digest()?;
        if found != sample.sha256.to_ascii_lowercase() {
            return Err(ZooError::Checksum {
                path: folder,
                what: format!("{} {}, transformed", sample.split, sample.indices),
                expected: sample.sha256.clone(),
                found,
            });
        }
        Ok(chosen)
    }
}

fn choose(
    images: &Images,
    data: &NamedData,
    split: Split,
    indices: &Indices,
    transform: &Transform,
) -> Result<Dataset> {
    // Checked before the ranges are counted out.
    if let Some(last) = indices.last().filter(|last| *last >= images.len()) {
        return Err(ZooError::Invalid(format!(
            "{} {split} has {} samples, and none at {last}",
            data.title,
            images.len()
        )));
    }
    images.dataset(transform, indices.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TEXT: &str = r#"{"schema":1,"dataset":"cifar10",
        "train":{"split":"train","indices":"0-4999,6000-6009,7","count":5011,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"},
        "test":{"split":"test","indices":"0-9999","count":10000,"sha256":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        "transform":{"scale":0.00392156862745098,"mean":[0.49,0.48,0.44],"std":[0.2,0.2,0.2]}}"#;

    fn read(text: &str) -> Result<DataReference> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        fs::write(&path, text).unwrap();
        DataReference::read(&path)
    }

    #[test]
    fn what_is_written_is_read() {
        let text = TEXT.replace("6009,7\"", "6009\"").replace("5011", "5010");
        let reference = read(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.json");
        reference.write(&path).unwrap();
        assert_eq!(DataReference::read(&path).unwrap(), reference);
        assert_eq!(reference.transform.scale, 1.0 / 255.0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn contradictions_are_errors() {
        assert!(read(TEXT).unwrap_err().to_string().contains("7 occurs twice"));
        let sound = TEXT.replace("6009,7\"", "6009\"").replace("5011", "5010");
        for (from, to) in [
            ("\"schema\":1", "\"schema\":2"),
            ("cifar10", "cifar11"),
            ("5010", "5011"),
            ("0-9999", "9999-0"),
            ("0-9999", "0-x"),
            ("0-9999", "0-18446744073709551615"),
            ("0-9999", "0-99999999999999999999999"),
            ("ffff", "fff"),
            ("\"scale\"", "\"scael\""),
            ("\"split\":\"test\"", "\"split\":\"validation\""),
        ] {
            assert!(read(&sound.replacen(from, to, 1)).is_err(), "{from} -> {to}");
        }
        for length in 0..sound.len() {
            assert!(read(&sound[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn indices_keep_their_order() {
        let indices = Indices::new([5, 6, 7, 3, 10, 11, 0]).unwrap();
        assert_eq!(indices.to_string(), "5-7,3,10-11,0");
        assert_eq!(indices.to_string().parse::<Indices>().unwrap(), indices);
        assert_eq!(indices.iter().collect::<Vec<_>>(), [5, 6, 7, 3, 10, 11, 0]);
        assert_eq!((indices.count(), indices.last()), (Some(7), Some(11)));
        assert_eq!("".parse::<Indices>().unwrap().count(), Some(0));
        assert!(Indices::new([1, 2, 1]).is_err());
        assert!("0-5,3-4".parse::<Indices>().is_err());
        assert!("1,,2".parse::<Indices>().is_err());
    }
}
