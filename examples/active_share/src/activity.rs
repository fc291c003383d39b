//! The shared quantity behind the measure.

use pgdl_measure::network::{Activation, Mode};
use pgdl_measure::tch::{self, Kind, Tensor};
use pgdl_measure::{MeasureError, Probe, Quantity};

/// Per ReLU layer, in the network's order, its name and the share of its outputs over the sample that are positive. One
/// forward pass, however many measures and parameters ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Activity;

impl Quantity for Activity {
    type Value = Vec<(String, f64)>;

    fn name(&self) -> String {
        "active_share activity".to_string()
    }

    fn compute(&self, probe: &Probe) -> Result<Self::Value, MeasureError> {
        let nodes = &probe.network().architecture().nodes;
        let is_relu = |node: usize| nodes[node].layer.activation() == Some(Activation::Relu);
        // Positive outputs and outputs, per node: whole numbers, whose sums do not depend on the batches.
        let mut counts = vec![(0_i64, 0_i64); nodes.len()];
        for batch in probe.batches() {
            let batch = batch?;
            let mut observe = |node: usize, output: &Tensor| {
                if is_relu(node) {
                    counts[node].0 += output.f_gt(0.0)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
                    counts[node].1 += output.numel() as i64;
                }
                Ok(())
            };
            tch::no_grad(|| probe.network().forward_observed(&batch.inputs, Mode::Evaluate, &mut observe))?;
            probe.count_forward(batch.len());
        }
        let shares = nodes.iter().zip(counts).filter(|(_, (_, all))| *all > 0);
        Ok(shares.map(|(node, (active, all))| (node.name.clone(), active as f64 / all as f64)).collect())
    }
}
