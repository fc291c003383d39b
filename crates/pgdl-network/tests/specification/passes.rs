//! Passes, copies and identities of networks.

use pgdl_network::{Activation, Architecture, Dense, Layer, Mode, Network, NetworkError, device};
use tch::{Device, Kind};

use crate::{evaluate, network, tensor, vector};

fn layers() -> Vec<Layer> {
    let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
    let norm =
        Layer::BatchNormalization { axis: -1, scale: true, center: true, epsilon: 1e-3, momentum: 0.9 };
    vec![dense(6, Activation::Relu), norm, dense(3, Activation::Linear)]
}

#[test]
fn architectures_survive_json() {
    let architecture = network(&[4], layers()).architecture().clone();
    let text = serde_json::to_string(&architecture).expect("JSON");
    let read: Architecture = serde_json::from_str(&text).expect("an architecture");
    assert_eq!(read, architecture);
    let unknown = text.replace("\"dense\"", "\"dens\"");
    assert!(serde_json::from_str::<Architecture>(&unknown).is_err());
}

#[test]
fn the_digest_is_that_of_architecture_and_values() {
    let network = network(&[4], layers());
    let digest = |network: &Network| network.digest().expect("a digest");
    assert_eq!(digest(&network), digest(&network.deep_clone().expect("a copy")));
    let changed = network
        .map_weights(|p| Ok(if p.node == 2 && p.index == 1 { p.tensor + 1e-15 } else { p.tensor.copy() }))
        .expect("the same shapes");
    assert_ne!(digest(&network), digest(&changed));
    assert_ne!(digest(&network), digest(&network.to_kind(Kind::Float).expect("a conversion")));
    // The same values behind other strides.
    let strided = network
        .map_weights(|p| {
            Ok(if p.tensor.dim() == 2 { p.tensor.tr().contiguous().tr() } else { p.tensor.copy() })
        })
        .expect("the same shapes");
    assert_eq!(digest(&network), digest(&strided));
    let mut renamed = network.architecture().clone();
    renamed.stripped_softmax = true;
    let renamed = Network::new(
        renamed,
        network
            .shallow_clone()
            .weights()
            .iter()
            .map(|t| t.iter().map(|t| t.shallow_clone()).collect())
            .collect(),
    );
    assert_ne!(digest(&network), digest(&renamed.expect("a network")));
}

#[test]
fn parameters_come_in_the_order_of_keras() {
    let network = network(&[4], layers());
    let found: Vec<_> =
        network.parameters().map(|p| (p.node, p.index, p.spec.name, p.tensor.size())).collect();
    let expected = vec![
        (0, 0, "kernel", vec![4, 6]),
        (0, 1, "bias", vec![6]),
        (1, 0, "gamma", vec![6]),
        (1, 1, "beta", vec![6]),
        (1, 2, "moving_mean", vec![6]),
        (1, 3, "moving_variance", vec![6]),
        (2, 0, "kernel", vec![6, 3]),
        (2, 1, "bias", vec![3]),
    ];
    assert_eq!(found, expected);
    assert_eq!(network.trainable_tensors().len(), 6);
    let architecture = network.architecture();
    assert_eq!(architecture.parameter_count().expect("a count"), 24 + 6 + 24 + 18 + 3);
    assert_eq!(architecture.trainable_count().expect("a count"), 24 + 6 + 12 + 18 + 3);
}

/// A batch of one gives the same as a batch of many, and a strided input the same as a contiguous one.
#[test]
fn samples_do_not_see_each_other() {
    let network = network(&[4], layers());
    let x = tensor(&[5, 4], 60);
    let all = vector(&evaluate(&network, &x));
    for i in 0..5 {
        let one = vector(&evaluate(&network, &x.narrow(0, i, 1)));
        for (one, all) in one.iter().zip(&all[i as usize * 3..]) {
            assert!((one - all).abs() < 1e-14);
        }
    }
    let strided = x.tr().contiguous().tr();
    assert!(!strided.is_contiguous());
    assert_eq!(vector(&evaluate(&network, &strided)), all);
}

#[test]
fn evaluation_changes_nothing() {
    let network = network(&[4], layers());
    let digest = network.digest().expect("a digest");
    let _logits = evaluate(&network, &tensor(&[5, 4], 61));
    assert_eq!(network.digest().expect("a digest"), digest);
}

/// Training moves the statistics of all shallow clones, and of no deep one.
#[test]
fn shallow_clones_share_moving_statistics() {
    let network = network(&[4], layers());
    let (shallow, deep) = (network.shallow_clone(), network.deep_clone().expect("a copy"));
    let before = vector(&network.weights()[1][2]);
    let _logits = network.forward(&tensor(&[5, 4], 62), Mode::Train).expect("a forward pass");
    let after = vector(&network.weights()[1][2]);
    assert_ne!(before, after);
    assert_eq!(vector(&shallow.weights()[1][2]), after);
    assert_eq!(vector(&deep.weights()[1][2]), before);
}

#[test]
fn an_observer_can_stop_a_pass() {
    let network = network(&[4], layers());
    let mut seen = 0;
    let result = network.forward_observed(&tensor(&[2, 4], 63), Mode::Evaluate, &mut |i, _| {
        seen += 1;
        if i == 1 { Err(NetworkError::observer("enough")) } else { Ok(()) }
    });
    assert!(matches!(result, Err(NetworkError::Observer(_))));
    assert_eq!(seen, 2);
}

#[test]
fn devices_are_chosen_with_a_reason() {
    let cpu = device::choose("cpu").expect("there is always a CPU");
    assert_eq!((cpu.device, cpu.warning), (Device::Cpu, None));
    let auto = device::choose("auto").expect("auto always finds a device");
    assert!(!auto.reason.is_empty());
    match device::choose("cuda") {
        Ok(choice) => assert_eq!((choice.device, auto.device), (Device::Cuda(0), Device::Cuda(0))),
        Err(error) => {
            assert_eq!(auto.device, Device::Cpu);
            assert!(auto.warning.is_some() || !device::load_cuda());
            assert!(error.hint().is_some(), "{error}");
        }
    }
    for request in ["gpu", "cuda:", "cuda:x", "cuda:-1", ""] {
        let error = device::choose(request).expect_err("there is no such device");
        assert!(error.hint().is_some_and(|hint| hint.contains("auto")), "{error}");
    }
    assert!(device::choose("cuda:4096").is_err());
}
