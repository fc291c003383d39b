//! Complete documentation.

use crate::contract::{Promise, Violation};
use crate::explain;
use crate::info::{MeasureInfo, Need};
use crate::registry::is_snake_case;

/// What is missing or malformed in what a measure says of itself.
pub(super) fn check(info: &'static MeasureInfo) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |what: String| {
        found.push(Violation { measure: info.id.to_string(), promise: Promise::Documentation, what });
    };
    for name in
        [info.id, info.family].into_iter().chain(info.parameters.iter().map(|parameter| parameter.name))
    {
        if !is_snake_case(name) {
            add(format!("`{name}` is not snake_case"));
        }
    }
    for section in explain::sections(info) {
        if section.content.is_blank() {
            add(format!("says nothing under {}", section.heading));
        }
    }
    let title = info.title;
    if title.contains('\n') || !title.ends_with('.') || title.trim_end_matches('.').contains(". ") {
        add(format!("its title is not one sentence: `{title}`"));
    }
    if info.version == 0 {
        add("versions start at 1".to_string());
    }
    if info.needs(Need::TrueGaps) && !info.control {
        add("sees the true gaps, but is not declared a control".to_string());
    }
    for (position, parameter) in info.parameters.iter().enumerate() {
        let default = parameter.kind.default_value();
        if parameter.kind.parse(&default.to_string()).as_ref() != Some(&default) {
            add(format!("the default of its parameter `{}` is not legal", parameter.name));
        }
        if parameter.doc.trim().is_empty() {
            add(format!("its parameter `{}` is not documented", parameter.name));
        }
        if info.parameters[..position].iter().any(|other| other.name == parameter.name) {
            add(format!("declares the parameter `{}` twice", parameter.name));
        }
    }
    found
}
