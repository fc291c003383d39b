//! What becomes of a trained network when one layer goes back in time, or is drawn afresh.

use pgdl_measure::tch::Tensor;
use pgdl_network::Network;
use pgdl_report::{Cell, Column, Curve, CurvePoint, Curves, Digits, Table};
use pgdl_train::Recipe;
use pgdl_train::train::{evaluate, train_observed};
use pgdl_zoo::Dataset;
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo, OptionInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct LayerRobustness;

/// What `layer_robustness` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "layer_robustness",
    title: "Trained networks with one layer set back to what it was after k epochs, or drawn afresh: some layers may go back \
            to the very start, others may not.",
    paper: "Zhang, Bengio, Singer 2019 (2022 in JMLR 23), Are All Layers Created Equal?",
    version: 1,
    quick: "a perceptron with 3 hidden layers of 256 units on 10,000 images of MNIST, 10 epochs, three runs; minutes",
    full: "that perceptron on all 60,000 images of MNIST, and a convolutional network of the VGG family on all 50,000 of \
           CIFAR-10, 100 epochs, three runs each",
    data: &["mnist", "cifar10"],
    options: &[
        OptionInfo { name: "networks", doc: "of fcn,vgg [default: fcn with --quick, else both]" },
        OptionInfo { name: "runs", doc: "number of runs [default: 3]" },
    ],
};

/// How often a layer is drawn afresh.
const DRAWS: u64 = 5;

/// A network of the experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Fcn,
    Vgg,
}

impl Model {
    const ALL: [Model; 2] = [Self::Fcn, Self::Vgg];

    fn name(self) -> &'static str {
        match self {
            Self::Fcn => "fcn",
            Self::Vgg => "vgg",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Fcn => "FCN 3 × 256, MNIST",
            Self::Vgg => "VGG family, CIFAR-10",
        }
    }

    fn data(self) -> &'static str {
        match self {
            Self::Fcn => "mnist",
            Self::Vgg => "cifar10",
        }
    }

    fn recipe(self, seed: u64, samples: usize, epochs: usize) -> Result<Recipe> {
        let data = self.data();
        let (family, shape) = match self {
            Self::Fcn => ("mlp", "width = 256\ndepth = 3\nlr = 0.01"),
            Self::Vgg => ("vgg", "convwidth = 64\nnum_conv_blocks = 3\nnum_dense_layers = 1\nlr = 0.01"),
        };
        Ok(Recipe::parse(&format!(
            r#"
schema = 1
name = "layer_robustness"
seed = {seed}
family = "{family}"

[data]
dataset = "{data}"
train = "0-{}"
test = "0-9999"

[fixed]
{shape}

[[axis]]
name = "bs"
values = [128]

[training]
optimizer = "sgd"
momentum = 0.9
decay = "cosine"
max_epochs = {epochs}
target_cross_entropy = 0.0
evaluate_below = 0.0
"#,
            samples - 1
        ))?)
    }
}

/// One run: a trained network and all that was made of it.
#[derive(Serialize, Deserialize)]
struct Found {
    /// Test accuracy of the trained network.
    whole: f64,
    /// The epochs after which layers are set back.
    checkpoints: Vec<u32>,
    layers: Vec<FoundLayer>,
}

#[derive(Serialize, Deserialize)]
struct FoundLayer {
    name: String,
    /// Test accuracy with this layer set back, checkpoint by checkpoint.
    reinitialized: Vec<f64>,
    /// With this layer drawn afresh, mean over draws.
    rerandomized: f64,
    /// ‖w − w₀‖ / ‖w₀‖ of this layer.
    moved: f64,
}

impl Experiment for LayerRobustness {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let models = match run.list::<String>("networks")? {
            None if run.quick() => vec![Model::Fcn],
            None => Model::ALL.to_vec(),
            Some(names) => names
                .iter()
                .map(|name| Model::ALL.into_iter().find(|model| model.name() == name))
                .collect::<Option<_>>()
                .ok_or_else(|| ExperimentError::option("networks", "of fcn and vgg, a list"))?,
        };
        let runs: usize = run.option("runs")?.unwrap_or(3);
        if !(1..=1000).contains(&runs) {
            return Err(ExperimentError::option("runs", "a number from 1 to 1000"));
        }
        run.expect(models.len() * runs);
        let mut outcome = Outcome::default();
        for model in models {
            let mut found: Vec<Found> = Vec::with_capacity(runs);
            for number in 0..runs {
                let key = format!("{} run={number}", model.name());
                found.push(run.cell(&key, |run| cell(run, model, &key))?);
            }
            outcome = reported(outcome, model, &found)?;
        }
        Ok(outcome.finding(
            "Test accuracies of the trained network with one layer changed, all others as trained. A critical layer is one whose \
             return to its initial values costs much of it, a robust one loses little (the paper's words).",
        ))
    }
}

