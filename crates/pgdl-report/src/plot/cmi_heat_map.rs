//! Conditional mutual information per set of hyperparameters, as a triangle of cells.

use crate::figure::colour::HEAT_STEPS;
use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::frame::{SMALL, title};

/// A heat map: one cell per set of at most two hyperparameters.
pub(crate) struct CmiHeatMap {
    pub title: Option<String>,
    pub description: String,
    /// Names along the rows, from above, and along the columns, from the left.
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    pub cells: Vec<CmiCell>,
}

/// One set of hyperparameters.
pub(crate) struct CmiCell {
    pub row: usize,
    pub column: usize,
    /// As a fraction; `None` where it is undefined.
    pub value: Option<f64>,
    /// Whether it is the minimum, which is the score.
    pub least: bool,
    pub note: String,
}

const CELL: (f64, f64) = (56.0, 28.0);
/// The most room for names.
const NAMES: f64 = 150.0;

impl CmiHeatMap {
    pub fn figure(&self) -> Figure {
        let widest = |names: &[String]| {
            names.iter().map(|name| font::width(name, SMALL)).fold(0.0, f64::max).min(NAMES)
        };
        let left = widest(&self.rows) + 16.0;
        let foot = widest(&self.columns) + 16.0;
        let width = left + CELL.0 * self.columns.len() as f64 + 10.0;
        let heading =
            self.title.as_ref().map_or(0.0, |text| font::width(text, crate::plot::frame::TITLE) + 24.0);
        let top = if self.title.is_some() { 36.0 } else { 6.0 };
        let bottom = top + CELL.1 * self.rows.len() as f64;
        let mut figure = Figure::new(width.max(heading), bottom + foot, &self.description);
        if let Some(text) = &self.title {
            title(&mut figure, text);
        }
        let corner = |row: usize, column: usize| {
            (left + CELL.0 * column as f64 + 1.0, top + CELL.1 * row as f64 + 1.0)
        };
        let size = (CELL.0 - 2.0, CELL.1 - 2.0);
        for cell in &self.cells {
            let (x, y) = corner(cell.row, cell.column);
            let step = cell.value.map(heat_step);
            let fill = step.map_or(Colour::Ground, Colour::Heat);
            let outline = if cell.least {
                Some(Stroke::new(Colour::Alarm, 2.5))
            } else {
                step.is_none().then(|| Stroke::new(Colour::Grid, 1.0))
            };
            figure.cell((x, y), size, fill, outline, cell.note.clone());
            let text =
                cell.value.map_or_else(|| "–".to_owned(), |value| format!("{:.2}", 100.0 * value + 0.0));
            let mut style =
                TextStyle::new(SMALL, Anchor::Middle).colour(step.map_or(Colour::Soft, Colour::upon_heat));
            style.bold = cell.least;
            figure.text((x + size.0 / 2.0, y + size.1 / 2.0 + middle(SMALL)), text, style);
        }
        for (row, name) in self.rows.iter().enumerate() {
            let at = (left - 8.0, corner(row, 0).1 + size.1 / 2.0 + middle(SMALL));
            figure.text(at, font::fit(name, SMALL, NAMES), TextStyle::new(SMALL, Anchor::End));
        }
        for (column, name) in self.columns.iter().enumerate() {
            let at = (corner(0, column).0 + size.0 / 2.0 + middle(SMALL), bottom + 8.0);
            figure.text(at, font::fit(name, SMALL, NAMES), TextStyle::new(SMALL, Anchor::End).upwards());
        }
        figure
    }
}

/// The same step for the same value in every figure; by the square root, since most values are small.
fn heat_step(value: f64) -> usize {
    (HEAT_STEPS as f64 * value.clamp(0.0, 1.0).sqrt()).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_from_nothing_to_one() {
        assert_eq!([0.0, 0.01, 0.25, 1.0, 1.0 + 1e-12].map(heat_step), [0, 2, 10, 20, 20]);
    }
}
