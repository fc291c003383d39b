//! Deep linear networks: their learning coefficient in closed form, and as a potential to test estimates with.

use pgdl_measure::tch::{Device, Kind, Tensor};
use pgdl_measure::{Generator, MeasureError};

use crate::potential::Potential;

/// A network of linear layers without biases, and a true map of lower rank that it can express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeepLinear {
    rank: usize,
    /// Of the input and of every layer: H₁ … H_{L+1}.
    widths: Vec<usize>,
}

impl std::fmt::Display for DeepLinear {
    /// `6→5→4`
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(ToString::to_string).collect();
        formatter.write_str(&widths.join("→"))
    }
}

/// A learning coefficient as it stands in the theory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningCoefficient {
    /// λ.
    pub value: f64,
    /// Its multiplicity.
    pub multiplicity: usize,
}

impl DeepLinear {
    /// A true map of `rank` from `input` dimensions through layers of these `widths`, the last of which is the output.
    ///
    /// # Errors
    /// There is no layer, a width is zero, or the rank is larger than a width. (In words that complete "the network …".)
    pub fn new(rank: usize, input: usize, widths: &[usize]) -> Result<Self, String> {
        let widths = [&[input], widths].concat();
        if widths.len() < 2 {
            return Err("needs at least one layer".to_owned());
        }
        match widths.iter().min() {
            Some(0) => Err("has a width of zero".to_owned()),
            Some(least) if *least < rank => Err(format!("cannot express rank {rank}: a width is {least}")),
            _ => Ok(Self { rank, widths }),
        }
    }

    /// The rank of the true map.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.widths.windows(2).map(|pair| pair[0] * pair[1]).sum()
    }

    /// M_s = H_s − r.
    fn excess(&self) -> Vec<usize> {
        self.widths.iter().map(|width| width - self.rank).collect()
    }

    /// What a map of rank r costs by itself: r(H₁ + H_{L+1}) − r², twice its part of λ.
    fn rank_part(&self) -> usize {
        let ends = self.widths[0] + self.widths[self.widths.len() - 1];
        self.rank * ends - self.rank * self.rank
    }

    /// λ and its multiplicity (Aoyagi 2024, Consideration on the Learning Efficiency of Multiple-Layered Neural Networks
    /// with Linear Units, main theorem): with Σ the ℓ + 1 smallest of the M_s for which
    /// max Σ < min of the others, ΣM ≥ ℓ max Σ, ΣM < ℓ min of the others,
    /// and M = ⌈ΣM / ℓ⌉, a = ΣM − (M − 1) ℓ:
    /// λ = (r(H₁ + H_{L+1}) − r²)/2 + a(ℓ − a)/(4ℓ) − (ℓ − 1)/(4ℓ) (ΣM)² + ½ Σ_{i<j} M_i M_j, multiplicity a(ℓ − a) + 1.
    pub fn learning_coefficient(&self) -> LearningCoefficient {
        let mut excess = self.excess();
        excess.sort_unstable();
        let fits = |l: &usize| {
            let (chosen, others) = excess.split_at(l + 1);
            let (sum, largest) = (chosen.iter().sum::<usize>(), chosen[*l]);
            let below_others = others.first().is_none_or(|next| largest < *next && sum < l * next);
            sum >= l * largest && below_others
        };
        // That there is one, and only one, is part of the theorem; a test goes through them.
        let l = (1..excess.len()).find(fits).unwrap_or(excess.len() - 1);
        let chosen = &excess[..=l];
        let sum: usize = chosen.iter().sum();
        let a = sum + l - sum.div_ceil(l) * l;
        let squares: usize = chosen.iter().map(|m| m * m).sum();
        // All of it over 4ℓ, in whole numbers.
        let [l_, a_, sum, squares, part] = [l, a, sum, squares, self.rank_part()].map(|count| count as i64);
        let numerator = 2 * l_ * part + a_ * (l_ - a_) - (l_ - 1) * sum * sum + l_ * (sum * sum - squares);
        let value = numerator as f64 / (4 * l_) as f64;
        LearningCoefficient { value, multiplicity: a * (l - a) + 1 }
    }

    /// Ranks r₀ = M₁ ≥ r₁ ≥ … ≥ r_L = 0 of the partial products of the layers' excess parts, for which the maps whose
    /// whole product is zero have the least codimension, and that codimension:
    /// Σ_s (r_{s−1} − r_s)(M_{s+1} − r_s).
    fn least_codimension(&self) -> (usize, Vec<usize>) {
        let excess = self.excess();
        // Per rank so far: the least codimension, and how it came about.
        let mut best: Vec<Option<(usize, Vec<usize>)>> = vec![None; excess[0] + 1];
        best[excess[0]] = Some((0, vec![excess[0]]));
        for (layer, &width) in excess.iter().enumerate().skip(1) {
            let mut next: Vec<Option<(usize, Vec<usize>)>> = vec![None; excess[0] + 1];
            for (before, codimension, path) in best
                .iter()
                .enumerate()
                .filter_map(|(rank, found)| found.as_ref().map(|(c, path)| (rank, *c, path)))
            {
                let last = layer + 1 == excess.len();
                let highest = if last { 0 } else { before.min(width) };
                for (rank, best) in next.iter_mut().enumerate().take(highest + 1) {
                    let total = codimension + (before - rank) * (width - rank);
                    if best.as_ref().is_none_or(|(least, _)| total < *least) {
                        *best = Some((total, [path.as_slice(), &[rank]].concat()));
                    }
                }
            }
            best = next;
        }
        // A product of rank zero is always there.
        best.swap_remove(0).unwrap_or_default()
    }

    /// Weights `[P]`, f64, that express a true map of the rank: a generic point of a largest component of the set of such
    /// weights, where the local learning coefficient is λ with multiplicity 1. All nonzero singular values of the layers
    /// are 1; the bases are random.
    ///
    /// At the most singular points (all weights zero, where the rank is zero) λ is the same, but the multiplicity is that of
    /// the closed form, and estimates come near λ as slowly as 1 / ln n.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn true_parameter(&self, random: &mut Generator) -> Result<Tensor, MeasureError> {
        let options = (Kind::Double, Device::Cpu);
        let (_, ranks) = self.least_codimension();
        let bases: Vec<Tensor> = self
            .widths
            .iter()
            .map(|&width| {
                let drawn = random.normal_tensor(&[width as i64, width as i64])?;
                Ok(Tensor::f_linalg_qr(&drawn.f_to_kind(Kind::Double)?, "reduced")?.0)
            })
            .collect::<Result<_, MeasureError>>()?;
        let mut layers = Vec::new();
        for (s, pair) in self.widths.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (before, after) = (ranks[s], ranks[s + 1]);
            // The true map; what is left of the partial product; and the rest, onto what the product does not reach.
            let truth = (0..self.rank).map(|i| (i, i));
            let product = (0..after).map(|i| (self.rank + i, self.rank + i));
            let rest = (self.rank + before..inputs).zip(self.rank + after..outputs);
            let mut values = vec![0.0; inputs * outputs];
            for (from, to) in truth.chain(product).chain(rest) {
                values[to * inputs + from] = 1.0;
            }
            let plain = Tensor::f_from_slice(&values)?.f_reshape([outputs as i64, inputs as i64])?;
            let turned = bases[s + 1].f_mm(&plain)?.f_mm(&bases[s].f_transpose(0, 1)?)?;
            layers.push(turned.f_reshape([-1])?.f_to_kind(options.0)?);
        }
        Ok(Tensor::f_cat(&layers, 0)?)
    }

    /// The product of the layers of K parameter vectors `[K, P]`: `[K, H_{L+1}, H₁]`.
    fn products(&self, copies: &Tensor) -> Result<Tensor, MeasureError> {
        let count = copies.size()[0];
        let sizes: Vec<i64> = self.widths.windows(2).map(|pair| (pair[0] * pair[1]) as i64).collect();
        let mut product: Option<Tensor> = None;
        for (layer, pair) in copies.f_split_with_sizes(sizes, 1)?.iter().zip(self.widths.windows(2)) {
            let layer = layer.f_reshape([count, pair[1] as i64, pair[0] as i64])?;
            product = Some(match product {
                None => layer,
                Some(before) => layer.f_bmm(&before)?,
            });
        }
        product.ok_or_else(|| MeasureError::Failed("there is no layer".to_owned()))
    }
}

