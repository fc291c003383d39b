//! Ascent of the loss in a perturbation of the weights.
//!
//! The perturbation is u = r ∘ v with v in a ball, so that relative perturbations (r = |w|) and absolute ones (r = 1) are
//! one problem. Several starts are climbed side by side.

use pgdl_measure::network::{Graph, gradients};
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{Generator, MeasureError, Perturbed, Probe};

use crate::loss::{GRAPH, losses};

/// The ball that v stays in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ball {
    /// ‖v‖₂ ≤ ρ.
    L2,
    /// |vᵢ| ≤ ρ.
    Linf,
}

/// Width of the smooth share of errors, in units of the mean size of the margins.
const WIDTH: f64 = 0.1;

/// What is climbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objective {
    /// The cross-entropy.
    Loss,
    /// From every other start the cross-entropy, from the others a smooth share of errors, to which samples that are
    /// clearly right or wrong contribute nothing: the mean of a sigmoid of the margin.
    Error,
}

/// An ascent of the loss.
pub(crate) struct Ascent<'a> {
    pub probe: &'a Probe,
    pub moved: &'a Perturbed<'a>,
    /// r, `[P]`, of the network's kind.
    pub ranges: &'a Tensor,
    pub ball: Ball,
    pub objective: Objective,
}

/// Samples of one step: inputs and labels.
pub(crate) struct Samples {
    pub inputs: Tensor,
    pub labels: Tensor,
}

impl Samples {
    pub(crate) fn of(probe: &Probe, index: &Tensor) -> Result<Self, MeasureError> {
        Ok(Self {
            inputs: probe.inputs().f_index_select(0, index)?,
            labels: probe.labels().f_index_select(0, index)?,
        })
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Self { inputs: self.inputs.shallow_clone(), labels: self.labels.shallow_clone() }
    }

    fn len(&self) -> i64 {
        self.labels.numel() as i64
    }

    /// In parts whose graphs fit into memory.
    fn parts(&self) -> Result<Vec<Samples>, MeasureError> {
        let parts = self.inputs.f_split(GRAPH, 0)?.into_iter().zip(self.labels.f_split(GRAPH, 0)?);
        Ok(parts.map(|(inputs, labels)| Samples { inputs, labels }).collect())
    }
}

