//! `pgdl measures` and `pgdl explain`: what the registry says of its measures.

use pgdl_measure::{Asked, MeasureSpec, Need, Registry, Resolved, explain};
use pgdl_report::{Cell, Column, Table};

use crate::arguments::MeasuresArguments;
use crate::commands::print_table;
use crate::exit::{Exit, Outcome};
use crate::terminal::Terminal;

/// Lists measures: id, family, cost, what they need, title.
pub fn list(arguments: &MeasuresArguments, registry: &Registry, terminal: &Terminal) -> Outcome {
    let mut table = Table::new(vec![
        Column::new("measure", "measure"),
        Column::new("family", "family"),
        Column::new("cost", "cost").optional(),
        Column::new("needs", "needs").optional(),
        Column::new("title", "title"),
    ]);
    let request = registry.request(&arguments.measures)?;
    let resolved = |spec: &MeasureSpec| request.measures.iter().find(|resolved| resolved.spec == *spec);
    for asked in &request.asked {
        match asked {
            Asked::Measure(spec) => {
                let Some(info) = resolved(spec).map(|resolved| resolved.measure.info()) else { continue };
                table.push(vec![
                    Cell::text(spec.as_str()),
                    Cell::text(info.family),
                    Cell::text(info.cost),
                    Cell::text(needs(info.needs)),
                    Cell::text(info.title),
                ]);
            }
            Asked::Composite(composite) => {
                let ingredients = composite.expression.ingredients();
                let ingredients: Vec<&Resolved> = ingredients.into_iter().filter_map(resolved).collect();
                let all: Vec<Need> =
                    ingredients.iter().flat_map(|one| one.measure.info().needs).copied().collect();
                let costs: Vec<&str> = ingredients.iter().map(|one| one.measure.info().cost).collect();
                table.push(vec![
                    Cell::text(composite.label()),
                    Cell::text("composite"),
                    Cell::text(costs.join("; ")),
                    Cell::text(needs(&all)),
                    Cell::text(composite.expression.to_string()),
                ]);
            }
        }
    }
    print_table(&table, arguments.output.format, terminal)?;
    Ok(Exit::Ok)
}

/// Each need once.
fn needs(needs: &[Need]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in needs.iter().map(|need| need.describe()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// Explains measures, and composites with the measures in them.
pub fn explain(list: &str, markdown: bool, registry: &Registry, terminal: &Terminal) -> Outcome {
    let request = registry.request(list)?;
    let text = if markdown {
        explain::request_markdown(&request)
    } else {
        explain::request_text(&request, terminal.width().unwrap_or(explain::WIDTH))
    };
    terminal.data(&text)?;
    Ok(Exit::Ok)
}
