//! Numbers quantized to a codebook, and the length of their code.

use pgdl_measure::MeasureError;
use pgdl_measure::tch::{Kind, Tensor};

/// Rounds of k-means.
const ROUNDS: usize = 50;

/// Quantized numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Code {
    /// What is decoded.
    pub values: Vec<f64>,
    /// Size of the codebook.
    pub levels: usize,
    /// Length of the code.
    pub bits: f64,
}

impl Code {
    /// An upper bound of −ln of the prior of this code: K ln 2 + 2 ln K, where 2 log₂ K bits and a little delimit it.
    pub(crate) fn divergence(&self) -> f64 {
        self.bits * 2f64.ln() + 2.0 * self.bits.max(2.0).ln()
    }
}

/// Quantizes `numbers` to at most `levels` values by one-dimensional k-means. The code holds how many of at most `most`,
/// the codebook in half precision, how often each level comes, and the sequence given these counts: log₂ of the number of
/// sequences that have them (enumerative coding), which arithmetic coding reaches to within two bits.
///
/// # Errors
/// libtorch cannot round to half precision.
pub(crate) fn encode(numbers: &[f64], levels: usize, most: usize) -> Result<Code, MeasureError> {
    let centers = half(&centers(numbers, levels))?;
    let nearest = |number: f64| {
        let distance = |level: &usize| (centers[*level] - number).abs();
        (0..centers.len()).min_by(|one, other| distance(one).total_cmp(&distance(other))).unwrap_or(0)
    };
    let symbols: Vec<usize> = numbers.iter().map(|number| nearest(*number)).collect();
    let mut counts = vec![0usize; centers.len()];
    for &symbol in &symbols {
        counts[symbol] += 1;
    }
    let count = numbers.len() as f64;
    let sequences =
        log2_factorial(numbers.len()) - counts.iter().map(|&each| log2_factorial(each)).sum::<f64>();
    let header = (most as f64).log2() + 16.0 * centers.len() as f64;
    let histogram = centers.len() as f64 * (count + 1.0).log2();
    let bits = (header + histogram + sequences + 2.0).ceil();
    Ok(Code { values: symbols.iter().map(|&symbol| centers[symbol]).collect(), levels: centers.len(), bits })
}

/// Centers of k-means, from quantiles on.
fn centers(numbers: &[f64], levels: usize) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    let quantile = |level: usize| {
        let at = (level as f64 + 0.5) / levels as f64 * last;
        sorted.get(at.round() as usize).copied().unwrap_or(0.0)
    };
    let mut centers: Vec<f64> = (0..levels).map(quantile).collect();
    centers.dedup();
    for _ in 0..ROUNDS {
        let borders: Vec<f64> = centers.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
        let mut from = 0;
        let mut moved = Vec::with_capacity(centers.len());
        for (level, center) in centers.iter().enumerate() {
            let to = match borders.get(level) {
                Some(border) => sorted.partition_point(|number| number <= border),
                None => sorted.len(),
            };
            let cell = &sorted[from..to.max(from)];
            let mean = cell.iter().sum::<f64>() / cell.len().max(1) as f64;
            moved.push(if cell.is_empty() { *center } else { mean });
            from = to.max(from);
        }
        if moved == centers {
            break;
        }
        centers = moved;
    }
    centers
}

/// Rounded to half precision.
fn half(numbers: &[f64]) -> Result<Vec<f64>, MeasureError> {
    let rounded = Tensor::f_from_slice(numbers)?.f_to_kind(Kind::Half)?.f_to_kind(Kind::Double)?;
    Ok(Vec::<f64>::try_from(&rounded)?)
}

fn log2_factorial(n: usize) -> f64 {
    (2..=n).map(|factor| (factor as f64).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_numbers_are_kept_and_their_code_is_counted() {
        let numbers: Vec<f64> = (0..30).map(|i| f64::from(i % 3) - 1.0 + 1e-4 * f64::from(i % 2)).collect();
        let code = encode(&numbers, 3, 1).unwrap();
        assert!(code.values.iter().zip(&numbers).all(|(one, other)| (one - other).abs() < 1e-3));
        // 30! / (10!)³ sequences, three counts of 0 … 30, three numbers of 16 bits.
        let sequences = 5_550_996_791_340f64.log2();
        assert_eq!(code.bits, (48.0 + 3.0 * 31f64.log2() + sequences + 2.0).ceil());
    }

    #[test]
    fn more_levels_are_closer_and_longer() {
        let numbers: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.7).sin() * f64::from(i)).collect();
        let codes: Vec<Code> =
            [3, 7, 17].iter().map(|&levels| encode(&numbers, levels, 3).unwrap()).collect();
        let error = |code: &Code| code.values.iter().zip(&numbers).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        assert!(error(&codes[0]) > error(&codes[1]) && error(&codes[1]) > error(&codes[2]));
        assert!(codes[0].bits < codes[1].bits && codes[1].bits < codes[2].bits);
    }

    #[test]
    fn equal_numbers_have_one_level() {
        let code = encode(&[0.0; 50], 7, 4).unwrap();
        assert_eq!((code.levels, code.values), (1, vec![0.0; 50]));
        assert_eq!(code.bits, (2.0 + 16.0 + 51f64.log2() + 2.0f64).ceil());
    }
}
