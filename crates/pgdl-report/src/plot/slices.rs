//! Agreement over all networks beside the agreement among networks that share a value of a hyperparameter.

use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::frame::{NAME, SMALL, title};
use crate::plot::scale::Scale;

/// A plot of Kendall's τ-b: one row per hyperparameter, one dot per value.
pub(crate) struct SlicePlot {
    pub title: Option<String>,
    pub description: String,
    /// Over all networks, with its interval.
    pub overall: Option<f64>,
    pub interval: Option<[f64; 2]>,
    pub rows: Vec<SliceRow>,
}

/// A hyperparameter.
pub(crate) struct SliceRow {
    pub name: String,
    /// Whether all slices contradict the whole.
    pub reversed: bool,
    /// τ-b, colour and note of every slice that has a τ-b.
    pub dots: Vec<(f64, Colour, String)>,
}

const ROW: f64 = 30.0;
const NAMES: f64 = 140.0;
const PLOT: f64 = 300.0;

impl SlicePlot {
    pub fn figure(&self) -> Figure {
        let names = self.rows.iter().map(|row| font::width(&row.name, SMALL)).fold(0.0, f64::max).min(NAMES);
        let left = names + 20.0;
        let right = left + PLOT;
        let remark = if self.rows.iter().any(|row| row.reversed) {
            1.15 * font::width("reversed", SMALL) + 20.0
        } else {
            16.0
        };
        let mut figure = Figure::new(right + remark, 0.0, &self.description);
        let top = self.title.as_ref().map_or(4.0, |text| title(&mut figure, text) + 4.0);
        let bottom = top + ROW * self.rows.len().max(1) as f64;
        figure.height = bottom + SMALL + NAME + 20.0;

        let scale = Scale::between(-1.0, 1.0);
        let x = |value: f64| left + 8.0 + (PLOT - 16.0) * scale.place(value);
        if let Some([low, high]) = self.interval {
            figure.rectangle((x(low), top), ((x(high) - x(low)).max(0.5), bottom - top), Colour::Grid);
        }
        for (place, text) in scale.ticks(6) {
            let at = left + 8.0 + (PLOT - 16.0) * place;
            figure.line((at, top), (at, bottom), Stroke::new(Colour::Grid, 1.0));
            let style = TextStyle::new(SMALL, Anchor::Middle).colour(Colour::Soft);
            figure.text((at, bottom + SMALL + 5.0), text, style);
        }
        figure.line((x(0.0), top), (x(0.0), bottom), Stroke::new(Colour::Soft, 1.0));
        figure.line((left, bottom), (right, bottom), Stroke::new(Colour::Soft, 1.0));
        if let Some(overall) = self.overall {
            figure.line((x(overall), top), (x(overall), bottom), Stroke::dashed(Colour::Ink, 2.0));
        }
        for (place, row) in self.rows.iter().enumerate() {
            let y = top + ROW * (place as f64 + 0.5);
            let name = font::fit(&row.name, SMALL, NAMES);
            figure.text((left - 6.0, y + middle(SMALL)), name, TextStyle::new(SMALL, Anchor::End));
            for (tau, colour, note) in &row.dots {
                figure.dot((x(*tau), y), 5.5, colour.clone(), note);
            }
            if row.reversed {
                let style = TextStyle::new(SMALL, Anchor::Start).colour(Colour::Alarm).bold();
                figure.text((right + 8.0, y + middle(SMALL)), "reversed", style);
            }
        }
        figure.text(
            ((left + right) / 2.0, figure.height - 6.0),
            "Kendall’s τ-b: all networks (dashed), slices (dots)",
            TextStyle::new(NAME, Anchor::Middle),
        );
        figure
    }
}
