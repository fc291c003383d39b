//! How measures are written: `margin`, `margin:p=10`, and lists of them.
//!
//! ```text
//! list    = item { "," item }
//! item    = measure | "all" | "family:" NAME
//! measure = ID [ ":" key "=" value { "," key "=" value } ]
//! ```
//! A comma separates both parameters and list items. The rule that tells them apart: **what follows a comma belongs
//! to the measure before it exactly when it is `key=value` without a colon in front of the `=`**. So
//! `a,b:c=1,d=2,e` is the three measures `a`, `b:c=1,d=2` and `e`.

use std::fmt;

use crate::error::RegistryError;

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
}

/// An item of a list as a caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    All,
    Family(&'a str),
    Measure(Written<'a>),
}

/// Reads a list.
pub(crate) fn parse_list(text: &str) -> Result<Vec<Item<'_>>, RegistryError> {
    let mut items: Vec<Item> = Vec::new();
    for piece in text.split(',').map(str::trim) {
        if piece.is_empty() {
            return Err(syntax(text, "there is nothing between two commas, or nothing at all"));
        }
        match key_and_value(piece) {
            Some(parameter) => match items.last_mut() {
                Some(Item::Measure(measure)) if !measure.parameters.is_empty() => {
                    measure.parameters.push(parameter);
                }
                Some(Item::Measure(measure)) => {
                    let reason = format!("`{piece}` follows `{}`, which has no `:`", measure.id);
                    return Err(syntax(text, &reason));
                }
                _ => return Err(syntax(text, &format!("the parameter `{piece}` belongs to no measure"))),
            },
            None => items.push(parse_item(text, piece)?),
        }
    }
    Ok(items)
}

fn parse_item<'a>(text: &str, piece: &'a str) -> Result<Item<'a>, RegistryError> {
    if piece == "all" {
        return Ok(Item::All);
    }
    let Some((id, rest)) = piece.split_once(':') else {
        if piece.contains('=') {
            return Err(syntax(text, &format!("`{piece}` is no `key=value`")));
        }
        return Ok(Item::Measure(Written { id: piece, parameters: Vec::new() }));
    };
    let (id, rest) = (id.trim(), rest.trim());
    if id == "family" {
        return Ok(Item::Family(rest));
    }
    if id.is_empty() {
        return Err(syntax(text, &format!("`{piece}` has no id in front of its `:`")));
    }
    match key_and_value(rest) {
        Some(parameter) => Ok(Item::Measure(Written { id, parameters: vec![parameter] })),
        None => Err(syntax(text, &format!("`{rest}` is no `key=value`"))),
    }
}

/// `key=value` with both present and no colon in front of the `=`.
fn key_and_value(piece: &str) -> Option<(&str, &str)> {
    let (key, value) = piece.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty() && !value.is_empty() && !key.contains(':')).then_some((key, value))
}

fn syntax(text: &str, reason: &str) -> RegistryError {
    RegistryError::Syntax { text: text.to_string(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<'a>(id: &'a str, parameters: &[(&'a str, &'a str)]) -> Item<'a> {
        Item::Measure(Written { id, parameters: parameters.to_vec() })
    }

    #[test]
    fn a_comma_before_key_and_value_continues_the_parameters() {
        assert_eq!(
            parse_list("a,b:c=1,d=2,e").unwrap(),
            [written("a", &[]), written("b", &[("c", "1"), ("d", "2")]), written("e", &[])]
        );
        assert_eq!(
            parse_list("b:c=1,b:c=2").unwrap(),
            [written("b", &[("c", "1")]), written("b", &[("c", "2")])]
        );
    }

    #[test]
    fn all_and_families_stand_beside_measures() {
        assert_eq!(
            parse_list("family:norms, a , all").unwrap(),
            [Item::Family("norms"), written("a", &[]), Item::All]
        );
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
            ("a:p=1,q=", "no `key=value`"),
            ("a:p=1,=2", "no `key=value`"),
            (":p=1", "no id"),
        ] {
            let error = parse_list(text).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_spec_gives_back_its_parts() {
        let spec = MeasureSpec::new("margin", &[("p".to_string(), "5".to_string())]);
        assert_eq!((spec.id(), spec.parameters(), spec.as_str()), ("margin", "p=5", "margin:p=5"));
        let plain = MeasureSpec::new("margin", &[]);
        assert_eq!((plain.id(), plain.parameters(), plain.as_str()), ("margin", "", "margin"));
    }
}
