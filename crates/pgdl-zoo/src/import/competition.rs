//! The competition's archives → zoos.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use super::ImportEvent;
use super::archive::{Archive, Item, checksum_of};
use crate::atomic_file::create_folder;
use crate::atomic_folder::Staging;
use crate::check::{Finding, examine_structure};
use crate::disk_room::ensure_room;
use crate::zoo::LISTING;
use crate::{Listing, Result, Split, Zoo, ZooError};

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// The tasks, by name.
    pub tasks: Vec<ImportedTask>,
    /// Archives inside the archives, which were not opened.
    pub nested: Vec<String>,
}

/// A task that is a zoo now.
#[derive(Debug)]
pub struct ImportedTask {
    /// The zoo.
    pub zoo: Zoo,
    /// Files that were written.
    pub written: usize,
    /// Files that were there already.
    pub kept: usize,
    /// What its folders lack.
    pub findings: Vec<Finding>,
}

/// Unpacks the tasks in `archives` (zip files as downloaded, or folders) into a folder per task in `to`. A task's parts
/// may come in several archives.
///
/// Bytes are streamed; memory does not grow with the archives. A task's folder appears when it is complete. What an
/// interrupted import has unpacked is not unpacked again, nor is what is there already with the same length and CRC-32;
/// a file that is there and differs is never overwritten.
///
/// # Errors
/// When there is no task in the archives, an archive is damaged, has names that lead out of it or would become
/// implausibly large, two archives contradict one another or what is there, or the disk has not enough room.
pub fn import_competition(
    archives: &[PathBuf],
    to: &Path,
    progress: &mut dyn FnMut(ImportEvent<'_>),
) -> Result<Imported> {
    let mut opened = archives.iter().map(|path| Archive::open(path)).collect::<Result<Vec<_>>>()?;
    let nested = opened.iter_mut().flat_map(|archive| std::mem::take(&mut archive.nested)).collect();
    let tasks = by_task(&mut opened)?;
    if tasks.is_empty() {
        return Err(ZooError::Missing {
            path: archives.first().cloned().unwrap_or_default(),
            what: "any task of the competition".to_owned(),
            hint: Some(
                "a task is a folder with model_<ID>, dataset_1 and model_configs.json, or the two halves of one in \
                 input_data and reference_data"
                    .to_owned(),
            ),
        });
    }
    create_folder(to)?;
    let mut work =
        tasks.into_iter().map(|(name, files)| Work::new(to, name, files)).collect::<Result<Vec<_>>>()?;
    let all = || work.iter().flat_map(|work| work.files.iter().map(move |(_, item)| (work, item)));
    let total = all().map(|(_, item)| item.size).fold(0u64, u64::saturating_add);
    let there = |work: &Work, item: &Item| {
        work.folder().join(&item.file).metadata().is_ok_and(|metadata| metadata.len() == item.size)
    };
    let needed = all()
        .filter(|(work, item)| !there(work, item))
        .map(|(_, item)| item.size)
        .fold(0, u64::saturating_add);
    ensure_room(to, needed)?;
    let mut done = 0;
    let mut imported = Vec::with_capacity(work.len());
    for work in work.drain(..) {
        imported.push(work.run(&mut opened, &mut |file, bytes| {
            done += bytes;
            progress(ImportEvent::Bytes { file, done, total });
        })?);
    }
    Ok(Imported { tasks: imported, nested })
}

/// A file, and the archive that it is in.
type Files = Vec<(usize, Item)>;

/// The files of each task, each once.
fn by_task(archives: &mut [Archive]) -> Result<BTreeMap<String, Files>> {
    let mut found: BTreeMap<(String, PathBuf), (usize, Item)> = BTreeMap::new();
    for position in 0..archives.len() {
        for item in std::mem::take(&mut archives[position].items) {
            match found.entry((item.task.clone(), item.file.clone())) {
                Entry::Vacant(free) => {
                    free.insert((position, item));
                }
                Entry::Occupied(first) => {
                    let (other, earlier) = first.get();
                    let (a, b) = (&archives[*other], &archives[position]);
                    if earlier.size != item.size || a.checksum(earlier)? != b.checksum(&item)? {
                        return Err(ZooError::malformed(
                            b.path(),
                            format!(
                                "{}/{} is not the one in {}",
                                item.task,
                                item.file.display(),
                                a.path().display()
                            ),
                        ));
                    }
                }
            }
        }
    }
    let mut tasks: BTreeMap<String, Files> = BTreeMap::new();
    for ((task, _), file) in found {
        tasks.entry(task).or_default().push(file);
    }
    Ok(tasks)
}

/// A task that is being unpacked.
struct Work {
    target: PathBuf,
    /// None where the task's folder is there already, and gets what it lacks.
    staging: Option<Staging>,
    files: Files,
}

impl Work {
    fn new(to: &Path, name: String, files: Files) -> Result<Work> {
        let target = to.join(name);
        let occupied = std::fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some());
        let staging = if occupied { None } else { Some(Staging::resume(&target)?) };
        Ok(Work { target, staging, files })
    }

    fn folder(&self) -> &Path {
        self.staging.as_ref().map_or(&self.target, Staging::folder)
    }

    fn run(self, archives: &mut [Archive], progress: &mut dyn FnMut(&str, u64)) -> Result<ImportedTask> {
        let (mut written, mut kept) = (0, 0);
        for (position, item) in &self.files {
            let path = self.folder().join(&item.file);
            let name = item.file.to_string_lossy();
            let archive = &mut archives[*position];
            let same = path.metadata().is_ok_and(|metadata| metadata.len() == item.size)
                && checksum_of(&path)? == archive.checksum(item)?;
            if same {
                kept += 1;
                progress(&name, item.size);
                continue;
            }
            // What is under construction is nobody's yet.
            if self.staging.is_none() && path.exists() {
                return Err(ZooError::Invalid(format!(
                    "{} differs from the file in {}, and is not overwritten: choose another folder, or move it away",
                    path.display(),
                    archive.path().display()
                )));
            }
            create_folder(path.parent().unwrap_or(self.folder()))?;
            archive.unpack(item, &path, &mut |bytes| progress(&name, bytes))?;
            written += 1;
        }
        let listing = self.folder().join(LISTING);
        if listing.exists() {
            Listing::read(&listing)?;
        }
        if let Some(staging) = self.staging {
            staging.commit()?;
        }
        let zoo = Zoo::open(&self.target)?;
        let mut findings = examine_structure(&zoo);
        for split in [Split::Train, Split::Test] {
            findings.extend(zoo.data_size(split).err().map(|error| Finding::from(&error)));
        }
        Ok(ImportedTask { zoo, written, kept, findings })
    }
}
