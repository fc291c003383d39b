//! The dimension of the manifold that the activations lie on.

use pgdl_measure::{
    Invariances, Measure, MeasureError, MeasureInfo, Measured, ParameterInfo, ParameterKind, Parameters,
    Probe, RegistryError,
};

use crate::gram::{Grams, ROUNDING, centred, rows, samples_parameter};
use crate::hidden_layers::{self, LAYER, layer_parameter};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct TwoNn {
    layer: i64,
    samples: i64,
    discard: f64,
}

/// Fewer different points say nothing about a dimension.
const FEWEST: usize = 10;

/// What `two_nn` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "two_nn",
    family: "representation",
    version: 1,
    title: "The intrinsic dimension of the activations in a hidden layer, from the distances to the two nearest neighbours.",
    formula: "slope d through the origin of −ln(1 − i/N) on ln μ_(i),  μ = r₂/r₁, i = 1 … 0.9 N in ascending order",
    shapes: "r₁, r₂: [N] distances of each sample's activations h, [N, D], to the nearest and the second nearest; N: the \
             different ones among samples spread evenly over the sample",
    paper: "Facco, d'Errico, Rodriguez, Laio 2017, Estimating the intrinsic dimension of datasets by a minimal \
            neighborhood information; Ansuini, Laio, Macke, Zoccolan 2019, Intrinsic dimension of data representations \
            in deep neural networks, for its link to generalization in the last hidden layer",
    needs: &[],
    cost: "m/n F and O(m² · dim h), m = 1000",
    invariances: Invariances::ALL,
    behaviour: "Duplicates (squared distance below 1e-12 of the mean squared distance from the mean) are dropped first. \
                It assumes a density that is even on the scale of the second neighbour; in more than about ten \
                dimensions it comes out too small. Undefined with fewer than ten different points, and where no second \
                neighbour is farther than the first.",
    stochastic: false,
    control: false,
    parameters: &[
        LAYER,
        samples_parameter(1000),
        ParameterInfo {
            name: "discard",
            kind: ParameterKind::Float { default: 0.1, min: 0.0, max: 0.9 },
            doc: "share of the largest ratios that the fit leaves out",
        },
    ],
};

impl TwoNn {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// `layer=0`.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            layer: layer_parameter(INFO.id, parameters)?,
            samples: parameters.integer("samples")?,
            discard: parameters.float("discard")?,
        })
    }
}

impl Measure for TwoNn {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let representation = hidden_layers::chosen(probe.network(), self.layer)?;
        let grams = probe.get(&Grams::of_node(representation.node, self.samples))?;
        let squares = squared_distances(&rows(&centred(&grams[0])?)?);
        let (points, ratios) = neighbour_ratios(&squares);
        if points < FEWEST {
            return MeasureError::undefined(format!("only {points} different points among the activations"));
        }
        let Some(dimension) = slope(ratios, self.discard) else {
            return MeasureError::undefined("no second neighbour is farther than the first");
        };
        Ok(Measured::value(dimension)
            .with_detail("points", points as f64)
            .with_detail("layer", representation.layer))
    }
}

/// ‖xᵢ − xⱼ‖² from centred inner products; 0 where that is rounding.
fn squared_distances(gram: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let scale = (0..gram.len()).map(|i| gram[i][i]).sum::<f64>() / gram.len() as f64;
    let square = |i: usize, j: usize| {
        let square = gram[i][i] + gram[j][j] - 2.0 * gram[i][j];
        if square > ROUNDING * scale { square } else { 0.0 }
    };
    (0..gram.len()).map(|i| (0..gram.len()).map(|j| square(i, j)).collect()).collect()
}

/// Number of different points, and r₂/r₁ of each.
fn neighbour_ratios(squares: &[Vec<f64>]) -> (usize, Vec<f64>) {
    let mut kept: Vec<usize> = Vec::new();
    for (point, row) in squares.iter().enumerate() {
        if kept.iter().all(|&other| row[other] > 0.0) {
            kept.push(point);
        }
    }
    let ratios = kept.iter().filter_map(|&point| {
        let (mut first, mut second) = (f64::INFINITY, f64::INFINITY);
        for &other in kept.iter().filter(|&&other| other != point) {
            let square = squares[point][other];
            if square < first {
                (first, second) = (square, first);
            } else if square < second {
                second = square;
            }
        }
        second.is_finite().then(|| (second / first).sqrt())
    });
    let ratios = ratios.collect();
    (kept.len(), ratios)
}

