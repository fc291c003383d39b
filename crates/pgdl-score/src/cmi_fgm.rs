//! Conditional mutual information as the paper that introduced it defines it.

use crate::cells::Comparison;
use crate::cmi::{Cmi, Definition, pairs_of_axes};
use crate::information::{Information, mutual_information, row_entropy};
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::sign_table::LEVEL;

/// The conditional independence test of "Fantastic Generalization Measures and Where to Find Them" (Jiang et al.
/// 2019, arXiv:1912.02178, section on mutual information and its estimation):
/// min over sets S of at most two hyperparameters, the empty one included, of I(V_μ; V_g | U_S) / H(V_g | U_S).
///
/// A pair of distinct networks (a, b) gives V_g = sgn(g_a − g_b), V_μ = sgn(μ_a − μ_b), both in {−1, 0, +1}, and
/// U_S = the values of the hyperparameters in S of both networks. Conditional quantities weight each value of U_S by
/// its share of the pairs.
///
/// Pairs are unordered: each counts once. The signs need a direction nevertheless. Where the networks differ in U_S,
/// the direction is given by their values; where they agree, each direction counts one half. The same comes out when
/// all ordered pairs of distinct networks count one half, which is why neither the order of the networks nor that of
/// the values matters.
///
/// Networks without a value are left out. A set S under which the sign of the gap is certain (H = 0: every U_S has a
/// single pair, or equal gaps) cannot test anything and is left out of the minimum; its entry in [`Cmi::sets`] says
/// so. The value lies in [0, 1], is 0 for a constant measure, and does not change under strictly monotone maps of the
/// measure, decreasing ones included.
///
/// # Undefined
/// With fewer than two covered networks, or where all gaps are equal.
pub fn cmi_fgm(observations: &Observations) -> Outcome<Cmi> {
    if observations.covered() < 2 {
        return Err(Undefined::because("needs two networks with a value"));
    }
    let axes = observations.grid().axes().len();
    let mut sets = at_most_one_axis(axes);
    sets.extend(pairs_of_axes(axes));
    FGM.minimum(observations, &sets)
}

pub(crate) const FGM: Definition = Definition { only_covered: true, rule: weighted_cells, quotient };

pub(crate) fn at_most_one_axis(axes: usize) -> Vec<Vec<usize>> {
    std::iter::once(vec![]).chain((0..axes).map(|axis| vec![axis])).collect()
}

fn quotient(sum: Information) -> Outcome {
    if sum.entropy > 0.0 {
        Ok((sum.mutual / sum.entropy).min(1.0))
    } else {
        Err(Undefined::because("given these hyperparameters, the sign of the gap never varies"))
    }
}

fn weighted_cells(comparison: &Comparison, emit: &mut dyn FnMut(Information)) {
    let mut table = comparison.table.0;
    // Both directions of each pair are in the table of a group with itself, and so are the self-pairs.
    let directions = match comparison.same {
        Some(networks) => {
            table[LEVEL][LEVEL] -= networks;
            2.0
        }
        None => 1.0,
    };
    let pairs: u64 = table.iter().flatten().sum();
    if pairs > 0 {
        let cell = Information { mutual: mutual_information(&table), entropy: row_entropy(&table) };
        emit(cell.times(pairs as f64 / directions));
    }
}
