//! JSON: an array with one object per row.

use serde_json::{Map, Value, json};

use super::{Cell, Content, Spread, SpreadKind, Table};

impl Table {
    /// The table as a JSON array of objects, keyed by the columns' keys, and a line end. No value is `null`, and so is an
    /// infinity, for which JSON has no number.
    pub fn to_json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let mut object = Map::new();
            for (cell, column) in row.iter().zip(&self.columns) {
                let (value, spread) = values(cell);
                object.insert(column.key.clone(), value);
                match (column.spread, spread) {
                    (SpreadKind::None, _) => {}
                    (SpreadKind::Interval, Spread::Interval(low, high)) => {
                        object.insert(format!("{}_ci", column.key), json!([low, high]));
                    }
                    (SpreadKind::StandardError, Spread::StandardError(error)) => {
                        object.insert(format!("{}_se", column.key), json!(error));
                    }
                    (SpreadKind::Interval, _) => {
                        object.insert(format!("{}_ci", column.key), Value::Null);
                    }
                    (SpreadKind::StandardError, _) => {
                        object.insert(format!("{}_se", column.key), Value::Null);
                    }
                }
            }
            Value::Object(object)
        });
        format!("{:#}\n", Value::Array(rows.collect()))
    }
}

fn values(cell: &Cell) -> (Value, Spread) {
    match &cell.content {
        Content::Empty => (Value::Null, Spread::None),
        Content::Text(text) => (Value::String(text.clone()), Spread::None),
        Content::Number { value, spread } => (json!(value), *spread),
        Content::Count(count) | Content::Part { part: count, .. } => (json!(count), Spread::None),
    }
}

#[cfg(test)]
mod tests {
    use crate::table::tests::example;

    #[test]
    fn a_row_is_an_object() {
        let value: serde_json::Value = serde_json::from_str(&example().to_json()).unwrap();
        assert_eq!(
            value.to_string(),
            "[{\"measure\":\"margin:p=10\",\"cmi\":0.2866135,\"tau\":0.809,\"tau_ci\":[-0.75,0.875],\
             \"covered\":48,\"total\":48,\"status\":\"ok\"},\
             {\"measure\":\"a|b, \\\"c\\\"\\n\",\"cmi\":-0.00001,\"tau\":null,\"tau_ci\":null,\
             \"covered\":3,\"total\":48,\"status\":\"timeout\"}]"
        );
    }
}
