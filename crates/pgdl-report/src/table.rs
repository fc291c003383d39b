//! A table of results, and the four ways of writing one: text for people, CSV, JSON and Markdown.

mod csv;
mod html;
mod json;
mod markdown;
mod text;

pub(crate) use html::PageTable;
pub use text::TextOptions;

/// A table: typed cells under named columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    key: String,
    title: String,
    digits: Digits,
    spread: SpreadKind,
    spread_shown: bool,
    detail: bool,
    /// Left out of text that would be too wide for the terminal.
    optional: bool,
}

/// How people are shown the numbers of a column. CSV and JSON always carry the number itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Digits {
    /// The shortest text that reads back as the same number.
    Shortest,
    /// So many decimals of the number times `scale`.
    Fixed {
        /// Decimals.
        decimals: usize,
        /// Factor.
        scale: f64,
    },
    /// So many significant digits; very large and very small numbers with an exponent.
    Significant(usize),
    /// A duration in seconds, with the unit that suits it.
    Duration,
}

/// What accompanies the numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpreadKind {
    None,
    Interval,
    StandardError,
}

/// What accompanies one number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    None,
    Interval(f64, f64),
    StandardError(f64),
}

/// One cell of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    content: Content,
    tone: Tone,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Empty,
    Text(String),
    Number { value: f64, spread: Spread },
    Count(u64),
    Part { part: u64, whole: u64 },
}

/// What a cell's colour says, where there is colour. It never says more than the cell's text does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Something is incomplete.
    Warning,
    /// Something went wrong.
    Bad,
    /// Of lesser interest.
    Faint,
}

impl Column {
    /// A column: `key` names it in CSV and JSON, `title` heads it in text and Markdown.
    pub fn new(key: impl Into<String>, title: impl Into<String>) -> Column {
        Column {
            key: key.into(),
            title: title.into(),
            digits: Digits::Shortest,
            spread: SpreadKind::None,
            spread_shown: true,
            detail: false,
            optional: false,
        }
    }

    /// How people are shown its numbers.
    pub fn digits(mut self, digits: Digits) -> Column {
        self.digits = digits;
        self
    }

    /// Its numbers may have an interval: `key_low` and `key_high` in CSV, `key_ci` in JSON.
    pub fn with_interval(mut self) -> Column {
        self.spread = SpreadKind::Interval;
        self
    }

    /// Its numbers may have an interval, which only CSV and JSON carry.
    pub fn with_interval_in_detail(mut self) -> Column {
        self.spread_shown = false;
        self.with_interval()
    }

    /// Its numbers may have a standard error: `key_se` in CSV and JSON.
    pub fn with_standard_error(mut self) -> Column {
        self.spread = SpreadKind::StandardError;
        self
    }

    /// Leaves the column out where text would be too wide for the terminal; the last such column goes first.
    pub fn optional(mut self) -> Column {
        self.optional = true;
        self
    }

    /// Only in CSV and JSON: text and Markdown leave it out.
    pub fn detail(mut self) -> Column {
        self.detail = true;
        self
    }
}

