//! An architecture with its tensors, and the passes through it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::architecture::{Architecture, Source};
use crate::error::{NetworkError, Result};
use crate::forward::{Mode, layer_forward};
use crate::layer::Layer;
use crate::parameters::ParameterSpec;

/// A network: an [`Architecture`] and one list of tensors per node, in Keras's order and layout.
///
/// All tensors are of one floating-point kind and on one device. Clones made with
/// [`shallow_clone`](Self::shallow_clone) share them: a forward pass in [`Mode::Train`] moves the moving
/// statistics of batch normalizations for all of them.
#[derive(Debug)]
pub struct Network {
    plan: Arc<Plan>,
    weights: Vec<Vec<Tensor>>,
    device: Device,
    kind: Kind,
}

/// What follows from the architecture alone.
#[derive(Debug)]
struct Plan {
    architecture: Architecture,
    shapes: Vec<Vec<i64>>,
    specs: Vec<Vec<ParameterSpec>>,
    /// The last node that reads each node's output.
    last_use: Vec<usize>,
}

/// One tensor of a network, with all that is known of it.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// The node's index in the architecture.
    pub node: usize,
    /// The tensor's index in the node.
    pub index: usize,
    /// The node's layer.
    pub layer: &'a Layer,
    /// Name, purpose and shape.
    pub spec: &'a ParameterSpec,
    /// The values.
    pub tensor: &'a Tensor,
}

impl Network {
    /// Joins an architecture and its tensors: per node, in the order of [`Layer::parameters`].
    ///
    /// Shapes, kinds and devices are checked; nothing is copied. A network without parameters is `f32` on
    /// the CPU until it is moved.
    pub fn new(architecture: Architecture, weights: Vec<Vec<Tensor>>) -> Result<Network> {
        let shapes = architecture.shapes()?;
        let specs = architecture.parameter_specs()?;
        let mut last_use: Vec<usize> = (0..architecture.nodes.len()).collect();
        for (i, node) in architecture.nodes.iter().enumerate() {
            for source in &node.inputs {
                if let Source::Node(j) = source {
                    last_use[*j] = i;
                }
            }
        }
        let plan = Arc::new(Plan { architecture, shapes, specs, last_use });
        Self::assemble(plan, weights, (Kind::Float, Device::Cpu))
    }

    /// Checks tensors against the plan. `fallback` is the placement of a network without parameters.
    fn assemble(plan: Arc<Plan>, weights: Vec<Vec<Tensor>>, fallback: (Kind, Device)) -> Result<Network> {
        let nodes = &plan.architecture.nodes;
        if weights.len() != nodes.len() {
            return Err(NetworkError::Graph(format!(
                "{} layers, but weights for {}",
                nodes.len(),
                weights.len()
            )));
        }
        let mut placement = None;
        for ((node, specs), tensors) in nodes.iter().zip(&plan.specs).zip(&weights) {
            let error = |reason| NetworkError::Weights { layer: node.name.clone(), reason };
            if tensors.len() != specs.len() {
                let names: Vec<_> = specs.iter().map(|spec| spec.name).collect();
                return Err(error(format!(
                    "needs {} ({}), found {}",
                    specs.len(),
                    names.join(", "),
                    tensors.len()
                )));
            }
            for (spec, tensor) in specs.iter().zip(tensors) {
                if !tensor.defined() {
                    return Err(error(format!("{} is undefined", spec.name)));
                }
                if tensor.size() != spec.shape {
                    let found = tensor.size();
                    return Err(error(format!("{} must be {:?}, found {found:?}", spec.name, spec.shape)));
                }
                let found = (tensor.f_kind()?, tensor.device());
                if !matches!(found.0, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
                    return Err(error(format!(
                        "{} is {:?}, which is no floating-point kind",
                        spec.name, found.0
                    )));
                }
                let expected = *placement.get_or_insert(found);
                if found != expected {
                    return Err(error(format!("{} is {found:?}, earlier ones {expected:?}", spec.name)));
                }
            }
        }
        let (kind, device) = placement.unwrap_or(fallback);
        Ok(Network { plan, weights, device, kind })
    }

