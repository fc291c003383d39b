//! Tasks: what learners learn from and are tested on.

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::error::{NcError, Result};
use crate::random::Draws;

/// T regression tasks of one size.
#[derive(Debug)]
pub struct Tasks {
    /// X_tr: `[T, m, 1]`.
    pub train_inputs: Tensor,
    /// Y_tr: `[T, m, 1]`.
    pub train_targets: Tensor,
    /// X_te: `[T, n, 1]`.
    pub test_inputs: Tensor,
    /// Y_te, which no learner and no model sees: `[T, n, 1]`.
    pub test_targets: Tensor,
}

impl Tasks {
    /// How many there are.
    pub fn len(&self) -> i64 {
        self.train_inputs.size().first().copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The tasks y = A·sin(x + b) of Finn et al. 2017 and Lee et al. 2020: A, b and every x are drawn uniformly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sinusoids {
    /// The range of A.
    pub amplitude: [f64; 2],
    /// The range of b.
    pub phase: [f64; 2],
    /// The range of x.
    pub input: [f64; 2],
    /// Examples to learn from, m.
    pub train: i64,
    /// Examples to test on, n.
    pub test: i64,
}

impl Default for Sinusoids {
    fn default() -> Self {
        Self {
            amplitude: [0.1, 5.0],
            phase: [0.0, std::f64::consts::PI],
            input: [-5.0, 5.0],
            train: 10,
            test: 15,
        }
    }
}

impl Sinusoids {
    pub(crate) fn check(&self) -> Result<()> {
        for (key, range) in [("amplitude", self.amplitude), ("phase", self.phase), ("input", self.input)] {
            if !(range[0].is_finite() && range[1].is_finite() && range[0] <= range[1]) {
                let found = format!("{range:?}");
                return Err(NcError::value(format!("tasks.{key}"), found, "two finite numbers in order"));
            }
        }
        for (key, count) in [("train", self.train), ("test", self.test)] {
            if !(1..=100_000).contains(&count) {
                return Err(NcError::value(format!("tasks.{key}"), count, "between 1 and 100000"));
            }
        }
        Ok(())
    }

    /// What a model of these tasks was trained on, in words.
    pub(crate) fn in_words(&self) -> String {
        format!(
            "drawn tasks y = A·sin(x + b), A in {:?}, b in {:?}, x in {:?}, {} train and {} test rows; no data set \
             and no stored network",
            self.amplitude, self.phase, self.input, self.train, self.test
        )
    }

    /// Draws tasks.
    pub fn draw(&self, count: i64, draws: &mut Draws, device: Device) -> Result<Tasks> {
        let mut one = |range: [f64; 2]| draws.uniform(&[count, 1, 1], range[0], range[1], device);
        let (amplitude, phase) = (one(self.amplitude)?, one(self.phase)?);
        let mut inputs = |rows| draws.uniform(&[count, rows, 1], self.input[0], self.input[1], device);
        let (train_inputs, test_inputs) = (inputs(self.train)?, inputs(self.test)?);
        let targets = |inputs: &Tensor| inputs.f_add(&phase)?.f_sin()?.f_mul(&amplitude);
        Ok(Tasks {
            train_targets: targets(&train_inputs)?,
            test_targets: targets(&test_inputs)?,
            train_inputs,
            test_inputs,
        })
    }
}
