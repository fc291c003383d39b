//! A zoo on disk: the PGDL task layout.
//!
//! ```text
//! <task>/dataset_1/{train,test}/shard_*.tfrecord      or dataset_1/data.json, which names the data
//! <task>/model_<ID>/{config.json, weights.hdf5, weights_init.hdf5}
//! <task>/model_<ID>/train_labels.idx                   only where a network was trained on labels of its own
//! <task>/model_configs.json                           or ../../reference_data/<task>/model_configs.json
//! ```

mod digest;
mod listing;
mod place;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pgdl_network::{Architecture, Network};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

pub use digest::UNREADABLE;
pub use listing::Listing;
pub use place::{ZOO_PATH_VARIABLE, ZooLocation, user_zoos, zoo_folders};

use crate::data::{idx, shards};
use crate::data_reference::DataReference;
use crate::fetch::Progress;
use crate::hyperparameter::{HyperValue, Hyperparameter};
use crate::{Dataset, Result, Split, ZooError, keras};

/// What measures are to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Training accuracy − test accuracy.
    Accuracy,
    /// Test loss − training loss.
    Loss,
}

/// How well a network does, as its zoo lists it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Share of training samples that are classified rightly.
    pub train_acc: f64,
    /// Share of test samples that are classified rightly.
    pub test_acc: f64,
    /// Mean cross-entropy of the training samples, in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_loss: Option<f64>,
    /// Mean cross-entropy of the test samples, in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
}

impl Metrics {
    fn checked(self, id: u64) -> Result<Metrics, String> {
        for (name, accuracy) in [("train_acc", self.train_acc), ("test_acc", self.test_acc)] {
            if !(0.0..=1.0).contains(&accuracy) {
                return Err(format!("network {id}: {name} = {accuracy:?} is no share between 0 and 1"));
            }
        }
        Ok(self)
    }

    /// The generalization gap.
    ///
    /// `None` for the gap of losses where they are not listed.
    pub fn gap(&self, gap: Gap) -> Option<f64> {
        match gap {
            Gap::Accuracy => Some(self.train_acc - self.test_acc),
            Gap::Loss => Some(self.test_loss? - self.train_loss?),
        }
    }
}

/// A network as its zoo lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkEntry {
    /// Its number.
    pub id: u64,
    /// Its hyperparameters, in the zoo's order of axes; empty in a zoo that lists none.
    pub hyperparameters: Vec<HyperValue>,
    /// How well it does, where that is listed.
    pub metrics: Option<Metrics>,
    /// The name it had with those who trained it.
    pub dev_name: Option<String>,
}

/// The networks of one task. Opening reads configurations only; weights and data stay on disk.
#[derive(Clone, Debug)]
pub struct Zoo {
    name: String,
    root: PathBuf,
    listing_path: Option<PathBuf>,
    listing: Listing,
    data: Option<DataReference>,
    /// Of each network, once it was computed: a zoo's files are read through for it.
    weights_digests: Arc<[OnceLock<String>]>,
}

