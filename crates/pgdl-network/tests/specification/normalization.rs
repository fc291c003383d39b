use pgdl_network::{Layer, Mode};

use crate::{devices, evaluate, generator, network, tensor, vector};

/// The values of one slice along `axis`, as (row-major index, position on the axis).
fn position_on(shape: &[i64], axis: usize, index: usize) -> usize {
    let inner: i64 = shape[axis + 1..].iter().product();
    index / inner as usize % shape[axis] as usize
}

fn batch_norm(axis: i64, scale: bool, center: bool) -> Layer {
    Layer::BatchNormalization { axis, scale, center, epsilon: 0.01, momentum: 0.9 }
}

const SHAPES: [&[i64]; 3] = [&[4, 5], &[4, 3, 5], &[4, 2, 3, 5]];

#[test]
fn batch_normalization_evaluates_its_formula_on_every_axis() {
    for shape in SHAPES {
        for axis in 1..shape.len() {
            for (scale, center) in [(true, true), (true, false), (false, true), (false, false)] {
                let x = tensor(shape, 8);
                let positive = network(&shape[1..], vec![batch_norm(axis as i64, scale, center)]);
                let negative = axis as i64 - shape.len() as i64;
                let same = network(&shape[1..], vec![batch_norm(negative, scale, center)]);
                let weights: Vec<Vec<f64>> = positive.weights()[0].iter().map(vector).collect();
                let mut parts = weights.iter();
                let gamma = if scale { parts.next() } else { None };
                let beta = if center { parts.next() } else { None };
                let (mean, variance) = (parts.next().expect("a mean"), parts.next().expect("a variance"));
                let y = evaluate(&positive, &x);
                assert_eq!(vector(&y), vector(&evaluate(&same, &x)));
                for (i, (x, y)) in vector(&x).into_iter().zip(vector(&y)).enumerate() {
                    let c = position_on(shape, axis, i);
                    let expected = (x - mean[c]) / (variance[c] + 0.01).sqrt() * gamma.map_or(1.0, |g| g[c])
                        + beta.map_or(0.0, |b| b[c]);
                    assert!((y - expected).abs() < 1e-12, "{y} is not {expected}");
                }
            }
        }
    }
}

/// In training: the batch's mean and biased variance; moving ← 0.9 · moving + 0.1 · batch.
#[test]
fn batch_normalization_trains_on_the_batch() {
    let _turn = generator();
    for device in devices() {
        for shape in SHAPES {
            for axis in 1..shape.len() {
                let x = tensor(shape, 9);
                let network = network(&shape[1..], vec![batch_norm(axis as i64, true, true)]);
                let before: Vec<Vec<f64>> = network.weights()[0].iter().map(vector).collect();
                let network = network.to_device(device).and_then(|n| n.deep_clone()).expect("a copy");
                let y = network.forward(&x.to_device(device), Mode::Train).expect("a forward pass");
                let after: Vec<Vec<f64>> = network.weights()[0].iter().map(vector).collect();
                let (x, y) = (vector(&x), vector(&y));
                for c in 0..shape[axis] as usize {
                    let slice: Vec<usize> =
                        (0..x.len()).filter(|&i| position_on(shape, axis, i) == c).collect();
                    let mean = slice.iter().map(|&i| x[i]).sum::<f64>() / slice.len() as f64;
                    let variance =
                        slice.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / slice.len() as f64;
                    for i in slice {
                        let expected = (x[i] - mean) / (variance + 0.01).sqrt() * before[0][c] + before[1][c];
                        assert!((y[i] - expected).abs() < 1e-12);
                    }
                    assert!((after[2][c] - (0.9 * before[2][c] + 0.1 * mean)).abs() < 1e-13);
                    assert!((after[3][c] - (0.9 * before[3][c] + 0.1 * variance)).abs() < 1e-13);
                }
                assert_eq!(before[..2], after[..2]);
            }
        }
    }
}

/// One value per channel has variance 0, not an undefined one.
#[test]
fn batch_normalization_trains_on_a_single_value() {
    let network = network(&[3], vec![batch_norm(-1, false, false)]);
    let before = vector(&network.weights()[0][1]);
    let outcome = network.forward(&tensor(&[1, 3], 10), Mode::Train);
    let y = outcome.expect("a forward pass");
    assert!(vector(&y).iter().all(|y| y.abs() < 1e-14), "{y:?}");
    for (after, before) in vector(&network.weights()[0][1]).iter().zip(before) {
        assert!((after - 0.9 * before).abs() < 1e-15);
    }
}

#[test]
fn layer_normalization_evaluates_its_formula() {
    let shape = [4, 2, 3, 5];
    let all_axes: [&[i64]; 6] = [&[-1], &[1], &[2], &[1, 2], &[1, 3], &[1, 2, 3]];
    for axes in all_axes {
        for (scale, center) in [(true, true), (true, false), (false, true), (false, false)] {
            let layer = Layer::LayerNormalization { axes: axes.to_vec(), scale, center, epsilon: 0.002 };
            let network = network(&shape[1..], vec![layer]);
            let x = tensor(&shape, 11);
            let y = evaluate(&network, &x);
            let weights: Vec<Vec<f64>> = network.weights()[0].iter().map(vector).collect();
            let normalized: Vec<usize> = axes.iter().map(|&a| if a < 0 { 3 } else { a as usize }).collect();
            let (x, y) = (vector(&x), vector(&y));
            // The key of a value's group, and its place among the parameters.
            let group = |i: usize| -> Vec<usize> {
                (0..4).filter(|a| !normalized.contains(a)).map(|a| position_on(&shape, a, i)).collect()
            };
            let place = |i: usize| {
                normalized.iter().fold(0, |place, &a| place * shape[a] as usize + position_on(&shape, a, i))
            };
            for i in 0..x.len() {
                let members: Vec<f64> =
                    (0..x.len()).filter(|&j| group(j) == group(i)).map(|j| x[j]).collect();
                let mean = members.iter().sum::<f64>() / members.len() as f64;
                let variance = members.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / members.len() as f64;
                let gamma = if scale { weights[0][place(i)] } else { 1.0 };
                let beta = if center { weights[usize::from(scale)][place(i)] } else { 0.0 };
                let expected = (x[i] - mean) / (variance + 0.002).sqrt() * gamma + beta;
                assert!((y[i] - expected).abs() < 1e-12, "axes {axes:?}: {} is not {expected}", y[i]);
            }
        }
    }
}
