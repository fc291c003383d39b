//! What a program consists of, as one number: an edited program is another program.

use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// A program's files are few and small; what is larger is a mistake.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 1 << 30;

/// SHA-256 over files and folders, hexadecimal: for every file its path within its part, its length and its bytes,
/// in the order of the paths. Symbolic links count by where they point.
pub(crate) fn digest(parts: &[PathBuf]) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut budget = Budget { files: MOST_FILES, bytes: MOST_BYTES };
    for part in parts {
        add(&mut hash, part, Path::new(""), &mut budget)?;
        hash.update([0xff]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Budget {
    files: usize,
    bytes: u64,
}

fn add(hash: &mut Sha256, path: &Path, name: &Path, budget: &mut Budget) -> io::Result<()> {
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let too_much =
        |what: &str| io::Error::other(format!("{}: a program of more than {what}", path.display()));
    budget.files = budget.files.checked_sub(1).ok_or_else(|| too_much(&format!("{MOST_FILES} files")))?;
    // The part itself may be named through a link; links within it are its content.
    let metadata = if name.as_os_str().is_empty() { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let kind = metadata.map_err(about)?.file_type();
    let entry = |hash: &mut Sha256, kind: u8, content: &[u8]| {
        let name = name.as_os_str().as_bytes();
        hash.update([kind]);
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    };
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(path)
            .map_err(about)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<_>>()
            .map_err(about)?;
        // What Python leaves behind is not the author's.
        names.retain(|name| name != "__pycache__");
        names.sort();
        for file in names {
            add(hash, &path.join(&file), &name.join(&file), budget)?;
        }
    } else if kind.is_symlink() {
        entry(hash, 1, fs::read_link(path).map_err(about)?.as_os_str().as_bytes());
    } else if kind.is_file() {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(about)?;
        file.take(budget.bytes + 1).read_to_end(&mut bytes).map_err(about)?;
        budget.bytes = budget
            .bytes
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| too_much(&format!("{} MiB", MOST_BYTES >> 20)))?;
        entry(hash, 0, &bytes);
    } else {
        return Err(io::Error::other(format!("{}: neither a file nor a folder nor a link", path.display())));
    }
    Ok(())
}

/// The first 32 bits of a digest: a version, as records keep it.
pub(crate) fn version(digest: &str) -> u32 {
    digest.get(..8).and_then(|start| u32::from_str_radix(start, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_names_and_borders_count_and_places_do_not() {
        let place = tempfile::tempdir().unwrap();
        let make = |folder: &str, files: &[(&str, &str)]| {
            let folder = place.path().join(folder);
            for (name, content) in files {
                let file = folder.join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            }
            digest(&[folder]).unwrap()
        };
        let first = make("one", &[("a.py", "x"), ("lib/b.py", "y")]);
        assert_eq!(first.len(), 64);
        assert_eq!(first, make("two", &[("lib/b.py", "y"), ("a.py", "x"), ("__pycache__/a.pyc", "z")]));
        for other in [
            make("three", &[("a.py", "x"), ("lib/b.py", "z")]),
            make("four", &[("a.py", "x"), ("b.py", "y")]),
            make("five", &[("a.py", "xy"), ("lib/b.py", "")]),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(version("0000002affff"), 42);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = digest(&[PathBuf::from("/nowhere/at/all")]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
