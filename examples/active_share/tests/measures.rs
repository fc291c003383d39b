//! The contract, and shares counted by hand.

use active_share::register;
use pgdl_measure::network::{Activation, Architecture, Dense, Layer, Network};
use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Dataset, ProbeInput};
use pgdl_testkit::{Broken, evaluate, with_outputs};

/// Two ReLU layers of two units, the second of which turns its inputs' signs; all weights are identities but for that.
fn network(inputs: &[[f32; 2]]) -> ProbeInput {
    let identity = || Tensor::eye(2, (Kind::Float, Device::Cpu));
    let dense = |activation| Layer::Dense(Dense { units: 2, use_bias: false, activation });
    let layers = vec![dense(Activation::Relu), dense(Activation::Relu), dense(Activation::Linear)];
    let weights = vec![vec![identity()], vec![-identity()], vec![identity()]];
    let architecture = Architecture::sequential(vec![2], layers).unwrap();
    let labels = vec![0_i64; inputs.len()];
    let mut input = with_outputs(&[[0.0, 0.0]], &[0]).unwrap();
    input.network = Network::new(architecture, weights).unwrap();
    let inputs = Tensor::from_slice(inputs.as_flattened()).reshape([-1, 2]);
    input.train = Dataset::new(inputs, Tensor::from_slice(&labels)).unwrap();
    input.train_size = labels.len();
    input
}

#[test]
fn the_contract_is_kept() -> Result<(), Broken> {
    pgdl_testkit::check(register)
}

#[test]
fn shares_are_those_counted_by_hand() -> Result<(), Broken> {
    // First layer: 1 + 2 + 0 + 1 of 8 outputs are positive. Second layer: none, since it sees −h ≤ 0.
    let inputs = [[1.0, -1.0], [2.0, 3.0], [-1.0, -1.0], [0.0, 5.0]];
    assert_eq!(evaluate(register, "active_share", network(&inputs))?.value, 0.25);
    assert_eq!(evaluate(register, "active_share:layers=last", network(&inputs))?.value, 0.0);
    Ok(())
}

#[test]
fn a_linear_network_has_no_value() -> Result<(), Broken> {
    for measure in ["active_share", "active_share:layers=last"] {
        let refused = evaluate(register, measure, with_outputs(&[[1.0, 0.0]], &[0])?);
        assert!(matches!(refused, Err(Broken::Measure(error)) if error.status() == "undefined"));
    }
    Ok(())
}
