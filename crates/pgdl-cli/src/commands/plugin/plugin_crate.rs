//! A plugin as its `Cargo.toml` describes it.

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use serde_json::Value;

use crate::commands::plugin::cargo::{cargo, output};
use crate::commands::plugin::origin::Origin;
use crate::exit::{Exit, Failure};

/// A crate with `pub fn register(&mut Registry)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCrate {
    /// The package's name.
    pub name: String,
    /// The name that Rust code calls it by.
    pub library: String,
    /// Where it comes from.
    pub place: Place,
    /// pgdl's own crates that it asks the registry for: its host puts those of this pgdl in their place.
    pub own_from_registry: Vec<String>,
}

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder with its `Cargo.toml`.
    Folder(PathBuf),
    /// The package registry, with a version requirement.
    Registry(String),
}

impl PluginCrate {
    /// The crate in a folder.
    ///
    /// # Errors
    /// There is none, it is no library, it does not use pgdl-measure, or it wants another one or another tch than this
    /// pgdl.
    pub fn in_folder(folder: &Path, origin: &Origin) -> Result<PluginCrate, Failure> {
        let new = "`pgdl plugin new NAME` makes a plugin to start from";
        let folder = folder.canonicalize().map_err(|error| {
            Failure::new(Exit::Plugin, format!("no plugin in {}: {error}", folder.display())).hint(new)
        })?;
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            let what = format!("no plugin in {}: there is no Cargo.toml", folder.display());
            return Err(Failure::new(Exit::Plugin, what).hint(new));
        }
        let metadata = metadata(&folder, origin)?;
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let here = packages.iter().find(|package| same_file(&package["manifest_path"], &manifest));
        let Some(package) = here else {
            let members =
                packages.iter().filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent());
            let members: Vec<String> = members.map(|member| member.display().to_string()).collect();
            return Err(Failure::new(
                Exit::Plugin,
                format!("{} is a workspace, not a crate", folder.display()),
            )
            .hint(format!("name the folder of the plugin itself: {}", members.join(", "))));
        };
        let name = text(&package["name"]);
        let library = package["targets"].as_array().into_iter().flatten().find(|target| {
            target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib" || kind == "rlib"))
        });
        let Some(library) = library else {
            return Err(Failure::new(Exit::Plugin, format!("{name} is no library: it has no src/lib.rs"))
                .hint("a plugin is a library crate with `pub fn register(&mut Registry)`"));
        };
        let library = text(&library["name"]).replace('-', "_");
        if let Some(own) = origin
            .locked()
            .into_iter()
            .find(|package| package.own && package.name.replace('-', "_") == library)
        {
            return Err(Failure::new(
                Exit::Plugin,
                format!("{}: the name {} is one of pgdl's own crates", folder.display(), own.name),
            )
            .hint("give the plugin another name in its Cargo.toml"));
        }
        let dependencies: Vec<&Value> = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["kind"].is_null())
            .collect();
        let own_from_registry = check_dependencies(&name, &dependencies, origin)?;
        Ok(PluginCrate { name, library, place: Place::Folder(folder), own_from_registry })
    }

    /// A crate of the package registry: `name` or `name@version`.
    ///
    /// # Errors
    /// The text is no crate's name, or the version no requirement.
    pub fn in_registry(text: &str) -> Result<PluginCrate, Failure> {
        let (name, version) = text.split_once('@').unwrap_or((text, "*"));
        if !is_crate_name(name) {
            return Err(Failure::usage(format!("`{text}` is neither a folder nor a crate's name")).hint(
                "a plugin is a folder, a git address, or a crate as in my_measures or my_measures@0.2",
            ));
        }
        VersionReq::parse(version)
            .map_err(|error| Failure::usage(format!("`{version}` is no version of {name}: {error}")))?;
        Ok(PluginCrate {
            name: name.to_owned(),
            library: name.replace('-', "_"),
            place: Place::Registry(version.to_owned()),
            own_from_registry: vec!["pgdl-measure".to_owned()],
        })
    }

    /// What a user types for it.
    pub fn source(&self) -> String {
        match &self.place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Registry(version) if version == "*" => self.name.clone(),
            Place::Registry(version) => format!("{}@{version}", self.name),
        }
    }

    /// Its line under `[dependencies]` of a host.
    pub fn dependency(&self) -> String {
        let (package, library) = (quoted(&self.name), &self.library);
        match &self.place {
            Place::Folder(folder) => {
                format!(
                    "{library} = {{ package = {package}, path = {} }}\n",
                    quoted(&folder.display().to_string())
                )
            }
            Place::Registry(version) => {
                format!("{library} = {{ package = {package}, version = {} }}\n", quoted(version))
            }
        }
    }
}

/// A string as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Whether `name` can be a crate's name.
pub fn is_crate_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_'))
}

