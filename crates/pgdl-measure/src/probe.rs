//! The probe: one network under examination.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use pgdl_network::{Mode, Network};
use pgdl_zoo::Dataset;
use tch::{Device, Kind, Tensor};

use crate::error::MeasureError;
use crate::generator::Generator;
use crate::info::Need;
use crate::measured::Measured;
use crate::quantity::{FoldedInitial, FoldedNetwork, Quantity};
use crate::registry::Resolved;
use crate::shared::{Counts, Passes, Shared};
use crate::truth::Truth;

/// What a probe is made of.
#[derive(Debug)]
pub struct ProbeInput {
    /// The trained network, on the device and of the kind (f32 or f64) to compute with.
    pub network: Network,
    /// Its id in the zoo; part of every seed.
    pub network_id: u64,
    /// The same architecture with the weights before training, where the zoo keeps them.
    pub initial: Option<Network>,
    /// The sample of the training set to examine the network on. Moved to the network's device and kind when it is
    /// not there already.
    pub train: Dataset,
    /// Size of the training set that the sample comes from (at least the sample's size).
    pub train_size: usize,
    /// Unlabelled inputs of the test set, `[M, …]`, where a measure may see them.
    pub test_inputs: Option<Tensor>,
    /// The true gaps, where a control may see them.
    pub truth: Option<Truth>,
    /// The run's seed.
    pub seed: u64,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Samples per forward pass. Decides memory and speed, never values.
    pub batch_size: usize,
}

/// One network under examination on one device: the network, its initial weights, the training sample, a seeded
/// generator, a deadline, and *shared quantities*, each computed once on first use.
///
/// A probe lives on one thread. Every cost is accounted to the measure that needs it, also when a quantity was there
/// already: neither values nor costs depend on the order of the measures.
#[derive(Debug)]
pub struct Probe {
    network: Network,
    network_id: u64,
    initial: Option<Network>,
    inputs: Tensor,
    labels: Tensor,
    classes: i64,
    train_size: usize,
    test_inputs: Option<Tensor>,
    truth: Option<Truth>,
    seed: u64,
    deadline: Cell<Option<Instant>>,
    batch_size: i64,
    needs: RefCell<Option<(String, Vec<Need>)>>,
    shared: Shared,
}

/// What came of a measure on a network, and what it cost.
#[derive(Debug)]
pub struct Evaluation {
    /// The value, or why there is none.
    pub outcome: Result<Measured, MeasureError>,
    /// Passes over the sample: the measure's own, and those of every shared quantity it uses, whether computed now or
    /// before.
    pub passes: Passes,
    /// Seconds, counted in the same way.
    pub seconds: f64,
}

/// Consecutive samples.
#[derive(Debug)]
pub struct Batch {
    /// Index of the first sample.
    pub start: i64,
    /// `[b, …]`, a view of the sample's inputs.
    pub inputs: Tensor,
    /// `[b]`, i64, a view of the sample's labels.
    pub labels: Tensor,
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> i64 {
        self.labels.numel() as i64
    }

    /// Whether it holds no sample; batches of a probe never do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Probe {
    /// A probe of a network.
    ///
    /// # Errors
    /// The sample is empty or does not fit the network; the initial network is another architecture; the batch size
    /// is zero; libtorch cannot move the sample.
    pub fn new(input: ProbeInput) -> Result<Self, MeasureError> {
        let ProbeInput { network, train, .. } = input;
        let classes = network.architecture().classes()?;
        if train.is_empty() {
            return MeasureError::failed("the training sample is empty");
        }
        train
            .check_fits(&network.architecture().input_shape, classes)
            .map_err(|error| MeasureError::Failed(error.to_string()))?;
        if input.batch_size == 0 {
            return MeasureError::failed("a batch of zero samples leads nowhere");
        }
        if input.train_size < train.len() {
            return MeasureError::failed(format!(
                "a sample of {} cannot come from a training set of {}",
                train.len(),
                input.train_size
            ));
        }
        if let Some(initial) = &input.initial
            && initial.architecture() != network.architecture()
        {
            return MeasureError::failed("the initial weights belong to another architecture");
        }
        let (device, kind) = (network.device(), network.kind());
        let place = |tensor: Tensor| tensor.f_to_device(device)?.f_to_kind(kind)?.f_contiguous();
        Ok(Self {
            inputs: place(train.inputs)?,
            labels: train.labels.f_to_device(device)?,
            test_inputs: input.test_inputs.map(place).transpose()?,
            initial: input.initial.map(|initial| initial.to_device(device)?.to_kind(kind)).transpose()?,
            network,
            network_id: input.network_id,
            classes,
            train_size: input.train_size,
            truth: input.truth,
            seed: input.seed,
            deadline: Cell::new(input.deadline),
            batch_size: i64::try_from(input.batch_size).unwrap_or(i64::MAX),
            needs: RefCell::new(None),
            shared: Shared::default(),
        })
    }

