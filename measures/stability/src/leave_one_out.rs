//! The leave-one-out loss of the last layer.

use pgdl_measure::tch::Kind;
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, Parameters, Probe, RegistryError,
};

use crate::influence::{FORM, Influence, RIDGE};
use crate::last_layer::LastLayer;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct LeaveOneOut {
    influence: Influence,
}

/// What `leave_one_out` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "leave_one_out",
    family: "stability",
    version: 1,
    title: "How much larger the loss of a sample is when the last layer is refitted without it, by one Newton step.",
    formula: "(1/n) Σᵢ ℓ(fᵢ + (I − Qᵢ Sᵢ)⁻¹ Qᵢ rᵢ, yᵢ) − (1/n) Σᵢ ℓ(fᵢ, yᵢ),  Qᵢ = (I ⊗ φᵢ)ᵀ A⁻¹ (I ⊗ φᵢ),  A = Σⱼ Sⱼ ⊗ φⱼφⱼᵀ + nλ I,  Sᵢ = \
              diag(pᵢ) − pᵢpᵢᵀ,  rᵢ = pᵢ − e_{yᵢ}",
    shapes: "fᵢ: [C] logits; pᵢ: [C] their softmax; φᵢ: [D] what the last layer reads, with a 1 for the bias; A: [CD, CD]; Qᵢ, Sᵢ: [C, C]; \
             ℓ: cross-entropy; n: the sample",
    paper: "Rad & Maleki 2020, A Scalable Estimate of the Out-of-Sample Prediction Error via Approximate Leave-One-Out \
            Cross-Validation",
    needs: &[Need::Labels],
    cost: "1 F, and a matrix of CD rows: its assembly, its inverse and its forms, n(CD)² + (CD)³ each",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "All layers but the last are held fixed; its loss with the ridge nλ/2 ‖W‖² is convex. The step leads from the \
                weights as they are along the gradient of the sample that is left out, with the curvature of the others (of \
                which the Sherman–Morrison–Woodbury identity makes that of all): exact for a squared loss, and close where one \
                sample moves its own probabilities little. Where the last layer is no minimum of its loss with the ridge, the \
                rest of the gradient is left aside. Where the network is certain and wrong, the curvature is small and the step far too \
                long: such samples can dominate the mean. The features have seen the sample that is left out, so that the value does \
                not know what the other layers have learned by heart: on mnist_width, where narrow layers generalize worst, it \
                ranks against the gap (τ = −0.55). A is a generalized Gauss–Newton matrix, here also the Hessian. BatchNormalization is \
                folded first. A convolution whose outputs are averaged has the average patch as φ. form=class drops \
                what couples the classes, in A and in Sᵢ. Unavailable with form=full where CD is above 6000; undefined where \
                the logits are no affine function of the last kernel.",
    stochastic: false,
    control: false,
    parameters: &[RIDGE, FORM],
};

impl LeaveOneOut {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self { influence: Influence::new(parameters)? })
    }
}

impl Measure for LeaveOneOut {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let logits = &probe.get(&LastLayer)?.logits;
        let effects = probe.get(&self.influence)?;
        let labels = probe.labels().f_unsqueeze(1)?;
        let mean_loss = |logits: &pgdl_measure::tch::Tensor| -> Result<f64, MeasureError> {
            let own = logits.f_log_softmax(1, Kind::Double)?.f_gather(1, &labels, false)?;
            Ok(-own.f_mean(Kind::Double)?.f_double_value(&[])?)
        };
        let (loss, without) = (mean_loss(logits)?, mean_loss(&logits.f_add(&effects.shifts)?)?);
        Ok(Measured::value(without - loss)
            .with_detail("loss", loss)
            .with_detail("leave_one_out_loss", without))
    }
}
