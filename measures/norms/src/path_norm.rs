//! The norm of all paths.

use pgdl_measure::{Effect, Invariances, Measure, MeasureError, MeasureInfo, Measured, Probe};

use crate::path_sum::{POOLING, PathSum, Q};

/// See [`INFO`].
#[derive(Clone, Copy, Debug)]
pub struct PathNorm {
    /// Which paths and which power.
    pub paths: PathSum,
}

/// What `path_norm` says of itself.
pub static INFO: MeasureInfo = MeasureInfo {
    id: "path_norm",
    family: "norms",
    version: 1,
    title: "The q-norm of the products of weights along all paths from the inputs and biases to the outputs.",
    formula: "(Σ over paths p of Π over w on p of |w|^q)^{1/q}",
    shapes: "p: from any input or bias to any of the C outputs; w: weights and biases, BatchNormalization folded in; a \
             residual connection is an edge of weight 1, an average over k cells has k edges of weight 1/k",
    paper: "Gonon, Brisebarre, Riccietti, Gribonval 2024, A Path-norm Toolkit for Modern Networks: Consequences, \
            Promises and Challenges, Theorem A.1; Neyshabur, Tomioka, Srebro 2015, Norm-Based Capacity Control in \
            Neural Networks; for q = 2 and `pooling=max` the root of Jiang, Neyshabur, Mobahi, Krishnan, Bengio 2019, eq. 44",
    needs: &[],
    cost: "one input forward, f64",
    invariances: Invariances {
        layer_rescaling: Effect::Invariant,
        batch_norm_scale: Effect::Invariant,
        logit_scale: Effect::Homogeneous(1.0),
    },
    behaviour: "It stays under every rescaling of single units. It grows with depth, and for q = 1 with width. Max \
                pooling has an edge of weight 1 from each of its cells, so that large windows count much; \
                `pooling=max` is the usual code. Undefined where an activation is neither ReLU nor linear, and through \
                layer normalization.",
    stochastic: false,
    control: false,
    parameters: &[Q, POOLING],
};

impl Measure for PathNorm {
    fn info(&self) -> &MeasureInfo {
        &INFO
    }

    fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> {
        Ok(Measured::value(self.paths.norm(probe)?))
    }
}
