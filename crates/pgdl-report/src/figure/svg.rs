//! A figure as SVG: a file of its own, or a part of a page.

use std::fmt::Write;

use crate::text::visible;

use super::{Anchor, Colour, Figure, Mark, Palette, Scheme, Stroke};

/// Where the colours of an SVG come from.
enum Colours<'a> {
    /// They stand in it.
    Literal(&'a Palette),
    /// The page's style sheet says them, by class.
    Classes,
}

impl Figure {
    /// The figure on a light ground as an SVG file.
    pub fn to_svg(&self, palette: &Palette) -> String {
        let (width, height) = (number(self.width), number(self.height));
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"Ubuntu, 'Helvetica Neue', Arial, sans-serif\">\n\
             <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
            escape(&self.description),
            palette.rgb(&Colour::Ground, Scheme::Light).hex()
        );
        self.marks(&mut out, &Colours::Literal(palette));
        out.push_str("</svg>\n");
        out
    }

    /// The figure as a part of a page, whose style sheet colours it: see [`Colour`]'s classes in `html/style.css`.
    pub fn to_inline_svg(&self) -> String {
        let (width, height) = (number(self.width), number(self.height));
        let mut out = format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{}\">",
            escape(&self.description)
        );
        self.marks(&mut out, &Colours::Classes);
        out.push_str("</svg>");
        out
    }

    fn marks(&self, out: &mut String, colours: &Colours) {
        for mark in &self.marks {
            self.mark(out, mark, colours);
            if matches!(colours, Colours::Literal(_)) {
                out.push('\n');
            }
        }
    }

    fn mark(&self, out: &mut String, mark: &Mark, colours: &Colours) {
        // Writing to a text cannot fail.
        let _ = match mark {
            Mark::Line { points, stroke } => {
                let mut path = String::new();
                for (place, (x, y)) in points.iter().enumerate() {
                    let step = if place == 0 { 'M' } else { 'L' };
                    let _ = write!(path, "{step}{} {}", number(*x), number(*y));
                }
                write!(out, "<path d=\"{path}\" fill=\"none\"{}/>", colours.paint(None, Some(stroke), ""))
            }
            Mark::Rectangle { corner, size, fill, outline, note } => {
                let _ = write!(
                    out,
                    "<rect{} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
                    colours.paint(Some(fill), outline.as_ref(), ""),
                    number(corner.0),
                    number(corner.1),
                    number(size.0),
                    number(size.1)
                );
                end(out, "rect", note)
            }
            Mark::Dot { centre, radius, fill, note } => {
                let ring = Stroke::new(Colour::Ink, 0.6);
                // The rings of a page's many dots are in its style sheet.
                let ring = matches!(colours, Colours::Literal(_)).then_some(&ring);
                let _ = write!(
                    out,
                    "<circle{} cx=\"{}\" cy=\"{}\" r=\"{}\"",
                    colours.paint(Some(fill), ring, "d"),
                    number(centre.0),
                    number(centre.1),
                    number(*radius)
                );
                end(out, "circle", note)
            }
            Mark::Text { at, text, style } => {
                let (x, y) = (number(at.0), number(at.1));
                let anchor = match style.anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let turn =
                    if style.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
                let bold = if style.bold { " font-weight=\"600\"" } else { "" };
                write!(
                    out,
                    "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{}{anchor}{bold}{turn}>{}</text>",
                    number(style.size),
                    colours.paint(Some(&style.colour), None, ""),
                    escape(text)
                )
            }
        };
    }
}

impl Colours<'_> {
    /// The attributes that colour a mark; `class` is its own class on pages.
    fn paint(&self, fill: Option<&Colour>, stroke: Option<&Stroke>, class: &str) -> String {
        let mut out = String::new();
        let _ = match self {
            Colours::Literal(palette) => {
                let hex = |colour| palette.rgb(colour, Scheme::Light).hex();
                let fill = fill.map_or_else(String::new, |fill| format!(" fill=\"{}\"", hex(fill)));
                let stroke =
                    stroke.map_or_else(String::new, |stroke| format!(" stroke=\"{}\"", hex(&stroke.colour)));
                write!(out, "{fill}{stroke}")
            }
            Colours::Classes => {
                let fill = fill.map(fill_class).unwrap_or_default();
                let stroke = stroke.map_or("", |stroke| stroke_class(&stroke.colour));
                let classes = [class, &fill, stroke].into_iter().filter(|class| !class.is_empty());
                write!(out, " class=\"{}\"", classes.collect::<Vec<_>>().join(" "))
            }
        };
        if let Some(stroke) = stroke {
            let _ = write!(out, " stroke-width=\"{}\"", number(stroke.width));
            if stroke.dash > 0.0 {
                let _ = write!(out, " stroke-dasharray=\"{}\"", number(stroke.dash));
            }
        }
        out
    }
}

