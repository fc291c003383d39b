//! The part of a page that is about one zoo.

use maud::{Markup, html};

use crate::findings::Findings;
use crate::html::{coverage, figure, measure, provenance, tables};
use crate::leaderboard::Statistic;
use crate::plot::from_findings::{coefficient, cost_plot, gap_name, hundredfold, interval_plot};
use crate::table::PageTable;

/// Everything about a zoo; `several` says whether the page has others.
pub(super) fn section(findings: &Findings, place: usize, several: bool) -> Markup {
    let id = format!("z{place}");
    let parts: [(&str, &str); 8] = [
        ("board", "Board"),
        ("intervals", "Intervals"),
        ("cost", "Cost"),
        ("slices", "Slices"),
        ("cmi", "CMI per pair"),
        ("coverage", "Coverage"),
        ("measures", "Measures"),
        ("provenance", "Provenance"),
    ];
    let anchor = |part: &str| format!("{id}-{part}");
    let link = |measure: &str| {
        let place = findings.measures.iter().position(|found| found.score.measure == measure)?;
        Some(format!("#{}", measure::anchor(&id, place)))
    };
    let of_measures = |caption| PageTable { link: Some(&link), of_measures: true, ..PageTable::new(caption) };
    html! {
        article #(id) {
            @if several { h2 { "Zoo " (findings.population.name) } }
            nav aria-label={ "Parts of the report on " (findings.population.name) } {
                ul { @for (part, title) in parts { li { a href={ "#" (anchor(part)) } { (title) } } } }
            }
            (summary(findings))
            @if !findings.measures.is_empty() {
                section aria-labelledby=(anchor("board")) {
                    h3 #(anchor("board")) { "Board" }
                    p {
                        "CMI is the competition’s conditional mutual information (Jiang et al. 2020): what a measure tells about \
                         the order of gaps beyond any two hyperparameters. τ‑b is Kendall’s rank correlation over all networks, Ψ \
                         its mean with all other hyperparameters held fixed. In brackets: "
                        (100.0 * findings.options.confidence) " % intervals."
                    }
                    p.choice {
                        input type="checkbox" id=(anchor("details")) class="details-choice";
                        label for=(anchor("details")) { "Show all statistics" }
                    }
                    (findings.report.table().to_html(PageTable {
                        ordered_by: Some("cmi_pgdl"),
                        details: true,
                        ..of_measures("Scores, the best first")
                    }))
                }
                section aria-labelledby=(anchor("intervals")) {
                    h3 #(anchor("intervals")) { "Intervals" }
                    @match interval_plot(findings, false) {
                        Some(plot) if findings.options.bootstrap > 0 => (figure(&plot, html! {
                            (findings.options.bootstrap) " bootstrap resamples, seed " (findings.options.seed)
                            ": over networks for τ‑b, over cells for CMI and Ψ. The set of hyperparameters that attains the minimum stays fixed, so CMI’s \
                             intervals are narrower than its uncertainty."
                        }))
                        Some(plot) => (figure(&plot, html! { "No intervals were asked for." }))
                        None => {}
                    }
                }
                section aria-labelledby=(anchor("cost")) {
                    h3 #(anchor("cost")) { "Cost against score" }
                    @let plots = [Statistic::CmiPgdl, Statistic::KendallTauB].map(|statistic| cost_plot(findings, statistic, false));
                    @if plots.iter().all(Option::is_none) { p { "No measure has both a cost and a score." } }
                    div.figures {
                        @for plot in plots.iter().flatten() {
                            (figure(plot, html! {
                                "Time includes the quantities that a measure shares with others. The dashed line joins the measures that are the best at their cost; controls, hollow, are not among them."
                            }))
                        }
                    }
                }
                section aria-labelledby=(anchor("slices")) {
                    h3 #(anchor("slices")) { "Agreement within slices" }
                    p {
                        "A measure can rank all networks well only because it tells the values of one hyperparameter apart. Each column \
                         holds the mean of τ‑b among the networks that share a value of it. Where every slice contradicts the whole, the \
                         ranking is reversed: Simpson’s paradox."
                    }
                    div.many {
                        (tables::slices(findings).to_html(of_measures("Kendall’s τ‑b over all networks and its mean within slices")))
                    }
                }
                section aria-labelledby=(anchor("cmi")) {
                    h3 #(anchor("cmi")) { "CMI per conditioning pair" }
                    @match tables::cmi_pairs(findings) {
                        Some(table) => {
                            p { "The score is the smallest value of a row." }
                            div.many {
                                (table.to_html(PageTable { ordered_by: Some("least"), ..of_measures("The competition’s CMI × 100, given each pair of hyperparameters") }))
                            }
                        }
                        None => { p { "The competition’s CMI does not exist here: it needs two hyperparameters and a network with a value." } }
                    }
                }
                (coverage::section(findings, &anchor("coverage"), &link))
                (measure::sections(findings, &id, &anchor("measures")))
            }
            (provenance::section(findings, &anchor("provenance"), &link))
        }
    }
}

/// What was scored, what came out on top, and what a reader should know before believing it.
fn summary(findings: &Findings) -> Markup {
    let gaps = findings.population.gaps();
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = gaps.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let axes = findings.grid.axes();
    let complete = findings.measures.iter().filter(|measure| measure.score.covered == gaps.len()).count();
    let best = findings.measures.iter().find(|measure| {
        measure.score.cmi_pgdl.is_some() && !measure.note.as_ref().is_some_and(|note| note.control)
    });
    html! {
        dl.facts {
            div { dt { "Networks" } dd { (gaps.len()) } }
            div { dt { (gap_name(findings.population.gap)) } dd { (coefficient(least)) " to " (coefficient(largest)) } }
            div {
                dt { "Hyperparameters" }
                dd {
                    @if axes.is_empty() { "none" }
                    @for (place, axis) in axes.iter().enumerate() {
                        @if place > 0 { ", " }
                        (axis.name) " (" (axis.values()) ")"
                    }
                }
            }
            div { dt { "Measures" } dd { (findings.measures.len()) " (" (complete) " with a value on every network)" } }
            @if let Some((best, score)) = best.and_then(|best| Some((best, best.score.cmi_pgdl?))) {
                div { dt { "Best CMI × 100, controls aside" } dd { (hundredfold(score)) " by " (best.score.measure) } }
            }
        }
        @let warnings = findings.warnings();
        @if !findings.notes.is_empty() || !warnings.is_empty() {
            div.notes role="note" aria-label="What to know" {
                ul {
                    @for note in &findings.notes { li { (note) "." } }
                    @for (warning, measures) in warnings {
                        li {
                            @if !measures.is_empty() {
                                (crate::findings::enumerated(&measures.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()))
                                ": "
                            }
                            (warning) "."
                        }
                    }
                }
            }
        }
        @if findings.measures.is_empty() {
            p { "No record counts for a network of this zoo, so there is nothing to score." }
        }
    }
}
