//! Plots of scores: what they show is given as numbers, and each becomes a figure, which pages and files share.

mod cmi_heat_map;
mod cost;
pub mod curves;
pub mod files;
mod frame;
pub(crate) mod from_findings;
mod intervals;
mod scale;
mod scatter;
mod slices;
