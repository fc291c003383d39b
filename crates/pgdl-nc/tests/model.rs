//! The model of Neural Complexity: invariances, a dense computation beside it, its costs.

use pgdl_nc::model::{Model, Precision, Rows, Shape, Source};
use pgdl_nc::random::Draws;
use tch::{Device, Kind, Tensor};

fn shape() -> Shape {
    Shape {
        inputs: 2,
        outputs: 1,
        width: 12,
        encoder_layers: 3,
        heads: 3,
        decoder_layers: 2,
        ..Shape::default()
    }
}

fn model() -> Model {
    Model::initialize(shape(), &mut Draws::new(3, "model", 0), Device::Cpu).unwrap()
}

fn rows(seed: u64, batch: i64, train: i64, test: i64) -> Rows {
    let mut draws = Draws::new(seed, "rows", 0);
    let mut draw = |rows, width| draws.uniform(&[batch, rows, width], -2.0, 2.0, Device::Cpu).unwrap();
    Rows {
        source: Source::Inputs,
        train_losses: None,
        train_inputs: draw(train, 2),
        train_targets: draw(train, 1),
        train_outputs: draw(train, 1),
        test_inputs: draw(test, 2),
        test_outputs: draw(test, 1),
    }
}

fn complexity(model: &Model, rows: &Rows) -> Vec<f64> {
    let complexity = model.ready(Precision::Float32, false).unwrap().complexity(rows).unwrap();
    Vec::try_from(complexity.to_kind(Kind::Double)).unwrap()
}

fn largest_difference(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
}

/// The order of the train rows and of the test rows, over shapes and permutations.
#[test]
fn permutations_change_nothing() {
    let model = model();
    for (case, (batch, train, test)) in [(1, 2, 2), (3, 10, 15), (2, 7, 1), (4, 1, 5)].into_iter().enumerate()
    {
        let rows = rows(case as u64, batch, train, test);
        let before = complexity(&model, &rows);
        for shift in 1..4 {
            let order = |count: i64| {
                let order: Vec<i64> = (0..count).rev().map(|i| (i + shift) % count).collect();
                Tensor::from_slice(&order)
            };
            let permuted = Rows {
                source: Source::Inputs,
                train_losses: None,
                train_inputs: rows.train_inputs.index_select(1, &order(train)),
                train_targets: rows.train_targets.index_select(1, &order(train)),
                train_outputs: rows.train_outputs.index_select(1, &order(train)),
                test_inputs: rows.test_inputs.index_select(1, &order(test)),
                test_outputs: rows.test_outputs.index_select(1, &order(test)),
            };
            assert!(largest_difference(&before, &complexity(&model, &permuted)) < 1e-6);
        }
        if train > 1 {
            // Targets that no longer belong to their inputs are another matter.
            let torn = Rows {
                source: Source::Inputs,
                train_losses: None,
                train_inputs: rows.train_inputs.shallow_clone(),
                train_targets: rows.train_targets.flip([1]),
                train_outputs: rows.train_outputs.shallow_clone(),
                test_inputs: rows.test_inputs.shallow_clone(),
                test_outputs: rows.test_outputs.shallow_clone(),
            };
            assert!(largest_difference(&before, &complexity(&model, &torn)) > 1e-5);
        }
    }
}

/// Each hypothesis is looked at by itself.
#[test]
fn a_batch_is_its_hypotheses() {
    let model = model();
    let rows = rows(9, 5, 4, 6);
    let together = complexity(&model, &rows);
    for (index, expected) in together.iter().enumerate() {
        let one = |tensor: &Tensor| tensor.narrow(0, index as i64, 1);
        let alone = Rows {
            source: Source::Inputs,
            train_losses: None,
            train_inputs: one(&rows.train_inputs),
            train_targets: one(&rows.train_targets),
            train_outputs: one(&rows.train_outputs),
            test_inputs: one(&rows.test_inputs),
            test_outputs: one(&rows.test_outputs),
        };
        assert!(largest_difference(&[*expected], &complexity(&model, &alone)) < 1e-6);
    }
}

type Matrix = Vec<Vec<f64>>;

/// The paper's formulas in plain loops, in 64-bit numbers.
struct ByHand(std::collections::HashMap<String, Tensor>);

impl ByHand {
    fn dense(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let weight = Matrix::try_from(self.0[&format!("{name}.weight")].to_kind(Kind::Double)).unwrap();
        let bias = Vec::<f64>::try_from(self.0[&format!("{name}.bias")].to_kind(Kind::Double)).unwrap();
        let row = |(weights, bias): (&Vec<f64>, &f64)| {
            bias + weights.iter().zip(input).map(|(weight, input)| weight * input).sum::<f64>()
        };
        weight.iter().zip(&bias).map(row).collect()
    }

    fn stack(&self, name: &str, layers: usize, input: &[f64]) -> Vec<f64> {
        (0..layers).fold(input.to_vec(), |hidden, layer| {
            let out = self.dense(&format!("{name}.{layer}"), &hidden);
            if layer + 1 < layers { out.iter().map(|z| z.max(0.0)).collect() } else { out }
        })
    }

