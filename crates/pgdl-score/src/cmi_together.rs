//! The three conditional mutual informations at once: they share the comparisons of networks.

use crate::cells::Ranked;
use crate::cmi::{Cmi, pairs_of_axes, values};
use crate::cmi_fgm::{FGM, at_most_one_axis, cmi_fgm};
use crate::cmi_pgdl::{PGDL, PGDL_SYMMETRIC, cmi_pgdl, cmi_pgdl_symmetric};
use crate::observations::Observations;
use crate::outcome::Outcome;

/// [`cmi_pgdl`], [`cmi_pgdl_symmetric`] and [`cmi_fgm`] of the same data.
pub(crate) struct CmiTogether {
    pub pgdl: Outcome<Cmi>,
    pub symmetric: Outcome<Cmi>,
    pub fgm: Outcome<Cmi>,
}

impl CmiTogether {
    /// The same values as those of the three functions, from one comparison per pair of networks and of
    /// hyperparameters where every network is covered.
    pub fn of(observations: &Observations) -> Self {
        let axes = observations.grid().axes().len();
        let covered = observations.covered();
        if let Ok(ranked) = Ranked::new(observations, false)
            && covered == observations.gap().len()
            && covered >= 2
            && axes >= 2
        {
            let [mut fgm] = values(&ranked, [&FGM], &at_most_one_axis(axes));
            let [pgdl, symmetric, fgm_of_pairs] =
                values(&ranked, [&PGDL, &PGDL_SYMMETRIC, &FGM], &pairs_of_axes(axes));
            fgm.extend(fgm_of_pairs);
            Self { pgdl: Cmi::least(pgdl), symmetric: Cmi::least(symmetric), fgm: Cmi::least(fgm) }
        } else {
            Self {
                pgdl: cmi_pgdl(observations),
                symmetric: cmi_pgdl_symmetric(observations),
                fgm: cmi_fgm(observations),
            }
        }
    }
}
