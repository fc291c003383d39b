//! The part of a page that is about single measures.

use maud::{Markup, html};

use crate::findings::{Findings, MeasureFindings};
use crate::html::{figure, tables};
use crate::plot::from_findings::{
    CmiKind, ColouredBy, cmi_map, coefficient, hundredfold, scatter, slice_plot,
};
use crate::score_report::MeasureScore;
use crate::table::PageTable;

/// Where the section of the measure at a place of the board is.
pub(super) fn anchor(zoo: &str, place: usize) -> String {
    format!("{zoo}-m{place}")
}

/// The choice of colours, and one section per measure.
pub(super) fn sections(findings: &Findings, zoo: &str, id: &str) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h3 #(id) { "Measures" }
            p {
                "Each dot is a network. Point at a dot, or choose a plot with the tab key and walk through its dots with the arrow keys, \
                 to see which."
            }
            (colour_choice(findings, zoo))
            @for (place, measure) in findings.measures.iter().enumerate() {
                (section(findings, measure, zoo, place))
            }
            h4 #{ (zoo) "-values" } { "Values" }
            @let wide = findings.measures.len() > 8;
            div.values.wide[wide] data-hyperparameters=(findings.grid.axes().len()) {
                (tables::values(findings).to_html(PageTable::new("Gap and values of every network")))
            }
            @if wide { p.on-paper { "The table of values is too wide for paper; it is on the page." } }
        }
    }
}

/// Which hyperparameter colours the dots, and what the colours mean.
fn colour_choice(findings: &Findings, zoo: &str) -> Markup {
    let axes = findings.grid.axes();
    html! {
        @if !axes.is_empty() {
            div.colours {
                fieldset {
                    legend { "Colour by" }
                    @for (place, axis) in axes.iter().enumerate() {
                        span.option {
                            input type="radio" name={ (zoo) "-by" } id={ (zoo) "-by" (place) } checked[place == 0];
                            label for={ (zoo) "-by" (place) } { (axis.name) }
                        }
                    }
                }
                @for (place, axis) in axes.iter().enumerate() {
                    p class={ "legend by" (place) } {
                        strong { (axis.name) }
                        @let values = &findings.population.hyperparameters[place].possible_values;
                        @for level in in_order(values) {
                            span.entry { i class={ "k" (place) "v" (level) } {} (axis.labels[level]) }
                        }
                    }
                }
            }
        }
    }
}

/// The places of values in their order.
fn in_order(values: &[pgdl_zoo::HyperValue]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].cmp(&values[*b]));
    order
}

fn section(findings: &Findings, measure: &MeasureFindings, zoo: &str, place: usize) -> Markup {
    let id = anchor(zoo, place);
    let score = &measure.score;
    let reversals = measure.reversals();
    html! {
        section.measure data-measure=(score.measure) aria-labelledby=(id) {
            h4 #(id) tabindex="-1" {
                (score.measure)
                @if let Some(note) = &measure.note {
                    " " span.tag { @if note.control { "control" } @else { (note.family) } }
                }
            }
            @if let Some(note) = &measure.note {
                p { (note.title) }
                details.about {
                    summary { "Formula and source" }
                    p.formula { (note.formula) }
                    p { (note.paper) }
                }
            }
            (in_brief(findings, score))
            @if !reversals.is_empty() {
                @let overall = score.kendall_tau_b.map_or_else(String::new, coefficient);
                p.alarm {
                    strong { "Simpson’s paradox: " }
                    "over all networks τ‑b is " (overall) ", but it has the opposite sign within every value of "
                    (findings.grid.names(&reversals).join(", ")) "."
                }
            }
            div.figures {
                (figure(&scatter(findings, measure, ColouredBy::Choice, false), html! { "Values against gaps, one dot per network." }))
                @if let Some(plot) = slice_plot(findings, measure, false) {
                    (figure(&plot, html! {
                        "Agreement within slices: each dot is one value of a hyperparameter. Shaded: the interval over all networks."
                    }))
                }
                @if let Some(map) = cmi_map(findings, measure, CmiKind::Pgdl, false) {
                    (figure(&map, html! { "CMI × 100 given pairs of hyperparameters, as the competition computes it. Outlined: the smallest, which is the score." }))
                }
                @if let Some(map) = cmi_map(findings, measure, CmiKind::Fgm, false) {
                    (figure(&map, html! { "CMI × 100 given nothing, one, or two hyperparameters, as Jiang et al. 2019 define it." }))
                }
            }
            @if !findings.grid.axes().is_empty() {
                details {
                    summary { "Slices in numbers" }
                    (tables::slices_of_one(findings, measure).to_html(PageTable::new("Kendall’s τ‑b within slices")))
                }
            }
            @if !score.undefined.is_empty() {
                details {
                    summary { "What is undefined, and why" }
                    dl.reasons {
                        @for (statistic, reason) in &score.undefined { div { dt { (statistic) } dd { (reason) } } }
                    }
                }
            }
            p.back { a href={ "#" (zoo) "-board" } { "Back to the board" } }
        }
    }
}

/// The chief scores in one line.
fn in_brief(findings: &Findings, score: &MeasureScore) -> Markup {
    let interval = |ends: Option<[f64; 2]>, show: fn(f64) -> String| {
        ends.map_or_else(String::new, |[low, high]| format!(" [{}, {}]", show(low), show(high)))
    };
    html! {
        p.brief {
            span {
                "CMI × 100 "
                @match score.cmi_pgdl {
                    Some(value) => { b { (hundredfold(value)) } (interval(score.cmi_pgdl_ci, hundredfold)) }
                    None => { b { "–" } }
                }
                @if let Some(pair) = &score.cmi_pgdl_pair { " given " (pair.join(" and ")) }
            }
            span {
                "τ‑b "
                @match score.kendall_tau_b {
                    Some(value) => { b { (coefficient(value)) } (interval(score.kendall_tau_b_ci, coefficient)) }
                    None => { b { "–" } }
                }
            }
            span {
                "Ψ "
                @match score.granulated_kendall_mean {
                    Some(value) => {
                        b { (coefficient(value)) }
                        (interval(score.granulated_kendall_mean_ci, coefficient))
                    }
                    None => { b { "–" } }
                }
            }
            span { "networks " b { (score.covered) "/" (findings.population.networks.len()) } }
        }
    }
}
