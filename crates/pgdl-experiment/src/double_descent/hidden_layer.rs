//! Networks with one hidden layer, trained by SGD on the squared loss; several at a time.

use std::path::{Path, PathBuf};

use pgdl_measure::Generator;
use tch::{Device, Kind, Tensor};

use super::{CLASSES, Plan, Risks, Samples, Sweep};
use crate::error::{ExperimentError, Result};
use crate::run::Run;

const MOMENTUM: f64 = 0.95;
const RATE: f64 = 0.002;
/// The rate falls by a tenth after every so many epochs, in networks below the threshold.
const FALL: usize = 500;
/// Samples of a step.
const BATCH: usize = 50;
/// Standard deviation of the weights of units that are added.
const ADDED: f64 = 0.1;

/// Every size, from the journal or computed. Below the threshold a network begins with the weights of the one before it.
pub(super) fn sweep(run: &mut Run<'_>, plan: &Plan) -> Result<Sweep> {
    let mut points = Vec::new();
    let mut before: Option<i64> = None;
    for (place, &units) in plan.units.iter().enumerate() {
        let small = parameters(units) < plan.samples as i64 * CLASSES;
        let risks = run.cell(&format!("network H={units}"), |run| {
            let start = before.filter(|_| small);
            let (risks, networks) = cell(run, plan, units, start, small)?;
            // On the disk before the journal says that the cell is done; the next cell may need it, and so may this one
            // until the journal has it.
            if small {
                networks.write(&file(run.folder(), units))?;
            }
            Ok(risks)
        })?;
        if let Some(old) = place.checked_sub(2).and_then(|place| plan.units.get(place)) {
            forget(&file(run.folder(), *old))?;
        }
        if small {
            before = Some(units);
        }
        points.push((units, parameters(units), risks));
    }
    for units in &plan.units {
        forget(&file(run.folder(), *units))?;
    }
    Ok(Sweep { points })
}

/// (d + 1) H + (H + 1) C.
fn parameters(units: i64) -> i64 {
    785 * units + (units + 1) * CLASSES
}

fn file(folder: &Path, units: i64) -> PathBuf {
    folder.join(format!("network_{units}.safetensors"))
}

fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ExperimentError::io(path, error)),
        _ => Ok(()),
    }
}

fn cell(
    run: &Run<'_>,
    plan: &Plan,
    units: i64,
    start: Option<i64>,
    small: bool,
) -> Result<(Risks, Networks)> {
    let [train, test] = Samples::of(run, plan)?;
    let seed = run.seed(&format!("network H={units}")).to_le_bytes();
    let mut random = Generator::new(&[&seed], run.device(), Kind::Float);
    let inputs = train.inputs.size()[1];
    let networks = match start {
        None => Networks::drawn(&mut random, plan.runs as i64, inputs, units)?,
        Some(fewer) => {
            Networks::read(&file(run.folder(), fewer), run.device())?.widened(&mut random, units)?
        }
    };
    let mut training = Training {
        velocity: Networks { first: networks.first.f_zeros_like()?, second: networks.second.f_zeros_like()? },
        networks,
    };
    let x = with_one(&train.inputs.f_to_kind(Kind::Float)?)?;
    let y = train.targets.f_to_kind(Kind::Float)?;
    let mut rate = RATE;
    for epoch in 0..plan.epochs {
        run.check_stop()?;
        if small && epoch > 0 && epoch % FALL == 0 {
            rate *= 0.9;
            // Below the threshold a network is done when it makes no mistakes.
            let [_, wrong] = train.losses(&training.networks.outputs(&x)?.f_to_kind(Kind::Double)?)?;
            if wrong.f_max()?.f_double_value(&[])? == 0.0 {
                break;
            }
        }
        let orders: Vec<i64> = (0..plan.runs).flat_map(|_| random.permutation(plan.samples)).collect();
        let orders = Tensor::f_from_slice(&orders)?
            .f_reshape([plan.runs as i64, plan.samples as i64])?
            .f_to_device(run.device())?;
        for first in (0..plan.samples).step_by(BATCH) {
            let count = BATCH.min(plan.samples - first) as i64;
            let rows = orders.f_narrow(1, first as i64, count)?.f_reshape([-1])?;
            let shape = |width: i64| [plan.runs as i64, count, width];
            let x = x.f_index_select(0, &rows)?.f_reshape(shape(inputs + 1))?;
            let y = y.f_index_select(0, &rows)?.f_reshape(shape(CLASSES))?;
            training.step(&x, &y, rate)?;
        }
    }
    let networks = training.networks;
    let of = |samples: &Samples| -> Result<[Vec<f64>; 2]> {
        let outputs = networks.outputs(&with_one(&samples.inputs.f_to_kind(Kind::Float)?)?)?;
        let [loss, error] = samples.losses(&outputs.f_to_kind(Kind::Double)?)?;
        Ok([Vec::<f64>::try_from(&loss)?, Vec::<f64>::try_from(&error)?])
    };
    let ([train_loss, train_error], [test_loss, test_error]) = (of(&train)?, of(&test)?);
    let squares =
        |weights: &Tensor| weights.f_square()?.f_sum_dim_intlist(&[1i64, 2][..], false, Kind::Double);
    let norm = squares(&networks.first)?.f_add(&squares(&networks.second)?)?.f_sqrt()?;
    let risks = Risks { train_loss, test_loss, train_error, test_error, norm: Vec::<f64>::try_from(&norm)? };
    Ok((risks, networks))
}

