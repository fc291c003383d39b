//! A measure's values against the gaps of the networks.

use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::frame::{Axis, Frame, SMALL, title};

/// A scatter plot.
pub(crate) struct Scatter {
    /// Above the plot; nothing on pages, which have headings.
    pub title: Option<String>,
    pub description: String,
    pub x: Axis,
    pub y: Axis,
    pub points: Vec<Point>,
    pub legend: Option<Legend>,
}

/// One network.
pub(crate) struct Point {
    pub x: f64,
    pub y: f64,
    /// Standard error of `x`.
    pub error: Option<f64>,
    pub colour: Colour,
    pub note: String,
}

/// What the colours mean.
pub(crate) struct Legend {
    pub title: String,
    pub entries: Vec<(Colour, String)>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 340.0;
/// The widest a legend becomes.
const LEGEND: f64 = 180.0;

impl Scatter {
    pub fn figure(&self) -> Figure {
        let legend = self.legend.as_ref().map_or(0.0, Legend::width);
        let mut figure = Figure::new(WIDTH + legend, HEIGHT, &self.description);
        let top = self.title.as_ref().map_or(0.0, |text| title(&mut figure, text));
        let frame = Frame::draw(&mut figure, (top, WIDTH, HEIGHT), &self.x, &self.y);
        for point in &self.points {
            if let Some(error) = point.error.filter(|error| *error > 0.0) {
                let ends =
                    [point.x - error, point.x + error].map(|x| frame.x(x).clamp(frame.left, frame.right));
                let y = frame.y(point.y);
                // Below zero there is no place by logarithm.
                if ends.iter().all(|end| end.is_finite()) {
                    figure.line((ends[0], y), (ends[1], y), Stroke::new(Colour::Soft, 1.0));
                }
            }
        }
        let radius = if self.points.len() > 400 { 3.0 } else { 4.5 };
        for point in &self.points {
            figure.dot((frame.x(point.x), frame.y(point.y)), radius, point.colour.clone(), &point.note);
        }
        if self.points.is_empty() {
            let centre = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
            let style = TextStyle::new(SMALL, Anchor::Middle).colour(Colour::Soft);
            figure.text(centre, "no network has a value", style);
        }
        if let Some(legend) = &self.legend {
            legend.draw(&mut figure, WIDTH, frame.top);
        }
        figure
    }
}

impl Legend {
    fn width(&self) -> f64 {
        let texts = self.entries.iter().map(|(_, text)| 18.0 + font::width(text, SMALL));
        let widest = texts.fold(font::width(&self.title, SMALL), f64::max);
        widest.min(LEGEND - 14.0) + 14.0
    }

    fn draw(&self, figure: &mut Figure, left: f64, top: f64) {
        let style = TextStyle::new(SMALL, Anchor::Start);
        let room = figure.width - left - 6.0;
        figure.text((left, top + SMALL), font::fit(&self.title, SMALL, room), style.clone().bold());
        let line = 19.0;
        let shown = self.shown(((HEIGHT - top - 40.0) / line) as usize);
        for (place, (colour, text)) in shown.into_iter().enumerate() {
            let y = top + 14.0 + line * (place as f64 + 0.8);
            figure.dot((left + 6.0, y), 5.0, colour.clone(), "");
            let text = font::fit(text, SMALL, room - 18.0);
            figure.text((left + 18.0, y + middle(SMALL)), text, style.clone());
        }
    }

    /// The entries, or evenly chosen ones with the first and the last where they are too many.
    fn shown(&self, most: usize) -> Vec<&(Colour, String)> {
        let count = self.entries.len();
        if count <= most || most < 2 {
            return self.entries.iter().take(most.max(1)).collect();
        }
        (0..most).map(|place| &self.entries[place * (count - 1) / (most - 1)]).collect()
    }
}
