//! Spectra against NumPy, closed forms and random matrices.

use pgdl_measure::network::{Activation, Architecture, Conv2d, Dense, Layer, Network, Padding};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, Generator, MeasureError, Measured, Probe, ProbeInput, Registry};

const FAMILY: [&str; 7] = [
    "alpha",
    "alpha_hat",
    "log_alpha_norm",
    "stable_rank",
    "mp_soft_rank",
    "log_spectral_norm",
    "effective_rank",
];

fn dense(units: i64) -> Layer {
    Layer::Dense(Dense { units, use_bias: false, activation: Activation::Linear })
}

fn conv(filters: i64) -> Layer {
    Layer::Conv2d(Conv2d {
        filters,
        kernel: [3, 3],
        strides: [1, 1],
        padding: Padding::Valid,
        dilation: [1, 1],
        groups: 1,
        use_bias: false,
        activation: Activation::Relu,
    })
}

fn evaluate(spec: &str, network: &Network) -> Result<Measured, MeasureError> {
    let mut registry = Registry::new();
    pgdl_measure_heavy_tails::register(&mut registry).unwrap();
    let shape = [&[1][..], &network.architecture().input_shape].concat();
    let inputs = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let train = Dataset::new(inputs, Tensor::from_slice(&[0i64])).unwrap();
    let input = ProbeInput {
        network: network.shallow_clone(),
        network_id: 0,
        initial: None,
        train_size: 1,
        train,
        test_inputs: None,
        truth: None,
        seed: 0,
        deadline: None,
        batch_size: 1,
    };
    Probe::new(input).unwrap().evaluate(&registry.resolve(spec).unwrap()).outcome
}

/// One dense layer.
fn single(matrix: Tensor) -> Network {
    let (rows, columns) = matrix.size2().unwrap();
    let architecture = Architecture::sequential(vec![rows], vec![dense(columns)]).unwrap();
    Network::new(architecture, vec![vec![matrix]]).unwrap()
}

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance * expected.abs().max(1.0), "{value} {expected}");
}

/// Entry (i, j): ((31 i² + 17 j² + 7 i j) mod 64 − 32) / 32.
fn made(rows: i64, columns: i64) -> Tensor {
    let entry = |at: i64| {
        let (i, j) = (at / columns, at % columns);
        ((31 * i * i + 17 * j * j + 7 * i * j) % 64 - 32) as f32 / 32.0
    };
    Tensor::from_slice(&(0..rows * columns).map(entry).collect::<Vec<_>>()).reshape([rows, columns])
}

#[test]
fn values_agree_with_numpy_and_small_layers_are_left_out() {
    // numpy 2.4.6: singular values by numpy.linalg.svd in float64, the rest by plain array expressions from the formulas.
    let golden = [
        [3.8064993672704555, 4.948400666333017],
        [5.112736382093594, 5.584589808299627],
        [5.547479876192976, 5.755892457379965],
        [6.3429204321697785, 4.460698088838666],
        [1.3404779716087663, 1.3786467910737674],
        [1.343159656364217, 1.12856459791039],
        [13.030728483345962, 9.790667576587406],
    ];
    // The kernel [3, 3, 3, 14] as a matrix is [27, 14]. The last layer has three eigenvalues.
    let layers = vec![conv(14), Layer::Flatten, dense(12), dense(3)];
    let architecture = Architecture::sequential(vec![3, 3, 3], layers).unwrap();
    let weights =
        vec![vec![made(27, 14).reshape([3, 3, 3, 14])], vec![], vec![made(14, 12)], vec![made(12, 3)]];
    let network = Network::new(architecture, weights).unwrap();
    for (id, expected) in FAMILY.iter().zip(golden) {
        let measured = evaluate(id, &network).unwrap();
        let layers: Vec<f64> = measured.layers.iter().map(|layer| layer.value).collect();
        assert_eq!(layers.len(), 2, "{id}");
        close(layers[0], expected[0], 1e-11);
        close(layers[1], expected[1], 1e-11);
        close(measured.value, (expected[0] + expected[1]) / 2.0, 1e-11);
        assert_eq!(measured.layers[0].layer, "conv2d");
        assert_eq!(measured.details["layers_left_out"], 1.0.into());
    }
}

