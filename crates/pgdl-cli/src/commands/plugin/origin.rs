//! Where this program was built from, and how: hosts are built from the same source in the same way, so that they share
//! what is compiled already.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Environment variable: pgdl's source, where it is no longer where this program was built from.
pub const SOURCE_VARIABLE: &str = "PGDL_SOURCE_DIR";

/// Environment variable: the folder for hosts and what is compiled for them.
pub const CACHE_VARIABLE: &str = "PGDL_CACHE_DIR";

/// The source, the settings and the products of this program's build.
#[derive(Debug)]
pub struct Origin {
    /// pgdl's source: the folder of its workspace.
    pub source: PathBuf,
    /// Where cargo puts what it compiles.
    pub target_dir: PathBuf,
    /// The folder for hosts.
    pub hosts: PathBuf,
    /// The profile, as `cargo build --profile` takes it.
    pub profile: &'static str,
    /// The folder in `target_dir` that the profile's products go to.
    pub profile_folder: &'static str,
    /// The platform.
    pub triple: &'static str,
    /// The folder of libtorch, where the build was told one.
    pub libtorch: Option<PathBuf>,
    /// Flags of the compiler, as cargo encodes them.
    pub rustflags: &'static str,
    /// The workspace's `Cargo.toml`.
    pub manifest: toml::Table,
    /// The workspace's `Cargo.lock`.
    pub lock: String,
}

/// A package in `Cargo.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it belongs to pgdl itself.
    pub own: bool,
}

impl Origin {
    /// Looks at what this program was built from, or at what the environment names in its place.
    ///
    /// # Errors
    /// The source is not there, or is another version; no cache folder can be named.
    pub fn find() -> Result<Origin, Failure> {
        let given = variable(SOURCE_VARIABLE);
        let source = given.clone().unwrap_or_else(|| PathBuf::from(env!("PGDL_BUILT_SOURCE")));
        let version = env!("CARGO_PKG_VERSION");
        let hint = format!("set {SOURCE_VARIABLE} to a checkout of pgdl {version}");
        let lost = |what: String| Failure::new(Exit::Plugin, what).hint(hint.clone());
        let unreadable = |name: &str, error: &dyn std::fmt::Display| {
            let place = source.join(name);
            lost(match given {
                Some(_) => format!("{SOURCE_VARIABLE} names no source of pgdl: {}: {error}", place.display()),
                None => format!("the source that pgdl was built from is gone: {}: {error}", place.display()),
            })
        };
        let read =
            |name: &str| fs::read_to_string(source.join(name)).map_err(|error| unreadable(name, &error));
        let manifest: toml::Table =
            read("Cargo.toml")?.parse().map_err(|error: toml::de::Error| unreadable("Cargo.toml", &error))?;
        let lock = read("Cargo.lock")?;
        let found = at(&manifest, &["workspace", "package", "version"]).and_then(toml::Value::as_str);
        if found != Some(version) {
            let found = found.unwrap_or("of an unknown version");
            return Err(lost(format!("{} is pgdl {found}, this program is {version}", source.display())));
        }
        read("crates/pgdl-measure/Cargo.toml")?;
        let source = source.canonicalize().map_err(|error| unreadable("", &error))?;
        let built = Some(PathBuf::from(env!("PGDL_BUILT_TARGET_DIR"))).filter(|path| path.is_absolute());
        let target_dir = match (variable(CACHE_VARIABLE), built) {
            (Some(cache), _) => cache.join("target"),
            (None, Some(built)) => built,
            (None, None) => cache_dir()?.join("target"),
        };
        let profile_folder = env!("PGDL_BUILT_PROFILE");
        Ok(Origin {
            target_dir,
            hosts: cache_dir()?.join("hosts"),
            profile: if profile_folder == "debug" { "dev" } else { profile_folder },
            profile_folder,
            triple: env!("PGDL_BUILT_TRIPLE"),
            libtorch: Some(PathBuf::from(env!("PGDL_BUILT_LIBTORCH")))
                .filter(|path| !path.as_os_str().is_empty())
                .filter(|path| path.exists())
                .or_else(|| variable("LIBTORCH")),
            rustflags: env!("PGDL_BUILT_RUSTFLAGS"),
            source,
            manifest,
            lock,
        })
    }

    /// The folder of one of pgdl's own crates.
    pub fn own_crate(&self, name: &str) -> PathBuf {
        let path =
            at(&self.manifest, &["workspace", "dependencies", name, "path"]).and_then(toml::Value::as_str);
        match path {
            Some(path) => self.source.join(path),
            None => self.source.join("crates").join(name),
        }
    }

    /// The `[profile]` tables: hosts share compiled dependencies only where these agree.
    pub fn profiles(&self) -> String {
        let profiles = self.manifest.get("profile").cloned();
        let table: toml::Table =
            profiles.map(|profiles| ("profile".to_owned(), profiles)).into_iter().collect();
        toml::to_string(&table).unwrap_or_default()
    }

    /// The requirement of the workspace on a dependency from the registry, such as `=0.24.0`.
    pub fn requirement(&self, dependency: &str) -> Option<&str> {
        let entry = at(&self.manifest, &["workspace", "dependencies", dependency])?;
        entry.as_str().or_else(|| entry.get("version")?.as_str())
    }

    /// The packages that pgdl is made of and rests on.
    pub fn locked(&self) -> Vec<LockedPackage> {
        let Ok(lock) = self.lock.parse::<toml::Table>() else { return Vec::new() };
        let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
        let text = |package: &toml::Value, key: &str| {
            package.get(key).and_then(|value| value.as_str().map(str::to_owned))
        };
        packages
            .filter_map(|package| {
                Some(LockedPackage {
                    name: text(package, "name")?,
                    version: text(package, "version")?,
                    own: package.get("source").is_none(),
                })
            })
            .collect()
    }

    /// The version of a package that pgdl rests on.
    pub fn locked_version(&self, name: &str) -> Option<String> {
        self.locked().into_iter().find(|package| package.name == name).map(|package| package.version)
    }
}

/// A value in nested tables.
fn at<'a>(table: &'a toml::Table, keys: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// The folder for what can be made again: `$PGDL_CACHE_DIR`, else `pgdl` in the user's cache folder.
fn cache_dir() -> Result<PathBuf, Failure> {
    let system = || variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    variable(CACHE_VARIABLE)
        .or_else(|| system().filter(|path| path.is_absolute()).map(|path| path.join("pgdl")))
        .ok_or_else(|| {
            Failure::new(Exit::Plugin, "the environment names no folder for the host of a plugin")
                .hint(format!("set {CACHE_VARIABLE} to a folder that can be written"))
        })
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Makes a folder for what is built, or says which one cannot be written.
pub fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))
}

/// Writes a file unless it holds the same already: cargo goes by times.
pub fn write_if_changed(path: &Path, text: &str) -> Result<(), Failure> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Plugin, format!("cannot write the host of the plugin: {}: {error}", path.display()))
        .hint(format!("set {CACHE_VARIABLE} to a folder that can be written"))
}
