//! The committed table that coefficients are fitted on, and the form of the committed coefficients.

use crate::regression::{Fits, Row};

/// Columns in front of the features.
const FRONT: usize = 4;
const DEPTHS: [&str; 4] = ["input", "third", "two_thirds", "last"];
const STATISTICS: [&str; 5] = ["lower_fence", "q1", "median", "q3", "upper_fence"];

/// Rows as text: zoo, network, digest, gap and logarithms with six digits behind the point, separated by commas.
pub fn write(rows: &[Row]) -> String {
    let mut text = "zoo,network,digest,gap".to_string();
    for depth in DEPTHS {
        STATISTICS.iter().for_each(|statistic| text += &format!(",ln_{depth}_{statistic}"));
    }
    text.push('\n');
    for row in rows {
        text += &format!("{},{},{},{:.6}", row.zoo, row.network, row.digest, row.gap);
        row.features.iter().for_each(|feature| text += &format!(",{feature:.6}"));
        text.push('\n');
    }
    text
}

/// What [`write()`] wrote.
///
/// # Errors
/// A line that is no row, by its number.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let rows = text.lines().enumerate().skip(1).map(|(at, line)| {
        row(line).ok_or_else(|| format!("line {} of the table of signatures is no row: `{line}`", at + 1))
    });
    rows.collect()
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let [zoo, network, digest, gap, features @ ..] = &fields[..] else { return None };
    if fields.len() != FRONT + DEPTHS.len() * STATISTICS.len() {
        return None;
    }
    let number = |text: &&str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    Some(Row {
        zoo: (*zoo).to_string(),
        network: network.parse().ok()?,
        digest: (*digest).to_string(),
        gap: number(gap)?,
        features: features.iter().map(number).collect::<Option<_>>()?,
    })
}

/// Fits as they are committed.
///
/// # Errors
/// They cannot be written: a number that is not finite.
pub fn json(fits: &Fits) -> Result<String, String> {
    let text = serde_json::to_string_pretty(fits).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}