/// `[…, k]` with a 1 behind each row: `[…, k + 1]`.
fn with_one(rows: &Tensor) -> Result<Tensor> {
    Ok(rows.f_pad([0, 1], "constant", 1.0)?)
}

/// R networks x ↦ (relu((x, 1) W), 1) V.
#[derive(Debug)]
struct Networks {
    /// W, `[R, d + 1, H]`.
    first: Tensor,
    /// V, `[R, H + 1, C]`.
    second: Tensor,
}

impl Networks {
    /// Uniform within ±√(6 / (fan in + fan out)) (Glorot and Bengio 2010), biases 0.
    fn drawn(random: &mut Generator, runs: i64, inputs: i64, units: i64) -> Result<Networks> {
        let mut layer = |fan_in: i64, fan_out: i64| -> Result<Tensor> {
            let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
            let drawn = random.uniform_tensor(&[runs, fan_in, fan_out])?;
            let weights = drawn.f_mul_scalar(2.0 * limit)?.f_sub_scalar(limit)?;
            Ok(weights.f_pad([0, 0, 0, 1], "constant", 0.0)?)
        };
        Ok(Networks { first: layer(inputs, units)?, second: layer(units, CLASSES)? })
    }

    /// With units added, whose weights are normal.
    fn widened(&self, random: &mut Generator, units: i64) -> Result<Networks> {
        let [runs, rows, have] = [0, 1, 2].map(|axis| self.first.size()[axis]);
        let added = units - have;
        let incoming = random.normal_tensor(&[runs, rows, added])?.f_mul_scalar(ADDED)?;
        let outgoing = random.normal_tensor(&[runs, added, CLASSES])?.f_mul_scalar(ADDED)?;
        let (old, bias) = (self.second.f_narrow(1, 0, have)?, self.second.f_narrow(1, have, 1)?);
        Ok(Networks {
            first: Tensor::f_cat(&[&self.first, &incoming], 2)?,
            second: Tensor::f_cat(&[&old, &outgoing, &bias], 1)?,
        })
    }

    fn write(&self, path: &Path) -> Result<()> {
        let part = path.with_extension("part");
        let cpu = |tensor: &Tensor| tensor.f_to_device(Device::Cpu)?.f_contiguous();
        Tensor::write_safetensors(&[("first", cpu(&self.first)?), ("second", cpu(&self.second)?)], &part)?;
        std::fs::rename(&part, path).map_err(|source| ExperimentError::io(path, source))
    }

    fn read(path: &Path, device: Device) -> Result<Networks> {
        let tensors = Tensor::read_safetensors(path)?;
        let find = |name: &str| -> Result<Tensor> {
            let found = tensors.iter().find(|(other, _)| other == name);
            let (_, tensor) =
                found.ok_or_else(|| ExperimentError::failed(format!("{}: no {name}", path.display())))?;
            Ok(tensor.f_to_device(device)?)
        };
        Ok(Networks { first: find("first")?, second: find("second")? })
    }

    /// The hidden layer with a 1 behind it, `[R, b, H + 1]`, of x, `[b, d + 1]` or `[R, b, d + 1]`.
    fn hidden(&self, x: &Tensor) -> Result<Tensor> {
        with_one(&x.f_matmul(&self.first)?.f_relu()?)
    }

    /// `[R, b, C]`.
    fn outputs(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.hidden(x)?.f_matmul(&self.second)?)
    }

    /// The gradient of each network's mean squared loss on its own batch: x `[R, b, d + 1]`, y `[R, b, C]`.
    fn gradient(&self, x: &Tensor, y: &Tensor) -> Result<Networks> {
        let units = self.first.size()[2];
        let hidden = self.hidden(x)?;
        let errors = hidden.f_matmul(&self.second)?.f_sub(y)?.f_mul_scalar(2.0 / x.size()[1] as f64)?;
        let back = errors.f_matmul(&self.second.f_narrow(1, 0, units)?.f_transpose(1, 2)?)?;
        let active = hidden.f_narrow(2, 0, units)?.f_gt(0.0)?;
        Ok(Networks {
            first: x.f_transpose(1, 2)?.f_matmul(&back.f_mul(&active)?)?,
            second: hidden.f_transpose(1, 2)?.f_matmul(&errors)?,
        })
    }
}

