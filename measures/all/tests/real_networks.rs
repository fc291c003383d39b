//! Declared invariances of what is made of weights hold on trained networks of the families that zoos are made of, not on
//! tiny ones alone.

use std::path::Path;

use pgdl_measure::contract::{self, Specimen};
use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{self, Device, Kind, Tensor};
use pgdl_measure::{Dataset, Generator, Probe, Registry};
use pgdl_train::Recipe;
use pgdl_train::train::train;
use pgdl_zoo::Zoo;

/// Three classes of drawn images of 12 × 12, which every family below learns within seconds.
fn recipe(family: &str, settings: &str) -> Recipe {
    let text = format!(
        r#"
schema = 1
name = "audit"
seed = 3
family = "{family}"

[synthetic]
shape = [12, 12, 3]
classes = 3
train = 48
test = 30
noise = 0.7

[fixed]
lr = 0.01
{settings}

[[axis]]
name = "bs"
values = [4, 8]

[training]
optimizer = "adam"
max_epochs = 30
"#
    );
    Recipe::parse(&text).unwrap()
}

fn trained(name: &'static str, family: &str, settings: &str) -> Specimen {
    let recipe = recipe(family, settings);
    let (sample, test) = recipe.synthetic.as_ref().unwrap().draw(recipe.seed).unwrap();
    let trained = train(&recipe, 0, &sample, &test, Device::Cpu, &mut |_| Ok(())).unwrap();
    assert!(trained.train.accuracy > 0.9, "{name}: {:?}", trained.train);
    Specimen::of(name, trained.network, trained.initial, sample, test.inputs).unwrap()
}

/// A network of the zoo that comes along, on drawn inputs; its own decisions are the labels, but for every twelfth.
fn cifar_vgg() -> Specimen {
    let zoo = Zoo::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_zoo/cifar_vgg")).unwrap();
    let network = zoo.load(0).unwrap();
    let mut random = Generator::new(&[b"audit"], Device::Cpu, Kind::Float);
    let inputs = random.normal_tensor(&[48, 32, 32, 3]).unwrap();
    let test_inputs = random.normal_tensor(&[10, 32, 32, 3]).unwrap();
    let labels = decisions(&network, &inputs);
    let wrong: Vec<i64> = (0..48).map(|sample| i64::from(sample % 12 == 5)).collect();
    let labels = (labels + Tensor::from_slice(&wrong)).remainder(10);
    let train = Dataset::new(inputs, labels).unwrap();
    let initial = zoo.load_initial(0).unwrap().unwrap();
    Specimen::of("cifar_vgg 0", network, initial, train, test_inputs).unwrap()
}

fn decisions(network: &Network, inputs: &Tensor) -> Tensor {
    tch::no_grad(|| network.forward(inputs, Mode::Evaluate)).unwrap().argmax(1, false)
}

#[test]
fn invariances_hold_on_trained_networks() {
    let mut registry = Registry::new();
    pgdl_measure_capacity::register(&mut registry).unwrap();
    pgdl_measure_norms::register(&mut registry).unwrap();
    pgdl_measure_spectral::register(&mut registry).unwrap();
    pgdl_measure_heavy_tails::register(&mut registry).unwrap();
    let specimens = [
        trained("all_conv", "all_conv", "nparams = 4000\ndepth = 6\nbatch_norm = 1"),
        trained("nin", "nin", "depth = 6\nconv = 12"),
        trained("vgg", "vgg", "convwidth = 12\nnum_conv_blocks = 2\nnum_dense_layers = 1\ndense_width = 16"),
        cifar_vgg(),
    ];
    // Every change can be made to one of them at least, and layer rescaling to all.
    assert!(specimens[0].normalized.is_some());
    assert!(specimens.iter().all(|specimen| specimen.consecutive.is_some()));
    let violations = contract::audit_invariances(&registry, &specimens).unwrap();
    assert!(violations.is_empty(), "\n{}", contract::describe(&violations));
    // It is no empty audit: every measure has a value on the network with BatchNormalization.
    let probe = Probe::new(specimens[0].input()).unwrap();
    for resolved in registry.resolve_list("all").unwrap() {
        let outcome = probe.evaluate(&resolved).outcome;
        assert!(outcome.is_ok(), "{}: {outcome:?}", resolved.spec);
    }
}
