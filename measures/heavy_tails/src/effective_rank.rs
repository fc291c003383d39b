//! How many directions the singular values spread over.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_spectra::{LayerSpectrum, mean_over_layers};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct EffectiveRank;

/// What `effective_rank` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "effective_rank",
    family: "heavy_tails",
    version: 1,
    title: "The mean exponential of the entropy of the singular values.",
    formula: "(1/L) Σ_ℓ exp(−Σ p ln p),  p = σ / Σ σ,  σ = √λ",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10",
    paper: "Roy, Vetterli 2007, The Effective Rank: A Measure of Effective Dimensionality",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "From 1 to the rank; it weighs small singular values more than `stable_rank`. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for EffectiveRank {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(effective_rank(spectrum)))
    }
}

/// exp of the entropy, in nats, of the singular values as shares of their sum.
fn effective_rank(spectrum: &LayerSpectrum) -> f64 {
    let total: f64 = spectrum.eigenvalues.iter().map(|lambda| lambda.sqrt()).sum();
    let entropy: f64 = spectrum
        .eigenvalues
        .iter()
        .map(|lambda| lambda.sqrt() / total)
        .filter(|share| *share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    entropy.exp()
}
