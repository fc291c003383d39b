//! What the grid alone says of the gap.

use pgdl_measure::{
    HyperValue, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo,
    ParameterKind, Parameters, Probe, RegistryError, TrueNetwork,
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
                collinear among the other networks are left out; a level that no other network has counts as the average \
                one.",
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

    /// A row of columns for each of the `others`, and one for `own`.
    fn encode(&self, others: &[&TrueNetwork], own: &TrueNetwork) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rows = vec![Vec::new(); others.len()];
        let mut at = Vec::new();
        for (axis, own) in own.hyperparameters.iter().enumerate() {
            let values: Vec<&HyperValue> =
                others.iter().map(|network| &network.hyperparameters[axis]).collect();
            let numbers: Option<Vec<f64>> = values.iter().map(|value| value.number()).collect();
            match (numbers, own.number()) {
                (Some(numbers), Some(own)) if !self.levels => {
                    rows.iter_mut().zip(numbers).for_each(|(row, number)| row.push(number));
                    at.push(own);
                }
                _ => {
                    let levels = distinct(&values);
                    for &level in levels.iter().skip(1) {
                        let column: Vec<f64> =
                            values.iter().map(|value| f64::from(u8::from(*value == level))).collect();
                        // Nothing is known of a level that no other network has: it counts as the average one.
                        at.push(match levels.contains(&own) {
                            true => f64::from(u8::from(own == level)),
                            false => column.iter().sum::<f64>() / column.len() as f64,
                        });
                        rows.iter_mut().zip(column).for_each(|(row, value)| row.push(value));
                    }
                }
            }
        }
        (rows, at)
    }
}

fn distinct<'a>(values: &[&'a HyperValue]) -> Vec<&'a HyperValue> {
    let mut seen = Vec::new();
    for &value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

impl Measure for HyperparametersOnly {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let truth = probe.truth()?;
        let Some(own) = truth.networks.get(truth.index) else {
            return MeasureError::unavailable("the network itself is not among those with a known gap");
        };
        let axes = own.hyperparameters.len();
        if axes == 0 {
            return MeasureError::undefined("the zoo has no hyperparameters");
        }
        if truth.networks.iter().any(|network| network.hyperparameters.len() != axes) {
            return MeasureError::failed("the networks of the zoo do not all have the same hyperparameters");
        }
        let networks = truth.networks.iter().enumerate();
        let others: Vec<&TrueNetwork> =
            networks.filter(|(index, _)| *index != truth.index).map(|(_, network)| network).collect();
        let gaps: Vec<f64> = others.iter().map(|network| network.gap).collect();
        let (rows, own) = self.encode(&others, own);
        match predict(&rows, &gaps, &own) {
            Some(prediction) => Ok(Measured::value(prediction)),
            None => MeasureError::undefined("the zoo has no other network to fit"),
        }
    }
}
