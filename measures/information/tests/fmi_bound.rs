//! The bound of networks whose information is known, and by repeated runs.

use std::time::Instant;

use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Detail, Generator, MeasureError, Measured, Probe, ProbeInput, Registry};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
const NETWORK: u64 = 2;

/// Linear networks without a bias, `[D, C]`, and a sample.
struct Linear {
    initial: Tensor,
    inputs: Tensor,
    labels: Tensor,
}

impl Linear {
    /// Each input has an axis of its own, and labels are by chance: what is not trained on can only be guessed.
    fn by_heart(samples: i64, classes: i64) -> Self {
        let mut random = generator("by heart", "sample", 0);
        let labels = (random.uniform_tensor(&[samples]).unwrap() * classes as f64).to_kind(Kind::Int64);
        let initial = random.normal_tensor(&[samples, classes]).unwrap();
        Self { initial, inputs: Tensor::eye(samples, DOUBLE), labels }
    }

    /// Three classes that follow six inputs loosely.
    fn learnable(samples: i64) -> Self {
        let mut random = generator("learnable", "sample", 0);
        let inputs = random.normal_tensor(&[samples, 6]).unwrap();
        let noise = random.normal_tensor(&[samples, 3]).unwrap();
        let labels = (inputs.narrow(1, 0, 3) + noise).argmax(1, false);
        Self { initial: random.normal_tensor(&[6, 3]).unwrap(), inputs, labels }
    }

    fn network(&self) -> Network {
        let size = self.initial.size();
        let dense = Dense { units: size[1], use_bias: false, activation: Activation::Linear };
        let architecture = Architecture::sequential(vec![size[0]], vec![Layer::Dense(dense)]).unwrap();
        Network::new(architecture, vec![vec![self.initial.copy()]]).unwrap()
    }

    fn input(&self, seed: u64) -> ProbeInput {
        ProbeInput {
            network: self.network(),
            network_id: NETWORK,
            initial: Some(self.network()),
            train: Dataset { inputs: self.inputs.copy(), labels: self.labels.copy() },
            train_size: self.labels.numel(),
            test_inputs: None,
            truth: None,
            seed,
            deadline: None,
            batch_size: 50,
        }
    }
}

/// The generator that the measure has for this purpose.
fn generator(spec: &str, purpose: &str, seed: u64) -> Generator {
    let (seed, network) = (seed.to_le_bytes(), NETWORK.to_le_bytes());
    Generator::new(&[&seed, &network, spec.as_bytes(), purpose.as_bytes()], Device::Cpu, Kind::Double)
}

fn run(spec: &str, input: ProbeInput) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_information::register(&mut registry).unwrap();
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

fn detail(measured: &Measured, name: &str) -> f64 {
    match measured.details[name] {
        Detail::Number(number) => number,
        ref other => panic!("{other:?}"),
    }
}

/// Mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// Errors only elsewhere, with 1 − 1/C: Δ tells U whenever it is not 0, and I(Δ; U) = (1 − 1/C) ln 2.
#[test]
fn who_learns_by_heart_tells_what_can_be_told() {
    let spec = "fmi_bound:epochs=20,lr=1,pairs=40,supersamples=12";
    let found = run(spec, Linear::by_heart(300, 4).input(1)).unwrap();
    assert_eq!(detail(&found, "selected_error"), 0.0);
    let (truth, error) = ((2.0 * 0.75 * 2f64.ln()).sqrt(), found.standard_error.unwrap());
    assert!(error < 0.02 && (found.value - truth).abs() < 4.0 * error, "{} ± {error}, {truth}", found.value);
    let exact = (2.0 * detail(&found, "unselected_error") * 2f64.ln()).sqrt();
    assert!((found.value - exact).abs() < 1e-12, "{} {exact}", found.value);
    assert!((detail(&found, "gap") - detail(&found, "unselected_error")).abs() < 1e-12);
}

