//! Snapshots: learners at one moment, with their true gaps.

use tch::{Device, Kind, Tensor};

use crate::error::{NcError, Result};
use crate::learner::{Learner, Moment, Regularizer};
use crate::model::{Rows, Source};
use crate::random::Draws;
use crate::task::Tasks;

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
        let parts = moments.iter().map(|moment| Ok((moment.step, moment.rows(tasks), moment.gap()?)));
        Self::joined(parts.collect::<Result<_>>()?)
    }

    /// The snapshots of moments: steps done, what the model sees of T learners, and their gaps `[T]`.
    pub(crate) fn joined(moments: Vec<(u64, Rows, Tensor)>) -> Result<Self> {
        let mut groups = Vec::new();
        for (step, rows, gaps) in moments {
            let (count, integers) = (gaps.size()[0], (Kind::Int64, gaps.device()));
            let steps = Tensor::f_full([count], step as i64, integers)?;
            groups.push(Self { rows, steps, tasks: Tensor::f_arange(count, integers)?, gaps, left_out: 0 });
        }
        Self::concatenated(groups, 0)?.finite()
    }

    /// Groups of snapshots as one; the tasks of each group are `tasks` more than those of the one before.
    pub(crate) fn concatenated(groups: Vec<Self>, tasks: i64) -> Result<Self> {
        let (mut left_out, mut source) = (0, Source::default());
        let mut columns: [Vec<Tensor>; 9] = Default::default();
        for (number, mut group) in groups.into_iter().enumerate() {
            left_out += group.left_out;
            source = std::mem::take(&mut group.rows.source);
            group.tasks = group.tasks.f_add_scalar(tasks * number as i64)?;
            columns.iter_mut().zip(group.all_columns()?).for_each(|(column, part)| column.push(part));
        }
        let joined = columns.iter().map(|parts| Tensor::f_cat(parts, 0)).collect::<Result<_, _>>()?;
        let mut snapshots = Self::from_columns(joined)?;
        snapshots.rows.source = source;
        snapshots.left_out = left_out;
        Ok(snapshots)
    }

    /// Those whose numbers are all finite; the others are counted as left out.
    fn finite(mut self) -> Result<Self> {
        let total = self.len();
        let mut finite = self.gaps.f_isfinite()?;
        let rows = &self.rows;
        for numbers in [Some(&rows.train_outputs), Some(&rows.test_outputs), rows.train_losses.as_ref()]
            .into_iter()
            .flatten()
        {
            let all = numbers.f_isfinite()?.f_reshape([total, -1])?.f_all_dim(1, false)?;
            finite = finite.f_logical_and(&all)?;
        }
        let kept = finite.f_nonzero()?.f_reshape([-1])?;
        let count = kept.size()[0];
        if count == total {
            return Ok(self);
        }
        let (source, left_out) = (std::mem::take(&mut self.rows.source), self.left_out + total - count);
        let columns = self.all_columns()?;
        let columns = columns.iter().map(|column| column.f_index_select(0, &kept));
        let mut snapshots = Self::from_columns(columns.collect::<Result<_, _>>()?)?;
        snapshots.rows.source = source;
        snapshots.left_out = left_out;
        Ok(snapshots)
    }

    /// What [`from_columns`](Self::from_columns) takes, with steps and tasks. No column may be missing: where there are no
    /// losses, they are losses of no row.
    fn all_columns(self) -> Result<[Tensor; 9]> {
        let rows = self.rows;
        let losses = match rows.train_losses {
            Some(losses) => losses,
            None => Tensor::f_empty([self.gaps.size()[0], 0], (Kind::Float, self.gaps.device()))?,
        };
        Ok([
            rows.train_inputs,
            rows.train_targets,
            rows.train_outputs,
            rows.test_inputs,
            rows.test_outputs,
            self.gaps,
            losses,
            self.steps,
            self.tasks,
        ])
    }

    /// Of a bank's columns, in their order; with or without losses, and with or without steps and tasks behind them.
    pub(crate) fn from_columns(columns: Vec<Tensor>) -> Result<Self> {
        let mut columns = columns.into_iter();
        let mut next = || columns.next().ok_or_else(|| NcError::shape("snapshots", &[], "six columns"));
        let [train_inputs, train_targets, train_outputs] = [next()?, next()?, next()?];
        let [test_inputs, test_outputs, gaps] = [next()?, next()?, next()?];
        let train_losses = columns.next().filter(|losses| losses.numel() > 0);
        let unknown = || Tensor::f_full(gaps.size(), -1, (Kind::Int64, gaps.device()));
        let (steps, tasks) = match (columns.next(), columns.next()) {
            (Some(steps), Some(tasks)) => (steps, tasks),
            _ => (unknown()?, unknown()?),
        };
        let rows = Rows {
            source: Source::default(),
            train_losses,
            train_inputs,
            train_targets,
            train_outputs,
            test_inputs,
            test_outputs,
        };
        Ok(Self { rows, gaps, steps, tasks, left_out: 0 })
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
