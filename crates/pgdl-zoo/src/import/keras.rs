//! Keras models and a table of their hyperparameters and accuracies → a zoo.

use std::path::{Path, PathBuf};

use pgdl_network::Network;
use tch::Tensor;

use super::ImportEvent;
use super::table::{ModelFiles, Table};
use crate::atomic_file::create_folder;
use crate::atomic_folder::Staging;
use crate::data::shards;
use crate::data_reference::DataReference;
use crate::verified_copy::copy_file;
use crate::writer::ZooWriter;
use crate::{Result, Split, Zoo, ZooError, keras};

/// A zoo that was made from Keras models.
#[derive(Debug)]
pub struct ImportedZoo {
    /// The zoo.
    pub zoo: Zoo,
    /// What may not be meant so: columns that look misspelt, a grid with holes, no data.
    pub warnings: Vec<String>,
}

/// Makes a zoo in the folder `to` from Keras models.
///
/// `table` is a CSV file with the columns `file` (any format that [`keras::read_network`] takes), `train_acc` and
/// `test_acc`; `id`, `weights_file` (where `file` is a model's JSON), `init_file` (the weights before training),
/// `train_loss` and `test_loss` may be there; every other column is a hyperparameter. Paths start from the table's
/// folder. `data` is a folder with `train` and `test` shards, or a `data.json`; shards are copied and verified against
/// the networks.
///
/// A final softmax is taken off: outputs are logits. `to` appears when it is complete.
///
/// # Errors
/// When the table, a model or the data are not as described: with the row and the column; when `to` is there and not an
/// empty folder; when the networks do not all take the same inputs and distinguish the same number of classes.
pub fn import_keras(
    table: &Path,
    to: &Path,
    data: Option<&Path>,
    progress: &mut dyn FnMut(ImportEvent<'_>),
) -> Result<ImportedZoo> {
    let Table { listing, files, mut warnings } = Table::read(table)?;
    let staging = Staging::begin(to)?;
    let writer = ZooWriter::create(staging.folder())?;
    let mut interface: Option<(Vec<i64>, i64)> = None;
    for (done, (network, files)) in listing.networks.iter().zip(&files).enumerate() {
        let at_row = |error: ZooError| in_row(table, files, &error);
        let (trained, initial) = read(files).map_err(at_row)?;
        let own = (
            trained.architecture().input_shape.clone(),
            trained.classes().map_err(|source| at_row(ZooError::network(&files.model, source)))?,
        );
        let shared = interface.get_or_insert_with(|| own.clone());
        if *shared != own {
            return Err(at_row(ZooError::malformed(
                &files.model,
                format!(
                    "takes inputs of shape {:?} and distinguishes {} classes, where the networks before it have {:?} and {}",
                    own.0, own.1, shared.0, shared.1
                ),
            )));
        }
        writer.write_network(network.id, &trained, initial.as_ref()).map_err(at_row)?;
        progress(ImportEvent::Network { done: done + 1, total: listing.networks.len() });
    }
    match (data, interface) {
        (Some(data), Some((input_shape, classes))) => {
            bring_data(data, &staging.folder().join("dataset_1"), &input_shape, classes)?;
        }
        _ => warnings
            .push("the zoo has no data: give them with --data, or put them into its dataset_1".to_owned()),
    }
    writer.write_listing(&listing)?;
    warnings.extend(listing.grid_problems().iter().map(ToString::to_string));
    staging.commit()?;
    Ok(ImportedZoo { zoo: Zoo::open(to)?, warnings })
}

/// The same problem, told with the row that led to it.
fn in_row(table: &Path, files: &ModelFiles, error: &ZooError) -> ZooError {
    let cause = match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    };
    ZooError::malformed(table, format!("{}: {cause}", files.row))
}

/// A network after and, where the table has it, before training.
fn read(files: &ModelFiles) -> Result<(Network, Option<Network>)> {
    let trained = keras::read_network(&files.model, files.weights.as_deref())?;
    let Some(path) = &files.initial else { return Ok((trained, None)) };
    let tensors: Vec<Vec<Tensor>> = if path.is_dir() {
        let initial = keras::read_network(path, None)?;
        initial.weights().iter().map(|node| node.iter().map(Tensor::shallow_clone).collect()).collect()
    } else {
        keras::load_weights(&keras::read_model(&files.model)?, path)?
    };
    let initial = trained.with_weights(tensors).map_err(|source| ZooError::network(path, source))?;
    Ok((trained, Some(initial)))
}

fn bring_data(data: &Path, folder: &Path, input_shape: &[i64], classes: i64) -> Result<()> {
    create_folder(folder)?;
    if data.is_file() {
        DataReference::read(data)?;
        return copy_file(data, &folder.join("data.json")).map(|_| ());
    }
    for split in [Split::Train, Split::Test] {
        let from = data.join(split.name());
        if split == Split::Test && !from.is_dir() {
            continue;
        }
        let to = folder.join(split.name());
        create_folder(&to)?;
        for shard in shards::paths(&from)? {
            let name: PathBuf = shard.file_name().unwrap_or_default().into();
            copy_file(&shard, &to.join(name))?;
        }
        let samples = shards::read(&to)?;
        samples
            .check_fits(input_shape, classes)
            .map_err(|error| ZooError::malformed(&from, error.to_string()))?;
    }
    Ok(())
}
