//! Takeuchi's information criterion.

use pgdl_measure::network::{Mode, hessian_products};
use pgdl_measure::tch::{Kind, Reduction, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::fisher::FisherDiagonal;
use crate::jackknife::{jackknife, unbiased_jackknife};
use crate::moments::{GradientMoments, SAMPLES, ratio, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Tic {
    samples: usize,
    draws: i64,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// tr C / tr F
    Trace,
    /// Σ_j C_jj / (F_jj + damping)
    Diagonal,
    /// tr C / tr H
    HessianTrace,
}

/// Share of the mean entry of F's diagonal that is added to each entry.
const DAMPING: f64 = 1e-3;

/// What `tic` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "tic",
    family: "gradient",
    version: 1,
    title: "Takeuchi's information criterion, approximated: the noise of the gradients over the curvature of the loss.",
    formula: "tr C / tr F;  form=diagonal: Σ_j C_jj / (F_jj + λ),  λ = 10⁻³ tr F / P;  form=hessian_trace: tr C / tr H.  C = (1/m) Σᵢ gᵢ \
              gᵢᵀ,  gᵢ = ∇_w ℓᵢ,  F the Fisher information of the network's own predictions,  H = ∇²_w (1/m) Σᵢ ℓᵢ",
    shapes: "w: [P] all trainable parameters, BatchNormalization folded; C, F, H: [P, P], of which diagonals or traces are \
             taken; m: the first samples of the sample",
    paper: "Thomas, Pedregosa, van Merriënboer, Mangazol, Bengio, Le Roux 2020, On the Interplay between Noise and Curvature and \
            its Effect on Optimization and Generalization (tr(H⁻¹ C), with tr C / tr F and tr C / tr H for it)",
    needs: &[Need::Labels],
    cost: "(1 + draws) m/n B over copies of the network, one per sample; hessian_trace: m/n B over copies and draws · m/n HVP; m = \
           1000, 4 draws",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "tr(H⁻¹ C)/n is the expected gap of losses of a regular model. F takes the place of H by default: it has no negative \
                directions, and is H where the network is linear in its parameters. The traces are estimated with random signs; \
                the standard error is that of the draws (jackknife). `diagonal` divides by what is estimated, and the \
                jackknife's estimate of the bias that this brings is subtracted. It is invariant to the scale of each parameter, but for \
                the damping, which keeps dead parameters (0/0) out. Undefined where the curvature is not positive.",
    stochastic: true,
    control: false,
    parameters: &[
        SAMPLES,
        ParameterInfo {
            name: "draws",
            kind: ParameterKind::Integer { default: 4, min: 2, max: 10_000 },
            doc: "draws of random signs",
        },
        ParameterInfo {
            name: "form",
            kind: ParameterKind::Choice {
                default: "trace",
                options: &["trace", "diagonal", "hessian_trace"],
            },
            doc: "how tr(H⁻¹ C) is approximated",
        },
    ],
};

impl Tic {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        let form = match parameters.choice("form")? {
            "diagonal" => Form::Diagonal,
            "hessian_trace" => Form::HessianTrace,
            _ => Form::Trace,
        };
        Ok(Self { samples: samples(parameters)?, draws: parameters.integer("draws")?, form })
    }

    /// vᵀ H v for random signs v: one estimate of tr H for each draw.
    fn hessian_traces(&self, probe: &Probe) -> Result<Vec<f64>, MeasureError> {
        let network = probe.folded()?;
        let size = network.trainable_vector()?.size()[0];
        let mut generator = probe.generator("signs");
        let signs: Vec<Tensor> =
            (0..self.draws).map(|_| generator.sign_tensor(&[size])).collect::<Result<_, _>>()?;
        let mut sums = vec![0.0; signs.len()];
        let mut count = 0.0;
        for batch in probe.batches_of(self.samples) {
            let batch = batch?;
            let found = hessian_products(
                &network,
                |network| {
                    let logits = network.forward(&batch.inputs, Mode::Evaluate)?;
                    Ok(logits.f_cross_entropy_loss::<Tensor>(
                        &batch.labels,
                        None,
                        Reduction::Sum,
                        -100,
                        0.0,
                    )?)
                },
                &signs,
            )?;
            probe.count_forward(batch.len());
            probe.count_backward(batch.len());
            for ((sum, sign), product) in sums.iter_mut().zip(&signs).zip(&found.products) {
                let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
                *sum += double(sign)?.f_dot(&double(product)?)?.f_double_value(&[])?;
                probe.count_hvp(batch.len());
            }
            count += batch.len() as f64;
        }
        Ok(sums.into_iter().map(|sum| sum / count).collect())
    }
}

impl Measure for Tic {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moments = probe.get(&GradientMoments { samples: self.samples })?;
        let trace = moments.trace();
        let measured = if self.form == Form::Diagonal {
            let draws = probe.get(&FisherDiagonal { samples: self.samples, draws: self.draws })?;
            unbiased_jackknife(draws.len(), |left_out| {
                let kept = draws.iter().enumerate().filter(|(draw, _)| Some(*draw) != left_out);
                let kept: Vec<&Tensor> = kept.map(|(_, diagonal)| diagonal).collect();
                let diagonal = Tensor::f_stack(&kept, 0)?.f_mean_dim(0i64, false, None)?;
                let damping = DAMPING * diagonal.f_mean(Kind::Double)?.f_double_value(&[])?;
                if damping.is_nan() || damping <= 0.0 {
                    return MeasureError::undefined(
                        "the Fisher information is zero, and the measure divides by it",
                    );
                }
                let ratios = moments.second.f_div(&diagonal.f_add_scalar(damping)?)?;
                Ok(Measured::value(ratios.f_sum(Kind::Double)?.f_double_value(&[])?))
            })?
        } else {
            let traces = if self.form == Form::HessianTrace {
                self.hessian_traces(probe)?
            } else {
                let draws = probe.get(&FisherDiagonal { samples: self.samples, draws: self.draws })?;
                let sum = |diagonal: &Tensor| diagonal.f_sum(Kind::Double)?.f_double_value(&[]);
                draws.iter().map(sum).collect::<Result<_, _>>()?
            };
            jackknife(traces.len(), |left_out| {
                let kept = traces.iter().enumerate().filter(|(draw, _)| Some(*draw) != left_out);
                let (sum, count) =
                    kept.fold((0.0, 0.0), |(sum, count), (_, trace)| (sum + trace, count + 1.0));
                ratio(trace, sum / count, "the trace of the curvature")
            })?
        };
        Ok(measured.with_detail("gradient_trace", trace))
    }
}