fn cell(run: &Run<'_>, model: Model, key: &str) -> Result<Found> {
    let (samples, epochs) = match (run.quick(), model) {
        (true, _) => (10_000, 10),
        (false, Model::Fcn) => (60_000, 100),
        (false, Model::Vgg) => (50_000, 100),
    };
    let (train, test) = data::first(model.data(), samples, 10_000)?;
    // The seed of recipes is a signed number of 64 bits.
    let recipe = model.recipe(run.seed(key) >> 1, samples, epochs)?;
    examined(run, &recipe, epochs as u32, &train, &test)
}

/// Epochs 0, 1, 2, 4, … and the last.
fn checkpoints(epochs: u32) -> Vec<u32> {
    let mut found = vec![0];
    found.extend(
        std::iter::successors(Some(1u32), |epoch| epoch.checked_mul(2)).take_while(|epoch| *epoch < epochs),
    );
    found.push(epochs);
    found
}

/// Trains the network of a recipe and examines it layer by layer.
fn examined(run: &Run<'_>, recipe: &Recipe, epochs: u32, train: &Dataset, test: &Dataset) -> Result<Found> {
    let wanted = checkpoints(epochs);
    let mut kept: Vec<Network> = Vec::new();
    let trained = train_observed(recipe, 0, train, test, run.device(), &mut |epoch, network| {
        // The epoch in progress is lost; the cell begins anew.
        if run.check_stop().is_err() {
            return Err(pgdl_train::TrainError::Interrupted { finished: 0, total: 1 });
        }
        if wanted.contains(&epoch.epoch) {
            kept.push(network.deep_clone()?);
        }
        Ok(())
    });
    run.check_stop()?;
    let trained = trained?;
    kept.insert(0, trained.initial.to_device(run.device())?);
    let network = trained.network.to_device(run.device())?;
    let fresh: Vec<Network> = (0..DRAWS)
        .map(|draw| {
            let seed = recipe.seed_of(0, &format!("fresh {draw}"))?;
            let initializer = recipe.training.initializer.into();
            Ok(Network::initialize_with(network.architecture().clone(), initializer, seed, run.device())?)
        })
        .collect::<Result<_>>()?;
    let mut nodes: Vec<usize> = network.parameters().map(|parameter| parameter.node).collect();
    nodes.dedup();
    let mut layers = Vec::with_capacity(nodes.len());
    for node in nodes {
        let with = |source: &Network| -> Result<f64> {
            run.check_stop()?;
            Ok(evaluate(&with_layer(&network, source, node)?, test)?.accuracy)
        };
        let draws = fresh.iter().map(with).collect::<Result<Vec<f64>>>()?;
        layers.push(FoundLayer {
            name: network.architecture().nodes[node].name.clone(),
            reinitialized: kept.iter().map(with).collect::<Result<_>>()?,
            rerandomized: draws.iter().sum::<f64>() / draws.len() as f64,
            moved: moved(&network, &kept[0], node)?,
        });
    }
    Ok(Found { whole: trained.test.accuracy, checkpoints: wanted, layers })
}

/// `network` with the tensors of one node taken from `source`.
fn with_layer(network: &Network, source: &Network, node: usize) -> Result<Network> {
    Ok(network.map_weights(|parameter| {
        let other = &source.weights()[parameter.node][parameter.index];
        Ok(if parameter.node == node { other } else { parameter.tensor }.shallow_clone())
    })?)
}

/// ‖w − w₀‖ / ‖w₀‖ of one node.
fn moved(network: &Network, initial: &Network, node: usize) -> Result<f64> {
    let square = |tensor: Tensor| -> Result<f64> {
        Ok(tensor.f_square()?.f_sum(tch::Kind::Double)?.f_double_value(&[])?)
    };
    let (mut change, mut size) = (0.0, 0.0);
    for (now, then) in network.weights()[node].iter().zip(&initial.weights()[node]) {
        change += square(now.f_sub(then)?)?;
        size += square(then.shallow_clone())?;
    }
    Ok((change / size).sqrt())
}

const ACCURACY: Digits = Digits::Fixed { decimals: 4, scale: 1.0 };