impl Zoo {
    /// Opens the zoo in a folder: a task's folder, or one with `input_data` in which there is one task.
    ///
    /// # Errors
    /// When there is no task, or several, or a configuration is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Zoo> {
        let place = place::task_place(path.as_ref())?;
        let listing = match &place.listing {
            Some(path) => Listing::read(path)?,
            None => unlisted(&place.root)?,
        };
        if listing.networks.is_empty() {
            return Err(ZooError::malformed(&place.root, "the zoo has no networks"));
        }
        let reference = place.root.join("dataset_1/data.json");
        let data = if reference.is_file() { Some(DataReference::read(&reference)?) } else { None };
        let weights_digests = listing.networks.iter().map(|_| OnceLock::new()).collect();
        let (name, root, listing_path) = (place.name, place.root, place.listing);
        Ok(Zoo { name, root, listing_path, listing, data, weights_digests })
    }

    /// Opens the zoo of a name or in a folder; what is a folder is taken for one.
    ///
    /// # Errors
    /// As [`Zoo::open`]; [`ZooError::Unknown`] says which name was meant.
    pub fn find(name: &str) -> Result<Zoo> {
        let path = Path::new(name);
        if path.is_dir() {
            return Zoo::open(path);
        }
        if name.contains(std::path::MAIN_SEPARATOR) {
            return Err(ZooError::missing(path, "zoo folder"));
        }
        let known = Zoo::list();
        match known.iter().find(|zoo| zoo.name == name) {
            Some(zoo) => Zoo::open(&zoo.path),
            None => Err(ZooError::unknown("zoo", name, known.into_iter().map(|zoo| zoo.name))),
        }
    }

    /// The zoos that can be named.
    pub fn list() -> Vec<ZooLocation> {
        place::list()
    }

    /// The zoo's name: that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with `model_<ID>` and `dataset_1`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The axes of the grid.
    pub fn hyperparameters(&self) -> &[Hyperparameter] {
        &self.listing.hyperparameters
    }

    /// The networks, by number.
    pub fn networks(&self) -> &[NetworkEntry] {
        &self.listing.networks
    }

    /// Where `model_configs.json` is, where there is one.
    pub fn listing_path(&self) -> Option<&Path> {
        self.listing_path.as_deref()
    }

    /// What `model_configs.json` says.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// One network.
    ///
    /// # Errors
    /// When the zoo does not list it.
    pub fn network(&self, id: u64) -> Result<&NetworkEntry> {
        Ok(&self.listing.networks[self.position(id)?])
    }

    fn position(&self, id: u64) -> Result<usize> {
        self.listing.networks.binary_search_by_key(&id, |network| network.id).map_err(|_| {
            let known = self.listing.networks.iter().map(|network| network.id.to_string());
            ZooError::unknown("network", &id.to_string(), known)
        })
    }

    /// The true generalization gaps, in the order of the networks.
    ///
    /// # Errors
    /// When a network's metrics are not listed.
    pub fn gaps(&self, gap: Gap) -> Result<Vec<f64>> {
        self.listing
            .networks
            .iter()
            .map(|network| {
                network.metrics.and_then(|metrics| metrics.gap(gap)).ok_or_else(|| {
                    let what = match gap {
                        Gap::Accuracy => "accuracies",
                        Gap::Loss => "losses",
                    };
                    let path = self.listing_path.as_ref().unwrap_or(&self.root);
                    ZooError::missing(path, format!("{what} of network {}", network.id))
                })
            })
            .collect()
    }

    /// The folder of a network.
    ///
    /// # Errors
    /// When the zoo does not list it, or it has no folder (a zoo of configurations only).
    pub fn model_folder(&self, id: u64) -> Result<PathBuf> {
        self.network(id)?;
        let folder = self.root.join(format!("model_{id}"));
        if folder.is_dir() { Ok(folder) } else { Err(ZooError::missing(folder, format!("network {id}"))) }
    }

    /// The numbers of all networks that have a folder, listed or not.
    ///
    /// # Errors
    /// When the zoo's folder cannot be read.
    pub fn model_folders(&self) -> Result<Vec<u64>> {
        place::model_folders(&self.root)
    }

    /// The architecture of a network.
    ///
    /// # Errors
    /// When its configuration is missing, damaged or not supported.
    pub fn architecture(&self, id: u64) -> Result<Architecture> {
        Ok(keras::read_model(&self.model_folder(id)?)?.architecture)
    }

    /// A network with its final weights, on the CPU.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and architecture do not fit.
    pub fn load(&self, id: u64) -> Result<Network> {
        let folder = self.model_folder(id)?;
        keras::read_network(&folder, Some(&folder.join(WEIGHTS)))
    }

    /// A network with its weights before training, on the CPU; `None` where the zoo does not keep them.
    ///
    /// # Errors
    /// As [`Zoo::load`].
    pub fn load_initial(&self, id: u64) -> Result<Option<Network>> {
        let folder = self.model_folder(id)?;
        let path = folder.join(INITIAL_WEIGHTS);
        if !path.exists() {
            return Ok(None);
        }
        keras::read_network(&folder, Some(&path)).map(Some)
    }

    /// The labels that a network was trained on, where they are not the training set's: `[n]`, one for each training
    /// sample. `None` where it has none of its own. (Not part of the competition's layout: a zoo with label noise has them.)
    ///
    /// # Errors
    /// When the zoo does not list the network, or the file is damaged or has another number of labels.
    pub fn train_labels(&self, id: u64) -> Result<Option<Vec<u8>>> {
        let path = self.model_folder(id)?.join(TRAIN_LABELS);
        if !path.exists() {
            return Ok(None);
        }
        let labels = idx::read(&path)?;
        let samples = self.train_size()?;
        if labels.shape != [samples] {
            let problem = format!("axes {:?} are not the labels of {samples} samples", labels.shape);
            return Err(ZooError::malformed(&path, problem));
        }
        Ok(Some(labels.values))
    }

    /// The first training samples, `sample`, as network `id` was trained on them: with its own labels, where it has
    /// some. The inputs are not copied.
    ///
    /// # Errors
    /// As [`Zoo::train_labels`]; when the sample is larger than the training set.
    pub fn as_trained(&self, id: u64, sample: &Dataset) -> Result<Dataset> {
        let Some(labels) = self.train_labels(id)? else { return Ok(sample.shallow_clone()) };
        let Some(labels) = labels.get(..sample.len()) else {
            return Err(ZooError::Invalid(format!(
                "{} samples are more than the {} of the training set",
                sample.len(),
                labels.len()
            )));
        };
        let labels =
            Tensor::f_from_slice(labels)?.f_to_kind(Kind::Int64)?.f_to_device(sample.labels.device())?;
        Ok(Dataset { inputs: sample.inputs.shallow_clone(), labels })
    }

    /// The public data set that the zoo names in place of its own shards.
    pub fn data_reference(&self) -> Option<&DataReference> {
        self.data.as_ref()
    }

    /// The training or test samples. A public data set is fetched when missing.
    ///
    /// # Errors
    /// When they are missing or damaged.
    pub fn data(&self, split: Split, progress: Progress<'_>) -> Result<Dataset> {
        match &self.data {
            Some(reference) => reference.load(split, progress),
            None => shards::read(&self.shard_folder(split)),
        }
    }

    /// The training samples, fetched without a word when missing.
    ///
    /// # Errors
    /// As [`Zoo::data`].
    pub fn train_data(&self) -> Result<Dataset> {
        self.data(Split::Train, &mut |_| {})
    }

    /// The test samples, fetched without a word when missing.
    ///
    /// # Errors
    /// As [`Zoo::data`].
    pub fn test_data(&self) -> Result<Dataset> {
        self.data(Split::Test, &mut |_| {})
    }

    /// Whether the zoo has test samples.
    pub fn has_test_data(&self) -> bool {
        match &self.data {
            Some(reference) => reference.test.is_some(),
            None => self.shard_folder(Split::Test).is_dir(),
        }
    }

    /// The number of samples, without reading them all.
    ///
    /// # Errors
    /// When there are none, or shards are damaged.
    pub fn data_size(&self, split: Split) -> Result<usize> {
        match (&self.data, split) {
            (Some(reference), Split::Train) => Ok(reference.train.count),
            (Some(reference), Split::Test) => reference
                .test
                .as_ref()
                .map(|sample| sample.count)
                .ok_or_else(|| ZooError::missing(&self.root, "test samples")),
            (None, _) => shards::count(&self.shard_folder(split)),
        }
    }

    /// The number of training samples.
    ///
    /// # Errors
    /// As [`Zoo::data_size`].
    pub fn train_size(&self) -> Result<usize> {
        self.data_size(Split::Train)
    }

    pub(crate) fn shard_folder(&self, split: Split) -> PathBuf {
        self.root.join("dataset_1").join(split.name())
    }
}

/// A network's files.
pub const CONFIG: &str = "config.json";
/// Final weights.
pub const WEIGHTS: &str = "weights.hdf5";
/// Weights before training.
pub const INITIAL_WEIGHTS: &str = "weights_init.hdf5";
/// The labels a network was trained on, where they are its own: an idx file of unsigned bytes, as MNIST's.
pub const TRAIN_LABELS: &str = "train_labels.idx";
/// A zoo's hyperparameters and metrics.
pub const LISTING: &str = "model_configs.json";

/// A folder of networks about which nothing is said.
fn unlisted(root: &Path) -> Result<Listing> {
    let networks = place::model_folders(root)?
        .into_iter()
        .map(|id| NetworkEntry { id, hyperparameters: Vec::new(), metrics: None, dev_name: None })
        .collect();
    Ok(Listing { hyperparameters: Vec::new(), networks })
}