#[test]
fn random_matrices_have_a_soft_rank_of_one() {
    for (rows, columns) in [(400, 200), (150, 600), (300, 300)] {
        let mut generator = Generator::new(&[b"marchenko pastur"], Device::Cpu, Kind::Float);
        let matrix = generator.normal_tensor(&[rows, columns]).unwrap() * 0.07;
        let value = evaluate("mp_soft_rank", &single(matrix.shallow_clone())).unwrap().value;
        // λ_max fluctuates by about min(rows, columns)^−2/3 around the edge (Tracy and Widom).
        close(value, 1.0, 2.0 * (rows.min(columns) as f64).powf(-2.0 / 3.0));
        // A spike of a hundred times the edge's standard deviation leaves the edge, and moves λ_max only.
        let width = 0.07 * ((rows as f64).sqrt() + (columns as f64).sqrt());
        let _ = matrix.narrow(0, 0, 1).narrow(1, 0, 1).fill_(10.0 * width);
        let spiked = evaluate("mp_soft_rank", &single(matrix)).unwrap().value;
        assert!((0.005..0.011).contains(&spiked), "{spiked}");
    }
}

#[test]
fn matrices_with_known_spectra() {
    // The singular values 1, 2, 4, … 2¹¹, moved into a long matrix by two reflections.
    let reflection = |n: i64| {
        let v = Tensor::arange(n, (Kind::Double, Device::Cpu)) + 1.0;
        let outer = v.outer(&v) * (2.0 / v.dot(&v).double_value(&[]));
        Tensor::eye(n, (Kind::Double, Device::Cpu)) - outer
    };
    let sigma: Vec<f64> = (0..12).map(|power| 2f64.powi(power)).collect();
    let middle = Tensor::zeros([20, 12], (Kind::Double, Device::Cpu));
    middle.narrow(0, 0, 12).copy_(&Tensor::from_slice(&sigma).diag(0));
    let network = single(reflection(20).matmul(&middle).matmul(&reflection(12)));
    let value = |id| evaluate(id, &network).unwrap().value;
    let (sum, squares) = (4095.0, (4f64.powi(12) - 1.0) / 3.0);
    close(value("stable_rank"), squares / 4f64.powi(11), 1e-9);
    close(value("log_spectral_norm"), 11.0 * 4f64.log10(), 1e-9);
    let entropy: f64 = sigma.iter().map(|one| -(one / sum) * (one / sum).ln()).sum();
    close(value("effective_rank"), entropy.exp(), 1e-9);
    // From λ_min = 1 on: Σ ln λ = 66 ln 4. Its KS distance beats every shorter tail's 1/n.
    close(value("alpha"), 1.0 + 12.0 / (66.0 * 4f64.ln()), 1e-9);
}

#[test]
fn orthogonal_matrices_have_full_ranks_and_no_tail() {
    let network = single(Tensor::eye(16, (Kind::Float, Device::Cpu)) * 3.0);
    close(evaluate("stable_rank", &network).unwrap().value, 16.0, 1e-12);
    close(evaluate("effective_rank", &network).unwrap().value, 16.0, 1e-12);
    close(evaluate("log_spectral_norm", &network).unwrap().value, 9f64.log10(), 1e-12);
    for id in ["alpha", "alpha_hat", "log_alpha_norm"] {
        match evaluate(id, &network) {
            Err(MeasureError::Undefined(reason)) => assert!(reason.contains("`dense`"), "{reason}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[test]
fn too_few_eigenvalues_in_every_layer_leave_no_value() {
    let low_rank = made(20, 3).matmul(&made(3, 20));
    let none = Tensor::zeros([20, 20], (Kind::Float, Device::Cpu));
    let broken = none.f_add_scalar(f64::NAN).unwrap();
    for (matrix, word) in
        [(low_rank, "10 positive"), (none, "10 positive"), (made(20, 9), "10 positive"), (broken, "finite")]
    {
        let network = single(matrix);
        for id in FAMILY {
            match evaluate(id, &network) {
                Err(MeasureError::Undefined(reason)) => assert!(reason.contains(word), "{id}: {reason}"),
                other => panic!("{id}: {other:?}"),
            }
        }
    }
}
