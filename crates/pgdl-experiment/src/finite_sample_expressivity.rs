//! Two layers with 2n + d weights fit any n labels.

use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Generator, tch};
use pgdl_report::{Cell, Column, Curve, Curves, Digits, Table};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::{ExperimentError, Result};
use crate::estimate::Estimate;
use crate::experiment::{Experiment, ExperimentInfo};
use crate::outcome::{Outcome, Published};
use crate::run::Run;

/// See [`INFO`].
pub struct FiniteSampleExpressivity;

/// What `finite_sample_expressivity` says of itself.
static INFO: ExperimentInfo = ExperimentInfo {
    name: "finite_sample_expressivity",
    title: "A ReLU network of two layers with 2n + d weights, written down and not trained, fits any labels of n samples in \
            d dimensions.",
    paper: "Zhang, Bengio, Hardt, Recht, Vinyals 2017, Understanding Deep Learning Requires Rethinking Generalization, \
            th. 1",
    version: 1,
    quick: "up to 1,000 images of CIFAR-10 with random labels, and as many normal vectors; seconds",
    full: "up to 50,000 images of CIFAR-10 with random labels, and as many normal vectors",
    data: &["cifar10"],
    options: &[],
};

/// Labels are drawn from so many classes.
const CLASSES: i64 = 10;

#[derive(Serialize, Deserialize)]
struct Fitted {
    dimensions: i64,
    weights: i64,
    largest_error: f64,
    accuracy: f64,
}

impl Experiment for FiniteSampleExpressivity {
    fn info(&self) -> &'static ExperimentInfo {
        &INFO
    }

    fn run(&self, run: &mut Run<'_>) -> Result<Outcome> {
        let sizes: &[usize] = if run.quick() { &[10, 100, 1000] } else { &[10, 100, 1000, 10_000, 50_000] };
        run.expect(2 * sizes.len());
        let mut table = Table::new(vec![
            Column::new("inputs", "inputs"),
            Column::new("n", "n"),
            Column::new("dimensions", "d"),
            Column::new("weights", "weights"),
            Column::new("largest_error", "largest |f(x) − y|").digits(Digits::Significant(3)),
            Column::new("accuracy", "accuracy").digits(Digits::Fixed { decimals: 4, scale: 1.0 }),
        ]);
        let mut outcome = Outcome::default();
        let mut curves = Vec::new();
        for inputs in ["cifar10", "normal"] {
            let mut points = Vec::new();
            for &n in sizes {
                let key = format!("{inputs} n={n}");
                let fitted: Fitted = run.cell(&key, |run| cell(inputs, n, run.seed(&key)))?;
                table.push(vec![
                    Cell::text(inputs),
                    Cell::count(n),
                    Cell::count(fitted.dimensions as usize),
                    Cell::count(fitted.weights as usize),
                    Cell::number(fitted.largest_error),
                    Cell::number(fitted.accuracy),
                ]);
                points.push((n as f64, fitted.largest_error));
                if Some(&n) == sizes.last() {
                    outcome = outcome.beside(Published {
                        what: format!("accuracy on {n} samples ({inputs}) with random labels"),
                        published: "1".to_owned(),
                        source: "Zhang et al. 2017, th. 1".to_owned(),
                        measured: Some(Estimate::exact(fitted.accuracy)),
                    });
                }
            }
            curves.push(Curve::through(inputs, points));
        }
        let figure = Curves {
            title: "What 2n + d weights leave of random labels".to_owned(),
            x: "samples n".to_owned(),
            y: "largest |f(x) − y|; labels 0 to 9".to_owned(),
            logarithmic_x: true,
            logarithmic_y: true,
            curves,
            ..Curves::default()
        };
        Ok(outcome
            .finding("What is left of the labels is the rounding of 64-bit numbers alone.")
            .table("fits", "Fits of random labels", table)
            .figure("fits", figure))
    }
}

fn cell(inputs: &str, n: usize, seed: u64) -> Result<Fitted> {
    let mut random = Generator::new(&[&seed.to_le_bytes()], tch::Device::Cpu, Kind::Double);
    let x = match inputs {
        "normal" => random.normal_tensor(&[n as i64, 100])?,
        name => data::first(name, n, 1)?.0.inputs.f_reshape([n as i64, -1])?.f_to_kind(Kind::Double)?,
    };
    let labels = random.uniform_tensor(&[n as i64])?.f_mul_scalar(CLASSES as f64)?.f_floor()?;
    let network = Interpolator::fit(&x, &labels, &mut random)?;
    let outputs = network.outputs(&x)?;
    let errors = outputs.f_sub(&labels)?.f_abs()?;
    let right = outputs.f_round()?.f_eq_tensor(&labels)?;
    Ok(Fitted {
        dimensions: x.size()[1],
        weights: network.weights(),
        largest_error: errors.f_max()?.f_double_value(&[])?,
        accuracy: right.f_mean(Kind::Double)?.f_double_value(&[])?,
    })
}

