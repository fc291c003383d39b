//! The samples of a zoo, read once, with every checksum verified.

use super::{CheckEvent, CheckOptions, Finding};
use crate::data::example::Example;
use crate::data::shards;
use crate::data::tfrecord::RecordReader;
use crate::{Dataset, Result, Split, Zoo, ZooError};

/// What could be read.
pub(super) struct Samples {
    pub train: Option<Dataset>,
    pub test: Option<Dataset>,
}

/// Reads both halves; what is wrong with them goes to `findings`. A public data set is read only where accuracies are
/// to be recomputed: its files have been verified when they were fetched.
///
/// # Errors
/// When a public data set cannot be had.
pub(super) fn read(
    zoo: &Zoo,
    options: &CheckOptions,
    findings: &mut Vec<Finding>,
    progress: &mut dyn FnMut(CheckEvent<'_>),
) -> Result<Samples> {
    let mut half = |split: Split| -> Result<Option<Dataset>> {
        if zoo.data_reference().is_some() && !options.accuracy {
            return Ok(None);
        }
        progress(CheckEvent::Reading(split));
        match zoo.data(split, &mut |event| progress(CheckEvent::Fetch(event))) {
            Ok(data) => Ok(Some(data)),
            Err(error @ ZooError::Fetch { .. }) => Err(error),
            Err(error) => {
                findings.extend(damages(zoo, split, &error));
                Ok(None)
            }
        }
    };
    Ok(Samples { train: half(Split::Train)?, test: half(Split::Test)? })
}

/// What is wrong with each shard; the first error alone where no shard by itself is damaged.
fn damages(zoo: &Zoo, split: Split, first: &ZooError) -> Vec<Finding> {
    let paths = match zoo.data_reference() {
        Some(_) => Vec::new(),
        None => shards::paths(&zoo.shard_folder(split)).unwrap_or_default(),
    };
    let mut findings: Vec<Finding> =
        paths.iter().filter_map(|path| walk(path).err()).map(|error| Finding::from(&error)).collect();
    let first = Finding::from(first);
    if !findings.iter().any(|finding| finding.file == first.file) {
        findings.insert(0, first);
    }
    findings
}

fn walk(path: &std::path::Path) -> Result<()> {
    let mut reader = RecordReader::open(path)?;
    while let Some(payload) = reader.next_payload()? {
        if let Err(message) = Example::parse(payload) {
            let record = reader.position().saturating_sub(1);
            return Err(ZooError::malformed(path, format!("record {record} {message}")));
        }
    }
    Ok(())
}
