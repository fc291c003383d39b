//! The plugins that are always there: `plugins.toml` in the user's data folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pgdl_zoo::zoo::user_zoos;
use serde::{Deserialize, Serialize};

use crate::commands::plugin::origin::Origin;
use crate::commands::plugin::plugin_crate::PluginCrate;
use crate::exit::{Exit, Failure};

/// A plugin that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// Its crate's name.
    pub name: String,
    /// Its folder, or crate as in `my_measures@0.2`.
    pub source: String,
    /// The git repository that the folder is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// The measures it had when it was added.
    pub measures: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "plugin")]
    plugins: Vec<Installed>,
}

impl Installed {
    /// Looks at it again.
    ///
    /// # Errors
    /// As [`PluginCrate::in_folder`], with the command that removes it as a way out.
    pub fn open(&self, origin: &Origin) -> Result<PluginCrate, Failure> {
        open(&self.source, origin).map_err(|failure| {
            let message = format!("the plugin {} that was added before: {}", self.name, failure.message);
            failure_with(failure, message, &format!("`pgdl plugin remove {}` goes on without it", self.name))
        })
    }
}

fn failure_with(failure: Failure, message: String, way_out: &str) -> Failure {
    let hint = failure.hint.map_or_else(|| way_out.to_owned(), |hint| format!("{hint}; {way_out}"));
    Failure { exit: failure.exit, message, hint: Some(hint) }
}

/// The plugin in a folder or in the registry.
///
/// # Errors
/// As [`PluginCrate::in_folder`] and [`PluginCrate::in_registry`].
pub fn open(source: &str, origin: &Origin) -> Result<PluginCrate, Failure> {
    let path = Path::new(source);
    if path.exists() || source.contains(std::path::MAIN_SEPARATOR) || source.starts_with('.') {
        PluginCrate::in_folder(path, origin)
    } else {
        PluginCrate::in_registry(source)
    }
}

/// The folder of what pgdl keeps for the user.
///
/// # Errors
/// The environment names no home.
pub fn data_folder() -> Result<PathBuf, Failure> {
    let zoos = user_zoos()?;
    Ok(zoos.parent().unwrap_or(&zoos).to_owned())
}

/// The plugins that were added, by name.
///
/// # Errors
/// The list cannot be read.
pub fn list() -> Result<Vec<Installed>, Failure> {
    // Where there is no home nothing was added.
    let Ok(folder) = data_folder() else { return Ok(Vec::new()) };
    let path = folder.join("plugins.toml");
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Plugin,
            format!("the list of plugins, {}: {}", path.display(), error.to_string().trim_end()),
        )
        .hint("mend the file, or remove it and add the plugins again")
    };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(toml::from_str::<File>(&text).map_err(|error| bad(&error))?.plugins),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(bad(&error)),
    }
}

/// Replaces the list.
///
/// # Errors
/// It cannot be written.
pub fn save(mut plugins: Vec<Installed>) -> Result<(), Failure> {
    plugins.sort_by(|one, other| one.name.cmp(&other.name));
    let folder = data_folder()?;
    let path = folder.join("plugins.toml");
    let text = toml::to_string(&File { plugins })
        .map_err(|error| Failure::new(Exit::Unexpected, format!("the list of plugins: {error}")))?;
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&beside, text))
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(|error| {
            Failure::new(
                Exit::Plugin,
                format!("cannot write the list of plugins, {}: {error}", path.display()),
            )
            .hint("set XDG_DATA_HOME to a folder that can be written")
        })
}