/// Without training bits and predictions are independent: the information is 0, and the value that of any other bits.
#[test]
fn who_ignores_the_data_tells_as_much_as_of_random_bits() {
    let linear = Linear::learnable(300);
    for (spec, most) in [
        // 4 × 40 × 2 pairs and networks: √(1/320) = 0.06 would be the root of the mean square, all errors independent.
        ("fmi_bound:epochs=0,pairs=40", 0.07),
        ("fmi_bound:epochs=0,form=predictions,pairs=20,splits=40", 0.5),
    ] {
        let runs: Vec<Measured> = (0..40).map(|seed| run(spec, linear.input(seed)).unwrap()).collect();
        let of = |what: &dyn Fn(&Measured) -> f64| mean(&runs.iter().map(what).collect::<Vec<_>>());
        let (difference, error) = of(&|run| run.value - detail(run, "value_of_random_bits"));
        assert!(difference.abs() < 4.0 * error, "{spec}: {difference} ± {error}");
        let (value, _) = of(&|run| run.value);
        assert!(value < most, "{spec}: {value}");
        let (gap, error) = of(&|run| detail(run, "gap"));
        assert!(gap.abs() < 4.0 * error, "{spec}: {gap} ± {error}");
    }
}

/// Without training: everything but that is done again by plain loops.
#[test]
fn it_is_the_bound_of_a_plain_loop() {
    const PAIRS: usize = 15;
    let linear = Linear::learnable(80);
    for form in ["losses", "predictions"] {
        let prefix = if form == "losses" { "" } else { "form=predictions," };
        let spec = format!("fmi_bound:epochs=0,{prefix}pairs=15,splits=3,supersamples=2");
        let (mut only_selected, mut only_other, mut roots) = (0.0, 0.0, 0.0);
        for set in 0..2 {
            let generator = |what: &str| generator(&spec, &format!("{what} of super-sample {set}"), 3);
            let order = generator("samples").permutation(80);
            let mut coins = generator("bits");
            // For every pair, what is predicted and which sample is selected.
            let mut seen: Vec<Vec<(i64, i64, bool)>> = vec![Vec::new(); PAIRS];
            for split in 0..3 {
                let bits: Vec<bool> =
                    (0..PAIRS).map(|_| pgdl_measure::rand::RngCore::next_u32(&mut coins) & 1 == 1).collect();
                for half in 0..2 {
                    let start = generator(&format!("start {split} {half}")).permutation(18);
                    let kernel = linear.initial.reshape([-1]).index_select(0, &Tensor::from_slice(&start));
                    let predicted = linear.inputs.matmul(&kernel.reshape([6, 3])).argmax(1, false);
                    for pair in 0..PAIRS {
                        let [one, two] = [order[2 * pair], order[2 * pair + 1]];
                        let second = bits[pair] ^ (half == 1);
                        let [y1, y2] = [one, two].map(|at| predicted.int64_value(&[at]));
                        seen[pair].push((y1, y2, second));
                        let right = [
                            y1 == linear.labels.int64_value(&[one]),
                            y2 == linear.labels.int64_value(&[two]),
                        ];
                        let (own, other) = if second { (right[1], right[0]) } else { (right[0], right[1]) };
                        only_selected += f64::from(u8::from(own && !other)) / (2 * 6 * PAIRS) as f64;
                        only_other += f64::from(u8::from(!own && other)) / (2 * 6 * PAIRS) as f64;
                    }
                }
            }
            for pair in seen {
                // Σ p(ŷ, u) ln p(u | ŷ) / p(u), with p(u) = ½.
                let count = |keep: &dyn Fn(&(i64, i64, bool)) -> bool| {
                    pair.iter().filter(|one| keep(one)).count() as f64
                };
                let information: f64 = pair
                    .iter()
                    .map(|own| {
                        let alike = count(&|other| other == own);
                        let predicted = count(&|other| (other.0, other.1) == (own.0, own.1));
                        (2.0 * alike / predicted).ln() / 6.0
                    })
                    .sum();
                roots += (2.0 * information).sqrt() / (2 * PAIRS) as f64;
            }
        }
        let found = run(&spec, linear.input(3)).unwrap();
        let share = only_selected / (only_selected + only_other);
        let entropy = -share * share.ln() - (1.0 - share) * (1.0 - share).ln();
        let pooled = (2.0 * (only_selected + only_other) * (2f64.ln() - entropy)).sqrt();
        let expected = if form == "losses" { pooled } else { roots };
        assert!(
            expected > 0.01 && (found.value - expected).abs() < 1e-9,
            "{form}: {} {expected}",
            found.value
        );
        assert!((detail(&found, "gap") - (only_selected - only_other)).abs() < 1e-12, "{form}");
    }
}