    /// The layers.
    pub fn architecture(&self) -> &Architecture {
        &self.plan.architecture
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The weights' element kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Every node's output shape, without the batch axis.
    pub fn shapes(&self) -> &[Vec<i64>] {
        &self.plan.shapes
    }

    /// Number of outputs per sample. Fails where the output is not a vector.
    pub fn classes(&self) -> Result<i64> {
        self.plan.architecture.classes()
    }

    /// All tensors with what is known of them, in the order of nodes.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        let nodes = self.plan.architecture.nodes.iter().zip(&self.plan.specs).zip(&self.weights);
        nodes.enumerate().flat_map(|(node, ((owner, specs), tensors))| {
            specs.iter().zip(tensors).enumerate().map(move |(index, (spec, tensor))| Parameter {
                node,
                index,
                layer: &owner.layer,
                spec,
                tensor,
            })
        })
    }

    /// The tensors that gradient descent changes, as handles on the same memory.
    pub fn trainable_tensors(&self) -> Vec<Tensor> {
        self.parameters().filter(|p| p.spec.role.trainable()).map(|p| p.tensor.shallow_clone()).collect()
    }

    /// The tensors, per node.
    pub fn weights(&self) -> &[Vec<Tensor>] {
        &self.weights
    }

    /// The same architecture with other tensors, which are checked and not copied.
    pub fn with_weights(&self, weights: Vec<Vec<Tensor>>) -> Result<Network> {
        Self::assemble(Arc::clone(&self.plan), weights, (self.kind, self.device))
    }

    /// The same architecture, with each tensor replaced by what `change` makes of it.
    pub fn map_weights(&self, mut change: impl FnMut(&Parameter<'_>) -> Result<Tensor>) -> Result<Network> {
        let mut weights: Vec<Vec<Tensor>> =
            self.weights.iter().map(|t| Vec::with_capacity(t.len())).collect();
        for parameter in self.parameters() {
            weights[parameter.node].push(change(&parameter)?);
        }
        self.with_weights(weights)
    }

    /// The network on another device; tensors that are there already are shared.
    pub fn to_device(&self, device: Device) -> Result<Network> {
        let mut moved = self.map_weights(|p| Ok(p.tensor.f_to(device)?))?;
        moved.device = device;
        Ok(moved)
    }

    /// The network in another floating-point kind; tensors that have it already are shared.
    pub fn to_kind(&self, kind: Kind) -> Result<Network> {
        let mut converted = self.map_weights(|p| Ok(p.tensor.f_to_kind(kind)?))?;
        converted.kind = kind;
        Ok(converted)
    }

    /// The last node that reads a node's output.
    pub(crate) fn last_use(&self, node: usize) -> usize {
        self.plan.last_use[node]
    }

    /// The same tensors under another handle.
    pub fn shallow_clone(&self) -> Network {
        let weights = self.weights.iter().map(|t| t.iter().map(Tensor::shallow_clone).collect()).collect();
        Network { plan: Arc::clone(&self.plan), weights, device: self.device, kind: self.kind }
    }

    /// Copies of all tensors, detached from any gradient graph.
    pub fn deep_clone(&self) -> Result<Network> {
        self.map_weights(|p| Ok(p.tensor.f_detach()?.f_detach_copy()?))
    }

    /// Detached copies that are leaves of a new gradient graph: trainable parameters require gradients.
    pub fn trainable(&self) -> Result<Network> {
        self.map_weights(|p| {
            let copy = p.tensor.f_detach()?.f_detach_copy()?;
            Ok(copy.f_set_requires_grad(p.spec.role.trainable())?)
        })
    }

    /// Nodes after which the network can be cut: see [`Architecture::cut_points`].
    pub fn cut_points(&self) -> Vec<usize> {
        self.plan.architecture.cut_points()
    }

    /// The outputs for a batch `[N, …input_shape]`.
    ///
    /// Gradients are tracked unless the caller wraps the call in [`tch::no_grad`].
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward_observed(x, mode, &mut |_, _| Ok(()))
    }