fn reported(mut outcome: Outcome, model: Model, found: &[Found]) -> Result<Outcome> {
    let Some(first) = found.first() else { return Err(ExperimentError::failed("there is no run")) };
    let mean = |value: &dyn Fn(&Found) -> f64| Estimate::mean(&found.iter().map(value).collect::<Vec<_>>());
    let cell = |estimate: Option<Estimate>| {
        estimate.map_or_else(Cell::empty, |mean| Cell::number(mean.value).interval(mean.interval))
    };
    let whole = mean(&|one| one.whole);
    let mut columns = vec![
        Column::new("layer", "layer"),
        Column::new("moved", "‖w − w₀‖ / ‖w₀‖").digits(Digits::Significant(3)),
        Column::new("rerandomized", "drawn afresh").digits(ACCURACY).with_interval(),
    ];
    columns.extend(first.checkpoints.iter().map(|epoch| {
        Column::new(format!("epoch_{epoch}"), format!("epoch {epoch}")).digits(ACCURACY).with_interval()
    }));
    let mut table = Table::new(columns);
    for (place, layer) in first.layers.iter().enumerate() {
        let mut row = vec![
            Cell::text(&layer.name),
            Cell::maybe(mean(&|one| one.layers[place].moved).map(|mean| mean.value)),
            cell(mean(&|one| one.layers[place].rerandomized)),
        ];
        row.extend(
            (0..first.checkpoints.len()).map(|at| cell(mean(&|one| one.layers[place].reinitialized[at]))),
        );
        table.push(row);
    }
    let over_layers = |name: String, value: &dyn Fn(&FoundLayer) -> f64| {
        let point = |place: usize| {
            let mean = mean(&|one| value(&one.layers[place]))?;
            Some(CurvePoint { x: (place + 1) as f64, y: mean.value, interval: mean.interval })
        };
        Curve::of(name, (0..first.layers.len()).filter_map(point).collect())
    };
    let mut curves = vec![over_layers("drawn afresh".into(), &|layer| layer.rerandomized)];
    // The last checkpoint is the network itself: the dashed line. Of many, the first ones tell them apart.
    for (at, epoch) in first.checkpoints.iter().enumerate().take(first.checkpoints.len() - 1).take(5) {
        curves.push(over_layers(format!("epoch {epoch}"), &|layer| layer.reinitialized[at]));
    }
    let figure = Curves {
        title: format!("One layer changed: {}", model.described()),
        x: "layer that is changed, from the input".into(),
        y: "test accuracy".into(),
        curves,
        levels: whole.map(|whole| (whole.value, "as trained".to_owned())).into_iter().collect(),
        ..Curves::default()
    };
    if model == Model::Fcn {
        let source = "Zhang et al. 2019 (FCN 3 × 256 on MNIST)";
        for (place, layer) in first.layers.iter().enumerate() {
            outcome = outcome.beside(Published {
                what: format!("test accuracy, layer {} ({}) at its initial values", place + 1, layer.name),
                published: if place == 0 { "critical: far below" } else { "robust: about that of the whole" }
                    .into(),
                source: source.into(),
                measured: mean(&|one| one.layers[place].reinitialized[0]),
            });
        }
        outcome = outcome.beside(Published {
            what: "test accuracy, worst layer drawn afresh".into(),
            published: "far below".into(),
            source: source.into(),
            measured: mean(&|one| {
                one.layers.iter().map(|layer| layer.rerandomized).fold(f64::INFINITY, f64::min)
            }),
        });
    }
    let name = model.name();
    if let Some(whole) = whole {
        outcome =
            outcome.finding(format!("{}: test accuracy as trained {:.4}.", model.described(), whole.value));
    }
    Ok(outcome
        .table(
            &format!("layers_{name}"),
            &format!("Test accuracy with one layer changed, {}", model.described()),
            table,
        )
        .figure(&format!("layers_{name}"), figure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_network::{Activation, Architecture, Dense, Layer};
    use tch::{Device, Kind};

    #[test]
    fn checkpoints_double() {
        assert_eq!(checkpoints(10), [0, 1, 2, 4, 8, 10]);
        assert_eq!(checkpoints(1), [0, 1]);
        assert_eq!(checkpoints(8), [0, 1, 2, 4, 8]);
    }

    #[test]
    fn one_layer_changes_and_the_others_stay() {
        let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
        let layers = vec![dense(4, Activation::Relu), dense(3, Activation::Linear)];
        let architecture = Architecture::sequential(vec![5], layers).unwrap();
        let network = Network::initialize(architecture.clone(), 1, Device::Cpu).unwrap();
        let other = Network::initialize(architecture, 2, Device::Cpu).unwrap();
        let changed = with_layer(&network, &other, 1).unwrap();
        for (node, expected) in [(0, &network), (1, &other)] {
            for (found, expected) in changed.weights()[node].iter().zip(&expected.weights()[node]) {
                assert!(found.equal(expected));
            }
        }
        assert_eq!(moved(&network, &network, 0).unwrap(), 0.0);
        let half = network.map_weights(|p| Ok(p.tensor * 0.5)).unwrap();
        assert!((moved(&half, &network, 0).unwrap() - 0.5).abs() < 1e-6);
        assert_eq!(changed.weights()[0][0].kind(), Kind::Float);
    }

    struct Tiny;

    static TINY: ExperimentInfo = ExperimentInfo { name: "tiny", options: &[], data: &[], ..INFO };

    impl Experiment for Tiny {
        fn info(&self) -> &'static ExperimentInfo {
            &TINY
        }

        fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
            let recipe = Recipe::parse(
                "schema = 1\nname = 'tiny'\nseed = 3\nfamily = 'mlp'\n[synthetic]\nshape = [4, 4, 1]\nclasses = 4\n\
                 train = 400\ntest = 400\nnoise = 1.0\n[fixed]\nwidth = 32\ndepth = 2\nlr = 0.1\n[[axis]]\n\
                 name = 'bs'\nvalues = [20]\n[training]\noptimizer = 'sgd'\nmax_epochs = 6\n\
                 target_cross_entropy = 0.0\nevaluate_below = 0.0",
            )?;
            let Some(synthetic) = &recipe.synthetic else { return Err(ExperimentError::failed("no data")) };
            let (train, test) = synthetic.draw(recipe.seed)?;
            let found = examined(run, &recipe, 6, &train, &test)?;
            assert_eq!(found.checkpoints, [0, 1, 2, 4, 6]);
            assert_eq!(found.layers.len(), 3);
            for layer in &found.layers {
                // After the last epoch every layer is what it is; every layer has moved.
                assert_eq!(layer.reinitialized[4], found.whole, "{}", layer.name);
                assert!(layer.moved > 0.01 && layer.rerandomized < found.whole, "{}", layer.name);
            }
            // The same network trained again, and its layers put together by hand.
            let again = pgdl_train::train::train(&recipe, 0, &train, &test, run.device(), &mut |_| Ok(()))?;
            let copies = |network: &Network| -> Vec<Vec<Tensor>> {
                network.weights().iter().map(|node| node.iter().map(Tensor::copy).collect()).collect()
            };
            let with_parameters =
                again.network.weights().iter().enumerate().filter(|(_, node)| !node.is_empty());
            let nodes: Vec<usize> = with_parameters.map(|(node, _)| node).collect();
            for (layer, &node) in found.layers.iter().zip(&nodes) {
                let mut weights = copies(&again.network);
                weights[node] = copies(&again.initial).swap_remove(node);
                let expected = evaluate(&again.network.with_weights(weights)?, &test)?.accuracy;
                assert_eq!(layer.reinitialized[0], expected, "{}", layer.name);
            }
            assert!(found.whole > 0.7 && found.layers[0].reinitialized[0] < found.whole);
            reported(Outcome::default(), Model::Fcn, &[found])
        }
    }

    #[test]
    fn a_network_is_examined_layer_by_layer() {
        let folder = tempfile::tempdir().unwrap();
        let settings = crate::Settings {
            quick: true,
            seed: 0,
            threads: 1,
            device: Device::Cpu,
            output: folder.path().to_path_buf(),
            options: Default::default(),
        };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let outcome = crate::run(&Tiny, &settings, &stop, &mut |_| {}).unwrap();
        assert_eq!((outcome.tables[0].table.len(), outcome.published.len()), (3, 4));
        for file in ["layers_fcn.csv", "layers_fcn.png", "layers_fcn.svg", "README.md"] {
            assert!(folder.path().join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn the_recipes_are_those_of_the_text() {
        let fcn = Model::Fcn.recipe(1, 100, 3).unwrap().architecture(0).unwrap();
        assert_eq!(fcn.trainable_count().unwrap(), 785 * 256 + 2 * 257 * 256 + 257 * 10);
        let vgg = Model::Vgg.recipe(1, 100, 3).unwrap().architecture(0).unwrap();
        assert!(vgg.trainable_count().unwrap() > 100_000);
    }
}
