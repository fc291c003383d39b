//! Networks made elsewhere, brought into zoos.

mod archive;
mod competition;
mod keras;
mod table;

pub use competition::{Imported, ImportedTask, import_competition};
pub use keras::{ImportedZoo, import_keras};

/// What happens during an import.
#[derive(Clone, Copy, Debug)]
pub enum ImportEvent<'a> {
    /// A network has been written.
    Network {
        /// Networks written.
        done: usize,
        /// Networks in all.
        total: usize,
    },
    /// Bytes have been written, or found to be there already.
    Bytes {
        /// The file, inside its task.
        file: &'a str,
        /// Bytes so far, of all files.
        done: u64,
        /// Bytes of all files.
        total: u64,
    },
}
