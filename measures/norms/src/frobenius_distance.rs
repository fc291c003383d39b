//! How far the weight tensors went in training.

use pgdl_measure::sums::sum_of_squared_differences;
use pgdl_measure::{
    Effect, Invariances, LayerDetail, Measure, MeasureError, MeasureInfo, Measured, Need, Probe, kernels,
};

use crate::finite_layers::finite;
use crate::logarithms::total;

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct FrobeniusDistance;

/// What `frobenius_distance` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "frobenius_distance",
    family: "norms",
    version: 1,
    title: "The sum of the squared Frobenius distances of the weight tensors from their initial values.",
    formula: "Σ_ℓ ‖W_ℓ − W_ℓ⁰‖²_F",
    shapes: "W_ℓ, W_ℓ⁰: the L kernels, [kh, kw, in, out] or [in, out], after and before training, BatchNormalization \
             folded in with the statistics of its time",
    paper: "Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, Fantastic Generalization Measures and Where to Find \
            Them, eq. 40",
    needs: &[Need::InitialWeights],
    cost: "O(P)",
    invariances: Invariances {
        layer_rescaling: Effect::Changes,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Changes,
    },
    behaviour: "It grows with the number of steps and the learning rate. Unavailable where a zoo keeps no initial \
                weights.",
    stochastic: false,
    control: false,
    parameters: &[],
};

impl Measure for FrobeniusDistance {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        let initial = probe.folded_initial()?;
        let network = probe.folded()?;
        let distances = kernels(&network).into_iter().zip(kernels(&initial)).map(|(now, then)| {
            Ok(LayerDetail { value: sum_of_squared_differences(now.tensor, then.tensor)?, layer: now.name })
        });
        let layers = finite(distances.collect::<Result<Vec<_>, MeasureError>>()?)?;
        Ok(Measured::value(total(&layers)).with_layers(layers))
    }
}
