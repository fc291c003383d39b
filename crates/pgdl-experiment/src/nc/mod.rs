//! The experiments of Lee et al. 2020, on sinusoids and on images: what Neural Complexity learns of the gap, and what it is
//! worth as a regularizer.

mod ablation;
mod classifiers;
mod closed_form;
mod dataset_size;
mod loss_surface;
mod maml;
mod model;
mod network_size;
mod observed;
mod out_of_distribution;
mod single_dataset;
mod sinusoid;

pub use ablation::NcAblation;
pub use closed_form::NcClosedForm;
pub use dataset_size::NcDatasetSize;
pub use loss_surface::NcLossSurface;
pub use maml::NcMaml;
pub use network_size::NcNetworkSize;
pub use out_of_distribution::NcOutOfDistribution;
pub use single_dataset::NcSingleDataset;
pub use sinusoid::NcSinusoid;

/// The paper of all of them.
const PAPER: &str = "Lee, Lee, Ha, Kim, Lee & Hwang 2020, Neural Complexity Measures (NeurIPS)";
