//! Distances to the decision boundary: closed forms on linear networks, golden values on a convolutional one,
//! degenerate inputs.
//!
//! The golden values come from PyTorch 2.11 and NumPy 2.4 in f64, sample by sample: the same network written with
//! `conv2d` and matrix products, `autograd.grad` for each sample on its own, `numpy.percentile`,
//! `scipy.stats.trim_mean`, principal components by `numpy.linalg.svd`, DeepFool as a loop over samples and classes.

use pgdl_measure::contract::{tiny_networks, with_outputs};
use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding, Pool};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Dataset, Detail, MeasureError, Measured, Probe, ProbeInput, Registry};

fn wave(speed: f64, shift: f64, scale: f64, shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|k| scale * (speed * k as f64 + shift).sin()).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// Uniform in ±1.5, from a linear congruential generator.
fn inputs() -> Tensor {
    let mut state = 5u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        3.0 * (state >> 11) as f64 / (1u64 << 53) as f64 - 1.5
    };
    let values: Vec<f64> = (0..12 * 72).map(|_| next()).collect();
    Tensor::from_slice(&values).reshape([12, 6, 6, 2])
}

const LABELS: [i64; 12] = [1, 1, 2, 2, 1, 1, 2, 1, 0, 1, 1, 1];

fn dense(units: i64, activation: Activation) -> Layer {
    Layer::Dense(Dense { units, use_bias: true, activation })
}

fn network() -> Network {
    let layers = vec![
        Layer::Conv2d(Conv2d {
            filters: 4,
            kernel: [3, 3],
            strides: [1, 1],
            padding: Padding::Same,
            dilation: [1, 1],
            groups: 1,
            use_bias: true,
            activation: Activation::Relu,
        }),
        Layer::MaxPooling2d(Pool { size: [2, 2], strides: [2, 2], padding: Padding::Valid }),
        Layer::Flatten,
        dense(5, Activation::Relu),
        dense(3, Activation::Linear),
    ];
    let weights = vec![
        vec![wave(1.7, 0.1, 0.5, &[3, 3, 2, 4]), wave(2.3, 0.2, 0.1, &[4])],
        vec![],
        vec![],
        vec![wave(1.1, 0.3, 0.4, &[36, 5]), wave(0.7, 0.4, 0.1, &[5])],
        vec![wave(2.9, 0.5, 0.8, &[5, 3]), wave(1.3, 0.6, 0.1, &[3])],
    ];
    Network::new(Architecture::sequential(vec![6, 6, 2], layers).unwrap(), weights).unwrap()
}

fn examine(
    network: Network,
    inputs: Tensor,
    labels: &[i64],
    seed: u64,
    spec: &str,
) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    let train = Dataset::new(inputs.to_kind(Kind::Float), Tensor::from_slice(labels)).unwrap();
    let probe = Probe::new(ProbeInput {
        network,
        network_id: 0,
        initial: None,
        train_size: train.len(),
        train,
        test_inputs: None,
        truth: None,
        seed,
        deadline: None,
        batch_size: 5,
    })
    .unwrap();
    probe.evaluate(&registry.resolve(spec).unwrap()).outcome
}

/// The first `count` of the twelve samples.
fn golden_network(labels: &[i64], seed: u64, spec: &str) -> Measured {
    let inputs = inputs().narrow(0, 0, labels.len() as i64);
    examine(network(), inputs, labels, seed, spec).unwrap()
}

/// Inputs are rounded to f32 on their way in, values are not: what that leaves.
const ROUNDED_INPUTS: f64 = 1e-5;

