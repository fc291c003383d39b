//! Compiling a stranger's plugin in a sandbox.
//!
//! What a compiler reads ends up in what it makes (`include_str!`), so it may read only sources, crates and itself. Build
//! scripts and procedural macros would run with write access to what pgdl itself is compiled into: a stranger's plugin
//! may bring none but those that pgdl rests on anyway.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pgdl_external::{Confined, Policy, Workshop};
use serde_json::Value;

use crate::commands::plugin::cargo::output;
use crate::commands::plugin::origin::{Origin, make_folder};
use crate::exit::{Exit, Failure};

/// Variables that the build scripts of pgdl's own dependencies heed: with others they would run anew.
const HEEDED: [&str; 9] = [
    "CC",
    "CXX",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "CMAKE",
    "LIBTORCH_USE_PYTORCH",
    "LIBTORCH_STATIC",
    "TORCH_CUDA_VERSION",
];

/// Refuses a plugin that brings code which runs while it is compiled.
pub fn refuse_code_at_build_time(graph: &Value, origin: &Origin, host: &Path) -> Result<(), Failure> {
    let locked = origin.locked();
    let ours = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        if package["source"].is_null() {
            let own = |name: &str| {
                ["crates", "measures"].iter().any(|top| manifest.starts_with(origin.source.join(top)))
                    && locked.iter().any(|one| one.own && one.name == name)
            };
            return manifest.starts_with(host) || package["name"].as_str().is_some_and(own);
        }
        let from_registry = package["source"].as_str().is_some_and(|source| source.starts_with("registry+"));
        from_registry
            && locked.iter().any(|one| {
                !one.own && package["name"] == one.name.as_str() && package["version"] == one.version.as_str()
            })
    };
    let packages = graph["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code = packages.iter().filter(|package| !ours(package)).find_map(|package| {
        let kinds = package["targets"].as_array()?.iter().filter_map(|target| target["kind"].as_array());
        let kind = kinds.flatten().find_map(|kind| match kind.as_str()? {
            "custom-build" => Some("a build script"),
            "proc-macro" => Some("procedural macros"),
            _ => None,
        })?;
        Some(format!("{kind} in {}", package["name"].as_str().unwrap_or("?")))
    });
    match code {
        None => Ok(()),
        Some(code) => Err(Failure::new(
            Exit::Plugin,
            format!("the plugin brings {code}: that would run while it is compiled"),
        )
        .hint("a submitted plugin has to do without, or --no-sandbox if you trust its author")),
    }
}

/// What a compiler of a host may see.
pub struct Bench {
    workshop: Workshop,
    cargo: PathBuf,
}

/// The place to compile a host in.
pub fn workshop(graph: &Value, origin: &Origin, host: &Path) -> Result<Bench, Failure> {
    let system = system_root(host)?;
    let cargo_home =
        env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let cargo_home = cargo_home.filter(|home| home.is_absolute()).ok_or_else(|| {
        Failure::new(Exit::Plugin, "no folder of cargo's is known").hint("set CARGO_HOME or HOME")
    })?;

    let mut read = vec![system.clone()];
    read.extend(["registry", "git", "config.toml"].map(|name| cargo_home.join(name)));
    let own = ["crates", "measures", "scripts", "results/published", "Cargo.toml", "Cargo.lock"];
    read.extend(own.map(|name| origin.source.join(name)));
    read.extend(origin.libtorch.clone());
    // The plugin, and crates beside it that it uses; above each the workspace that it may belong to.
    let packages = graph["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let local = packages.iter().filter(|package| package["source"].is_null());
    for folder in local.filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent()) {
        read.extend(folder.ancestors().skip(1).map(|above| above.join("Cargo.toml")));
        read.push(folder.to_owned());
    }
    let mut read: Vec<PathBuf> = read.into_iter().filter_map(|place| fs::canonicalize(place).ok()).collect();
    read.sort();
    read.dedup();

    make_folder(&origin.target_dir)?;
    let mut environment = vec![
        ("PATH".to_owned(), format!("{}:/usr/local/bin:/usr/bin:/bin", system.join("bin").display())),
        ("RUSTC".to_owned(), system.join("bin/rustc").display().to_string()),
        ("CARGO_HOME".to_owned(), cargo_home.display().to_string()),
        ("CARGO_TARGET_DIR".to_owned(), origin.target_dir.display().to_string()),
        ("CARGO_ENCODED_RUSTFLAGS".to_owned(), origin.rustflags.to_owned()),
    ];
    let libtorch =
        origin.libtorch.as_ref().map(|folder| ("LIBTORCH".to_owned(), folder.display().to_string()));
    environment.extend(libtorch);
    environment.extend(HEEDED.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?))));
    let write = vec![host.to_owned(), origin.target_dir.clone()];
    Ok(Bench { workshop: Workshop { read, write, environment }, cargo: system.join("bin/cargo") })
}

impl Bench {
    /// cargo, in the sandbox.
    pub fn command(
        &self,
        arguments: &[String],
        policy: &Policy,
        staging: &Path,
    ) -> Result<Confined, Failure> {
        self.workshop
            .command(&self.cargo, arguments, policy, staging)
            .map_err(|error| Failure::new(Exit::Plugin, format!("{}: {error}", staging.display())))
    }
}

/// Where the compiler is: not the program of that name on the path, which may be one that chooses among several.
fn system_root(host: &Path) -> Result<PathBuf, Failure> {
    let mut rustc = Command::new("rustc");
    let printed = output(rustc.args(["--print", "sysroot"]).current_dir(host).stdin(Stdio::null()))?;
    let root = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    if !printed.status.success() || !root.join("bin/cargo").is_file() {
        let what =
            format!("no compiler to take into a sandbox: `rustc --print sysroot` names {}", root.display());
        return Err(Failure::new(Exit::Plugin, what).hint("install Rust with rustup, or give --no-sandbox"));
    }
    Ok(root)
}
