//! Folders of TFRecord shards: the data of a PGDL task.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::example::{self, Example};
use super::tfrecord::{RecordReader, RecordWriter};
use crate::atomic_file::{create_folder, write_file};
use crate::tensor_memory::{filled, with_elements};
use crate::{Dataset, Result, ZooError};

const EXTENSION: &str = "tfrecord";
/// Abbreviated inputs may become this much larger than the files. An honest data set stays far below; a few bytes that
/// claim a huge input do not.
const LARGEST_RATIO: u64 = 1032;
/// Inputs of this size in all are taken whatever the files' size.
const ALWAYS_TAKEN: u64 = 64 << 20;

/// The shards in `folder`, in numeric order of their names: `shard_2` before `shard_10`.
///
/// # Errors
/// When there is no such folder, or no shard in it.
pub fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let missing = |what: &str| ZooError::missing(folder, what);
    if !folder.is_dir() {
        return Err(missing("folder"));
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| ZooError::io(folder, source))? {
        let path = entry.map_err(|source| ZooError::io(folder, source))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == EXTENSION) && !hidden && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(missing("shard (*.tfrecord)"));
    }
    paths.sort_by(|a, b| {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        numeric_order(&name(a), &name(b))
    });
    Ok(paths)
}

/// Reads all shards in `folder`, verifying every checksum; shards are decoded in parallel, each into its part of the
/// one tensor. Inputs are fed as they are: no normalization.
///
/// # Errors
/// When a shard is damaged, an example is not of the expected form, shapes differ, an input is not finite or a label is
/// negative: with the shard and the number of the record.
pub fn read(folder: &Path) -> Result<Dataset> {
    let paths = paths(folder)?;
    let counts: Vec<usize> =
        paths.par_iter().map(|path| RecordReader::open(path)?.count()).collect::<Result<_>>()?;
    let shape = first_shape(&paths)?;
    let size = element_count(&shape);
    let samples = counts.iter().try_fold(0usize, |sum, count| sum.checked_add(*count));
    let bytes = (paths.iter().map(|path| fs::metadata(path).map(|metadata| metadata.len())))
        .sum::<std::io::Result<u64>>()
        .map_err(|source| ZooError::io(folder, source))?;
    let allowed = bytes.saturating_mul(LARGEST_RATIO).max(ALWAYS_TAKEN);
    let (Some(size), Some(samples)) = (size, samples) else {
        return Err(ZooError::malformed(folder, format!("inputs of shape {shape:?} do not fit in memory")));
    };
    if (size as u64).saturating_mul(samples as u64).saturating_mul(4) > allowed {
        return Err(ZooError::malformed(
            folder,
            format!("{samples} inputs of shape {shape:?} are more than {bytes} bytes of shards can mean"),
        ));
    }
    let mut labels = vec![0i64; samples];
    let full_shape: Vec<i64> = std::iter::once(samples as i64).chain(shape.iter().copied()).collect();
    let inputs = filled(&full_shape, |values: &mut [f32]| {
        let mut jobs = Vec::with_capacity(paths.len());
        let (mut values, mut labels) = (values, labels.as_mut_slice());
        for (path, count) in paths.iter().zip(&counts) {
            let (shard_values, more_values) = values.split_at_mut(count * size);
            let (shard_labels, more_labels) = labels.split_at_mut(*count);
            (values, labels) = (more_values, more_labels);
            jobs.push((path, shard_values, shard_labels));
        }
        jobs.into_par_iter().try_for_each(|(path, values, labels)| read_shard(path, &shape, values, labels))
    })?;
    Ok(Dataset { inputs, labels: Tensor::f_from_slice(&labels)? })
}

/// Number of records in `folder`, from the lengths alone.
pub fn count(folder: &Path) -> Result<usize> {
    paths(folder)?.par_iter().map(|path| RecordReader::open(path)?.count()).sum()
}

