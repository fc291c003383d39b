//! Curves over a common axis, with intervals and lines to compare them with: the figure of an experiment.

use std::path::Path;

use pgdl_zoo::{HyperValue, Hyperparameter};

use crate::error::{ReportError, Result};
use crate::figure::{Anchor, Colour, Figure, Palette, Stroke, TextStyle, font, middle};
use crate::plot::files::write_figure;
use crate::plot::frame::{Axis, Frame, SMALL, title};
use crate::plot::scale::Scale;

/// A plot of curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// Above the plot, and what is read to those who cannot see it.
    pub title: String,
    /// What is along the axis, with its unit.
    pub x: String,
    /// What is upwards, with its unit.
    pub y: String,
    /// Places along the axis are by logarithm; what is not positive is not drawn.
    pub logarithmic_x: bool,
    /// Places upwards are by logarithm; what is not positive is not drawn.
    pub logarithmic_y: bool,
    /// The curves; colours tell up to eight of them apart.
    pub curves: Vec<Curve>,
    /// Values of y to compare with, each with its name: dashed lines.
    pub levels: Vec<(f64, String)>,
    /// Values of x to compare with, each with its name: dashed upright lines.
    pub places: Vec<(f64, String)>,
}

/// One curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What the legend calls it.
    pub name: String,
    /// Its points, in the order in which they are joined. Those that are not finite are left out.
    pub points: Vec<CurvePoint>,
    /// Whether the points are marked by dots; single points always are.
    pub dots: bool,
    /// Whether the points are joined by lines.
    pub line: bool,
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Along the axis.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Ends of an interval around `y`.
    pub interval: Option<[f64; 2]>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 380.0;
/// The widest a legend becomes.
const LEGEND: f64 = 220.0;

impl Curve {
    /// A curve through points without intervals: joined, and dotted where they are few.
    pub fn through(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Curve {
        let points = points.into_iter().map(|(x, y)| CurvePoint { x, y, interval: None }).collect();
        Curve::of(name, points)
    }

    /// A curve through points: joined, and dotted where they are few.
    pub fn of(name: impl Into<String>, points: Vec<CurvePoint>) -> Curve {
        let dots = points.len() <= 40;
        Curve { name: name.into(), points, dots, line: true }
    }

    /// The same points, not joined.
    pub fn scattered(mut self) -> Curve {
        self.line = false;
        self.dots = true;
        self
    }
}

impl Curves {
    /// Writes `name.svg` and `name.png` into `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        let names = self.curves.iter().map(|curve| HyperValue::Text(curve.name.clone())).collect();
        let palette = Palette::of(&[Hyperparameter { name: "curve".into(), possible_values: names }]);
        if self.curves.len() > MOST_CURVES {
            return Err(ReportError::invalid(format!("a figure of more than {MOST_CURVES} curves")));
        }
        write_figure(folder, name, &self.figure(), &palette)
    }

    fn figure(&self) -> Figure {
        let legend = self.legend_width();
        let mut figure = Figure::new(WIDTH + legend, HEIGHT, &self.title);
        let top = title(&mut figure, &self.title);
        let drawn = |point: &CurvePoint| {
            let positive = |logarithmic: bool, value: f64| value.is_finite() && (!logarithmic || value > 0.0);
            positive(self.logarithmic_x, point.x) && positive(self.logarithmic_y, point.y)
        };
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|point| drawn(point));
        let scale = |logarithmic: bool, values: Vec<f64>| {
            if logarithmic { Scale::logarithmic(values) } else { Scale::linear(values) }
        };
        let xs = points().map(|point| point.x).chain(self.places.iter().map(|(place, _)| *place));
        let ys = points()
            .flat_map(|point| point.interval.into_iter().flatten().chain([point.y]))
            .chain(self.levels.iter().map(|(level, _)| *level));
        let x = Axis { name: self.x.clone(), scale: scale(self.logarithmic_x, xs.collect()) };
        let y = Axis { name: self.y.clone(), scale: scale(self.logarithmic_y, ys.collect()) };
        let frame = Frame::draw(&mut figure, (top, WIDTH, HEIGHT), &x, &y);

