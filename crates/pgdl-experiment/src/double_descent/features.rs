//! Random Fourier features with the least-norm coefficients of least squares.

use pgdl_measure::Generator;
use tch::{Kind, Tensor};

use super::{Plan, Risks, Samples, Sweep};
use crate::error::Result;
use crate::run::Run;

/// Frequencies are normal with the standard deviation 1 / this.
const WIDTH: f64 = 5.0;

/// Every size, from the journal or computed.
pub(super) fn sweep(run: &mut Run<'_>, plan: &Plan) -> Result<Sweep> {
    let mut points = Vec::new();
    for &size in &plan.features {
        let risks = run.cell(&format!("features N={size}"), |run| cell(run, plan, size))?;
        points.push((size, size, risks));
    }
    Ok(Sweep { points })
}

fn cell(run: &Run<'_>, plan: &Plan, size: i64) -> Result<Risks> {
    let [train, test] = Samples::of(run, plan)?;
    let mut risks = Risks {
        train_loss: Vec::new(),
        test_loss: Vec::new(),
        train_error: Vec::new(),
        test_error: Vec::new(),
        norm: Vec::new(),
    };
    for number in 0..plan.runs {
        run.check_stop()?;
        let seed = run.seed(&format!("frequencies run={number}")).to_le_bytes();
        let mut random = Generator::new(&[&seed], run.device(), Kind::Double);
        // Row by row, so that a larger model has all features of a smaller one.
        let frequencies =
            random.normal_tensor(&[size, train.inputs.size()[1]])?.f_div_scalar(WIDTH)?.f_tr()?;
        let coefficients = least_norm(&features(&train.inputs, &frequencies)?, &train.targets)?;
        let of = |samples: &Samples| -> Result<[f64; 2]> {
            let outputs = features(&samples.inputs, &frequencies)?.f_matmul(&coefficients)?.f_real()?;
            let [loss, error] = samples.losses(&outputs)?;
            Ok([loss.f_double_value(&[])?, error.f_double_value(&[])?])
        };
        let ([train_loss, train_error], [test_loss, test_error]) = (of(&train)?, of(&test)?);
        risks.train_loss.push(train_loss);
        risks.train_error.push(train_error);
        risks.test_loss.push(test_loss);
        risks.test_error.push(test_error);
        risks.norm.push(coefficients.f_abs()?.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?.sqrt());
    }
    Ok(risks)
}

/// exp(i ⟨x, v⟩) for each row x of `[n, d]` and column v of `[d, N]`: `[n, N]`, complex.
fn features(inputs: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let angles = inputs.f_matmul(frequencies)?;
    Ok(Tensor::f_complex(&angles.f_cos()?, &angles.f_sin()?)?)
}

/// The coefficients `[N, C]`, complex, of least ‖Φ a − y‖ for Φ `[n, N]` and y `[n, C]`; of those, that of least norm. By QR
/// of Φ, or of Φ* where it is wide: Φ has full rank, since frequencies are drawn from a density.
fn least_norm(features: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let targets = targets.f_to_kind(features.f_kind()?)?;
    let [rows, columns] = [features.size()[0], features.size()[1]];
    if rows >= columns {
        let (q, r) = Tensor::f_linalg_qr(features, "reduced")?;
        return Ok(r.f_linalg_solve_triangular(&q.f_mh()?.f_matmul(&targets)?, true, true, false)?);
    }
    let (q, r) = Tensor::f_linalg_qr(&features.f_mh()?, "reduced")?;
    Ok(q.f_matmul(&r.f_mh()?.f_linalg_solve_triangular(&targets, false, true, false)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn coefficients_are_those_of_the_pseudoinverse() {
        let mut random = Generator::new(&[b"features"], Device::Cpu, Kind::Double);
        for (rows, columns) in [(12, 5), (7, 7), (6, 20)] {
            let inputs = random.normal_tensor(&[rows, 3]).unwrap();
            let frequencies = random.normal_tensor(&[3, columns]).unwrap();
            let targets = random.normal_tensor(&[rows, 2]).unwrap();
            let phi = features(&inputs, &frequencies).unwrap();
            let found = least_norm(&phi, &targets).unwrap();
            let expected = phi.linalg_pinv(1e-14, false).matmul(&targets.to_kind(Kind::ComplexDouble));
            let error = (&found - &expected).abs().max().double_value(&[]);
            assert!(error < 1e-8 * expected.abs().max().double_value(&[]), "{rows} {columns}: {error}");
        }
    }

    #[test]
    fn as_many_features_as_samples_interpolate() {
        let mut random = Generator::new(&[b"interpolate"], Device::Cpu, Kind::Double);
        let inputs = random.normal_tensor(&[20, 4]).unwrap();
        let targets = random.normal_tensor(&[20, 3]).unwrap();
        let frequencies = random.normal_tensor(&[4, 30]).unwrap();
        let left = |count: i64| {
            let phi = features(&inputs, &frequencies.narrow(1, 0, count)).unwrap();
            let fitted = phi.matmul(&least_norm(&phi, &targets).unwrap());
            (fitted - targets.to_kind(Kind::ComplexDouble)).abs().max().double_value(&[])
        };
        assert!(left(19) > 1e-3 && left(20) < 1e-6 && left(30) < 1e-9);
    }
}
