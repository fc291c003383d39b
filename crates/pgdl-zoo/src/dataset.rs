//! Inputs and labels, as networks take them.

use tch::Tensor;

/// A labelled sample.
#[derive(Debug)]
pub struct Dataset {
    /// `[N, H, W, C]`, f32, contiguous, as fed to the network.
    pub inputs: Tensor,
    /// `[N]`, i64.
    pub labels: Tensor,
}
