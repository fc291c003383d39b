//! Snapshots: learners at one moment, with their true gaps.

use tch::{Device, Kind, Tensor};

use crate::bank::Column;
use crate::error::{NcError, Result};
use crate::learner::{Learner, Moment, Regularizer};
use crate::model::{Rows, Shape};
use crate::random::Draws;
use crate::task::{Sinusoids, Tasks};

/// Learners at moments of their training, every number finite.
#[derive(Debug)]
pub struct Snapshots {
    /// What the model sees.
    pub rows: Rows,
    /// G = L − L̂: `[B]`.
    pub gaps: Tensor,
    /// How many steps each learner had done: `[B]`, integers.
    pub steps: Tensor,
    /// The task of each learner, its place among the tasks: `[B]`, integers.
    pub tasks: Tensor,
    /// How many others were left out because a number of theirs was infinite or NaN.
    pub left_out: i64,
}

/// The columns of a bank of snapshots.
pub(crate) fn columns(shape: &Shape, tasks: &Sinusoids) -> Vec<Column> {
    let column = |name, shape: &[i64]| Column { name, shape: shape.to_vec(), kind: Kind::Float };
    vec![
        column("train_inputs", &[tasks.train, shape.inputs]),
        column("train_targets", &[tasks.train, shape.outputs]),
        column("train_outputs", &[tasks.train, shape.outputs]),
        column("test_inputs", &[tasks.test, shape.inputs]),
        column("test_outputs", &[tasks.test, shape.outputs]),
        column("gap", &[]),
    ]
}

impl Snapshots {
    /// Trains a learner on every task and takes a snapshot after every step: T·steps of them, less those left out, in
    /// the order of steps.
    pub fn of_training(
        learner: &Learner,
        tasks: &Tasks,
        regularizer: Regularizer,
        draws: &mut Draws,
        device: Device,
    ) -> Result<Self> {
        let initial = learner.initialize(tasks.len(), draws, device)?;
        let mut moments = Vec::new();
        learner.train(tasks, initial, regularizer, &mut |moment| {
            moments.push(moment);
            Ok(())
        })?;
        Self::of_moments(tasks, &moments[1..])
    }

    /// The snapshots of these moments of one group of learners.
    pub fn of_moments(tasks: &Tasks, moments: &[Moment]) -> Result<Self> {
        let mut columns: [Vec<Tensor>; 8] = Default::default();
        for moment in moments {
            let rows = moment.rows(tasks);
            let integers = (Kind::Int64, rows.train_inputs.device());
            let step = Tensor::f_full([tasks.len()], moment.step as i64, integers)?;
            let task = Tensor::f_arange(tasks.len(), integers)?;
            let parts = [
                rows.train_inputs,
                rows.train_targets,
                rows.train_outputs,
                rows.test_inputs,
                rows.test_outputs,
                moment.gap()?,
                step,
                task,
            ];
            for (column, part) in columns.iter_mut().zip(parts) {
                column.push(part);
            }
        }
        let joined: Vec<Tensor> =
            columns.iter().map(|parts| Ok(Tensor::f_cat(parts, 0)?)).collect::<Result<_>>()?;
        let total = joined[5].size()[0];
        let mut finite = joined[5].f_isfinite()?;
        for outputs in [&joined[2], &joined[4]] {
            let all = outputs.f_isfinite()?.f_reshape([total, -1])?.f_all_dim(1, false)?;
            finite = finite.f_logical_and(&all)?;
        }
        let kept = finite.f_nonzero()?.f_reshape([-1])?;
        let count = kept.size()[0];
        let joined = if count == total {
            joined
        } else {
            joined.iter().map(|column| column.f_index_select(0, &kept)).collect::<Result<_, _>>()?
        };
        let mut snapshots = Self::from_columns(joined)?;
        snapshots.left_out = total - count;
        Ok(snapshots)
    }

    /// Of a bank's columns, in their order; with or without steps and tasks behind them.
    pub(crate) fn from_columns(columns: Vec<Tensor>) -> Result<Self> {
        let mut columns = columns.into_iter();
        let mut next = || columns.next().ok_or_else(|| NcError::shape("snapshots", &[], "six columns"));
        let rows = Rows {
            train_inputs: next()?,
            train_targets: next()?,
            train_outputs: next()?,
            test_inputs: next()?,
            test_outputs: next()?,
        };
        let gaps = next()?;
        let unknown = || Tensor::f_full(gaps.size(), -1, (Kind::Int64, gaps.device()));
        let (steps, tasks) = match (columns.next(), columns.next()) {
            (Some(steps), Some(tasks)) => (steps, tasks),
            _ => (unknown()?, unknown()?),
        };
        Ok(Self { rows, gaps, steps, tasks, left_out: 0 })
    }

    /// The columns of a bank.
    pub(crate) fn into_columns(self) -> Vec<Tensor> {
        let Rows { train_inputs, train_targets, train_outputs, test_inputs, test_outputs } = self.rows;
        vec![train_inputs, train_targets, train_outputs, test_inputs, test_outputs, self.gaps]
    }

    /// How many there are.
    pub fn len(&self) -> i64 {
        self.gaps.size().first().copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