/// Writes `data` into `folder` as `shard_0.tfrecord` … with `per_shard` samples each. Each shard appears under its name
/// only when it is complete.
///
/// # Errors
/// When `data` is empty, `per_shard` is 0, a label does not fit in 32 bits, or `folder` holds shards already.
pub fn write(folder: &Path, data: &Dataset, per_shard: usize) -> Result<Vec<PathBuf>> {
    if data.is_empty() || per_shard == 0 {
        return Err(ZooError::Invalid(format!(
            "cannot write {} samples as shards of {per_shard}",
            data.len()
        )));
    }
    create_folder(folder)?;
    if paths(folder).is_ok() {
        return Err(ZooError::Invalid(format!("{} holds shards already", folder.display())));
    }
    let shape = data.input_shape();
    let labels = with_elements(&data.labels, |labels: &[i64]| labels.to_vec())?;
    let mut written = Vec::new();
    for (shard, labels) in labels.chunks(per_shard).enumerate() {
        let path = folder.join(format!("shard_{shard}.{EXTENSION}"));
        let part = data.inputs.f_narrow(0, (shard * per_shard) as i64, labels.len() as i64)?;
        with_elements(&part.f_to_kind(Kind::Float)?, |values: &[f32]| {
            write_shard(&path, &shape, values, labels)
        })??;
        written.push(path);
    }
    Ok(written)
}

fn write_shard(path: &Path, shape: &[i64], values: &[f32], labels: &[i64]) -> Result<()> {
    let size = values.len() / labels.len().max(1);
    write_file(path, |file| {
        let mut writer = RecordWriter::new(file);
        for (index, label) in labels.iter().enumerate() {
            let label = i32::try_from(*label)
                .map_err(|_| ZooError::Invalid(format!("the label {label} does not fit in 32 bits")))?;
            let payload = example::serialize(shape, &values[index * size..][..size], label);
            writer.write(&payload).map_err(|source| ZooError::io(path, source))?;
        }
        Ok(())
    })
}

/// The input shape of the first record there is.
fn first_shape(paths: &[PathBuf]) -> Result<Vec<i64>> {
    for path in paths {
        if let Some(payload) = RecordReader::open(path)?.next_payload()? {
            let example = Example::parse(payload).map_err(|message| record_error(path, 0, &message))?;
            return Ok(example.shape().to_vec());
        }
    }
    Err(ZooError::malformed(
        paths.first().map_or(Path::new(""), PathBuf::as_path),
        "the shards hold no record",
    ))
}

fn read_shard(path: &Path, shape: &[i64], values: &mut [f32], labels: &mut [i64]) -> Result<()> {
    let mut reader = RecordReader::open(path)?;
    let size = element_count(shape).unwrap_or(0);
    for (index, label) in labels.iter_mut().enumerate() {
        let wrong = |message: &str| record_error(path, index, message);
        let payload = reader.next_payload()?.ok_or_else(|| wrong("is gone: the file became shorter"))?;
        let example = Example::parse(payload).map_err(|message| wrong(&message))?;
        if example.shape() != shape {
            return Err(wrong(&format!("has inputs of shape {:?} among {shape:?}", example.shape())));
        }
        let slot = &mut values[index * size..][..size];
        example.decode_into(slot).map_err(|message| wrong(&message))?;
        if slot.iter().any(|value| !value.is_finite()) {
            return Err(wrong("has an input that is not finite"));
        }
        if example.label() < 0 {
            return Err(wrong(&format!("has the label {}", example.label())));
        }
        *label = i64::from(example.label());
    }
    Ok(())
}

fn record_error(path: &Path, record: usize, message: &str) -> ZooError {
    ZooError::malformed(path, format!("record {record} {message}"))
}

fn element_count(shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(usize::try_from(*size).ok()?))
}

