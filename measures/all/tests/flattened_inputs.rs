//! A network that begins by flattening its input is the same function as one on flat inputs, and measured alike: what is
//! hidden begins behind the first layer with weights.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind};
use pgdl_measure::{Dataset, MeasureError, Probe, ProbeInput, Registry};

/// Not alike: they move and mirror images, or `jacobian_norm`, which weighs every layer, those without weights included.
const OTHERS: &[&str] = &["augment_margin", "always_generalize", "jacobian_norm", "nc"];

fn networks() -> [ProbeInput; 2] {
    let specimen = tiny_networks().unwrap().remove(0);
    let shape = specimen.train.inputs.size();
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let behind = [
        dense(9, Activation::Relu),
        Layer::Dropout { rate: 0.5 },
        dense(7, Activation::Relu),
        dense(specimen.classes, Activation::Linear),
    ];
    let flat = Architecture::sequential(vec![shape[1..].iter().product()], behind.to_vec()).unwrap();
    let first = [Layer::Dropout { rate: 0.25 }, Layer::Flatten];
    let layers: Vec<Layer> = first.iter().chain(&behind).cloned().collect();
    let images = Architecture::sequential(shape[1..].to_vec(), layers).unwrap();
    let network =
        |seed| Network::initialize(flat.clone(), seed, Device::Cpu).unwrap().to_kind(Kind::Double).unwrap();
    let (trained, initial) = (network(1), network(2));
    // The same weights, behind the two nodes without any.
    let flattening = |network: &Network| {
        let mut weights: Vec<Vec<_>> = (0..behind.len() + 2).map(|_| Vec::new()).collect();
        for parameter in network.parameters() {
            weights[parameter.node + 2].push(parameter.tensor.shallow_clone());
        }
        Network::new(images.clone(), weights).unwrap()
    };
    let data = |data: &Dataset, flat: bool| {
        let inputs =
            if flat { data.inputs.reshape([data.len() as i64, -1]) } else { data.inputs.shallow_clone() };
        Dataset::new(inputs, data.labels.shallow_clone()).unwrap()
    };
    [true, false].map(|flat| ProbeInput {
        network: if flat { trained.shallow_clone() } else { flattening(&trained) },
        initial: Some(if flat { initial.shallow_clone() } else { flattening(&initial) }),
        train: data(&specimen.train, flat),
        test_inputs: None,
        ..specimen.input()
    })
}

#[test]
fn flattening_is_no_layer_with_weights() {
    let mut registry = Registry::new();
    pgdl_measures::register(&mut registry).unwrap();
    let [flat, images] = networks().map(|input| Probe::new(input).unwrap());
    let mut specs: Vec<String> = registry
        .infos()
        .filter(|info| !OTHERS.contains(&info.id) && !["singular", "information"].contains(&info.family))
        .map(|info| info.id.to_string())
        .collect();
    let layers = ["davies_bouldin", "cdnv", "neural_collapse", "two_nn", "label_variation"];
    specs.extend(layers.map(|id| format!("{id}:layer=1")));
    specs.extend(["mixup_margin", "kv_margin", "hidden_margin"].map(|id| format!("{id}:layer=first")));
    specs.push("gi_score:layer=first".into());
    let (mut compared, mut faults) = (0, Vec::new());
    for spec in specs {
        let resolved = registry.resolve(&spec).unwrap();
        match (flat.evaluate(&resolved).outcome, images.evaluate(&resolved).outcome) {
            (Ok(flat), Ok(images)) => {
                compared += 1;
                if (flat.value - images.value).abs() > 1e-9 * flat.value.abs() {
                    faults.push(format!("{spec}: {} flat, {} flattened", flat.value, images.value));
                }
            }
            (Err(MeasureError::Unavailable(_) | MeasureError::Undefined(_)), _) => {}
            (flat, images) => faults.push(format!("{spec}: {flat:?} flat, {images:?} flattened")),
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(compared > 80, "{compared} compared");
}