/// The squared error of a deep linear network whose inputs are standard normal and whose outputs are those of the true
/// map, without noise: in the mean ½‖W_L … W₁ − A‖²_F, exactly. The samples are √H₁ times the unit vectors.
pub struct DeepLinearPotential {
    network: DeepLinear,
    centre: Tensor,
    truth: Tensor,
}

impl DeepLinearPotential {
    /// Around weights `[P]`, which express the true map.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn new(network: DeepLinear, centre: Tensor) -> Result<Self, MeasureError> {
        let truth = network.products(&centre.f_unsqueeze(0)?)?.f_detach()?;
        Ok(Self { network, centre, truth })
    }
}

impl Potential for DeepLinearPotential {
    fn centre(&self) -> &Tensor {
        &self.centre
    }

    fn samples(&self) -> i64 {
        self.network.widths[0] as i64
    }

    fn losses(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        let difference = self.network.products(copies)?.f_sub(&self.truth)?;
        let losses = difference
            .f_square()?
            .f_sum_dim_intlist(1, false, None::<Kind>)?
            .f_mul_scalar(0.5 * self.samples() as f64)?;
        Ok(match batch {
            None => losses,
            Some(batch) => losses.f_gather(1, batch, false)?,
        })
    }

    fn centre_losses(&self) -> Result<Tensor, MeasureError> {
        Ok(self.losses(&self.centre.f_unsqueeze(0)?, None)?.f_squeeze_dim(0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All networks of 1 to 4 layers with widths up to 5 and every rank that they express.
    fn networks() -> impl Iterator<Item = DeepLinear> {
        (2..=5usize).flat_map(|count| {
            (0..5usize.pow(count as u32)).flat_map(move |code| {
                let widths: Vec<usize> = (0..count).map(|i| 1 + code / 5usize.pow(i as u32) % 5).collect();
                let most = widths.iter().copied().min().unwrap();
                (0..=most).map(move |rank| DeepLinear::new(rank, widths[0], &widths[1..]).unwrap())
            })
        })
    }

    #[test]
    fn exactly_one_set_of_widths_meets_the_conditions() {
        for network in networks() {
            let excess = network.excess();
            let mut sums = std::collections::BTreeSet::new();
            // Over all subsets, not the smallest ones alone.
            for subset in 1u32..1 << excess.len() {
                let (inside, outside): (Vec<_>, Vec<_>) =
                    (0..excess.len()).partition(|index| subset >> index & 1 == 1);
                let of =
                    |places: &[usize]| -> Vec<usize> { places.iter().map(|&place| excess[place]).collect() };
                let (inside, outside) = (of(&inside), of(&outside));
                let Some(l) = inside.len().checked_sub(1).filter(|l| *l > 0) else { continue };
                let (sum, largest) = (inside.iter().sum::<usize>(), *inside.iter().max().unwrap());
                if sum >= l * largest && outside.iter().all(|other| largest < *other && sum < l * other) {
                    sums.insert((l, sum));
                }
            }
            assert_eq!(sums.len(), 1, "{network:?}: {sums:?}");
        }
    }

    #[test]
    fn the_closed_form_is_half_the_least_codimension() {
        let mut cases = 0;
        for network in networks() {
            let (codimension, _) = network.least_codimension();
            let expected = (network.rank_part() + codimension) as f64 / 2.0;
            let found = network.learning_coefficient().value;
            assert!((found - expected).abs() < 1e-9, "{network:?}: {found}, not {expected}");
            cases += 1;
        }
        assert!(cases > 5000);
    }

    #[test]
    fn two_layers_have_the_coefficients_of_reduced_rank_regression() {
        // Aoyagi, Watanabe 2005, Stochastic complexities of reduced rank regression in Bayesian estimation, main theorem.
        for network in networks().filter(|network| network.widths.len() == 3) {
            let [m, h, n] = [0, 1, 2].map(|place| network.widths[place] as i64);
            let r = network.rank as i64;
            let (eightfold, multiplicity) = if n + r <= m + h && m + r <= n + h && h + r <= m + n {
                let even = -(h + r).pow(2) - m * m - n * n + 2 * (h + r) * m + 2 * (h + r) * n + 2 * m * n;
                let odd = (m + h + n + r) % 2;
                (even + odd, 1 + odd as usize)
            } else if m + h < n + r {
                (4 * (h * m - h * r + n * r), 1)
            } else if n + h < m + r {
                (4 * (h * n - h * r + m * r), 1)
            } else {
                (4 * m * n, 1)
            };
            let found = network.learning_coefficient();
            assert_eq!(
                (found.value * 8.0, found.multiplicity),
                (eightfold as f64, multiplicity),
                "{network:?}"
            );
        }
    }

    #[test]
    fn the_true_parameter_lies_on_a_largest_component() {
        // The Hessian of the loss there has exactly 2λ positive eigenvalues.
        let mut random = Generator::new(&[b"components"], Device::Cpu, Kind::Double);
        for (rank, input, widths) in [
            (0, 1, vec![1, 1]),
            (2, 6, vec![5, 4]),
            (1, 3, vec![3, 3]),
            (0, 4, vec![4, 4, 4]),
            (2, 4, vec![3]),
            (1, 4, vec![2, 5, 3]),
            (0, 2, vec![5, 2]),
            (3, 5, vec![3, 4, 5]),
        ] {
            let network = DeepLinear::new(rank, input, &widths).unwrap();
            let centre = network.true_parameter(&mut random).unwrap();
            let product = network.products(&centre.unsqueeze(0)).unwrap().squeeze_dim(0);
            let singular = product.svd(true, true).1;
            let nonzero = singular.gt(1e-9).sum(Kind::Int64).int64_value(&[]);
            assert_eq!(nonzero, rank as i64, "{network:?}");
            // The rows of the Jacobian of the product.
            let leaf = centre.detach().set_requires_grad(true);
            let outputs = network.products(&leaf.unsqueeze(0)).unwrap().reshape([-1]);
            let rows: Vec<Tensor> = (0..outputs.numel() as i64)
                .map(|i| Tensor::run_backward(&[outputs.get(i)], &[&leaf], true, false).swap_remove(0))
                .collect();
            let singular = Tensor::stack(&rows, 0).svd(true, true).1;
            let found = singular.gt(1e-9).sum(Kind::Int64).int64_value(&[]);
            assert_eq!(found as f64, 2.0 * network.learning_coefficient().value, "{network:?}");
        }
    }

    #[test]
    fn impossible_networks_are_refused() {
        assert!(DeepLinear::new(0, 3, &[]).is_err());
        assert!(DeepLinear::new(0, 3, &[0]).is_err());
        assert!(DeepLinear::new(3, 3, &[2, 3]).unwrap_err().contains("rank 3"));
    }
}
