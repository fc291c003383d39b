//! `pgdl measures` and `pgdl explain`: what the registry says of itself.

use pgdl_measure::{Registry, explain};
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
    for resolved in registry.resolve_list(&arguments.measures)? {
        let info = resolved.measure.info();
        let needs: Vec<&str> = info.needs.iter().map(|need| need.describe()).collect();
        table.push(vec![
            Cell::text(resolved.spec.as_str()),
            Cell::text(info.family),
            Cell::text(info.cost),
            Cell::text(needs.join(", ")),
            Cell::text(info.title),
        ]);
    }
    print_table(&table, arguments.output.format, terminal)?;
    Ok(Exit::Ok)
}

/// Explains one measure.
pub fn explain(id: &str, markdown: bool, registry: &Registry, terminal: &Terminal) -> Outcome {
    let resolved = registry.resolve(id)?;
    let info = resolved.measure.info();
    terminal.data(&if markdown { explain::markdown(info) } else { explain::text(info) })?;
    Ok(Exit::Ok)
}
