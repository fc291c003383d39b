//! Inner products of activations: all that the family needs to know of a representation.

use pgdl_measure::network::{Mode, Source};
use pgdl_measure::tch::{Device, Kind, Tensor, no_grad};
use pgdl_measure::{MeasureError, Outputs, ParameterInfo, ParameterKind, Probe, Quantity};

/// Bytes of activations kept at a time while several layers are looked at.
const ROOM: i64 = 1 << 28;

/// Columns of activations converted to f64 at a time.
pub(crate) const BLOCK: i64 = 1 << 13;

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

/// Some of the probe's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// ⌊i n / m⌋ for i < m ≤ n: all when there are no more than m.
    Spread(i64),
    /// Consecutive ones.
    Consecutive {
        /// The first.
        start: i64,
        /// How many.
        count: i64,
        /// Whether the pass over the whole sample for the outputs serves, as others ask for the rest of it.
        of_all: bool,
    },
}

impl Samples {
    /// Inputs `[m, …]` of these samples, on the probe's device.
    pub(crate) fn inputs(self, probe: &Probe) -> Result<Tensor, MeasureError> {
        match self {
            Self::Spread(samples) => {
                Ok(probe.inputs().f_index_select(0, &chosen_samples(probe, samples)?)?)
            }
            Self::Consecutive { start, count, .. } => Ok(probe.inputs().f_narrow(0, start, count)?),
        }
    }
}

/// Inner products ⟨h(xᵢ), h(xⱼ)⟩ of flattened activations h, for each of several representations: `[m, m]` each, f64, on
/// the CPU. One pass over m samples; more where the activations of all do not fit in 256 MiB.
#[derive(Clone, Debug)]
pub struct Grams {
    /// The outputs of nodes, or the network's input.
    pub sources: Vec<Source>,
    /// On which samples.
    pub samples: Samples,
}

impl Grams {
    /// Of one node, on `samples` spread evenly over the sample.
    pub fn of_node(node: usize, samples: i64) -> Self {
        Self { sources: vec![Source::Node(node)], samples: Samples::Spread(samples) }
    }

    /// Activations of all sources as the pass for the outputs left them; `None` where it does not serve, or did not keep
    /// them all.
    fn of_outputs(&self, probe: &Probe) -> Result<Option<Vec<Tensor>>, MeasureError> {
        let Samples::Consecutive { start, count, of_all: true } = self.samples else { return Ok(None) };
        let nodes = Outputs::nodes(probe);
        if !self.sources.iter().all(|source| matches!(source, Source::Node(node) if nodes.contains(node))) {
            return Ok(None);
        }
        let answers = probe.get(&Outputs)?;
        let part = |source: &Source| match *source {
            Source::Node(node) => Some(answers.of_node(node)?.f_narrow(0, start, count)),
            Source::Input => None,
        };
        Ok(self.sources.iter().map(part).collect::<Option<Result<_, _>>>().transpose()?)
    }
}

impl Quantity for Grams {
    type Value = Vec<Tensor>;