/// What cargo reads out of a crate's `Cargo.toml`, its dependencies not looked up.
///
/// Not from within the crate's folder: there it would heed settings that can name programs to run.
fn metadata(folder: &Path, origin: &Origin) -> Result<Value, Failure> {
    let mut command = cargo(origin, &origin.source);
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]);
    command.arg(folder.join("Cargo.toml"));
    let found = output(&mut command)?;
    if !found.status.success() {
        let said = String::from_utf8_lossy(&found.stderr);
        return Err(Failure::new(
            Exit::Plugin,
            format!("cargo cannot read {}:\n{}", folder.join("Cargo.toml").display(), said.trim_end()),
        ));
    }
    serde_json::from_slice(&found.stdout)
        .map_err(|error| Failure::new(Exit::Plugin, format!("cargo's answer cannot be read: {error}")))
}

/// Checks what a plugin asks for itself: pgdl's own crates have to be those of this pgdl, libtorch's binding the same.
/// Returns those of the former that it asks the registry for.
fn check_dependencies(
    plugin: &str,
    dependencies: &[&Value],
    origin: &Origin,
) -> Result<Vec<String>, Failure> {
    let own: Vec<_> = origin.locked().into_iter().filter(|package| package.own).collect();
    let mut from_registry = Vec::new();
    for dependency in dependencies {
        let name = text(&dependency["name"]);
        if let Some(ours) = own.iter().find(|package| package.name == name) {
            let line = format!("{name} = \"{}\"", ours.version);
            let mend = format!("write `{line}` in its Cargo.toml: its host then uses {name} of this pgdl");
            match (dependency["path"].as_str(), dependency["source"].as_str()) {
                (Some(path), _) => {
                    let place = origin.own_crate(&name);
                    if Path::new(path).canonicalize().ok() != place.canonicalize().ok() {
                        let what = format!(
                            "plugin {plugin} wants {name} in {path}, this pgdl is built with {}",
                            place.display()
                        );
                        return Err(Failure::new(Exit::Plugin, what).hint(mend));
                    }
                }
                (None, Some(source)) if source.starts_with("registry+") => {
                    if !allows(&text(&dependency["req"]), &ours.version) {
                        let what = format!(
                            "plugin {plugin} wants {name} {}, this pgdl has {}",
                            text(&dependency["req"]),
                            ours.version
                        );
                        return Err(Failure::new(Exit::Plugin, what).hint(mend));
                    }
                    from_registry.push(name);
                }
                (None, source) => {
                    let source = source.unwrap_or("elsewhere");
                    let what = format!(
                        "plugin {plugin} wants {name} from {source}, this pgdl is built with {}",
                        origin.own_crate(&name).display()
                    );
                    return Err(Failure::new(Exit::Plugin, what).hint(mend));
                }
            }
        } else if name == "tch" || name == "torch-sys" {
            let ours = origin.locked_version(&name).unwrap_or_default();
            if !allows(&text(&dependency["req"]), &ours) || dependency["path"].is_string() {
                return Err(another_tch(plugin, &name, &text(&dependency["req"]), &ours));
            }
        }
    }
    if !dependencies.iter().any(|dependency| dependency["name"] == "pgdl-measure") {
        let version = origin.locked_version("pgdl-measure").unwrap_or_default();
        return Err(Failure::new(
            Exit::Plugin,
            format!("{plugin} does not depend on pgdl-measure, so it holds no measure"),
        )
        .hint(format!("write `pgdl-measure = \"{version}\"` under [dependencies] of its Cargo.toml")));
    }
    Ok(from_registry)
}

/// One program holds one libtorch, and so one version of its binding.
pub fn another_tch(plugin: &str, name: &str, wanted: &str, ours: &str) -> Failure {
    Failure::new(
        Exit::Plugin,
        format!("plugin {plugin} wants {name} {wanted}, this pgdl has {ours}; one program can hold only one"),
    )
    .hint(format!("take {name} out of its Cargo.toml and use `pgdl_measure::tch`, the one that pgdl has"))
}

fn allows(requirement: &str, version: &str) -> bool {
    match (VersionReq::parse(requirement), Version::parse(version)) {
        (Ok(requirement), Ok(version)) => requirement.matches(&version),
        _ => false,
    }
}

fn same_file(manifest: &Value, path: &Path) -> bool {
    manifest.as_str().and_then(|manifest| Path::new(manifest).canonicalize().ok()) == path.canonicalize().ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_registry_have_a_name_and_perhaps_a_version() {
        let plugin = PluginCrate::in_registry("my-measures").unwrap();
        assert_eq!((plugin.library.as_str(), plugin.source().as_str()), ("my_measures", "my-measures"));
        assert_eq!(plugin.dependency(), "my_measures = { package = \"my-measures\", version = \"*\" }\n");
        let plugin = PluginCrate::in_registry("my_measures@0.2").unwrap();
        assert_eq!((plugin.place, plugin.own_from_registry.len()), (Place::Registry("0.2".into()), 1));
        for bad in ["", "../x", "a b", "7up", "x@y z", "x@"] {
            assert!(PluginCrate::in_registry(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requirements_are_those_of_cargo() {
        for (requirement, version, allowed) in [
            ("^0.1", "0.1.0", true),
            ("=0.24.0", "0.24.0", true),
            ("^0.26", "0.24.0", false),
            ("*", "1.0.0", true),
            ("?", "1.0.0", false),
        ] {
            assert_eq!(allows(requirement, version), allowed, "{requirement} {version}");
        }
    }
}
