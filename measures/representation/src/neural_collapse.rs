//! Whether the activations have collapsed to their class means.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, Parameters, Probe,
    RegistryError,
};

use crate::class_geometry::ClassGeometry;
use crate::gram::samples_parameter;
use crate::hidden_layers::{LAYER, layer_parameter};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct NeuralCollapse {
    layer: i64,
    samples: i64,
}

const PARAMETERS: &[ParameterInfo] = &[LAYER, samples_parameter(1000)];

/// What `neural_collapse` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "neural_collapse",
    family: "representation",
    version: 1,
    title: "The within-class variability relative to the between-class covariance in a hidden layer, NC1 of neural collapse.",
    formula: "tr(Σ_W Σ_B⁺) / C,  Σ_W = mean over the classes of their covariances,  Σ_B = covariance of the class means",
    shapes: "h: [m, D] the flattened activations that enter the last layer with weights, or those of another hidden layer; m: samples spread evenly over the sample; Σ: [D, D], never formed; C: classes in the sample",
    paper: "Papyan, Han, Donoho 2020, Prevalence of neural collapse during the terminal phase of deep learning training: NC1",
    needs: &[Need::Labels],
    cost: "m/n F and O(m² · dim h), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "It goes to 0 in the terminal phase of training. Every class counts alike, however many samples it has. Directions of Σ_B below 1e-5 of its largest (as standard deviations) count as absent. Undefined for one class, for two classes with one centroid, and for activations that are the same on every sample. Factors of the activations do not matter.",
    stochastic: false,
    control: false,
    parameters: PARAMETERS,
};

impl NeuralCollapse {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer=0`.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { layer: layer_parameter(INFO.id, parameters)?, samples: parameters.integer("samples")? })
    }
}

impl Measure for NeuralCollapse {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (layer, geometry) = ClassGeometry::of_layer(probe, self.layer, self.samples)?;
        Ok(Measured::value(geometry.collapse()? / geometry.classes() as f64).with_detail("layer", layer))
    }
}
