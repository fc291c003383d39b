//! Adam (Kingma & Ba 2015), with a state that can be kept.

use tch::{Device, Kind, Tensor};

use crate::error::Result;

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The moments of one vector of parameters.
#[derive(Debug)]
pub(crate) struct Adam {
    /// Running mean of gradients: `[P]`.
    pub(crate) mean: Tensor,
    /// Running mean of squared gradients: `[P]`.
    pub(crate) square: Tensor,
}

impl Adam {
    pub(crate) fn new(count: i64, device: Device) -> Result<Self> {
        let zeros = || Tensor::f_zeros([count], (Kind::Float, device));
        Ok(Self { mean: zeros()?, square: zeros()? })
    }

    /// Step number `step`, counted from 1, of all parameters against the gradient.
    pub(crate) fn step(
        &mut self,
        parameters: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        step: u64,
    ) -> Result<()> {
        let step = step as f64;
        let _ = self.mean.f_lerp_(gradient, 1.0 - MEAN_DECAY)?;
        let _ = self.square.f_mul_scalar_(SQUARE_DECAY)?;
        let _ = self.square.f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - SQUARE_DECAY)?)?;
        let bias = (1.0 - SQUARE_DECAY.powf(step)).sqrt();
        let mut scale = self.square.f_sqrt()?.f_div_scalar_(bias)?.f_add_scalar_(EPSILON)?;
        let scale = scale.f_reciprocal_()?.f_mul_scalar_(-rate / (1.0 - MEAN_DECAY.powf(step)))?;
        let _ = parameters.f_addcmul_(&self.mean, &scale)?;
        Ok(())
    }
}
