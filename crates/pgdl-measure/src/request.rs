//! What a caller asked for: measures, and composites of them.

use std::fmt;

use crate::expression::Expression;
use crate::registry::Resolved;
use crate::spec::MeasureSpec;

/// A list of measures and composites, read by [`crate::Registry::request`].
#[derive(Debug, Default)]
pub struct Request {
    /// What was asked for, each once, in the order of the list.
    pub asked: Vec<Asked>,
    /// The measures to evaluate for it: those asked for and the ingredients of composites, each once.
    pub measures: Vec<Resolved>,
}

/// One thing that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A measure.
    Measure(MeasureSpec),
    /// A composite.
    Composite(Composite),
}

/// An expression over measures, evaluated from their records: it is scored like a measure, but has no records of its
/// own.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// Its name, where the caller gave one.
    pub name: Option<String>,
    /// The expression.
    pub expression: Expression,
}

impl Composite {
    /// What stands for it in tables: its name, or else the expression in its canonical spelling.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.expression.to_string())
    }
}

impl fmt::Display for Composite {
    /// `name = expression`, or the expression alone.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name} = {}", self.expression),
            None => write!(formatter, "{}", self.expression),
        }
    }
}

impl Request {
    /// The composites, in the order of the list.
    pub fn composites(&self) -> impl Iterator<Item = &Composite> {
        self.asked.iter().filter_map(|asked| match asked {
            Asked::Composite(composite) => Some(composite),
            Asked::Measure(_) => None,
        })
    }

    pub(crate) fn add_measure(&mut self, measure: Resolved) {
        self.ask(Asked::Measure(measure.spec.clone()));
        self.need(measure);
    }

    pub(crate) fn add_composite(&mut self, composite: Composite, ingredients: Vec<Resolved>) {
        self.ask(Asked::Composite(composite));
        ingredients.into_iter().for_each(|ingredient| self.need(ingredient));
    }

    fn ask(&mut self, asked: Asked) {
        if !self.asked.contains(&asked) {
            self.asked.push(asked);
        }
    }

    fn need(&mut self, measure: Resolved) {
        if self.measures.iter().all(|known| known.spec != measure.spec) {
            self.measures.push(measure);
        }
    }
}
