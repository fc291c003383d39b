//! Where the files of a task are, and where zoos are looked for.

use std::env;
use std::path::{Path, PathBuf};

use crate::zoo::LISTING;
use crate::{Result, ZooError, fetch};

/// Environment variable: folders that hold zoos, separated by colons.
pub const ZOO_PATH_VARIABLE: &str = "PGDL_ZOO_PATH";

/// A zoo that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooLocation {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
}

/// The files of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskPlace {
    pub name: String,
    /// The folder with `model_<ID>` and `dataset_1`.
    pub root: PathBuf,
    /// `model_configs.json`, where there is one.
    pub listing: Option<PathBuf>,
}

const INPUT: &str = "input_data";
const REFERENCE: &str = "reference_data";

/// Finds the files of a task from its folder, or from a folder with `input_data` in which there is one task.
pub(super) fn task_place(path: &Path) -> Result<TaskPlace> {
    if !path.is_dir() {
        return Err(ZooError::missing(path, "zoo folder"));
    }
    if looks_like_task(path) {
        return place(path);
    }
    for level in [INPUT, REFERENCE] {
        let tasks = tasks_below(&path.join(level));
        match tasks.as_slice() {
            [] => {}
            [task] => return place(task),
            _ => return Err(several(path, &tasks)),
        }
    }
    let tasks = tasks_below(path);
    match tasks.as_slice() {
        [task] => place(task),
        [] => Err(ZooError::missing(path, "model_configs.json or any model_<ID> folder")),
        _ => Err(several(path, &tasks)),
    }
}

fn several(path: &Path, tasks: &[PathBuf]) -> ZooError {
    let names: Vec<String> = tasks.iter().map(|task| task.display().to_string()).collect();
    ZooError::Missing {
        path: path.to_path_buf(),
        what: "one task (there are several)".to_owned(),
        hint: Some(format!("name one of {}", names.join(", "))),
    }
}

fn place(root: &Path) -> Result<TaskPlace> {
    let full = root.canonicalize().map_err(|source| ZooError::io(root, source))?;
    let name = full.file_name().map_or_else(|| "zoo".to_owned(), |name| name.to_string_lossy().into_owned());
    // A task of the reference half stands for its other half, where there is one.
    let level = full.parent();
    let above = level.and_then(Path::parent);
    let at = |level: &str| above.map(|above| above.join(level).join(&name));
    let is_reference = level.is_some_and(|level| level.ends_with(REFERENCE));
    let root = match at(INPUT) {
        Some(input) if is_reference && input.is_dir() => input,
        _ => full.clone(),
    };
    let listing = [Some(root.join(LISTING)), at(REFERENCE).map(|folder| folder.join(LISTING))]
        .into_iter()
        .flatten()
        .find(|path| path.is_file());
    Ok(TaskPlace { name, root, listing })
}

fn looks_like_task(folder: &Path) -> bool {
    folder.join(LISTING).is_file() || model_folders(folder).is_ok_and(|models| !models.is_empty())
}

fn tasks_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut tasks: Vec<PathBuf> =
        entries.filter(|path| !is_litter(path) && path.is_dir() && looks_like_task(path)).collect();
    tasks.sort();
    tasks
}

/// What archives made on other systems leave behind.
fn is_litter(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.') || name == "__MACOSX")
}

/// The networks that have a folder, by number.
pub(super) fn model_folders(root: &Path) -> Result<Vec<u64>> {
    let entries = std::fs::read_dir(root).map_err(|source| ZooError::io(root, source))?;
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| ZooError::io(root, source))?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix("model_")).and_then(|id| id.parse().ok());
        if let Some(id) = id
            && entry.path().is_dir()
        {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The folders in which zoos are looked for by name, the first one first: those of `PGDL_ZOO_PATH`, `model_zoo` here, the
/// user's zoos, and those that came with the program.
pub fn zoo_folders() -> Vec<PathBuf> {
    let named = env::var_os(ZOO_PATH_VARIABLE).map(|value| env::split_paths(&value).collect::<Vec<_>>());
    let mut folders = named.unwrap_or_default();
    folders.push(PathBuf::from("model_zoo"));
    folders.extend(user_zoos().ok());
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_zoo"));
    folders
}

/// The folder for the user's own zoos: `pgdl/zoos` in the user's data directory.
///
/// # Errors
/// When the environment names no home.
pub fn user_zoos() -> Result<PathBuf> {
    let data = fetch::data_dir()?;
    Ok(data.parent().unwrap_or(&data).join("zoos"))
}

/// The zoos that can be named, by name; the first folder that has a name decides.
pub(super) fn list() -> Vec<ZooLocation> {
    let mut zoos: Vec<ZooLocation> = Vec::new();
    for folder in zoo_folders() {
        for path in tasks_below(&folder) {
            let path = path.canonicalize().unwrap_or(path);
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            if !zoos.iter().any(|zoo| zoo.name == name) {
                zoos.push(ZooLocation { name, path });
            }
        }
    }
    zoos.sort_by(|a, b| a.name.cmp(&b.name));
    zoos
}
