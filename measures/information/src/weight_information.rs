//! Information in the weights, by Gaussians.

use pgdl_measure::sums::sum_of_squared_differences;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};
use pgdl_measure_gradient::{FisherDiagonal, jackknife};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct WeightInformation {
    temperature: f64,
    samples: usize,
    draws: i64,
}

/// What `weight_information` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "weight_information",
    family: "information",
    version: 1,
    title: "The information in the weights, in nats: the divergence of the best Gaussian around them from the best Gaussian around the \
            initial ones.",
    formula: "KL(N(w, Σ) ‖ N(w₀, λ²I)) = ½ Σⱼ ln(1 + λ²Fⱼ/β),  Σ⁻¹ = diag(F)/β + I/λ²,  λ² the root of ‖w − w₀‖²/λ² = Σⱼ λ²Fⱼ/(β + λ²Fⱼ),  β = \
              temperature / n",
    shapes: "w, w₀: [P] all trainable parameters, BatchNormalization folded; F: [P] the diagonal of the Fisher information of the \
             network's own predictions, over the first m samples; n: the size of the training set",
    paper: "Achille, Paolini, Soatto 2019, Where is the Information in a Deep Neural Network? (the Fisher information in the weights); λ as \
            in MacKay 1992, Bayesian Interpolation",
    needs: &[Need::InitialWeights],
    cost: "4 draws of m/n B over copies of the network, one per sample, m = 1000; shared with tic",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Σ and λ minimize E_Σ[L]/β + KL with the loss to second order, L(w) + ½ Σⱼ Fⱼ Σⱼⱼ: at the best Σ it is L(w)/β + ½ \
                (‖w − w₀‖²/λ² + Σⱼ ln(1 + λ²Fⱼ/β)), the paper's form with ½ F for its F, and with w₀ in place of 0. The best λ makes \
                ‖w − w₀‖²/λ² the number γ of well-determined parameters; then KL = ½ Σ ln(1 + λ²Fⱼ/β), since its two other terms cancel. \
                The divergence from one prior for all training sets bounds I(w; S) from above in the mean; λ is fitted to this \
                network, which the bound would have to pay for. At temperature 1 the Gaussian is Laplace's approximation to Bayes' \
                posterior. iiw is the squared way from w₀ in the metric of the empirical Fisher matrix: it has no posterior \
                width, and vanishes with the loss. The details are λ (`prior_scale`), γ \
                (`effective_parameters`) and L's rise under Σ over β plus KL (`code_length`). 0 where the weights are the initial \
                ones, or F is 0. F is drawn, and the logarithm of a draw lies below that of the mean: with 4 draws the value comes out \
                about 1 % low (878 beside 887 for the exact F, network 37 of `mnist_width`), and its standard error, from so few \
                draws, is a rough one.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "temperature",
            kind: ParameterKind::Float { default: 1.0, min: 1e-9, max: 1e9 },
            doc: "what the loss of all training samples is divided by",
        },
        ParameterInfo {
            name: "samples",
            kind: ParameterKind::Integer { default: 1000, min: 2, max: i64::MAX },
            doc: "number m of samples, the first ones; all when there are fewer",
        },
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
            doc: "draws of random signs for F",
        },
    ],
};

impl WeightInformation {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            temperature: parameters.float("temperature")?,
            samples: usize::try_from(parameters.integer("samples")?).unwrap_or(usize::MAX),
            draws: parameters.integer("draws")?,
        })
    }
}

/// Posterior and prior at their best.
#[derive(Clone, Copy, Debug, Default)]
struct Information {
    /// λ².
    prior_variance: f64,
    /// γ = Σ a/(1 + a), a = λ²F/β.
    effective_parameters: f64,
    /// ½ Σ ln(1 + a).
    divergence: f64,
}

impl Information {
    /// Of `distance` = ‖w − w₀‖² and `precisions` = F/β, `[P]`, f64, none negative.
    fn of(distance: f64, precisions: &Tensor) -> Result<Self, MeasureError> {
        let largest = precisions.f_max()?.f_double_value(&[])?;
        if distance == 0.0 || largest == 0.0 {
            return Ok(Self::default());
        }
        let effective = |variance: f64| -> Result<f64, MeasureError> {
            let ratios = precisions.f_mul_scalar(variance)?;
            Ok(ratios.f_div(&ratios.f_add_scalar(1.0)?)?.f_sum(Kind::Double)?.f_double_value(&[])?)
        };
        // distance/λ² falls in λ² and γ rises. At the lower end γ < P = distance/λ²; at the upper one the largest precision c
        // alone makes γ large enough: λ²c/(1 + λ²c) ≥ distance/λ².
        let mut low = (distance / precisions.numel() as f64).ln();
        let mut high = (distance + (distance / largest).sqrt()).ln();
        while high - low > 1e-13 * high.abs().max(1.0) {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if distance / middle.exp() > effective(middle.exp())? {
                low = middle;
            } else {
                high = middle;
            }
        }
        let prior_variance = (0.5 * (low + high)).exp();
        let logarithms = precisions.f_mul_scalar(prior_variance)?.f_log1p()?;
        Ok(Self {
            prior_variance,
            effective_parameters: effective(prior_variance)?,
            divergence: 0.5 * logarithms.f_sum(Kind::Double)?.f_double_value(&[])?,
        })
    }
}

