//! How measures are written: `margin`, `margin:p=10`, composites of them, and lists.
//!
//! ```text
//! list    = item { "," item }
//! item    = "all" | "family:" NAME | measure | [ NAME "=" ] expression
//! measure = ID [ ":" key "=" value { "," key "=" value } ]
//! ```
//! A comma separates arguments, parameters and list items. Between parentheses it belongs to what stands there. The
//! rule outside of them: **what follows a comma belongs to the measure before it exactly when it is `key=value`, with
//! one number, word or `"quoted text"` for a value and no colon in front of the `=`**. So `a,b:c=1,d=2,e,f = 2 * a` is the measures `a`,
//! `b:c=1,d=2` and `e`, and the composite `f`. Expressions are read as [`crate::expression`] says.

use std::fmt;

use crate::error::RegistryError;
use crate::expression::{self, Expression, Misread};

/// A measure with its parameters, spelled in the one canonical way: the id, then those parameters that are not at
/// their defaults, sorted by name. Equal measures have equal text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeasureSpec {
    text: String,
    id_length: usize,
}

impl MeasureSpec {
    pub(crate) fn new(id: &str, parameters: &[(String, String)]) -> Self {
        let mut text = id.to_string();
        for (position, (name, value)) in parameters.iter().enumerate() {
            let separator = if position == 0 { ':' } else { ',' };
            text.push_str(&format!("{separator}{name}={value}"));
        }
        Self { text, id_length: id.len() }
    }

    /// The measure's id.
    pub fn id(&self) -> &str {
        &self.text[..self.id_length]
    }

