//! The documentation of a measure, made from its [`MeasureInfo`].
//!
//! Every measure has the same headings in the same order; `pgdl explain`, the reference page and the contract tests use
//! them.

use std::fmt::Write;

use crate::info::MeasureInfo;

/// Heading and text of each section, in order. Sections without content are absent.
pub fn sections(info: &MeasureInfo) -> Vec<(&'static str, String)> {
    let mut sections = vec![
        ("Measure", info.title.to_string()),
        ("Formula", info.formula.to_string()),
        ("Shapes", info.shapes.to_string()),
        ("Paper", info.paper.to_string()),
        ("Needs", needs(info)),
        ("Cost", info.cost.to_string()),
        ("Invariances", invariances(info)),
        ("Behaviour", info.behaviour.to_string()),
    ];
    if !info.parameters.is_empty() {
        sections.push(("Parameters", parameters(info)));
    }
    sections
}

/// Plain text for a terminal: the id with family and version, then each section with its text indented.
pub fn text(info: &MeasureInfo) -> String {
    let mut out = format!("{} ({})\n", info.id, qualities(info));
    for (heading, content) in sections(info) {
        out.push('\n');
        out.push_str(heading);
        out.push('\n');
        for line in content.lines() {
            let line = format!("  {line}");
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

/// Markdown: a second-level heading with the id, third-level headings for the sections.
pub fn markdown(info: &MeasureInfo) -> String {
    let mut out = format!("## `{}`\n\n_{}_\n", info.id, qualities(info));
    for (heading, content) in sections(info) {
        out.push_str("\n### ");
        out.push_str(heading);
        out.push_str("\n\n");
        let content = content.trim_end();
        if heading == "Formula" {
            out.push_str("```text\n");
            out.push_str(content);
            out.push_str("\n```\n");
        } else {
            out.push_str(content);
            out.push('\n');
        }
    }
    out
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

fn invariances(info: &MeasureInfo) -> String {
    let effects = &info.invariances;
    format!(
        "layer rescaling: {}\nBatchNorm scale: {}\nlogit scale: {}",
        effects.layer_rescaling.describe(),
        effects.batch_norm_scale.describe(),
        effects.logit_scale.describe()
    )
}

fn parameters(info: &MeasureInfo) -> String {
    let mut out = String::new();
    for parameter in info.parameters {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{}={}: {} ({})",
            parameter.name,
            parameter.kind.default_value(),
            parameter.doc,
            parameter.kind.legal()
        );
    }
    out
}
