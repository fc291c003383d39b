//! A table of a page.

use maud::{Markup, html};

use super::{Cell, Column, Content, Spread, Table, Tone};

/// Where a text leads, if anywhere.
pub(crate) type Link<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How a table stands in a page.
#[derive(Clone, Copy)]
pub(crate) struct PageTable<'a> {
    /// What it shows: its caption.
    pub caption: &'a str,
    /// Where a text of the first column leads.
    pub link: Option<Link<'a>>,
    /// The key of the column by which it is ordered, largest first.
    pub ordered_by: Option<&'a str>,
    /// Whether the columns that text and Markdown leave out are there, for those who ask for them.
    pub details: bool,
    /// Whether its rows are measures, among which a reader can search.
    pub of_measures: bool,
}

impl<'a> PageTable<'a> {
    /// A table under a caption.
    pub fn new(caption: &'a str) -> PageTable<'a> {
        PageTable { caption, link: None, ordered_by: None, details: false, of_measures: false }
    }
}

impl Table {
    /// The table as HTML: sortable by the page's script, every row headed by its first cell.
    pub(crate) fn to_html(&self, page: PageTable<'_>) -> Markup {
        let columns: Vec<(usize, &Column)> =
            self.columns.iter().enumerate().filter(|(_, column)| page.details || !column.detail).collect();
        let class = |place: usize, column: &Column| {
            let numeric = if self.is_numeric(place) { "num" } else { "" };
            let detail = if column.detail { "detail" } else { "" };
            classes(&[numeric, detail])
        };
        let classes_of: Vec<Option<String>> =
            columns.iter().map(|(place, column)| class(*place, column)).collect();
        html! {
            div.scroll tabindex="0" role="region" aria-label=(page.caption) {
                table.sortable data-measures[page.of_measures] {
                    caption { (page.caption) }
                    thead {
                        tr {
                            @for ((_, column), class) in columns.iter().zip(&classes_of) {
                                @let ordered = page.ordered_by == Some(column.key.as_str());
                                th scope="col" class=[class] aria-sort=[ordered.then_some("descending")] {
                                    (column.title)
                                }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for ((shown, (place, column)), class) in columns.iter().enumerate().zip(&classes_of) {
                                    @let cell = &row[*place];
                                    @if shown == 0 {
                                        th scope="row" class=[class] data-v=[cell.sorted_by()] {
                                            (heading(cell, column, &page))
                                        }
                                    } @else {
                                        td class=[with_tone(class, cell.tone)] data-v=[cell.sorted_by()] {
                                            (content(cell, column, page.details))
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Cell {
    /// What the cell is sorted by, if it is a number.
    fn sorted_by(&self) -> Option<f64> {
        match &self.content {
            Content::Number { value, .. } => Some(*value),
            Content::Count(count) | Content::Part { part: count, .. } => Some(*count as f64),
            Content::Empty | Content::Text(_) => None,
        }
    }
}

fn heading(cell: &Cell, column: &Column, page: &PageTable<'_>) -> Markup {
    let target = match (&cell.content, page.link) {
        (Content::Text(text), Some(link)) => link(text),
        _ => None,
    };
    html! {
        @if let Some(target) = target {
            a href=(target) { (cell.shown(column)) }
        } @else {
            (cell.shown(column))
        }
    }
}

fn content(cell: &Cell, column: &Column, details: bool) -> Markup {
    // An interval stands below its number, so that numbers are in line.
    if let Content::Number { value, spread: Spread::Interval(low, high) } = &cell.content {
        let digits = column.digits;
        return html! {
            (digits.show(*value))
            @if column.spread_shown || details {
                " " span.interval { "[" (digits.show(*low)) ", " (digits.show(*high)) "]" }
            }
        };
    }
    html! { (cell.shown(column)) }
}

fn with_tone(class: &Option<String>, tone: Tone) -> Option<String> {
    let tone = match tone {
        Tone::Plain => return class.clone(),
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
        Tone::Faint => "faint",
    };
    classes(&[class.as_deref().unwrap_or_default(), tone])
}

fn classes(classes: &[&str]) -> Option<String> {
    let present: Vec<&str> = classes.iter().copied().filter(|class| !class.is_empty()).collect();
    (!present.is_empty()).then(|| present.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::example;

    #[test]
    fn cells_carry_what_they_are_sorted_by_and_details_are_marked() {
        let link = |text: &str| (text == "margin:p=10").then(|| "#m".to_owned());
        let page = PageTable {
            link: Some(&link),
            ordered_by: Some("cmi"),
            details: true,
            ..PageTable::new("scores <of> measures")
        };
        let html = example().to_html(page).into_string();
        assert!(html.contains("<caption>scores &lt;of&gt; measures</caption>"), "{html}");
        assert!(html.contains("<th scope=\"row\"><a href=\"#m\">margin:p=10</a></th>"), "{html}");
        assert!(html.contains("aria-sort=\"descending\">CMI × 100</th>"), "{html}");
        assert!(html.contains("data-v=\"0.2866135\">28.66</td>"), "{html}");
        assert!(html.contains("0.809 <span class=\"interval\">[−0.750, 0.875]</span>"), "{html}");
        assert!(html.contains("<td class=\"num detail\" data-v=\"48\">48</td>"), "{html}");
        assert!(html.contains("<td class=\"bad\">timeout</td>"), "{html}");
        assert!(html.contains("a|b, &quot;c&quot; "), "no markup, no control characters: {html}");
        assert!(!example().to_html(PageTable::new("")).into_string().contains("total"), "a detail");
    }
}