#[track_caller]
fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found} is not {expected}");
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details.get(name) {
        Some(Detail::Number(number)) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn golden_values_of_hidden_margins() {
    for (spec, expected) in [
        ("hidden_margin:layer=input", -0.05160797625423742),
        ("hidden_margin:layer=input,p=10", 0.046996821468722035),
        ("hidden_margin:layer=first", -0.09237339517956544),
        ("hidden_margin:layer=middle", -0.1550045605067491),
        ("hidden_margin:layer=last", -0.1550045605067491),
        ("hidden_margin", -0.09966197731351732),
    ] {
        close(spec, golden_network(&LABELS, 0, spec).value, expected, ROUNDED_INPUTS);
    }
    let measured = golden_network(&LABELS, 0, "hidden_margin:layer=first");
    let name = &measured.layers[0].layer;
    for (part, expected) in [
        ("lower_fence", -0.0848506548200456),
        ("q1", 0.05650326575878992),
        ("median", 0.09237339517956544),
        ("q3", 0.135446147672025),
        ("upper_fence", 0.43792463660607855),
    ] {
        close(part, detail(&measured, &format!("{name}/{part}")), expected, ROUNDED_INPUTS);
    }
}

#[test]
fn golden_values_of_walks_to_the_boundary() {
    for (spec, expected) in [
        ("adversarial_radius", -0.32478907081217),
        ("constrained_margin", -2.082646991416117),
        ("constrained_margin:components=8", -1.8383208774411106),
    ] {
        let measured = golden_network(&LABELS, 0, spec);
        close(spec, measured.value, expected, ROUNDED_INPUTS);
        assert_eq!((detail(&measured, "not_reached"), detail(&measured, "left_out")), (0.0, 0.0));
    }
    assert_eq!(detail(&golden_network(&LABELS, 0, "constrained_margin"), "components"), 7.0);
}

/// With two samples in each class, their distance is the k-variance, whatever is drawn.
#[test]
fn golden_values_of_margins_over_k_variance() {
    for (layer, slope, gradient) in [
        ("input", 0.01780581743987151, 0.012956303986457125),
        ("first", 0.032496743616059406, 0.010873142730266424),
        ("last", 0.07025333546632105, 0.04400515929722792),
    ] {
        for (id, expected) in [("kv_margin", slope), ("kv_gn_margin", gradient)] {
            let spec = format!("{id}:layer={layer}");
            let measured = golden_network(&[0, 1, 2, 0, 1, 2], 0, &spec);
            close(&spec, measured.value, expected, ROUNDED_INPUTS);
            assert!(measured.standard_error.unwrap() < 1e-12);
        }
    }
}

/// In two classes of two samples each, a draw mixes both, one or no class: four values, and two draws give a mean of
/// two of them.
#[test]
fn golden_values_of_mixtures() {
    let cases: [(&str, [f64; 4]); 4] = [
        (
            "mixup_margin:draws=2",
            [0.35123145196833105, 0.612500417298209, -0.06527707141646279, 0.1759082682933071],
        ),
        (
            "mixup_margin:draws=2,layer=first",
            [0.3114094051019584, 0.5996012386365, -0.12102793718493586, 0.3150095726036434],
        ),
        (
            "manifold_mixup_margin:draws=2",
            [0.3114094051019584, 0.573249253951362, 0.44996727914529183, 0.9866335155740383],
        ),
        (
            "manifold_mixup_margin:draws=2,layer=last",
            [0.38546360497194526, 0.5688349488305328, 0.38640610558640215, 0.5720877631320856],
        ),
    ];
    for (spec, values) in cases {
        let mut seen = [false; 4];
        for seed in 0..12 {
            let measured = golden_network(&[0, 1, 1, 0], seed, spec);
            let pair = (0..16).map(|pair| (pair / 4, pair % 4)).find(|&(one, other)| {
                let (one, other): (f64, f64) = (values[one], values[other]);
                let error = measured.standard_error.unwrap();
                (measured.value - (one + other) / 2.0).abs() < 1e-5
                    && (error - (one - other).abs() / 2.0).abs() < 1e-5
            });
            let Some((one, other)) = pair else { panic!("{spec}: {measured:?}") };
            (seen[one], seen[other]) = (true, true);
        }
        assert_eq!(seen, [true; 4], "{spec}");
    }
}

#[test]
fn golden_values_where_there_is_nothing_to_change() {
    // Classes of one sample have nothing to mix with.
    let alone = golden_network(&[0, 1, 2], 3, "mixup_margin:variant=as_coded");
    close("as_coded", alone.value, -0.22089218181302434, ROUNDED_INPUTS);
    // Images of one colour stay as they are under flips, contrast and cutouts. (Distances behind the pooling: in it all
    // values tie.)
    let plain = inputs().narrow(1, 0, 1).narrow(2, 0, 1).expand([12, 6, 6, 2], false).contiguous();
    let measured = examine(network(), plain, &LABELS, 0, "augment_margin:layer=last").unwrap();
    close("plain", measured.value, -0.1063858217509182, ROUNDED_INPUTS);
    assert!(measured.standard_error.unwrap() < 1e-10);
}

/// f = x W + b with four classes, and inputs of which the network errs on some.
fn linear() -> (Network, Tensor, Vec<i64>) {
    let (weights, bias) = (wave(2.1, 0.3, 1.0, &[5, 4]), wave(1.9, 0.1, 0.3, &[4]));
    let architecture = Architecture::sequential(vec![5], vec![dense(4, Activation::Linear)]).unwrap();
    let network = Network::new(architecture, vec![vec![weights, bias]]).unwrap();
    (
        network,
        inputs().flatten(0, -1).narrow(0, 0, 100).reshape([20, 5]),
        (0..20).map(|sample| sample % 4).collect(),
    )
}

/// Per sample: f_y − f_k and ‖w_y − w_k‖ for each other class k.
fn linear_margins() -> Vec<Vec<(f64, f64)>> {
    let (network, inputs, labels) = linear();
    let (weights, bias) = (&network.weights()[0][0], &network.weights()[0][1]);
    let inputs = inputs.to_kind(Kind::Float).to_kind(Kind::Double);
    let rows: Vec<Vec<f64>> = Vec::try_from(inputs.matmul(weights) + bias).unwrap();
    let pair = |sample: usize, rival: i64| {
        let slope = weights.select(1, labels[sample]) - weights.select(1, rival);
        (rows[sample][labels[sample] as usize] - rows[sample][rival as usize], slope.norm().double_value(&[]))
    };
    (0..rows.len())
        .map(|sample| {
            (0..4).filter(|&rival| rival != labels[sample]).map(|rival| pair(sample, rival)).collect()
        })
        .collect()
}

fn evaluate_linear(spec: &str) -> Measured {
    let (network, inputs, labels) = linear();
    examine(network, inputs, &labels, 0, spec).unwrap()
}

#[test]
fn on_a_linear_network_the_distance_is_exact() {
    let margins = linear_margins();
    // The strongest other class.
    let signed: Vec<f64> = margins
        .iter()
        .map(|sample| sample.iter().min_by(|one, other| one.0.total_cmp(&other.0)).unwrap())
        .map(|(margin, slope)| margin / slope)
        .collect();
    assert!(signed.iter().any(|distance| *distance > 0.0) && signed.iter().any(|distance| *distance < 0.0));

    let rows = linear().1.to_kind(Kind::Float).to_kind(Kind::Double);
    let spread = rows.var_dim([0i64].as_slice(), false, false).sum(Kind::Double).sqrt().double_value(&[]);
    let mut sorted = signed.clone();
    let median = pgdl_measure_margin::percentile(&mut sorted, 50.0).unwrap();
    close("hidden_margin", evaluate_linear("hidden_margin").value, -median / spread, 1e-12);

    // All five principal components are the whole space.
    let mean = signed.iter().sum::<f64>() / 20.0;
    close("constrained_margin", evaluate_linear("constrained_margin:components=5").value, -mean, 1e-9);

    // The nearest other class, which need not be the strongest, where the network is right.
    let nearest = |sample: &Vec<(f64, f64)>| {
        sample.iter().map(|(margin, slope)| margin / slope).fold(f64::INFINITY, f64::min)
    };
    let radii: Vec<f64> = margins
        .iter()
        .zip(&signed)
        .map(|(sample, distance)| if *distance > 0.0 { nearest(sample) } else { *distance })
        .collect();
    assert!(radii.iter().zip(&signed).any(|(radius, distance)| radius < distance));
    close(
        "adversarial_radius",
        evaluate_linear("adversarial_radius").value,
        -radii.iter().sum::<f64>() / 20.0,
        1e-9,
    );
}

const SPECS: [&str; 9] = [
    "hidden_margin",
    "augment_margin",
    "mixup_margin",
    "mixup_margin:variant=as_coded",
    "manifold_mixup_margin",
    "kv_margin",
    "kv_gn_margin",
    "adversarial_radius",
    "constrained_margin",
];

/// Measures that follow a margin's slope have nothing to follow where the last layer is zero, constant inputs have no
/// spread.
#[test]
fn what_has_no_value_says_why() {
    let zero = network().map_weights(|parameter| Ok(parameter.tensor.f_zeros_like()?)).unwrap();
    let constant = Tensor::ones([12, 6, 6, 2], (Kind::Double, inputs().device()));
    for spec in SPECS {
        // The published code adds 1e-7 to a zero gradient, and gets a margin of zero.
        if !spec.ends_with("as_coded") {
            let outcome = examine(zero.shallow_clone(), inputs(), &LABELS, 0, spec);
            assert_undefined(&format!("{spec} of zero weights"), &outcome);
        }
        let outcome = examine(network(), constant.shallow_clone(), &LABELS, 0, spec);
        if spec != "adversarial_radius" {
            assert_undefined(&format!("{spec} of constant inputs"), &outcome);
        }
    }
    let vectors = || linear().1;
    let outcome = examine(linear().0, vectors(), &linear().2, 0, "augment_margin");
    assert_undefined("augmented vectors", &outcome);
    let outcome = examine(linear().0, vectors(), &linear().2, 0, "manifold_mixup_margin");
    assert_undefined("no hidden representation", &outcome);
}

#[track_caller]
fn assert_undefined(what: &str, outcome: &Result<Measured, MeasureError>) {
    match outcome {
        Err(MeasureError::Undefined(reason)) => assert!(!reason.is_empty()),
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn one_output_has_no_margin_and_one_label_does() {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    for spec in SPECS {
        let probe = Probe::new(with_outputs(&[[1.0], [2.0], [4.0]], &[0; 3]).unwrap()).unwrap();
        assert_undefined(spec, &probe.evaluate(&registry.resolve(spec).unwrap()).outcome);
        // All samples of one class: nothing is special about it.
        assert!(examine(network(), inputs(), &[1; 12], 0, spec).is_ok(), "{spec}");
    }
}

/// Where the network errs on every sample, every distance is negative, and every value positive.
#[test]
fn a_network_that_is_always_wrong_has_negative_margins() {
    let specimen = tiny_networks().unwrap().swap_remove(0);
    let outputs =
        specimen.network.forward(&specimen.train.inputs, pgdl_measure::network::Mode::Evaluate).unwrap();
    let wrong: Vec<i64> = Vec::try_from(outputs.argmin(1, false)).unwrap();
    for spec in ["hidden_margin", "kv_margin", "kv_gn_margin", "adversarial_radius", "constrained_margin"] {
        let measured =
            examine(specimen.network.shallow_clone(), specimen.train.inputs.shallow_clone(), &wrong, 0, spec)
                .unwrap();
        assert!(measured.value > 0.0, "{spec}: {measured:?}");
    }
}

#[test]
fn the_published_form_takes_no_other_layer() {
    let mut registry = Registry::new();
    pgdl_measure_margin::register(&mut registry).unwrap();
    for id in ["augment_margin", "mixup_margin"] {
        let error = registry.resolve(&format!("{id}:variant=as_coded,layer=last")).unwrap_err();
        assert!(error.to_string().contains("whatever `layer` and `samples` say"), "{error}");
    }
}