    /// Runs a measure: its value or why there is none, and its cost. A value that is NaN or infinite becomes
    /// [`MeasureError::Failed`]: measures themselves say where their formula has no value.
    pub fn evaluate(&self, resolved: &Resolved) -> Evaluation {
        let info = resolved.measure.info();
        self.needs.replace(Some((info.id.to_string(), info.needs.to_vec())));
        self.shared.begin(resolved.spec.as_str());
        let outcome = self.check_needs(info.needs).and_then(|()| resolved.measure.evaluate(self));
        let (passes, seconds) = self.shared.finish(self.sample_size());
        self.needs.replace(None);
        let outcome = outcome.and_then(|measured| match measured.not_finite() {
            Some(what) => MeasureError::failed(format!("the measure gave {what}")),
            None => Ok(measured),
        });
        Evaluation { outcome, passes, seconds }
    }

    fn check_needs(&self, needs: &[Need]) -> Result<(), MeasureError> {
        for need in needs {
            match need {
                Need::InitialWeights => drop(self.initial()?),
                Need::TestInputs => drop(self.test_inputs()?),
                Need::TrueGaps => drop(self.truth()?),
                Need::Labels => {}
            }
        }
        Ok(())
    }

    /// The trained network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The trained network with BatchNormalization folded into the linear layers: the same function. Shared.
    ///
    /// # Errors
    /// The network cannot fold a layer.
    pub fn folded(&self) -> Result<Rc<Network>, MeasureError> {
        self.get(&FoldedNetwork)
    }

    /// The network before training.
    ///
    /// # Errors
    /// The zoo keeps no initial weights: unavailable.
    pub fn initial(&self) -> Result<&Network, MeasureError> {
        self.initial.as_ref().ok_or_else(|| {
            MeasureError::Unavailable("the zoo keeps no initial weights of this network".to_string())
        })
    }

    /// The network before training, with BatchNormalization folded as in [`Self::folded`]. Shared.
    ///
    /// # Errors
    /// As [`Self::initial`] and [`Self::folded`].
    pub fn folded_initial(&self) -> Result<Rc<Network>, MeasureError> {
        self.get(&FoldedInitial)
    }

    /// The sample's inputs, `[n, …]`, on the network's device and of its kind.
    pub fn inputs(&self) -> &Tensor {
        &self.inputs
    }

    /// The sample's labels, `[n]`, i64, on the network's device.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// Number n of samples.
    pub fn sample_size(&self) -> usize {
        self.labels.numel()
    }

    /// Size of the training set that the sample comes from.
    pub fn train_size(&self) -> usize {
        self.train_size
    }

    /// Number C of classes: the width of the output.
    pub fn classes(&self) -> i64 {
        self.classes
    }

    /// Where to compute.
    pub fn device(&self) -> Device {
        self.network.device()
    }

    /// The kind (f32 or f64) to compute with.
    pub fn kind(&self) -> Kind {
        self.network.kind()
    }

    /// Samples per pass. Decides memory and speed, never values.
    pub fn batch_size(&self) -> i64 {
        self.batch_size
    }

    /// Unlabelled inputs of the test set, `[M, …]`.
    ///
    /// # Errors
    /// There are none, or the measure did not declare that it needs them: unavailable.
    pub fn test_inputs(&self) -> Result<&Tensor, MeasureError> {
        self.check_declared(Need::TestInputs)?;
        self.test_inputs
            .as_ref()
            .ok_or_else(|| MeasureError::Unavailable("the zoo has no test inputs".to_string()))
    }

    /// The true gaps and hyperparameters of the zoo; for controls.
    ///
    /// # Errors
    /// There are none, or the measure did not declare that it needs them: unavailable.
    pub fn truth(&self) -> Result<&Truth, MeasureError> {
        self.check_declared(Need::TrueGaps)?;
        self.truth
            .as_ref()
            .ok_or_else(|| MeasureError::Unavailable("the true gaps are not known here".to_string()))
    }

