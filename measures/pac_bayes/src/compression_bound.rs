//! A bound from the length of a compressed network.

use pgdl_measure::network::Network;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{
    Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Need, ParameterInfo, ParameterKind,
    Parameters, Probe, RegistryError,
};

use crate::code::{Code, encode};
use crate::descent::{descend, error_rate, steps};
use crate::kl::risk_bound;
use crate::pac_bayes_bound::DELTA;
use crate::reference::keeps_no_moments;

/// Sizes of the codebook that are tried: which one is part of the code.
const LEVELS: [usize; 6] = [3, 5, 7, 11, 17, 27];

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct CompressionBound {
    dimension: i64,
    training: usize,
    delta: f64,
}

/// What `compression_bound` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "compression_bound",
    family: "pac_bayes",
    version: 1,
    title: "A bound of the true error of a network that is trained in a random subspace and compressed.",
    formula: "kl⁻¹(R̂, (K ln 2 + 2 ln K + ln(2√n/δ)) / n),  w = w⁰ + A θ, θ quantized, K bits of code",
    shapes: "A: [P, d], a random projection with orthonormal columns; θ: [d]; R̂: training error of the compressed network",
    paper: "Lotfi, Finzi, Kapoor, Potapczynski, Goldblum, Wilson 2022, PAC-Bayes Compression Bounds So Tight \
             That They Can Explain Generalization; Li, Farkhoor, Liu, Yosinski 2018, Measuring the Intrinsic \
             Dimension of Objective Landscapes, for the subspace; Maurer 2004, for the inequality",
    needs: &[Need::InitialWeights, Need::Labels],
    cost: "50 · training/n B (at n = 5000 3 B), and 6 F for six sizes of the codebook",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "BatchNormalization is folded into the linear layers first. A bound: with probability 1 − δ over the \
             sample, the compressed network's error is no larger. The detail `vacuous` says whether it is any \
             better than guessing. It is about a network that is trained anew from the initial weights, along the \
             projection of the network's own displacement at first: of the network itself it tells little beyond \
             its architecture and its data. θ is quantized by k-means, its codebook kept in half precision and \
             its symbols entropy-coded. Unavailable where a zoo keeps no initial weights, \
             undefined where a BatchNormalization cannot be folded.",
    stochastic: true,
    control: false,
    parameters: &[
        ParameterInfo {
            name: "dimension",
            kind: ParameterKind::Integer { default: 200, min: 1, max: 1_000_000 },
            doc: "d, the dimension of the subspace (at most P)",
        },
        ParameterInfo {
            name: "training",
            kind: ParameterKind::Integer { default: 300, min: 0, max: 10_000_000 },
            doc: "steps of training in it, but no more than 20 epochs (Adam, rate falling to 0, batches of 50)",
        },
        DELTA,
    ],
};

impl CompressionBound {
    /// With the parameters of [`INFO`].
    ///
    /// # Errors
    /// A parameter is not declared: a mistake in this measure.
    pub fn new(parameters: &Parameters) -> Result<Self, RegistryError> {
        Ok(Self {
            dimension: parameters.integer("dimension")?,
            training: usize::try_from(parameters.integer("training")?).unwrap_or(usize::MAX),
            delta: parameters.float("delta")?,
        })
    }
}