    /// Its parameters as in the canonical text, empty when all are at their defaults.
    pub fn parameters(&self) -> &str {
        self.text[self.id_length..].trim_start_matches(':')
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for MeasureSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A measure as a caller wrote it, not yet checked against a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub id: &'a str,
    pub parameters: Vec<(&'a str, &'a str)>,
    /// The byte of its item at which it begins.
    pub position: usize,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.id)?;
        for (place, (name, value)) in self.parameters.iter().enumerate() {
            write!(formatter, "{}{name}={value}", if place == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// An item of a list as a caller wrote it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    All,
    Family(&'a str),
    Measure(Written<'a>),
    Composite { name: Option<&'a str>, text: &'a str, expression: Expression<Written<'a>> },
}

/// Reads a list.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Item<'_>>, RegistryError> {
    items(text)?.into_iter().map(parse_item).collect()
}

/// The texts of the items: the list cut at its commas, save those within parentheses and in front of parameters.
fn items(text: &str) -> Result<Vec<&str>, RegistryError> {
    let mut items: Vec<&str> = Vec::new();
    // Where the item at the end of `items` begins.
    let mut start = 0;
    for (from, to) in pieces(text) {
        let piece = text[from..to].trim();
        if piece.is_empty() {
            return Err(syntax(text, "there is nothing between two commas, or nothing at all"));
        }
        if !is_parameter(piece) {
            items.push(piece);
            start = from;
            continue;
        }
        match items.last_mut() {
            Some(item) if item.contains(':') && family(item).is_none() => *item = text[start..to].trim(),
            Some(item) if *item != "all" && family(item).is_none() => {
                return Err(syntax(text, &format!("`{piece}` follows `{item}`, which has no `:`")));
            }
            _ => return Err(syntax(text, &format!("the parameter `{piece}` belongs to no measure"))),
        }
    }
    Ok(items)
}

/// Where the pieces between commas outside of parentheses begin and end.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    let (mut pieces, mut depth, mut start, mut quoted) = (Vec::new(), 0_usize, 0, false);
    for (at, character) in text.char_indices() {
        match character {
            QUOTE => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                pieces.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push((start, text.len()));
    pieces
}

fn parse_item(text: &str) -> Result<Item<'_>, RegistryError> {
    if text == "all" {
        return Ok(Item::All);
    }
    if let Some(family) = family(text) {
        return Ok(Item::Family(family));
    }
    let (name, start) = match text.split_once('=') {
        Some((name, _)) if is_word(name.trim()) => (Some(name.trim()), name.len() + 1),
        _ => (None, 0),
    };
    let expression = expression::parse(text, start).map_err(|Misread { at, reason, hint }| {
        RegistryError::Misread { text: text.to_string(), position: position(text, at), reason, hint }
    })?;
    Ok(match (name, expression) {
        (None, Expression::Measure(written)) => Item::Measure(written),
        (name, expression) => Item::Composite { name, text, expression },
    })
}

/// The character at a byte, counted from 1.
pub(crate) fn position(text: &str, at: usize) -> usize {
    text.char_indices().take_while(|(byte, _)| *byte < at).count() + 1
}

fn family(item: &str) -> Option<&str> {
    let (word, name) = item.split_once(':')?;
    (word.trim() == "family").then_some(name.trim())
}

/// `key=value` with one number or word for a value.
fn is_parameter(piece: &str) -> bool {
    let Some((key, value)) = piece.split_once('=') else { return false };
    let (key, value) = (key.trim(), value.trim());
    is_word(key)
        && !value.is_empty()
        && (is_word(value) || value.parse::<f64>().is_ok() || quoted(value) == Some(value))
}

/// What stands around a text that is a value, such as a path.
pub(crate) const QUOTE: char = '"';

/// The quoted text, with its quotes, that a text begins with.
pub(crate) fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(QUOTE)?;
    let end = inner.find(QUOTE)?;
    (!inner[..end].is_empty() && !inner[..end].contains(char::is_control)).then(|| &text[..end + 2])
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn syntax(text: &str, reason: &str) -> RegistryError {
    RegistryError::Syntax { text: text.to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items in words.
    fn read(text: &str) -> Vec<String> {
        let word = |item: &Item| match item {
            Item::All => "all".to_string(),
            Item::Family(family) => format!("family {family}"),
            Item::Measure(written) => format!("measure {written}"),
            Item::Composite { name, expression, .. } => {
                format!("composite {} = {expression}", name.unwrap_or("none"))
            }
        };
        parse_list(text).unwrap_or_else(|error| panic!("{text}: {error}")).iter().map(word).collect()
    }

    #[test]
    fn a_comma_before_key_and_value_continues_the_parameters() {
        assert_eq!(read("a,b:c=1,d=2,e"), ["measure a", "measure b:c=1,d=2", "measure e"]);
        assert_eq!(read("b:c=1,b:c=2"), ["measure b:c=1", "measure b:c=2"]);
        assert_eq!(read(" b : c = -1e-3 , d = x "), ["measure b:c=-1e-3,d=x"]);
        assert_eq!(read("2 * b:c=1, d=2, e"), ["composite none = 2 * b:c=1,d=2", "measure e"]);
    }

    #[test]
    fn a_comma_between_parentheses_stays_there() {
        assert_eq!(read("min(a, b), c"), ["composite none = min(a, b)", "measure c"]);
        assert_eq!(
            read("max(a:p=1,q=2, abs(b)) - (c), d"),
            ["composite none = max(a:p=1,q=2, abs(b)) - c", "measure d"]
        );
        assert_eq!(read("(a:p=1,q=2) * 2"), ["composite none = a:p=1,q=2 * 2"]);
        assert_eq!(read("((a))"), ["measure a"]);
    }

    #[test]
    fn composites_may_have_names() {
        assert_eq!(read("x = a * b, c"), ["composite x = a * b", "measure c"]);
        assert_eq!(
            read("a:p=1,q=2,x = a:p=1,q=2,y=(a)"),
            ["measure a:p=1,q=2", "composite x = a:p=1,q=2", "composite y = a"]
        );
    }

    #[test]
    fn all_and_families_stand_beside_measures() {
        assert_eq!(read("family:norms, a , all"), ["family norms", "measure a", "all"]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "nothing"),
            ("a,", "nothing"),
            ("p=3", "belongs to no measure"),
            ("all,p=3", "belongs to no measure"),
            ("family:norms,p=3", "belongs to no measure"),
            ("a,p=3", "has no `:`"),
            ("a:", "no `key=value`"),
            ("a:p", "no `key=value`"),
            ("a:p=", "no `key=value`"),
            ("a:p=1,q=", "nothing here"),
            ("a:p=1,=2", "`=` stands between"),
            (":p=1", "`:` means nothing here"),
            ("2 * x, y=3", "has no `:`"),
            ("min(a, p=3)", "`=` stands between"),
        ] {
            let error = parse_list(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn positions_count_characters_of_the_item() {
        let error = parse_list("a, größe = 2 * (b").unwrap_err().to_string();
        assert_eq!(error, "cannot read `größe = 2 * (b` at character 3: `ö` means nothing here");
        let error = parse_list("a, x = 2 * (b").unwrap_err().to_string();
        assert_eq!(error, "cannot read `x = 2 * (b` at character 9: this `(` is never closed");
    }

    #[test]
    fn a_spec_gives_back_its_parts() {
        let spec = MeasureSpec::new("margin", &[("p".to_string(), "5".to_string())]);
        assert_eq!((spec.id(), spec.parameters(), spec.as_str()), ("margin", "p=5", "margin:p=5"));
        let plain = MeasureSpec::new("margin", &[]);
        assert_eq!((plain.id(), plain.parameters(), plain.as_str()), ("margin", "", "margin"));
    }
}