    fn check_declared(&self, need: Need) -> Result<(), MeasureError> {
        match &*self.needs.borrow() {
            Some((id, needs)) if !needs.contains(&need) => MeasureError::unavailable(format!(
                "measure `{id}` does not declare that it needs {}",
                need.describe()
            )),
            _ => Ok(()),
        }
    }

    /// A generator seeded by the run's seed, the measure with its parameters (or the shared quantity) that asks, the
    /// network's id, and `purpose`. The same call gives the same stream again: name each use differently.
    pub fn generator(&self, purpose: &str) -> Generator {
        let asks = self.shared.current();
        let (seed, network) = (self.seed.to_le_bytes(), self.network_id.to_le_bytes());
        let parts: [&[u8]; 4] = [&seed, &network, asks.as_bytes(), purpose.as_bytes()];
        Generator::new(&parts, self.device(), self.kind())
    }

    /// The network's id in its zoo.
    pub fn network_id(&self) -> u64 {
        self.network_id
    }

    /// When time is up, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// Sets another deadline.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    /// Time is up? Call it between batches, draws and steps.
    ///
    /// # Errors
    /// The deadline has passed.
    pub fn check_deadline(&self) -> Result<(), MeasureError> {
        match self.deadline.get() {
            Some(deadline) if Instant::now() >= deadline => {
                Err(MeasureError::Timeout("the time budget is used up".to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The sample in batches, in order. Each step checks the deadline.
    pub fn batches(&self) -> Batches<'_> {
        self.batches_of(self.sample_size())
    }

    /// The first `count` samples (or all, if there are fewer) in batches, in order. Each step checks the deadline.
    pub fn batches_of(&self, count: usize) -> Batches<'_> {
        Batches { probe: self, next: 0, end: count.min(self.sample_size()) as i64, length: self.batch_size }
    }

    /// The outputs for `inputs` `[b, …]` in evaluation mode, without gradients; counted as b / n forward passes.
    ///
    /// # Errors
    /// The network or libtorch refuses.
    pub fn forward(&self, inputs: &Tensor) -> Result<Tensor, MeasureError> {
        let outputs = tch::no_grad(|| self.network.forward(inputs, Mode::Evaluate))?;
        self.count_forward(inputs.size().first().copied().unwrap_or(0));
        Ok(outputs)
    }

    /// Counts a forward pass over `samples` samples.
    pub fn count_forward(&self, samples: i64) {
        self.shared.count(Counts { forward: samples.unsigned_abs(), ..Counts::default() });
    }

    /// Counts a backward pass over `samples` samples. (A cost B is one forward and one backward pass.)
    pub fn count_backward(&self, samples: i64) {
        self.shared.count(Counts { backward: samples.unsigned_abs(), ..Counts::default() });
    }

    /// Counts a Hessian-vector product over `samples` samples.
    pub fn count_hvp(&self, samples: i64) {
        self.shared.count(Counts { hvp: samples.unsigned_abs(), ..Counts::default() });
    }

    /// Passes over the sample that were made so far, each once, whoever needed them.
    pub fn passes(&self) -> Passes {
        self.shared.passes(self.sample_size())
    }

    /// A shared quantity: computed on first use, kept for every later one.
    ///
    /// # Errors
    /// Those of its computation.
    pub fn get<Q: Quantity>(&self, quantity: &Q) -> Result<Rc<Q::Value>, MeasureError> {
        self.shared.get(quantity, self)
    }
}

/// Iterator over batches; see [`Probe::batches`].
#[derive(Debug)]
pub struct Batches<'a> {
    probe: &'a Probe,
    next: i64,
    end: i64,
    length: i64,
}

impl Batches<'_> {
    /// In batches of no more than `samples` (at least 1), for work that takes more memory than a forward pass.
    pub fn at_most(mut self, samples: i64) -> Self {
        self.length = self.length.min(samples).max(1);
        self
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, MeasureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let start = self.next;
        let length = self.length.min(self.end - start);
        self.next = start + length;
        Some(self.probe.check_deadline().and_then(|()| {
            Ok(Batch {
                start,
                inputs: self.probe.inputs.f_narrow(0, start, length)?,
                labels: self.probe.labels.f_narrow(0, start, length)?,
            })
        }))
    }
}