impl Measure for CompressionBound {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let network = probe.folded()?;
        keeps_no_moments(&network)?;
        let subspace = Subspace::new(probe, self.dimension)?;
        let start = subspace.coordinates(&network.trainable_vector()?)?;
        let samples = probe.sample_size();
        let all: Vec<i64> = (0..samples as i64).collect();
        let steps = steps(self.training, samples);
        // A step of θ moves its P/d weights by its length over √(P/d).
        let rate = 0.005 * subspace.weights_of_each().sqrt();
        let weights = |theta: &Tensor| subspace.weights(theta);
        let theta = descend(probe, &network, &all, start, (steps, rate), &weights)?;
        if theta.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return MeasureError::undefined("training in the subspace leaves the finite numbers");
        }
        let numbers = Vec::<f64>::try_from(&theta.f_to_kind(Kind::Double)?)?;
        let mut best: Option<(f64, f64, Code)> = None;
        for levels in LEVELS {
            let code = encode(&numbers, levels, LEVELS[LEVELS.len() - 1])?;
            let found = self.bound(probe, &network, &subspace, &code)?;
            if best.as_ref().is_none_or(|best| found.0 < best.0) {
                best = Some((found.0, found.1, code));
            }
        }
        let Some((bound, error, code)) = best else { return MeasureError::failed("no code was tried") };
        let guess = 1.0 - 1.0 / probe.classes() as f64;
        Ok(Measured::value(bound)
            .with_detail("vacuous", if bound >= guess { "yes: guessing is as good" } else { "no" })
            .with_detail("empirical_error", error)
            .with_detail("bits", code.bits)
            .with_detail("levels", code.levels as f64)
            .with_detail("dimension", subspace.dimension as f64))
    }
}

impl CompressionBound {
    /// The bound and the error on the sample.
    fn bound(
        &self,
        probe: &Probe,
        network: &Network,
        subspace: &Subspace,
        code: &Code,
    ) -> Result<(f64, f64), MeasureError> {
        let theta =
            Tensor::f_from_slice(&code.values)?.f_to_kind(probe.kind())?.f_to_device(probe.device())?;
        let rows = Tensor::f_arange(probe.sample_size() as i64, (Kind::Int64, probe.device()))?;
        let error = error_rate(probe, network, &subspace.weights(&theta)?, &rows)?;
        Ok((risk_bound(error, code.divergence(), probe.sample_size() as f64, self.delta), error))
    }
}

/// w⁰ + A θ: each weight belongs to one coordinate, with a random sign; a column of A has equal entries but for signs.
struct Subspace {
    initial: Tensor,
    dimension: i64,
    /// The coordinate of each weight, `[P]`.
    coordinate: Tensor,
    /// Its entry in A, `[P]`.
    entry: Tensor,
}

impl Subspace {
    fn new(probe: &Probe, dimension: i64) -> Result<Self, MeasureError> {
        let initial = probe.folded_initial()?.trainable_vector()?;
        let count = initial.numel();
        if count == 0 {
            return MeasureError::undefined("the network has no parameters");
        }
        let dimension = dimension.min(count as i64);
        let mut random = probe.generator("projection");
        // As many weights to each coordinate as to any other, but for one.
        let coordinate: Vec<i64> = random.permutation(count).into_iter().map(|at| at % dimension).collect();
        let coordinate = Tensor::f_from_slice(&coordinate)?.f_to_device(probe.device())?;
        let ones = Tensor::f_ones([count as i64], (Kind::Double, probe.device()))?;
        let sizes = Tensor::f_zeros([dimension], (Kind::Double, probe.device()))?.f_index_add(
            0,
            &coordinate,
            &ones,
        )?;
        let lengths = sizes.f_rsqrt()?.f_index_select(0, &coordinate)?.f_to_kind(probe.kind())?;
        let entry = random.sign_tensor(&[count as i64])?.f_mul(&lengths)?;
        Ok(Self { initial, dimension, coordinate, entry })
    }

    /// P / d.
    fn weights_of_each(&self) -> f64 {
        self.initial.numel() as f64 / self.dimension as f64
    }

    /// Aᵀ (w − w⁰).
    fn coordinates(&self, weights: &Tensor) -> Result<Tensor, MeasureError> {
        let along = weights.f_sub(&self.initial)?.f_mul(&self.entry)?;
        let zero = Tensor::f_zeros([self.dimension], (along.f_kind()?, along.device()))?;
        Ok(zero.f_index_add(0, &self.coordinate, &along)?)
    }

    /// w⁰ + A θ.
    fn weights(&self, theta: &Tensor) -> Result<Tensor, MeasureError> {
        Ok(self.initial.f_add(&theta.f_index_select(0, &self.coordinate)?.f_mul(&self.entry)?)?)
    }
}
