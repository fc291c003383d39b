//! The signal-to-noise ratio of gradients.

use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::moments::{GradientMoments, SAMPLES, samples};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct Gsnr {
    samples: usize,
}

/// What `gsnr` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "gsnr",
    family: "gradient",
    version: 1,
    title: "The negative of the mean signal-to-noise ratio of the loss gradient, parameter by parameter.",
    formula: "−(1/P′) Σ_j ḡ_j² / ρ_j²,  ḡ_j and ρ_j² mean and variance of ∂ℓᵢ/∂w_j over i = 1 … m",
    shapes: "w: [P] all trainable parameters, BatchNormalization folded; j runs over the P′ of them whose gradient varies; ρ²: [P], unbiased; m: the first samples of the sample",
    paper: "Liu, Bai, Jiang, Chen, Wang 2020, Understanding Why Neural Networks Generalize Well Through GSNR of Parameters, \
            eq. 1",
    needs: &[Need::Labels],
    cost: "m/n B over copies of the network, one per sample, m = 1000; shared with the other moments of gradients",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "Pure noise has a ratio of 1/m in expectation, which is not subtracted: m is the same for all networks. \
                Parameters whose gradient does not vary (those of dead units, above all) are left out and counted. \
                Undefined where that is all of them. The paper follows the ratio through training; here it is that at the end.",
    stochastic: false,
    control: false,
    parameters: &[SAMPLES],
};

impl Gsnr {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { samples: samples(parameters)? })
    }
}

impl Measure for Gsnr {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let moments = probe.get(&GradientMoments { samples: self.samples })?;
        let count = moments.count();
        if count < 2.0 {
            return MeasureError::undefined("one sample has no variance");
        }
        let signal = moments.mean.f_square()?;
        // The difference of nearly equal numbers is noise of rounding: it counts as no variance.
        let spread = moments.second.f_sub(&signal)?;
        let varies = spread.f_gt_tensor(&moments.second.f_mul_scalar(1e-12)?)?;
        let variance = spread.f_masked_select(&varies)?.f_mul_scalar(count / (count - 1.0))?;
        let kept = variance.numel();
        if kept == 0 {
            return MeasureError::undefined("no parameter's gradient varies over the samples");
        }
        let ratios = signal.f_masked_select(&varies)?.f_div(&variance)?;
        let value = -ratios.f_mean(Kind::Double)?.f_double_value(&[])?;
        Ok(Measured::value(value).with_detail("left_out", (signal.numel() - kept) as f64))
    }
}
