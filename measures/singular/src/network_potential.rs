//! The cross-entropy of a network as a potential.

use std::rc::Rc;

use pgdl_measure::network::Network;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{Losses, MeasureError, Probe};

use crate::potential::Potential;

/// The cross-entropy on the probe's sample as a function of all trainable parameters; BatchNormalization is in
/// evaluation mode, with the moving statistics of the trained network.
pub struct NetworkPotential<'a> {
    probe: &'a Probe,
    network: &'a Network,
    centre: Tensor,
    losses: Rc<Tensor>,
}

impl<'a> NetworkPotential<'a> {
    /// That of the network under examination. One forward pass, shared.
    ///
    /// # Errors
    /// The network's output is not finite, or it has no trainable parameter.
    pub fn new(probe: &'a Probe) -> Result<Self, MeasureError> {
        let centre = probe.network().trainable_vector()?;
        if centre.numel() == 0 {
            return MeasureError::undefined("the network has no trainable parameter");
        }
        Ok(Self { probe, network: probe.network(), centre, losses: probe.get(&Losses)? })
    }
}

impl Potential for NetworkPotential<'_> {
    fn centre(&self) -> &Tensor {
        &self.centre
    }

    fn samples(&self) -> i64 {
        self.probe.sample_size() as i64
    }

    fn losses(&self, copies: &Tensor, batch: Option<&Tensor>) -> Result<Tensor, MeasureError> {
        let (inputs, labels) = (self.probe.inputs(), self.probe.labels());
        let count = copies.size()[0];
        let (x, y) = match batch {
            None => {
                (inputs.shallow_clone(), labels.f_unsqueeze(0)?.f_expand([count, self.samples()], false)?)
            }
            Some(batch) => {
                let shape = [batch.size().as_slice(), &inputs.size()[1..]].concat();
                let flat = batch.f_reshape([-1])?;
                (inputs.f_index_select(0, &flat)?.f_reshape(shape)?, labels.f_take(batch)?)
            }
        };
        let logits = self.network.forward_copies(copies, &x)?;
        let own = logits.f_log_softmax(-1, None::<Kind>)?.f_gather(-1, &y.f_unsqueeze(-1)?, false)?;
        Ok(own.f_squeeze_dim(-1)?.f_neg()?)
    }

    fn centre_losses(&self) -> Result<Tensor, MeasureError> {
        Ok(self.losses.shallow_clone())
    }

    fn spent(&self, losses: i64) -> Result<(), MeasureError> {
        self.probe.count_forward(losses);
        self.probe.count_backward(losses);
        self.probe.check_deadline()
    }
}
