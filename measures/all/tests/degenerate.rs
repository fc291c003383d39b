//! Networks and samples at the edge of what measures of weights can bear: a value or a reason, never a failure.

use pgdl_measure::contract::tiny_networks;
use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding, Role};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, MeasureError, Measured, Probe, ProbeInput, Registry};

const FAMILIES: &str = "family:capacity,family:norms,family:spectral,family:heavy_tails,\
    spectral_orig:norm=fft,spectral_orig:norm=reshape,spectral_distance:norm=fft,spectral_distance:norm=reshape,\
    long_sedghi_2020:norm=fft,long_sedghi_2020:norm=reshape,path_norm:q=1,path_norm:pooling=max,\
    spectral_orig:variant=as_coded";

/// Measures with a value, and those without, with their reasons.
struct Outcomes {
    values: Vec<(String, f64)>,
    reasons: Vec<(String, String)>,
}

impl Outcomes {
    fn of(case: &str, input: ProbeInput) -> Self {
        let mut registry = Registry::new();
        pgdl_measures::register(&mut registry).unwrap();
        let probe = Probe::new(input).unwrap();
        let (mut values, mut reasons) = (Vec::new(), Vec::new());
        for resolved in registry.resolve_list(FAMILIES).unwrap() {
            let spec = resolved.spec.to_string();
            match probe.evaluate(&resolved).outcome {
                Ok(Measured { value, .. }) => values.push((spec, value)),
                Err(MeasureError::Undefined(reason) | MeasureError::Unavailable(reason)) => {
                    reasons.push((spec, reason));
                }
                Err(error) => panic!("{spec} is {} on {case}: {error}", error.status()),
            }
        }
        Self { values, reasons }
    }

    #[track_caller]
    fn undefined(&self, spec: &str, word: &str) {
        let Some((_, reason)) = self.reasons.iter().find(|(other, _)| other == spec) else {
            panic!("{spec} has a value: {:?}", self.value(spec));
        };
        assert!(reason.contains(word), "{spec}: {reason}");
    }

    fn value(&self, spec: &str) -> f64 {
        match self.values.iter().find(|(other, _)| other == spec) {
            Some((_, value)) => *value,
            None => panic!("{spec} has no value: {:?}", self.reasons),
        }
    }
}

fn changed(change: impl Fn(Role, &Tensor) -> Tensor) -> ProbeInput {
    let specimen = &tiny_networks().unwrap()[0];
    let network = specimen.network.map_weights(|one| Ok(change(one.spec.role, one.tensor)));
    ProbeInput { network: network.unwrap(), ..specimen.input() }
}

/// An untrained network with this sample.
fn untrained(architecture: Architecture, labels: &[i64]) -> ProbeInput {
    let shape = [&[labels.len() as i64], architecture.input_shape.as_slice()].concat();
    let inputs = Tensor::linspace(-1.0, 1.0, shape.iter().product::<i64>(), (Kind::Float, Device::Cpu));
    let train = Dataset::new(inputs.reshape(shape), Tensor::from_slice(labels)).unwrap();
    ProbeInput {
        network: Network::initialize(architecture.clone(), 5, Device::Cpu).unwrap(),
        initial: Some(Network::initialize(architecture, 6, Device::Cpu).unwrap()),
        train_size: train.len(),
        train,
        ..tiny_networks().unwrap()[0].input()
    }
}

fn dense(units: i64) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation: Activation::Relu })
}

#[test]
fn weights_of_zero() {
    let found = Outcomes::of("zero weights", changed(|_, tensor| tensor.zeros_like()));
    for spec in ["l2_norm", "param_norm", "path_norm"] {
        assert_eq!(found.value(spec), 0.0, "{spec}");
    }
    for spec in ["frobenius_product", "frobenius_sum", "l1_inf_product", "l3_15_product"] {
        found.undefined(spec, "zero");
    }
    for spec in ["spectral_product", "spectral_sum", "fro_over_spec", "covering_number"] {
        found.undefined(spec, "is zero");
    }
    // All margins are zero.
    for spec in ["path_norm_over_margin", "spectral_orig", "golowich_2018", "long_sedghi_2020"] {
        found.undefined(spec, "γ > 0");
    }
    for spec in ["alpha", "stable_rank", "effective_rank"] {
        found.undefined(spec, "10 positive eigenvalues");
    }
    assert!(found.value("spectral_distance") > 0.0);
}

/// The activations of dead layers are zero, and so all inputs get the same output; the weights are what they were.
#[test]
fn dead_layers() {
    let specimen = &tiny_networks().unwrap()[0];
    let dead = changed(|role, tensor| match role {
        Role::Bias => tensor.full_like(-1e3),
        _ => tensor.shallow_clone(),
    });
    let found = Outcomes::of("dead layers", dead);
    let alive = Outcomes::of("live layers", specimen.input());
    for spec in ["param_norm", "spectral_product", "fro_over_spec", "covering_number"] {
        assert_eq!(found.value(spec), alive.value(spec), "{spec}");
    }
    // The last biases are all the same: every margin is zero.
    for spec in ["spectral_orig", "path_norm_over_margin", "bartlett_2017"] {
        found.undefined(spec, "γ > 0");
    }
}