impl Measure for WeightInformation {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let initial = probe.folded_initial()?.trainable_vector()?;
        let distance = sum_of_squared_differences(&probe.folded()?.trainable_vector()?, &initial)?;
        let draws = probe.get(&FisherDiagonal { samples: self.samples, draws: self.draws })?;
        if !distance.is_finite() {
            return MeasureError::undefined("the weights are not finite");
        }
        let factor = probe.train_size() as f64 / self.temperature;
        let mut sum = draws[0].f_zeros_like()?;
        for draw in draws.iter() {
            sum = sum.f_add(draw)?;
        }
        let information = |left_out: Option<usize>| {
            probe.check_deadline()?;
            let (kept, count) = match left_out {
                // Rounding can make a difference of zero slightly negative.
                Some(draw) => (sum.f_sub(&draws[draw])?.f_clamp_min(0.0)?, draws.len() - 1),
                None => (sum.shallow_clone(), draws.len()),
            };
            Information::of(distance, &kept.f_mul_scalar(factor / count as f64)?)
        };
        let measured =
            jackknife(draws.len(), |left_out| Ok(Measured::value(information(left_out)?.divergence)))?;
        let Information { prior_variance, effective_parameters, divergence } = information(None)?;
        Ok(measured
            .with_detail("prior_scale", prior_variance.sqrt())
            .with_detail("effective_parameters", effective_parameters)
            .with_detail("code_length", divergence + 0.5 * effective_parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRECISIONS: [f64; 6] = [0.0, 1e-4, 0.3, 2.0, 50.0, 7e4];

    /// ½ Σ Fⱼ Σⱼⱼ / β + KL of two Gaussians, term by term.
    fn objective(distance: f64, prior: f64, variances: &[f64]) -> (f64, f64) {
        let rise: f64 = PRECISIONS.iter().zip(variances).map(|(f, v)| 0.5 * f * v).sum();
        let divergence = 0.5
            * (distance / prior + variances.iter().map(|v| v / prior - 1.0 - (v / prior).ln()).sum::<f64>());
        (rise + divergence, divergence)
    }

    /// The minimum of a function with one, by thirds of an interval of logarithms.
    fn least(function: impl Fn(f64) -> f64) -> f64 {
        let (mut low, mut high) = (-40f64, 40f64);
        while high - low > 1e-9 {
            let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if function(a.exp()) < function(b.exp()) { high = b } else { low = a }
        }
        (0.5 * (low + high)).exp()
    }

    /// Each variance by itself, then the prior's: no formula of the measure is used.
    #[test]
    fn it_is_the_divergence_at_the_numeric_minimum_over_both_gaussians() {
        for distance in [1e-3, 1.0, 30.0] {
            let best = |prior: f64| -> Vec<f64> {
                PRECISIONS
                    .iter()
                    .map(|f| least(|v| 0.5 * f * v + 0.5 * (v / prior - (v / prior).ln())))
                    .collect()
            };
            let prior = least(|prior| objective(distance, prior, &best(prior)).0);
            let (total, divergence) = objective(distance, prior, &best(prior));
            let found = Information::of(distance, &Tensor::from_slice(&PRECISIONS)).unwrap();
            assert!((found.prior_variance / prior - 1.0).abs() < 1e-5, "{found:?} {prior}");
            assert!((found.divergence / divergence - 1.0).abs() < 1e-5, "{found:?} {divergence}");
            let code = found.divergence + 0.5 * found.effective_parameters;
            assert!((code / total - 1.0).abs() < 1e-9, "{code} {total}");
        }
    }

    #[test]
    fn no_way_and_no_curvature_hold_no_information() {
        let precisions = Tensor::from_slice(&PRECISIONS);
        assert_eq!(Information::of(0.0, &precisions).unwrap().divergence, 0.0);
        assert_eq!(Information::of(2.0, &precisions.zeros_like()).unwrap().divergence, 0.0);
        // The limits are these values.
        assert!(Information::of(1e-30, &precisions).unwrap().divergence < 1e-8);
        assert!(Information::of(2.0, &(&precisions * 1e-30)).unwrap().divergence < 1e-8);
    }
}
