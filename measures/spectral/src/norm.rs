//! Which norm of a layer is meant.

use pgdl_measure::{ParameterInfo, ParameterKind, Parameters, RegistryError};

/// The parameter `norm`, common to the family.
pub(crate) const NORM: ParameterInfo = ParameterInfo {
    name: "norm",
    kind: ParameterKind::Choice { default: "operator", options: &["operator", "fft", "reshape"] },
    doc: "`operator`: of the map that the layer applies, with its stride, padding and map size, too small by at most 1e-6 \
          of itself (for whatever weights, but for a chance of 1e-4; exact for matrices with a side of up to 512); `fft`: of the circular convolution with stride 1 on the layer's input map (Sedghi, Gupta, \
          Long 2019); `reshape`: of the kernel as a matrix [kh · kw · in, out], depthwise [kh · kw, in · m] (Yoshida and Miyato 2017)",
};

/// A norm of a layer's linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The largest singular value of the map that the layer applies.
    Operator,
    /// That of the circular convolution with stride 1.
    Fft,
    /// That of the kernel as a matrix.
    Reshape,
}

impl Norm {
    /// The choice of the parameter `norm`.
    pub(crate) fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(match parameters.choice("norm")? {
            "fft" => Self::Fft,
            "reshape" => Self::Reshape,
            _ => Self::Operator,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Fft => "fft",
            Self::Reshape => "reshape",
        }
    }
}
