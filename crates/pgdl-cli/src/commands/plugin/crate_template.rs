//! `pgdl plugin new` and `pgdl plugin setup`: a plugin to start from, and where a machine has pgdl.
//!
//! The files of `template/` are a crate with the measure `my_measure`, which takes the name that is asked for.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pgdl_measure::Registry;
use pgdl_measure::registry::is_snake_case;

use crate::commands::plugin::origin::Origin;
use crate::commands::plugin::plugin_crate::quoted;
use crate::exit::{Exit, Failure, Outcome};
use crate::terminal::Terminal;

/// The files of a new plugin.
const FILES: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.template")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
    ("src/lib.rs", include_str!("template/src/lib.rs")),
    ("src/my_measure.rs", include_str!("template/src/my_measure.rs")),
    ("tests/measures.rs", include_str!("template/tests/measures.rs")),
    ("ci/check", include_str!("template/ci/check")),
    (".github/workflows/measures.yml", include_str!("template/github/measures.yml")),
];

/// Those of them that are programs.
const PROGRAMS: [&str; 1] = ["ci/check"];

/// Where cargo looks for what a machine says of itself.
const CARGO_CONFIG: &str = ".cargo/config.toml";

/// Names of crates that every Rust program knows, and the words of the language that can be neither crate nor module.
const TAKEN: [&str; 48] = [
    "std",
    "core",
    "alloc",
    "test",
    "proc_macro",
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "use",
];

/// Makes a plugin with one measure.
pub fn new(name: &str, folder: &Path, registry: &Registry, terminal: &Terminal) -> Outcome {
    let origin = Origin::find()?;
    check_name(name, registry, &origin)?;
    refuse_occupied(folder)?;
    for (path, text) in FILES {
        let path = path.replace("my_measure", name);
        let text = text.replace("my_measure", name).replace("PGDL_VERSION", env!("CARGO_PKG_VERSION"));
        write(&folder.join(&path), &text)?;
        if PROGRAMS.contains(&path.as_str()) {
            let place = folder.join(&path);
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))
                .map_err(|error| failed(&place, &error))?;
        }
    }
    // The versions that pgdl itself is built with: nothing has to be fetched.
    write(&folder.join("Cargo.lock"), &origin.lock)?;
    write(&folder.join(CARGO_CONFIG), &cargo_config(&origin))?;
    terminal.note(format_args!("made {}: the measure is in src/{name}.rs", folder.display()));
    terminal.hint(format_args!(
        "next: `pgdl plugin check {0}`, then `pgdl score --plugin {0} --measure {name} --zoo cifar_vgg`",
        folder.display()
    ));
    Ok(Exit::Ok)
}

/// Writes where this machine has pgdl and libtorch, for cargo run by hand in a plugin's folder.
pub fn setup(folder: &Path, terminal: &Terminal) -> Outcome {
    let origin = Origin::find()?;
    if !folder.join("Cargo.toml").is_file() {
        let what = format!("no plugin in {}: there is no Cargo.toml", folder.display());
        return Err(
            Failure::new(Exit::Plugin, what).hint("`pgdl plugin new NAME` makes a plugin to start from")
        );
    }
    let path = folder.join(CARGO_CONFIG);
    write(&path, &cargo_config(&origin))?;
    if !folder.join("Cargo.lock").exists() {
        write(&folder.join("Cargo.lock"), &origin.lock)?;
    }
    terminal.note(format_args!("wrote {}", path.display()));
    Ok(Exit::Ok)
}

fn check_name(name: &str, registry: &Registry, origin: &Origin) -> Result<(), Failure> {
    if !is_snake_case(name) {
        let failure = Failure::usage(format!(
            "`{name}` cannot be a measure's id: an id is snake_case, a-z first, then a-z, 0-9 and single underscores"
        ));
        let meant = snake_case(name);
        return Err(if is_snake_case(&meant) {
            failure.hint(format!("how about `{meant}`?"))
        } else {
            failure
        });
    }
    if TAKEN.contains(&name) || matches!(name, "all" | "family") {
        return Err(Failure::usage(format!("`{name}` is a reserved word")).hint("choose another name"));
    }
    if let Ok(info) = registry.info(name) {
        return Err(Failure::usage(format!(
            "there is a measure `{name}` already, in the family {}",
            info.family
        ))
        .hint("choose another name; `pgdl measures` lists those that are taken"));
    }
    if origin.locked().iter().any(|package| package.name.replace('-', "_") == name) {
        return Err(
            Failure::usage(format!("`{name}` is a crate that pgdl is made of")).hint("choose another name")
        );
    }
    Ok(())
}

fn refuse_occupied(folder: &Path) -> Result<(), Failure> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                Err(Failure::usage(format!("{} is not empty: nothing is overwritten", folder.display()))
                    .hint("name another folder as the second argument"))
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(folder, &error)),
    }
}

/// `.cargo/config.toml`: the settings that pgdl itself was built with, and where its crates are.
fn cargo_config(origin: &Origin) -> String {
    let path = |path: &Path| quoted(&path.display().to_string());
    let flags: Vec<String> =
        origin.rustflags.split('\x1f').filter(|flag| !flag.is_empty()).map(quoted).collect();
    let flags = flags.join(", ");
    let libtorch =
        origin.libtorch.as_deref().map(|folder| format!("LIBTORCH = {}\n", path(folder))).unwrap_or_default();
    let own: String = ["pgdl-measure", "pgdl-testkit"]
        .iter()
        .map(|name| format!("{name} = {{ path = {} }}\n", path(&origin.own_crate(name))))
        .collect();
    format!(
        "# Where this machine has pgdl and libtorch. Written by `pgdl plugin setup`; not for version control.\n\n\
         [build]\ntarget-dir = {}\nrustflags = [{flags}]\nrustdocflags = [{flags}]\n\n\
         [env]\n{libtorch}OMP_WAIT_POLICY = \"PASSIVE\"\n\n\
         [patch.crates-io]\n{own}\n{}",
        path(&origin.target_dir),
        origin.profiles(),
    )
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Plugin, format!("{}: {error}", path.display()))
}

/// `My-Measure` → `my_measure`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.trim().chars() {
        if letter.is_ascii_uppercase() && snake.chars().last().is_some_and(|last| last.is_ascii_lowercase()) {
            snake.push('_');
        }
        snake.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_answered_with_one() {
        for (name, snake) in [("MyMeasure", "my_measure"), ("my-measure", "my_measure"), ("mine", "mine")] {
            assert_eq!(snake_case(name), snake);
        }
    }

    #[test]
    fn the_template_has_no_name_but_its_own() {
        for (path, text) in FILES {
            assert!(!text.contains("/root") && !text.contains("/home"), "{path}");
        }
        assert!(FILES.iter().any(|(path, _)| *path == PROGRAMS[0]));
    }
}