#[test]
fn the_bound_is_above_the_gap_of_every_run_and_scatters_by_its_standard_error() {
    const RUNS: u64 = 120;
    let linear = Linear::learnable(600);
    for spec in
        ["fmi_bound:epochs=4,lr=0.3,pairs=20", "fmi_bound:epochs=4,form=predictions,lr=0.3,pairs=10,splits=3"]
    {
        let runs: Vec<Measured> = (0..RUNS).map(|seed| run(spec, linear.input(seed)).unwrap()).collect();
        for run in &runs {
            assert!(run.value >= detail(run, "gap") - 1e-12, "{spec}: {run:?}");
        }
        let values: Vec<f64> = runs.iter().map(|run| run.value).collect();
        let variance = mean(&values).1.powi(2) * RUNS as f64;
        let squares: Vec<f64> = runs.iter().map(|run| run.standard_error.unwrap().powi(2)).collect();
        let (claimed, error) = mean(&squares);
        // 4 standard errors of both: √(2/119) of the variance, and that of the claims.
        let ratio = claimed / variance;
        let tolerance = 4.0 * (2.0 / 119.0 + (error / claimed).powi(2)).sqrt();
        assert!((ratio - 1.0).abs() < tolerance, "{spec}: {ratio} {tolerance}");
    }
}

#[test]
fn what_has_no_value() {
    let linear = Linear::learnable(60);
    let reason = |input: ProbeInput, spec: &str| match run(spec, input) {
        Err(MeasureError::Undefined(reason) | MeasureError::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let one_label = Linear { labels: linear.labels.ones_like(), ..Linear::learnable(60) };
    assert!(reason(one_label.input(0), "fmi_bound").contains("same label"));
    let none = ProbeInput { initial: None, ..linear.input(0) };
    assert!(reason(none, "fmi_bound").contains("no initial weights"));
    let broken = Linear { initial: linear.initial.full_like(f64::NAN), ..Linear::learnable(60) };
    assert!(reason(broken.input(0), "fmi_bound").contains("not finite"));
    let huge = Linear { inputs: linear.inputs.full_like(1e308), ..Linear::learnable(60) };
    assert!(reason(huge.input(0), "fmi_bound:lr=10").contains("not finite"));
    let late = ProbeInput { deadline: Some(Instant::now()), ..linear.input(0) };
    let Err(MeasureError::Timeout(reason)) = run("fmi_bound", late) else { panic!() };
    assert!(reason.contains("after 0 of 60 steps of training on 30 samples; 0 of 8 networks"), "{reason}");
}

/// Inputs that say nothing: all that can be learned is nothing, and nothing is told.
#[test]
fn a_constant_network_tells_nothing() {
    let blank = Linear { inputs: Tensor::zeros([60, 6], DOUBLE), ..Linear::learnable(60) };
    for spec in ["fmi_bound", "fmi_bound:form=predictions"] {
        assert_eq!(run(spec, blank.input(0)).unwrap().value, 0.0, "{spec}");
    }
}
