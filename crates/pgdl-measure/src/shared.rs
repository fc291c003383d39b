//! Shared quantities and the accounts of who used what.
//!
//! Work is done in *scopes*: a measure's, and inside it those of the quantities that it computes. Each scope keeps its
//! own passes and seconds, without those of the scopes inside it, and the set of quantities it uses, directly or
//! through others. What a measure costs is its own part plus the part of each quantity in its set, counted once,
//! whether that was computed for this measure or lay there from before. So the cost does not depend on the order of
//! the measures.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::MeasureError;
use crate::probe::Probe;
use crate::quantity::Quantity;

/// Passes over the sample: 1 = all n samples once, so that half the sample counts 0.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passes {
    /// Forward passes.
    pub forward: f64,
    /// Backward passes.
    pub backward: f64,
    /// Hessian-vector products.
    pub hvp: f64,
}

/// Samples that went through passes. Integers, so that sums do not depend on the order of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub forward: u64,
    pub backward: u64,
    pub hvp: u64,
}

impl Counts {
    /// As multiples of the sample.
    fn passes(self, sample_size: usize) -> Passes {
        let share = |count: u64| count as f64 / sample_size as f64;
        Passes { forward: share(self.forward), backward: share(self.backward), hvp: share(self.hvp) }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.forward += other.forward;
        self.backward += other.backward;
        self.hvp += other.hvp;
    }
}

/// Quantities by type and name.
type Key = (TypeId, String);

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// What was computed, in that order.
    kept: RefCell<Vec<Kept>>,
    position: RefCell<HashMap<Key, usize>>,
    scopes: RefCell<Vec<Scope>>,
    /// All that was counted, whoever needs it.
    total: Cell<Counts>,
}

#[derive(Debug)]
struct Kept {
    /// `Rc<Q::Value>`, or why there is none.
    value: Result<Rc<dyn Any>, MeasureError>,
    /// Positions of the quantities it was made from, directly or not.
    uses: BTreeSet<usize>,
    counts: Counts,
    seconds: f64,
}

#[derive(Debug)]
struct Scope {
    name: String,
    /// The quantity being computed; none for a measure's scope.
    key: Option<Key>,
    uses: BTreeSet<usize>,
    counts: Counts,
    started: Instant,
    /// Seconds spent in the scopes inside this one.
    inner_seconds: f64,
}

impl Scope {
    fn new(name: &str, key: Option<Key>) -> Self {
        Self {
            name: name.to_string(),
            key,
            uses: BTreeSet::new(),
            counts: Counts::default(),
            started: Instant::now(),
            inner_seconds: 0.0,
        }
    }
}

impl Shared {
    /// Opens a measure's scope. Scopes that a panic left open are closed.
    pub fn begin(&self, name: &str) {
        let mut scopes = self.scopes.borrow_mut();
        scopes.clear();
        scopes.push(Scope::new(name, None));
    }

    /// Closes the measure's scope: its cost in passes over `sample_size` samples, and in seconds.
    pub fn finish(&self, sample_size: usize) -> (Passes, f64) {
        let Some(scope) = self.scopes.borrow_mut().pop() else {
            return (Passes::default(), 0.0);
        };
        let mut counts = scope.counts;
        let mut seconds = scope.started.elapsed().as_secs_f64() - scope.inner_seconds;
        let kept = self.kept.borrow();
        for used in scope.uses.iter().filter_map(|&position| kept.get(position)) {
            counts += used.counts;
            seconds += used.seconds;
        }
        (counts.passes(sample_size), seconds)
    }

    /// Name of the innermost scope; empty outside of all.
    pub fn current(&self) -> String {
        self.scopes.borrow().last().map_or_else(String::new, |scope| scope.name.clone())
    }

    /// Counts samples to the innermost scope.
    pub fn count(&self, counts: Counts) {
        let mut total = self.total.get();
        total += counts;
        self.total.set(total);
        if let Some(scope) = self.scopes.borrow_mut().last_mut() {
            scope.counts += counts;
        }
    }

    /// All that was counted so far, in passes over `sample_size` samples.
    pub fn passes(&self, sample_size: usize) -> Passes {
        self.total.get().passes(sample_size)
    }

    pub fn get<Q: Quantity>(&self, quantity: &Q, probe: &Probe) -> Result<Rc<Q::Value>, MeasureError> {
        let name = quantity.name();
        let key: Key = (TypeId::of::<Q>(), name.clone());
        if let Some(found) = self.kept_value(&key) {
            return found.and_then(|value| typed(value, &name));
        }
        if self.scopes.borrow().iter().any(|scope| scope.key.as_ref() == Some(&key)) {
            return MeasureError::failed(format!("the shared quantity `{name}` needs itself"));
        }
        self.scopes.borrow_mut().push(Scope::new(&format!("quantity {name}"), Some(key.clone())));
        let value = quantity.compute(probe).map(Rc::new);
        let Some(scope) = self.scopes.borrow_mut().pop() else {
            return MeasureError::failed(format!("the account of the shared quantity `{name}` is lost"));
        };
        self.close(key, scope, &value);
        value
    }

    /// What lies there from before, noted as used by the innermost scope.
    fn kept_value(&self, key: &Key) -> Option<Result<Rc<dyn Any>, MeasureError>> {
        let position = *self.position.borrow().get(key)?;
        let kept = self.kept.borrow();
        let found = kept.get(position)?;
        if let Some(scope) = self.scopes.borrow_mut().last_mut() {
            scope.uses.insert(position);
            scope.uses.extend(&found.uses);
        }
        Some(found.value.clone())
    }

    /// Keeps a quantity and notes it as used by the scope around it.
    fn close<V: 'static>(&self, key: Key, scope: Scope, value: &Result<Rc<V>, MeasureError>) {
        let elapsed = scope.started.elapsed().as_secs_f64();
        let value: Result<Rc<dyn Any>, MeasureError> = match value {
            Ok(value) => Ok(Rc::clone(value) as Rc<dyn Any>),
            // That there is no value is a finding, and kept; a failure or a timeout may not come again.
            Err(error @ (MeasureError::Undefined(_) | MeasureError::Unavailable(_))) => Err(error.clone()),
            Err(_) => {
                if let Some(around) = self.scopes.borrow_mut().last_mut() {
                    around.counts += scope.counts;
                    around.uses.extend(scope.uses);
                    around.inner_seconds += scope.inner_seconds;
                }
                return;
            }
        };
        let mut kept = self.kept.borrow_mut();
        let position = kept.len();
        if let Some(around) = self.scopes.borrow_mut().last_mut() {
            around.uses.insert(position);
            around.uses.extend(&scope.uses);
            around.inner_seconds += elapsed;
        }
        let seconds = elapsed - scope.inner_seconds;
        kept.push(Kept { value, uses: scope.uses, counts: scope.counts, seconds });
        self.position.borrow_mut().insert(key, position);
    }
}

fn typed<V: 'static>(value: Rc<dyn Any>, name: &str) -> Result<Rc<V>, MeasureError> {
    value
        .downcast::<V>()
        .map_err(|_| MeasureError::Failed(format!("the shared quantity `{name}` is of another type")))
}
