//! A Markdown table.

use super::Table;

impl Table {
    /// The table as Markdown, with what people are shown in the text.
    pub fn to_markdown(&self) -> String {
        let columns: Vec<_> = self.shown_columns().collect();
        let mut out = String::new();
        row(&mut out, columns.iter().map(|(_, column)| escape(&column.title)));
        row(
            &mut out,
            columns.iter().map(|(place, _)| if self.is_numeric(*place) { "--:" } else { "---" }.to_owned()),
        );
        for cells in &self.rows {
            row(&mut out, columns.iter().map(|(place, column)| escape(&cells[*place].shown(column))));
        }
        out
    }
}

fn row(out: &mut String, cells: impl Iterator<Item = String>) {
    out.push('|');
    for cell in cells {
        out.push(' ');
        out.push_str(&cell);
        out.push_str(" |");
    }
    out.push('\n');
}

/// What would end the cell or be taken for markup, made harmless.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim().chars() {
        if matches!(character, '|' | '\\' | '*' | '`' | '<') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::table::tests::example;

    #[test]
    fn markup_in_texts_is_harmless() {
        assert_eq!(
            example().to_markdown(),
            "| measure | CMI × 100 | τ | networks | status |\n\
             | --- | --: | --: | --: | --- |\n\
             | margin:p=10 | 28.66 | 0.809 [−0.750, 0.875] | 48/48 | ok |\n\
             | a\\|b, \"c\" | 0.00 | – | 3/48 | timeout |\n"
        );
    }
}
