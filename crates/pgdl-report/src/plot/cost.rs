//! What a measure costs against what it scores.

use crate::figure::{Anchor, Colour, Figure, Stroke, TextStyle, font, middle};
use crate::plot::frame::{Axis, Frame, SMALL, title};
use crate::plot::scale::Scale;

/// A plot of scores over costs.
pub(crate) struct CostPlot {
    pub title: Option<String>,
    pub description: String,
    /// The score's name.
    pub score: String,
    pub points: Vec<CostPoint>,
}

/// A measure.
pub(crate) struct CostPoint {
    pub measure: String,
    /// Mean seconds per network.
    pub seconds: f64,
    pub score: f64,
    /// A control is no rival: it takes no part in who is best.
    pub control: bool,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// What takes no time at all still needs a place by logarithm: a microsecond.
const LEAST_SECONDS: f64 = 1e-6;

impl CostPlot {
    pub fn figure(&self) -> Figure {
        let mut figure = Figure::new(WIDTH, HEIGHT, &self.description);
        let top = self.title.as_ref().map_or(0.0, |text| title(&mut figure, text));
        let seconds = |point: &CostPoint| point.seconds.max(LEAST_SECONDS);
        let x = Axis {
            name: "mean time per network, seconds".to_owned(),
            scale: Scale::logarithmic(self.points.iter().map(seconds)),
        };
        let scores = self.points.iter().map(|point| point.score);
        let (least, largest) =
            scores.clone().fold((0.0_f64, 0.0_f64), |(a, b), score| (a.min(score), b.max(score)));
        let room = 0.06 * (largest - least).max(0.01);
        let y = Axis { name: self.score.clone(), scale: Scale::between(least - room, largest + room) };
        let frame = Frame::draw(&mut figure, (top, WIDTH, HEIGHT), &x, &y);

        let front = self.front();
        let mut line: Vec<(f64, f64)> = Vec::new();
        for &place in &front {
            let at = (frame.x(seconds(&self.points[place])), frame.y(self.points[place].score));
            if let Some(&(_, before)) = line.last() {
                line.push((at.0, before));
            }
            line.push(at);
        }
        if let Some(&(_, last)) = line.last() {
            line.push((frame.right, last));
        }
        figure.polyline(line.clone(), Stroke::dashed(Colour::Soft, 1.5));

        let at = |point: &CostPoint| (frame.x(seconds(point)), frame.y(point.score));
        for point in &self.points {
            let note = format!(
                "{}: {} {:.3}, {} s per network",
                point.measure,
                self.score,
                point.score,
                crate::plot::scale::number(point.seconds)
            );
            figure.dot(at(point), 5.0, if point.control { Colour::Ground } else { Colour::Accent }, note);
        }
        // The best for their cost are named first; the others where there is room.
        let dots = self.points.iter().map(|point| {
            let (x, y) = at(point);
            Area { left: x - 5.0, top: y - 5.0, right: x + 5.0, bottom: y + 5.0 }
        });
        let lines = line.windows(2).map(|ends| Area::around(ends[0], ends[1]));
        let mut taken: Vec<Area> = dots.chain(lines).collect();
        let mut others: Vec<usize> = (0..self.points.len()).filter(|place| !front.contains(place)).collect();
        others.sort_by(|a, b| self.points[*b].score.total_cmp(&self.points[*a].score));
        for place in front.iter().copied().chain(others) {
            let point = &self.points[place];
            let text = font::fit(&point.measure, SMALL, 200.0);
            let width = font::width(&text, SMALL);
            let (x, y) = at(point);
            let candidates = [
                (x + 8.0, y, Anchor::Start),
                (x - 8.0, y, Anchor::End),
                (x, y - 13.0, Anchor::Middle),
                (x, y + 13.0, Anchor::Middle),
                (x + 6.0, y - 11.0, Anchor::Start),
                (x + 6.0, y + 11.0, Anchor::Start),
                (x - 6.0, y - 11.0, Anchor::End),
                (x - 6.0, y + 11.0, Anchor::End),
            ];
            for (x, y, anchor) in candidates {
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                let area = Area { left, top: y - 7.0, right: left + width, bottom: y + 7.0 };
                if area.is_within(&frame) && !taken.iter().any(|other| other.overlaps(&area)) {
                    figure.text((x, y + middle(SMALL)), &text, TextStyle::new(SMALL, anchor));
                    taken.push(area);
                    break;
                }
            }
        }
        figure
    }

    /// The measures that no other one beats in score at the same or a lower cost, by cost.
    fn front(&self) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.points.len()).filter(|&place| !self.points[place].control).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&self.points[*a], &self.points[*b]);
            a.seconds.total_cmp(&b.seconds).then(b.score.total_cmp(&a.score))
        });
        let mut best = f64::NEG_INFINITY;
        order.retain(|&place| {
            let better = self.points[place].score > best;
            best = best.max(self.points[place].score);
            better
        });
        order
    }
}

struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn around(a: (f64, f64), b: (f64, f64)) -> Area {
        Area {
            left: a.0.min(b.0) - 1.0,
            top: a.1.min(b.1) - 1.0,
            right: a.0.max(b.0) + 1.0,
            bottom: a.1.max(b.1) + 1.0,
        }
    }

    fn overlaps(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_within(&self, frame: &Frame) -> bool {
        self.left >= frame.left
            && self.right <= frame.right
            && self.top >= frame.top
            && self.bottom <= frame.bottom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_holds_what_is_best_for_its_cost() {
        let rival = |seconds, score, control| CostPoint { measure: String::new(), seconds, score, control };
        let point = |seconds, score| rival(seconds, score, false);
        let plot = CostPlot {
            title: None,
            description: String::new(),
            score: String::new(),
            points: vec![
                point(1.0, 5.0),
                point(0.1, 3.0),
                point(2.0, 4.0),
                point(0.1, 2.0),
                point(9.0, 6.0),
                rival(0.0, 99.0, true),
            ],
        };
        assert_eq!(plot.front(), [1, 0, 4]);
    }
}
