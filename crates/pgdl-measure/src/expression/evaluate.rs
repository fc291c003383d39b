//! The value of an expression, and its standard error.

use super::{Expression, Function, Operator};
use crate::error::MeasureError;
use crate::spec::MeasureSpec;

/// A number with its Monte-Carlo standard error, where it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number: finite.
    pub value: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
}

/// A number with its derivative in one direction.
#[derive(Clone, Copy)]
struct Dual {
    value: f64,
    slope: f64,
}

impl Expression {
    /// The expression's value where each measure has the estimate that `of` gives.
    ///
    /// The standard error is that of the delta method: √Σ (∂/∂xᵢ)² seᵢ² over the measures that have one, which are taken
    /// as independent (each draws from its own seed). At the kinks of `abs`, `max` and `min` the slope of the first of
    /// equal arguments counts. There is none where no measure has one, and where the slope is infinite (`sqrt` at 0).
    ///
    /// # Errors
    /// `Undefined`, where an operation has no value, or none that a number can hold; the reason shows the operation.
    pub fn evaluate(&self, of: impl Fn(&MeasureSpec) -> Estimate) -> Result<Estimate, MeasureError> {
        let value = self.along(&of, None)?.value;
        let mut variance = None;
        for measure in self.ingredients() {
            if let Some(error) = of(measure).standard_error {
                // An exact number has no part in it, however steep the slope.
                let part = if error == 0.0 { 0.0 } else { self.along(&of, Some(measure))?.slope * error };
                variance = Some(variance.unwrap_or(0.0) + part * part);
            }
        }
        let standard_error = variance.map(f64::sqrt).filter(|error| error.is_finite());
        Ok(Estimate { value, standard_error })
    }

    /// The value, with the derivative by one of the measures.
    fn along(
        &self,
        of: &impl Fn(&MeasureSpec) -> Estimate,
        by: Option<&MeasureSpec>,
    ) -> Result<Dual, MeasureError> {
        let dual = match self {
            Expression::Number(number) => Dual { value: *number, slope: 0.0 },
            Expression::Measure(measure) => {
                Dual { value: of(measure).value, slope: f64::from(u8::from(by == Some(measure))) }
            }
            Expression::Negative(inner) => {
                let Dual { value, slope } = inner.along(of, by)?;
                Dual { value: -value, slope: -slope }
            }
            Expression::Binary(operator, left, right) => {
                let (a, b) = (left.along(of, by)?, right.along(of, by)?);
                operator.apply(a, b).map_err(|reason| self.undefined(&reason))?
            }
            Expression::Call(function, arguments) => {
                let arguments: Vec<Dual> =
                    arguments.iter().map(|argument| argument.along(of, by)).collect::<Result<_, _>>()?;
                function.apply(&arguments).map_err(|reason| self.undefined(&reason))?
            }
        };
        if dual.value.is_finite() { Ok(dual) } else { Err(self.undefined("it is too large for a number")) }
    }

    fn undefined(&self, reason: &str) -> MeasureError {
        MeasureError::Undefined(format!("`{self}`: {reason}"))
    }
}

impl Operator {
    fn apply(self, a: Dual, b: Dual) -> Result<Dual, String> {
        Ok(match self {
            Operator::Add => Dual { value: a.value + b.value, slope: a.slope + b.slope },
            Operator::Subtract => Dual { value: a.value - b.value, slope: a.slope - b.slope },
            Operator::Multiply => Dual {
                value: a.value * b.value,
                slope: product(a.slope, b.value) + product(a.value, b.slope),
            },
            Operator::Divide if b.value == 0.0 => return Err("division by zero".to_string()),
            Operator::Divide => {
                let value = a.value / b.value;
                Dual { value, slope: (a.slope - product(value, b.slope)) / b.value }
            }
            Operator::Power => power(a, b)?,
        })
    }
}

/// Zero times anything is zero: what does not vary has no part in a slope, however steep.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

