//! The documentation of a measure, made from its [`MeasureInfo`].
//!
//! Every measure has the same headings in the same order; `pgdl explain`, the reference page and the contract tests use
//! them.

use crate::info::{Effect, MeasureInfo};
use crate::parameter::ParameterInfo;
use crate::request::{Composite, Request};
use crate::spec::MeasureSpec;

/// Columns of the plain text, indentation included, where there is room for them.
pub const WIDTH: usize = 88;

/// A heading with what stands under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub heading: &'static str,
    /// What stands under it.
    pub content: Content,
}

/// The content of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Running text.
    Prose(String),
    /// A formula, to be shown as it is.
    Formula(String),
    /// Short lines: a name and what belongs to it.
    List(Vec<(String, String)>),
}

impl Content {
    /// Whether there is nothing to read.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Prose(text) | Self::Formula(text) => text.trim().is_empty(),
            Self::List(lines) => lines.is_empty(),
        }
    }
}

/// The sections, in order. Parameters are absent where there are none.
pub fn sections(info: &MeasureInfo) -> Vec<Section> {
    let prose = |heading, text: &str| Section { heading, content: Content::Prose(text.to_string()) };
    let mut sections = vec![
        prose("Measure", info.title),
        Section { heading: "Formula", content: Content::Formula(info.formula.to_string()) },
        prose("Shapes", info.shapes),
        prose("Paper", info.paper),
        prose("Needs", &needs(info)),
        prose("Cost", info.cost),
        Section { heading: "Invariances", content: invariances(info) },
        prose("Behaviour", info.behaviour),
    ];
    if !info.parameters.is_empty() {
        sections.push(Section { heading: "Parameters", content: parameters(info) });
    }
    sections
}

/// Plain text for a terminal: the id with family and version, then each section with its text indented and, but for
/// the formula, wrapped.
pub fn text(info: &MeasureInfo) -> String {
    text_within(info, WIDTH)
}

