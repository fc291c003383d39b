//! The eigenvalues of all weight matrices: what the whole family shares.

use pgdl_measure::network::Role;
use pgdl_measure::tch::{Device, Kind, Tensor, no_grad};
use pgdl_measure::{
    Kernel, LayerDetail, MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, Probe, Quantity,
    RegistryError, kernels,
};

use crate::power_law::{PowerLaw, Steps, fit};

/// Fewer eigenvalues than these say nothing about a distribution.
pub(crate) const FEWEST: usize = 10;

/// Eigenvalues that differ by less, relatively, are equal up to rounding (orthogonal matrices).
const EQUAL: f64 = 1e-9;

/// The spectrum of one weight matrix.
#[derive(Clone, Debug)]
pub struct LayerSpectrum {
    /// The layer's name.
    pub layer: String,
    /// Rows and columns of the matrix, the larger first.
    pub shape: (i64, i64),
    /// The positive eigenvalues λ = σ² of WᵀW, ascending, f64.
    pub eigenvalues: Vec<f64>,
}

/// The parameter of the measures that fit a power law.
pub(crate) const VARIANT: ParameterInfo = ParameterInfo {
    name: "variant",
    kind: ParameterKind::Choice { default: "paper", options: &["paper", "as_coded"] },
    doc: "how λ_min is chosen: `paper` by the distance on both sides of each step, `as_coded` below the steps alone, as plfit \
          and powerlaw do",
};

/// Reads [`VARIANT`].
pub(crate) fn steps(parameters: &Parameters) -> Result<Steps, RegistryError> {
    Ok(match parameters.choice("variant")? {
        "as_coded" => Steps::Below,
        _ => Steps::BothSides,
    })
}

impl LayerSpectrum {
    /// λ_max.
    pub fn largest(&self) -> f64 {
        self.eigenvalues.last().copied().unwrap_or(0.0)
    }

    /// The power law of the tail.
    pub(crate) fn tail(&self, steps: Steps) -> Result<PowerLaw, MeasureError> {
        let smallest = self.eigenvalues.first().copied().unwrap_or(0.0);
        let spread = self.largest() > smallest * (1.0 + EQUAL);
        fit(&self.eigenvalues, steps).filter(|_| spread).ok_or_else(|| {
            let reason = format!("the eigenvalues of layer `{}` are all equal and have no tail", self.layer);
            MeasureError::Undefined(reason)
        })
    }

    /// Σ λ = ‖W‖²_F.
    pub fn trace(&self) -> f64 {
        self.eigenvalues.iter().sum()
    }
}

/// The spectra of all kernels of the network with BatchNormalization folded, in its order.
///
/// A convolution kernel `[kh, kw, in, out]` is the matrix `[kh·kw·in, out]`: its singular values are those of the map
/// from a patch to the filters' answers. A depthwise kernel `[kh, kw, in, m]` is `[kh·kw, in·m]`. Always computed on the
/// CPU, in f64, so that what follows is the same wherever the network lies. A singular value below max(rows, columns)
/// · ε · σ_max is a zero of the matrix up to rounding, and left out.
#[derive(Clone, Copy, Debug)]
pub struct LayerSpectra;

impl Quantity for LayerSpectra {
    type Value = Vec<LayerSpectrum>;

    fn name(&self) -> String {
        "layer_spectra".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<LayerSpectrum>, MeasureError> {
        let network = probe.folded()?;
        let spectra = kernels(&network).into_iter().map(|kernel| {
            probe.check_deadline()?;
            let matrix = matrix(&kernel)?;
            let (shape, eigenvalues) = eigenvalues(&matrix, &kernel.name)?;
            Ok(LayerSpectrum { layer: kernel.name, shape, eigenvalues })
        });
        spectra.collect()
    }
}

/// A kernel as a matrix: `[kh·kw·in, out]`, depthwise `[kh·kw, in·m]`.
fn matrix(kernel: &Kernel<'_>) -> Result<Tensor, MeasureError> {
    let shape = kernel.tensor.size();
    let columns = match (kernel.role, shape.as_slice()) {
        (Role::DepthwiseKernel, [_, _, inputs, multiplier]) => inputs * multiplier,
        (_, [.., outputs]) => *outputs,
        (_, []) => 1,
    };
    Ok(kernel.tensor.f_detach()?.f_reshape([-1, columns])?)
}

/// Shape (larger side first) and positive eigenvalues of WᵀW.
fn eigenvalues(matrix: &Tensor, name: &str) -> Result<((i64, i64), Vec<f64>), MeasureError> {
    let matrix = matrix.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
    let (rows, columns) = matrix.size2()?;
    let shape = (rows.max(columns), rows.min(columns));
    if matrix.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined(format!("layer `{name}` has weights that are not finite"));
    }
    let (_, singular, _) = no_grad(|| matrix.f_svd(true, false))?;
    let mut singular = Vec::<f64>::try_from(&singular)?;
    singular.sort_unstable_by(f64::total_cmp);
    let zero = singular.last().copied().unwrap_or(0.0) * shape.0 as f64 * f64::EPSILON;
    let positive = singular.into_iter().filter(|sigma| *sigma > zero).map(|sigma| sigma * sigma);
    Ok((shape, positive.filter(|lambda| *lambda > 0.0).collect()))
}

/// The mean of a metric over the layers with at least ten positive eigenvalues, with the number of those left out.
///
/// # Errors
/// Of the metric; undefined when no layer is left.
pub(crate) fn mean_over_layers(
    probe: &Probe,
    metric: impl Fn(&LayerSpectrum) -> Result<f64, MeasureError>,
) -> Result<Measured, MeasureError> {
    let spectra = probe.get(&LayerSpectra)?;
    let enough = spectra.iter().filter(|spectrum| spectrum.eigenvalues.len() >= FEWEST);
    let layers: Vec<LayerDetail> = enough
        .map(|spectrum| Ok(LayerDetail { layer: spectrum.layer.clone(), value: metric(spectrum)? }))
        .collect::<Result<_, MeasureError>>()?;
    if layers.is_empty() {
        return MeasureError::undefined(format!(
            "none of the {} weight matrices has {FEWEST} positive eigenvalues",
            spectra.len()
        ));
    }
    let value = layers.iter().map(|layer| layer.value).sum::<f64>() / layers.len() as f64;
    let left_out = (spectra.len() - layers.len()) as f64;
    Ok(Measured::value(value).with_layers(layers).with_detail("layers_left_out", left_out))
}
