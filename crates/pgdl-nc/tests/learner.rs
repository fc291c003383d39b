//! Learners in parallel: each alone, in plain loops, and what becomes of one that diverges.

use pgdl_nc::learner::{Activation, Learner, Moment, Regularizer};
use pgdl_nc::model::{Model, Precision, Shape};
use pgdl_nc::random::Draws;
use pgdl_nc::snapshots::Snapshots;
use pgdl_nc::task::{Sinusoids, Tasks};
use tch::{Device, Kind, Tensor};

fn tasks(count: i64) -> Tasks {
    Sinusoids::default().draw(count, &mut Draws::new(1, "tasks", 0), Device::Cpu).unwrap()
}

fn one_of(tasks: &Tasks, index: i64) -> Tasks {
    let one = |tensor: &Tensor| tensor.narrow(0, index, 1);
    Tasks {
        train_inputs: one(&tasks.train_inputs),
        train_targets: one(&tasks.train_targets),
        test_inputs: one(&tasks.test_inputs),
        test_targets: one(&tasks.test_targets),
    }
}

fn moments(learner: &Learner, tasks: &Tasks, initial: Vec<Tensor>, regularizer: Regularizer) -> Vec<Moment> {
    let mut moments = Vec::new();
    learner
        .train(tasks, initial, regularizer, &mut |moment| {
            moments.push(moment);
            Ok(())
        })
        .unwrap();
    moments
}

