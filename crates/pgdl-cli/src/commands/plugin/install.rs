//! `pgdl plugin add`, `list` and `remove`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgdl_measure::{Registry, did_you_mean};
use pgdl_report::{Cell, Column, Table};

use crate::arguments::OutputArguments;
use crate::commands::plugin::check::measures_of;
use crate::commands::plugin::host::Host;
use crate::commands::plugin::installed::{self, Installed, data_folder, open};
use crate::commands::plugin::origin::Origin;
use crate::commands::print_table;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// Builds a plugin with those that are there, and keeps it for every later command.
pub fn add(source: &str, revision: Option<&str>, registry: &Registry, terminal: &Terminal) -> Outcome {
    let origin = Origin::find()?;
    let git = is_git(source).then(|| source.to_owned());
    let copy = git.as_ref().map(|address| Copy::of(address, revision)).transpose()?;
    let place = copy.as_ref().map_or_else(|| source.to_owned(), |copy| copy.part.display().to_string());
    let mut plugin = open(&place, &origin)?;
    if let Some(copy) = copy {
        copy.keep()?;
        plugin = open(&copy.folder.display().to_string(), &origin)?;
    }
    let mut all = installed::list()?;
    let others = all.iter().filter(|one| one.name != plugin.name);
    let mut plugins = others.map(|one| one.open(&origin)).collect::<Result<Vec<_>, _>>()?;
    plugins.push(plugin.clone());
    let before: Vec<String> =
        all.iter().filter(|one| one.name != plugin.name).flat_map(|one| one.measures.clone()).collect();
    let host = Host::new(plugins, &origin)?;
    host.build(terminal)?;
    let mut measures = measures_of(&host, registry)?;
    measures.retain(|id| !before.contains(id));
    all.retain(|one| one.name != plugin.name);
    terminal.note(format_args!("added {}: {}", plugin.name, measures.join(", ")));
    all.push(Installed { name: plugin.name.clone(), source: plugin.source(), git, measures });
    installed::save(all)?;
    Ok(Exit::Ok)
}

/// Lists the plugins that were added.
pub fn list(output: &OutputArguments, terminal: &Terminal) -> Outcome {
    let mut table = Table::new(vec![
        Column::new("plugin", "plugin"),
        Column::new("measures", "measures"),
        Column::new("source", "source"),
        Column::new("git", "git").optional(),
    ]);
    for Installed { name, source, git, measures } in installed::list()? {
        table.push(vec![
            Cell::text(name),
            Cell::text(measures.join(", ")),
            Cell::text(source),
            git.map_or_else(Cell::empty, Cell::text),
        ]);
    }
    print_table(&table, output.format, terminal)?;
    Ok(Exit::Ok)
}

/// Forgets a plugin. Its folder stays, unless pgdl made it.
pub fn remove(name: &str, terminal: &Terminal) -> Outcome {
    let mut all = installed::list()?;
    let Some(position) = all.iter().position(|one| one.name == name) else {
        let failure = Failure::usage(format!("no plugin `{name}` was added"));
        let meant = did_you_mean::did_you_mean(name, all.iter().map(|one| one.name.as_str()));
        return Err(match meant {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint("`pgdl plugin list` lists them"),
        });
    };
    let removed = all.remove(position);
    installed::save(all)?;
    if removed.git.is_some() {
        remove_folder(Path::new(&removed.source))?;
    }
    terminal.note(format_args!("removed {name}"));
    Ok(Exit::Ok)
}

/// Whether a source is the address of a git repository.
fn is_git(source: &str) -> bool {
    let schemes = ["https://", "http://", "ssh://", "git://", "file://", "git@"];
    schemes.iter().any(|scheme| source.starts_with(scheme))
        || (source.ends_with(".git") && !Path::new(source).join("Cargo.toml").exists())
}

/// A copy of a git repository in the user's data folder, under another name until it is known to be a plugin.
struct Copy {
    part: PathBuf,
    folder: PathBuf,
}

impl Copy {
    fn of(address: &str, revision: Option<&str>) -> Result<Copy, Failure> {
        let name = address
            .trim_end_matches('/')
            .trim_end_matches(".git")
            .rsplit(['/', ':'])
            .next()
            .unwrap_or_default();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Failure::usage(format!("{address} does not end in a repository's name")));
        }
        let plugins = data_folder()?.join("plugins");
        let part = plugins.join(format!(".{name}.part"));
        fs::create_dir_all(&plugins).map_err(|error| failed(&plugins, &error))?;
        remove_folder(&part)?;
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--depth", "1"]).stdin(Stdio::null()).env("GIT_TERMINAL_PROMPT", "0");
        if let Some(revision) = revision {
            git.args(["--branch", revision]);
        }
        let output = git.arg("--").arg(address).arg(&part).output().map_err(|error| {
            let failure = Failure::new(Exit::Plugin, format!("cannot run git: {error}"));
            if error.kind() == ErrorKind::NotFound {
                failure.hint("install git, or name a folder")
            } else {
                failure
            }
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(Exit::Plugin, format!("git cannot copy {address}: {}", said.trim())));
        }
        Ok(Copy { part, folder: plugins.join(name) })
    }

    /// Gives the copy its name, in place of an earlier one.
    fn keep(&self) -> Result<(), Failure> {
        remove_folder(&self.folder)?;
        fs::rename(&self.part, &self.folder).map_err(|error| failed(&self.folder, &error))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Gone already where the copy was kept.
        let _ = fs::remove_dir_all(&self.part);
    }
}

fn remove_folder(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(folder, &error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Plugin, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_folders_and_crates() {
        for git in
            ["https://example.org/a/measures", "git@example.org:a/measures.git", "file:///tmp/x", "../x.git"]
        {
            assert!(is_git(git), "{git}");
        }
        for other in ["measures", "./measures", "/tmp/measures", "measures@0.1"] {
            assert!(!is_git(other), "{other}");
        }
    }
}
