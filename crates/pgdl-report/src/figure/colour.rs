//! Colours by their role, and what they are on a light and on a dark ground.

use std::rc::Rc;

use pgdl_zoo::Hyperparameter;

/// The role of a colour.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Colour {
    /// Text, axes.
    Ink,
    /// Lesser text.
    Soft,
    /// Lines behind the data.
    Grid,
    /// What is drawn upon.
    Ground,
    /// Data without a colour of its own.
    Accent,
    /// What a reader should not overlook.
    Alarm,
    /// A step of the scale of heat maps, out of [`HEAT_STEPS`].
    Heat(usize),
    /// A value of a hyperparameter.
    Level { axis: usize, level: usize },
    /// The values of all hyperparameters, of which the page's reader chooses one.
    Chosen(Rc<[usize]>),
}

/// The ground that a figure is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rgb(pub u8, pub u8, pub u8);

/// The largest step of the scale of heat maps.
pub(crate) const HEAT_STEPS: usize = 20;

/// From this step on text upon it has the colour of the ground.
const HEAT_TURN: usize = 12;

/// Nine points of viridis (Smith and van der Walt 2015): lightness rises evenly, so that the order of values is seen
/// whatever colours a reader can tell apart, and in grey.
const SEQUENTIAL: [u32; 9] = [
    0x44_01_54, 0x47_2d_7b, 0x3b_52_8b, 0x2c_72_8e, 0x21_91_8c, 0x28_ae_80, 0x5e_c9_62, 0xad_dc_30,
    0xfd_e7_25,
];

/// The palette of Okabe and Ito (2008), told apart with every kind of colour vision; its black is a grey here, which is
/// seen on both grounds.
const CATEGORIES: [u32; 8] =
    [0x00_72_b2, 0xe6_9f_00, 0x00_9e_73, 0xcc_79_a7, 0xd5_5e_00, 0x56_b4_e9, 0xf0_e4_42, 0x88_88_88];

/// The colours of the values of a population's hyperparameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Palette {
    /// Per hyperparameter and value: light, dark.
    axes: Vec<Vec<[Rgb; 2]>>,
}

impl Palette {
    /// Numbers are coloured by their rank on a sequential scale; texts, as far as there are colours for them, by a
    /// palette of categories.
    pub fn of(hyperparameters: &[Hyperparameter]) -> Palette {
        Palette { axes: hyperparameters.iter().map(colours).collect() }
    }

    /// The number of values of each hyperparameter.
    pub fn levels(&self) -> impl Iterator<Item = usize> + '_ {
        self.axes.iter().map(Vec::len)
    }

    /// What a colour is on a ground. A reader's choice is the first hyperparameter until it is made.
    pub fn rgb(&self, colour: &Colour, scheme: Scheme) -> Rgb {
        let [light, dark] = match colour {
            Colour::Ink => [0x1b_1f_24, 0xe8_ea_ed],
            Colour::Soft => [0x57_60_6a, 0xa3_ab_b5],
            Colour::Grid => [0xe1_e4_e8, 0x33_39_41],
            Colour::Ground => [0xff_ff_ff, 0x15_18_1c],
            Colour::Accent => [0x00_5f_9e, 0x66_b8_f0],
            Colour::Alarm => [0xb0_35_00, 0xff_9a_62],
            Colour::Heat(step) => return heat(*step, scheme),
            Colour::Level { axis, level } => return self.level(*axis, *level, scheme),
            Colour::Chosen(levels) => {
                return match levels.first() {
                    Some(&level) => self.level(0, level, scheme),
                    None => self.rgb(&Colour::Accent, scheme),
                };
            }
        };
        Rgb::from_hex(if scheme == Scheme::Light { light } else { dark })
    }

    fn level(&self, axis: usize, level: usize, scheme: Scheme) -> Rgb {
        match self.axes.get(axis).and_then(|levels| levels.get(level)) {
            Some([light, dark]) => {
                if scheme == Scheme::Light {
                    *light
                } else {
                    *dark
                }
            }
            None => self.rgb(&Colour::Accent, scheme),
        }
    }
}

impl Rgb {
    const fn from_hex(hex: u32) -> Rgb {
        let [_, red, green, blue] = hex.to_be_bytes();
        Rgb(red, green, blue)
    }

    /// `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl Colour {
    /// The colour of text upon a step of the scale of heat maps.
    pub fn upon_heat(step: usize) -> Colour {
        if step < HEAT_TURN { Colour::Ink } else { Colour::Ground }
    }
}

