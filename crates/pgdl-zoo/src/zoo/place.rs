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

/// An archive may wrap its content in so many folders that hold nothing else.
const WRAPPINGS: usize = 3;

/// Finds the files of a task from its folder in either half, or from a folder above with one task in it.
pub(super) fn task_place(path: &Path) -> Result<TaskPlace> {
    if !path.is_dir() {
        return Err(ZooError::missing(path, "zoo folder"));
    }
    let tasks = tasks_in(path, WRAPPINGS);
    match tasks.as_slice() {
        [task] => place(task),
        [] => Err(ZooError::missing(path, "model_configs.json or any model_<ID> folder")),
        _ => Err(several(path, &tasks)),
    }
}

/// The folders of the tasks in a folder: itself, those of its half with the inputs, else those of the other half, else
/// those right below, else those in the only folder below.
fn tasks_in(path: &Path, wrappings: usize) -> Vec<PathBuf> {
    if looks_like_task(path) {
        return vec![path.to_path_buf()];
    }
    for level in [INPUT, REFERENCE] {
        let folder = path.join(level);
        // The level of the task may be absent, too.
        let tasks = if looks_like_task(&folder) { vec![folder] } else { tasks_below(&folder) };
        if !tasks.is_empty() {
            return tasks;
        }
    }
    let tasks = tasks_below(path);
    match (tasks.is_empty(), folders_below(path).as_slice()) {
        (true, [only]) if wrappings > 0 => tasks_in(only, wrappings - 1),
        _ => tasks,
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

/// The files of the task of which `folder` is one half, or the whole. Either level, `input_data` and `reference_data`,
/// may be absent.
fn place(folder: &Path) -> Result<TaskPlace> {
    let folder = folder.canonicalize().map_err(|source| ZooError::io(folder, source))?;
    let is_level = |path: &Path| path.ends_with(INPUT) || path.ends_with(REFERENCE);
    // The folder above the levels, and the names of the task's folder below them.
    let (base, task) = match (folder.parent(), folder.file_name()) {
        (Some(base), Some(_)) if is_level(&folder) => (base, PathBuf::new()),
        (Some(level), Some(task)) if is_level(level) => {
            (level.parent().unwrap_or(level), PathBuf::from(task))
        }
        (Some(base), Some(task)) => (base, PathBuf::from(task)),
        _ => (folder.as_path(), PathBuf::new()),
    };
    let named = if task.as_os_str().is_empty() { base } else { &task };
    let name = named.file_name().map_or_else(|| "zoo".to_owned(), |name| name.to_string_lossy().into_owned());
    let halves = [base.join(INPUT).join(&task), base.join(&task), base.join(REFERENCE).join(&task)];
    let holds_inputs = |path: &&PathBuf| {
        path.join("dataset_1").is_dir() || model_folders(path).is_ok_and(|models| !models.is_empty())
    };
    let inputs = std::iter::once(&folder).chain(&halves).find(holds_inputs);
    let root = inputs.unwrap_or(&folder).clone();
    let listing = [&root, &folder].into_iter().chain(halves.iter().rev()).map(|half| half.join(LISTING));
    let listing = listing.into_iter().find(|path| path.is_file());
    Ok(TaskPlace { name, root, listing })
}

fn looks_like_task(folder: &Path) -> bool {
    folder.join(LISTING).is_file() || model_folders(folder).is_ok_and(|models| !models.is_empty())
}

fn tasks_below(folder: &Path) -> Vec<PathBuf> {
    folders_below(folder).into_iter().filter(|path| looks_like_task(path)).collect()
}

fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| !is_litter(path) && path.is_dir()).collect();
    folders.sort();
    folders
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
        let id =
            name.to_str().and_then(|name| name.strip_prefix("model_")).and_then(|id| id.parse::<u64>().ok());
        // `model_07` is not where network 7 would be looked for.
        if let Some(id) = id
            && name.to_str() == Some(format!("model_{id}").as_str())
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
        for path in folders_below(&folder).iter().flat_map(|folder| tasks_in(folder, 0)) {
            let Ok(TaskPlace { name, root: path, .. }) = place(&path) else { continue };
            if !zoos.iter().any(|zoo| zoo.name == name) {
                zoos.push(ZooLocation { name, path });
            }
        }
    }
    zoos.sort_by(|a, b| a.name.cmp(&b.name));
    zoos
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes folders and files in a new folder.
    fn layout(paths: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in paths {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        (folder, root)
    }

    #[test]
    fn either_level_may_be_absent() {
        let model = "model_20/config.json";
        let listing = "model_configs.json";
        for (inputs, reference) in [
            ("input_data/task1", "reference_data/task1"),
            ("input_data/task1", "task1"),
            ("task1", "reference_data/task1"),
            ("task1", "task1"),
            ("input_data/task1", "input_data/task1"),
        ] {
            let (_guard, root) = layout(&[
                &format!("{inputs}/{model}"),
                &format!("{reference}/{listing}"),
                ".DS_Store",
                "__MACOSX/x",
            ]);
            let expected = TaskPlace {
                name: "task1".into(),
                root: root.join(inputs),
                listing: Some(root.join(reference).join(listing)),
            };
            for path in [root.clone(), root.join(inputs), root.join(reference)] {
                assert_eq!(
                    task_place(&path).unwrap(),
                    expected,
                    "{} of {inputs}, {reference}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn the_level_of_the_task_may_be_absent() {
        let (_guard, root) =
            layout(&["kit/input_data/model_3/config.json", "kit/reference_data/model_configs.json"]);
        let place = task_place(&root.join("kit")).unwrap();
        assert_eq!((place.name.as_str(), &place.root), ("kit", &root.join("kit/input_data")));
        assert_eq!(place.listing, Some(root.join("kit/reference_data/model_configs.json")));
        assert_eq!(task_place(&root).unwrap(), place);
    }

    #[test]
    fn wrappings_are_looked_through_and_several_tasks_are_named() {
        let (_guard, root) = layout(&["a/public_data/input_data/task1/model_1/config.json"]);
        assert_eq!(task_place(&root).unwrap().name, "task1");
        let (_guard, root) = layout(&["task1/model_configs.json", "task2/model_configs.json"]);
        let error = task_place(&root).unwrap_err();
        assert!(error.hint().unwrap().contains("task2"), "{error}");
    }

    #[test]
    fn networks_are_ordered_by_number_and_litter_is_passed_over() {
        let (_guard, root) = layout(&[
            "model_100/a",
            "model_20/a",
            "model_3/a",
            "model_x/a",
            "model_07/a",
            ".model_9.part/a",
            "model_5",
        ]);
        assert_eq!(model_folders(&root).unwrap(), [3, 20, 100]);
    }
}