/// Compares names run by run, digits by their value.
fn numeric_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (m, n) = (digits(left), digits(right));
        let order = if m > 0 && n > 0 {
            let (x, y) = (left[..m].trim_start_matches('0'), right[..n].trim_start_matches('0'));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            (left, right) = (&left[m..], &right[n..]);
            order
        } else {
            let (mut x, mut y) = (left.chars(), right.chars());
            let order = x.next().cmp(&y.next());
            (left, right) = (x.as_str(), y.as_str());
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn data(samples: i64) -> Dataset {
        let inputs =
            Tensor::arange(samples * 12, (Kind::Float, tch::Device::Cpu)).reshape([samples, 2, 2, 3]);
        Dataset::new(inputs / 7, Tensor::arange(samples, (Kind::Int64, tch::Device::Cpu)).remainder(5))
            .unwrap()
    }

    #[test]
    fn what_is_written_is_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        // 12 shards: `shard_10` must follow `shard_9`, not `shard_1`.
        let written = write(folder.path(), &data(35), 3).unwrap();
        assert_eq!(written.len(), 12);
        assert_eq!(paths(folder.path()).unwrap(), written);
        let read = read(folder.path()).unwrap();
        assert_eq!(read.digest().unwrap(), data(35).digest().unwrap());
        assert_eq!(count(folder.path()).unwrap(), 35);
        assert!(write(folder.path(), &data(1), 1).is_err());
    }

    #[test]
    fn names_are_ordered_by_number() {
        let mut names =
            ["shard_10", "shard_9", "shard_09a", "shard_1", "a", "shard", "shard_100000000000000000000"];
        names.sort_by(|a, b| numeric_order(a, b));
        assert_eq!(
            names,
            ["a", "shard", "shard_1", "shard_9", "shard_09a", "shard_10", "shard_100000000000000000000"]
        );
    }

    #[test]
    fn other_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &data(2), 2).unwrap();
        for name in [".DS_Store", "._shard_0.tfrecord", "shard_1.tfrecord.tmp", "notes.txt"] {
            fs::write(folder.path().join(name), b"no records").unwrap();
        }
        assert_eq!(read(folder.path()).unwrap().len(), 2);
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(read(empty.path()), Err(ZooError::Missing { .. })));
        assert!(matches!(read(&empty.path().join("train")), Err(ZooError::Missing { .. })));
    }

    #[test]
    fn examples_that_do_not_belong_are_named() {
        let says = |shape: &[i64], values: &[f32], label: i32, part: &str| {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &data(2), 2).unwrap();
            let mut writer = RecordWriter::new(File::create(folder.path().join("shard_1.tfrecord")).unwrap());
            writer.write(&example::serialize(&[2, 2, 3], &[0.5; 12], 1)).unwrap();
            writer.write(&example::serialize(shape, values, label)).unwrap();
            writer.finish().unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("shard_1.tfrecord: record 1") && error.contains(part), "{error}");
        };
        says(&[2, 2, 2], &[0.0; 8], 1, "shape [2, 2, 2] among [2, 2, 3]");
        says(&[3, 2, 2], &[0.0; 12], 1, "shape [3, 2, 2]");
        says(&[2, 2, 3], &[f32::NAN; 12], 1, "not finite");
        says(&[2, 2, 3], &[0.0; 12], -1, "label -1");
    }

    #[test]
    fn a_few_bytes_cannot_claim_a_huge_input() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RecordWriter::new(File::create(folder.path().join("shard_0.tfrecord")).unwrap());
        writer.write(&example::serialize(&[1 << 30, 1 << 10], &[], 0)).unwrap();
        writer.finish().unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn shards_cut_or_changed_anywhere_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &data(3), 3).unwrap().remove(0);
        let whole = fs::read(&path).unwrap();
        let record = whole.len() / 3;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let outcome = read(folder.path());
            // A cut between records leaves a shorter sound file; nothing in it tells.
            assert_eq!(outcome.is_ok(), length % record == 0 && length > 0, "{length} bytes");
        }
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] = bytes[position].wrapping_add(1);
            fs::write(&path, &bytes).unwrap();
            assert!(read(folder.path()).is_err(), "byte {position}");
        }
    }
}
