//! What several chains say about their own convergence.

/// The potential scale reduction R̂ of chains that are each split in two halves (Gelman et al. 2013, Bayesian Data
/// Analysis, 3rd ed., eq. 11.4). 1 where every draw is the same; none where halves have fewer than two draws.
pub fn split_r_hat(chains: &[Vec<f64>]) -> Option<f64> {
    let halves: Vec<&[f64]> = chains
        .iter()
        .flat_map(|chain| {
            let half = chain.len() / 2;
            // An odd draw in the middle is left out.
            [&chain[..half], &chain[chain.len() - half..]]
        })
        .collect();
    let (m, n) = (halves.len() as f64, halves.first()?.len() as f64);
    if n < 2.0 {
        return None;
    }
    let means: Vec<f64> = halves.iter().map(|half| mean(half)).collect();
    let within = halves.iter().zip(&means).map(|(half, mean)| variance(half, *mean)).sum::<f64>() / m;
    let between = variance(&means, mean(&means));
    if within == 0.0 {
        return Some(if between == 0.0 { 1.0 } else { f64::INFINITY });
    }
    Some(((n - 1.0) / n + between / within).sqrt())
}

/// The effective number of independent draws in all chains together: m·n / τ, with the autocorrelation time τ by
/// Geyer's initial monotone sequence over all chains (Geyer 1992; Gelman et al. 2013, eq. 11.8).
pub fn effective_sample_size(chains: &[Vec<f64>]) -> Option<f64> {
    let n = chains.iter().map(Vec::len).min()?;
    if n < 4 {
        return None;
    }
    let m = chains.len() as f64;
    let total = m * n as f64;
    let means: Vec<f64> = chains.iter().map(|chain| mean(&chain[..n])).collect();
    let within = chains.iter().zip(&means).map(|(chain, mean)| variance(&chain[..n], *mean)).sum::<f64>() / m;
    let between = if chains.len() > 1 { variance(&means, mean(&means)) } else { 0.0 };
    let pooled = (n as f64 - 1.0) / n as f64 * within + between;
    if pooled == 0.0 {
        return Some(total);
    }
    let correlation = |lag: usize| {
        let products = chains.iter().zip(&means).map(|(chain, mean)| {
            let pairs = chain[..n - lag].iter().zip(&chain[lag..n]);
            pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64
        });
        let mean_product = products.sum::<f64>() / m;
        // The within-chain variance with divisor n, as the products have.
        1.0 - ((n as f64 - 1.0) / n as f64 * within - mean_product) / pooled
    };
    let (mut time, mut smallest) = (-1.0, f64::INFINITY);
    for pair in 0..(n - 1) / 2 {
        let sum = correlation(2 * pair) + correlation(2 * pair + 1);
        if sum <= 0.0 {
            break;
        }
        smallest = f64::min(smallest, sum);
        time += 2.0 * smallest;
    }
    // Anticorrelated draws are worth more than independent ones, within reason (Vehtari et al. 2021).
    Some((total / time.max(1.0 / total.log10())).min(total * total.log10()))
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With divisor n − 1.
pub(crate) fn variance(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_measure::Generator;
    use pgdl_measure::tch::{Device, Kind};

    fn autoregressive(chains: usize, draws: usize, coefficient: f64) -> Vec<Vec<f64>> {
        let mut random = Generator::new(&[b"autoregressive"], Device::Cpu, Kind::Double);
        (0..chains)
            .map(|_| {
                let mut value = random.normal() / (1.0 - coefficient * coefficient).sqrt();
                (0..draws)
                    .map(|_| {
                        value = coefficient * value + random.normal();
                        value
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn an_autoregressive_chain_has_its_known_autocorrelation_time() {
        // τ = (1 + ρ) / (1 − ρ).
        for coefficient in [-0.5, 0.0, 0.5, 0.9] {
            let chains = autoregressive(4, 20_000, coefficient);
            let found = effective_sample_size(&chains).unwrap() / 80_000.0;
            let expected = (1.0 - coefficient) / (1.0 + coefficient);
            assert!((found / expected - 1.0).abs() < 0.1, "ρ = {coefficient}: {found}, not {expected}");
            let r_hat = split_r_hat(&chains).unwrap();
            assert!((r_hat - 1.0).abs() < 0.01, "{r_hat}");
        }
    }

    #[test]
    fn chains_that_have_not_met_and_chains_with_a_trend_are_found_out() {
        let mut apart = autoregressive(4, 200, 0.0);
        apart[0].iter_mut().for_each(|draw| *draw += 3.0);
        assert!(split_r_hat(&apart).unwrap() > 1.3);
        assert!(effective_sample_size(&apart).unwrap() < 30.0);
        let mut trend = autoregressive(4, 200, 0.0);
        for chain in &mut trend {
            for (step, draw) in chain.iter_mut().enumerate() {
                *draw += 0.02 * step as f64;
            }
        }
        assert!(split_r_hat(&trend).unwrap() > 1.3);
    }

    #[test]
    fn draws_that_are_all_the_same_have_converged_and_few_draws_say_nothing() {
        assert_eq!(split_r_hat(&[vec![2.0; 8], vec![2.0; 8]]), Some(1.0));
        assert_eq!(effective_sample_size(&[vec![2.0; 8], vec![2.0; 8]]), Some(16.0));
        assert_eq!(split_r_hat(&[vec![1.0, 2.0]]), None);
        assert_eq!(effective_sample_size(&[vec![1.0, 2.0, 3.0]]), None);
        assert_eq!(split_r_hat(&[]), None);
    }
}
