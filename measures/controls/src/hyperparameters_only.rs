//! What the grid alone says of the gap.

use pgdl_measure::{
    HyperValue, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, Truth,
};

use crate::least_squares::predict;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct HyperparametersOnly {
    /// Whether numbers, too, are taken as mere levels.
    pub levels: bool,
}

/// What `hyperparameters_only` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "hyperparameters_only",
    family: "controls",
    version: 1,
    title: "The gap as a linear function of the hyperparameters, fitted to all other networks of the zoo.",
    formula: "ĝᵢ = a + bᵀ zᵢ,  (a, b) = argmin Σ over k ≠ i of (g_k − a − bᵀ z_k)²",
    shapes: "g: true gaps of the zoo's networks; z: a column for each axis of numbers, a 0/1 column for each level of \
             an axis of words but the first",
    paper: "none: a control",
    needs: &[Need::TrueGaps],
    cost: "O(networks · columns²)",
    invariances: Invariances::ALL,
    behaviour: "The upper mark for \"the grid says it all\": a measure that scores less tells less than the \
                hyperparameters do. It is made from the true gaps and no contender. Columns that are constant or \
                collinear among the other networks are left out.",
    stochastic: false,
    control: true,
    parameters: &[ParameterInfo {
        name: "encoding",
        kind: ParameterKind::Choice { default: "linear", options: &["linear", "levels"] },
        doc: "`linear` takes axes of numbers as numbers, `levels` takes every axis as words",
    }],
};

impl HyperparametersOnly {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// None, for parameters that were checked against [`INFO`].
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { levels: parameters.choice("encoding")? == "levels" })
    }

    /// A row for each network, from columns for each axis.
    fn rows(&self, truth: &Truth) -> Result<Vec<Vec<f64>>, MeasureError> {
        let axes = truth.networks.first().map_or(0, |network| network.hyperparameters.len());
        if axes == 0 {
            return MeasureError::undefined("the zoo has no hyperparameters");
        }
        if truth.networks.iter().any(|network| network.hyperparameters.len() != axes) {
            return MeasureError::failed("the networks of the zoo do not all have the same hyperparameters");
        }
        let mut rows = vec![Vec::new(); truth.networks.len()];
        for axis in 0..axes {
            let values: Vec<&HyperValue> =
                truth.networks.iter().map(|network| &network.hyperparameters[axis]).collect();
            let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
            match numbers.filter(|_| !self.levels) {
                Some(numbers) => rows.iter_mut().zip(numbers).for_each(|(row, number)| row.push(number)),
                None => {
                    let mut seen: Vec<&HyperValue> = Vec::new();
                    values.iter().for_each(|value| {
                        if !seen.contains(value) {
                            seen.push(value);
                        }
                    });
                    for level in seen.into_iter().skip(1) {
                        let columns = values.iter().map(|value| f64::from(u8::from(*value == level)));
                        rows.iter_mut().zip(columns).for_each(|(row, column)| row.push(column));
                    }
                }
            }
        }
        Ok(rows)
    }
}

fn number(value: &HyperValue) -> Option<f64> {
    match value {
        HyperValue::Number(number) => Some(*number),
        HyperValue::Text(text) => text.trim().parse().ok(),
    }
    .filter(|number| number.is_finite())
}

impl Measure for HyperparametersOnly {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let truth = probe.truth()?;
        let mut rows = self.rows(truth)?;
        if truth.index >= rows.len() {
            return MeasureError::unavailable("the network itself is not among those with a known gap");
        }
        let own = rows.remove(truth.index);
        let mut gaps: Vec<f64> = truth.networks.iter().map(|network| network.gap).collect();
        gaps.remove(truth.index);
        match predict(&rows, &gaps, &own) {
            Some(prediction) => Ok(Measured::value(prediction)),
            None => MeasureError::undefined("the zoo has no other network to fit"),
        }
    }
}
