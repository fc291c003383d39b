//! Samples of the data sets by name.

use pgdl_zoo::data::Transform;
use pgdl_zoo::data_reference::{DataReference, Indices};
use pgdl_zoo::{Dataset, Split};

use crate::error::{ExperimentError, Result};

/// The first `train` training and the first `test` test samples, bytes as numbers from 0 to 1. They have been fetched.
pub(crate) fn first(name: &str, train: usize, test: usize) -> Result<(Dataset, Dataset)> {
    first_of(name, Transform::default(), train, test)
}

/// Those, with bytes transformed as said.
pub(crate) fn first_of(
    name: &str,
    transform: Transform,
    train: usize,
    test: usize,
) -> Result<(Dataset, Dataset)> {
    let (_, train, test) = DataReference::new(
        name,
        transform,
        (Split::Train, Indices::new(0..train)?),
        Some((Split::Test, Indices::new(0..test)?)),
        &mut |_| {},
    )?;
    Ok((train, test.ok_or_else(|| ExperimentError::failed(format!("{name} has no test sample")))?))
}
