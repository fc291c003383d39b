//! Adam on one vector.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Kingma and Ba 2015, with their constants; the moments are f64.
#[derive(Debug)]
pub struct Adam {
    rate: f64,
    step: i32,
    first: Tensor,
    second: Tensor,
}

impl Adam {
    /// Before the first step from `point`, of any shape.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn new(point: &Tensor, rate: f64) -> Result<Self> {
        let zero = point.f_detach()?.f_to_kind(Kind::Double)?.f_zeros_like()?;
        Ok(Self { rate, step: 0, first: zero.shallow_clone(), second: zero })
    }

    /// Another rate from now on.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// The point after a step against `gradient`, of the point's shape; what is not finite in it counts as 0.
    ///
    /// # Errors
    /// Shapes differ.
    pub fn step(&mut self, point: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        const DECAY: [f64; 2] = [0.9, 0.999];
        self.step += 1;
        let gradient = gradient.f_to_kind(Kind::Double)?.f_nan_to_num(0.0, 0.0, 0.0)?;
        self.first = self.first.f_mul_scalar(DECAY[0])?.f_add(&gradient.f_mul_scalar(1.0 - DECAY[0])?)?;
        let square = gradient.f_square()?.f_mul_scalar(1.0 - DECAY[1])?;
        self.second = self.second.f_mul_scalar(DECAY[1])?.f_add(&square)?;
        let unbiased =
            self.second.f_div_scalar(1.0 - DECAY[1].powi(self.step))?.f_sqrt()?.f_add_scalar(1e-8)?;
        let change =
            self.first.f_div(&unbiased)?.f_mul_scalar(-self.rate / (1.0 - DECAY[0].powi(self.step)))?;
        Ok(point.f_detach()?.f_add(&change.f_to_kind(point.f_kind()?)?)?)
    }
}