/// x ↦ Σⱼ wⱼ max(a·x − bⱼ, 0): d + n + n weights.
struct Interpolator {
    /// `[d]`.
    direction: Tensor,
    /// `[n]`.
    thresholds: Tensor,
    /// `[n]`.
    slopes: Tensor,
}

impl Interpolator {
    /// The network that takes the value `labels`, `[n]`, on the rows of `x`, `[n, d]`; both f64.
    ///
    /// With a random direction a, all zᵢ = a·xᵢ differ. In their order, bⱼ lies below zⱼ and above the z before; the matrix
    /// max(zᵢ − bⱼ, 0) is then lower triangular with a positive diagonal, and w solves a triangular system. Here it is
    /// solved slope by slope: between b's the function is linear.
    fn fit(x: &Tensor, labels: &Tensor, random: &mut Generator) -> Result<Interpolator> {
        let direction = random.normal_tensor(&[x.size()[1]])?;
        let (sorted, order) = x.f_mv(&direction)?.f_sort(0, false)?;
        let z = Vec::<f64>::try_from(&sorted)?;
        let y = Vec::<f64>::try_from(&labels.f_index_select(0, &order)?)?;
        let (mut thresholds, mut slopes) = (Vec::with_capacity(z.len()), Vec::with_capacity(z.len()));
        let (mut before, mut slope) = (None, 0.0);
        for (&z, &y) in z.iter().zip(&y) {
            let (last_z, last_y) = before.unwrap_or((z - 1.0, 0.0));
            if z <= last_z {
                return Err(ExperimentError::failed(
                    "two samples are the same: no function tells them apart",
                ));
            }
            // Near the z before: the slope until there then counts little, and rounding does not add up.
            let threshold = last_z + 0.25 * (z - last_z);
            let new = (y - last_y - slope * (threshold - last_z)) / (z - threshold);
            thresholds.push(threshold);
            slopes.push(new - slope);
            (slope, before) = (new, Some((z, y)));
        }
        Ok(Interpolator {
            direction,
            thresholds: Tensor::f_from_slice(&thresholds)?,
            slopes: Tensor::f_from_slice(&slopes)?,
        })
    }

    /// The outputs `[n]` on rows `[n, d]`.
    fn outputs(&self, x: &Tensor) -> Result<Tensor> {
        const ROWS: i64 = 1000;
        let hidden = |z: &Tensor| -> Result<Tensor> {
            let layer = z.f_unsqueeze(1)?.f_sub(&self.thresholds.f_unsqueeze(0)?)?.f_relu()?;
            Ok(layer.f_mv(&self.slopes)?)
        };
        let parts = x.f_mv(&self.direction)?.f_split(ROWS, 0)?;
        Ok(Tensor::f_cat(&parts.iter().map(hidden).collect::<Result<Vec<_>>>()?, 0)?)
    }

    fn weights(&self) -> i64 {
        (self.direction.numel() + self.thresholds.numel() + self.slopes.numel()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_network::{Activation, Architecture, Dense, Layer, Mode, Network};

    fn random(seed: &str) -> Generator {
        Generator::new(&[seed.as_bytes()], tch::Device::Cpu, Kind::Double)
    }

    #[test]
    fn any_labels_are_fitted_by_an_ordinary_network_of_two_layers() {
        let (n, d) = (200, 7);
        let mut random = random("labels");
        let x = random.normal_tensor(&[n, d]).unwrap();
        let labels = random.normal_tensor(&[n]).unwrap() * 5.0;
        let fitted = Interpolator::fit(&x, &labels, &mut random).unwrap();
        assert_eq!(fitted.weights(), 2 * n + d);
        // The same as a network: every hidden unit has the direction as its weights.
        let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
        let layers = vec![dense(n, Activation::Relu), dense(1, Activation::Linear)];
        let kernel = fitted.direction.unsqueeze(1).repeat([1, n]);
        let weights = vec![
            vec![kernel, -&fitted.thresholds],
            vec![fitted.slopes.unsqueeze(1), Tensor::zeros([1], (Kind::Double, tch::Device::Cpu))],
        ];
        let network = Network::new(Architecture::sequential(vec![d], layers).unwrap(), weights).unwrap();
        let outputs = network.forward(&x, Mode::Evaluate).unwrap().squeeze_dim(1);
        for found in [outputs, fitted.outputs(&x).unwrap()] {
            let error = (found - &labels).abs().max().double_value(&[]);
            assert!(error < 1e-7, "{error}");
        }
    }

    #[test]
    fn samples_that_are_the_same_are_refused() {
        let x = Tensor::ones([2, 3], (Kind::Double, tch::Device::Cpu));
        let labels = Tensor::from_slice(&[0.0, 1.0]);
        assert!(Interpolator::fit(&x, &labels, &mut random("same")).is_err());
    }
}
