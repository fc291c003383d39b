//! Aligned text for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Table, Tone};

/// How a table is written for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// The width in columns that the table should keep to; `None` = as wide as it needs. Texts are shortened, numbers
    /// never: a table with many numbers may come out wider.
    pub width: Option<usize>,
    /// Whether to use colour (ANSI escapes).
    pub colour: bool,
}

const GAP: &str = "  ";
/// No column of texts becomes narrower than this.
const NARROWEST: usize = 12;

impl Table {
    /// The table as aligned text: a line of titles, a rule, a line per row.
    pub fn to_text(&self, options: TextOptions) -> String {
        let mut columns: Vec<_> = self.shown_columns().collect();
        let mut rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| columns.iter().map(|(place, column)| row[*place].shown(column)).collect())
            .collect();
        let mut widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(shown, (_, column))| {
                rows.iter().map(|row| row[shown].width()).chain([column.title.width()]).max().unwrap_or(0)
            })
            .collect();
        while options.width.is_some_and(|width| total(&widths) > width) {
            let Some(least) = columns.iter().rposition(|(_, column)| column.optional) else { break };
            columns.remove(least);
            widths.remove(least);
            rows.iter_mut().for_each(|row| drop(row.remove(least)));
        }
        let numeric: Vec<bool> = columns.iter().map(|(place, _)| self.is_numeric(*place)).collect();
        if let Some(width) = options.width {
            narrow(&mut widths, &numeric, width);
        }

        let mut out = String::new();
        let titles = columns.iter().map(|(_, column)| (column.title.as_str(), "1"));
        line(&mut out, titles, &widths, &numeric, options.colour);
        let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        line(&mut out, rules.iter().map(|rule| (rule.as_str(), "2")), &widths, &numeric, options.colour);
        for (row, cells) in rows.iter().zip(&self.rows) {
            let toned =
                row.iter().zip(&columns).map(|(text, (place, _))| (text.as_str(), cells[*place].tone.ansi()));
            line(&mut out, toned, &widths, &numeric, options.colour);
        }
        out
    }
}

impl Tone {
    fn ansi(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
        }
    }
}

/// The width of a line.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Takes from the widest columns of texts until the table keeps to `width` or nothing is left to take. From the first
/// column, which names the row, only where the others do not suffice.
fn narrow(widths: &mut [usize], numeric: &[bool], width: usize) {
    let mut excess = total(widths).saturating_sub(width);
    for first in [1, 0] {
        while excess > 0 {
            let texts = widths.iter_mut().zip(numeric).skip(first);
            let wide = texts.filter(|(width, numeric)| !**numeric && **width > NARROWEST);
            let Some((widest, _)) = wide.max_by_key(|(width, _)| **width) else { break };
            *widest -= 1;
            excess -= 1;
        }
    }
}

fn line<'a>(
    out: &mut String,
    cells: impl Iterator<Item = (&'a str, &'a str)>,
    widths: &[usize],
    numeric: &[bool],
    colour: bool,
) {
    let start = out.len();
    for (place, ((text, ansi), (&width, &numeric))) in cells.zip(widths.iter().zip(numeric)).enumerate() {
        if place > 0 {
            out.push_str(GAP);
        }
        let text = shorten(text, width);
        let padding = " ".repeat(width.saturating_sub(text.width()));
        if numeric {
            out.push_str(&padding);
        }
        if colour && !ansi.is_empty() {
            out.push_str(&format!("\x1b[{ansi}m{text}\x1b[0m"));
        } else {
            out.push_str(&text);
        }
        if !numeric {
            out.push_str(&padding);
        }
    }
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// The text, or its beginning and an ellipsis where it is wider than `width`.
fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1; // the ellipsis
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::example;
    use crate::table::{Cell, Column};

    #[test]
    fn columns_are_aligned() {
        let expected = [
            "measure      CMI × 100                      τ  networks  status",
            "───────────  ─────────  ─────────────────────  ────────  ───────",
            "margin:p=10      28.66  0.809 [−0.750, 0.875]     48/48  ok",
            "a|b, \"c\"          0.00                      –      3/48  timeout",
        ];
        let text = example().to_text(TextOptions::default());
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn texts_give_way_to_the_width_and_numbers_do_not() {
        let mut table = Table::new(vec![Column::new("a", "name"), Column::new("b", "value")]);
        table.push(vec![Cell::text("a name that is rather long"), Cell::number(1234.5)]);
        let text = |width| table.to_text(TextOptions { width: Some(width), colour: false });
        assert_eq!(
            text(80),
            "name                         value\n──────────────────────────  ──────\na name that is rather long  1234.5\n"
        );
        assert_eq!(
            text(24),
            "name               value\n────────────────  ──────\na name that is …  1234.5\n"
        );
        assert_eq!(text(5), text(20), "no narrower than the numbers and {NARROWEST} columns of text");
    }

    #[test]
    fn optional_columns_go_before_names_are_cut() {
        let columns = ["measure", "cost", "needs", "status"].map(|name| Column::new(name, name));
        let [measure, cost, needs, status] = columns;
        let mut table = Table::new(vec![measure, cost.optional(), needs.optional(), status]);
        table.push(["frobenius_distance", "one pass", "weights", "ok"].map(Cell::text).to_vec());
        let titles = |width| {
            let text = table.to_text(TextOptions { width, colour: false });
            text.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(titles(None), "measure cost needs status");
        assert_eq!(titles(Some(40)), "measure cost status");
        assert_eq!(titles(Some(30)), "measure status");
        let text = table.to_text(TextOptions { width: Some(30), colour: false });
        assert!(text.contains("frobenius_distance  ok"), "{text}");
    }

    #[test]
    fn colour_adds_escapes_and_changes_no_text() {
        let coloured = example().to_text(TextOptions { width: None, colour: true });
        assert!(coloured.contains("\x1b[31mtimeout\x1b[0m"));
        let mut plain = coloured;
        for escape in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"] {
            plain = plain.replace(escape, "");
        }
        let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
        assert_eq!(trimmed.join("\n") + "\n", example().to_text(TextOptions::default()));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(vec![Column::new("a", "a")]);
        table.push(vec![Cell::text("x\x1b[2Jy\r\nz")]);
        let text = table.to_text(TextOptions::default());
        assert!(!text.contains('\x1b') && !text.contains('\r'));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_table_without_rows_has_its_titles() {
        let table = Table::new(vec![Column::new("a", "first"), Column::new("b", "second")]);
        assert_eq!(table.to_text(TextOptions::default()), "first  second\n─────  ──────\n");
    }
}
