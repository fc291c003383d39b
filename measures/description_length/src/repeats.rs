//! Several independent runs of a measure that carries the noise of trainings.

use pgdl_measure::{MeasureError, Measured, ParameterInfo, ParameterKind, Parameters, RegistryError};

/// Number of independent runs.
pub(crate) const REPEATS: ParameterInfo = ParameterInfo {
    name: "repeats",
    kind: ParameterKind::Integer { default: 1, min: 1, max: 10_000 },
    doc: "independent runs: the value is their mean, with two or more it has a standard error, and the cost is that of so many",
};

/// Reads [`REPEATS`].
pub(crate) fn repeats(parameters: &Parameters) -> Result<usize, RegistryError> {
    Ok(usize::try_from(parameters.integer(REPEATS.name)?).unwrap_or(usize::MAX))
}

/// One run as it is, or the mean of several with its standard error, s/√n, and their values as details.
///
/// `run` gets what the names of its random generators have to end with; of the first run this is nothing.
pub(crate) fn repeated(
    repeats: usize,
    mut run: impl FnMut(&str) -> Result<Measured, MeasureError>,
) -> Result<Measured, MeasureError> {
    let first = run("")?;
    if repeats == 1 {
        return Ok(first);
    }
    let mut values = vec![first.value];
    for repeat in 1..repeats {
        let next = run(&format!(" of repeat {repeat}")).map_err(|error| match error {
            MeasureError::Timeout(reason) => {
                MeasureError::Timeout(format!("{reason}; the runs until then gave {values:?}"))
            }
            other => other,
        })?;
        values.push(next.value);
    }
    let several = Measured::mean_of(&values);
    Ok(values
        .iter()
        .enumerate()
        .fold(several, |measured, (repeat, value)| measured.with_detail(&format!("run_{repeat}"), *value)))
}