fn text_within(info: &MeasureInfo, width: usize) -> String {
    let mut out = format!("{} ({})\n", info.id, qualities(info));
    for Section { heading, content } in sections(info) {
        let lines: Vec<String> = match content {
            Content::Formula(formula) => formula.lines().map(str::to_string).collect(),
            Content::Prose(text) => text.lines().flat_map(|line| wrapped(line, width - 2)).collect(),
            Content::List(items) => {
                items.iter().flat_map(|(name, what)| wrapped(&format!("{name}: {what}"), width - 2)).collect()
            }
        };
        out.push_str(&format!("\n{heading}\n"));
        lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out
}

/// Markdown: a second-level heading with the id, third-level headings for the sections.
pub fn markdown(info: &MeasureInfo) -> String {
    let mut out = format!("## `{}`\n\n_{}_\n", info.id, qualities(info));
    for Section { heading, content } in sections(info) {
        let body = match content {
            Content::Prose(text) => format!("{text}\n"),
            Content::Formula(formula) => format!("```text\n{formula}\n```\n"),
            Content::List(items) => {
                items.iter().map(|(name, what)| format!("- `{name}`: {what}\n")).collect()
            }
        };
        out.push_str(&format!("\n### {heading}\n\n{body}"));
    }
    out
}

/// Plain text about everything that was asked for: of a composite its expression and how its values come about, then
/// every measure that is asked for or is in a composite. At most `width` columns wide, but for formulas and long words.
pub fn request_text(request: &Request, width: usize) -> String {
    let width = width.clamp(20, WIDTH);
    let composites = request.composites().map(|composite| {
        let mut out = format!("{} (composite)\n", composite.label());
        for (heading, lines) in composite_sections(composite, request) {
            out.push_str(&format!("\n{heading}\n"));
            for line in lines.iter().flat_map(|line| wrapped(line, width - 2)) {
                out.push_str(&format!("  {line}\n"));
            }
        }
        out
    });
    let measures = infos(request).into_iter().map(|info| text_within(info, width));
    composites.chain(measures).collect::<Vec<_>>().join("\n")
}

/// As [`request_text`], in Markdown.
pub fn request_markdown(request: &Request) -> String {
    let composites = request.composites().map(|composite| {
        let mut out = format!("## `{}`\n\n_composite_\n", composite.label());
        for (heading, lines) in composite_sections(composite, request) {
            out.push_str(&format!("\n### {heading}\n\n{}\n", lines.join("\n")));
        }
        out
    });
    let measures = infos(request).into_iter().map(markdown);
    composites.chain(measures).collect::<Vec<_>>().join("\n")
}

/// What the measures say of themselves, each once, whatever its parameters.
fn infos(request: &Request) -> Vec<&MeasureInfo> {
    let mut infos: Vec<&MeasureInfo> = Vec::new();
    for info in request.measures.iter().map(|resolved| resolved.measure.info()) {
        if infos.iter().all(|known| known.id != info.id) {
            infos.push(info);
        }
    }
    infos
}

/// Headings with the lines under them.
fn composite_sections(composite: &Composite, request: &Request) -> Vec<(&'static str, Vec<String>)> {
    let ingredients = composite.expression.ingredients();
    let measure = |spec: &MeasureSpec| request.measures.iter().find(|resolved| resolved.spec == *spec);
    let infos = || ingredients.iter().filter_map(|spec| Some((spec, measure(spec)?.measure.info())));
    let mut needed: Vec<&str> = Vec::new();
    for need in infos().flat_map(|(_, info)| info.needs).map(|need| need.describe()) {
        if !needed.contains(&need) {
            needed.push(need);
        }
    }
    if needed.is_empty() {
        needed.push("the network alone");
    }
    let each = |what: fn(&MeasureInfo) -> &str| {
        infos().map(|(spec, info)| format!("{spec}: {}", what(info))).collect::<Vec<String>>()
    };
    vec![
        ("Expression", vec![composite.expression.to_string()]),
        ("Measures", each(|info| info.title)),
        ("Needs", vec![needed.join(", ")]),
        ("Cost", each(|info| info.cost)),
        ("Behaviour", vec![COMPOSITES.to_string()]),
    ]
}

/// How the values of composites come about.
const COMPOSITES: &str = "Computed from the records of its measures, each evaluated once. Where a measure has no value, \
    the composite has none, for the same reason; it is undefined where an operation has no value, such as a division \
    by zero. Its standard error is the delta method's, √Σ (∂/∂xᵢ)² seᵢ², with the measures' errors taken as \
    independent.";

/// The words of `line` in lines of at most `width` characters, but for words that are longer.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut length = 0;
    for word in line.split_whitespace() {
        let letters = word.chars().count();
        match lines.last_mut() {
            Some(last) if length + 1 + letters <= width => {
                last.push(' ');
                last.push_str(word);
                length += 1 + letters;
            }
            _ => {
                lines.push(word.to_string());
                length = letters;
            }
        }
    }
    lines
}

fn qualities(info: &MeasureInfo) -> String {
    let mut text = format!("family {}, version {}", info.family, info.version);
    if info.control {
        text.push_str(", control");
    }
    if info.stochastic {
        text.push_str(", random: depends on the seed");
    }
    text
}

fn needs(info: &MeasureInfo) -> String {
    if info.needs.is_empty() {
        return "the network alone".to_string();
    }
    info.needs.iter().map(|need| need.describe()).collect::<Vec<_>>().join(", ")
}

fn invariances(info: &MeasureInfo) -> Content {
    let effects = &info.invariances;
    let line = |name: &str, effect: Effect| (name.to_string(), effect.describe());
    Content::List(vec![
        line("layer rescaling", effects.layer_rescaling),
        line("BatchNorm scale", effects.batch_norm_scale),
        line("logit scale", effects.logit_scale),
    ])
}

fn parameters(info: &MeasureInfo) -> Content {
    let line = |parameter: &ParameterInfo| {
        let name = format!("{}={}", parameter.name, parameter.kind.default_value());
        (name, format!("{} ({})", parameter.doc, parameter.kind.legal()))
    };
    Content::List(info.parameters.iter().map(line).collect())
}
