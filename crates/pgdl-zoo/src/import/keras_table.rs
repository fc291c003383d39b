//! Keras models and a table of their hyperparameters and accuracies → a zoo.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::data_reference::DataReference;
use crate::export::copy_shards;
use crate::hyperparameter::{HyperValue, Hyperparameter};
use crate::keras::{load_network, read_model, read_network};
use crate::writer::{ZooWriter, remove_folder};
use crate::zoo::{Listing, Metrics, NetworkEntry, Zoo};
use crate::{Result, Split, ZooError};

/// Columns with a meaning of their own; all others are hyperparameters.
const COLUMNS: [&str; 8] =
    ["file", "weights_file", "init_file", "id", "train_acc", "test_acc", "train_loss", "test_loss"];

/// One row of the table.
struct Row {
    file: PathBuf,
    weights: Option<PathBuf>,
    initial: Option<PathBuf>,
    entry: NetworkEntry,
}

/// Makes a zoo in the folder `to` of the models in a CSV table.
///
/// Columns: `file` (a `.keras` archive, a whole-model `.h5`, a PGDL model folder, or a model's JSON, whose weights are
/// then in `weights_file`), `train_acc`, `test_acc`; optionally `id` (else rows count from 0), `init_file` (the weights
/// before training), `train_loss`, `test_loss`. Every other column is a hyperparameter. Files are relative to the
/// table's folder. `data` is a folder with `train` and `test` shards, or a `data.json`. `progress` is told how many
/// networks of how many are written. The folder is there in full or not at all.
///
/// # Errors
/// When the table is malformed (with its line), a model cannot be read, `to` exists, or the system refuses.
pub fn import_keras(
    table: &Path,
    to: &Path,
    data: Option<&Path>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Zoo> {
    if to.exists() {
        return Err(ZooError::Invalid(format!("{} exists already", to.display())));
    }
    let Some(name) = to.file_name() else {
        return Err(ZooError::Invalid(format!("{} is no name for a folder", to.display())));
    };
    let (axes, rows) = read_table(table)?;
    let part = to.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    remove_folder(&part)?;
    let written = write(&part, axes, &rows, data, progress)
        .and_then(|()| fs::rename(&part, to).map_err(|source| ZooError::io(to, source)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = remove_folder(&part);
    }
    written?;
    Zoo::open(to)
}

fn write(
    folder: &Path,
    axes: Vec<Hyperparameter>,
    rows: &[Row],
    data: Option<&Path>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let writer = ZooWriter::create(folder)?;
    for (done, row) in rows.iter().enumerate() {
        let network = read_network(&row.file, row.weights.as_deref())?;
        let initial = match &row.initial {
            None => None,
            // Initial weights may be a file of weights alone, or a model of their own.
            Some(initial) => Some(match read_network(initial, None) {
                Err(ZooError::Missing { .. }) => load_network(read_model(&row.file)?, initial)?,
                initial => initial?,
            }),
        };
        writer.write_network(row.entry.id, &network, initial.as_ref())?;
        progress(done + 1, rows.len());
    }
    let mut networks: Vec<NetworkEntry> = rows.iter().map(|row| row.entry.clone()).collect();
    networks.sort_by_key(|network| network.id);
    writer.write_listing(&Listing { hyperparameters: axes, networks })?;
    match data {
        None => Ok(()),
        Some(data) if data.is_dir() => [Split::Train, Split::Test]
            .into_iter()
            .filter(|split| *split == Split::Train || data.join(split.name()).is_dir())
            .try_for_each(|split| {
                copy_shards(&data.join(split.name()), &folder.join("dataset_1").join(split.name()))
            }),
        Some(data) => writer.write_data_reference(&DataReference::read(data)?),
    }
}

fn read_table(path: &Path) -> Result<(Vec<Hyperparameter>, Vec<Row>)> {
    let malformed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => ZooError::io(path, source),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map_or(0, |pos| pos.line());
            ZooError::malformed(path, format!("line {line}: {len} fields in place of {expected_len}"))
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            ZooError::malformed(path, format!("line {}: not UTF-8", pos.map_or(0, |pos| pos.line())))
        }
        kind => ZooError::malformed(path, format!("not a CSV table: {kind:?}")),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(malformed)?;
    let headers = reader.headers().map_err(malformed)?.clone();
    if let Some(twice) =
        (headers.iter().enumerate()).find(|(at, name)| headers.iter().take(*at).any(|other| other == *name))
    {
        return Err(ZooError::malformed(path, format!("column {} stands twice", twice.1)));
    }
    let column = |name: &str| headers.iter().position(|header| header == name);
    for needed in ["file", "train_acc", "test_acc"] {
        if column(needed).is_none() {
            return Err(ZooError::malformed(path, format!("there is no column {needed}")));
        }
    }
    let axes: Vec<usize> = (0..headers.len()).filter(|at| !COLUMNS.contains(&&headers[*at])).collect();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut rows = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(malformed)?;
        let line = record.position().map_or(0, |position| position.line());
        let wrong = |message: String| ZooError::malformed(path, format!("line {line}: {message}"));
        let field = |name: &str| column(name).and_then(|at| record.get(at)).filter(|field| !field.is_empty());
        let file = |name: &str| field(name).map(|file| folder.join(file));
        let number = |name: &str| {
            let parse = |field: &str| field.parse::<f64>().ok().filter(|number| number.is_finite());
            field(name)
                .map(|field| parse(field).ok_or_else(|| wrong(format!("{name} = {field} is no number"))))
                .transpose()
        };
        let accuracy = |name: &str| {
            let value = number(name)?.ok_or_else(|| wrong(format!("{name} is missing")))?;
            if (0.0..=1.0).contains(&value) {
                Ok(value)
            } else {
                Err(wrong(format!("{name} = {value} is not in 0..=1")))
            }
        };
        let id = match field("id") {
            Some(id) => id.parse().map_err(|_| wrong(format!("id {id} is no whole number")))?,
            None => index as u64,
        };
        if !ids.insert(id) {
            return Err(wrong(format!("id {id} stands twice")));
        }
        let hyperparameters = axes
            .iter()
            .map(|at| match record.get(*at).unwrap_or_default() {
                "" => Err(wrong(format!("{} is missing", &headers[*at]))),
                text => Ok(value(text)),
            })
            .collect::<Result<_>>()?;
        let metrics = Metrics {
            train_acc: accuracy("train_acc")?,
            test_acc: accuracy("test_acc")?,
            train_loss: number("train_loss")?,
            test_loss: number("test_loss")?,
        };
        let row = Row {
            file: file("file").ok_or_else(|| wrong("file is missing".into()))?,
            weights: file("weights_file"),
            initial: file("init_file"),
            entry: NetworkEntry { id, hyperparameters, metrics: Some(metrics), dev_name: None },
        };
        for file in [Some(&row.file), row.weights.as_ref(), row.initial.as_ref()].into_iter().flatten() {
            if !file.exists() {
                return Err(wrong(format!("{} is not there", file.display())));
            }
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(ZooError::malformed(path, "the table has no rows"));
    }
    let axes = axes
        .iter()
        .enumerate()
        .map(|(axis, at)| {
            let values: BTreeSet<&HyperValue> =
                rows.iter().map(|row| &row.entry.hyperparameters[axis]).collect();
            Hyperparameter {
                name: headers[*at].to_owned(),
                possible_values: values.into_iter().cloned().collect(),
            }
        })
        .collect();
    Ok((axes, rows))
}

fn value(text: &str) -> HyperValue {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => HyperValue::Number(number),
        _ => HyperValue::Text(text.to_owned()),
    }
}
