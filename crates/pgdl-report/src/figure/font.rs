//! The font of figures: outlines for PNG, widths for the layout.
//!
//! It is part of the program, so that a figure looks the same on every machine. SVG files and pages are set in the
//! reader's own sans-serif font, of similar width.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId};

/// Ubuntu Light; what it lacks is taken from Hack.
const FONTS: [&[u8]; 2] = [epaint_default_fonts::UBUNTU_LIGHT, epaint_default_fonts::HACK_REGULAR];

/// One letter, ready to be drawn.
pub(super) struct Glyph {
    pub face: &'static Face<'static>,
    pub id: GlyphId,
    /// From the font's units to those of the figure.
    pub scale: f64,
    /// How far the next letter is, in units of the figure.
    pub advance: f64,
}

fn faces() -> &'static [Face<'static>] {
    static FACES: OnceLock<Vec<Face<'static>>> = OnceLock::new();
    FACES.get_or_init(|| FONTS.iter().filter_map(|font| Face::parse(font, 0).ok()).collect())
}

/// The letters of a text of a size. A letter that no font has is shown as the box that fonts keep for this.
pub(super) fn glyphs(text: &str, size: f64) -> impl Iterator<Item = Glyph> + '_ {
    text.chars().filter_map(move |letter| {
        let mut known = faces().iter().filter_map(|face| Some((face, face.glyph_index(letter)?)));
        let (face, id) = known.next().or_else(|| Some((faces().first()?, GlyphId(0))))?;
        let scale = size / f64::from(face.units_per_em());
        let advance = f64::from(face.glyph_hor_advance(id).unwrap_or(0)) * scale;
        Some(Glyph { face, id, scale, advance })
    })
}

/// The width of a text, with some room for fonts that run wider.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    1.06 * glyphs(text, size).map(|glyph| glyph.advance).sum::<f64>()
}

/// The text, cut so that it is at most so wide.
pub(crate) fn fit(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let room = most - width("…", size);
    let mut used = 0.0;
    let mut fitted: String = text
        .chars()
        .take_while(|letter| {
            used += width(letter.encode_utf8(&mut [0; 4]), size);
            used <= room
        })
        .collect();
    fitted.push('…');
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_that_figures_use_are_there() {
        assert_eq!(faces().len(), FONTS.len());
        for letter in "abcXYZ089_:=,.–—−×·…τΨψμ²≥≤∞[]|%".chars() {
            assert!(faces().iter().any(|face| face.glyph_index(letter).is_some()), "{letter}");
        }
    }

    #[test]
    fn a_text_is_cut_to_the_room_there_is() {
        let name = "a_measure_with_a_rather_long_name:and=parameters";
        let cut = fit(name, 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(fit("short", 12.0, 100.0), "short");
        assert_eq!(fit("", 12.0, 0.0), "");
    }
}
