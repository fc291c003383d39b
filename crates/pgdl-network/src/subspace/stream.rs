//! Random numbers as tensors, many at a time.

use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// The generator SplitMix64 (Steele, Lea and Flood 2014, Fast Splittable Pseudorandom Number Generators): its i-th word is
/// a function of seed + i·γ alone, so that all words of a tensor are computed at once, and are the same on every device.
pub(crate) struct Stream {
    seed: u64,
    drawn: i64,
    device: Device,
}

/// γ, the odd number nearest to 2⁶⁴ over the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Stream {
    pub(crate) fn new(seed: u64, device: Device) -> Self {
        Self { seed, drawn: 0, device }
    }

    /// The next `count` words, `[count]`, i64.
    pub(crate) fn words(&mut self, count: i64) -> Result<Tensor> {
        let first = self.drawn + 1;
        self.drawn += count;
        let index = Tensor::f_arange_start(first, first + count, (Kind::Int64, self.device))?;
        // Products and sums of 64-bit integers wrap around, as they must.
        let state = index.f_mul_scalar(GAMMA as i64)?.f_add_scalar(self.seed as i64)?;
        let state = mixed(&state, 30)?.f_mul_scalar(0xbf58_476d_1ce4_e5b9_u64 as i64)?;
        let state = mixed(&state, 27)?.f_mul_scalar(0x94d0_49bb_1331_11eb_u64 as i64)?;
        mixed(&state, 31)
    }

    /// Independent standard normal numbers, `[count]`, f64 (Box and Muller 1958).
    pub(crate) fn normals(&mut self, count: i64) -> Result<Tensor> {
        let pairs = (count + 1) / 2;
        // 1 − u is in (0, 1]: its logarithm is finite.
        let radius = uniform(&self.words(pairs)?)?.f_neg()?.f_log1p()?.f_mul_scalar(-2.0)?.f_sqrt()?;
        let angle = uniform(&self.words(pairs)?)?.f_mul_scalar(std::f64::consts::TAU)?;
        let both = [radius.f_mul(&angle.f_cos()?)?, radius.f_mul(&angle.f_sin()?)?];
        Ok(Tensor::f_cat(&both, 0)?.f_narrow(0, 0, count)?)
    }

    /// Independent signs −1 and 1, `[count]`, f64.
    pub(crate) fn signs(&mut self, count: i64) -> Result<Tensor> {
        sign(&self.words(count)?)
    }

    /// For each of `rows` rows, the numbers 0 … n − 1 in random order: `[rows, n]`, i64.
    pub(crate) fn orders(&mut self, rows: i64, n: i64) -> Result<Tensor> {
        Ok(self.words(rows * n)?.f_reshape([rows, n])?.f_argsort_stable(true, 1, false)?)
    }
}

/// Of words: uniform in [0, 1), from their upper 53 bits, f64.
pub(crate) fn uniform(words: &Tensor) -> Result<Tensor> {
    Ok(shifted(words, 11)?.f_to_kind(Kind::Double)?.f_mul_scalar(0.5f64.powi(53))?)
}

/// Of words: −1 or 1, from their lowest bit, which [`uniform`] does not see, f64.
pub(crate) fn sign(words: &Tensor) -> Result<Tensor> {
    Ok(words.f_bitwise_and(1)?.f_to_kind(Kind::Double)?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?)
}

/// x xor (x >> bits), without sign.
fn mixed(words: &Tensor, bits: u32) -> Result<Tensor> {
    Ok(words.f_bitwise_xor_tensor(&shifted(words, bits)?)?)
}

/// x >> bits, zeros moving in.
fn shifted(words: &Tensor, bits: u32) -> Result<Tensor> {
    let right = words.f_bitwise_right_shift_tensor_scalar(i64::from(bits))?;
    Ok(right.f_bitwise_and((u64::MAX >> bits) as i64)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_splitmix64() {
        // The first outputs for the seed 1234567 of the reference program in C (Vigna, splitmix64.c).
        let expected = [6_457_827_717_110_365_317u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let mut stream = Stream::new(1_234_567, Device::Cpu);
        let mut found = Vec::<i64>::try_from(&stream.words(1).unwrap()).unwrap();
        found.extend(Vec::<i64>::try_from(&stream.words(2).unwrap()).unwrap());
        assert_eq!(found.iter().map(|word| *word as u64).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn numbers_have_the_moments_of_their_distributions() {
        let n = 100_000;
        let mut stream = Stream::new(3, Device::Cpu);
        let mean = |x: &Tensor| x.mean(Kind::Double).double_value(&[]);
        let normals = stream.normals(n).unwrap();
        // Four standard errors: √(Var xᵏ / n) with Var = 1, 2, 15, 96.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
            let error = mean(&normals.pow_tensor_scalar(power)) - expected;
            assert!(error.abs() < 4.0 * (variance / n as f64).sqrt(), "moment {power} is off by {error}");
        }
        let words = stream.words(n).unwrap();
        let (uniform, signs) = (uniform(&words).unwrap(), sign(&words).unwrap());
        assert!(uniform.min().double_value(&[]) >= 0.0 && uniform.max().double_value(&[]) < 1.0);
        assert!((mean(&uniform) - 0.5).abs() < 4.0 * (1.0 / 12.0 / n as f64).sqrt());
        assert!((mean(&signs)).abs() < 4.0 / (n as f64).sqrt());
        assert!((mean(&(&signs * (&uniform - 0.5)))).abs() < 4.0 * (1.0 / 12.0 / n as f64).sqrt());
        assert_eq!(Stream::new(1, Device::Cpu).normals(5).unwrap().size(), [5]);
    }

    #[test]
    fn orders_hold_each_number_once() {
        let orders = Stream::new(5, Device::Cpu).orders(3, 50).unwrap();
        let (sorted, _) = orders.sort(1, false);
        assert!(sorted.equal(&Tensor::arange(50, (Kind::Int64, Device::Cpu)).unsqueeze(0).repeat([3, 1])));
        assert!(!orders.get(0).equal(&orders.get(1)));
    }
}
