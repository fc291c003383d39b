//! Comma-separated values: full precision, details included.

use super::{Cell, Column, Content, Spread, SpreadKind, Table};

impl Table {
    /// The table as CSV with a header of keys. Numbers are written in the shortest form that reads back as the same
    /// number; no value is an empty field.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = self.columns.iter().flat_map(names);
        let rows = self.rows.iter().map(|row| row.iter().zip(&self.columns).flat_map(fields));
        // Neither can fail: the writer's target is memory, and every row has the header's number of fields.
        let _ = writer.write_record(header);
        for row in rows {
            let _ = writer.write_record(row);
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}

fn names(column: &Column) -> Vec<String> {
    let key = &column.key;
    match column.spread {
        SpreadKind::None => vec![key.clone()],
        SpreadKind::Interval => vec![key.clone(), format!("{key}_low"), format!("{key}_high")],
        SpreadKind::StandardError => vec![key.clone(), format!("{key}_se")],
    }
}

fn fields((cell, column): (&Cell, &Column)) -> Vec<String> {
    let (value, spread) = match &cell.content {
        Content::Empty => (String::new(), Spread::None),
        Content::Text(text) => (text.clone(), Spread::None),
        Content::Number { value, spread } => (value.to_string(), *spread),
        Content::Count(count) | Content::Part { part: count, .. } => (count.to_string(), Spread::None),
    };
    match (column.spread, spread) {
        (SpreadKind::None, _) => vec![value],
        (SpreadKind::Interval, Spread::Interval(low, high)) => vec![value, low.to_string(), high.to_string()],
        (SpreadKind::Interval, _) => vec![value, String::new(), String::new()],
        (SpreadKind::StandardError, Spread::StandardError(error)) => vec![value, error.to_string()],
        (SpreadKind::StandardError, _) => vec![value, String::new()],
    }
}

#[cfg(test)]
mod tests {
    use crate::table::tests::example;

    #[test]
    fn numbers_are_whole_and_texts_are_quoted() {
        assert_eq!(
            example().to_csv(),
            "measure,cmi,tau,tau_low,tau_high,covered,total,status\n\
             margin:p=10,0.2866135,0.809,-0.75,0.875,48,48,ok\n\
             \"a|b, \"\"c\"\"\n\",-0.00001,,,,3,48,timeout\n"
        );
    }
}