    fn complexity(&self, rows: &Rows, index: i64) -> f64 {
        let of = |tensor: &Tensor| Matrix::try_from(tensor.get(index).to_kind(Kind::Double)).unwrap();
        let encode = |x: Matrix, h: Matrix| -> Matrix {
            x.iter().zip(&h).map(|(x, h)| self.stack("encoder", 3, &[&x[..], &h[..]].concat())).collect()
        };
        let train = encode(of(&rows.train_inputs), of(&rows.train_outputs));
        let test = encode(of(&rows.test_inputs), of(&rows.test_outputs));
        let keys: Matrix = train.iter().map(|row| self.dense("key", row)).collect();
        let values: Matrix = train
            .iter()
            .zip(of(&rows.train_targets))
            .map(|(row, target)| self.dense("value", &[&row[..], &target[..]].concat()))
            .collect();
        let (heads, depth) = (3, 4);
        let mut total = 0.0;
        for row in &test {
            let query = self.dense("query", row);
            let mut attended = Vec::new();
            for head in 0..heads {
                let part = head * depth..(head + 1) * depth;
                let scores: Vec<f64> = keys
                    .iter()
                    .map(|key| {
                        let product: f64 =
                            query[part.clone()].iter().zip(&key[part.clone()]).map(|(q, k)| q * k).sum();
                        (product / (depth as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = scores.iter().sum();
                for column in part {
                    attended.push(
                        scores.iter().zip(&values).map(|(score, value)| score / sum * value[column]).sum(),
                    );
                }
            }
            let decoded: Vec<f64> =
                self.dense("attended", &attended).iter().zip(row).map(|(a, e)| a + e).collect();
            total += self.stack("decoder", 2, &decoded)[0];
        }
        total / test.len() as f64
    }
}

#[test]
fn the_value_is_that_of_plain_loops() {
    let model = model();
    let rows = rows(1, 3, 5, 4);
    let by_hand = ByHand(model.named_parameters().unwrap().into_iter().collect());
    let expected: Vec<f64> = (0..3).map(|index| by_hand.complexity(&rows, index)).collect();
    assert!(largest_difference(&complexity(&model, &rows), &expected) < 1e-6);
}

/// The gradient, in the order of the parameters, against differences of the plain loops in 64-bit numbers.
#[test]
fn the_gradient_is_that_of_differences() {
    let model = model();
    let rows = rows(2, 2, 3, 3);
    let ready = model.ready(Precision::Float32, true).unwrap();
    let gradient = ready.gradient(&ready.complexity(&rows).unwrap().sum(Kind::Float)).unwrap();
    assert_eq!(gradient.size(), [shape().parameter_count()]);
    let value = |parameters: Tensor| -> f64 {
        let mut offset = 0;
        let mut named = std::collections::HashMap::new();
        for (name, size) in shape().parameters() {
            let count = size.iter().product();
            named.insert(name, parameters.narrow(0, offset, count).reshape(&size));
            offset += count;
        }
        let by_hand = ByHand(named);
        (0..2).map(|index| by_hand.complexity(&rows, index)).sum()
    };
    let parameters = model.parameters().to_kind(Kind::Double);
    // A direction with every parameter in it: all of them are tested at once, thrice.
    for seed in 0..3 {
        let mut draws = Draws::new(seed, "direction", 0);
        let direction = draws.uniform(&[shape().parameter_count()], -1.0, 1.0, Device::Cpu).unwrap();
        let step = direction.to_kind(Kind::Double) * 1e-6;
        let expected = (value(&parameters + &step) - value(&parameters - &step)) / 2e-6;
        let found = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} against {expected}");
    }
}

#[test]
fn sixteen_bits_are_close() {
    let model = model();
    let rows = rows(5, 4, 10, 15);
    let short = model.ready(Precision::Bfloat16, false).unwrap().complexity(&rows).unwrap();
    assert_eq!(short.kind(), Kind::Float);
    let short: Vec<f64> = Vec::try_from(short.to_kind(Kind::Double)).unwrap();
    let difference = largest_difference(&short, &complexity(&model, &rows));
    assert!(difference > 0.0 && difference < 0.02, "{difference}");
}

/// The paper's model: 2→512→512→512, attention, 512→512→1.
#[test]
fn sizes_of_the_papers_model() {
    let paper = Shape::default();
    let dense = |inputs: i64, outputs: i64| inputs * outputs + outputs;
    let expected = dense(2, 512)
        + 2 * dense(512, 512)
        + 3 * dense(512, 512)
        + dense(513, 512)
        + dense(512, 512)
        + dense(512, 1);
    assert_eq!(paper.parameter_count(), expected);
    // 25 rows through the encoder, keys and values of 10, queries, outputs and decoder of 15.
    let square = 512 * 512;
    let expected =
        25 * (2 * 512 + 2 * square) + 10 * (2 * square + 512) + 15 * (3 * square + 512) + 2 * 150 * 512;
    assert_eq!(paper.multiplications(10, 15), expected);
}

#[test]
fn wrong_shapes_are_errors() {
    let ready = model().ready(Precision::Float32, false).unwrap();
    let mut wrong = rows(1, 2, 3, 4);
    wrong.train_targets = wrong.train_targets.narrow(1, 0, 2);
    let error = ready.complexity(&wrong).unwrap_err().to_string();
    assert_eq!(error, "Y_tr has shape [2, 2, 1], but must have [2, 3, 1]");
    let flat = Rows { train_inputs: Tensor::zeros([3], (Kind::Float, Device::Cpu)), ..rows(1, 2, 3, 4) };
    assert!(ready.complexity(&flat).is_err());
    let heads = Shape { heads: 5, ..shape() };
    assert!(Model::initialize(heads, &mut Draws::new(0, "", 0), Device::Cpu).is_err());
    let few = Tensor::zeros([7], (Kind::Float, Device::Cpu));
    assert!(Model::from_parameters(shape(), few).is_err());
}