impl Cell {
    /// No value.
    pub fn empty() -> Cell {
        Content::Empty.into()
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Cell {
        Content::Text(text.into()).into()
    }

    /// A number; NaN is no value.
    pub fn number(value: f64) -> Cell {
        if value.is_nan() { Cell::empty() } else { Content::Number { value, spread: Spread::None }.into() }
    }

    /// A number or no value.
    pub fn maybe(value: Option<f64>) -> Cell {
        value.map_or_else(Cell::empty, Cell::number)
    }

    /// A number of things.
    pub fn count(count: usize) -> Cell {
        Content::Count(count as u64).into()
    }

    /// `part` of `whole` things. CSV and JSON carry the part.
    pub fn part(part: usize, whole: usize) -> Cell {
        Content::Part { part: part as u64, whole: whole as u64 }.into()
    }

    /// The same number with an interval around it.
    pub fn interval(self, interval: Option<[f64; 2]>) -> Cell {
        match interval {
            Some([low, high]) => self.spread(Spread::Interval(low, high)),
            None => self,
        }
    }

    /// The same number with its standard error.
    pub fn standard_error(self, standard_error: Option<f64>) -> Cell {
        match standard_error {
            Some(standard_error) => self.spread(Spread::StandardError(standard_error)),
            None => self,
        }
    }

    /// The same cell in another tone.
    pub fn tone(mut self, tone: Tone) -> Cell {
        self.tone = tone;
        self
    }

    fn spread(mut self, new: Spread) -> Cell {
        if let Content::Number { spread, .. } = &mut self.content {
            *spread = new;
        }
        self
    }

    /// The cell as people read it.
    fn shown(&self, column: &Column) -> String {
        let digits = column.digits;
        match &self.content {
            Content::Empty => "–".to_owned(),
            Content::Text(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            Content::Count(count) => count.to_string(),
            Content::Part { part, whole } => format!("{part}/{whole}"),
            Content::Number { value, spread } => {
                let value = digits.show(*value);
                match spread {
                    _ if !column.spread_shown => value,
                    Spread::None => value,
                    Spread::Interval(low, high) => {
                        format!("{value} [{}, {}]", digits.show(*low), digits.show(*high))
                    }
                    Spread::StandardError(error) => format!("{value} ± {}", digits.show(*error)),
                }
            }
        }
    }
}

impl From<Content> for Cell {
    fn from(content: Content) -> Self {
        Cell { content, tone: Tone::Plain }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(columns: Vec<Column>) -> Table {
        Table { columns, rows: Vec::new() }
    }

    /// Adds a row. Cells beyond the columns are dropped, cells that are lacking are empty.
    pub fn push(&mut self, mut row: Vec<Cell>) {
        row.resize_with(self.columns.len(), Cell::empty);
        self.rows.push(row);
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns that people are shown, with their places.
    fn shown_columns(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.detail)
    }

    /// Whether a column is aligned to the right: everything in it is a number.
    fn is_numeric(&self, column: usize) -> bool {
        let numeric = |cell: &Cell| !matches!(cell.content, Content::Text(_));
        !self.rows.is_empty() && self.rows.iter().all(|row| numeric(&row[column]))
    }
}

impl Digits {
    fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
        }
        let text = match self {
            Digits::Shortest => format!("{value}"),
            Digits::Fixed { decimals, scale } => format!("{:.decimals$}", value * scale),
            Digits::Significant(digits) => significant(value, digits),
            Digits::Duration => duration(value),
        };
        typographic(text)
    }
}

/// A proper minus sign, and none before a number that rounds to zero.
fn typographic(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

fn significant(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding first: 9.9999 to three digits is 1.00e1, which decides where the point stands.
    let scientific = format!("{:.*e}", digits - 1, value);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if !(-5..=digits as i32 + 1).contains(&exponent) {
        return scientific;
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    format!("{value:.decimals$}")
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0 if seconds < 0.0995 => format!("{:.0} ms", 1000.0 * seconds.max(0.0)),
        0..10 if seconds < 9.95 => format!("{seconds:.1} s"),
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn example() -> Table {
        let mut table = Table::new(vec![
            Column::new("measure", "measure"),
            Column::new("cmi", "CMI × 100").digits(Digits::Fixed { decimals: 2, scale: 100.0 }),
            Column::new("tau", "τ").digits(Digits::Fixed { decimals: 3, scale: 1.0 }).with_interval(),
            Column::new("covered", "networks"),
            Column::new("total", "total").detail(),
            Column::new("status", "status"),
        ]);
        table.push(vec![
            Cell::text("margin:p=10"),
            Cell::number(0.286_613_5),
            Cell::number(0.809).interval(Some([-0.75, 0.875])),
            Cell::part(48, 48),
            Cell::count(48),
            Cell::text("ok").tone(Tone::Good),
        ]);
        table.push(vec![
            Cell::text("a|b, \"c\"\n"),
            Cell::number(-0.000_01),
            Cell::empty(),
            Cell::part(3, 48),
            Cell::count(48),
            Cell::text("timeout").tone(Tone::Bad),
        ]);
        table
    }

    #[test]
    fn people_see_rounded_numbers() {
        let show = |digits: Digits, value| digits.show(value);
        assert_eq!(show(Digits::Shortest, 0.1), "0.1");
        assert_eq!(show(Digits::Fixed { decimals: 1, scale: 100.0 }, -0.5), "−50.0");
        assert_eq!(show(Digits::Significant(4), 1234.56), "1235");
        assert_eq!(show(Digits::Significant(4), 0.000_123_456), "0.0001235");
        assert_eq!(show(Digits::Significant(4), 0.000_001_234_56), "1.235e-6");
        assert_eq!(show(Digits::Significant(3), 9.9999), "10.0");
        assert_eq!(show(Digits::Significant(4), 1.0e12), "1.000e12");
        assert_eq!(show(Digits::Significant(4), 0.0), "0");
        assert_eq!(show(Digits::Shortest, f64::NEG_INFINITY), "−∞");
        assert_eq!(show(Digits::Duration, 0.04), "40 ms");
        assert_eq!(show(Digits::Duration, 0.0996), "0.1 s");
        assert_eq!(show(Digits::Duration, 9.97), "10 s");
        assert_eq!(show(Digits::Duration, 119.4), "119 s");
        assert_eq!(show(Digits::Duration, 600.0), "10 min 00 s");
        assert_eq!(show(Digits::Duration, 7322.0), "2 h 02 min");
    }

    #[test]
    fn a_row_always_has_one_cell_per_column() {
        let mut table = Table::new(vec![Column::new("a", "a"), Column::new("b", "b")]);
        table.push(vec![Cell::count(1)]);
        table.push(vec![Cell::count(1), Cell::count(2), Cell::count(3)]);
        assert!(table.rows.iter().all(|row| row.len() == 2));
    }
}