    fn name(&self) -> String {
        format!("grams sources={:?} samples={:?}", self.sources, self.samples)
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<Tensor>, MeasureError> {
        if let Some(kept) = self.of_outputs(probe)? {
            return kept.iter().map(products).collect();
        }
        grams(probe, &self.samples.inputs(probe)?, &self.sources)
    }
}

/// Indices ⌊i n / m⌋ of m of the n samples: `[m]`, on the probe's device.
pub(crate) fn chosen_samples(probe: &Probe, samples: i64) -> Result<Tensor, MeasureError> {
    let all = probe.sample_size() as i64;
    let count = samples.min(all);
    let indices: Vec<i64> = (0..count).map(|position| position * all / count).collect();
    Ok(Tensor::f_from_slice(&indices)?.f_to_device(probe.device())?)
}

/// Labels of these samples.
pub(crate) fn chosen_labels(probe: &Probe, samples: i64) -> Result<Vec<i64>, MeasureError> {
    Ok(Vec::try_from(&probe.labels().f_index_select(0, &chosen_samples(probe, samples)?)?)?)
}

/// Inner products of the activations of each of `sources` on `inputs`: `[m, m]` each, f64, on the CPU.
pub(crate) fn grams(probe: &Probe, inputs: &Tensor, sources: &[Source]) -> Result<Vec<Tensor>, MeasureError> {
    let count = inputs.size().first().copied().unwrap_or(0);
    let shapes = probe.network().shapes();
    let bytes = |source: Source| match source {
        Source::Input => 0,
        Source::Node(node) => shapes[node].iter().product::<i64>() * count * 4,
    };
    let mut found = Vec::new();
    let mut rest = sources;
    while let Some(&first) = rest.first() {
        let mut room = ROOM - bytes(first);
        let fitting = rest[1..].iter().take_while(|source| {
            room -= bytes(**source);
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

/// Activations of `sources` on `inputs`, in their order: `[m, …]`. One pass over m samples, none for the network's input
/// alone.
pub(crate) fn activations(
    probe: &Probe,
    inputs: &Tensor,
    sources: &[Source],
) -> Result<Vec<Tensor>, MeasureError> {
    let mut parts: Vec<Vec<Tensor>> = sources.iter().map(|_| Vec::new()).collect();
    if sources.iter().any(|source| matches!(source, Source::Node(_))) {
        observe(probe, inputs, &mut |node, output| {
            for (parts, source) in parts.iter_mut().zip(sources) {
                if *source == Source::Node(node) {
                    parts.push(output.shallow_clone());
                }
            }
            Ok(())
        })?;
    }
    let of_source = |(parts, source): (&Vec<Tensor>, &Source)| match source {
        Source::Input => Ok(inputs.shallow_clone()),
        Source::Node(_) => Ok(Tensor::f_cat(parts, 0)?),
    };
    parts.iter().zip(sources).map(of_source).collect()
}

/// One pass over `inputs` in batches, showing each node's output to `observe`.
pub(crate) fn observe(
    probe: &Probe,
    inputs: &Tensor,
    observe: &mut dyn FnMut(usize, &Tensor) -> pgdl_measure::network::Result<()>,
) -> Result<(), MeasureError> {
    let count = inputs.size().first().copied().unwrap_or(0);
    let mut start = 0;
    while start < count {
        probe.check_deadline()?;
        let length = probe.batch_size().min(count - start);
        let batch = inputs.f_narrow(0, start, length)?;
        let _ = no_grad(|| probe.network().forward_observed(&batch, Mode::Evaluate, observe))?;
        probe.count_forward(length);
        start += length;
    }
    Ok(())
}

/// A Aᵀ of `[m, …]` with the rest flattened, in f64.
pub(crate) fn products(activations: &Tensor) -> Result<Tensor, MeasureError> {
    let rows = activations.size().first().copied().unwrap_or(0);
    let mut sum = Tensor::f_zeros([rows, rows], (Kind::Double, activations.device()))?;
    for block in blocks(activations)? {
        let block = block?;
        sum = sum.f_add(&block.f_matmul(&block.f_transpose(0, 1)?)?)?;
    }
    check_finite(&sum)?;
    Ok(sum.f_to_device(Device::Cpu)?)
}

/// The columns of `[m, …]` with the rest flattened, some at a time, in f64.
pub(crate) fn blocks(
    activations: &Tensor,
) -> Result<impl Iterator<Item = Result<Tensor, MeasureError>> + use<>, MeasureError> {
    let rows = activations.size().first().copied().unwrap_or(0);
    let flat = activations.f_reshape([rows, -1])?;
    let columns = flat.size()[1];
    Ok((0..columns).step_by(BLOCK as usize).map(move |start| {
        Ok(flat.f_narrow(1, start, BLOCK.min(columns - start))?.f_to_kind(Kind::Double)?)
    }))
}

/// Undefined unless every entry is finite.
pub(crate) fn check_finite(tensor: &Tensor) -> Result<(), MeasureError> {
    if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return MeasureError::undefined("the activations are not finite");
    }
    Ok(())
}

/// Undefined where what varies, in squares, is rounding beside the size of the activations.
pub(crate) fn check_varies(spread: f64, size: f64) -> Result<(), MeasureError> {
    if spread <= ROUNDING * size || size == 0.0 {
        return MeasureError::undefined("the activations are the same on every sample");
    }
    Ok(())
}

/// Inner products of what is left when the mean is taken off. Undefined where nothing is.
pub(crate) fn centred(gram: &Tensor) -> Result<Tensor, MeasureError> {
    let rows = gram.f_mean_dim([1i64].as_slice(), true, Kind::Double)?;
    let columns = rows.f_transpose(0, 1)?;
    let centred = gram.f_sub(&rows)?.f_sub(&columns)?.f_add(&rows.f_mean(Kind::Double)?)?;
    check_varies(trace(&centred)?, trace(gram)?)?;
    Ok(centred)
}

fn trace(matrix: &Tensor) -> Result<f64, MeasureError> {
    Ok(matrix.f_trace()?.f_double_value(&[])?)
}

/// A matrix as rows.
pub(crate) fn rows(matrix: &Tensor) -> Result<Vec<Vec<f64>>, MeasureError> {
    let width = matrix.size().last().copied().unwrap_or(1).max(1) as usize;
    let flat = Vec::<f64>::try_from(&matrix.f_contiguous()?.f_reshape([-1])?)?;
    Ok(flat.chunks(width).map(<[f64]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::{Grams, Samples};
    use crate::hidden_layers::hidden_and_output;
    use pgdl_measure::contract::tiny_networks;
    use pgdl_measure::network::Source;
    use pgdl_measure::{Logits, Probe};

    /// Last layers on a part of the sample, from the pass for the outputs and by themselves.
    #[test]
    fn what_the_outputs_left_is_what_a_pass_of_its_own_finds() {
        for specimen in tiny_networks().unwrap() {
            let [shared, alone] = [0, 1].map(|_| Probe::new(specimen.input()).unwrap());
            let layers = hidden_and_output(shared.network());
            let late = &layers[layers.len() - 2..];
            let sources: Vec<Source> = late.iter().map(|layer| Source::Node(layer.node)).collect();
            let count = shared.sample_size() as i64 / 2;
            let grams = |of_all| Grams {
                sources: sources.clone(),
                samples: Samples::Consecutive { start: count, count, of_all },
            };
            let _ = shared.get(&Logits).unwrap();
            let (found, expected) = (shared.get(&grams(true)).unwrap(), alone.get(&grams(false)).unwrap());
            assert_eq!((shared.passes().forward, alone.passes().forward), (1.0, 0.5));
            for (found, expected) in found.iter().zip(expected.iter()) {
                assert_eq!(found.size(), [count, count]);
                let error = (found - expected).abs().max().double_value(&[]);
                assert!(error <= 1e-5 * expected.abs().max().double_value(&[]), "{error}");
            }
        }
    }
}