fn power(a: Dual, b: Dual) -> Result<Dual, String> {
    if a.value == 0.0 && b.value < 0.0 {
        return Err(format!("0 to the power {}", b.value));
    }
    if a.value < 0.0 && b.value.fract() != 0.0 {
        return Err(format!("the negative number {} to the power {}, which is no integer", a.value, b.value));
    }
    let value = a.value.powf(b.value);
    // By the base b a^(b−1), and by the exponent a^b ln a: 0 at a = 0, and none for a < 0, where the exponent cannot vary.
    let by_base = product(b.value, if b.value == 0.0 { 0.0 } else { a.value.powf(b.value - 1.0) });
    let by_exponent = if a.value == 0.0 { 0.0 } else { value * a.value.ln() };
    Ok(Dual { value, slope: product(by_base, a.slope) + product(by_exponent, b.slope) })
}

impl Function {
    fn apply(self, arguments: &[Dual]) -> Result<Dual, String> {
        let Some(&first) = arguments.first() else { return Err("it has no argument".to_string()) };
        let Dual { value: x, slope } = first;
        let by = |derivative: f64| product(derivative, slope);
        Ok(match self {
            Function::Abs => Dual { value: x.abs(), slope: by(if x < 0.0 { -1.0 } else { 1.0 }) },
            Function::Exp => Dual { value: x.exp(), slope: by(x.exp()) },
            Function::Ln | Function::Log10 if x <= 0.0 => return Err(format!("the logarithm of {x}")),
            Function::Ln => Dual { value: x.ln(), slope: by(1.0 / x) },
            Function::Log10 => Dual { value: x.log10(), slope: by(1.0 / (x * std::f64::consts::LN_10)) },
            Function::Sqrt if x < 0.0 => return Err(format!("the square root of {x}")),
            Function::Sqrt => Dual { value: x.sqrt(), slope: by(0.5 / x.sqrt()) },
            Function::Max => {
                arguments.iter().fold(first, |best, &next| if next.value > best.value { next } else { best })
            }
            Function::Min => {
                arguments.iter().fold(first, |best, &next| if next.value < best.value { next } else { best })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn expression(text: &str) -> Expression {
        parse(text, 0)
            .unwrap()
            .try_map(&mut |written| Ok::<_, ()>(MeasureSpec::new(written.id, &[])))
            .unwrap()
    }

    /// a = 3 ± 0.1, b = −2 ± 0.2, c = 0.5, z = 0 ± 0, y = 0 ± 0.1
    fn estimate(measure: &MeasureSpec) -> Estimate {
        let (value, standard_error) = match measure.id() {
            "a" => (3.0, Some(0.1)),
            "b" => (-2.0, Some(0.2)),
            "c" => (0.5, None),
            "z" => (0.0, Some(0.0)),
            "y" => (0.0, Some(0.1)),
            other => panic!("no measure {other}"),
        };
        Estimate { value, standard_error }
    }

    fn value(text: &str) -> f64 {
        expression(text).evaluate(estimate).unwrap_or_else(|error| panic!("{text}: {error}")).value
    }

    fn reason(text: &str) -> String {
        match expression(text).evaluate(estimate) {
            Err(MeasureError::Undefined(reason)) => reason,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn values_are_those_of_arithmetic() {
        assert_eq!(value("a * (1 - c)"), 1.5);
        assert_eq!(value("a + b * c - 1"), 1.0);
        assert_eq!(value("a / b / c"), -3.0);
        assert_eq!(value("-a^2"), -9.0);
        assert_eq!(value("2^a^2"), 512.0);
        assert_eq!(value("b^3"), -8.0);
        assert_eq!(value("z^0"), 1.0);
        assert_eq!(value("min(a, b, c) + max(a, b, c)"), 1.0);
        assert_eq!(value("sqrt(abs(b) * 2)"), 2.0);
        assert_eq!(value("log10(1000 * a / a)"), 3.0);
        assert!((value("exp(ln(a))") - 3.0).abs() < 1e-15);
    }

    #[test]
    fn what_has_no_value_is_undefined_with_a_reason() {
        assert_eq!(reason("1 + a / z"), "`a / z`: division by zero");
        assert_eq!(reason("ln(z)"), "`ln(z)`: the logarithm of 0");
        assert_eq!(reason("log10(b)"), "`log10(b)`: the logarithm of -2");
        assert_eq!(reason("sqrt(b)"), "`sqrt(b)`: the square root of -2");
        assert_eq!(reason("z^-1"), "`z^-1`: 0 to the power -1");
        assert_eq!(reason("b^c"), "`b^c`: the negative number -2 to the power 0.5, which is no integer");
        assert_eq!(reason("exp(1000 * a)"), "`exp(1000 * a)`: it is too large for a number");
        assert_eq!(reason("10^200 * 10^200 * z"), "`10^200 * 10^200`: it is too large for a number");
    }

    /// The delta method's formula with derivatives by central differences.
    #[test]
    fn standard_errors_follow_the_delta_method() {
        for text in [
            "a",
            "-a",
            "a + b",
            "a - b",
            "a * b",
            "a / b",
            "b / a",
            "a^2",
            "a^c",
            "2^b",
            "a^b",
            "b^3",
            "exp(a)",
            "ln(a)",
            "log10(a)",
            "sqrt(a)",
            "abs(b)",
            "abs(a)",
            "min(a, b)",
            "max(a, b, c)",
            "a * a",
            "a / (a + b) - ln(a)^2 * b",
            "z * a + b",
            "a^z",
            "c * a * (1 - b)",
        ] {
            let expression = expression(text);
            let moved = |by: &str, step: f64| {
                let shifted = |measure: &MeasureSpec| {
                    let at = estimate(measure);
                    Estimate { value: at.value + if measure.id() == by { step } else { 0.0 }, ..at }
                };
                expression.evaluate(shifted).unwrap().value
            };
            let part = |(measure, error): (&str, f64)| {
                (error * (moved(measure, 1e-5) - moved(measure, -1e-5)) / 2e-5).powi(2)
            };
            let expected = [("a", 0.1), ("b", 0.2)].map(part).iter().sum::<f64>().sqrt();
            let found = expression.evaluate(estimate).unwrap().standard_error.unwrap();
            assert!((found - expected).abs() < 1e-8 * (1.0 + expected), "{text}: {found}, not {expected}");
        }
    }

    #[test]
    fn there_is_a_standard_error_exactly_where_a_measure_has_one_and_the_slope_is_finite() {
        let error = |text: &str| expression(text).evaluate(estimate).unwrap().standard_error;
        assert_eq!(error("c"), None);
        assert_eq!(error("2 * c + 1"), None);
        assert_eq!(error("z * c"), Some(0.0));
        assert_eq!(error("sqrt(z)"), Some(0.0), "an exact zero");
        assert_eq!(error("sqrt(y)"), None);
        assert_eq!(error("y^0.5 + a"), None);
        assert_eq!(error("abs(y)"), Some(0.1));
        assert!((error("a - a").unwrap()).abs() < 1e-15, "one measure is not independent of itself");
    }

    /// The longest chain and the deepest nesting that the parser lets through, on a small stack.
    #[test]
    fn nothing_that_is_read_overflows_the_stack() {
        let chain = vec!["a"; super::super::MAX_LENGTH / 2].join("+");
        let nested = format!("{}a{}", "-(".repeat(20), ")".repeat(20));
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let run = small.spawn(move || {
            for text in [chain, nested] {
                let expression = expression(&text);
                assert!(expression.evaluate(estimate).is_ok());
                assert!(!expression.to_string().is_empty());
            }
        });
        run.unwrap().join().unwrap();
    }
}
