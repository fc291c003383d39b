//! Statistics with their intervals, one row per measure.

use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::frame::{NAME, SMALL, title};
use crate::plot::scale::Scale;

/// A plot of intervals: panels side by side, rows in common.
pub(crate) struct IntervalPlot {
    pub title: Option<String>,
    pub description: String,
    pub rows: Vec<String>,
    pub panels: Vec<Panel>,
}

/// A value and its interval, where there are.
pub(crate) type Estimate = (Option<f64>, Option<[f64; 2]>);

/// One statistic.
pub(crate) struct Panel {
    pub name: String,
    /// Numbers that are to be on the scale besides those of the rows.
    pub landmarks: Vec<f64>,
    /// One per row.
    pub values: Vec<Estimate>,
    /// Factor from values to what is shown.
    pub scale: f64,
}

const ROW: f64 = 21.0;
const NAMES: f64 = 240.0;
const PANEL: f64 = 290.0;
const BETWEEN: f64 = 24.0;

impl IntervalPlot {
    pub fn figure(&self) -> Figure {
        let names = self.rows.iter().map(|name| font::width(name, SMALL)).fold(0.0, f64::max).min(NAMES);
        let left = names + 16.0;
        let width = left + (PANEL + BETWEEN) * self.panels.len() as f64;
        let mut figure = Figure::new(width, 0.0, &self.description);
        let top = self.title.as_ref().map_or(4.0, |text| title(&mut figure, text) + 4.0);
        let bottom = top + ROW * self.rows.len() as f64;
        figure.height = bottom + SMALL + NAME + 20.0;
        let y = |row: usize| top + ROW * (row as f64 + 0.5);
        for row in (1..self.rows.len()).step_by(2) {
            let at = (0.0, y(row) - ROW / 2.0);
            figure.rectangle(at, (width - BETWEEN + 8.0, ROW), Colour::Heat(0));
        }
        for (place, panel) in self.panels.iter().enumerate() {
            let left = left + (PANEL + BETWEEN) * place as f64;
            panel.draw(&mut figure, (left, top, bottom), &self.rows, y);
        }
        for (row, name) in self.rows.iter().enumerate() {
            let name = font::fit(name, SMALL, NAMES);
            figure.text((left - 8.0, y(row) + middle(SMALL)), name, TextStyle::new(SMALL, Anchor::End));
        }
        figure
    }
}

impl Panel {
    fn draw(
        &self,
        figure: &mut Figure,
        (left, top, bottom): (f64, f64, f64),
        rows: &[String],
        y: impl Fn(usize) -> f64,
    ) {
        let shown = |value: f64| value * self.scale;
        let numbers = self.values.iter().flat_map(|(value, interval)| {
            value.iter().copied().chain(interval.iter().flatten().copied()).map(shown)
        });
        let scale = Scale::linear(numbers.chain(self.landmarks.iter().copied()));
        let x = |value: f64| left + PANEL * scale.place(shown(value));
        for (place, text) in scale.ticks(5) {
            let at = left + PANEL * place;
            figure.line((at, top), (at, bottom), Stroke::new(Colour::Grid, 1.0));
            let style = TextStyle::new(SMALL, Anchor::Middle).colour(Colour::Soft);
            figure.text((at, bottom + SMALL + 5.0), text, style);
        }
        figure.line((x(0.0), top), (x(0.0), bottom), Stroke::new(Colour::Soft, 1.0));
        figure.line((left, bottom), (left + PANEL, bottom), Stroke::new(Colour::Soft, 1.0));
        for (row, (value, interval)) in self.values.iter().enumerate() {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                let style = TextStyle::new(SMALL, Anchor::Start).colour(Colour::Soft);
                figure.text((x(0.0) + 6.0, y(row) + middle(SMALL)), "no value", style);
                continue;
            };
            let number = |value: f64| format!("{:.3}", shown(value) + 0.0);
            let name = rows.get(row).map_or("", String::as_str);
            let mut note = format!("{name}: {} {}", self.name, number(value));
            if let Some([low, high]) = interval {
                figure.line((x(*low), y(row)), (x(*high), y(row)), Stroke::new(Colour::Accent, 2.0));
                note += &format!(" [{}, {}]", number(*low), number(*high));
            }
            figure.dot((x(value), y(row)), 4.5, Colour::Accent, note.replace('-', "−"));
        }
        let style = TextStyle::new(NAME, Anchor::Middle);
        figure.text((left + PANEL / 2.0, figure.height - 6.0), &self.name, style);
    }
}
