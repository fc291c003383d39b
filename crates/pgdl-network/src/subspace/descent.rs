//! Gradient descent in a subspace.

use tch::{Reduction, Tensor};

use super::adam::Adam;
use super::projection::Projection;
use crate::error::Result;
use crate::forward::Mode;
use crate::gradient::{Graph, gradients};
use crate::network::Network;

/// The networks w₀ + P z about one network with the trainable parameters w₀; without a projection, w₀ + z.
#[derive(Debug)]
pub struct Subspace {
    network: Network,
    /// w₀, `[D]`.
    origin: Tensor,
    projection: Option<Projection>,
}

/// Samples of one step.
#[derive(Debug)]
pub struct Batch {
    /// `[b, …]`.
    pub inputs: Tensor,
    /// `[b]`, i64.
    pub labels: Tensor,
}

/// How z is found from 0: by Adam, its rate falling to 0 in a straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// Number of steps.
    pub steps: usize,
    /// The rate at first for the parameters themselves; that for z is √(D/d) times larger, so that a first step moves the
    /// parameters equally far in a subspace of each dimension.
    pub rate: f64,
}

impl Subspace {
    /// About `network`.
    ///
    /// # Errors
    /// libtorch refuses.
    pub fn new(network: &Network, projection: Option<Projection>) -> Result<Subspace> {
        Ok(Subspace { network: network.shallow_clone(), origin: network.trainable_vector()?, projection })
    }

    /// Number d of coordinates.
    pub fn dimension(&self) -> i64 {
        self.projection.as_ref().map_or(self.origin.numel() as i64, Projection::columns)
    }

    /// The network at z, `[d]`.
    ///
    /// # Errors
    /// `z` is of another size or kind.
    pub fn network_at(&self, z: &Tensor) -> Result<Network> {
        self.network.with_trainable_vector(&self.weights(z)?)
    }

    fn weights(&self, z: &Tensor) -> Result<Tensor> {
        match &self.projection {
            Some(projection) => Ok(self.origin.f_add(&projection.project(z)?)?),
            None => Ok(self.origin.f_add(z)?),
        }
    }

    /// The gradient by z, `[d]`, of the batch's mean cross-entropy, in evaluation mode: that by the parameters, pulled back.
    ///
    /// # Errors
    /// The batch does not fit the network; `z` is of another size or kind.
    pub fn gradient(&self, z: &Tensor, batch: &Batch) -> Result<Tensor> {
        let weights = self.weights(z)?.f_detach()?.f_set_requires_grad(true)?;
        let logits = self.network.with_trainable_vector(&weights)?.forward(&batch.inputs, Mode::Evaluate)?;
        let loss = logits.f_cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Mean, -100, 0.0)?;
        let gradient = gradients(&loss, &[&weights], Graph::Free)?.swap_remove(0);
        match &self.projection {
            Some(projection) => projection.pull_back(&gradient),
            None => Ok(gradient),
        }
    }
}

impl Descent {
    /// z after all steps; `batch` gives the samples of each step, and may end it all by an error.
    ///
    /// # Errors
    /// Those of `batch`, and what libtorch says.
    pub fn run<E: From<crate::NetworkError>>(
        &self,
        subspace: &Subspace,
        batch: &mut dyn FnMut(usize) -> std::result::Result<Batch, E>,
    ) -> std::result::Result<Tensor, E> {
        let dimension = subspace.dimension();
        let rate = self.rate * (subspace.origin.numel() as f64 / dimension.max(1) as f64).sqrt();
        let mut z =
            subspace.origin.f_new_zeros([dimension], subspace.place()).map_err(crate::NetworkError::from)?;
        let mut adam = Adam::new(&z, rate)?;
        for step in 0..self.steps {
            adam.set_rate(rate * (1.0 - step as f64 / self.steps as f64));
            let gradient = subspace.gradient(&z, &batch(step)?)?;
            z = adam.step(&z, &gradient)?;
        }
        Ok(z)
    }
}

