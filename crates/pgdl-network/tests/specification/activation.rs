use pgdl_network::{Activation, Layer, Mode};
use tch::Tensor;

use crate::{evaluate, network, tensor, vector};

fn normal_cdf(x: f64) -> f64 {
    // Φ by its power series: exact to rounding for |x| ≤ 6 in f64, and free of any library's erf.
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Each activation as a formula for one number.
fn formula(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| (-x.abs()).exp().ln_1p() + x.max(0.0);
    match activation {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::GeneralRelu { max_value, negative_slope, threshold } => match max_value {
            Some(max_value) if x >= max_value => max_value,
            _ if x >= threshold => x,
            _ => negative_slope * (x - threshold),
        },
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * x.exp_m1()
            }
        }
        Activation::Selu => {
            let scale = 1.050_700_987_355_480_5;
            if x > 0.0 { scale * x } else { scale * 1.673_263_242_354_377_2 * x.exp_m1() }
        }
        Activation::Gelu { approximate: false } => x * normal_cdf(x),
        Activation::Gelu { approximate: true } => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Swish => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Mish => x * softplus(x).tanh(),
        Activation::HardSigmoid { slope } => (slope * x + 0.5).clamp(0.0, 1.0),
        Activation::Exponential => x.exp(),
        other => panic!("{other:?} is not elementwise"),
    }
}

fn elementwise() -> Vec<Activation> {
    vec![
        Activation::Linear,
        Activation::Relu,
        Activation::GeneralRelu { max_value: Some(2.5), negative_slope: 0.1, threshold: 0.5 },
        Activation::GeneralRelu { max_value: None, negative_slope: 0.1, threshold: -1.0 },
        Activation::Relu6,
        Activation::LeakyRelu { slope: 0.3 },
        Activation::Elu { alpha: 1.0 },
        Activation::Elu { alpha: 0.4 },
        Activation::Selu,
        Activation::Gelu { approximate: false },
        Activation::Gelu { approximate: true },
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Softsign,
        Activation::Swish,
        Activation::HardSwish,
        Activation::Mish,
        Activation::HardSigmoid { slope: 0.2 },
        Activation::HardSigmoid { slope: 1.0 / 6.0 },
        Activation::Exponential,
    ]
}

/// From −8 to 8, zero and the values around softplus's cut in libtorch (20) included.
fn grid() -> Vec<f64> {
    let mut grid: Vec<f64> = (-64..=64).map(|i| f64::from(i) / 8.0).collect();
    grid.extend([19.5, 20.5, 25.0, -25.0]);
    grid
}

#[test]
fn each_is_its_formula() {
    let grid: Vec<f64> = grid();
    let x = Tensor::from_slice(&grid).reshape([1, -1]);
    for activation in elementwise() {
        let network = network(&x.size()[1..], vec![Layer::Activation(activation)]);
        for (&x, y) in grid.iter().zip(vector(&evaluate(&network, &x))) {
            // The series of Φ loses digits beyond |x| = 8.
            if matches!(activation, Activation::Gelu { approximate: false }) && x.abs() > 8.0 {
                continue;
            }
            let expected = formula(activation, x);
            assert!(
                (y - expected).abs() <= 1e-13 * (1.0 + expected.abs()),
                "{activation:?}({x}) is {y}, not {expected}"
            );
        }
    }
}

#[test]
fn softmax_sums_to_one_over_the_last_axis() {
    let x = tensor(&[3, 2, 4], 12) * 5.0;
    let softmax = network(&[2, 4], vec![Layer::Activation(Activation::Softmax)]);
    let logarithm = network(&[2, 4], vec![Layer::Activation(Activation::LogSoftmax)]);
    let (p, log_p) = (vector(&evaluate(&softmax, &x)), vector(&evaluate(&logarithm, &x)));
    for ((x, p), log_p) in vector(&x).chunks(4).zip(p.chunks(4)).zip(log_p.chunks(4)) {
        let total: f64 = x.iter().map(|x| x.exp()).sum();
        for ((x, p), log_p) in x.iter().zip(p).zip(log_p) {
            assert!((p - x.exp() / total).abs() < 1e-14);
            assert!((log_p - (x - total.ln())).abs() < 1e-13);
        }
    }
}

#[test]
fn prelu_has_one_slope_per_value_or_shares_it() {
    let x = tensor(&[2, 3, 4, 2], 13);
    for (shared_axes, alphas) in [(vec![], 24), (vec![1, 2], 2), (vec![1, 2, 3], 1)] {
        let network = network(&[3, 4, 2], vec![Layer::PRelu { shared_axes: shared_axes.clone() }]);
        let alpha = vector(&network.weights()[0][0]);
        assert_eq!(alpha.len(), alphas);
        for (i, (x, y)) in vector(&x).into_iter().zip(vector(&evaluate(&network, &x))).enumerate() {
            let alpha = alpha[i % 24 % alphas];
            assert_eq!(y, if x > 0.0 { x } else { alpha * x });
        }
    }
}

/// f(c·x) = c·f(x), wherever the type says so and nowhere else.
#[test]
fn homogeneity_is_as_declared() {
    let grid: Vec<f64> = grid();
    for activation in elementwise() {
        let homogeneous =
            grid.iter().all(|&x| (formula(activation, 2.0 * x) - 2.0 * formula(activation, x)).abs() < 1e-12);
        assert_eq!(activation.is_positively_homogeneous(), homogeneous, "{activation:?}");
    }
}

/// Second differences on steps of 1/8, where the pieces' ends fall: all zero but for a few.
#[test]
fn pieces_are_straight_as_declared() {
    for activation in elementwise() {
        let f = |i: i32| formula(activation, f64::from(i) / 8.0);
        let bent = (-63..=63).filter(|&i| (f(i + 1) - 2.0 * f(i) + f(i - 1)).abs() > 1e-9).count();
        assert_eq!(activation.is_piecewise_affine(), bent <= 4, "{activation:?}: {bent}");
    }
    assert!(!Activation::Softmax.is_piecewise_affine() && !Activation::LogSoftmax.is_piecewise_affine());
}

#[test]
fn layers_that_only_train_are_the_identity_in_evaluation() {
    let layers = vec![
        Layer::Dropout { rate: 0.5 },
        Layer::SpatialDropout2d { rate: 0.5 },
        Layer::AlphaDropout { rate: 0.5 },
        Layer::GaussianNoise { stddev: 1.0 },
        Layer::GaussianDropout { rate: 0.5 },
        Layer::ActivityRegularization { l1: 0.1, l2: 0.1 },
    ];
    assert!(layers.iter().all(Layer::is_training_only));
    let x = tensor(&[2, 3, 4, 5], 14);
    let network = network(&[3, 4, 5], layers);
    let y = network.forward(&x, Mode::Evaluate).expect("a forward pass");
    assert_eq!(vector(&x), vector(&y));
}
