//! The competition's archives, as downloaded, → zoos.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::atomic_file::{create_folder, write_file};
use crate::writer::remove_folder;
use crate::zoo::{CONFIG, INITIAL_WEIGHTS, WEIGHTS, ZooLocation};
use crate::{Result, ZooError};

/// What an import is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportEvent<'a> {
    /// The task.
    pub task: &'a str,
    /// Bytes of it that are written.
    pub done: u64,
    /// Bytes of it in all.
    pub total: u64,
}

/// Archives of weights and images shrink little. One that says it unpacks to more than this many times its own size is
/// refused before anything is written.
const LARGEST_RATIO: u64 = 200;

/// Folders are not followed deeper than this.
const DEEPEST: usize = 8;

/// Unpacks the tasks in the competition's archives (zip files, or folders of their content) into folders in `to`, one
/// per task, each with its networks, data and, where any of the archives has it, `model_configs.json`. A task's folder
/// is there in full or not at all.
///
/// # Errors
/// When an archive is damaged, holds no task, or a task that is in `to` already; or the system refuses.
pub fn import_competition(
    archives: &[PathBuf],
    to: &Path,
    progress: &mut dyn FnMut(ImportEvent<'_>),
) -> Result<Vec<ZooLocation>> {
    let mut sources = archives.iter().map(|path| Archive::open(path)).collect::<Result<Vec<_>>>()?;
    let mut tasks: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    let mut listings: Vec<(Vec<String>, Item)> = Vec::new();
    for (archive, source) in sources.iter_mut().enumerate() {
        for (entry, path, size) in source.entries()? {
            match place(&path) {
                Some(Place::OfTask { folder, file }) => {
                    let task = name_of_task(folder, source.stem());
                    tasks.entry(task).or_default().push(Item { archive, entry, file: file.join("/"), size });
                }
                Some(Place::Listing { folder }) => {
                    let item = Item { archive, entry, file: "model_configs.json".into(), size };
                    listings.push((folder.to_vec(), item));
                }
                None => {}
            }
        }
    }
    if tasks.is_empty() {
        let names: Vec<String> = archives.iter().map(|path| path.display().to_string()).collect();
        return Err(ZooError::Missing {
            path: archives.first().cloned().unwrap_or_default(),
            what: "any task".into(),
            hint: Some(format!(
                "a task holds folders model_<ID> with {CONFIG}; looked in {}",
                names.join(", ")
            )),
        });
    }
    for (folder, item) in listings {
        let task = name_of_task(&folder, sources[item.archive].stem());
        if let Some(items) = tasks.get_mut(&task) {
            items.push(item);
        }
    }
    for (task, items) in &tasks {
        let mut files = BTreeSet::new();
        if let Some(item) = items.iter().find(|item| !files.insert(&item.file)) {
            let path = &archives[item.archive];
            return Err(ZooError::malformed(path, format!("task {task} has {} twice", item.file)));
        }
        if to.join(task).exists() {
            return Err(ZooError::Invalid(format!("{} exists already", to.join(task).display())));
        }
    }
    create_folder(to)?;
    let mut places = Vec::new();
    for (task, items) in &tasks {
        let part = to.join(format!(".{task}.{}.part", std::process::id()));
        remove_folder(&part)?;
        let path = to.join(task);
        let written = unpack(&mut sources, task, items, &part, progress)
            .and_then(|()| fs::rename(&part, &path).map_err(|source| ZooError::io(&path, source)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = remove_folder(&part);
        }
        written?;
        places.push(ZooLocation { name: task.clone(), path });
    }
    Ok(places)
}

/// A file of a task: which archive's which entry it is, and its place in the task's folder.
struct Item {
    archive: usize,
    entry: Entry,
    file: String,
    size: u64,
}

enum Entry {
    Zipped(usize),
    File(PathBuf),
}

enum Archive {
    Zip { path: PathBuf, zip: Box<ZipArchive<BufReader<File>>>, length: u64 },
    Folder { path: PathBuf },
}

impl Archive {
    fn open(path: &Path) -> Result<Archive> {
        let metadata = fs::metadata(path).map_err(|source| ZooError::io(path, source))?;
        if metadata.is_dir() {
            return Ok(Archive::Folder { path: path.to_path_buf() });
        }
        let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            ZooError::malformed(path, format!("not a zip archive, or a damaged one: {error}"))
        })?;
        Ok(Archive::Zip { path: path.to_path_buf(), zip: Box::new(zip), length: metadata.len() })
    }

    fn path(&self) -> &Path {
        match self {
            Archive::Zip { path, .. } | Archive::Folder { path } => path,
        }
    }

    /// A name for what has none inside the archive.
    fn stem(&self) -> String {
        self.path().file_stem().map_or_else(|| "task".into(), |stem| stem.to_string_lossy().into_owned())
    }

    /// Every file: where it is, its path's names, its size.
    fn entries(&mut self) -> Result<Vec<(Entry, Vec<String>, u64)>> {
        match self {
            Archive::Zip { path, zip, length } => {
                let mut entries = Vec::new();
                let mut total = 0_u64;
                for index in 0..zip.len() {
                    let entry = zip
                        .by_index_raw(index)
                        .map_err(|error| ZooError::malformed(&*path, format!("entry {index}: {error}")))?;
                    if entry.is_file() {
                        total = total.saturating_add(entry.size());
                        let names = entry.name().split(['/', '\\']).map(str::to_owned).collect();
                        entries.push((Entry::Zipped(index), names, entry.size()));
                    }
                }
                if total > length.saturating_mul(LARGEST_RATIO) {
                    let message =
                        format!("{total} bytes in an archive of {length}: no archive of networks shrinks so");
                    return Err(ZooError::malformed(&*path, message));
                }
                Ok(entries)
            }
            Archive::Folder { path } => {
                let mut entries = Vec::new();
                walk(path, &mut Vec::new(), &mut entries)?;
                Ok(entries)
            }
        }
    }
}

