//! Hosts: the program with the built-in measures and those of plugins, compiled when needed.
//!
//! A host is a crate of a few lines in a folder named after all that it is made of. All hosts share one target folder with
//! each other and with pgdl's own build, and a copy of pgdl's lock file, so that little is compiled and nothing fetched.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use pgdl_external::Policy;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::commands::plugin::cargo::{Built, build, cargo, message_format, offline, output};
use crate::commands::plugin::confined;
use crate::commands::plugin::origin::{Origin, make_folder, write_if_changed};
use crate::commands::plugin::plugin_crate::{Place, PluginCrate, another_tch, quoted};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Hosts are called this, and 16 digits of what they are made of.
const PREFIX: &str = "pgdl-host-";

/// So many hosts are kept, the one that is built among them.
const KEPT: usize = 8;

/// A host that can be built.
#[derive(Debug)]
pub struct Host<'a> {
    origin: &'a Origin,
    plugins: Vec<PluginCrate>,
    name: String,
    folder: PathBuf,
}

/// Versions for everything.
struct Resolved {
    /// As `cargo metadata` tells.
    graph: Value,
    /// Whether the network was needed.
    online: bool,
}

/// Whether this program is a host.
pub fn this_is_a_host() -> bool {
    this_program().is_some_and(|name| name.starts_with(PREFIX))
}

fn this_program() -> Option<String> {
    Some(env::current_exe().ok()?.file_name()?.to_str()?.to_owned())
}

