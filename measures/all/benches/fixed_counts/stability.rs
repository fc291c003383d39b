//! Samples left out, and random signs, one after the other.

use pgdl_measure::network::{Mode, Source};
use pgdl_measure::tch::{Kind, Tensor, no_grad};
use pgdl_measure::{MeasureError, Measured, Probe, kernels};

use crate::Found;
use crate::gradients::each_gradient;

/// The default ridge.
const RIDGE: f64 = 5e-4;

/// The last, dense layer: what it reads with a 1 behind, `[n, D]`, and the logits, `[n, C]`, f64.
fn last_layer(probe: &Probe) -> Result<(Tensor, Tensor), MeasureError> {
    let network = probe.folded()?.split_activations()?;
    let all = kernels(&network);
    let Some(kernel) = all.last() else { return MeasureError::undefined("the network has no kernel") };
    let source = network.architecture().nodes[kernel.node].inputs[0];
    let (mut features, mut logits) = (Vec::new(), Vec::new());
    for batch in probe.batches() {
        let batch = batch?;
        let outputs = no_grad(|| {
            network.forward_observed(&batch.inputs, Mode::Evaluate, &mut |node, output| {
                if source == Source::Node(node) {
                    features.push(output.f_to_kind(Kind::Double)?);
                }
                Ok(())
            })
        })?;
        probe.count_forward(batch.len());
        logits.push(outputs.f_to_kind(Kind::Double)?);
    }
    let features = Tensor::f_cat(&features, 0)?;
    let ones = features.f_new_ones([features.size()[0], 1], (Kind::Double, features.device()))?;
    Ok((Tensor::f_cat(&[features, ones], 1)?, Tensor::f_cat(&logits, 0)?))
}

/// The mean rise of a sample's loss after a Newton step of the last layer without it: the curvature of the others is
/// factorized anew for each.
pub fn leave_each_out(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    let (features, logits) = last_layer(probe)?;
    let (count, width, classes) = (features.size()[0], features.size()[1], logits.size()[1]);
    let rows = width * classes;
    let probabilities = logits.f_softmax(1, None)?;
    let labels = probe.labels();
    let own = labels.f_one_hot(classes)?.f_to_kind(Kind::Double)?;
    let residuals = probabilities.f_sub(&own)?;
    let outer = |one: &Tensor, other: &Tensor| one.f_unsqueeze(1)?.f_mul(&other.f_unsqueeze(0)?);
    let curvature = |sample: i64| -> Result<Tensor, MeasureError> {
        let (p, x) = (probabilities.f_get(sample)?, features.f_get(sample)?);
        let s = p.f_diag(0)?.f_sub(&outer(&p, &p)?)?;
        Ok(s.f_kron(&outer(&x, &x)?)?)
    };
    let options = (Kind::Double, features.device());
    let mut whole = Tensor::f_eye(rows, options)?.f_mul_scalar(RIDGE * count as f64)?;
    for sample in 0..count {
        whole = whole.f_add(&curvature(sample)?)?;
    }
    let mut shifts = Vec::new();
    for sample in 0..count {
        let factor = whole.f_sub(&curvature(sample)?)?.f_linalg_cholesky(false)?;
        let (r, x) = (residuals.f_get(sample)?, features.f_get(sample)?);
        let gradient = outer(&r, &x)?.f_reshape([rows, 1])?;
        let step = gradient.f_cholesky_solve(&factor, false)?.f_reshape([classes, width])?;
        shifts.push(step.f_mv(&x)?);
    }
    let losses = |logits: &Tensor| -> Result<f64, MeasureError> {
        let own = logits.f_log_softmax(1, None)?.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
        Ok(-own.f_mean(Kind::Double)?.f_double_value(&[])?)
    };
    let after = logits.f_add(&Tensor::f_stack(&shifts, 0)?)?;
    Ok(Found::exact(losses(&after)? - losses(&logits)?))
}

/// E‖Σᵢ σᵢ ∇ℓᵢ‖/m, the plain mean of 100 draws.
pub fn signs_one_by_one(probe: &Probe, _: &Measured) -> Result<Found, MeasureError> {
    const DRAWS: i64 = 100;
    let count = probe.sample_size().min(1000);
    let signs = probe.generator("fixed count").sign_tensor(&[DRAWS, count as i64])?;
    let parameters = probe.folded()?.trainable_vector()?.numel() as i64;
    let sums = Tensor::f_zeros([DRAWS, parameters], (probe.kind(), probe.device()))?;
    each_gradient(probe, count, &mut |sample, gradient| {
        let _ = sums.shallow_clone().f_addr_(&signs.f_select(1, sample)?, gradient)?;
        Ok(())
    })?;
    let norms = sums.f_to_kind(Kind::Double)?.f_square()?.f_sum_dim_intlist(1, false, None)?.f_sqrt()?;
    let draws = Vec::<f64>::try_from(norms.f_div_scalar(count as f64)?)?;
    Ok(Found::mean(&draws))
}
