//! From numbers to places along an axis.

/// How the numbers of an axis are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    spread: Spread,
    /// The ends, as [`Spread::apply`] gives them: finite, the second one larger.
    ends: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    Linear,
    /// By the logarithm: all numbers are positive.
    Log,
    /// By the logarithm of the amount: all numbers are negative.
    NegativeLog,
}

/// Numbers of one sign that span more than this ratio are spread by their logarithms.
const LOG_FROM: f64 = 100.0;

impl Spread {
    /// Never infinite for a finite number that the spread is made for: a quarter is taken so that the difference of any
    /// two numbers, with room around them, is a number.
    fn apply(self, value: f64) -> f64 {
        match self {
            Spread::Linear => value / 4.0,
            Spread::Log => value.log10(),
            Spread::NegativeLog => -(-value).log10(),
        }
    }
}

impl Scale {
    /// A scale on which all of the finite numbers find a place: by their logarithm where they are of one sign and span
    /// orders of magnitude. Without numbers it runs from 0 to 1.
    pub fn fitting(values: impl IntoIterator<Item = f64>) -> Scale {
        let (least, largest) = ends(values);
        let spread = if least > 0.0 && largest / least > LOG_FROM {
            Spread::Log
        } else if largest < 0.0 && least / largest > LOG_FROM {
            Spread::NegativeLog
        } else {
            Spread::Linear
        };
        Scale::padded(spread, least, largest)
    }

    /// A scale on which all of the finite numbers find a place, without logarithms.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Scale {
        let (least, largest) = ends(values);
        Scale::padded(Spread::Linear, least, largest)
    }

    /// A scale by logarithms for positive numbers.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>) -> Scale {
        let (least, largest) = ends(values.into_iter().filter(|value| *value > 0.0));
        if least > 0.0 {
            Scale::padded(Spread::Log, least, largest)
        } else {
            Scale::padded(Spread::Log, 0.1, 1.0)
        }
    }

    /// A scale from one number to another.
    pub fn between(low: f64, high: f64) -> Scale {
        Scale { spread: Spread::Linear, ends: (low / 4.0, high / 4.0) }
    }

    fn padded(spread: Spread, least: f64, largest: f64) -> Scale {
        let (low, high) = (spread.apply(least), spread.apply(largest));
        let mut room = 0.04 * (high - low);
        // What is constant, or differs by less than can be told apart, stands in the middle.
        let size = low.abs().max(high.abs());
        let apart = high - low > 1e-12 * size;
        if !apart {
            room = if spread == Spread::Linear && size > 0.0 { 0.05 * size } else { 0.5 };
        }
        Scale { spread, ends: (low - room, high + room) }
    }

    /// Whether places are by logarithm.
    pub fn is_logarithmic(self) -> bool {
        self.spread != Spread::Linear
    }

    /// The place of a number: 0 at the lower end, 1 at the upper. Numbers beyond the ends are beyond 0 and 1.
    pub fn place(self, value: f64) -> f64 {
        (self.spread.apply(value) - self.ends.0) / (self.ends.1 - self.ends.0)
    }

    /// At most about `most` round numbers within the ends, with their places and texts.
    pub fn ticks(self, most: usize) -> Vec<(f64, String)> {
        let numbers = match self.spread {
            Spread::Linear => {
                let (low, high) = (4.0 * self.ends.0, 4.0 * self.ends.1);
                return linear_ticks(low, high, most)
                    .into_iter()
                    .map(|(value, text)| (self.place(value), text))
                    .collect();
            }
            Spread::Log => log_ticks(self.ends.0, self.ends.1, most),
            Spread::NegativeLog => {
                log_ticks(-self.ends.1, -self.ends.0, most).into_iter().map(|value| -value).rev().collect()
            }
        };
        numbers.into_iter().map(|value| (self.place(value), number(value))).collect()
    }
}

/// The smallest and the largest of the finite numbers; 0 and 1 where there is none.
fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut found: Option<(f64, f64)> = None;
    for value in values.into_iter().filter(|value| value.is_finite()) {
        found = Some(found.map_or((value, value), |(least, largest)| (least.min(value), largest.max(value))));
    }
    found.unwrap_or((0.0, 1.0))
}