impl<'a> Host<'a> {
    /// The host of these plugins.
    ///
    /// # Errors
    /// Two of them have one name.
    pub fn new(mut plugins: Vec<PluginCrate>, origin: &'a Origin) -> Result<Host<'a>, Failure> {
        plugins.sort_by(|one, other| one.library.cmp(&other.library));
        if let Some([one, other]) = plugins.windows(2).find(|two| two[0].library == two[1].library) {
            let what =
                format!("two plugins are called {}: {} and {}", one.name, one.source(), other.source());
            return Err(
                Failure::new(Exit::Plugin, what).hint("give one of them another name in its Cargo.toml")
            );
        }
        let mut digest = Sha256::new();
        let made_of = [manifest("", &plugins, origin), main(&plugins), origin.lock.clone()];
        for part in
            made_of.iter().map(String::as_str).chain([origin.profile, origin.triple, origin.rustflags])
        {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let digits: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{PREFIX}{digits}");
        Ok(Host { folder: origin.hosts.join(&digits), origin, plugins, name })
    }

    /// Whether it is this very program.
    pub fn is_this_program(&self) -> bool {
        this_program().is_some_and(|name| name == self.name)
    }

    /// The program, once it is built.
    pub fn program(&self) -> PathBuf {
        self.origin.target_dir.join(self.origin.profile_folder).join(&self.name)
    }

    /// Writes its files and finds versions for everything.
    fn prepare(&self) -> Result<Resolved, Failure> {
        make_folder(&self.folder.join("src"))?;
        make_folder(&self.origin.target_dir)?;
        let build_script = self.origin.own_crate("pgdl").join("build.rs");
        let build_script = fs::read_to_string(&build_script)
            .map_err(|error| Failure::new(Exit::Plugin, format!("{}: {error}", build_script.display())))?;
        write_if_changed(&self.folder.join("Cargo.toml"), &manifest(&self.name, &self.plugins, self.origin))?;
        write_if_changed(&self.folder.join("build.rs"), &build_script)?;
        write_if_changed(&self.folder.join("src/main.rs"), &main(&self.plugins))?;
        let lock = self.folder.join("Cargo.lock");
        if !lock.exists() {
            write_if_changed(&lock, &self.origin.lock)?;
        }
        // Its time tells when the host was last used; where it cannot be set, that it is older than it is does no harm.
        let _ =
            fs::File::options().write(true).open(&lock).and_then(|lock| lock.set_modified(SystemTime::now()));
        self.resolve()
    }

    /// Builds it, or finds that nothing has changed.
    ///
    /// # Errors
    /// What the plugins want and what pgdl has do not fit together, or something does not compile: cargo's messages are
    /// shown before.
    pub fn build(&self, terminal: &Terminal) -> Result<(), Failure> {
        let Resolved { online, .. } = self.prepare()?;
        let mut command = cargo(self.origin, &self.folder);
        command.args(self.build_arguments(terminal));
        if !online {
            command.arg("--offline");
        }
        self.compile(&mut command, terminal)
    }

    /// Builds it of a stranger's plugin, in a sandbox: nothing of the plugin runs, and nothing that it may not see can be
    /// compiled into it.
    ///
    /// # Errors
    /// As [`Host::build`]; also where the plugin brings code that would run while it is compiled.
    pub fn build_confined(
        &self,
        policy: &Policy,
        staging: &Path,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let Resolved { graph, .. } = self.prepare()?;
        confined::refuse_code_at_build_time(&graph, self.origin, &self.folder)?;
        let workshop = confined::workshop(&graph, self.origin, &self.folder)?;
        let mut arguments = self.build_arguments(terminal);
        arguments.extend(["--offline", "--manifest-path"].map(str::to_owned));
        arguments.push(self.folder.join("Cargo.toml").display().to_string());
        let mut confined = workshop.command(&arguments, policy, staging)?;
        self.compile(&mut confined.command, terminal).map_err(|failure| match confined.ended_because() {
            Some(reason) => Failure::new(Exit::Plugin, reason),
            None => failure,
        })
    }

    /// What cargo is told.
    fn build_arguments(&self, terminal: &Terminal) -> Vec<String> {
        let mut arguments = vec!["build".to_owned(), "--profile".to_owned(), self.origin.profile.to_owned()];
        arguments.push(message_format(terminal));
        if !self.shows_progress(terminal) {
            arguments.push("--quiet".to_owned());
        }
        arguments
    }

    fn shows_progress(&self, terminal: &Terminal) -> bool {
        !self.program().exists() && !terminal.quiet
    }

    fn compile(&self, command: &mut Command, terminal: &Terminal) -> Result<(), Failure> {
        let progress = self.shows_progress(terminal);
        if !self.program().exists() {
            self.forget_others();
            let names: Vec<&str> = self.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
            terminal.note(format_args!(
                "building a pgdl with {} (minutes the first time, seconds after)",
                names.join(", ")
            ));
        }
        let main = self.folder.join("src/main.rs");
        let of_a_plugin = |manifest: &str| {
            self.plugins.iter().find(|plugin| match &plugin.place {
                Place::Folder(folder) => {
                    Path::new(manifest).canonicalize().ok() == Some(folder.join("Cargo.toml"))
                }
                Place::Registry(_) => manifest.contains(&format!("/{}-", plugin.name)),
            })
        };
        let built = build(
            command,
            |message| {
                // What pgdl's own crates are warned of is no concern of a plugin's author.
                let concerns = message.error || of_a_plugin(&message.manifest).is_some();
                concerns && !self.is_own_main(&message.manifest)
            },
            progress,
            terminal,
        )?;
        if built.complete {
            return Ok(());
        }
        let error = built.messages.iter().find(|message| message.error);
        Err(match error {
            Some(error) if self.is_own_main(&error.manifest) => self.no_register(&built, terminal),
            Some(error) => match of_a_plugin(&error.manifest) {
                Some(plugin) => {
                    Failure::new(Exit::Plugin, format!("plugin {} does not compile", plugin.name))
                }
                None => {
                    Failure::new(Exit::Plugin, format!("{} does not compile", error.manifest)).hint(format!(
                        "the source of pgdl in {} has to compile for any plugin to",
                        self.origin.source.display()
                    ))
                }
            },
            None => Failure::new(
                Exit::Plugin,
                format!("the host in {} cannot be built\n{}", main.display(), built.talk.trim_end()),
            ),
        })
    }

    /// Removes the hosts that were not used for longest: each holds all of pgdl.
    fn forget_others(&self) {
        let entries = fs::read_dir(&self.origin.hosts).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).filter(|path| *path != self.folder);
        let used =
            |path: &PathBuf| fs::metadata(path.join("Cargo.lock")).and_then(|lock| lock.modified()).ok();
        let mut others: Vec<PathBuf> = others.collect();
        others.sort_by_key(|path| std::cmp::Reverse(used(path)));
        for folder in others.iter().skip(KEPT - 1) {
            let Some(digits) = folder.file_name().and_then(|name| name.to_str()) else { continue };
            let program = self.program().with_file_name(format!("{PREFIX}{digits}"));
            let linked = program.with_file_name("deps");
            let prefix = format!("{PREFIX}{digits}").replace('-', "_");
            let copies = fs::read_dir(&linked).into_iter().flatten().flatten().map(|entry| entry.path());
            let copies = copies.filter(|path| {
                let name = path.file_name().map(|name| name.to_string_lossy().replace('-', "_"));
                name.is_some_and(|name| name.starts_with(&prefix))
            });
            // What cannot be removed takes room, and does no other harm.
            for file in copies.chain([program.with_extension("d"), program]) {
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir_all(folder);
        }
    }

    /// Replaces this process by the host, which takes up the same command line.
    ///
    /// # Errors
    /// The host cannot be started.
    pub fn take_over(&self) -> Result<Infallible, Failure> {
        let error = Command::new(self.program()).args(env::args_os().skip(1)).exec();
        Err(Failure::new(Exit::Plugin, format!("cannot run {}: {error}", self.program().display())))
    }

    fn is_own_main(&self, manifest: &str) -> bool {
        Path::new(manifest).starts_with(&self.folder)
    }

    /// The few lines of the host do not compile: a plugin lacks what they call.
    fn no_register(&self, built: &Built, terminal: &Terminal) -> Failure {
        let errors: Vec<_> = built.messages.iter().filter(|message| message.error).collect();
        let missing = |plugin: &&PluginCrate| {
            let named = |text: &str| {
                text.contains(&format!("`{}`", plugin.library))
                    || text.contains(&format!("{}::register", plugin.library))
            };
            errors.iter().any(|error| named(&error.text) || named(&error.rendered))
        };
        let plugin = self.plugins.iter().find(missing).or(self.plugins.first());
        let name = plugin.map_or("?", |plugin| plugin.name.as_str());
        let failure = match errors.first().and_then(|error| error.code.as_deref()) {
            Some("E0425" | "E0603" | "E0433") => {
                Failure::new(Exit::Plugin, format!("plugin {name} has no public function `register`"))
            }
            _ => {
                errors.iter().for_each(|error| terminal.pass_on(&error.rendered));
                Failure::new(
                    Exit::Plugin,
                    format!("`register` of plugin {name} is another function than is asked for"),
                )
            }
        };
        failure.hint(
            "its src/lib.rs needs `pub fn register(registry: &mut pgdl_measure::Registry) -> Result<(), pgdl_measure::RegistryError>`",
        )
    }

    /// Finds versions for everything, without the network where that is possible.
    fn resolve(&self) -> Result<Resolved, Failure> {
        let metadata = |flags: &[&str]| {
            let mut command = cargo(self.origin, &self.folder);
            command.args(["metadata", "--format-version", "1", "--filter-platform", self.origin.triple]);
            output(command.args(flags))
        };
        let mut found = metadata(&["--offline"])?;
        let online = !found.status.success() && !offline();
        if online {
            found = metadata(&[])?;
        }
        if !found.status.success() {
            return Err(self.does_not_fit(&String::from_utf8_lossy(&found.stderr)));
        }
        let graph: Value = serde_json::from_slice(&found.stdout)
            .map_err(|error| Failure::new(Exit::Plugin, format!("cargo's answer cannot be read: {error}")))?;
        self.check_graph(&graph)?;
        Ok(Resolved { graph, online })
    }

    /// Says why no versions can be found.
    fn does_not_fit(&self, said: &str) -> Failure {
        let names: Vec<&str> = self.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let names = names.join(", ");
        let ours = self.origin.locked_version("tch").unwrap_or_default();
        if said.contains("links to the native library `tch`") {
            let failure =
                another_tch(&names, "tch", "of another version, by way of a crate that it uses", &ours);
            return Failure { message: format!("{}\n{}", failure.message, said.trim_end()), ..failure };
        }
        // Two packages of one name and version, neither from a registry.
        if said.contains("package collision in the lockfile") {
            let version = self.origin.locked_version("pgdl-measure").unwrap_or_default();
            let what = format!(
                "{names} wants another pgdl-measure, by way of a crate that it uses:\n{}",
                said.trim_end()
            );
            return Failure::new(Exit::Plugin, what).hint(format!(
                "write `pgdl-measure = \"{version}\"` in that crate's Cargo.toml: the host then uses that of this pgdl"
            ));
        }
        let failure = Failure::new(
            Exit::Plugin,
            format!("no versions of crates fit both pgdl and {names}:\n{}", said.trim_end()),
        );
        if offline() {
            failure.hint("PGDL_OFFLINE is set: only crates that were fetched before can be used")
        } else {
            failure.hint("pgdl's own versions are fixed by its Cargo.lock: relax what the plugin asks for")
        }
    }

    /// One pgdl-measure: the types of two would not fit together; and none would be no plugin.
    fn check_graph(&self, graph: &Value) -> Result<(), Failure> {
        let packages = graph["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        for plugin in self.plugins.iter().filter(|plugin| matches!(plugin.place, Place::Registry(_))) {
            // Those in folders were looked at when they were found.
            let package = packages.iter().find(|package| package["name"] == plugin.name.as_str());
            let dependencies = package.and_then(|package| package["dependencies"].as_array());
            let uses = |one: &Value| one["name"] == "pgdl-measure" && one["kind"].is_null();
            if !dependencies.is_some_and(|all| all.iter().any(uses)) {
                return Err(Failure::new(
                    Exit::Plugin,
                    format!("the crate {} is no plugin: it does not depend on pgdl-measure", plugin.name),
                )
                .hint("a plugin is a folder, a git address, or a crate that was made as one; is the name right?"));
            }
        }
        for own in self.origin.locked().iter().filter(|package| package.own) {
            let place = self.origin.own_crate(&own.name).join("Cargo.toml");
            let stranger =
                packages.iter().filter(|package| package["name"] == own.name.as_str()).find(|package| {
                    let manifest = package["manifest_path"].as_str().unwrap_or_default();
                    Path::new(manifest).canonicalize().ok() != place.canonicalize().ok()
                });
            // A crate of pgdl that is no dependency of pgdl-cli may come from anywhere.
            let Some(stranger) = stranger.filter(|_| place.exists()) else { continue };
            let nodes = graph["resolve"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            let wants = nodes.iter().find(|node| {
                node["dependencies"].as_array().is_some_and(|all| all.contains(&stranger["id"]))
            });
            let wants = wants
                .and_then(|node| packages.iter().find(|package| package["id"] == node["id"]))
                .and_then(|package| package["name"].as_str())
                .unwrap_or("a crate");
            let version = stranger["version"].as_str().unwrap_or("?");
            let what = format!(
                "{wants} wants another {}: {version} in {}, this pgdl is built with {} in {}",
                own.name,
                stranger["manifest_path"].as_str().unwrap_or("?").trim_end_matches("/Cargo.toml"),
                own.version,
                self.origin.own_crate(&own.name).display()
            );
            return Err(Failure::new(Exit::Plugin, what).hint(format!(
                "write `{} = \"{}\"` in its Cargo.toml: its host then uses that of this pgdl",
                own.name, own.version
            )));
        }
        Ok(())
    }
}

/// The host's `Cargo.toml`.
fn manifest(name: &str, plugins: &[PluginCrate], origin: &Origin) -> String {
    let path = |name: &str| quoted(&origin.own_crate(name).display().to_string());
    let torch = origin.requirement("torch-sys").unwrap_or("*");
    let mut text = format!(
        "# Written by pgdl: changes are lost.\n[package]\nname = {}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n[dependencies]\npgdl-cli = {{ path = {} }}\npgdl-measures = {{ path = {} }}\ntorch-sys = {}\n",
        quoted(name),
        path("pgdl-cli"),
        path("pgdl-measures"),
        quoted(torch),
    );
    text.extend(plugins.iter().map(PluginCrate::dependency));
    let mut own: Vec<&String> = plugins.iter().flat_map(|plugin| &plugin.own_from_registry).collect();
    own.sort_unstable();
    own.dedup();
    if !own.is_empty() {
        text.push_str("\n[patch.crates-io]\n");
        text.extend(own.iter().map(|name| format!("{name} = {{ path = {} }}\n", path(name))));
    }
    format!("{text}\n{}", origin.profiles())
}

/// The host's `src/main.rs`.
fn main(plugins: &[PluginCrate]) -> String {
    let calls: String =
        plugins.iter().map(|plugin| format!("        {}::register(registry)?;\n", plugin.library)).collect();
    format!(
        "//! pgdl with the measures of plugins. Written by pgdl: changes are lost.\n\n\
         fn main() -> std::process::ExitCode {{\n    pgdl_cli::main(|registry| {{\n        \
         pgdl_measures::register(registry)?;\n{calls}        Ok(())\n    }})\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str) -> PluginCrate {
        PluginCrate::in_registry(name).unwrap()
    }

    #[test]
    fn a_host_is_named_after_its_plugins_in_whatever_order() {
        let origin = Origin::find().unwrap();
        let name = |names: &[&str]| {
            Host::new(names.iter().map(|name| plugin(name)).collect(), &origin).unwrap().name
        };
        assert_eq!(name(&["one", "two"]), name(&["two", "one"]));
        assert_ne!(name(&["one"]), name(&["two"]));
        assert_ne!(name(&["one@0.1"]), name(&["one@0.2"]));
        let twice = Host::new(vec![plugin("a-b"), plugin("a_b")], &origin).unwrap_err();
        assert!(twice.message.contains("two plugins are called a"), "{}", twice.message);
    }

    #[test]
    fn the_hosts_that_were_not_used_for_longest_are_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let (hosts, target_dir) = (place.path().join("hosts"), place.path().join("target"));
        let origin = Origin { hosts, target_dir, ..Origin::find().unwrap() };
        let programs = origin.target_dir.join(origin.profile_folder);
        fs::create_dir_all(programs.join("deps")).unwrap();
        let files = |number: usize| {
            let name = format!("{PREFIX}{number:016}");
            let linked = format!("deps/{}-0123abcd", name.replace('-', "_"));
            [programs.join(&name), programs.join(format!("{name}.d")), programs.join(linked)]
        };
        let folder = |number: usize| origin.hosts.join(format!("{number:016}"));
        for number in 0..12 {
            fs::create_dir_all(folder(number)).unwrap();
            let lock = fs::File::create(folder(number).join("Cargo.lock")).unwrap();
            // The lower its number, the longer it was not used.
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + number as u64);
            lock.set_modified(used).unwrap();
            files(number).iter().for_each(|file| fs::write(file, "").unwrap());
        }
        let others = programs.join("deps/libserde-0123abcd.rlib");
        fs::write(&others, "").unwrap();
        Host::new(vec![plugin("one")], &origin).unwrap().forget_others();
        for number in 0..12 {
            let kept = number >= 12 - (KEPT - 1);
            assert_eq!(folder(number).exists(), kept, "{number}");
            assert!(files(number).iter().all(|file| file.exists() == kept), "{number}");
        }
        assert!(others.exists());
    }

    #[test]
    fn a_host_is_pgdl_with_the_plugins_and_the_profiles_of_its_own_build() {
        let origin = Origin::find().unwrap();
        let plugins = [plugin("my-measures@0.2")];
        let table: toml::Table = manifest("pgdl-host-0", &plugins, &origin).parse().unwrap();
        assert_eq!(table["profile"], origin.manifest["profile"]);
        assert_eq!(table["dependencies"]["my_measures"]["version"].as_str(), Some("0.2"));
        assert_eq!(
            table["dependencies"]["torch-sys"],
            origin.manifest["workspace"]["dependencies"]["torch-sys"]
        );
        let patched = table["patch"]["crates-io"]["pgdl-measure"]["path"].as_str().unwrap();
        assert!(Path::new(patched).join("src/contract.rs").exists(), "{patched}");
        assert!(main(&plugins).contains("        my_measures::register(registry)?;\n"));
    }
}
