//! The binary divergence, its inverse, and what bounds are made of.

/// kl(q ‖ p) = q ln(q/p) + (1 − q) ln((1 − q)/(1 − p)), in nats; q, p in [0, 1].
pub fn binary_divergence(q: f64, p: f64) -> f64 {
    let part = |a: f64, b: f64| {
        if a == 0.0 {
            0.0
        } else if b == 0.0 {
            f64::INFINITY
        } else {
            a * (a / b).ln()
        }
    };
    (part(q, p) + part(1.0 - q, 1.0 - p)).max(0.0)
}

/// The largest p with kl(q ‖ p) ≤ c, by bisection to the last bit; c ≥ 0.
pub fn inverse_divergence(q: f64, c: f64) -> f64 {
    let (mut low, mut high) = (q, 1.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if binary_divergence(q, middle) <= c { low = middle } else { high = middle }
    }
    // The upper end: rounding never makes a bound smaller.
    high
}

/// The PAC-Bayes-kl bound (Maurer 2004): with probability 1 − δ over n samples, for all Q at once,
/// kl(empirical ‖ true risk of Q) ≤ (KL(Q ‖ P) + ln(2√n / δ)) / n. Returns the largest true risk that allows.
pub fn risk_bound(empirical: f64, divergence: f64, samples: f64, delta: f64) -> f64 {
    let c = (divergence + (2.0 * samples.sqrt() / delta).ln()) / samples;
    inverse_divergence(empirical, c)
}

/// An upper bound of an expectation in [0, 1] from the mean of m independent draws, with probability 1 − δ: kl(mean ‖
/// expectation) ≤ ln(2/δ)/m (Langford, Caruana 2002).
pub fn expectation_bound(mean: f64, draws: f64, delta: f64) -> f64 {
    inverse_divergence(mean, (2.0 / delta).ln() / draws)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_has_its_known_values() {
        assert_eq!(binary_divergence(0.3, 0.3), 0.0);
        assert!((binary_divergence(0.0, 0.25) + 0.75f64.ln()).abs() < 1e-15);
        assert!((binary_divergence(1.0, 0.25) + 0.25f64.ln()).abs() < 1e-15);
        assert_eq!(binary_divergence(0.5, 0.0), f64::INFINITY);
        let by_hand = 0.1 * (0.1f64 / 0.2).ln() + 0.9 * (0.9f64 / 0.8).ln();
        assert!((binary_divergence(0.1, 0.2) - by_hand).abs() < 1e-16);
    }

    #[test]
    fn the_inverse_undoes_it_and_never_falls_below() {
        for q in [0.0, 1e-6, 0.1, 0.5, 0.93] {
            for c in [0.0, 1e-9, 1e-3, 0.1, 1.0] {
                let p = inverse_divergence(q, c);
                assert!(p >= q && p <= 1.0);
                // At p close to 1 the divergence is steep: compare where that is not so.
                if p < 0.999 {
                    assert!((binary_divergence(q, p) - c).abs() < 1e-9, "{q} {c} {p}");
                }
            }
        }
        // Zero empirical risk: 1 − e^{−c}.
        assert!((inverse_divergence(0.0, 0.7) - (1.0 - (-0.7f64).exp())).abs() < 1e-12);
        assert_eq!(inverse_divergence(1.0, 0.3), 1.0);
    }

    #[test]
    fn the_bound_is_tighter_than_pinskers() {
        for (empirical, divergence) in [(0.0, 3.0), (0.1, 10.0), (0.4, 50.0)] {
            let bound = risk_bound(empirical, divergence, 1000.0, 0.05);
            let c = (divergence + (2.0 * 1000f64.sqrt() / 0.05).ln()) / 1000.0;
            assert!(bound <= empirical + (c / 2.0f64).sqrt() + 1e-12 && bound > empirical);
        }
    }
}