fn colours(hyperparameter: &Hyperparameter) -> Vec<[Rgb; 2]> {
    let values = &hyperparameter.possible_values;
    let ordered = values.iter().all(|value| value.number().is_some());
    if !ordered && values.len() <= CATEGORIES.len() {
        return CATEGORIES.map(Rgb::from_hex).map(|rgb| [rgb, rgb])[..values.len()].to_vec();
    }
    let rank = |value| values.iter().filter(|other| *other < value).count();
    let last = values.len().saturating_sub(1).max(1) as f64;
    values
        .iter()
        .map(|value| {
            let place = rank(value) as f64 / last;
            // The ends that a ground would swallow are left out.
            [along(&SEQUENTIAL, 0.03 + 0.8 * place), along(&SEQUENTIAL, 0.27 + 0.73 * place)]
        })
        .collect()
}

fn heat(step: usize, scheme: Scheme) -> Rgb {
    // The middle of the scale is left out: neither dark nor light text could be read on it.
    let (near, far) = match scheme {
        Scheme::Light => ([0xf4_f7_fa, 0x6e_a6_d5], [0x2f_78_b5, 0x06_2f_5c]),
        Scheme::Dark => ([0x1d_23_2b, 0x2b_64_94], [0x6f_b4_e6, 0xd8_ee_ff]),
    };
    match step.checked_sub(HEAT_TURN) {
        None => along(&near, step as f64 / (HEAT_TURN - 1) as f64),
        Some(beyond) => along(&far, beyond as f64 / (HEAT_STEPS - HEAT_TURN) as f64),
    }
}

/// A colour between evenly spaced ones, `place` from 0 to 1.
fn along(colours: &[u32], place: f64) -> Rgb {
    let place = place.clamp(0.0, 1.0) * (colours.len() - 1) as f64;
    let first = (place as usize).min(colours.len() - 2);
    let share = place - first as f64;
    let [Rgb(r, g, b), Rgb(r2, g2, b2)] = [colours[first], colours[first + 1]].map(Rgb::from_hex);
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    Rgb(mix(r, r2), mix(g, g2), mix(b, b2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgdl_zoo::HyperValue;

    /// Relative luminance (WCAG 2.2).
    fn luminance(Rgb(red, green, blue): Rgb) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn axis(values: Vec<HyperValue>) -> Hyperparameter {
        Hyperparameter { name: "h".into(), possible_values: values }
    }

    #[test]
    fn text_has_contrast_on_both_grounds() {
        let palette = Palette::default();
        for scheme in [Scheme::Light, Scheme::Dark] {
            let ground = palette.rgb(&Colour::Ground, scheme);
            for colour in [Colour::Ink, Colour::Soft, Colour::Accent, Colour::Alarm] {
                let found = contrast(palette.rgb(&colour, scheme), ground);
                assert!(found >= 4.5, "{colour:?} on {scheme:?}: {found}");
            }
            for step in 0..=HEAT_STEPS {
                let heat = palette.rgb(&Colour::Heat(step), scheme);
                let found = contrast(palette.rgb(&Colour::upon_heat(step), scheme), heat);
                assert!(found >= 4.5, "text on step {step} on {scheme:?}: {found}");
            }
        }
    }

    #[test]
    fn numbers_are_coloured_in_their_order_whatever_the_order_of_the_file() {
        let numbers = |values: &[f64]| axis(values.iter().copied().map(HyperValue::Number).collect());
        let palette = Palette::of(&[numbers(&[256.0, 64.0, 128.0])]);
        for scheme in [Scheme::Light, Scheme::Dark] {
            let lightness = |level| luminance(palette.rgb(&Colour::Level { axis: 0, level }, scheme));
            assert!(lightness(1) < lightness(2) && lightness(2) < lightness(0), "{scheme:?}");
        }
    }

    #[test]
    fn texts_are_categories_and_a_value_off_the_palette_has_a_colour() {
        let palette =
            Palette::of(&[axis(vec![HyperValue::Text("sgd".into()), HyperValue::Text("adam".into())])]);
        let rgb = |axis, level| palette.rgb(&Colour::Level { axis, level }, Scheme::Light);
        assert_eq!(rgb(0, 0).hex(), "#0072b2");
        assert_eq!(rgb(0, 1).hex(), "#e69f00");
        assert_eq!(rgb(7, 0), palette.rgb(&Colour::Accent, Scheme::Light));
    }
}
