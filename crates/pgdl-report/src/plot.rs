//! Plots of scores: what they show is given as numbers, and each becomes a [`Figure`](crate::figure::Figure).

mod cmi_heat_map;
mod cost;
pub mod files;
mod frame;
pub(crate) mod from_findings;
mod intervals;
mod scale;
mod scatter;
mod slices;