impl Ascent<'_> {
    /// Starts, `[S, P]`: zero, and points drawn in the ball of radius `radius`.
    pub(crate) fn starts(
        &self,
        radius: f64,
        count: i64,
        random: &mut Generator,
    ) -> Result<Tensor, MeasureError> {
        let size = self.ranges.numel() as i64;
        let mut starts = vec![self.ranges.f_zeros_like()?];
        for _ in 1..count {
            starts.push(match self.ball {
                Ball::Linf => random.uniform_tensor(&[size])?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?,
                Ball::L2 => {
                    let normal = random.normal_tensor(&[size])?;
                    let length = norms(&normal.f_unsqueeze(0)?)?.f_reshape([1])?;
                    normal.f_div(&length.f_to_kind(self.probe.kind())?)?
                }
            });
        }
        Ok(Tensor::f_stack(&starts, 0)?.f_mul_scalar(radius)?)
    }

    /// The weights at perturbations `v`, `[S, P]`.
    pub(crate) fn weights(&self, v: &Tensor) -> Result<Tensor, MeasureError> {
        Ok(self.moved.center().f_addcmul(v, self.ranges)?)
    }

    /// Climbs from `v`, `[S, P]`, for at most `steps` steps, each on the samples that `samples` gives for it. A step goes to
    /// the point of the ball that is furthest along the slope: where the loss is convex none lowers it (Frank, Wolfe 1956,
    /// with steps of full length; of a quadratic it is a power iteration). Before each step `observe` sees v and the mean losses `[S]`, and says whether to go on.
    pub(crate) fn climb(
        &self,
        mut v: Tensor,
        radius: f64,
        steps: usize,
        samples: &dyn Fn(usize) -> Result<Samples, MeasureError>,
        observe: &mut dyn FnMut(&Tensor, &Tensor) -> Result<bool, MeasureError>,
    ) -> Result<Tensor, MeasureError> {
        for at in 0..steps {
            self.probe.check_deadline()?;
            let (means, slope) = self.slope(&v, &samples(at)?)?;
            if !observe(&v, &means)? {
                break;
            }
            let direction = match self.ball {
                Ball::Linf => slope.f_sign()?,
                Ball::L2 => {
                    // A slope of exactly zero stays zero.
                    let lengths = norms(&slope)?.f_clamp_min(f64::MIN_POSITIVE)?;
                    slope.f_to_kind(Kind::Double)?.f_div(&lengths)?.f_to_kind(self.probe.kind())?
                }
            };
            v = direction.f_mul_scalar(radius)?;
        }
        Ok(v)
    }

    /// Mean losses `[S]`, f64, and their gradients in v, `[S, P]`.
    fn slope(&self, v: &Tensor, samples: &Samples) -> Result<(Tensor, Tensor), MeasureError> {
        let at_once = self.moved.copies_at_once(samples.len().min(GRAPH));
        let starts = v.size()[0];
        let (mut means, mut slopes) = (Vec::new(), Vec::new());
        let mut from = 0;
        while from < starts {
            let length = at_once.min(starts - from);
            let mut sums: Option<(Tensor, Tensor)> = None;
            for part in samples.parts()? {
                self.probe.check_deadline()?;
                let count = part.len();
                let leaf = v.f_narrow(0, from, length)?.f_detach_copy()?.f_set_requires_grad(true)?;
                let logits = self.moved.network().forward_copies(&self.weights(&leaf)?, &part.inputs)?;
                let labels = part.labels.f_unsqueeze(0)?.f_expand([length, count], false)?;
                let each = losses(&logits, &labels)?.f_mean_dim([1i64].as_slice(), false, None)?;
                let climbed = match self.objective {
                    Objective::Loss => each.shallow_clone(),
                    Objective::Error => self.alternate(&logits, &labels, &each, from)?,
                };
                let slope = gradients(&climbed.f_sum(None)?, &[&leaf], Graph::Free)?.swap_remove(0);
                self.probe.count_forward(length * count);
                self.probe.count_backward(length * count);
                let share = count as f64 / samples.len() as f64;
                let (each, slope) = (each.f_detach()?.f_mul_scalar(share)?, slope.f_mul_scalar(share)?);
                sums = Some(match sums {
                    Some((means, slopes)) => (means.f_add(&each)?, slopes.f_add(&slope)?),
                    None => (each, slope),
                });
            }
            let Some((mean, slope)) = sums else {
                return MeasureError::failed("there is no sample to climb on");
            };
            means.push(mean);
            slopes.push(slope);
            from += length;
        }
        let (means, slopes) = (Tensor::f_cat(&means, 0)?, Tensor::f_cat(&slopes, 0)?);
        // Where the network overflows there is nothing more to climb.
        Ok((means, slopes.f_nan_to_num(0.0, 0.0, 0.0)?))
    }

    /// Smooth shares of errors in place of the means of odd starts; `first` is the number of the first.
    fn alternate(
        &self,
        logits: &Tensor,
        labels: &Tensor,
        means: &Tensor,
        first: i64,
    ) -> Result<Tensor, MeasureError> {
        let labels = labels.f_unsqueeze(-1)?;
        let own = logits.f_gather(-1, &labels, false)?;
        let others = logits.f_scatter_value(-1, &labels, f64::NEG_INFINITY)?.f_amax([-1], true)?;
        let margins = own.f_sub(&others)?.f_squeeze_dim(-1)?.f_to_kind(Kind::Double)?;
        let width = margins.f_detach()?.f_abs()?.f_mean_dim([1i64].as_slice(), true, None)?;
        let width = width.f_mul_scalar(WIDTH)?.f_clamp_min(f64::MIN_POSITIVE)?;
        let errors =
            margins.f_div(&width)?.f_neg()?.f_sigmoid()?.f_mean_dim([1i64].as_slice(), false, None)?;
        let numbers =
            Tensor::f_arange(means.numel() as i64, (Kind::Int64, means.device()))?.f_add_scalar(first)?;
        Ok(errors.f_where_self(&numbers.f_remainder(2)?.f_eq(1)?, means)?)
    }

    /// Mean losses `[S]`, f64, at `v`, without gradients.
    pub(crate) fn means(&self, v: &Tensor, samples: &Samples) -> Result<Tensor, MeasureError> {
        let at_once = self.moved.copies_at_once(samples.len().min(GRAPH));
        let starts = v.size()[0];
        let mut means = Vec::new();
        let mut from = 0;
        while from < starts {
            let length = at_once.min(starts - from);
            let weights = self.weights(&v.f_narrow(0, from, length)?)?;
            let mut sum = Tensor::f_zeros([length], (Kind::Double, v.device()))?;
            for part in samples.parts()? {
                self.probe.check_deadline()?;
                let logits = no_grad(|| self.moved.network().forward_copies(&weights, &part.inputs))?;
                let labels = part.labels.f_unsqueeze(0)?.f_expand([length, part.len()], false)?;
                sum = sum.f_add(&losses(&logits, &labels)?.f_sum_dim_intlist(
                    [1i64].as_slice(),
                    false,
                    None,
                )?)?;
                self.probe.count_forward(length * part.len());
            }
            means.push(sum.f_div_scalar(samples.len() as f64)?);
            from += length;
        }
        Ok(Tensor::f_cat(&means, 0)?)
    }
}

/// Euclidean norms of rows, `[S, 1]`, f64.
fn norms(rows: &Tensor) -> Result<Tensor, MeasureError> {
    let squares = rows.f_to_kind(Kind::Double)?.f_square()?;
    Ok(squares.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?.f_sqrt()?)
}
