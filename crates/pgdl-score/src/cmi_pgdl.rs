//! The competition's score: conditional mutual information as its program computes it.

use crate::cells::{Comparison, Groups, Ranked};
use crate::cmi::{Cmi, Definition, pairs_of_axes};
use crate::information::{Information, mutual_information, row_entropy_pgdl};
use crate::observations::Observations;
use crate::outcome::{Outcome, Undefined};
use crate::sign_table::{ABOVE, BELOW, LEVEL, SignTable};

/// The score of the competition "Predicting Generalization in Deep Learning" (Jiang et al. 2020,
/// arXiv:2012.07976), exactly as its program computes it. Its idea is that of [`cmi_fgm`](crate::cmi_fgm::cmi_fgm);
/// its arithmetic is not.
///
/// For every pair of distinct hyperparameters (h₁, h₂):
/// 1. Every ordered pair of networks (a, b), self-pairs included, falls into the cell
///    (h₁ of a, h₁ of b, h₂ of a, h₂ of b) and adds one count to the cell's 2×2 table: row + iff g_a > g_b, column +
///    iff μ_a > μ_b, both strictly. Ties and missing numbers count as −.
/// 2. Per cell: mutual information of the table in bits, and the entropy of its rows, −Σ p log₂(p + 10⁻¹²).
/// 3. CMI(h₁, h₂) = (mean over cells of the mutual information) / (mean over cells of the entropy): unweighted, over
///    all |V₁|²·|V₂|² cells of possible values. A cell without pairs (an incomplete grid, a possible value that
///    nobody takes) contributes 0 to both means, so it makes no difference.
///
/// The score is the minimum over pairs of hyperparameters. The competition lets (h₁, h₂) and (h₂, h₁) both run; they
/// have the same cells under other names, so each unordered pair stands once in [`Cmi::sets`]. Values of different
/// hyperparameters are kept apart; the competition joins them as text, so that its values 1 and 11 could collide.
///
/// What follows from this, and is not repaired:
/// - It is 0 for a constant measure, invariant under strictly increasing maps of the measure, but **not** under
///   μ → −μ: self-pairs are always (−, −).
/// - Rows that never vary have an entropy of −1.44·10⁻¹². In a pair of hyperparameters whose every cell holds one
///   pair of networks (two hyperparameters, complete and unique grid), or where all gaps are equal, the value is 0
///   whatever the measure. Elsewhere values can exceed 1 by about 10⁻¹².
/// - A hyperparameter with one possible value takes part: its pairs condition on the other hyperparameter alone.
///
/// # Undefined
/// With fewer than two hyperparameters, and where no network has a value.
pub fn cmi_pgdl(observations: &Observations) -> Outcome<Cmi> {
    PGDL.minimum(observations, &at_least_two(observations)?)
}

/// The later, symmetrised variant of [`cmi_pgdl`]: besides (a, b), the mirrored pair is counted, with both signs
/// flipped and the key's halves swapped, so that a self-pair counts once as (−, −) and once as (+, +).
///
/// All else is as in [`cmi_pgdl`], missing numbers and the trace in the entropy included.
///
/// The self-pairs now say that gap and measure agree. So a constant measure does **not** score 0 here: pairs within a
/// cell of equal values tie as (±, −) and (∓, +), which is even, and the self-pairs tip the balance. Invariance under
/// μ → −μ fails for the same reason.
///
/// # Undefined
/// With fewer than two hyperparameters, and where no network has a value.
pub fn cmi_pgdl_symmetric(observations: &Observations) -> Outcome<Cmi> {
    PGDL_SYMMETRIC.minimum(observations, &at_least_two(observations)?)
}

pub(crate) const PGDL: Definition = Definition { only_covered: false, rule: strict_cells, quotient };

pub(crate) const PGDL_SYMMETRIC: Definition =
    Definition { only_covered: false, rule: symmetric_cells, quotient };

fn at_least_two(observations: &Observations) -> Outcome<Vec<Vec<usize>>> {
    match observations.grid().axes() {
        [] => Err(Undefined::because("needs two hyperparameters, the grid has none")),
        [one] => {
            Err(Undefined::because(format!("needs two hyperparameters, the grid has only {}", one.name)))
        }
        axes => Ok(pairs_of_axes(axes.len())),
    }
}

fn quotient(sum: Information) -> Outcome {
    // The addition turns −0 (from the trace in the entropy) into 0.
    Ok(if sum.mutual == 0.0 { 0.0 } else { sum.mutual / sum.entropy })
}

fn strict_cells(comparison: &Comparison, emit: &mut dyn FnMut(Information)) {
    emit(information(&strict(&comparison.table)));
    if comparison.same.is_none() {
        emit(information(&strict(&comparison.table.mirrored())));
    }
}

fn symmetric_cells(comparison: &Comparison, emit: &mut dyn FnMut(Information)) {
    let [forth, back] = [strict(&comparison.table), strict(&comparison.table.mirrored())];
    let cell = information(&[
        [forth[0][0] + back[1][1], forth[0][1] + back[1][0]],
        [forth[1][0] + back[0][1], forth[1][1] + back[0][0]],
    ]);
    emit(cell);
    if comparison.same.is_none() {
        // The mirrored cell is the same table with both signs flipped.
        emit(cell);
    }
}

/// Strictly larger or not: `[gap +/−][measure +/−]`.
fn strict(SignTable(counts): &SignTable) -> [[u64; 2]; 2] {
    let split = |row: &[u64; 3]| [row[ABOVE], row[LEVEL] + row[BELOW]];
    let [above, level, below] = [split(&counts[ABOVE]), split(&counts[LEVEL]), split(&counts[BELOW])];
    [above, [level[0] + below[0], level[1] + below[1]]]
}

fn information(table: &[[u64; 2]; 2]) -> Information {
    Information { mutual: mutual_information(table), entropy: row_entropy_pgdl(table) }
}

/// Whether the gap's sign varies within some cell of this pair of hyperparameters; if not, no measure can score.
pub(crate) fn gap_varies(observations: &Observations, axes: &[usize]) -> bool {
    // A cell whose rows are constant has an entropy just below 0, any other one a clearly positive one.
    Ranked::new(observations, false)
        .is_ok_and(|ranked| Groups::new(&ranked, axes).sums([strict_cells])[0].entropy > 0.0)
}
