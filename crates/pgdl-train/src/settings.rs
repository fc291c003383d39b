//! The hyperparameters of one network: names and numbers.

use std::collections::BTreeMap;

use crate::error::{Result, TrainError};

/// A hyperparameter that a family or the training loop reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SettingInfo {
    /// Its name in recipes and in `model_configs.json`.
    pub name: &'static str,
    /// The value when a recipe does not give one; `None`: it must be given.
    pub default: Option<f64>,
    /// The smallest value allowed.
    pub min: f64,
    /// The largest value allowed.
    pub max: f64,
    /// Whether the value is a whole number.
    pub whole: bool,
    /// Whether it is left out of a network's settings where a recipe does not give it. Seeds follow from the settings:
    /// what was added later must not change the networks of older recipes.
    pub left_out: bool,
    /// What it is, in one line.
    pub doc: &'static str,
}

impl SettingInfo {
    pub(crate) const fn count(name: &'static str, min: f64, max: f64, doc: &'static str) -> Self {
        Self { name, default: None, min, max, whole: true, left_out: false, doc }
    }

    pub(crate) const fn number(name: &'static str, min: f64, max: f64, doc: &'static str) -> Self {
        Self { name, default: None, min, max, whole: false, left_out: false, doc }
    }

    pub(crate) const fn or(mut self, default: f64) -> Self {
        self.default = Some(default);
        self
    }

    pub(crate) const fn or_left_out(mut self, default: f64) -> Self {
        self.left_out = true;
        self.or(default)
    }

    /// Checks a value against the legal range; `key` names it in the error.
    pub(crate) fn check(&self, key: &str, value: f64) -> Result<()> {
        let fits = value >= self.min && value <= self.max && (!self.whole || value.fract() == 0.0);
        if fits {
            return Ok(());
        }
        let kind = if self.whole { "a whole number" } else { "a number" };
        Err(TrainError::value(key, value, format!("{kind} from {} to {}", self.min, self.max)))
    }
}

/// What the training loop reads; families add their own.
pub const TRAINING_SETTINGS: &[SettingInfo] = &[
    SettingInfo::number("lr", 1e-9, 100.0, "learning rate, before scaling by batch size and schedule"),
    SettingInfo::count("bs", 1.0, 65_536.0, "batch size"),
    SettingInfo::number(
        "weight_decay",
        0.0,
        1.0,
        "factor λ of the gradient term λ·w on kernels (coupled L2)",
    )
    .or(0.0),
    LABEL_NOISE,
];

/// The share p of random labels: with probability p a training sample's label is drawn anew, uniformly from all classes
/// (Zhang et al. 2017, Section 2.1), so that it may come out right.
pub(crate) const LABEL_NOISE: SettingInfo =
    SettingInfo::number("label_noise", 0.0, 1.0, "probability of each training label to be drawn at random")
        .or_left_out(0.0);

/// All settings of one network, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings(BTreeMap<String, f64>);

impl Settings {
    pub(crate) fn new(values: BTreeMap<String, f64>) -> Self {
        Self(values)
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// When the recipe does not give it (checked recipes give all their family and training read).
    pub fn number(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().ok_or_else(|| TrainError::Recipe(format!("setting `{name}` is not given")))
    }

    /// The value of a setting that is a count. Checked recipes hold whole numbers of modest size there.
    pub fn count(&self, name: &str) -> Result<i64> {
        Ok(self.number(name)? as i64)
    }

    /// The value of a setting that has a default and may be left out.
    pub(crate) fn number_or_default(&self, info: &SettingInfo) -> f64 {
        self.0.get(info.name).copied().or(info.default).unwrap_or_default()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}