/// Multiples of 1, 2 or 5 times a power of ten, with as many decimals as they need.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let span = high / most as f64 - low / most as f64;
    if span.is_nan() || span.is_infinite() || span < f64::MIN_POSITIVE {
        return Vec::new();
    }
    let magnitude = 10f64.powf(span.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= span);
    let step = step.unwrap_or(10.0 * magnitude);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    // Numbers so close together that a double cannot tell their multiples apart have no round ones between them.
    if !(last - first <= 4.0 * most as f64 && first.abs().max(last.abs()) < 1e15) {
        return Vec::new();
    }
    let decimals = (-(step * 1.0000001).log10().floor()).max(0.0) as usize;
    let plain = low.abs().max(high.abs()) < 1e6 && decimals <= 6;
    (0..=(last - first) as usize)
        .map(|place| {
            let value = (first + place as f64) * step;
            let text = if plain { minus(format!("{value:.decimals$}")) } else { scientific(value, step) };
            (value, text)
        })
        .collect()
}

/// Powers of ten, or so many of them that there are not too many; where there are few, their double and fivefold too.
fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = (low.ceil() as i32, high.floor() as i32);
    let powers = usize::try_from(last - first + 1).unwrap_or(0);
    if powers < 3 {
        let within = |value: &f64| (low..=high).contains(&value.log10());
        let values: Vec<f64> = (first - 1..=last + 1)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power)))
            .filter(within)
            .collect();
        return values;
    }
    let step = powers.div_ceil(most.max(2)).max(1) as i32;
    (first..=last)
        .filter(|power| power.rem_euclid(step) == 0)
        .map(|power| 10f64.powi(power))
        // The smallest powers are no numbers of their own.
        .filter(|value| *value >= f64::MIN_POSITIVE)
        .collect()
}

/// A number as people write it: `0.02`, `5000`, `2e−7`.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e5).contains(&size) {
        // Six significant digits, without zeros at the end.
        let digits: f64 = format!("{value:.5e}").parse().unwrap_or(value);
        minus(format!("{digits}"))
    } else {
        let digits: f64 = format!("{value:.5e}").parse().unwrap_or(value);
        minus(format!("{digits:e}"))
    }
}

/// A multiple of `step`, with the digits that tell it from its neighbours.
fn scientific(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (value.abs().log10().floor() - (step * 1.0000001).log10().floor()).max(0.0) as usize;
    minus(format!("{value:.digits$e}"))
}

/// With proper minus signs.
fn minus(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale) -> Vec<String> {
        scale.ticks(6).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn round_numbers_stand_at_their_places() {
        let scale = Scale::between(0.0, 10.0);
        assert_eq!(texts(scale), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(scale.place(2.5), 0.25);
        assert_eq!(texts(Scale::between(-1.0, 1.0)), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(texts(Scale::between(0.431, 0.536)), ["0.44", "0.46", "0.48", "0.50", "0.52"]);
        assert_eq!(texts(Scale::between(1e9, 1.4e9)), ["1.0e9", "1.1e9", "1.2e9", "1.3e9", "1.4e9"]);
    }

    #[test]
    fn orders_of_magnitude_are_spread_by_their_logarithm() {
        let scale = Scale::fitting([1.0, 1e6]);
        assert!(scale.is_logarithmic());
        assert!((scale.place(1e3) - 0.5).abs() < 1e-12);
        assert_eq!(texts(Scale::fitting([1.0, 1e4])), ["1", "10", "100", "1000", "10000"]);
        assert_eq!(texts(Scale::fitting([-1e-4, -1.0])), ["−1", "−0.1", "−0.01", "−0.001", "−1e−4"]);
        let negative = Scale::fitting([-1e6, -1.0]);
        assert!(negative.place(-1e6) < negative.place(-1e3) && negative.place(-1e3) < negative.place(-1.0));
        assert!(!Scale::fitting([-1.0, 1e9]).is_logarithmic());
    }

    #[test]
    fn every_finite_number_has_a_place_within() {
        let cases: [&[f64]; 9] = [
            &[],
            &[0.0],
            &[7.0, 7.0],
            &[f64::MAX, f64::MIN],
            &[f64::MAX],
            &[f64::MIN_POSITIVE, 5e-324],
            &[5e-324, f64::MAX],
            &[1.0, 1.0 + f64::EPSILON],
            &[f64::NAN, f64::INFINITY, 3.0],
        ];
        for values in cases {
            for scale in [Scale::fitting(values.iter().copied()), Scale::logarithmic(values.iter().copied())]
            {
                for value in values.iter().filter(|value| value.is_finite()) {
                    if scale.is_logarithmic() && *value <= 0.0 {
                        continue;
                    }
                    let place = scale.place(*value);
                    assert!((0.0..=1.0).contains(&place), "{values:?}: {value} at {place} on {scale:?}");
                }
                let ticks = scale.ticks(6);
                assert!(ticks.len() < 30, "{values:?}: {ticks:?}");
                assert!(
                    ticks.iter().all(|(place, _)| (-1e-9..=1.0 + 1e-9).contains(place)),
                    "{values:?}: {ticks:?}"
                );
            }
        }
    }
}
