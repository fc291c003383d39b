//! From text to an expression. What strangers write costs no more than [`MAX_LENGTH`] and [`MAX_DEPTH`] allow.

use pgdl_zoo::did_you_mean::did_you_mean;

use super::{Expression, Function, MAX_DEPTH, MAX_LENGTH, Operator};
use crate::spec::{QUOTE, Written, quoted};

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    /// Where: a byte of the text.
    pub at: usize,
    /// What is wrong there.
    pub reason: String,
    /// The way out, where there is one.
    pub hint: Option<String>,
}

/// Reads the expression that begins at byte `start` of a text; measures are not yet checked against a registry.
pub(crate) fn parse(text: &str, start: usize) -> Result<Expression<Written<'_>>, Misread> {
    let mut parser = Parser { text, start, at: start, depth: 0 };
    if text.len() > MAX_LENGTH {
        let reason = format!("an expression has at most {MAX_LENGTH} bytes, and this one {}", text.len());
        return Err(parser.misread(reason));
    }
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The byte at which the expression begins.
    start: usize,
    /// The byte to read next.
    at: usize,
    /// Levels of nesting around it.
    depth: usize,
}

type Tree<'a> = Expression<Written<'a>>;

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Tree<'a>, Misread> {
        let mut sum = self.product()?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(sum),
            };
            self.at += 1;
            sum = Expression::Binary(operator, Box::new(sum), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Tree<'a>, Misread> {
        let mut product = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some('*') => Operator::Multiply,
                Some('/') => Operator::Divide,
                _ => return Ok(product),
            };
            self.at += 1;
            product = Expression::Binary(operator, Box::new(product), Box::new(self.signed()?));
        }
    }

    /// Every level of nesting passes here.
    fn signed(&mut self) -> Result<Tree<'a>, Misread> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.misread(format!("an expression is at most {MAX_DEPTH} levels deep")));
        }
        let signed = if self.eat('-') {
            Expression::Negative(Box::new(self.signed()?))
        } else {
            let base = self.atom()?;
            if self.eat('^') {
                Expression::Binary(Operator::Power, Box::new(base), Box::new(self.signed()?))
            } else {
                base
            }
        };
        self.depth -= 1;
        Ok(signed)
    }

    fn atom(&mut self) -> Result<Tree<'a>, Misread> {
        match self.peek() {
            Some('0'..='9' | '.') => self.number(),
            Some('a'..='z' | 'A'..='Z' | '_') => {
                let (start, word) = (self.at, self.word());
                match self.peek() {
                    Some('(') => self.call(start, word),
                    _ => self.measure(start, word),
                }
            }
            Some('(') => {
                let open = self.at;
                self.at += 1;
                let inner = self.sum()?;
                self.close(open)?;
                Ok(inner)
            }
            Some(_) => Err(self.unexpected()),
            None if self.text[self.start..].trim().is_empty() => {
                Err(self.misread("there is nothing here".to_string()))
            }
            None => Err(self.misread("something is missing at the end".to_string())),
        }
    }

    fn number(&mut self) -> Result<Tree<'a>, Misread> {
        let start = self.at;
        let text = self.number_text();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Expression::Number(number)),
            _ => Err(Misread { at: start, reason: format!("`{text}` is no finite number"), hint: None }),
        }
    }

    /// Digits and points, and an exponent where there is one.
    fn number_text(&mut self) -> &'a str {
        let start = self.at;
        self.skip(|character| character.is_ascii_digit() || character == '.');
        let rest = &self.text.as_bytes()[self.at..];
        let sign = usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
        if matches!(rest.first(), Some(b'e' | b'E')) && rest.get(1 + sign).is_some_and(u8::is_ascii_digit) {
            self.at += 1 + sign;
            self.skip(|character| character.is_ascii_digit());
        }
        &self.text[start..self.at]
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        self.skip(|character| character.is_ascii_alphanumeric() || character == '_');
        &self.text[start..self.at]
    }

    fn call(&mut self, start: usize, word: &str) -> Result<Tree<'a>, Misread> {
        let Some(function) = Function::ALL.into_iter().find(|function| function.name() == word) else {
            let names = Function::ALL.map(Function::name);
            let hint = match did_you_mean(word, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("functions are {}", names.join(", ")),
            };
            return Err(Misread {
                at: start,
                reason: format!("unknown function `{word}`"),
                hint: Some(hint),
            });
        };
        let open = self.at;
        self.at += 1;
        let mut arguments = vec![self.sum()?];
        while self.eat(',') {
            arguments.push(self.sum()?);
        }
        self.close(open)?;
        if function.takes_several() != (arguments.len() > 1) {
            let takes = if function.takes_several() { "at least two arguments" } else { "one argument" };
            let reason = format!("`{word}` takes {takes}, not {}", arguments.len());
            return Err(Misread { at: start, reason, hint: None });
        }
        Ok(Expression::Call(function, arguments))
    }

    /// What follows a comma belongs to the measure before it exactly when it is `key=`.
    fn measure(&mut self, position: usize, id: &'a str) -> Result<Tree<'a>, Misread> {
        let mut parameters = Vec::new();
        if self.eat(':') {
            loop {
                parameters.push(self.parameter()?);
                let before = self.at;
                let more = self.eat(',') && {
                    let next = self.at;
                    self.peek();
                    let named = !self.word().is_empty() && self.peek() == Some('=');
                    self.at = next;
                    named
                };
                if !more {
                    self.at = before;
                    break;
                }
            }
        }
        Ok(Expression::Measure(Written { id, parameters, position }))
    }

    fn parameter(&mut self) -> Result<(&'a str, &'a str), Misread> {
        self.peek();
        let start = self.at;
        let key = self.word();
        let value = if !key.is_empty() && self.eat('=') { self.value() } else { "" };
        if value.is_empty() {
            let rest = self.text[start..].split([',', ')']).next().unwrap_or_default().trim();
            let hint = rest
                .contains(['/', '\\', '"'])
                .then(|| "a file's path is written in double quotes: key=\"path\"".to_string());
            return Err(Misread { at: start, reason: format!("`{rest}` is no `key=value`"), hint });
        }
        Ok((key, value))
    }

    /// A number with or without a sign, a word, or any text in double quotes, which belong to it.
    fn value(&mut self) -> &'a str {
        let start = match self.peek() {
            Some(QUOTE) => {
                let length = quoted(&self.text[self.at..]).map_or(0, str::len);
                self.at += length;
                return &self.text[self.at - length..self.at];
            }
            _ => self.at,
        };
        if let [b'+' | b'-', b'0'..=b'9' | b'.', ..] = &self.text.as_bytes()[self.at..] {
            self.at += 1;
        }
        self.number_text();
        self.skip(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '.'));
        &self.text[start..self.at]
    }

    fn close(&mut self, open: usize) -> Result<(), Misread> {
        match self.peek() {
            Some(')') => {
                self.at += 1;
                Ok(())
            }
            Some(',') => Err(self.unexpected()),
            Some(_) => Err(self.unexpected()),
            None => Err(Misread { at: open, reason: "this `(` is never closed".to_string(), hint: None }),
        }
    }

    fn eat(&mut self, character: char) -> bool {
        let there = self.peek() == Some(character);
        if there {
            self.at += character.len_utf8();
        }
        there
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.skip(char::is_whitespace);
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(what).len();
    }

    fn misread(&self, reason: String) -> Misread {
        Misread { at: self.at, reason, hint: None }
    }

    /// What stands here cannot stand here.
    fn unexpected(&self) -> Misread {
        let rest = &self.text[self.at..];
        let next = rest.chars().next().unwrap_or_default();
        let before = self.text[..self.at].trim_end();
        let after_value =
            before.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | '.' | ')'));
        let (reason, hint) = match next {
            '*' if before.ends_with('*') => {
                ("`**` is no operator".to_string(), Some("a power is written `^`".to_string()))
            }
            ')' if after_value => ("there is no `(` for this `)`".to_string(), None),
            ',' if after_value => (
                "only arguments of a function, parameters of a measure and items of a list have commas between them"
                    .to_string(),
                None,
            ),
            '=' => (
                "`=` stands between a parameter and its value, or behind a composite's name".to_string(),
                Some("a measure with parameters is `id:key=value,key=value`".to_string()),
            ),
            _ if after_value && (next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '(')) => {
                (format!("an operator is missing in front of `{}`", first_word(rest)), None)
            }
            '+' | '*' | '/' | '^' | ')' | ',' => (format!("something is missing in front of `{next}`"), None),
            _ => (
                format!("`{next}` means nothing here"),
                Some("operators are + - * / ^ and parentheses".to_string()),
            ),
        };
        Misread { at: self.at, reason, hint }
    }
}

