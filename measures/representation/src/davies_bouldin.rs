//! How far the clusters of the classes overlap.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, Parameters, Probe,
    RegistryError,
};

use crate::class_geometry::ClassGeometry;
use crate::gram::samples_parameter;
use crate::hidden_layers::{LAYER, layer_parameter};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct DaviesBouldin {
    layer: i64,
    samples: i64,
}

const PARAMETERS: &[ParameterInfo] = &[LAYER, samples_parameter(1000)];

/// What `davies_bouldin` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "davies_bouldin",
    family: "representation",
    version: 1,
    title: "The Davies–Bouldin index of the classes in a hidden layer.",
    formula: "(1/C) Σ_a max over b ≠ a of (S_a + S_b) / ‖μ_a − μ_b‖,  S_a = mean over class a of ‖h − μ_a‖",
    shapes: "h: [m, D] the flattened activations that enter the last layer with weights, or those of another hidden layer; m: samples spread evenly over the sample; μ: [C, D] means of the classes in the sample",
    paper: "Davies, Bouldin 1979, A Cluster Separation Measure; Natekar, Sharma 2020, Representation Based Complexity Measures for Predicting Generalization in Deep Learning",
    needs: &[Need::Labels],
    cost: "m/n F and O(m² · dim h), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "Classes that are compact and far apart give small values, and generalize better. A class with a single sample has S = 0. Undefined for one class, for two classes with one centroid, and for activations that are the same on every sample. Factors of the activations do not matter.",
    stochastic: false,
    control: false,
    parameters: PARAMETERS,
};

impl DaviesBouldin {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer=0`.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { layer: layer_parameter(INFO.id, parameters)?, samples: parameters.integer("samples")? })
    }
}

impl Measure for DaviesBouldin {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let (layer, geometry) = ClassGeometry::of_layer(probe, self.layer, self.samples)?;
        Ok(Measured::value(davies_bouldin(&geometry)).with_detail("layer", layer))
    }
}

/// The index from the geometry of the classes.
pub fn davies_bouldin(geometry: &ClassGeometry) -> f64 {
    let (classes, spreads) = (geometry.classes(), &geometry.spreads);
    let worst = |a: usize| {
        let others = (0..classes).filter(|&b| b != a);
        others.map(|b| (spreads[a] + spreads[b]) / geometry.between[a][b].sqrt()).fold(0.0, f64::max)
    };
    (0..classes).map(worst).sum::<f64>() / classes as f64
}
