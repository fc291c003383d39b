//! What a measure says of itself.

use crate::parameter::ParameterInfo;

/// Everything there is to say about a measure without running it. `pgdl measures`, `pgdl explain`, the reference
/// page and the contract tests all derive from it.
#[derive(Debug)]
pub struct MeasureInfo {
    /// The identifier, snake_case: `margin`.
    pub id: &'static str,
    /// The family it belongs to, snake_case: `norms`.
    pub family: &'static str,
    /// Rises whenever the values may change; records of another version are not reused.
    pub version: u32,
    /// What it is, in one sentence.
    pub title: &'static str,
    /// The formula, with its sign: larger predicts a larger gap.
    pub formula: &'static str,
    /// The symbols of the formula and their shapes.
    pub shapes: &'static str,
    /// The source: authors, year, title, equation; or where else the definition comes from.
    pub paper: &'static str,
    /// What must exist besides the network and its training sample.
    pub needs: &'static [Need],
    /// Cost in forward passes F, forward + backward passes B, Hessian-vector products HVP over the sample, and O(P)
    /// for work linear in the parameters.
    pub cost: &'static str,
    /// How the value answers to changes of the network that leave its decisions as they are.
    pub invariances: Invariances,
    /// What is known of its behaviour, where it has no value, and how variants differ.
    pub behaviour: &'static str,
    /// Whether the value is random (and depends on the seed).
    pub stochastic: bool,
    /// Whether it is a control: a zero mark or an upper mark of every board, no contender.
    pub control: bool,
    /// Its parameters; empty when there are none.
    pub parameters: &'static [ParameterInfo],
}

impl MeasureInfo {
    /// Whether the measure declared that it needs `need`.
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }
}

/// What a measure may need besides the network and the inputs of its training sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// The weights before training.
    InitialWeights,
    /// The labels of the training sample.
    Labels,
    /// Inputs of the test set, without labels.
    TestInputs,
    /// The true gaps and the hyperparameters of the whole zoo. For controls only: a measure that sees them is no
    /// contender.
    TrueGaps,
}

impl Need {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::InitialWeights => "initial weights",
            Self::Labels => "labels of the training sample",
            Self::TestInputs => "unlabelled test inputs",
            Self::TrueGaps => "the true gaps and hyperparameters of the zoo",
        }
    }
}

/// How a measure answers to three changes of a network. The contract tests apply each and compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Invariances {
    /// One linear layer (kernel and bias; or γ and β of the BatchNormalization after it) times α, the next layer's kernel
    /// divided by α, ReLU between: the same function.
    pub layer_rescaling: Effect,
    /// The linear layer in front of a BatchNormalization times α, the moving statistics with it: the same function.
    pub batch_norm_scale: Effect,
    /// The last layer (kernel and bias) times α: every logit times α, the same decisions.
    pub logit_scale: Effect,
}

impl Invariances {
    /// For measures that depend on nothing of the network that these changes touch.
    pub const ALL: Self = Self {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Invariant,
    };
}

/// The effect of a change by a factor α on a measure's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The value stays.
    Invariant,
    /// The value is multiplied by α to this power.
    Homogeneous(f64),
    /// The value changes in some other way.
    Changes,
}

impl Effect {
    /// In words.
    pub fn describe(self) -> String {
        match self {
            Self::Invariant => "invariant".to_string(),
            Self::Homogeneous(1.0) => "times α".to_string(),
            Self::Homogeneous(degree) => format!("times α^{degree}"),
            Self::Changes => "changes".to_string(),
        }
    }
}
