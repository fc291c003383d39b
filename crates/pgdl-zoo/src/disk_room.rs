//! Room on a disk.

use std::path::Path;

use crate::{Result, ZooError};

/// Refuses to write `needed` bytes at `folder`, which exists, where the disk has not that much room left.
///
/// # Errors
/// [`ZooError::Io`] of kind `StorageFull`. A disk that does not say how much room it has is not asked twice.
pub(crate) fn ensure_room(folder: &Path, needed: u64) -> Result<()> {
    match available(folder) {
        Some(available) if available < needed => {
            let text = format!("{} are needed, and {} are free", bytes(needed), bytes(available));
            Err(ZooError::io(folder, std::io::Error::new(std::io::ErrorKind::StorageFull, text)))
        }
        _ => Ok(()),
    }
}

fn available(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{count} bytes"),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_disk_holds_everything() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ensure_room(folder.path(), 0).is_ok());
        let error = ensure_room(folder.path(), u64::MAX).unwrap_err();
        assert!(error.to_string().contains("are needed") && error.hint().is_some());
    }
}