/// SGD with momentum (Polyak 1964; without damping), of all networks at once.
struct Training {
    networks: Networks,
    velocity: Networks,
}

impl Training {
    fn step(&mut self, x: &Tensor, y: &Tensor, rate: f64) -> Result<()> {
        let gradient = self.networks.gradient(x, y)?;
        let moved = |velocity: &Tensor, gradient: &Tensor| velocity.f_mul_scalar(MOMENTUM)?.f_add(gradient);
        self.velocity = Networks {
            first: moved(&self.velocity.first, &gradient.first)?,
            second: moved(&self.velocity.second, &gradient.second)?,
        };
        self.networks = Networks {
            first: self.networks.first.f_sub(&self.velocity.first.f_mul_scalar(rate)?)?,
            second: self.networks.second.f_sub(&self.velocity.second.f_mul_scalar(rate)?)?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> Generator {
        Generator::new(&[b"networks"], Device::Cpu, Kind::Double)
    }

    #[test]
    fn the_gradient_is_that_of_automatic_differentiation() {
        let mut random = random();
        let networks = Networks::drawn(&mut random, 3, 5, 4).unwrap();
        let x = with_one(&random.normal_tensor(&[3, 7, 5]).unwrap()).unwrap();
        let y = random.normal_tensor(&[3, 7, CLASSES]).unwrap();
        let leaf = |tensor: &Tensor| tensor.detach().copy().set_requires_grad(true);
        let leaves = Networks { first: leaf(&networks.first), second: leaf(&networks.second) };
        let squares = (leaves.outputs(&x).unwrap() - &y).square();
        // The sum over networks of the mean over samples of the sum over classes.
        (squares.sum(Kind::Double) / 7.0).backward();
        let found = networks.gradient(&x, &y).unwrap();
        for (found, expected) in [(found.first, leaves.first.grad()), (found.second, leaves.second.grad())] {
            assert!((found - &expected).abs().max().double_value(&[]) < 1e-12);
            assert!(expected.abs().max().double_value(&[]) > 0.1);
        }
    }

    #[test]
    fn a_step_is_that_of_sgd_with_momentum() {
        let mut random = random();
        let networks = Networks::drawn(&mut random, 1, 5, 4).unwrap();
        let x = with_one(&random.normal_tensor(&[1, 7, 5]).unwrap()).unwrap();
        let y = random.normal_tensor(&[1, 7, CLASSES]).unwrap();
        let leaf = |tensor: &Tensor| tensor.detach().copy().set_requires_grad(true);
        let leaves = Networks { first: leaf(&networks.first), second: leaf(&networks.second) };
        let mut sgd = tch::COptimizer::sgd(0.01, MOMENTUM, 0.0, 0.0, false).unwrap();
        sgd.add_parameters(&leaves.first, 0).unwrap();
        sgd.add_parameters(&leaves.second, 0).unwrap();
        let mut training = Training {
            velocity: Networks { first: networks.first.zeros_like(), second: networks.second.zeros_like() },
            networks,
        };
        for _ in 0..3 {
            sgd.zero_grad().unwrap();
            ((leaves.outputs(&x).unwrap() - &y).square().sum(Kind::Double) / 7.0).backward();
            sgd.step().unwrap();
            training.step(&x, &y, 0.01).unwrap();
        }
        assert!((&training.networks.first - &leaves.first).abs().max().double_value(&[]) < 1e-12);
        assert!((&training.networks.second - &leaves.second).abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn a_wider_network_keeps_the_units_it_had_and_comes_back_from_its_file() {
        let mut random = random();
        let networks = Networks::drawn(&mut random, 2, 5, 3).unwrap();
        let wider = networks.widened(&mut random, 6).unwrap();
        assert_eq!((wider.first.size(), wider.second.size()), (vec![2, 6, 6], vec![2, 7, CLASSES]));
        // Without the weights out of the new units it is the same function.
        let _ = wider.second.narrow(1, 3, 3).fill_(0.0);
        let x = with_one(&random.normal_tensor(&[4, 5]).unwrap()).unwrap();
        assert!(wider.outputs(&x).unwrap().allclose(&networks.outputs(&x).unwrap(), 1e-12, 1e-12, false));
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), 6);
        wider.write(&path).unwrap();
        let back = Networks::read(&path, Device::Cpu).unwrap();
        assert!(back.first.equal(&wider.first) && back.second.equal(&wider.second));
        forget(&path).unwrap();
        forget(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn parameters_are_counted_as_in_the_paper() {
        assert_eq!(parameters(50), 785 * 50 + 51 * 10);
    }
}
