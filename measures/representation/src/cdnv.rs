//! How much the classes vary compared with their distances.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, Parameters, Probe,
    RegistryError,
};

use crate::class_geometry::ClassGeometry;
use crate::gram::samples_parameter;
use crate::hidden_layers::{LAYER, layer_parameter};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Cdnv {
    layer: i64,
    samples: i64,
}

const PARAMETERS: &[ParameterInfo] = &[LAYER, samples_parameter(1000)];

/// What `cdnv` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "cdnv",
    family: "representation",
    version: 1,
    title: "The class-distance normalized variance in a hidden layer.",
    formula: "mean over pairs a ≠ b of (V_a + V_b) / (2 ‖μ_a − μ_b‖²),  V_a = mean over class a of ‖h − μ_a‖²",
    shapes: "h: [m, D] the flattened activations that enter the last layer with weights, or those of another hidden layer; m: samples spread evenly over the sample; μ: [C, D] means of the classes in the sample",
    paper: "Galanti, György, Hutter 2022, On the Role of Neural Collapse in Transfer Learning",
    needs: &[Need::Labels],
    cost: "m/n F and O(m² · dim h), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "It goes to 0 as the classes collapse, pair by pair. Undefined for one class, for two classes with one centroid, and for activations that are the same on every sample. Factors of the activations do not matter.",
    stochastic: false,
    control: false,
    parameters: PARAMETERS,
};

impl Cdnv {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer=0`.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { layer: layer_parameter(INFO.id, parameters)?, samples: parameters.integer("samples")? })
    }
}

impl Measure for Cdnv {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (layer, geometry) = ClassGeometry::of_layer(probe, self.layer, self.samples)?;
        Ok(Measured::value(cdnv(&geometry)).with_detail("layer", layer))
    }
}

/// The mean over pairs from the geometry of the classes.
pub fn cdnv(geometry: &ClassGeometry) -> f64 {
    let (classes, variances) = (geometry.classes(), &geometry.variances);
    let pairs = (0..classes).flat_map(|a| (0..a).map(move |b| (a, b)));
    let sum: f64 = pairs.map(|(a, b)| (variances[a] + variances[b]) / (2.0 * geometry.between[a][b])).sum();
    sum / (classes * (classes - 1) / 2) as f64
}