impl Subspace {
    fn place(&self) -> (tch::Kind, tch::Device) {
        (self.network.kind(), self.network.device())
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::subspace::ProjectionKind;
    use crate::{Activation, Architecture, Dense, Layer, NetworkError};

    fn network() -> Network {
        let dense = |units, activation| Layer::Dense(Dense { units, use_bias: true, activation });
        let layers = vec![dense(6, Activation::Tanh), dense(3, Activation::Linear)];
        let architecture = Architecture::sequential(vec![4], layers).unwrap();
        Network::initialize(architecture, 5, Device::Cpu).unwrap().to_kind(Kind::Double).unwrap()
    }

    /// Three clusters.
    fn batch() -> Batch {
        let labels = Tensor::arange(30, (Kind::Int64, Device::Cpu)).remainder(3);
        let centres = Tensor::eye(4, (Kind::Double, Device::Cpu)).narrow(0, 0, 3) * 3.0;
        let noise = Tensor::arange(120, (Kind::Double, Device::Cpu)).sin().reshape([30, 4]);
        Batch { inputs: centres.index_select(0, &labels) + noise, labels }
    }

    fn loss(network: &Network, batch: &Batch) -> f64 {
        let logits = network.forward(&batch.inputs, Mode::Evaluate).unwrap();
        logits.cross_entropy_loss::<Tensor>(&batch.labels, None, Reduction::Mean, -100, 0.0).double_value(&[])
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let network = network();
        let rows = network.trainable_vector().unwrap().numel() as i64;
        let projections = ProjectionKind::ALL
            .map(|kind| Some(Projection::new(kind, rows, 5, 2, (Kind::Double, Device::Cpu)).unwrap()));
        for projection in projections.into_iter().chain([None]) {
            let subspace = Subspace::new(&network, projection).unwrap();
            let d = subspace.dimension();
            let z = Tensor::arange(d, (Kind::Double, Device::Cpu)).cos() * 0.3;
            let batch = batch();
            let found = subspace.gradient(&z, &batch).unwrap();
            for at in [0, d / 2, d - 1] {
                let axis = Tensor::zeros([d], (Kind::Double, Device::Cpu));
                let _ = axis.get(at).fill_(1e-5);
                let at_step = |sign: f64| loss(&subspace.network_at(&(&z + sign * &axis)).unwrap(), &batch);
                let difference = (at_step(1.0) - at_step(-1.0)) / 2e-5;
                assert!((found.double_value(&[at]) - difference).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn descent_lowers_the_loss_and_never_leaves_the_subspace() {
        let network = network();
        let origin = network.trainable_vector().unwrap();
        let rows = origin.numel() as i64;
        let made =
            Projection::new(ProjectionKind::Fastfood, rows, 12, 2, (Kind::Double, Device::Cpu)).unwrap();
        let subspace = Subspace::new(&network, Some(made)).unwrap();
        let descent = Descent { steps: 200, rate: 0.02 };
        let z = descent.run::<NetworkError>(&subspace, &mut |_| Ok(batch())).unwrap();
        let found = subspace.network_at(&z).unwrap();
        assert!(loss(&found, &batch()) < 0.3 * loss(&network, &batch()));
        // The displacement has no part outside of the columns' span.
        let axes = Tensor::eye(12, (Kind::Double, Device::Cpu));
        let images: Vec<Tensor> = (0..12)
            .map(|at| subspace.network_at(&axes.get(at)).unwrap().trainable_vector().unwrap() - &origin)
            .collect();
        let (basis, _) = Tensor::linalg_qr(&Tensor::stack(&images, 1), "reduced");
        let moved = found.trainable_vector().unwrap() - &origin;
        let outside = &moved - basis.mv(&basis.tr().mv(&moved));
        assert!(outside.norm().double_value(&[]) < 1e-10 * moved.norm().double_value(&[]));
    }

    #[test]
    fn without_a_projection_it_is_adam_on_all_parameters() {
        let network = network();
        let subspace = Subspace::new(&network, None).unwrap();
        let descent = Descent { steps: 1, rate: 0.01 };
        let z = descent.run::<NetworkError>(&subspace, &mut |_| Ok(batch())).unwrap();
        // The first step of Adam is the rate times the gradient's sign.
        let gradient = subspace.gradient(&z.zeros_like(), &batch()).unwrap();
        let expected = gradient.sign() * -0.01;
        let clear = gradient.abs().gt(1e-4).to_kind(Kind::Double);
        assert!(((z - expected) * &clear).abs().max().double_value(&[]) < 1e-5);
        assert!(clear.sum(Kind::Double).double_value(&[]) > 20.0);
    }

    #[test]
    fn an_error_of_the_batches_ends_it() {
        let subspace = Subspace::new(&network(), None).unwrap();
        let ended = Descent { steps: 9, rate: 0.1 }.run(&subspace, &mut |step| match step {
            3 => Err(NetworkError::Input("enough".into())),
            _ => Ok(batch()),
        });
        assert!(ended.unwrap_err().to_string().contains("enough"));
    }
}