    /// Like [`forward`](Self::forward), showing each node's output (after its fused activation) in order.
    pub fn forward_observed(
        &self,
        x: &Tensor,
        mode: Mode,
        observe: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.check_batch(x, &self.plan.architecture.input_shape)?;
        let x = x.f_contiguous()?;
        let last = self.plan.architecture.nodes.len().saturating_sub(1);
        self.run(0..=last, Some(&x), Vec::new(), mode, observe)
    }

    /// A node's output `[N, …]` for a batch `[N, …input_shape]`; the nodes after it are not run.
    pub fn forward_to(&self, node: usize, x: &Tensor, mode: Mode) -> Result<Tensor> {
        let nodes = self.plan.architecture.nodes.len();
        if node >= nodes {
            return Err(NetworkError::NoSuchNode { index: node, nodes });
        }
        self.check_batch(x, &self.plan.architecture.input_shape)?;
        let x = x.f_contiguous()?;
        self.run(0..=node, Some(&x), Vec::new(), mode, &mut |_, _| Ok(()))
    }

    /// The rest of the network, from a node's output `[N, …]` on. The node must be a
    /// [cut point](Self::cut_points); after the last one nothing is left to do.
    pub fn forward_from(&self, node: usize, activation: &Tensor, mode: Mode) -> Result<Tensor> {
        self.forward_from_observed(node, activation, mode, &mut |_, _| Ok(()))
    }

    /// Like [`forward_from`](Self::forward_from), showing the output of each node after the given one.
    pub fn forward_from_observed(
        &self,
        node: usize,
        activation: &Tensor,
        mode: Mode,
        observe: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let nodes = &self.plan.architecture.nodes;
        let Some(owner) = nodes.get(node) else {
            return Err(NetworkError::NoSuchNode { index: node, nodes: nodes.len() });
        };
        if self.cut_points().binary_search(&node).is_err() {
            return Err(NetworkError::NotACutPoint(owner.name.clone()));
        }
        self.check_batch(activation, &self.plan.shapes[node])?;
        let mut values: Vec<Option<Tensor>> = std::iter::repeat_with(|| None).take(node).collect();
        values.push(Some(activation.f_contiguous()?));
        self.run(node + 1..=nodes.len() - 1, None, values, mode, observe)
    }

    /// Runs a range of nodes, given the network's input and the values of earlier nodes: the last one's output.
    fn run(
        &self,
        range: RangeInclusive<usize>,
        x: Option<&Tensor>,
        mut values: Vec<Option<Tensor>>,
        mode: Mode,
        observe: &mut dyn FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        for (i, node) in self.plan.architecture.nodes.iter().enumerate() {
            if !range.contains(&i) {
                continue;
            }
            let inputs: Vec<&Tensor> = node
                .inputs
                .iter()
                .filter_map(|source| match *source {
                    Source::Input => x,
                    Source::Node(j) => values.get(j).and_then(Option::as_ref),
                })
                .collect();
            let output = layer_forward(&node.layer, &self.weights[i], &inputs, mode)
                .map_err(|error| error.at_node(&node.name))?;
            observe(i, &output)?;
            for source in &node.inputs {
                if let Source::Node(j) = *source
                    && self.plan.last_use[j] == i
                {
                    values[j] = None;
                }
            }
            values.push(Some(output));
        }
        values.pop().flatten().ok_or_else(|| NetworkError::Graph("there is no layer".into()))
    }

    fn check_batch(&self, x: &Tensor, shape: &[i64]) -> Result<()> {
        if !x.defined() {
            return Err(NetworkError::Input("the tensor is undefined".into()));
        }
        let found = x.size();
        if found.len() != shape.len() + 1 || found[1..] != *shape {
            return Err(NetworkError::Input(format!(
                "a batch of {shape:?} is needed, not a tensor of {found:?}"
            )));
        }
        let (found_kind, found_device) = (x.f_kind()?, x.device());
        if (found_kind, found_device) != (self.kind, self.device) {
            let (kind, device) = (self.kind, self.device);
            return Err(NetworkError::Placement { found_kind, found_device, kind, device });
        }
        Ok(())
    }
}
