//! Inner products of activations: all that the family needs to know of a representation.

use pgdl_measure::network::Mode;
use pgdl_measure::tch::{Device, Kind, Tensor, no_grad};
use pgdl_measure::{MeasureError, ParameterInfo, ParameterKind, Probe, Quantity};

/// Bytes of activations kept at a time while several layers are looked at.
const ROOM: i64 = 1 << 28;

/// Columns of activations converted to f64 at a time.
const BLOCK: i64 = 1 << 13;

/// Activations whose spread is below this share of their size, in squares, do not vary but for rounding in f32.
pub(crate) const ROUNDING: f64 = 1e-12;

/// The parameter `samples`.
pub(crate) const fn samples_parameter(default: i64) -> ParameterInfo {
    ParameterInfo {
        name: "samples",
        kind: ParameterKind::Integer { default, min: 2, max: 20_000 },
        doc: "number m of samples, spread evenly over the sample; all when there are fewer",
    }
}

/// Inner products ⟨h(xᵢ), h(xⱼ)⟩ of flattened activations of one node: `[m, m]`, f64, on the CPU. One pass over m
/// samples.
#[derive(Clone, Copy, Debug)]
pub struct Gram {
    /// The node.
    pub node: usize,
    /// m, at most.
    pub samples: i64,
}

impl Quantity for Gram {
    type Value = Tensor;

    fn name(&self) -> String {
        format!("gram node={} samples={}", self.node, self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Tensor, MeasureError> {
        let inputs = probe.inputs().f_index_select(0, &chosen_samples(probe, self.samples)?)?;
        let mut grams = grams(probe, &inputs, &[self.node])?;
        Ok(grams.swap_remove(0))
    }
}

/// [`Gram`] of each of several nodes on samples `start`, `start` + 1, …, in as few passes as memory allows.
#[derive(Clone, Debug)]
pub struct Grams {
    /// The nodes.
    pub nodes: Vec<usize>,
    /// First sample.
    pub start: i64,
    /// Number of samples.
    pub samples: i64,
}

impl Quantity for Grams {
    type Value = Vec<Tensor>;

    fn name(&self) -> String {
        format!("grams nodes={:?} start={} samples={}", self.nodes, self.start, self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Tensor>, MeasureError> {
        grams(probe, &probe.inputs().f_narrow(0, self.start, self.samples)?, &self.nodes)
    }
}

/// Indices ⌊i n / m⌋ of m of the n samples: `[m]`, on the probe's device.
pub(crate) fn chosen_samples(probe: &Probe, samples: i64) -> Result<Tensor, MeasureError> {
    let all = probe.sample_size() as i64;
    let count = samples.min(all);
    let indices: Vec<i64> = (0..count).map(|position| position * all / count).collect();
    Ok(Tensor::f_from_slice(&indices)?.f_to_device(probe.device())?)
}

/// Labels of the samples of [`Gram`].
pub(crate) fn chosen_labels(probe: &Probe, samples: i64) -> Result<Vec<i64>, MeasureError> {
    Ok(Vec::try_from(&probe.labels().f_index_select(0, &chosen_samples(probe, samples)?)?)?)
}

/// Inner products of the activations of each of `nodes` on `inputs`: `[m, m]` each, f64, on the CPU.
pub(crate) fn grams(probe: &Probe, inputs: &Tensor, nodes: &[usize]) -> Result<Vec<Tensor>, MeasureError> {
    let count = inputs.size().first().copied().unwrap_or(0);
    let shapes = probe.network().shapes();
    let bytes = |node: usize| shapes[node].iter().product::<i64>() * count * 4;
    let mut found = Vec::new();
    let mut rest = nodes;
    while let Some(&first) = rest.first() {
        let mut room = ROOM - bytes(first);
        let fitting = rest[1..].iter().take_while(|node| {
            room -= bytes(**node);
            room >= 0
        });
        let (now, later) = rest.split_at(1 + fitting.count());
        for activations in activations(probe, inputs, now)? {
            found.push(products(&activations)?);
        }
        rest = later;
    }
    Ok(found)
}

/// Outputs of `nodes`, in their order: `[m, …]`.
pub(crate) fn activations(
    probe: &Probe,
    inputs: &Tensor,
    nodes: &[usize],
) -> Result<Vec<Tensor>, MeasureError> {
    let count = inputs.size().first().copied().unwrap_or(0);
    let mut parts: Vec<Vec<Tensor>> = nodes.iter().map(|_| Vec::new()).collect();
    let mut start = 0;
    while start < count {
        probe.check_deadline()?;
        let length = probe.batch_size().min(count - start);
        let batch = inputs.f_narrow(0, start, length)?;
        let mut observe = |node: usize, output: &Tensor| {
            for (parts, wanted) in parts.iter_mut().zip(nodes) {
                if *wanted == node {
                    parts.push(output.shallow_clone());
                }
            }
            Ok(())
        };
        let _ = no_grad(|| probe.network().forward_observed(&batch, Mode::Evaluate, &mut observe))?;
        probe.count_forward(length);
        start += length;
    }
    parts.iter().map(|parts| Ok(Tensor::f_cat(parts, 0)?)).collect()
}

/// A Aᵀ of `[m, …]` with the rest flattened, in f64.
pub(crate) fn products(activations: &Tensor) -> Result<Tensor, MeasureError> {
    let rows = activations.size().first().copied().unwrap_or(0);
    let flat = activations.f_reshape([rows, -1])?;
    let columns = flat.size()[1];
    let mut sum = Tensor::f_zeros([rows, rows], (Kind::Double, activations.device()))?;
    let mut start = 0;
    while start < columns {
        let length = BLOCK.min(columns - start);
        let block = flat.f_narrow(1, start, length)?.f_to_kind(Kind::Double)?;
        sum = sum.f_add(&block.f_matmul(&block.f_transpose(0, 1)?)?)?;
        start += length;
    }
    if sum.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined("the activations are not finite");
    }
    Ok(sum.f_to_device(Device::Cpu)?)
}

/// Inner products of what is left when the mean is taken off. Undefined where nothing is.
pub(crate) fn centred(gram: &Tensor) -> Result<Tensor, MeasureError> {
    let rows = gram.f_mean_dim([1i64].as_slice(), true, Kind::Double)?;
    let columns = rows.f_transpose(0, 1)?;
    let centred = gram.f_sub(&rows)?.f_sub(&columns)?.f_add(&rows.f_mean(Kind::Double)?)?;
    let (spread, size) = (trace(&centred)?, trace(gram)?);
    if spread <= ROUNDING * size || size == 0.0 {
        return MeasureError::undefined("the activations are the same on every sample");
    }
    Ok(centred)
}

fn trace(matrix: &Tensor) -> Result<f64, MeasureError> {
    Ok(matrix.f_trace()?.f_double_value(&[])?)
}

/// A square matrix as rows.
pub(crate) fn rows(matrix: &Tensor) -> Result<Vec<Vec<f64>>, MeasureError> {
    let width = matrix.size().last().copied().unwrap_or(1).max(1) as usize;
    let flat = Vec::<f64>::try_from(&matrix.f_contiguous()?.f_reshape([-1])?)?;
    Ok(flat.chunks(width).map(<[f64]>::to_vec).collect())
}
