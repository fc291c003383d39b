//! Composites: expressions over measures, such as `davies_bouldin * (1 - mixup_accuracy)`.
//!
//! ```text
//! sum      = product { ("+" | "-") product }
//! product  = signed { ("*" | "/") signed }
//! signed   = "-" signed | atom [ "^" signed ]
//! atom     = NUMBER | measure | FUNCTION "(" sum { "," sum } ")" | "(" sum ")"
//! measure  = ID [ ":" key "=" value { "," key "=" value } ]
//! FUNCTION = "abs" | "exp" | "ln" | "log10" | "max" | "min" | "sqrt"
//! ```
//! `^` binds tighter than the sign in front of it and groups to the right: `-a^b^c` is `-(a^(b^c))`. A measure in it
//! is a measure as it stands in a list, with its parameters; its value is the one in the records. An expression has at
//! most [`MAX_LENGTH`] bytes and [`MAX_DEPTH`] levels.

mod evaluate;
mod parse;

use std::fmt;

use crate::spec::MeasureSpec;

pub use evaluate::Estimate;
pub(crate) use parse::{Misread, parse};

/// Bytes that an expression may have.
pub const MAX_LENGTH: usize = 1000;

/// How deep parentheses, signs and powers may nest.
pub const MAX_DEPTH: usize = 50;

/// An expression over measures; `M` is what stands for a measure.
///
/// `Display` writes it in the one canonical way, with no more parentheses than it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression<M = MeasureSpec> {
    /// A number: finite, not negative.
    Number(f64),
    /// A measure.
    Measure(M),
    /// The negative of something.
    Negative(Box<Expression<M>>),
    /// Two operands.
    Binary(Operator, Box<Expression<M>>, Box<Expression<M>>),
    /// A function of its arguments, as many as it takes.
    Call(Function, Vec<Expression<M>>),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// `a ^ b`
    Power,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The absolute value.
    Abs,
    /// e to a power.
    Exp,
    /// The natural logarithm.
    Ln,
    /// The logarithm to base 10.
    Log10,
    /// The largest of several.
    Max,
    /// The smallest of several.
    Min,
    /// The square root.
    Sqrt,
}

impl Function {
    /// All functions, by name.
    pub const ALL: [Function; 7] = [
        Function::Abs,
        Function::Exp,
        Function::Ln,
        Function::Log10,
        Function::Max,
        Function::Min,
        Function::Sqrt,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Function::Abs => "abs",
            Function::Exp => "exp",
            Function::Ln => "ln",
            Function::Log10 => "log10",
            Function::Max => "max",
            Function::Min => "min",
            Function::Sqrt => "sqrt",
        }
    }

    /// Whether it takes two or more arguments; the others take one.
    pub fn takes_several(self) -> bool {
        matches!(self, Function::Max | Function::Min)
    }
}

impl<M> Expression<M> {
    /// Every occurrence of a measure, from left to right.
    pub fn measures(&self) -> Vec<&M> {
        match self {
            Expression::Number(_) => Vec::new(),
            Expression::Measure(measure) => vec![measure],
            Expression::Negative(of) => of.measures(),
            Expression::Binary(_, left, right) => [left.measures(), right.measures()].concat(),
            Expression::Call(_, arguments) => arguments.iter().flat_map(Expression::measures).collect(),
        }
    }

    /// The same expression with other things for measures.
    ///
    /// # Errors
    /// The first error of `other`.
    pub(crate) fn try_map<N, E>(self, other: &mut impl FnMut(M) -> Result<N, E>) -> Result<Expression<N>, E> {
        Ok(match self {
            Expression::Number(number) => Expression::Number(number),
            Expression::Measure(measure) => Expression::Measure(other(measure)?),
            Expression::Negative(of) => Expression::Negative(Box::new(of.try_map(other)?)),
            Expression::Binary(operator, left, right) => {
                let left = Box::new(left.try_map(other)?);
                Expression::Binary(operator, left, Box::new(right.try_map(other)?))
            }
            Expression::Call(function, arguments) => {
                let arguments = arguments.into_iter().map(|argument| argument.try_map(other));
                Expression::Call(function, arguments.collect::<Result<_, E>>()?)
            }
        })
    }

    /// How tightly its outermost operation binds.
    fn binding(&self) -> Binding {
        match self {
            Expression::Binary(Operator::Add | Operator::Subtract, ..) => Binding::Sum,
            Expression::Binary(Operator::Multiply | Operator::Divide, ..) => Binding::Product,
            Expression::Negative(_) => Binding::Sign,
            Expression::Binary(Operator::Power, ..) => Binding::Power,
            Expression::Number(_) | Expression::Measure(_) | Expression::Call(..) => Binding::Atom,
        }
    }
}

impl Expression {
    /// The measures in it, each once, in the order of their first occurrence.
    pub fn ingredients(&self) -> Vec<&MeasureSpec> {
        let mut ingredients: Vec<&MeasureSpec> = Vec::new();
        for measure in self.measures() {
            if !ingredients.contains(&measure) {
                ingredients.push(measure);
            }
        }
        ingredients
    }
}

/// How tightly operations bind, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Sign,
    Power,
    Atom,
}

/// An operand, in parentheses where it binds more loosely than its place asks for.
struct Operand<'a, M>(&'a Expression<M>, Binding);

impl<M: fmt::Display> fmt::Display for Operand<'_, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        if self.0.binding() < self.1 {
            write!(formatter, "({})", self.0)
        } else {
            write!(formatter, "{}", self.0)
        }
    }
}

impl<M: fmt::Display> fmt::Display for Expression<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        use Binding::{Atom, Product, Sign, Sum};
        match self {
            Expression::Number(number) => write!(formatter, "{number}"),
            Expression::Measure(measure) => write!(formatter, "{measure}"),
            Expression::Negative(of) => write!(formatter, "-{}", Operand(of, Sign)),
            Expression::Binary(operator, left, right) => {
                let (sign, left_place, right_place) = match operator {
                    Operator::Add => (" + ", Sum, Product),
                    Operator::Subtract => (" - ", Sum, Product),
                    Operator::Multiply => (" * ", Product, Sign),
                    Operator::Divide => (" / ", Product, Sign),
                    Operator::Power => ("^", Atom, Sign),
                };
                // (−a)^b would read back as −(a^b), and a^b^c as a^(b^c).
                write!(formatter, "{}{sign}{}", Operand(left, left_place), Operand(right, right_place))
            }
            Expression::Call(function, arguments) => {
                write!(formatter, "{}(", function.name())?;
                for (position, argument) in arguments.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{argument}")?;
                }
                formatter.write_str(")")
            }
        }
    }
}
