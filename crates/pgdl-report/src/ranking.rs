//! The networks in the order a measure gives them, beside their true gaps.

use crate::population::Population;
use crate::score_table::tone;
use crate::table::{Cell, Column, Digits, Table};
use crate::values::MeasureValues;

const COLUMNS: [&str; 8] = ["measure", "rank", "network", "value", "value_se", "gap", "gap_rank", "status"];

/// The networks in the order each measure gives them, largest value (largest predicted gap) first, measure by measure;
/// networks without a value come last.
///
/// Ranks count from 1 at the largest; networks of equal value or gap share the smallest rank among them. The column
/// `measure` is in CSV and JSON only.
pub fn ranking(population: &Population, measures: &[MeasureValues]) -> Table {
    let mut columns = vec![
        Column::new("measure", "measure").detail(),
        Column::new("rank", "rank"),
        Column::new("network", "network"),
    ];
    columns.extend(population.hyperparameters.iter().map(|hyperparameter| {
        let name = &hyperparameter.name;
        let clash = COLUMNS.contains(&name.as_str());
        Column::new(if clash { format!("hyperparameter_{name}") } else { name.clone() }, name)
    }));
    columns.extend([
        Column::new("value", "value").digits(Digits::Significant(6)).with_standard_error(),
        Column::new("gap", "gap").digits(Digits::Fixed { decimals: 4, scale: 1.0 }),
        Column::new("gap_rank", "gap rank"),
    ]);
    if measures.iter().any(|measure| measure.covered() < population.networks.len()) {
        columns.push(Column::new("status", "status"));
    }
    let mut table = Table::new(columns);

    let gap_ranks = ranks(&population.networks.iter().map(|network| Some(network.gap)).collect::<Vec<_>>());
    for measure in measures {
        let values: Vec<Option<f64>> = measure.entries.iter().map(|entry| entry.value()).collect();
        let value_ranks = ranks(&values);
        let mut order: Vec<usize> = (0..population.networks.len().min(values.len())).collect();
        order.sort_by_key(|&place| value_ranks[place].unwrap_or(usize::MAX));
        for place in order {
            let (network, entry) = (&population.networks[place], &measure.entries[place]);
            let rank = |rank: Option<usize>| rank.map_or_else(Cell::empty, Cell::count);
            let mut row =
                vec![Cell::text(&measure.measure), rank(value_ranks[place]), Cell::text(&network.label)];
            row.extend(network.hyperparameters.iter().map(|value| Cell::text(value.to_string())));
            row.extend([
                Cell::maybe(entry.value()).standard_error(entry.standard_error()),
                Cell::number(network.gap),
                rank(gap_ranks[place]),
                Cell::text(entry.status().as_str()).tone(tone(entry.status())),
            ]);
            table.push(row);
        }
    }
    table
}

/// Ranks from 1 at the largest; ties share the smallest rank.
fn ranks(values: &[Option<f64>]) -> Vec<Option<usize>> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let larger = |value: f64| sorted.partition_point(|other| *other > value);
    values.iter().map(|value| value.map(|value| 1 + larger(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{perfect, population};
    use crate::table::TextOptions;
    use crate::values::{Entry, ValueStatus};

    #[test]
    fn ties_share_the_smallest_rank() {
        let ranks = ranks(&[Some(2.0), Some(5.0), None, Some(2.0), Some(f64::NEG_INFINITY), Some(9.0)]);
        assert_eq!(ranks, [Some(3), Some(2), None, Some(3), Some(5), Some(1)]);
    }

    #[test]
    fn networks_stand_in_the_order_of_their_values() {
        let population = population();
        let mut values = perfect(&population, "oracle");
        values.entries[7] = Entry::absent(ValueStatus::Timeout, "");
        values.entries[0] = Entry::Value { value: 0.65, standard_error: Some(0.01) };
        let text = ranking(&population, &[values]).to_text(TextOptions::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 10);
        let row = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(row(0), "rank network depth width lr value gap gap rank status");
        assert_eq!(row(2), "1 70 6 128 0.01 0.700000 0.0700 2 ok");
        assert_eq!(row(3), "2 10 2 64 0.01 0.650000 ± 0.0100000 0.0100 8 ok");
        assert_eq!(row(9), "– 80 6 128 0.1 – 0.0800 1 timeout");
    }

    #[test]
    fn a_hyperparameter_does_not_hide_a_column() {
        let mut population = population();
        population.hyperparameters[0].name = "gap".into();
        let csv = ranking(&population, &[perfect(&population, "oracle")]).to_csv();
        assert!(
            csv.starts_with("measure,rank,network,hyperparameter_gap,width,lr,value,value_se,gap,gap_rank\n"),
            "{csv}"
        );
    }
}
