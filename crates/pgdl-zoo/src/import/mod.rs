//! Networks made elsewhere, brought into zoos.

mod competition;
mod keras_table;

pub use competition::{ImportEvent, import_competition};
pub use keras_table::import_keras;