/// The word at the beginning, or the first character where there is none.
fn first_word(rest: &str) -> &str {
    let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
    match end {
        Some(0) => &rest[..rest.chars().next().map_or(0, char::len_utf8)],
        Some(end) => &rest[..end],
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with all its parentheses, as Lisp writes them.
    fn tree(text: &str) -> String {
        fn write(expression: &Tree) -> String {
            match expression {
                Expression::Number(number) => number.to_string(),
                Expression::Measure(measure) => measure.to_string(),
                Expression::Negative(of) => format!("(neg {})", write(of)),
                Expression::Binary(operator, left, right) => {
                    format!("({operator:?} {} {})", write(left), write(right))
                }
                Expression::Call(function, arguments) => {
                    let arguments: Vec<String> = arguments.iter().map(write).collect();
                    format!("({} {})", function.name(), arguments.join(" "))
                }
            }
        }
        write(&parse(text, 0).unwrap_or_else(|misread| panic!("{text}: {misread:?}")))
    }

    #[test]
    fn operators_bind_as_in_mathematics() {
        assert_eq!(tree("a+b*c"), "(Add a (Multiply b c))");
        assert_eq!(tree("a - b - c"), "(Subtract (Subtract a b) c)");
        assert_eq!(tree("a / b / c * d"), "(Multiply (Divide (Divide a b) c) d)");
        assert_eq!(tree("a^b^c"), "(Power a (Power b c))");
        assert_eq!(tree("-a^2"), "(neg (Power a 2))");
        assert_eq!(tree("2^-a"), "(Power 2 (neg a))");
        assert_eq!(tree("a*-b"), "(Multiply a (neg b))");
        assert_eq!(tree("--a"), "(neg (neg a))");
        assert_eq!(tree(" ( a + b ) * c "), "(Multiply (Add a b) c)");
        assert_eq!(tree("1.5e-3 + .5 - 2E2"), "(Subtract (Add 0.0015 0.5) 200)");
    }

    #[test]
    fn commas_belong_to_parameters_arguments_or_lists() {
        assert_eq!(tree("min(a, b, 3)"), "(min a b 3)");
        assert_eq!(tree("margin:p=5,q=3"), "margin:p=5,q=3");
        assert_eq!(
            tree("min(margin:p=5, variant=as_coded, l2_norm)"),
            "(min margin:p=5,variant=as_coded l2_norm)"
        );
        assert_eq!(tree("max(margin:p=5, abs(l2_norm))"), "(max margin:p=5 (abs l2_norm))");
        assert_eq!(tree("a:x=\"b, c) -d/e\" / f"), "(Divide a:x=\"b, c) -d/e\" f)");
        assert_eq!(tree("a:x=-5-2"), "(Subtract a:x=-5 2)");
        assert_eq!(tree("a:x=1e-3*2"), "(Multiply a:x=1e-3 2)");
        assert_eq!(tree("a:x=2^2"), "(Power a:x=2 2)");
        // A function is what stands in front of a parenthesis: a measure may have its name.
        assert_eq!(tree("exp(exp)"), "(exp exp)");
    }

    #[test]
    fn mistakes_are_placed_and_named() {
        for (text, at, reason) in [
            ("", 0, "nothing"),
            ("   ", 3, "nothing"),
            ("a +", 3, "missing at the end"),
            ("a b", 2, "an operator is missing in front of `b`"),
            ("2a", 1, "an operator is missing in front of `a`"),
            ("(a)(b)", 3, "an operator is missing in front of `(`"),
            ("a ** b", 3, "`**` is no operator"),
            ("* a", 0, "something is missing in front of `*`"),
            ("a * / b", 4, "something is missing in front of `/`"),
            ("(a + b", 0, "never closed"),
            ("min(a, (b)", 3, "never closed"),
            ("a)", 1, "no `(` for this `)`"),
            ("()", 1, "something is missing in front of `)`"),
            ("(a, b)", 2, "commas between them"),
            ("a $ b", 2, "`$` means nothing here"),
            ("a − b", 2, "`−` means nothing here"),
            ("sqr(a)", 0, "unknown function `sqr`"),
            ("min(a)", 0, "at least two arguments, not 1"),
            ("1 + ln(a, b)", 4, "one argument, not 2"),
            ("1e999", 0, "no finite number"),
            ("1.2.3", 0, "no finite number"),
            ("a:", 2, "no `key=value`"),
            ("a:p", 2, "`p` is no `key=value`"),
            ("a:p=\"b", 2, "`p=\"b` is no `key=value`"),
            ("a:p=/b", 2, "`p=/b` is no `key=value`"),
            ("2 * a:p= + 1", 6, "`p= + 1` is no `key=value`"),
            ("a:p=1,=2", 5, "commas between them"),
            ("a = b", 2, "`=` stands between"),
            ("ä", 0, "`ä` means nothing here"),
        ] {
            let misread = parse(text, 0).expect_err(text);
            assert!(misread.reason.contains(reason), "{text}: {misread:?}");
            assert_eq!(misread.at, at, "{text}: {misread:?}");
        }
        assert_eq!(parse("sqr(a)", 0).unwrap_err().hint.unwrap(), "did you mean `sqrt`?");
        assert_eq!(
            parse("median(a)", 0).unwrap_err().hint.unwrap(),
            "functions are abs, exp, ln, log10, max, min, sqrt"
        );
    }

    #[test]
    fn length_and_depth_are_bounded() {
        let long = vec!["a"; MAX_LENGTH].join("+");
        assert!(parse(&long, 0).unwrap_err().reason.contains("1000 bytes"));
        // The longest chain that may be written.
        assert_eq!(parse(&long[..MAX_LENGTH - 1], 0).unwrap().measures().len(), MAX_LENGTH / 2);
        for (open, close) in [("(", ")"), ("-", ""), ("2^", ""), ("ln(", ")"), ("-(", ")")] {
            let levels = |count: usize| format!("{}a{}", open.repeat(count), close.repeat(count));
            let fits = (1..MAX_LENGTH).take_while(|&count| parse(&levels(count), 0).is_ok()).count();
            assert!((MAX_DEPTH / 2 - 1..MAX_DEPTH).contains(&fits), "{open}: {fits}");
            let misread = parse(&levels(fits + 1), 0).unwrap_err();
            assert!(misread.reason.contains("levels deep"), "{open}: {misread:?}");
        }
    }

    #[test]
    fn the_canonical_text_reads_back_as_the_same_expression() {
        for (text, canonical) in [
            ("a+b*c", "a + b * c"),
            ("(a+b)*c", "(a + b) * c"),
            ("a-(b-c)", "a - (b - c)"),
            ("(a-b)-c", "a - b - c"),
            ("a/(b*c)", "a / (b * c)"),
            ("(a^b)^c", "(a^b)^c"),
            ("a^(b^c)", "a^b^c"),
            ("(-a)^2", "(-a)^2"),
            ("-(a^2)", "-a^2"),
            ("-(a*b)", "-(a * b)"),
            ("(-a)*b", "-a * b"),
            ("a*(-b)", "a * -b"),
            ("a^(-b)", "a^-b"),
            ("a^(b*c)", "a^(b * c)"),
            ("a - -b", "a - -b"),
            ("1e-7*a:p=05", "0.0000001 * a:p=05"),
            ("min( (a) , margin:p=5 , variant=as_coded )", "min(a, margin:p=5,variant=as_coded)"),
        ] {
            let expression = parse(text, 0).unwrap();
            assert_eq!(expression.to_string(), canonical);
            assert_eq!(tree(canonical), tree(text), "{text}");
        }
    }
}
