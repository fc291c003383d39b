//! Layers that act in training only: their distributions, and that a seed fixes them.

use pgdl_network::{Layer, Mode};
use tch::{Device, Kind, Tensor};

use crate::{generator, network, vector};

fn train(layer: Layer, x: &Tensor) -> Vec<f64> {
    let network = network(&x.size()[1..], vec![layer]);
    vector(&network.forward(x, Mode::Train).expect("a forward pass"))
}

fn ones(shape: &[i64]) -> Tensor {
    Tensor::ones(shape, (Kind::Double, Device::Cpu))
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64)
}

#[test]
fn a_seed_fixes_them() {
    let _turn = generator();
    let x = ones(&[4, 6, 6, 3]);
    let layers = [
        Layer::Dropout { rate: 0.5 },
        Layer::SpatialDropout2d { rate: 0.5 },
        Layer::AlphaDropout { rate: 0.5 },
        Layer::GaussianNoise { stddev: 1.0 },
        Layer::GaussianDropout { rate: 0.5 },
    ];
    for layer in layers {
        let [first, second, other] = [3, 3, 4].map(|seed| {
            tch::manual_seed(seed);
            train(layer.clone(), &x)
        });
        assert_eq!(first, second, "{layer:?}");
        assert_ne!(first, other, "{layer:?}");
    }
}

#[test]
fn dropout_keeps_a_share_and_scales_it() {
    let _turn = generator();
    tch::manual_seed(5);
    let y = train(Layer::Dropout { rate: 0.25 }, &ones(&[100, 400]));
    assert!(y.iter().all(|&y| y == 0.0 || (y - 1.0 / 0.75).abs() < 1e-6));
    let kept = y.iter().filter(|&&y| y != 0.0).count() as f64 / y.len() as f64;
    // Five standard deviations of the mean of 40,000 draws.
    assert!((kept - 0.75).abs() < 5.0 * (0.75f64 * 0.25 / 40_000.0).sqrt(), "kept {kept}");
    assert_eq!(train(Layer::Dropout { rate: 0.0 }, &ones(&[2, 3])), [1.0; 6]);
    assert_eq!(train(Layer::Dropout { rate: 1.0 }, &ones(&[2, 3])), [0.0; 6]);
}

#[test]
fn spatial_dropout_takes_whole_channels() {
    let _turn = generator();
    tch::manual_seed(6);
    let y = train(Layer::SpatialDropout2d { rate: 0.5 }, &ones(&[50, 3, 4, 20]));
    let mut dropped = 0;
    for n in 0..50 {
        for c in 0..20 {
            let channel: Vec<f64> = (0..12).map(|i| y[(n * 12 + i) * 20 + c]).collect();
            assert!(channel.iter().all(|&y| y == channel[0]));
            assert!(channel[0] == 0.0 || channel[0] == 2.0);
            dropped += usize::from(channel[0] == 0.0);
        }
    }
    // Five standard deviations of a count of 1,000 fair draws.
    assert!((dropped as f64 - 500.0).abs() < 80.0, "dropped {dropped}");
}

#[test]
fn noise_has_the_moments_of_its_definition() {
    let _turn = generator();
    tch::manual_seed(7);
    let x = ones(&[100, 1000]);
    let cases = [
        (Layer::GaussianNoise { stddev: 0.5 }, 1.0, 0.25),
        (Layer::GaussianDropout { rate: 0.2 }, 1.0, 0.25),
    ];
    for (layer, expected_mean, expected_variance) in cases {
        let (mean, variance) = mean_and_variance(&train(layer.clone(), &x));
        assert!((mean - expected_mean).abs() < 0.01, "{layer:?}: mean {mean}");
        assert!((variance - expected_variance).abs() < 0.01, "{layer:?}: variance {variance}");
    }
    // Alpha dropout keeps mean 0 and variance 1.
    tch::manual_seed(8);
    let normal = Tensor::randn([100, 1000], (Kind::Double, Device::Cpu));
    let (mean, variance) = mean_and_variance(&train(Layer::AlphaDropout { rate: 0.3 }, &normal));
    assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "mean {mean}, variance {variance}");
}
