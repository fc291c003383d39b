//! What the bounds need of the layers and of the inputs.

use pgdl_measure::network::{Activation, Layer, Network};
use pgdl_measure::tch::Kind;
use pgdl_measure::{Kernel, MeasureError, Probe, Quantity, kernels};

use crate::input_norms::InputNorms;
use crate::layer_norms::{LayerNorms, Weights};
use crate::linear_map::{LinearMap, input_shape};
use crate::norm::Norm;

/// Norms of the matrix A of the map that a layer applies: every weight stands in it as often as it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorLayer {
    /// The layer.
    pub layer: String,
    /// ‖A‖₂.
    pub spectral: f64,
    /// ‖Aᵀ‖_{2,1}: the sum of the Euclidean norms of the rows of A, each the incoming weights of one output.
    pub rows: f64,
    /// ‖A‖²_F.
    pub frobenius_squared: f64,
    /// Number of outputs: rows of A.
    pub outputs: f64,
}

/// The layers of a chain of linear maps and 1-Lipschitz functions, and the size of its inputs. Shared by the bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The layers, in order.
    pub layers: Vec<OperatorLayer>,
    /// Largest number of values between any two layers, inputs and outputs included.
    pub width: f64,
    /// Size n of the training set.
    pub n: f64,
    /// ‖X‖_F of all n training inputs, extrapolated from the sample.
    pub data_norm: f64,
    /// Largest ‖x‖₂ in the sample.
    pub largest_input: f64,
}

impl Profile {
    /// ln Π ‖A_ℓ‖₂.
    pub(crate) fn log_lipschitz(&self) -> f64 {
        self.layers.iter().map(|layer| layer.spectral.ln()).sum()
    }

    /// ln R_A, the spectral complexity with all reference matrices zero: R_A = Π ‖A_ℓ‖₂ ·
    /// (Σ (‖A_ℓᵀ‖_{2,1} / ‖A_ℓ‖₂)^{2/3})^{3/2} (Bartlett et al. 2017, eq. 1.2).
    pub(crate) fn log_spectral_complexity(&self) -> f64 {
        let ratios = self.layers.iter().map(|layer| (layer.rows / layer.spectral).powf(2.0 / 3.0));
        self.log_lipschitz() + 1.5 * ratios.sum::<f64>().ln()
    }

    /// ln (2 W²) for the width W.
    pub(crate) fn log_twice_squared_width(&self) -> f64 {
        std::f64::consts::LN_2 + 2.0 * self.width.ln()
    }
}

/// The quantity that computes a [`Profile`].
#[derive(Clone, Copy, Debug)]
pub struct OperatorProfile;

impl Quantity for OperatorProfile {
    type Value = Profile;

    fn name(&self) -> String {
        "operator_profile".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Profile, MeasureError> {
        let network = probe.folded()?;
        check_chain(&network)?;
        let norms = probe.get(&LayerNorms { norm: Norm::Operator, weights: Weights::Trained })?;
        let mut width = network.architecture().input_shape.iter().product::<i64>() as f64;
        let mut layers = Vec::with_capacity(norms.len());
        for (kernel, norm) in kernels(&network).iter().zip(norms.iter()) {
            probe.check_deadline()?;
            if norm.spectral == 0.0 {
                return MeasureError::undefined(format!(
                    "the spectral norm of layer `{}` is zero",
                    norm.layer
                ));
            }
            let layer = operator_layer(&network, kernel, norm.spectral)?;
            width = width.max(layer.outputs);
            layers.push(layer);
        }
        let inputs = probe.get(&InputNorms)?;
        let n = probe.train_size() as f64;
        Ok(Profile { layers, width, n, data_norm: inputs.all, largest_input: inputs.largest })
    }
}

fn operator_layer(
    network: &Network,
    kernel: &Kernel<'_>,
    spectral: f64,
) -> Result<OperatorLayer, MeasureError> {
    let map = LinearMap::of(network, kernel, kernel.tensor)?;
    let rows = map.squared_row_norms()?;
    // A map of one position stands once for each position of the output in the matrix.
    let positions = if map.input_shape().len() == 1 && input_shape(network, kernel.node)?.len() > 1 {
        let output: i64 = network.shapes()[kernel.node].iter().product();
        output as f64 / rows.numel() as f64
    } else {
        1.0
    };
    Ok(OperatorLayer {
        layer: kernel.name.clone(),
        spectral,
        rows: positions * rows.f_sqrt()?.f_sum(Kind::Double)?.f_double_value(&[])?,
        frobenius_squared: positions * rows.f_sum(Kind::Double)?.f_double_value(&[])?,
        outputs: positions * rows.numel() as f64,
    })
}

/// The bounds hold for chains of linear maps and 1-Lipschitz functions.
pub(crate) fn check_chain(network: &Network) -> Result<(), MeasureError> {
    if !network.architecture().is_sequential() {
        return MeasureError::undefined("the bound is for chains of layers, and this network branches");
    }
    for node in &network.architecture().nodes {
        let fits = match &node.layer {
            Layer::BatchNormalization { .. }
            | Layer::LayerNormalization { .. }
            | Layer::PRelu { .. }
            | Layer::Rescaling { .. } => false,
            layer => layer.activation().is_none_or(is_contraction),
        };
        if !fits {
            return MeasureError::undefined(format!(
                "the bound is for linear maps with 1-Lipschitz functions between, and layer `{}` ({}) is neither",
                node.name,
                node.layer.kind()
            ));
        }
    }
    Ok(())
}

/// Whether |f(x) − f(y)| ≤ |x − y| and f(0) = 0.
fn is_contraction(activation: Activation) -> bool {
    match activation {
        Activation::Linear
        | Activation::Relu
        | Activation::Relu6
        | Activation::Tanh
        | Activation::Softsign => true,
        Activation::LeakyRelu { slope } => slope.abs() <= 1.0,
        Activation::Elu { alpha } => (0.0..=1.0).contains(&alpha),
        Activation::GeneralRelu { max_value: _, negative_slope, threshold } => {
            threshold == 0.0 && negative_slope.abs() <= 1.0
        }
        _ => false,
    }
}
