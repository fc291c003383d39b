//! Where the reference data are.

use std::path::{Path, PathBuf};

/// A file or folder of the reference data; `None`, said plainly, where it is not there.
pub fn reference(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PGDL_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
