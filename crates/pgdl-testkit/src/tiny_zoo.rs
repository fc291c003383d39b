//! A zoo small enough to be trained within a test.

use std::path::Path;

use pgdl_measure::tch::{Device, Tensor};
use pgdl_measure::{HyperValue, MeasureError, Probe, ProbeInput, Registry, TrueNetwork, Truth};
use pgdl_train::Recipe;
use pgdl_train::train::{Trained, train};
use pgdl_zoo::{Dataset, Hyperparameter, Listing, Metrics, NetworkEntry, Split, Zoo, ZooWriter};

use crate::error::Broken;

/// Eight dense networks on drawn data, over width, depth and batch size.
const RECIPE: &str = r#"
schema = 1
name = "tiny"
seed = 1
family = "mlp"

[synthetic]
shape = [4, 4, 1]
classes = 3
train = 60
test = 300
noise = 1.2

[fixed]
lr = 0.05

[[axis]]
name = "width"
values = [8, 32]

[[axis]]
name = "depth"
values = [1, 2]

[[axis]]
name = "bs"
values = [5, 20]

[training]
optimizer = "sgd"
momentum = 0.9
lr_batch_exponent = 0.5
max_epochs = 40
"#;

/// The tiny zoo: eight trained networks with their initial weights, data, hyperparameters and true gaps. The same on
/// every call with the same number of threads.
#[derive(Debug)]
pub struct TinyZoo {
    recipe: Recipe,
    train: Dataset,
    test: Dataset,
    networks: Vec<TrainedNetwork>,
}

/// A network of the tiny zoo.
#[derive(Debug)]
pub struct TrainedNetwork {
    /// Its number.
    pub id: u64,
    /// Its hyperparameters, in the order of the axes: width, depth, batch size.
    pub hyperparameters: Vec<HyperValue>,
    /// Initial and final weights, and how well it does.
    pub trained: Trained,
}

impl TrainedNetwork {
    /// Training accuracy − test accuracy.
    pub fn gap(&self) -> f64 {
        self.trained.train.accuracy - self.trained.test.accuracy
    }
}

impl TinyZoo {
    /// Trains it, on the CPU, within a second or two.
    ///
    /// # Errors
    /// libtorch does not work here.
    pub fn train() -> Result<TinyZoo, Broken> {
        let recipe = Recipe::parse(RECIPE)?;
        let synthetic = recipe
            .synthetic
            .as_ref()
            .ok_or_else(|| MeasureError::Failed("the recipe of the tiny zoo draws no data".to_string()))?;
        let (train_sample, test_sample) = synthetic.draw(recipe.seed)?;
        let networks = recipe.ids().map(|id| {
            let trained = train(&recipe, id, &train_sample, &test_sample, Device::Cpu, &mut |_| Ok(()))?;
            let hyperparameters = recipe.axis_values(id)?.into_iter().map(HyperValue::from).collect();
            Ok(TrainedNetwork { id, hyperparameters, trained })
        });
        let networks = networks.collect::<Result<Vec<_>, Broken>>()?;
        Ok(TinyZoo { recipe, train: train_sample, test: test_sample, networks })
    }

    /// The networks, by number.
    pub fn networks(&self) -> &[TrainedNetwork] {
        &self.networks
    }

    /// What to make a probe of the network at `position` of [`TinyZoo::networks`] of: its whole training sample, initial
    /// weights, unlabelled test inputs, true gaps. Change fields at will.
    ///
    /// # Panics
    /// There is no such network.
    pub fn input(&self, position: usize) -> ProbeInput {
        let network = &self.networks[position];
        let truth = |one: &TrainedNetwork| TrueNetwork {
            hyperparameters: one.hyperparameters.clone(),
            gap: one.gap(),
        };
        ProbeInput {
            network: network.trained.network.shallow_clone(),
            network_id: network.id,
            initial: Some(network.trained.initial.shallow_clone()),
            train: self.train.shallow_clone(),
            train_size: self.train.len(),
            test_inputs: Some(Tensor::shallow_clone(&self.test.inputs)),
            truth: Some(Truth { networks: self.networks.iter().map(truth).collect(), index: position }),
            seed: 1,
            deadline: None,
            batch_size: 1000,
        }
    }

    /// Writes it into `folder`, which it makes: a zoo that `pgdl score --zoo` takes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, folder: &Path) -> Result<Zoo, Broken> {
        let writer = ZooWriter::create(folder)?;
        writer.write_shards(Split::Train, &self.train, self.train.len())?;
        writer.write_shards(Split::Test, &self.test, self.test.len())?;
        let axes = self.recipe.axes.iter().map(|axis| Hyperparameter {
            name: axis.name.clone(),
            possible_values: axis.values.iter().copied().map(HyperValue::from).collect(),
        });
        let mut listing = Listing { hyperparameters: axes.collect(), networks: Vec::new() };
        for TrainedNetwork { id, hyperparameters, trained } in &self.networks {
            writer.write_network(*id, &trained.network, Some(&trained.initial))?;
            listing.networks.push(NetworkEntry {
                id: *id,
                hyperparameters: hyperparameters.clone(),
                metrics: Some(Metrics {
                    train_acc: trained.train.accuracy,
                    test_acc: trained.test.accuracy,
                    train_loss: Some(trained.train.cross_entropy),
                    test_loss: Some(trained.test.cross_entropy),
                }),
                dev_name: None,
            });
        }
        writer.write_listing(&listing)?;
        Ok(Zoo::open(folder)?)
    }

    /// What the measures of `registry` do not keep on these networks, read back from files as a run reads them.
    pub(crate) fn check(&self, registry: &Registry) -> Result<Vec<String>, Broken> {
        let folder = tempfile::tempdir()?;
        let zoo = self.write(&folder.path().join("tiny"))?;
        let mut broken = Vec::new();
        for info in registry.infos() {
            let resolved = registry.resolve(info.id)?;
            let mut values = 0;
            for (position, network) in self.networks.iter().enumerate() {
                let from_files = || -> Result<_, Broken> {
                    let mut input = self.input(position);
                    input.network = zoo.load(network.id)?;
                    Ok(Probe::new(input)?.evaluate(&resolved).outcome)
                };
                let (first, second) = (from_files()?, from_files()?);
                let mut add = |what: String| {
                    broken.push(format!("{}: {what} on network {} of the tiny zoo", info.id, network.id));
                };
                match &first {
                    Ok(_) => values += 1,
                    Err(MeasureError::Undefined(_)) => {}
                    Err(error) => add(format!("is {} ({error})", error.status())),
                }
                if first != second {
                    add("gives another value the second time".to_string());
                }
            }
            if values == 0 {
                broken.push(format!("{}: has no value on any network of the tiny zoo", info.id));
            }
        }
        Ok(broken)
    }
}
