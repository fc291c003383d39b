//! Competition archives: zip files as downloaded, or folders.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use flate2::Crc;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::atomic_file::write_file;
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, LISTING, TRAIN_LABELS, WEIGHTS};
use crate::{Result, ZooError};

/// A compressed file of more than this is looked at for its ratio.
const LARGE: u64 = 1 << 20;
/// Weights hardly shrink, and images not by this much.
const LARGEST_RATIO: u64 = 200;
/// Folders below a folder are followed this far.
const DEPTH: usize = 12;

/// A file of a task, somewhere in an archive.
#[derive(Debug)]
pub(super) struct Item {
    /// The task's name.
    pub task: String,
    /// The file's place in the task.
    pub file: PathBuf,
    /// Its length.
    pub size: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Entry { index: usize, crc: u32 },
    File(PathBuf),
}

/// An archive, and the task files in it.
pub(super) struct Archive {
    path: PathBuf,
    zip: Option<ZipArchive<BufReader<File>>>,
    /// The task files in it.
    pub items: Vec<Item>,
    /// Archives inside it, which are not opened.
    pub nested: Vec<String>,
}

impl Archive {
    /// Opens an archive and lists the task files in it. Nothing is unpacked.
    ///
    /// # Errors
    /// When it is neither a zip file nor a folder, is damaged, has names that lead out of it, or would become
    /// implausibly large.
    pub(super) fn open(path: &Path) -> Result<Archive> {
        let full = path.canonicalize().map_err(|source| ZooError::io(path, source))?;
        let mut archive =
            Archive { path: path.to_path_buf(), zip: None, items: Vec::new(), nested: Vec::new() };
        if full.is_dir() {
            let name = full.file_name().map(PathBuf::from).unwrap_or_default();
            archive.list_folder(&full, &name, DEPTH)?;
        } else {
            let name = full.file_stem().map(PathBuf::from).unwrap_or_default();
            archive.list_zip(&full, &name)?;
        }
        Ok(archive)
    }

    /// The archive's path, as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn list_folder(&mut self, folder: &Path, name: &Path, depth: usize) -> Result<()> {
        let failed = |source| ZooError::io(folder, source);
        let mut entries: Vec<fs::DirEntry> =
            fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let inner = name.join(entry.file_name());
            let kind = entry.file_type().map_err(failed)?;
            // A link to a folder may lead anywhere, also back here.
            if kind.is_dir() && depth > 0 {
                self.list_folder(&entry.path(), &inner, depth - 1)?;
            } else if entry.path().is_file() {
                let size = entry.path().metadata().map_err(failed)?.len();
                self.add(&inner, size, Place::File(entry.path()));
            }
        }
        Ok(())
    }

    fn list_zip(&mut self, full: &Path, name: &Path) -> Result<()> {
        let path = self.path.clone();
        let file = File::open(full).map_err(|source| ZooError::io(&path, source))?;
        let length = file.metadata().map_err(|source| ZooError::io(&path, source))?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| match error {
            ZipError::Io(source) if source.kind() != ErrorKind::UnexpectedEof => ZooError::io(&path, source),
            error => ZooError::malformed(&path, format!("no zip archive, or a truncated one: {error}")),
        })?;
        let mut total = 0u64;
        for index in 0..zip.len() {
            let entry = zip
                .by_index_raw(index)
                .map_err(|error| ZooError::malformed(&path, format!("entry {index}: {error}")))?;
            let malformed = |what: &str| ZooError::malformed(&path, format!("{}: {what}", entry.name()));
            let inside = entry.enclosed_name().ok_or_else(|| malformed("leads out of the archive"))?;
            if entry.is_dir() {
                continue;
            }
            let place = Place::Entry { index, crc: entry.crc32() };
            if !self.add(&name.join(inside), entry.size(), place) {
                continue;
            }
            if entry.is_symlink() {
                return Err(malformed("a link, not a file"));
            }
            if entry.encrypted() {
                return Err(malformed("encrypted"));
            }
            if entry.size() > LARGE && entry.size() / LARGEST_RATIO > entry.compressed_size() {
                return Err(malformed("implausibly large for its compressed size"));
            }
            total = total.saturating_add(entry.size());
        }
        // Entries may share their bytes.
        if total > LARGE && total / LARGEST_RATIO > length {
            return Err(ZooError::malformed(&path, "implausibly large when unpacked"));
        }
        self.zip = Some(zip);
        Ok(())
    }

    /// Adds a file if it belongs to a task; whether it does.
    fn add(&mut self, inside: &Path, size: u64, place: Place) -> bool {
        match recognize(inside) {
            Some((task, file)) => {
                self.items.push(Item { task, file, size, place });
                true
            }
            None => {
                let hidden = |component: Component<'_>| is_litter(&component.as_os_str().to_string_lossy());
                if inside.extension().is_some_and(|extension| extension == "zip")
                    && !inside.components().any(hidden)
                {
                    self.nested.push(inside.display().to_string());
                }
                false
            }
        }
    }

    /// The CRC-32 of an item.
    pub(super) fn checksum(&self, item: &Item) -> Result<u32> {
        match &item.place {
            Place::Entry { crc, .. } => Ok(*crc),
            Place::File(path) => checksum_of(path),
        }
    }

    /// Writes an item to `to`, in full or not at all. `progress` gets the bytes of each block.
    ///
    /// # Errors
    /// When the archive is damaged there, or the system refuses.
    pub(super) fn unpack(&mut self, item: &Item, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let archive = self.path.as_path();
        let name = format!("{}/{}", item.task, item.file.display());
        let damaged = |what: String| ZooError::malformed(archive, format!("{name}: {what}"));
        match (&item.place, &mut self.zip) {
            (Place::File(path), _) => {
                let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
                write(&mut BufReader::new(file), item.size, None, to, &damaged, progress)
            }
            (Place::Entry { index, crc }, Some(zip)) => {
                let mut entry = zip.by_index(*index).map_err(|error| damaged(error.to_string()))?;
                write(&mut entry, item.size, Some(*crc), to, &damaged, progress)
            }
            (Place::Entry { .. }, None) => Err(damaged("its archive is not open".to_owned())),
        }
    }
}

