//! The built-in shared quantities, against closed forms and difference quotients.

use pgdl_measure::contract::{Specimen, tiny_networks, with_outputs};
use pgdl_measure::network::{Mode, Network};
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Accuracy, Activations, Correct, Logits, LossGradient, Losses, Margins, MeasureError, Probe, ProbeInput,
};

fn outputs(rows: &[[f32; 3]], labels: &[i64], batch_size: usize) -> Probe {
    Probe::new(ProbeInput { batch_size, ..with_outputs(rows, labels).unwrap() }).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(&tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

#[test]
fn margins_losses_and_accuracy_by_hand() {
    let probe = outputs(&[[1.0, 3.0, 0.0], [2.0, 0.5, 1.0], [0.0, 0.0, -1.0]], &[1, 2, 1], 2);
    assert_eq!(probe.get(&Logits).unwrap().size(), [3, 3]);
    assert_eq!(numbers(&probe.get(&Margins).unwrap()), [2.0, -1.0, 0.0]);
    // Of two equal logits the first class is the decision: the last sample is wrong.
    assert_eq!(numbers(&probe.get(&Correct).unwrap()), [1.0, 0.0, 0.0]);
    assert_eq!(*probe.get(&Accuracy).unwrap(), 1.0 / 3.0);
    let losses = numbers(&probe.get(&Losses).unwrap());
    let e = |x: f64| x.exp();
    let expected =
        [(e(1.0) + e(3.0) + 1.0).ln() - 3.0, (e(2.0) + e(0.5) + e(1.0)).ln() - 1.0, (2.0 + e(-1.0)).ln()];
    for (loss, expected) in losses.iter().zip(expected) {
        assert!((loss - expected).abs() < 1e-14, "{loss} {expected}");
    }
}

#[test]
fn small_losses_keep_their_digits() {
    // ln(1 + 2 e⁻²⁰) ≈ 4·10⁻⁹, which f32 cannot tell from 0 beside 1.
    let probe = outputs(&[[20.0, 0.0, 0.0]], &[0], 1);
    let loss = numbers(&probe.get(&Losses).unwrap())[0];
    let expected = (2.0 * (-20f64).exp()).ln_1p();
    assert!((loss / expected - 1.0).abs() < 1e-7, "{loss} {expected}");
}

#[test]
fn logits_that_are_not_finite_are_undefined() {
    // 3e38 + 3e38 overflows f32.
    let input = with_outputs(&[[3e38, 0.0, 0.0], [1.0, 2.0, 3.0]], &[0, 1]).unwrap();
    let network = input.network.map_weights(|p| Ok(p.tensor.f_mul_scalar(2.0)?)).unwrap();
    let probe = Probe::new(ProbeInput { network, ..input }).unwrap();
    let error = probe.get(&Logits).unwrap_err();
    assert_eq!(
        error,
        MeasureError::Undefined("the network's output is not finite on 1 of 2 samples".to_string())
    );
    assert_eq!(probe.get(&Margins).unwrap_err(), error);
}

#[test]
fn activations_are_what_the_network_computes() {
    for specimen in tiny_networks().unwrap() {
        let probe = Probe::new(ProbeInput { batch_size: 7, ..specimen.input() }).unwrap();
        let nodes = specimen.network.architecture().nodes.len();
        let last = probe.get(&Activations { node: nodes - 1 }).unwrap();
        assert!(last.allclose(&probe.get(&Logits).unwrap(), 0.0, 0.0, false), "{}", specimen.name);
        let first = probe.get(&Activations { node: 0 }).unwrap();
        let rest = specimen.network.forward_from(0, &first, Mode::Evaluate).unwrap();
        assert!(rest.allclose(&last, 1e-5, 1e-6, false), "{}", specimen.name);
        assert!(matches!(probe.get(&Activations { node: nodes }), Err(MeasureError::Failed(_))));
    }
}

#[test]
fn the_loss_gradient_agrees_with_difference_quotients() {
    for specimen in tiny_networks().unwrap() {
        let double = |input: ProbeInput, network: Network| {
            Probe::new(ProbeInput { network: network.to_kind(Kind::Double).unwrap(), ..input }).unwrap()
        };
        let loss = |network: Network| {
            double(specimen.input(), network).get(&Losses).unwrap().mean(Kind::Double).double_value(&[])
        };
        let probe =
            double(ProbeInput { batch_size: 13, ..specimen.input() }, specimen.network.shallow_clone());
        let gradient = probe.get(&LossGradient).unwrap();
        let network = specimen.network.to_kind(Kind::Double).unwrap();
        for parameter in network.parameters() {
            let found = &gradient.tensors[parameter.node][parameter.index];
            assert_eq!(found.is_some(), parameter.spec.role.trainable());
            let Some(found) = found else { continue };
            assert_eq!((found.size(), found.kind()), (parameter.spec.shape.clone(), Kind::Double));
            // Along the direction of the gradient itself the slope is its squared norm over its norm.
            let norm = found.norm().double_value(&[]);
            let step = 1e-5;
            let shifted = |sign: f64| {
                let moved = network.map_weights(|other| {
                    let here = (other.node, other.index) == (parameter.node, parameter.index);
                    let shift = if here { sign * step / norm } else { 0.0 };
                    let direction = if here { found.shallow_clone() } else { other.tensor.zeros_like() };
                    Ok(other.tensor + direction * shift)
                });
                loss(moved.unwrap())
            };
            let slope = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
            assert!((slope - norm).abs() < 1e-5 * norm.max(1e-3), "{} {slope} {norm}", specimen.name);
        }
    }
}

#[test]
fn folded_networks_compute_the_same() {
    for specimen in tiny_networks().unwrap() {
        let Specimen { network, train, .. } = &specimen;
        let probe = Probe::new(specimen.input()).unwrap();
        let folded = probe.folded().unwrap();
        let before = network.forward(&train.inputs, Mode::Evaluate).unwrap();
        let after = folded.forward(&train.inputs, Mode::Evaluate).unwrap();
        assert!(before.allclose(&after, 1e-4, 1e-5, false), "{}", specimen.name);
        assert!(folded.parameters().all(|parameter| parameter.layer.kind() != "BatchNormalization"));
        assert_eq!(probe.folded_initial().unwrap().parameters().count(), folded.parameters().count());
    }
}
