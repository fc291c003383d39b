//! Squared Frobenius norms of all layers: what four measures share.

use pgdl_measure::sums::sum_of_squares;
use pgdl_measure::{LayerDetail, MeasureError, Probe, Quantity, kernels};

use crate::finite_layers::finite;

/// ‖W_ℓ‖²_F of each kernel of the network with BatchNormalization folded, in the network's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrobeniusNorms;

impl Quantity for FrobeniusNorms {
    type Value = Vec<LayerDetail>;

    fn name(&self) -> String {
        "frobenius_norms".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Vec<LayerDetail>, MeasureError> {
        let network = probe.folded()?;
        let norms = kernels(&network)
            .into_iter()
            .map(|kernel| Ok(LayerDetail { value: sum_of_squares(kernel.tensor)?, layer: kernel.name }));
        finite(norms.collect::<Result<_, MeasureError>>()?)
    }
}
