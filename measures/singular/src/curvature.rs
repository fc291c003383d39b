//! The largest curvature where the chains are, and the gradient's noise along it: what the step size follows.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::{Kind, Tensor};

/// The gradients of every chain at several points, all on one batch, which is another one each time.
pub(crate) type Gradients<'a> = &'a mut dyn FnMut(&[&Tensor]) -> Result<Vec<Tensor>, MeasureError>;

/// Power iteration by differences of gradients, each chain with a direction of its own.
pub(crate) struct Curvature {
    /// Unit vectors, `[K, P]`.
    directions: Tensor,
    /// Displacement for the differences, at most.
    distance: f64,
    /// Largest eigenvalue, by its amount, of the Hessian of nβL on a mini-batch, over all chains, at the last look.
    pub largest: f64,
    /// Variance of the gradient of nβL over mini-batches along the directions, mean over chains and looks.
    pub noise: f64,
    looks: f64,
}

impl Curvature {
    /// Begins with random directions.
    pub fn new(directions: Tensor, localization: f64) -> Result<Self, MeasureError> {
        let distance = 0.01 / localization.sqrt();
        Ok(Self { directions: unit(&directions)?, distance, largest: 0.0, noise: 0.0, looks: 0.0 })
    }

    /// Looks at the curvature at `points`, `[K, P]`; the last gradient there is returned.
    pub fn look(
        &mut self,
        iterations: usize,
        points: &Tensor,
        gradients: Gradients<'_>,
    ) -> Result<Tensor, MeasureError> {
        let mut last = Tensor::new();
        for _ in 0..iterations {
            let distance = self.distance.min(0.5 / self.largest.max(f64::MIN_POSITIVE).sqrt());
            let moved = points.f_add(&self.directions.f_mul_scalar(distance)?)?;
            let mut found = gradients(&[&moved, points])?;
            last = found.swap_remove(1);
            let product = found[0].f_sub(&last)?.f_div_scalar(distance)?;
            self.largest = product.f_norm_scalaropt_dim(2, [1i64], false)?.f_max()?.f_double_value(&[])?;
            if !self.largest.is_finite() {
                return MeasureError::undefined("the gradient of the loss is not finite");
            }
            if self.largest > 0.0 {
                self.directions = unit(&product)?;
            }
        }
        Ok(last)
    }

    /// How steeply the gradient rises from `points` to `others`, over all chains.
    pub fn secant(
        &self,
        points: &Tensor,
        others: &Tensor,
        gradients: Gradients<'_>,
    ) -> Result<f64, MeasureError> {
        let found = gradients(&[points, others])?;
        let rise = found[1].f_sub(&found[0])?.f_norm()?;
        Ok(rise.f_double_value(&[])? / others.f_sub(points)?.f_norm()?.f_double_value(&[])?)
    }

    /// Takes two gradients at the same points on different batches into the estimate of the noise.
    pub fn compare(&mut self, one: &Tensor, other: &Tensor) -> Result<(), MeasureError> {
        let along = one.f_sub(other)?.f_mul(&self.directions)?.f_sum_dim_intlist(1, false, Kind::Double)?;
        let variance = 0.5 * along.f_square()?.f_mean(Kind::Double)?.f_double_value(&[])?;
        self.noise = (self.noise * self.looks + variance) / (self.looks + 1.0);
        self.looks += 1.0;
        Ok(())
    }
}

/// Rows of length 1; a row of zeros stays.
fn unit(rows: &Tensor) -> Result<Tensor, MeasureError> {
    let lengths = rows.f_norm_scalaropt_dim(2, [1i64], true)?;
    Ok(rows.f_div(&lengths.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?)
}
