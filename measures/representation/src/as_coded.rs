//! Graphs as the program of the competition's third place, team BrAIn, built them.
//!
//! Facts from the team's published submissions: similarities are compared with the (k + 1)-th largest of their row, the
//! sample itself among them, and whatever reaches it is an edge, ties included; an activation of zeros stays a zero
//! vector; variations are divided by a constant. They computed in f32, this in f64 with cosines rounded to 1e-9: ties that
//! only f32 sees are not reproduced.

use pgdl_measure::network::Source;
use pgdl_measure::tch::{Kind, Tensor};
use pgdl_measure::{MeasureError, RegistryError};

use crate::similarity_graph::{SimilarityGraph, cosines};

/// Samples in one of the team's graphs.
pub(crate) const GRAPH: i64 = 500;

/// Where the team's program clipped a variation.
const CLIP: f64 = 1000.0;

/// The binary graph of nearest neighbours by distance, with the edges as they leave each sample, or with `symmetric` in
/// both directions. (The team's similarity exp(−d² / 3 std d²) orders samples as the distance d does.)
///
/// # Errors
/// Fewer samples than neighbours, or activations that are all alike, where the team's weights are no numbers:
/// undefined.
pub(crate) fn binary(
    gram: &Tensor,
    neighbours: i64,
    symmetric: bool,
) -> Result<SimilarityGraph, MeasureError> {
    check_neighbours(gram, neighbours)?;
    let cosines = cosines(gram)?;
    let squares = cosines.f_diag(0)?;
    let squares = squares.f_unsqueeze(1)?.f_add(&squares.f_unsqueeze(0)?)?;
    let distances = squares.f_sub(&cosines.f_mul_scalar(2.0)?)?;
    if distances.f_std(false)?.f_double_value(&[])? <= 1e-8 {
        return MeasureError::undefined("the activations at unit length are the same on every sample");
    }
    let reached = reached(&distances.f_neg()?, neighbours)?;
    let edges = if symmetric { reached.f_logical_or(&reached.f_transpose(0, 1)?)? } else { reached };
    Ok(SimilarityGraph::from_weights(edges.f_to_kind(Kind::Double)?))
}

/// The symmetric graph of nearest neighbours by cosine, weighted by it; negative cosines are zeros.
///
/// # Errors
/// Fewer samples than neighbours, or activations that are all zero: undefined.
pub(crate) fn cosine(gram: &Tensor, neighbours: i64) -> Result<SimilarityGraph, MeasureError> {
    check_neighbours(gram, neighbours)?;
    let cosines = cosines(gram)?.f_clamp(0.0, 1.0)?;
    let reached = reached(&cosines, neighbours)?;
    let edges = reached.f_logical_or(&reached.f_transpose(0, 1)?)?;
    Ok(SimilarityGraph::from_weights(cosines.f_mul(&edges.f_to_kind(Kind::Double)?)?))
}

/// Where similarities reach the (k + 1)-th largest of their row; not on the diagonal.
fn reached(similarities: &Tensor, neighbours: i64) -> Result<Tensor, MeasureError> {
    let least = similarities.f_topk(neighbours + 1, 1, true, true)?.0.f_narrow(1, neighbours, 1)?;
    let mut reached = similarities.f_ge_tensor(&least)?;
    Ok(reached.f_fill_diagonal_(0.0, false)?)
}

fn check_neighbours(gram: &Tensor, neighbours: i64) -> Result<(), MeasureError> {
    let samples = gram.size()[0];
    if samples <= neighbours {
        return MeasureError::undefined(format!("{samples} samples have no {neighbours} neighbours each"));
    }
    Ok(())
}

/// A variation of a binary graph in the team's units.
pub(crate) fn of_binary(variation: f64) -> f64 {
    (variation / (2.0 * 2.0 * GRAPH as f64)).clamp(0.0, CLIP)
}

/// A variation of a cosine graph in the team's units.
pub(crate) fn of_cosine(variation: f64) -> f64 {
    variation / (2.0 * 50.0 * 1000.0)
}

/// Refuses parameters that the published sizes replace.
pub(crate) fn refuse(id: &str, changed: bool, names: &str) -> Result<(), RegistryError> {
    if changed {
        return Err(RegistryError::IllegalCombination {
            id: id.to_string(),
            reason: format!("`variant=as_coded` has its own sizes, whatever {names} say"),
        });
    }
    Ok(())
}

/// Sources without the names of the layers.
pub(crate) fn sources(layers: &[(String, Source)]) -> Vec<Source> {
    layers.iter().map(|(_, source)| *source).collect()
}