/// The fit through the origin; `None` where all ratios are 1.
fn slope(mut ratios: Vec<f64>, discard: f64) -> Option<f64> {
    ratios.sort_unstable_by(f64::total_cmp);
    let count = ratios.len() as f64;
    // The last point has no logarithm.
    let used = ((count * (1.0 - discard)).floor() as usize).min(ratios.len().saturating_sub(1));
    let (mut crossed, mut squared) = (0.0, 0.0);
    for (position, ratio) in ratios[..used].iter().enumerate() {
        let (x, y) = (ratio.ln(), -(-((position + 1) as f64) / count).ln_1p());
        crossed += x * y;
        squared += x * x;
    }
    (squared > 0.0).then(|| crossed / squared).filter(|slope| slope.is_finite())
}

#[cfg(test)]
mod tests {
    use pgdl_measure::Generator;
    use pgdl_measure::tch::{Device, Kind};

    use super::*;
    use crate::gram::products;

    #[test]
    fn uniform_cubes_have_their_dimension() {
        // The standard error of the estimate is about d / √(0.9 N); borders pull it down, by a few percent in 5 dimensions.
        for (dimension, share) in [(1, 0.02), (2, 0.03), (5, 0.1)] {
            let mut generator = Generator::new(&[b"cube"], Device::Cpu, Kind::Double);
            let count = 1500i64;
            let cube = generator.uniform_tensor(&[count, dimension]).unwrap();
            // Turned into 20 dimensions by orthonormal random directions, and moved.
            let (_, _, directions) = generator.normal_tensor(&[dimension, 20]).unwrap().svd(true, true);
            let points = cube.matmul(&directions.transpose(0, 1)) + 3.0;
            let gram = centred(&products(&points).unwrap()).unwrap();
            let (kept, ratios) = neighbour_ratios(&squared_distances(&rows(&gram).unwrap()));
            assert_eq!(kept, 1500);
            let found = slope(ratios, 0.1).unwrap();
            let d = dimension as f64;
            let tolerance = 3.0 * d / (0.9 * count as f64).sqrt() + share * d;
            assert!((found - d).abs() < tolerance, "{dimension}: {found}");
        }
    }

    #[test]
    fn duplicates_are_dropped() {
        let gram = |values: &[f64]| -> Vec<Vec<f64>> {
            values.iter().map(|a| values.iter().map(|b| a * b).collect()).collect()
        };
        let once = neighbour_ratios(&squared_distances(&gram(&[-3.0, -1.0, 0.5, 1.0, 2.5])));
        let twice = neighbour_ratios(&squared_distances(&gram(&[-3.0, -3.0, -1.0, 0.5, 0.5, 0.5, 1.0, 2.5])));
        assert_eq!(once, twice);
        // By hand: neighbours of −3 at 2 and 3.5, of −1 at 1.5 and 2, of 0.5 at 0.5 and 1.5, of 1 at 0.5 and 1.5, of 2.5 at 1.5 and 2.
        let expected = [3.5 / 2.0, 2.0 / 1.5, 3.0, 3.0, 2.0 / 1.5];
        assert_eq!(once.0, 5);
        assert!(once.1.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-12), "{once:?}");
    }

    #[test]
    fn exact_ratios_of_a_line_give_their_slope() {
        // μ_(i) = (1 − i/N)^−1/d lies on the line of slope d.
        for d in [0.5, 3.0] {
            let ratios = (1..=50).map(|i| (1.0 - f64::from(i) / 50.0).powf(-1.0 / d)).collect();
            assert!((slope(ratios, 0.1).unwrap() - d).abs() < 1e-12);
        }
        assert_eq!(slope(vec![1.0; 20], 0.1), None);
    }
}