#[test]
fn untrained_weights() {
    let specimen = &tiny_networks().unwrap()[0];
    let input = ProbeInput { initial: Some(specimen.network.shallow_clone()), ..specimen.input() };
    let found = Outcomes::of("untrained weights", input);
    for spec in
        ["distance_from_init", "frobenius_distance", "spectral_distance", "spectral_distance:norm=fft"]
    {
        assert_eq!(found.value(spec), 0.0, "{spec}");
    }
    for spec in ["spectral_init", "long_sedghi_2020", "long_sedghi_2020:norm=reshape"] {
        found.undefined(spec, "initial ones");
    }
}

#[test]
fn no_initial_weights() {
    let input = ProbeInput { initial: None, ..tiny_networks().unwrap()[0].input() };
    let found = Outcomes::of("no initial weights", input);
    for spec in
        ["distance_from_init", "frobenius_distance", "spectral_distance", "spectral_init", "long_sedghi_2020"]
    {
        found.undefined(spec, "no initial weights");
    }
    assert!(found.value("spectral_orig").is_finite());
}

#[test]
fn one_class() {
    let architecture = Architecture::sequential(vec![12], vec![dense(14), dense(1)]).unwrap();
    let found = Outcomes::of("one class", untrained(architecture, &[0, 0, 0]));
    for spec in ["path_norm_over_margin", "spectral_product_over_margin", "bartlett_2017", "long_sedghi_2020"]
    {
        found.undefined(spec, "two classes");
    }
    assert!(found.value("spectral_product").is_finite());
    assert!(found.value("alpha") > 1.0);
}

#[test]
fn every_sample_misclassified() {
    let specimen = &tiny_networks().unwrap()[0];
    let mut input = specimen.input();
    // 19 of 20 are right: the next class is wrong for those.
    input.train.labels = (&input.train.labels + 1).remainder(specimen.classes);
    let found = Outcomes::of("misfits", input);
    for spec in ["spectral_product_over_margin", "spectral_init", "rademacher_spectral", "neyshabur_2018"] {
        found.undefined(spec, "γ > 0");
    }
    assert!(found.value("spectral_orig:variant=as_coded").is_finite());
}

#[test]
fn layers_of_one_unit() {
    let conv = Layer::Conv2d(Conv2d {
        filters: 1,
        kernel: [1, 1],
        strides: [1, 1],
        padding: Padding::Same,
        dilation: [1, 1],
        groups: 1,
        use_bias: true,
        activation: Activation::Relu,
    });
    let layers = vec![conv, Layer::Flatten, dense(1), dense(2)];
    let architecture = Architecture::sequential(vec![1, 1, 1], layers).unwrap();
    let input = untrained(architecture, &[0, 1, 0]);
    let kernels: f64 = input
        .network
        .parameters()
        .filter(|one| one.spec.role == Role::Kernel)
        .map(|one| one.tensor.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]).ln())
        .sum();
    let found = Outcomes::of("one unit", input);
    // Every matrix has rank one: its operator norm is its Frobenius norm.
    for spec in ["spectral_product", "frobenius_product"] {
        assert!((found.value(spec) - kernels).abs() < 1e-9, "{spec}");
    }
    assert!((found.value("fro_over_spec") - 3.0).abs() < 1e-9);
    found.undefined("alpha", "10 positive eigenvalues");
}

#[test]
fn inputs_of_zero_and_weights_out_of_range() {
    let specimen = &tiny_networks().unwrap()[0];
    let mut blank = specimen.input();
    blank.train.inputs = blank.train.inputs.zeros_like();
    let found = Outcomes::of("inputs of zero", blank);
    found.undefined("covering_number", "every input is zero");
    for factor in [1e-20, 1e20] {
        let scaled = changed(
            |role, tensor| {
                if role == Role::Kernel { tensor * factor } else { tensor.shallow_clone() }
            },
        );
        let found = Outcomes::of("extreme weights", scaled);
        assert!(found.value("spectral_product").is_finite());
        assert!(found.value("l1_inf_product").is_finite());
    }
    let broken = Outcomes::of("NaN", changed(|_, tensor| tensor * f64::NAN));
    for spec in [
        "l2_norm",
        "distance_from_init",
        "param_norm",
        "frobenius_product",
        "l1_inf_product",
        "spectral_product",
    ] {
        broken.undefined(spec, "not finite");
    }
    broken.undefined("alpha", "not finite");
}
