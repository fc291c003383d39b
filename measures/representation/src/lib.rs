//! Representation measures: clusters, graphs and dimensions of hidden activations.

use pgdl_measure::{Registry, RegistryError};

mod as_coded;
pub mod cdnv;
pub mod cka;
pub mod class_geometry;
pub mod davies_bouldin;
pub mod dbi_mixup;
mod draws;
pub mod gram;
pub mod hidden_layers;
pub mod label_variation;
pub mod neural_collapse;
pub mod neuron_correlations;
pub mod persistence;
pub mod persistent_homology;
mod shuffle_buffer;
pub mod similarity_graph;
pub mod two_nn;
pub mod vpm;
pub mod vr;
pub mod wcv;

/// Adds the family's measures to `registry`.
///
/// # Errors
/// An id is taken already.
pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {
    registry.add(&davies_bouldin::INFO, |parameters| {
        Ok(Box::new(davies_bouldin::DaviesBouldin::new(parameters)?))
    })?;
    registry.add(&cdnv::INFO, |parameters| Ok(Box::new(cdnv::Cdnv::new(parameters)?)))?;
    registry.add(&neural_collapse::INFO, |parameters| {
        Ok(Box::new(neural_collapse::NeuralCollapse::new(parameters)?))
    })?;
    registry.add(&two_nn::INFO, |parameters| Ok(Box::new(two_nn::TwoNn::new(parameters)?)))?;
    registry.add(&cka::INFO, |parameters| Ok(Box::new(cka::Cka::new(parameters)?)))?;
    registry.add(&label_variation::INFO, |parameters| {
        Ok(Box::new(label_variation::LabelVariation::new(parameters)?))
    })?;
    registry.add(&vpm::INFO, |parameters| Ok(Box::new(vpm::Vpm::new(parameters)?)))?;
    registry.add(&vr::INFO, |parameters| Ok(Box::new(vr::Vr::new(parameters)?)))?;
    registry.add(&wcv::INFO, |parameters| Ok(Box::new(wcv::Wcv::new(parameters)?)))?;
    registry.add(&dbi_mixup::INFO, |parameters| Ok(Box::new(dbi_mixup::DbiMixup::new(parameters)?)))?;
    registry.add(&persistent_homology::INFO, |parameters| {
        Ok(Box::new(persistent_homology::PersistentHomology::new(parameters)?))
    })
}
