//! A report as one page of HTML that needs nothing else: no other file, no other host, and no script to be read.
//!
//! Every text from outside (names of zoos, measures and hyperparameters, messages) enters through `maud`, which escapes
//! it, or through figures, which escape it as well. The page's content security policy allows its own style and script
//! alone, by their hashes.

mod coverage;
mod measure;
mod provenance;
mod tables;
mod zoo;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::figure::colour::HEAT_STEPS;
use crate::figure::{Colour, Figure, Palette, Scheme};
use crate::findings::Findings;
use crate::leaderboard::{Leaderboard, Statistic};
use crate::score_report::ScoreReport;
use crate::table::PageTable;
use crate::text::visible;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The report of one or several zoos as a page.
///
/// # Errors
/// When two of the findings are of one zoo.
pub fn report_page(findings: &[Findings]) -> Result<String> {
    let reports: Vec<ScoreReport> = findings.iter().map(|findings| findings.report.clone()).collect();
    let boards = [Statistic::CmiPgdl, Statistic::KendallTauB]
        .map(|statistic| (statistic, Leaderboard::new(&reports, statistic)));
    let mut across = Vec::new();
    for (statistic, board) in boards {
        across.push((statistic, board?.table()?));
    }
    let names: Vec<&str> = findings.iter().map(|findings| findings.population.name.as_str()).collect();
    let style = format!("{}{STYLE}", colours(findings));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        sha256(&style),
        sha256(SCRIPT)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("pgdl ", env!("CARGO_PKG_VERSION")));
                title { "pgdl report: " (names.join(", ")) }
                style { (PreEscaped(&style)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    p.brand { "pgdl report" }
                    h1 { (names.join(", ")) }
                    p.lead {
                        "How well do complexity measures rank trained networks by their true generalization gap? \
                         Larger values of a measure predict a larger gap."
                    }
                }
                main #content {
                    @if findings.len() > 1 {
                        section aria-labelledby="across" {
                            h2 #across { "All zoos" }
                            p { "The total is the mean over the zoos; a measure has one where it has a score on every zoo." }
                            @for (statistic, table) in &across {
                                @let caption = match statistic {
                                    Statistic::CmiPgdl => "Conditional mutual information × 100 per zoo",
                                    _ => "Kendall’s τ-b per zoo",
                                };
                                (table.to_html(PageTable {
                                    ordered_by: Some("total"),
                                    of_measures: true,
                                    ..PageTable::new(caption)
                                }))
                            }
                        }
                    }
                    @for (place, findings) in findings.iter().enumerate() {
                        (zoo::section(findings, place, names.len() > 1))
                    }
                }
                footer {
                    p {
                        "Made by pgdl " (env!("CARGO_PKG_VERSION")) " from records alone: the same records make the same page. \
                         What the scores mean, and what to know before believing one, is in docs/scores.md of pgdl."
                    }
                }
                div #tooltip hidden {}
                div #announcement .unseen aria-live="polite" {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string().chars().map(visible).collect())
}

/// A figure with its caption.
fn figure(figure: &Figure, caption: Markup) -> Markup {
    html! {
        figure {
            div.scroll tabindex="0" role="region" aria-label=(figure.description) {
                (PreEscaped(figure.to_inline_svg()))
            }
            figcaption { (caption) }
        }
    }
}

/// The colours of all roles as custom properties, and the rules that colour values of hyperparameters: one set that
/// always holds, and one that follows the reader's choice.
fn colours(findings: &[Findings]) -> String {
    let mut light = String::new();
    let mut dark = String::new();
    let mut rules = String::new();
    let mut define = |palette: &Palette, name: &str, colour: &Colour| {
        light.push_str(&format!("--{name}:{};", palette.rgb(colour, Scheme::Light).hex()));
        dark.push_str(&format!("--{name}:{};", palette.rgb(colour, Scheme::Dark).hex()));
    };
    let roles = [
        ("ink", Colour::Ink),
        ("soft", Colour::Soft),
        ("grid", Colour::Grid),
        ("ground", Colour::Ground),
        ("accent", Colour::Accent),
        ("alarm", Colour::Alarm),
    ];
    for (name, colour) in &roles {
        define(&Palette::default(), name, colour);
        rules.push_str(&format!(".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}\n"));
    }
    for step in 0..=HEAT_STEPS {
        define(&Palette::default(), &format!("q{step}"), &Colour::Heat(step));
        rules.push_str(&format!(".q{step}{{fill:var(--q{step})}}\n"));
    }
    for (place, findings) in findings.iter().enumerate() {
        let palette = Palette::of(&findings.population.hyperparameters);
        for (axis, levels) in palette.levels().enumerate() {
            for level in 0..levels {
                let name = format!("z{place}k{axis}v{level}");
                define(&palette, &name, &Colour::Level { axis, level });
                let chosen = if axis == 0 { format!("#z{place} .h{axis}v{level},") } else { String::new() };
                // Two rules: a browser that does not know `:has` passes over the second alone.
                rules.push_str(&format!(
                    "{chosen}#z{place} .k{axis}v{level}{{fill:var(--{name});background-color:var(--{name})}}\n\
                     #z{place}:has(#z{place}-by{axis}:checked) .h{axis}v{level}{{fill:var(--{name})}}\n"
                ));
            }
            rules.push_str(&format!(
                "#z{place}:has(#z{place}-by{axis}:checked) .legend{{display:none}}\n\
                 #z{place}:has(#z{place}-by{axis}:checked) .legend.by{axis}{{display:flex}}\n"
            ));
        }
    }
    // On paper the ground is light, whatever the reader's screen is.
    format!(":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}")
}

/// SHA-256 in base 64, as content security policies write it.
fn sha256(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut out = String::new();
    for bytes in digest.chunks(3) {
        let mut group = [0; 3];
        group[..bytes.len()].copy_from_slice(bytes);
        let [a, b, c] = group.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= bytes.len() { DIGITS[index] as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests;
