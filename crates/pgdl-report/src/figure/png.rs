//! A figure as PNG.

use tiny_skia::{FillRule, LineCap, Paint, Path, PathBuilder, Pixmap, Rect, StrokeDash, Transform};
use ttf_parser::OutlineBuilder;

use super::font::glyphs;
use super::{Anchor, Colour, Figure, Mark, Palette, Scheme, Stroke, TextStyle};
use crate::error::{ReportError, Result};

/// Pixels per unit of length: sharp in print and on dense screens.
const PIXELS_PER_UNIT: f32 = 2.0;

impl Figure {
    /// The figure on a light ground as a PNG file.
    ///
    /// # Errors
    /// When it is too large to be drawn.
    pub fn to_png(&self, palette: &Palette) -> Result<Vec<u8>> {
        let side = |length: f64| (length as f32 * PIXELS_PER_UNIT).ceil() as u32;
        let too_large = || ReportError::invalid("a figure is too large to be drawn as PNG");
        let pixmap = Pixmap::new(side(self.width), side(self.height)).ok_or_else(too_large)?;
        let mut canvas = Canvas { pixmap, palette };
        let ground = palette.rgb(&Colour::Ground, Scheme::Light);
        canvas.pixmap.fill(tiny_skia::Color::from_rgba8(ground.0, ground.1, ground.2, 255));
        for mark in &self.marks {
            canvas.draw(mark);
        }
        canvas
            .pixmap
            .encode_png()
            .map_err(|error| ReportError::invalid(format!("a figure cannot be written as PNG: {error}")))
    }
}

struct Canvas<'a> {
    pixmap: Pixmap,
    palette: &'a Palette,
}

impl Canvas<'_> {
    fn draw(&mut self, mark: &Mark) {
        match mark {
            Mark::Line { points, stroke } => {
                let mut path = PathBuilder::new();
                for (place, &(x, y)) in points.iter().enumerate() {
                    if place == 0 {
                        path.move_to(x as f32, y as f32);
                    } else {
                        path.line_to(x as f32, y as f32);
                    }
                }
                self.stroke(path.finish(), stroke);
            }
            Mark::Rectangle { corner, size, fill, outline, .. } => {
                let rect = Rect::from_xywh(corner.0 as f32, corner.1 as f32, size.0 as f32, size.1 as f32);
                let Some(rect) = rect else { return };
                let path = PathBuilder::from_rect(rect);
                self.fill(Some(path.clone()), fill);
                if let Some(outline) = outline {
                    self.stroke(Some(path), outline);
                }
            }
            Mark::Dot { centre, radius, fill, .. } => {
                let path = PathBuilder::from_circle(centre.0 as f32, centre.1 as f32, *radius as f32);
                self.fill(path.clone(), fill);
                self.stroke(path, &Stroke::new(Colour::Ink, 0.6));
            }
            Mark::Text { at, text, style } => self.text(*at, text, style),
        }
    }

    fn text(&mut self, at: (f64, f64), text: &str, style: &TextStyle) {
        let width: f64 = glyphs(text, style.size).map(|glyph| glyph.advance).sum();
        let mut pen = match style.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let mut outline = Outline(PathBuilder::new());
        let mut paths = Vec::new();
        for glyph in glyphs(text, style.size) {
            if glyph.face.outline_glyph(glyph.id, &mut outline).is_some()
                && let Some(path) = std::mem::replace(&mut outline, Outline(PathBuilder::new())).0.finish()
            {
                let scale = glyph.scale as f32;
                paths.push(path.transform(Transform::from_row(scale, 0.0, 0.0, -scale, pen as f32, 0.0)));
            }
            pen += glyph.advance;
        }
        let turn = if style.upwards { Transform::from_rotate(-90.0) } else { Transform::identity() };
        let place = turn.post_translate(at.0 as f32, at.1 as f32);
        // The light face gains weight by a thin stroke around its letters.
        let weight = style.size * if style.bold { 0.055 } else { 0.018 };
        for path in paths.into_iter().flatten() {
            let path = path.transform(place);
            self.fill(path.clone(), &style.colour);
            self.stroke(path, &Stroke::new(style.colour.clone(), weight));
        }
    }

    fn fill(&mut self, path: Option<Path>, colour: &Colour) {
        if let Some(path) = path {
            let scale = Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
            self.pixmap.fill_path(&path, &self.paint(colour), FillRule::Winding, scale, None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, stroke: &Stroke) {
        let Some(path) = path else { return };
        let pen = tiny_skia::Stroke {
            width: stroke.width as f32,
            line_cap: LineCap::Butt,
            dash: StrokeDash::new(vec![stroke.dash as f32; 2], 0.0),
            ..tiny_skia::Stroke::default()
        };
        let scale = Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
        self.pixmap.stroke_path(&path, &self.paint(&stroke.colour), &pen, scale, None);
    }

    fn paint(&self, colour: &Colour) -> Paint<'static> {
        let rgb = self.palette.rgb(colour, Scheme::Light);
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color_rgba8(rgb.0, rgb.1, rgb.2, 255);
        paint
    }
}

/// Takes the outline of a letter.
struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_have_their_places_and_colours() {
        let mut figure = Figure::new(20.0, 10.0, "");
        figure.rectangle((0.0, 0.0), (10.0, 10.0), Colour::Accent);
        figure.line((15.0, 0.0), (15.0, 10.0), Stroke::new(Colour::Alarm, 2.0));
        let palette = Palette::default();
        let png = Pixmap::decode_png(&figure.to_png(&palette).unwrap()).unwrap();
        assert_eq!((png.width(), png.height()), (40, 20));
        let at = |x, y| {
            let pixel = png.pixel(x, y).unwrap();
            crate::figure::colour::Rgb(pixel.red(), pixel.green(), pixel.blue())
        };
        let rgb = |colour| palette.rgb(&colour, Scheme::Light);
        assert_eq!(at(5, 5), rgb(Colour::Accent));
        assert_eq!(at(25, 5), rgb(Colour::Ground));
        assert_eq!(at(30, 5), rgb(Colour::Alarm));
    }

    #[test]
    fn a_text_is_drawn_where_its_anchor_says() {
        let palette = Palette::default();
        let ink = |anchor, upwards| {
            let mut figure = Figure::new(60.0, 60.0, "");
            let style = TextStyle { upwards, ..TextStyle::new(12.0, anchor) };
            figure.text((30.0, 30.0), "HHH", style);
            let png = Pixmap::decode_png(&figure.to_png(&palette).unwrap()).unwrap();
            let dark = |x: u32, y: u32| png.pixel(x, y).is_some_and(|pixel| pixel.red() < 128);
            let mut counts = [0; 4]; // left, right, above, below
            for (x, y) in (0..120).flat_map(|x| (0..120).map(move |y| (x, y))).filter(|&(x, y)| dark(x, y)) {
                counts[usize::from(x >= 60)] += 1;
                counts[2 + usize::from(y >= 60)] += 1;
            }
            counts
        };
        let [left, right, above, below] = ink(Anchor::Start, false);
        assert!(left == 0 && right > 100 && above > 100 && below == 0);
        let [left, right, ..] = ink(Anchor::End, false);
        assert!(left > 100 && right == 0);
        let [left, right, above, below] = ink(Anchor::Start, true);
        assert!(left > 100 && right == 0 && above > 100 && below == 0);
    }
}