/// Writes exactly `size` bytes of `from`; never more.
fn write(
    from: &mut dyn Read,
    size: u64,
    crc: Option<u32>,
    to: &Path,
    damaged: &dyn Fn(String) -> ZooError,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    use std::io::Write as _;
    write_file(to, |file| {
        let mut block = vec![0; 1 << 18];
        let mut found = Crc::new();
        let mut done = 0u64;
        loop {
            let count = match from.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(error.to_string())),
            };
            done += count as u64;
            if done > size {
                return Err(damaged(format!("longer than its {size} bytes")));
            }
            found.update(&block[..count]);
            file.write_all(&block[..count]).map_err(|source| ZooError::io(to, source))?;
            progress(count as u64);
        }
        if done != size {
            return Err(damaged(format!("ends after {done} of {size} bytes")));
        }
        match crc {
            Some(crc) if crc != found.sum() => Err(ZooError::Checksum {
                path: to.to_path_buf(),
                what: "unpacked".to_owned(),
                expected: format!("{crc:08x}"),
                found: format!("{:08x}", found.sum()),
            }),
            _ => Ok(()),
        }
    })
}

/// The CRC-32 (that of zip files) of a file.
pub(super) fn checksum_of(path: &Path) -> Result<u32> {
    let failed = |source| ZooError::io(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let (mut block, mut crc) = (vec![0; 1 << 18], Crc::new());
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => return Ok(crc.sum()),
            count => crc.update(&block[..count]),
        }
    }
}

/// What archives made on other systems leave behind.
fn is_litter(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// The task that a file belongs to, and its place there; wherever in an archive the task may be.
fn recognize(inside: &Path) -> Option<(String, PathBuf)> {
    let names: Vec<&str> = inside
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str().filter(|name| !is_litter(name)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let (file, folders) = names.split_last()?;
    let is_model = |name: &str| {
        name.strip_prefix("model_")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let inner = match folders {
        [.., model] if is_model(model) && [CONFIG, WEIGHTS, INITIAL_WEIGHTS, TRAIN_LABELS].contains(file) => {
            1
        }
        [.., "dataset_1", "train" | "test"] if file.ends_with(".tfrecord") => 2,
        _ if *file == LISTING => 0,
        _ => return None,
    };
    let (above, inner) = folders.split_at(folders.len() - inner);
    // The two halves of a task have the same name; a task without one has that of what they are in.
    let task = above.iter().rev().find(|name| !["input_data", "reference_data"].contains(name))?;
    let place = inner.iter().chain([file]).collect();
    Some(((*task).to_owned(), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_found_wherever_they_are() {
        let says = |inside: &str, expected: Option<(&str, &str)>| {
            let found = recognize(Path::new(inside));
            let expected = expected.map(|(task, file)| (task.to_owned(), PathBuf::from(file)));
            assert_eq!(found, expected, "{inside}");
        };
        let shard = "dataset_1/train/shard_0.tfrecord";
        says("a/input_data/task1_v4/dataset_1/train/shard_0.tfrecord", Some(("task1_v4", shard)));
        says("task1_v4/dataset_1/train/shard_0.tfrecord", Some(("task1_v4", shard)));
        says("public/input_data/t/model_20/config.json", Some(("t", "model_20/config.json")));
        says("public/input_data/t/model_20/weights_init.hdf5", Some(("t", "model_20/weights_init.hdf5")));
        says("public/reference_data/t/model_configs.json", Some(("t", "model_configs.json")));
        says("kit/input_data/model_0/config.json", Some(("kit", "model_0/config.json")));
        says("kit/reference_data/model_configs.json", Some(("kit", "model_configs.json")));
        for other in [
            "t/__MACOSX/model_1/config.json",
            "t/model_1/._weights.hdf5",
            ".t/model_1/config.json",
            "t/model_1/.DS_Store",
            "t/model_x/config.json",
            "t/model_/config.json",
            "t/config.json",
            "t/dataset_1/other/shard_0.tfrecord",
            "t/dataset_1/train/notes.txt",
            "model_1/config.json",
            "model_configs.json",
            "../t/model_1/config.json",
            "/t/model_1/config.json",
        ] {
            says(other, None);
        }
    }
}