        for (level, text) in self.levels.iter().filter(|(level, _)| level.is_finite()) {
            let at = frame.y(*level);
            figure.line((frame.left, at), (frame.right, at), Stroke::dashed(Colour::Alarm, 1.5));
            let style = TextStyle::new(SMALL, Anchor::End).colour(Colour::Alarm);
            figure.text((frame.right - 4.0, at - 4.0), text, style);
        }
        for (place, text) in self.places.iter().filter(|(place, _)| place.is_finite()) {
            let at = frame.x(*place);
            figure.line((at, frame.top), (at, frame.bottom), Stroke::dashed(Colour::Alarm, 1.5));
            let style = TextStyle::new(SMALL, Anchor::Start).colour(Colour::Alarm);
            figure.text((at + 4.0, frame.top + SMALL), text, style);
        }
        for (level, curve) in self.curves.iter().enumerate() {
            let colour = Colour::Level { axis: 0, level };
            let points: Vec<&CurvePoint> = curve.points.iter().filter(|point| drawn(point)).collect();
            let places: Vec<_> = points.iter().map(|point| (frame.x(point.x), frame.y(point.y))).collect();
            for (point, at) in points.iter().zip(&places) {
                if let Some(ends) = point.interval {
                    // Where an end has no place by logarithm, the line runs to the frame.
                    let [low, high] = ends.map(|end| {
                        let y = frame.y(end);
                        if y.is_nan() { frame.bottom } else { y.clamp(frame.top, frame.bottom) }
                    });
                    figure.line((at.0, low), (at.0, high), Stroke::new(colour.clone(), 1.0));
                }
            }
            if curve.line {
                figure.polyline(places.clone(), Stroke::new(colour.clone(), 2.0));
            }
            if curve.dots || places.len() == 1 {
                for (point, at) in points.iter().zip(&places) {
                    let number = crate::plot::scale::number;
                    let note = format!("{}: {}, {}", curve.name, number(point.x), number(point.y));
                    figure.dot(*at, 3.5, colour.clone(), note);
                }
            }
        }
        for (level, curve) in self.curves.iter().enumerate().filter(|_| legend > 0.0) {
            let y = frame.top + 8.0 + 19.0 * level as f64;
            figure.dot((WIDTH + 6.0, y), 5.0, Colour::Level { axis: 0, level }, "");
            let text = font::fit(&curve.name, SMALL, legend - 24.0);
            let style = TextStyle::new(SMALL, Anchor::Start);
            figure.text((WIDTH + 18.0, y + middle(SMALL)), text, style);
        }
        figure
    }

    /// One curve needs no legend.
    fn legend_width(&self) -> f64 {
        if self.curves.len() < 2 {
            return 0.0;
        }
        let widths = self.curves.iter().map(|curve| font::width(&curve.name, SMALL));
        widths.fold(0.0, f64::max).min(LEGEND - 32.0) + 32.0
    }
}

/// As many as the palette of categories tells apart.
const MOST_CURVES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_is_not_drawn_and_the_rest_is() {
        let folder = tempfile::tempdir().unwrap();
        let plot = Curves {
            title: "risk over width".into(),
            x: "parameters".into(),
            y: "risk".into(),
            logarithmic_x: true,
            logarithmic_y: true,
            curves: vec![
                Curve::through("train", [(0.0, 1.0), (10.0, 0.5), (100.0, f64::NAN), (1000.0, 0.1)]),
                Curve::of("test", vec![CurvePoint { x: 10.0, y: 0.7, interval: Some([-1.0, 0.9]) }]),
            ],
            levels: vec![(0.2, "published".into())],
            places: vec![(40.0, "n·C".into())],
        };
        plot.write(folder.path(), "risk").unwrap();
        let svg = std::fs::read_to_string(folder.path().join("risk.svg")).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("train: 10, 0.5") && svg.contains("train: 1000, 0.1"));
        assert!(!svg.contains("train: 100, ") && !svg.contains("train: 0, "));
        assert!(svg.contains("published") && svg.contains("n·C"));
        assert!(folder.path().join("risk.png").is_file());
    }

    #[test]
    fn more_curves_than_colours_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let curves = (0..9).map(|name| Curve::through(name.to_string(), [(0.0, 1.0)])).collect();
        assert!(Curves { curves, ..Curves::default() }.write(folder.path(), "x").is_err());
    }
}