fn walk(folder: &Path, names: &mut Vec<String>, entries: &mut Vec<(Entry, Vec<String>, u64)>) -> Result<()> {
    let failed = |source| ZooError::io(folder, source);
    if names.len() >= DEEPEST {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = fs::metadata(entry.path()).map_err(failed)?;
        names.push(entry.file_name().to_string_lossy().into_owned());
        if metadata.is_dir() {
            walk(&entry.path(), names, entries)?;
        } else {
            entries.push((Entry::File(entry.path()), names.clone(), metadata.len()));
        }
        names.pop();
    }
    Ok(())
}

/// What a path in an archive is.
enum Place<'a> {
    /// A file of a task: the names down to the task's folder, and those below it.
    OfTask { folder: &'a [String], file: &'a [String] },
    /// A `model_configs.json`, with the names down to its folder.
    Listing { folder: &'a [String] },
}

fn place(path: &[String]) -> Option<Place<'_>> {
    if path.iter().any(|name| name == "__MACOSX" || name == ".." || name.starts_with("._")) {
        return None;
    }
    let model = |name: &str| name.strip_prefix("model_").is_some_and(|id| id.parse::<u64>().is_ok());
    match path {
        [folder @ .., file] if file == "model_configs.json" => Some(Place::Listing { folder }),
        [folder @ .., a, b] if model(a) && [CONFIG, WEIGHTS, INITIAL_WEIGHTS].contains(&b.as_str()) => {
            Some(Place::OfTask { folder, file: &path[folder.len()..] })
        }
        [folder @ .., a, b, c]
            if a == "dataset_1" && ["train", "test"].contains(&b.as_str()) && c.ends_with(".tfrecord") =>
        {
            Some(Place::OfTask { folder, file: &path[folder.len()..] })
        }
        _ => None,
    }
}

/// The name of the task in a folder: that of the folder, unless that is one of the layout's own levels.
fn name_of_task(folder: &[String], archive: String) -> String {
    let name =
        folder.last().filter(|name| !["input_data", "reference_data", "", "."].contains(&name.as_str()));
    let name = name.cloned().unwrap_or(archive);
    // What begins with a dot would be hidden, and never listed.
    let name = name.trim_start_matches('.').to_owned();
    if name.is_empty() { "task".into() } else { name }
}

fn unpack(
    sources: &mut [Archive],
    task: &str,
    items: &[Item],
    to: &Path,
    progress: &mut dyn FnMut(ImportEvent<'_>),
) -> Result<()> {
    let total = items.iter().fold(0_u64, |total, item| total.saturating_add(item.size));
    let mut done = 0;
    for item in items {
        let path = to.join(&item.file);
        if let Some(folder) = path.parent() {
            create_folder(folder)?;
        }
        let archive = &mut sources[item.archive];
        let from = archive.path().to_path_buf();
        let unreadable = |error: String| ZooError::malformed(&from, format!("{}: {error}", item.file));
        match (&item.entry, archive) {
            (Entry::Zipped(index), Archive::Zip { zip, .. }) => {
                let entry = zip.by_index(*index).map_err(|error| unreadable(error.to_string()))?;
                save(entry, &path, item.size, &unreadable)?;
            }
            (Entry::File(file), _) => {
                let file = File::open(file).map_err(|source| ZooError::io(file, source))?;
                save(file, &path, item.size, &unreadable)?;
            }
            (Entry::Zipped(_), Archive::Folder { .. }) => return Err(unreadable("not in a folder".into())),
        }
        done += item.size;
        progress(ImportEvent { task, done, total });
    }
    Ok(())
}

/// Copies exactly `size` bytes; a zip's checksum is compared at the end of its entry.
fn save(from: impl Read, path: &Path, size: u64, unreadable: &dyn Fn(String) -> ZooError) -> Result<()> {
    let mut from = from.take(size.saturating_add(1));
    write_file(path, |file| {
        let mut buffer = vec![0; 1 << 16];
        let mut copied = 0_u64;
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error.to_string())),
            };
            copied += read as u64;
            io::Write::write_all(file, &buffer[..read]).map_err(|source| ZooError::io(path, source))?;
        }
        if copied == size {
            Ok(())
        } else {
            Err(unreadable(format!("{copied} bytes or more in place of {size}")))
        }
    })
}
