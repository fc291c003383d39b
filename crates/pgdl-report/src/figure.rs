//! Figures: marks on a plane, drawn once and written as an SVG file, as part of a page, or as PNG.
//!
//! Lengths are in CSS pixels, y runs downwards. A figure knows the roles of its colours, not the colours: a page draws
//! the same marks on a light and on a dark ground.

pub(crate) mod colour;
pub(crate) mod font;
mod png;
mod svg;

pub(crate) use colour::{Colour, Palette, Scheme};

/// A drawing.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub width: f64,
    pub height: f64,
    /// What it shows, in one sentence, for those who cannot see it.
    pub description: String,
    marks: Vec<Mark>,
}

/// One thing that is drawn.
#[derive(Clone, Debug)]
enum Mark {
    Line { points: Vec<(f64, f64)>, stroke: Stroke },
    Rectangle { corner: (f64, f64), size: (f64, f64), fill: Colour, outline: Option<Stroke>, note: String },
    Dot { centre: (f64, f64), radius: f64, fill: Colour, note: String },
    Text { at: (f64, f64), text: String, style: TextStyle },
}

/// How a line is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    /// Length of dashes and of the gaps between them; 0 for a whole line.
    pub dash: f64,
}

/// How a text is set.
#[derive(Clone, Debug)]
pub(crate) struct TextStyle {
    pub size: f64,
    pub colour: Colour,
    pub anchor: Anchor,
    pub bold: bool,
    /// Turned to run upwards.
    pub upwards: bool,
}

/// Which point of a text lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Stroke {
    pub fn new(colour: Colour, width: f64) -> Stroke {
        Stroke { colour, width, dash: 0.0 }
    }

    pub fn dashed(colour: Colour, width: f64) -> Stroke {
        Stroke { colour, width, dash: 4.0 }
    }
}

impl TextStyle {
    pub fn new(size: f64, anchor: Anchor) -> TextStyle {
        TextStyle { size, colour: Colour::Ink, anchor, bold: false, upwards: false }
    }

    pub fn colour(mut self, colour: Colour) -> TextStyle {
        self.colour = colour;
        self
    }

    pub fn bold(mut self) -> TextStyle {
        self.bold = true;
        self
    }

    pub fn upwards(mut self) -> TextStyle {
        self.upwards = true;
        self
    }
}

impl Figure {
    pub fn new(width: f64, height: f64, description: impl Into<String>) -> Figure {
        Figure { width, height, description: description.into(), marks: Vec::new() }
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.marks.push(Mark::Line { points: vec![from, to], stroke });
    }

    pub fn polyline(&mut self, points: Vec<(f64, f64)>, stroke: Stroke) {
        if points.len() > 1 {
            self.marks.push(Mark::Line { points, stroke });
        }
    }

    pub fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), fill: Colour) {
        self.marks.push(Mark::Rectangle { corner, size, fill, outline: None, note: String::new() });
    }

    /// A rectangle that stands for something: `note` says what.
    pub fn cell(
        &mut self,
        corner: (f64, f64),
        size: (f64, f64),
        fill: Colour,
        outline: Option<Stroke>,
        note: String,
    ) {
        self.marks.push(Mark::Rectangle { corner, size, fill, outline, note });
    }

    /// A dot that stands for something: `note` says what.
    pub fn dot(&mut self, centre: (f64, f64), radius: f64, fill: Colour, note: impl Into<String>) {
        self.marks.push(Mark::Dot { centre, radius, fill, note: note.into() });
    }

    /// A text whose baseline is at `at`.
    pub fn text(&mut self, at: (f64, f64), text: impl Into<String>, style: TextStyle) {
        self.marks.push(Mark::Text { at, text: text.into(), style });
    }
}

/// From the middle of a line of text of this size down to its baseline.
pub(crate) fn middle(size: f64) -> f64 {
    0.35 * size
}
