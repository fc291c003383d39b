//! A plugin as a program: its host, which answers by [`serve`](crate::serve()).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::digest::digest;
use crate::error::{ExternalError, Result};
use crate::program::Program;
use crate::sandbox::Policy;

/// The hidden first argument that makes a host answer as a program that is a measure.
pub const SERVE_ARGUMENT: &str = "__serve";

/// A plugin that was compiled into a host.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The crate's name.
    pub name: String,
    /// The host.
    pub host: PathBuf,
    /// Its environment besides what every program's holds.
    pub environment: Vec<(String, String)>,
    /// The sandbox to run it in, if in any.
    pub sandbox: Option<Policy>,
}

impl Plugin {
    /// The plugin as a program with those of the host's measures for which `is_its_own` holds. The host is copied into
    /// `staging`: that it is compiled anew meanwhile does not matter.
    ///
    /// # Errors
    /// No sandbox can be made, the host cannot be copied, `register` fails, or it adds no measure.
    pub fn program(&self, staging: &Path, is_its_own: impl Fn(&str) -> bool) -> Result<Program> {
        if let Some(policy) = &self.sandbox {
            policy.try_out(staging)?;
        }
        let file = staging.join(format!("{}-host", self.name));
        fs::copy(&self.host, &file)
            .and_then(|_| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
            .map_err(|error| ExternalError::new(format!("{}: {error}", self.host.display())))?;
        let libraries = loaded_libraries();
        let mut environment = self.environment.clone();
        // Those that this process found, whatever led to them.
        if let Ok(path) = std::env::join_paths(&libraries) {
            environment.push(("LD_LIBRARY_PATH".to_owned(), path.to_string_lossy().into_owned()));
        }
        let program = Program {
            name: self.name.clone(),
            command: vec![file.clone(), SERVE_ARGUMENT.into()],
            digest: digest(std::slice::from_ref(&file))
                .map_err(|error| ExternalError::new(error.to_string()))?,
            parts: vec![file],
            libraries,
            environment,
            sandbox: self.sandbox.clone(),
            staging: staging.to_owned(),
            measures: Vec::new(),
        };
        let mut measures = program.describe()?;
        measures.retain(|measure| is_its_own(&measure.id));
        if measures.is_empty() {
            return Err(ExternalError::new(format!("`register` of plugin {} adds no measure", self.name)));
        }
        Ok(Program { measures, ..program })
    }
}

/// Folders outside the system's from which this process has loaded libraries: libtorch's, first of all.
fn loaded_libraries() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| Some(Path::new(&line[line.find('/')?..])));
    let libraries = files.filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".so") || name.contains(".so.")
    });
    let folders: BTreeSet<PathBuf> =
        libraries.filter_map(Path::parent).map(Path::to_owned).filter(|folder| folder.is_dir()).collect();
    let of_the_system =
        |folder: &PathBuf| ["/usr", "/lib", "/lib64"].iter().any(|top| folder.starts_with(top));
    folders.into_iter().filter(|folder| !of_the_system(folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_libtorch_is_among_those_that_are_loaded_from() {
        // It is loaded with the first call, at the latest.
        assert!(tch::get_num_threads() > 0);
        let folders = loaded_libraries();
        let of_the_system = ["/usr", "/lib", "/lib64"].map(PathBuf::from);
        let torch = |folder: &PathBuf| folder.join("libtorch_cpu.so").exists();
        assert!(folders.iter().chain(&of_the_system).any(torch), "{folders:?}");
        assert!(folders.iter().all(|folder| !folder.starts_with("/usr")), "{folders:?}");
    }
}
