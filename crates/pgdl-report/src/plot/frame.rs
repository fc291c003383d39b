//! The frame of a plot: two axes with names, ticks and grid lines.

use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::scale::Scale;

/// The size of the text of ticks and legends.
pub(crate) const SMALL: f64 = 12.0;
/// The size of the names of axes.
pub(crate) const NAME: f64 = 13.0;
/// The size of the title.
pub(crate) const TITLE: f64 = 15.0;

/// An axis: what it shows, with its unit, and how.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub name: String,
    pub scale: Scale,
}

/// The part of a figure in which the data are, with its scales.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    x: Scale,
    y: Scale,
}

impl Frame {
    /// Draws the axes within `width` × `height` from `top` on, and leaves room for what is written along them.
    pub fn draw(figure: &mut Figure, (top, width, height): (f64, f64, f64), x: &Axis, y: &Axis) -> Frame {
        let y_ticks = y.scale.ticks(6);
        let labels = y_ticks.iter().map(|(_, text)| font::width(text, SMALL)).fold(0.0, f64::max);
        let (left, right) = (NAME + 14.0 + labels + 6.0, width - 14.0);
        let (top, bottom) = (top + 8.0, height - NAME - SMALL - 18.0);
        let frame = Frame { left, right, top, bottom, x: x.scale, y: y.scale };
        for (place, text) in &y_ticks {
            let at = bottom + (top - bottom) * place;
            figure.line((left, at), (right, at), Stroke::new(Colour::Grid, 1.0));
            figure.text(
                (left - 6.0, at + middle(SMALL)),
                text,
                TextStyle::new(SMALL, Anchor::End).colour(Colour::Soft),
            );
        }
        let most = ((right - left) / 75.0).max(2.0) as usize;
        let mut free_from = f64::NEG_INFINITY;
        for (place, text) in x.scale.ticks(most) {
            let at = left + (right - left) * place;
            figure.line((at, top), (at, bottom), Stroke::new(Colour::Grid, 1.0));
            let half = font::width(&text, SMALL) / 2.0;
            // Ticks by logarithm are not evenly spaced: what would run into its neighbour stays unsaid.
            if at - half >= free_from && at + half <= width {
                figure.text(
                    (at, bottom + SMALL + 5.0),
                    &text,
                    TextStyle::new(SMALL, Anchor::Middle).colour(Colour::Soft),
                );
                free_from = at + half + 8.0;
            }
        }
        figure.line((left, bottom), (right, bottom), Stroke::new(Colour::Soft, 1.0));
        figure.line((left, top), (left, bottom), Stroke::new(Colour::Soft, 1.0));
        let name = |axis: &Axis, room: f64| {
            let log = if axis.scale.is_logarithmic() { " (log scale)" } else { "" };
            let room = room - font::width(log, NAME);
            format!("{}{log}", font::fit(&axis.name, NAME, room))
        };
        figure.text(
            ((left + right) / 2.0, height - 8.0),
            name(x, right - left),
            TextStyle::new(NAME, Anchor::Middle),
        );
        figure.text(
            (NAME + 2.0, (top + bottom) / 2.0),
            name(y, bottom - top),
            TextStyle::new(NAME, Anchor::Middle).upwards(),
        );
        frame
    }

    pub fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.place(value)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.bottom + (self.top - self.bottom) * self.y.place(value)
    }
}

/// Draws a title in the upper left corner, cut to the width, and says how far down it reaches.
pub(crate) fn title(figure: &mut Figure, text: &str) -> f64 {
    let text = font::fit(text, TITLE, figure.width - 24.0);
    figure.text((12.0, TITLE + 7.0), text, TextStyle::new(TITLE, Anchor::Start).bold());
    TITLE + 14.0
}