fn initial(learner: &Learner, count: i64) -> Vec<Tensor> {
    learner.initialize(count, &mut Draws::new(2, "initial", 0), Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

#[test]
fn sinusoids_are_what_they_say() {
    let tasks = tasks(200);
    let inputs = numbers(&tasks.train_inputs);
    assert!(inputs.iter().all(|x| (-5.0..5.0).contains(x)));
    // Two unknowns: y = p·sin x + q·cos x from two examples gives all others.
    for task in 0..20 {
        let one = one_of(&tasks, task);
        let (x, y) = (numbers(&one.train_inputs), numbers(&one.train_targets));
        let determinant = x[0].sin() * x[1].cos() - x[1].sin() * x[0].cos();
        if determinant.abs() < 0.2 {
            continue;
        }
        let p = (y[0] * x[1].cos() - y[1] * x[0].cos()) / determinant;
        let q = (x[0].sin() * y[1] - x[1].sin() * y[0]) / determinant;
        assert!((0.1..5.0).contains(&p.hypot(q)));
        assert!(q >= -1e-4, "b in [0, π] has sin b ≥ 0");
        for (x, y) in numbers(&one.test_inputs).iter().zip(numbers(&one.test_targets)) {
            assert!((p * x.sin() + q * x.cos() - y).abs() < 1e-4);
        }
    }
}

/// A learner with one hidden unit, step by step by the chain rule.
#[test]
fn steps_by_hand() {
    let learner = Learner { hidden: vec![1], activation: Activation::Tanh, lr: 0.05, steps: 3 };
    let tasks = tasks(2);
    let start = initial(&learner, 2);
    let found = moments(&learner, &tasks, start.iter().map(Tensor::copy).collect(), Regularizer::None);
    for task in 0..2 {
        let one = one_of(&tasks, task);
        let (x, y) = (numbers(&one.train_inputs), numbers(&one.train_targets));
        let [mut w, mut b, mut v, mut c] = [0, 1, 2, 3].map(|index| numbers(&start[index].get(task))[0]);
        for moment in &found {
            let outputs = numbers(&moment.train_outputs.get(task));
            let (mut dw, mut db, mut dv, mut dc) = (0.0, 0.0, 0.0, 0.0);
            for ((x, y), output) in x.iter().zip(&y).zip(outputs) {
                let hidden = (w * x + b).tanh();
                assert!((v * hidden + c - output).abs() < 1e-5);
                let error = 2.0 * (v * hidden + c - y) / 10.0;
                dv += error * hidden;
                dc += error;
                let inner = error * v * (1.0 - hidden * hidden);
                dw += inner * x;
                db += inner;
            }
            w -= 0.05 * dw;
            b -= 0.05 * db;
            v -= 0.05 * dv;
            c -= 0.05 * dc;
        }
    }
}

/// With λ·NC in the loss, and without: learning together is learning alone.
#[test]
fn together_as_alone() {
    let learner = Learner { hidden: vec![8, 8], ..Learner::default() };
    let shape = Shape { width: 16, heads: 2, ..Shape::default() };
    let model = Model::initialize(shape, &mut Draws::new(5, "model", 0), Device::Cpu).unwrap();
    let model = model.ready(Precision::Float32, false).unwrap();
    let tasks = tasks(4);
    let start = initial(&learner, 4);
    let mut last = Vec::new();
    for regularizer in [Regularizer::None, Regularizer::Complexity { model: &model, weight: 1.0 }] {
        let copy = start.iter().map(Tensor::copy).collect();
        let together = moments(&learner, &tasks, copy, regularizer);
        assert_eq!(together.len(), 17);
        for task in 0..4 {
            let own = start.iter().map(|parameter| parameter.narrow(0, task, 1).copy()).collect();
            let alone = moments(&learner, &one_of(&tasks, task), own, regularizer);
            for (together, alone) in together.iter().zip(&alone) {
                let difference = together.test_outputs.narrow(0, task, 1) - &alone.test_outputs;
                assert!(difference.abs().max().double_value(&[]) < 1e-4);
            }
        }
        last.push(together[16].test_outputs.copy());
    }
    assert!((&last[0] - &last[1]).abs().max().double_value(&[]) > 1e-3, "NC in the loss changes nothing");
}

/// A learner that diverges takes no other with it, and is left out and counted.
#[test]
fn diverging_learners() {
    let learner = Learner { hidden: vec![4], ..Learner::default() };
    let tasks = tasks(3);
    let calm = moments(&learner, &tasks, initial(&learner, 3), Regularizer::None);
    let wild = initial(&learner, 3);
    let _ = wild[0].get(1).fill_(1e30);
    let _ = wild[2].get(1).fill_(1e30);
    let moments = moments(&learner, &tasks, wild, Regularizer::None);
    for (calm, moment) in calm.iter().zip(&moments) {
        for task in [0, 2] {
            assert_eq!(numbers(&calm.test_outputs.get(task)), numbers(&moment.test_outputs.get(task)));
        }
    }
    let snapshots = Snapshots::of_moments(&tasks, &moments[1..]).unwrap();
    assert_eq!((snapshots.len(), snapshots.left_out), (32, 16));
    assert!(numbers(&snapshots.gaps).iter().all(|gap| gap.is_finite()));
}

/// The inner loop of MAML gives the same learners, and derivatives of what comes after by what was before.
#[test]
fn differentiable_training() {
    let learner = Learner { hidden: vec![5], activation: Activation::Tanh, lr: 0.05, steps: 4 };
    let tasks = tasks(2);
    let start = initial(&learner, 2);
    let loss_after = |start: &[Tensor]| -> Tensor {
        let trained = learner.train_differentiably(&tasks, start).unwrap();
        let outputs = learner.outputs(&trained, &tasks.test_inputs).unwrap();
        (outputs - &tasks.test_targets).square().sum(Kind::Float)
    };
    let leaves: Vec<Tensor> =
        start.iter().map(|parameter| parameter.copy().set_requires_grad(true)).collect();
    let gradients = Tensor::run_backward(&[loss_after(&leaves)], &leaves, false, false);
    let step = 1e-2;
    for (index, gradient) in gradients.iter().enumerate() {
        let moved = |by: f64| -> f64 {
            let moved: Vec<Tensor> = start
                .iter()
                .enumerate()
                .map(|(at, parameter)| if at == index { parameter + by } else { parameter.copy() })
                .map(|parameter| parameter.set_requires_grad(true))
                .collect();
            loss_after(&moved).double_value(&[])
        };
        let expected = (moved(step) - moved(-step)) / (2.0 * step);
        let found = gradient.sum(Kind::Double).double_value(&[]);
        assert!((found - expected).abs() < 0.02 * expected.abs().max(1.0), "{found} against {expected}");
    }
    let plain = moments(&learner, &tasks, start.iter().map(Tensor::copy).collect(), Regularizer::None);
    let trained = learner.train_differentiably(&tasks, &leaves).unwrap();
    let outputs = learner.outputs(&trained, &tasks.test_inputs).unwrap();
    assert!((&outputs - &plain[4].test_outputs).abs().max().double_value(&[]) < 1e-5);
}
