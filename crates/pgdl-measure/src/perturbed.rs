//! Many copies of a network, each with its own weights, on samples of their own.

use std::rc::Rc;

use pgdl_network::{Mode, Network};
use tch::{Device, Tensor};

use crate::error::MeasureError;
use crate::probe::Probe;
use crate::quantity::correct;

/// Numbers in the largest layer of all copies together, above which more copies at once gain nothing. Measured on a CPU:
/// one copy of a small VGG on 100 images fills a core, and grouped convolutions are then up to a third slower than one copy
/// after the other. A GPU holds some hundred times as many numbers in flight; that one is not measured.
const FULL_CPU: i64 = 1 << 18;
const FULL_GPU: i64 = 1 << 26;

/// The fewest samples that pass at a time, whatever the probe's batch size: less saves no memory worth its time.
const FEWEST: i64 = 64;

/// A network whose trainable parameters are moved: the folded one of a probe, by default.
#[derive(Debug)]
pub struct Perturbed<'a> {
    probe: &'a Probe,
    network: Rc<Network>,
    center: Tensor,
}

impl<'a> Perturbed<'a> {
    /// The probe's network with BatchNormalization folded into the linear layers.
    ///
    /// # Errors
    /// Undefined where a weight is not finite; the network cannot fold a layer.
    pub fn folded(probe: &'a Probe) -> Result<Self, MeasureError> {
        let network = probe.folded()?;
        let center = network.trainable_vector()?;
        if center.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            return MeasureError::undefined("the network has weights that are not finite");
        }
        if center.numel() == 0 {
            return MeasureError::undefined("the network has no parameters");
        }
        Ok(Self { probe, network, center })
    }

    /// Any network that reads what the probe's reads.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn at(probe: &'a Probe, network: &Network) -> Result<Self, MeasureError> {
        let center = network.trainable_vector()?;
        Ok(Self { probe, network: Rc::new(network.shallow_clone()), center })
    }

    /// The network that is moved.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its trainable parameters, `[P]`.
    pub fn center(&self) -> &Tensor {
        &self.center
    }

    /// How many copies to evaluate at once on `samples` samples each: as many as fill the machine, at least one.
    pub fn copies_at_once(&self, samples: i64) -> i64 {
        let input = self.network.architecture().input_shape.iter().product::<i64>();
        let layers = self.network.shapes().iter().map(|shape| shape.iter().product::<i64>());
        let widest = layers.max().unwrap_or(0).max(input).max(1);
        let full = if self.probe.device() == Device::Cpu { FULL_CPU } else { FULL_GPU };
        let fill = full / (widest * samples.max(1)).max(1);
        let memory = self.rows() / samples.max(1);
        if self.probe.device() == Device::Cpu {
            fill.clamp(1, 64)
        } else {
            fill.min(memory.max(16)).clamp(1, 256)
        }
    }

    /// The trainable parameters `copies` times, `[R, P]`: a copy, for a gradient of each.
    ///
    /// # Errors
    /// libtorch has no memory for them.
    pub fn repeated(&self, copies: i64) -> Result<Tensor, MeasureError> {
        Ok(self.center.f_unsqueeze(0)?.f_repeat([copies, 1])?)
    }

    /// The inputs of the samples `index`, `[R, m]`: `[R, m, …]`.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn inputs_of(&self, index: &Tensor) -> Result<Tensor, MeasureError> {
        let inputs = self.probe.inputs().f_index_select(0, &index.f_reshape([-1])?)?;
        let shape = [index.size().as_slice(), &inputs.size()[1..]].concat();
        Ok(inputs.f_reshape(shape)?)
    }

    fn rows(&self) -> i64 {
        self.probe.batch_size().max(FEWEST)
    }

    /// Which samples each copy gets right: `[R, m]`, bool, for the weights in the rows of `vectors`, `[R, P]`, and the
    /// samples `index`, `[R, m]`, of each. Outputs that are not finite are wrong. Counted as R m / n forward passes.
    ///
    /// # Errors
    /// Time is up, or libtorch refuses.
    pub fn correct(&self, vectors: &Tensor, index: &Tensor) -> Result<Tensor, MeasureError> {
        let (copies, samples) = (index.size()[0], index.size()[1]);
        let mut parts = Vec::new();
        let mut start = 0;
        while start < samples {
            self.probe.check_deadline()?;
            let length = self.rows().min(samples - start);
            let rows = index.f_narrow(1, start, length)?.f_reshape([-1])?;
            let labels = self.probe.labels().f_index_select(0, &rows)?;
            let outputs = self.outputs(vectors, &index.f_narrow(1, start, length)?)?;
            parts.push(
                correct(&outputs.f_reshape([copies * length, -1])?, &labels)?.f_reshape([copies, length])?,
            );
            start += length;
        }
        Ok(Tensor::f_cat(&parts, 1)?)
    }

    /// The outputs `[R, m, C]`, without gradients, for the weights in the rows of `vectors`, `[R, P]`, and the samples
    /// `index`, `[R, m]`, of each; the caller cares for memory. Counted as R m / n forward passes.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn outputs(&self, vectors: &Tensor, index: &Tensor) -> Result<Tensor, MeasureError> {
        let inputs = self.inputs_of(index)?;
        self.probe.count_forward(index.numel() as i64);
        if index.size()[0] == 1 {
            let network = self.network.with_trainable_vector(&vectors.f_get(0)?)?;
            let inputs = inputs.f_get(0)?;
            let outputs = tch::no_grad(|| network.forward(&inputs, Mode::Evaluate))?;
            return Ok(outputs.f_unsqueeze(0)?);
        }
        Ok(tch::no_grad(|| self.network.forward_copies(vectors, &inputs))?)
    }
}
