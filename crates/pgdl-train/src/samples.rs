//! The samples that a recipe's networks are trained and tested on, and how a zoo folder names or holds them.

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_zoo::data_reference::DataReference;
use pgdl_zoo::fetch::Progress;
use pgdl_zoo::{Dataset, Split, ZooError};

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::store;

/// The training and the test sample of a recipe whose data have been prepared in `root`.
pub fn load(recipe: &Recipe, root: &Path, progress: Progress<'_>) -> Result<(Dataset, Dataset)> {
    if let Some(synthetic) = &recipe.synthetic {
        return synthetic.draw(recipe.seed);
    }
    let reference = DataReference::read(&reference_path(root))?;
    Ok((reference.load(Split::Train, progress)?, reference.load(Split::Test, progress)?))
}

/// Writes `dataset_1` of the zoo at `root`, if it is not there: the name of public data, which are fetched when missing,
/// or drawn data themselves.
pub(crate) fn prepare(recipe: &Recipe, root: &Path, progress: Progress<'_>) -> Result<()> {
    if let Some(synthetic) = &recipe.synthetic {
        let (train, test) = synthetic.draw(recipe.seed)?;
        return store::write_shards(root, &train, &test);
    }
    let path = reference_path(root);
    if path.exists() {
        DataReference::read(&path)?;
        return Ok(());
    }
    let Some(data) = &recipe.data else {
        return Err(TrainError::Zoo(ZooError::Invalid("the recipe names no data".into())));
    };
    let (reference, _, _) = DataReference::new(
        &data.dataset,
        data.transform.clone(),
        (Split::Train, data.train.clone()),
        Some((Split::Test, data.test.clone())),
        progress,
    )?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| TrainError::io(folder, source))?;
    }
    Ok(reference.write(&path)?)
}

fn reference_path(root: &Path) -> PathBuf {
    root.join("dataset_1").join("data.json")
}
