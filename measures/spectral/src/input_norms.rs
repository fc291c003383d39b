//! The size of the inputs: what bounds say of the data.

use pgdl_measure::sums::sum_of_squares;
use pgdl_measure::tch::Kind;
use pgdl_measure::{MeasureError, Probe, Quantity};

/// Norms of the inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputSizes {
    /// ‖X‖_F of all n training inputs, extrapolated from the sample.
    pub all: f64,
    /// Largest ‖x‖₂ in the sample.
    pub largest: f64,
}

/// The quantity that computes them.
#[derive(Clone, Copy, Debug)]
pub struct InputNorms;

impl Quantity for InputNorms {
    type Value = InputSizes;

    fn name(&self) -> String {
        "input_norms".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<InputSizes, MeasureError> {
        let squares = sum_of_squares(probe.inputs())?;
        let mut largest = 0.0f64;
        for batch in probe.batches() {
            let rows = batch?.inputs.f_flatten(1, -1)?.f_to_kind(Kind::Double)?.f_square()?;
            let norms = rows.f_sum_dim_intlist(1, false, Kind::Double)?;
            largest = largest.max(norms.f_max()?.f_double_value(&[])?);
        }
        if squares == 0.0 {
            return MeasureError::undefined("every input is zero");
        }
        if !squares.is_finite() {
            return MeasureError::undefined("the inputs are not finite");
        }
        let n = probe.train_size() as f64;
        Ok(InputSizes { all: (squares * n / probe.sample_size() as f64).sqrt(), largest: largest.sqrt() })
    }
}
