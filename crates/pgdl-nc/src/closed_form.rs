//! Learners that need no training: their outputs follow from the train rows by a formula.

use tch::{Kind, Tensor};

use crate::error::{NcError, Result};
use crate::learner::{Moment, squared_error};
use crate::task::Tasks;

/// A learner with a closed form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClosedForm {
    /// The mean target of all train rows.
    Mean,
    /// The mean target of the k nearest train rows.
    NearestNeighbours(i64),
    /// Least squares in 1, x.
    Line,
    /// Least squares in sin x, cos x: the family that the tasks come from.
    Sinusoid,
    /// Gaussian kernel exp(−(x − x′)²/2), weights from (K + ridge·I)⁻¹y.
    Kernel {
        /// What is added to the kernel's diagonal.
        ridge: f64,
    },
}

impl ClosedForm {
    /// What tables call it.
    pub fn name(self) -> String {
        match self {
            Self::Mean => "mean".into(),
            Self::NearestNeighbours(1) => "nearest neighbour".into(),
            Self::NearestNeighbours(count) => format!("{count} nearest neighbours"),
            Self::Line => "line".into(),
            Self::Sinusoid => "sinusoid".into(),
            Self::Kernel { ridge } => format!("Gaussian kernel, ridge {ridge}"),
        }
    }

    /// The learners of all tasks.
    ///
    /// # Errors
    /// When there are fewer train rows than neighbours, or a system of equations has no solution.
    pub fn learn(self, tasks: &Tasks) -> Result<Moment> {
        let train_outputs = self.outputs(tasks, &tasks.train_inputs)?;
        let test_outputs = self.outputs(tasks, &tasks.test_inputs)?;
        Ok(Moment {
            step: 0,
            train_loss: squared_error(&train_outputs, &tasks.train_targets)?,
            test_loss: squared_error(&test_outputs, &tasks.test_targets)?,
            train_outputs,
            test_outputs,
        })
    }

    /// h of each task at its own rows: `[T, k, 1]` to `[T, k, 1]`.
    pub fn outputs(self, tasks: &Tasks, inputs: &Tensor) -> Result<Tensor> {
        let (known, targets) = (&tasks.train_inputs, &tasks.train_targets);
        let basis = |inputs: &Tensor| -> Result<Tensor> {
            let inputs = inputs.f_to_kind(Kind::Double)?;
            Ok(match self {
                Self::Sinusoid => Tensor::f_cat(&[inputs.f_sin()?, inputs.f_cos()?], 2)?,
                _ => Tensor::f_cat(&[inputs.f_ones_like()?, inputs], 2)?,
            })
        };
        let outputs = match self {
            Self::Mean => targets.f_mean_dim(1, true, Kind::Float)?.f_expand_as(inputs)?.f_contiguous()?,
            Self::NearestNeighbours(count) => {
                if count < 1 || count > known.size()[1] {
                    let allowed = format!("between 1 and the {} train rows", known.size()[1]);
                    return Err(NcError::value("neighbours", count, allowed));
                }
                let distances = inputs.f_sub(&known.f_transpose(1, 2)?)?.f_abs()?;
                let (_, nearest) = distances.f_topk(count, 2, false, false)?;
                let all = targets.f_transpose(1, 2)?.f_expand(distances.size(), false)?;
                all.f_gather(2, &nearest, false)?.f_mean_dim(2, true, Kind::Float)?
            }
            Self::Line | Self::Sinusoid => {
                let rows = basis(known)?;
                let columns = rows.f_transpose(1, 2)?;
                let target = columns.f_matmul(&targets.f_to_kind(Kind::Double)?)?;
                basis(inputs)?.f_matmul(&Tensor::f_linalg_solve(&columns.f_matmul(&rows)?, &target, true)?)?
            }
            Self::Kernel { ridge } => {
                let kernel = |left: &Tensor| -> Result<Tensor> {
                    let known = known.f_to_kind(Kind::Double)?.f_transpose(1, 2)?;
                    let square = left.f_to_kind(Kind::Double)?.f_sub(&known)?.f_square()?;
                    Ok(square.f_mul_scalar(-0.5)?.f_exp()?)
                };
                let count = known.size()[1];
                let diagonal = Tensor::f_eye(count, (Kind::Double, known.device()))?.f_mul_scalar(ridge)?;
                let system = kernel(known)?.f_add(&diagonal)?;
                let weights = Tensor::f_linalg_solve(&system, &targets.f_to_kind(Kind::Double)?, true)?;
                kernel(inputs)?.f_matmul(&weights)?
            }
        };
        Ok(outputs.f_to_kind(Kind::Float)?)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::Draws;
    use crate::task::Sinusoids;

    fn tasks() -> Tasks {
        Sinusoids::default().draw(5, &mut Draws::new(8, "closed forms", 0), Device::Cpu).unwrap()
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    /// The nearest neighbour of a train row is itself; a sinusoid is found exactly.
    #[test]
    fn what_learners_know() {
        let tasks = tasks();
        let nearest = ClosedForm::NearestNeighbours(1).learn(&tasks).unwrap();
        assert_eq!(largest(&nearest.train_loss), 0.0);
        assert!(nearest.test_loss.min().double_value(&[]) > 0.0);
        let sinusoid = ClosedForm::Sinusoid.learn(&tasks).unwrap();
        assert!(largest(&sinusoid.test_loss) < 1e-9);
        let all = ClosedForm::NearestNeighbours(10).learn(&tasks).unwrap();
        let mean = ClosedForm::Mean.learn(&tasks).unwrap();
        assert!(largest(&(&all.test_outputs - &mean.test_outputs)) < 1e-5);
        let exact = ClosedForm::Kernel { ridge: 1e-10 }.learn(&tasks).unwrap();
        assert!(largest(&exact.train_loss) < 1e-4);
        assert!(ClosedForm::NearestNeighbours(11).learn(&tasks).is_err());
    }

    /// Neighbours by sorting, one row at a time.
    #[test]
    fn neighbours_by_sorting() {
        let tasks = tasks();
        let found = ClosedForm::NearestNeighbours(3).outputs(&tasks, &tasks.test_inputs).unwrap();
        for task in 0..5 {
            let numbers = |tensor: &Tensor| -> Vec<f64> {
                Vec::try_from(tensor.get(task).to_kind(Kind::Double).reshape([-1])).unwrap()
            };
            let (x, y) = (numbers(&tasks.train_inputs), numbers(&tasks.train_targets));
            for (input, output) in numbers(&tasks.test_inputs).iter().zip(numbers(&found)) {
                let mut order: Vec<usize> = (0..10).collect();
                order.sort_by(|&a, &b| (x[a] - input).abs().total_cmp(&(x[b] - input).abs()));
                let expected = order[..3].iter().map(|&place| y[place]).sum::<f64>() / 3.0;
                assert!((expected - output).abs() < 1e-5);
            }
        }
    }

    /// The line that ordinary least squares gives: slope = covariance / variance.
    #[test]
    fn the_line_of_least_squares() {
        let tasks = tasks();
        let found = ClosedForm::Line.outputs(&tasks, &tasks.test_inputs).unwrap();
        let (x, y) = (&tasks.train_inputs, &tasks.train_targets);
        let mean = |tensor: &Tensor| tensor.mean_dim(1, true, Kind::Float);
        let slope = mean(&((x - mean(x)) * (y - mean(y)))) / mean(&(x - mean(x)).square());
        let expected = mean(y) + slope * (&tasks.test_inputs - mean(x));
        assert!(largest(&(found - expected)) < 1e-4);
    }
}
