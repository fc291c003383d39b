//! Trainings side by side are those one by one.

use std::time::Instant;

use pgdl_measure::contract::{Specimen, tiny_networks};
use pgdl_measure::network::Mode;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, ProbeInput, Retraining, Schedule, Training, decisions};

const SCHEDULE: Schedule = Schedule { batch: 32, epochs: 3, rate: 0.02 };

fn input(specimen: &Specimen) -> ProbeInput {
    let input = specimen.input();
    ProbeInput {
        network: input.network.to_kind(Kind::Double).unwrap(),
        initial: input.initial.map(|initial| initial.to_kind(Kind::Double).unwrap()),
        ..input
    }
}

fn training(probe: &Probe, retraining: &Retraining, number: i64) -> Training {
    let mut start = probe.generator(&format!("start {number}"));
    Training {
        start: retraining.fresh_start(&mut start).unwrap(),
        samples: (number..number + 10).collect(),
        order: probe.generator(&format!("order {number}")),
    }
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn side_by_side_is_one_by_one() {
    for specimen in tiny_networks().unwrap() {
        let probe = Probe::new(input(&specimen)).unwrap();
        let retraining = Retraining::new(&probe).unwrap();
        let mut all: Vec<Training> = (0..3).map(|number| training(&probe, &retraining, number)).collect();
        let together = retraining.train(&mut all, SCHEDULE).unwrap();
        for number in 0..3 {
            let mut one = [training(&probe, &retraining, number)];
            let alone = retraining.train(&mut one, SCHEDULE).unwrap().get(0);
            assert!(far(&together.get(number), &alone) < 1e-9, "{} {number}", specimen.name);
            assert!(far(&one[0].start, &alone) > 0.01, "{} did not move", specimen.name);
        }
        // And so are their outputs, in whatever batches.
        let samples = vec![vec![0, 3, 5, 7], vec![1, 2, 3, 4], vec![9, 8, 2, 0]];
        let small = Probe::new(ProbeInput { batch_size: 3, ..input(&specimen) }).unwrap();
        let batches = Retraining::new(&small).unwrap();
        for retraining in [&retraining, &batches] {
            let outputs = retraining.outputs(&together, &samples).unwrap();
            for (number, rows) in (0..).zip(&samples) {
                let network = retraining.network().with_trainable_vector(&together.get(number)).unwrap();
                let inputs = probe.inputs().index_select(0, &Tensor::from_slice(rows));
                let expected = network.forward(&inputs, Mode::Evaluate).unwrap();
                assert!(far(&outputs.get(number), &expected) < 1e-12, "{}", specimen.name);
            }
        }
    }
}

#[test]
fn a_fresh_start_holds_the_values_of_each_initial_tensor() {
    let probe = Probe::new(input(&tiny_networks().unwrap()[0])).unwrap();
    let retraining = Retraining::new(&probe).unwrap();
    let start = retraining.fresh_start(&mut probe.generator("start")).unwrap();
    let initial = retraining.initial();
    assert!(far(&start, initial) > 0.0);
    let mut begin = 0;
    for parameter in retraining.network().parameters() {
        let count = parameter.tensor.numel() as i64;
        let sorted = |vector: &Tensor| vector.narrow(0, begin, count).sort(0, false).0;
        assert_eq!(sorted(&start), sorted(initial));
        begin += count;
    }
    assert_eq!(begin, start.numel() as i64);
}

#[test]
fn passes_are_counted() {
    let probe = Probe::new(input(&tiny_networks().unwrap()[0])).unwrap();
    let retraining = Retraining::new(&probe).unwrap();
    let mut all: Vec<Training> = (0..2).map(|number| training(&probe, &retraining, number)).collect();
    let weights = retraining.train(&mut all, SCHEDULE).unwrap();
    let outputs = retraining.outputs(&weights, &[vec![0, 1, 2], vec![3, 4, 5]]).unwrap();
    assert_eq!(outputs.size(), [2, 3, 5]);
    let n = probe.sample_size() as f64;
    let passes = probe.passes();
    assert!((passes.backward * n - 2.0 * 3.0 * 10.0).abs() < 1e-9, "{passes:?}");
    assert!((passes.forward * n - 2.0 * 3.0 * 10.0 - 6.0).abs() < 1e-9, "{passes:?}");
}

#[test]
fn what_cannot_be_trained() {
    let probe = Probe::new(input(&tiny_networks().unwrap()[0])).unwrap();
    let retraining = Retraining::new(&probe).unwrap();
    let mut uneven: Vec<Training> = (0..2).map(|number| training(&probe, &retraining, number)).collect();
    uneven[1].samples.pop();
    assert!(matches!(retraining.train(&mut uneven, SCHEDULE), Err(MeasureError::Failed(_))));
    assert!(matches!(retraining.train(&mut [], SCHEDULE), Err(MeasureError::Failed(_))));
    probe.set_deadline(Some(Instant::now()));
    let mut all: Vec<Training> = (0..2).map(|number| training(&probe, &retraining, number)).collect();
    let Err(MeasureError::Timeout(reason)) = retraining.train(&mut all, SCHEDULE) else { panic!() };
    assert!(
        reason.ends_with("after 0 of 3 steps of training on 10 samples; 0 of 2 networks are trained"),
        "{reason}"
    );
    let none = ProbeInput { initial: None, ..tiny_networks().unwrap()[0].input() };
    let probe = Probe::new(none).unwrap();
    assert!(matches!(Retraining::new(&probe), Err(MeasureError::Unavailable(_))));
}

#[test]
fn the_first_of_equal_outputs_decides() {
    let outputs = Tensor::from_slice(&[1.0, 3.0, 3.0, 2.0, 2.0, 2.0, 0.0, -1.0, 5.0]).reshape([1, 3, 3]);
    assert_eq!(decisions(&outputs).unwrap(), Tensor::from_slice(&[1i64, 0, 2]).reshape([1, 3]));
}
