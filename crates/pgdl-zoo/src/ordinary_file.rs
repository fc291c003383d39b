//! Opening files that may turn out to be something else.

use std::fs::File;
use std::path::Path;

use crate::{Result, ZooError};

/// Opens the ordinary file at `path` for reading. A pipe would make the program wait for ever, a device never end.
pub(crate) fn open(path: &Path) -> Result<File> {
    let failed = |source| ZooError::io(path, source);
    if std::fs::metadata(path).map_err(failed)?.is_file() {
        File::open(path).map_err(failed)
    } else {
        Err(ZooError::malformed(path, "not a file"))
    }
}
