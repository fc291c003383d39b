//! How much of the spectrum randomness explains.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::layer_spectra::{LayerSpectrum, mean_over_layers};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct MpSoftRank;

/// What `mp_soft_rank` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "mp_soft_rank",
    family: "heavy_tails",
    version: 1,
    title: "The mean ratio of the Marchenko–Pastur bulk edge to the largest eigenvalue.",
    formula: "(1/L) Σ_ℓ λ⁺/λ_max,  λ⁺ = s²(√N + √M)²,  s² = mean of λ/N over the eigenvalues ≤ λ⁺, the M of the matrix at first, until nothing changes",
    shapes: "λ: the positive eigenvalues of W_ℓᵀW_ℓ, W_ℓ: [kh·kw·in, out] or [in, out], BatchNormalization folded in; L: the layers with at least 10; N: the longer side of W_ℓ; M: number of λ",
    paper: "Martin, Mahoney 2021, Implicit Self-Regularization in Deep Neural Networks (JMLR): the MP soft rank; the bulk's variance without its spikes",
    needs: &[],
    cost: "O(P · the shorter side of the matrices), weights only",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    },
    behaviour: "Near 1 for random entries, whose largest eigenvalue may lie below the edge, near 0 where few directions stand far above the bulk. Zero eigenvalues (dead units) count nowhere. The steps only lower the edge, and so end; a heavy tail without a bulk pushes it far down. Layers with fewer than 10 positive eigenvalues are left out, and counted in the details; undefined where none is left.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for MpSoftRank {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        mean_over_layers(probe, |spectrum| Ok(bulk_edge(spectrum) / spectrum.largest()))
    }
}

/// λ⁺ = s²(√N + √M)², where Marchenko and Pastur's law for a bulk of variance s² ends.
fn bulk_edge(spectrum: &LayerSpectrum) -> f64 {
    let values = &spectrum.eigenvalues;
    let (longer, shorter) = (spectrum.shape.0 as f64, values.len() as f64);
    let width = (1.0 + (shorter / longer).sqrt()).powi(2);
    let mut bulk = values.len();
    loop {
        // Ascending: the bulk is what comes before the spikes. Its smallest value is below its mean, and so stays.
        let edge = values[..bulk].iter().sum::<f64>() / bulk as f64 * width;
        let below = values[..bulk].iter().filter(|lambda| **lambda <= edge).count();
        if below == bulk || below == 0 {
            return edge;
        }
        bulk = below;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(shape: (i64, i64), eigenvalues: Vec<f64>) -> LayerSpectrum {
        LayerSpectrum { layer: "dense".to_string(), shape, eigenvalues }
    }

    #[test]
    fn spikes_do_not_raise_the_bulk() {
        // N = M = 4: edge = s² · 16 = 4 · mean λ. Four ones: edge 4. With a spike of 100: mean 25.75, edge 103 ≥ 100.
        assert_eq!(bulk_edge(&spectrum((4, 4), vec![1.0; 4])), 4.0);
        // N = 16, M = 4: factor 36 / 16 = 2.25. Mean 25.75, edge 57.9; without the spike: mean 1, edge 2.25.
        assert_eq!(bulk_edge(&spectrum((16, 4), vec![1.0, 1.0, 1.0, 100.0])), 2.25);
        // One of four eigenvalues is positive: M = 1, factor (1 + 1/4)².
        assert_eq!(bulk_edge(&spectrum((16, 4), vec![8.0])), 12.5);
    }

    #[test]
    fn the_steps_end_on_any_spectrum() {
        for growth in [1.01, 2.0, 10.0, 1e6] {
            let values: Vec<f64> = (0..40).map(|power| f64::powi(growth, power)).collect();
            let edge = bulk_edge(&spectrum((1000, 40), values));
            assert!(edge > 0.0 && edge.is_finite(), "{growth}: {edge}");
        }
    }
}