/// The class that fills with a colour.
fn fill_class(colour: &Colour) -> String {
    match colour {
        Colour::Ink => "f-ink".to_owned(),
        Colour::Soft => "f-soft".to_owned(),
        Colour::Grid => "f-grid".to_owned(),
        Colour::Ground => "f-ground".to_owned(),
        Colour::Accent => "f-accent".to_owned(),
        Colour::Alarm => "f-alarm".to_owned(),
        Colour::Heat(step) => format!("q{step}"),
        Colour::Level { axis, level } => format!("k{axis}v{level}"),
        Colour::Chosen(levels) if levels.is_empty() => "f-accent".to_owned(),
        Colour::Chosen(levels) => {
            let classes = levels.iter().enumerate().map(|(axis, level)| format!("h{axis}v{level}"));
            classes.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The class that draws lines in a colour.
fn stroke_class(colour: &Colour) -> &'static str {
    match colour {
        Colour::Ink => "s-ink",
        Colour::Soft => "s-soft",
        Colour::Grid => "s-grid",
        Colour::Ground => "s-ground",
        Colour::Alarm => "s-alarm",
        _ => "s-accent",
    }
}

/// Ends an element, with a note on what it stands for if there is one.
fn end(out: &mut String, element: &str, note: &str) -> std::fmt::Result {
    if note.is_empty() {
        out.push_str("/>");
        return Ok(());
    }
    write!(out, "><title>{}</title></{element}>", escape(note))
}

/// A length, to a hundredth.
fn number(value: f64) -> String {
    let rounded = (100.0 * value).round() / 100.0;
    // −0 is 0, and what is no number cannot be drawn.
    if rounded.is_finite() { format!("{}", rounded + 0.0) } else { "0".to_owned() }
}

/// A text within elements and attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(visible(letter)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::TextStyle;

    fn example() -> Figure {
        let mut figure = Figure::new(100.0, 50.0, "a <figure> & \"more\"");
        figure.line((0.0, 0.5), (100.0, 0.5), Stroke::dashed(Colour::Grid, 1.0));
        figure.cell(
            (1.0, 2.0),
            (3.0, 4.0),
            Colour::Heat(3),
            Some(Stroke::new(Colour::Alarm, 2.0)),
            String::new(),
        );
        figure.dot((10.004, 20.0), 3.5, Colour::Chosen([2, 0].into()), "</title><script>alert(1)</script>");
        figure.text((1.0, 2.0), "x<y\u{0}", TextStyle::new(12.0, Anchor::End).bold());
        figure
    }

    #[test]
    fn files_say_their_colours_and_pages_their_classes() {
        let inline = example().to_inline_svg();
        assert!(inline.contains("<circle class=\"d h0v2 h1v0\" cx=\"10\" cy=\"20\" r=\"3.5\">"), "{inline}");
        assert!(inline.contains(" class=\"q3 s-alarm\" stroke-width=\"2\""), "{inline}");
        assert!(!inline.contains('#') || inline.contains("&#39;"), "{inline}");
        let file = example().to_svg(&Palette::default());
        assert!(!file.contains("class="), "{file}");
        assert!(file.contains("stroke-dasharray=\"4\""), "{file}");
    }

    #[test]
    fn texts_never_become_markup() {
        for svg in [example().to_inline_svg(), example().to_svg(&Palette::default())] {
            assert!(!svg.contains("<script"), "{svg}");
            assert!(svg.contains("x&lt;y\u{fffd}"), "{svg}");
            assert!(svg.contains("a &lt;figure&gt; &amp; &quot;more&quot;"), "{svg}");
        }
    }

    #[test]
    fn lengths_are_short_and_always_numbers() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.3456), "12.35");
        assert_eq!(number(f64::NAN), "0");
        assert_eq!(number(f64::INFINITY), "0");
    }
}
