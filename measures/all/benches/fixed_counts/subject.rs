//! The network that everything is measured on.

use std::error::Error;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use pgdl_measure::network::Network;
use pgdl_measure::tch::Device;
use pgdl_measure::{Dataset, Probe, ProbeInput};
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::Zoo;

/// What stands in for `cifar_vgg` where its data are not there.
const DRAWN: &str = r#"
schema = 1
name = "drawn"
seed = 3
family = "vgg"

[synthetic]
shape = [16, 16, 3]
classes = 10
train = 2000
test = 100
noise = 2.0

[fixed]
lr = 0.002
convwidth = 32
num_conv_blocks = 2
num_dense_layers = 1
dense_width = 48

[[axis]]
name = "bs"
values = [32, 64]

[training]
optimizer = "adam"
max_epochs = 5
"#;

/// A trained network with its data.
pub struct Subject {
    /// What it is.
    pub name: String,
    network: Network,
    initial: Network,
    train: Dataset,
}

impl Subject {
    /// Network 0 of `cifar_vgg`, or a drawn one where its data can be neither found nor fetched.
    pub fn choose() -> Result<Self, Box<dyn Error>> {
        let zoo = Zoo::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_zoo/cifar_vgg"))?;
        let Ok(train) = zoo.train_data().map_err(|error| eprintln!("{error}\na drawn network instead"))
        else {
            return Self::drawn();
        };
        let initial = zoo.load_initial(0)?.ok_or("cifar_vgg has no initial weights")?;
        let name = format!("network 0 of cifar_vgg, {} samples", train.len());
        Ok(Self { name, network: zoo.load(0)?, initial, train })
    }

    fn drawn() -> Result<Self, Box<dyn Error>> {
        let recipe = Recipe::parse(DRAWN)?;
        let synthetic = recipe.synthetic.as_ref().ok_or("the recipe draws no data")?;
        let (sample, test) = synthetic.draw(recipe.seed)?;
        let trained = train(&recipe, 0, &sample, &test, Device::Cpu, &mut |_| Ok(()))?;
        let accuracy = trained.train.accuracy;
        let name = format!("a drawn network, {} samples, training accuracy {accuracy:.3}", sample.len());
        Ok(Self { name, network: trained.network, initial: trained.initial, train: sample })
    }

    /// A fresh probe on the first `samples` samples.
    pub fn probe(&self, samples: Option<usize>, seed: u64) -> Result<Probe, Box<dyn Error>> {
        let train = match samples {
            Some(samples) => self.train.take(samples)?,
            None => self.train.shallow_clone(),
        };
        Ok(Probe::new(ProbeInput {
            network: self.network.shallow_clone(),
            network_id: 0,
            initial: Some(self.initial.shallow_clone()),
            train,
            train_size: self.train.len(),
            test_inputs: None,
            truth: None,
            seed,
            deadline: None,
            batch_size: 256,
        })?)
    }
}

/// Seconds that the processor has worked for this process, in ticks of a hundredth; where no `/proc` tells, seconds by
/// the clock. Other processes on the machine do not count in the first.
pub fn seconds() -> f64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = BEGIN.get_or_init(Instant::now);
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // After the name, which may hold anything: user and system time are the 12th and 13th field.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut next = || fields.next()?.parse::<f64>().ok();
        Some(next()? + next()?)
    };
    ticks().map_or_else(|| begin.elapsed().as_secs_f64(), |ticks| ticks / 100.0)
}
