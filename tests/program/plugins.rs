//! Plugins as their authors meet them. What is compiled here is compiled for real, in the folders of the build itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pgdl_testkit::TinyZoo;

use crate::support::{Answer, Place};

/// Hosts are built one after the other: cargo would make them wait for each other in any case.
static BUILDING: Mutex<()> = Mutex::new(());

/// A place for plugins, at the same path in every run: hosts are named after paths, and shall not pile up.
pub struct Bench {
    place: Place,
    folder: PathBuf,
    _building: MutexGuard<'static, ()>,
}

impl Bench {
    pub fn new(name: &str) -> Self {
        let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { place: Place::new(), folder, _building: building }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn pgdl(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.pgdl(arguments);
        command.current_dir(&self.folder).env("XDG_CACHE_HOME", self.folder.join("cache"));
        command.env_remove("PGDL_CACHE_DIR").env_remove("PGDL_SOURCE_DIR");
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str], exit: i32) -> Answer {
        Answer::expect(self.pgdl(arguments), exit)
    }

    /// A file, with the folders above it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A crate whose library is `library`, and which depends on `dependencies`.
    pub fn write_crate(&self, name: &str, dependencies: &str, library: &str) {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n"
        );
        self.write(&format!("{name}/Cargo.toml"), &manifest);
        self.write(&format!("{name}/src/lib.rs"), library);
    }

    pub fn zoo(&self) -> String {
        let folder = self.path("tiny");
        TinyZoo::train().unwrap().write(&folder).unwrap();
        folder.display().to_string()
    }
}

/// A plugin with measures of these ids and bodies of `evaluate`, which may look at `probe`.
pub fn plugin_of(measures: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "use pgdl_measure::*;\nstruct M(&'static MeasureInfo, fn(&Probe) -> Result<Measured, MeasureError>);\n\
         impl Measure for M {\n    fn info(&self) -> &MeasureInfo { self.0 }\n    \
         fn evaluate(&self, probe: &Probe) -> Result<Measured, MeasureError> { (self.1)(probe) }\n}\n\
         const fn info(id: &'static str) -> MeasureInfo {\n    MeasureInfo {\n        id, family: \"examples\", version: 1, \
         title: \"An example.\", formula: \"x\", shapes: \"a number\", paper: \"none\", needs: &[], cost: \"O(1)\", \
         invariances: Invariances::ALL, behaviour: \"none\", stochastic: false, control: false, parameters: &[],\n    }\n}\n\
         pub fn register(registry: &mut Registry) -> Result<(), RegistryError> {\n",
    );
    for (position, (id, body)) in measures.iter().enumerate() {
        text.push_str(&format!(
            "    static I{position}: MeasureInfo = info(\"{id}\");\n    \
             registry.add(&I{position}, |_| Ok(Box::new(M(&I{position}, |probe| {{ let _ = probe; {body} }}))))?;\n"
        ));
    }
    text + "    Ok(())\n}\n"
}

pub const MEASURE: &str = "pgdl-measure = \"0.1.0\"";

/// A line of `pgdl plugin check` with this mark and check.
fn line<'a>(answer: &'a Answer, mark: &str, check: &str) -> Option<&'a str> {
    answer.stdout.lines().find(|line| {
        let rest = line.strip_prefix(mark).map(str::trim_start);
        rest.is_some_and(|rest| rest.strip_prefix(check).is_some_and(|rest| rest.starts_with("  ")))
    })
}

#[test]
fn a_new_plugin_passes_its_own_checks_is_scored_and_built_again_after_an_edit() {
    let bench = Bench::new("new");
    let zoo = bench.zoo();
    bench.run(&["plugin", "new", "spread_margin"], 0);
    // Format, its own tests, and `pgdl plugin check`, as its CI runs them.
    let mut script = bench.pgdl(&[]);
    let pgdl = script.get_program().to_owned();
    let environment: Vec<_> = script
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(|value| value.to_owned())))
        .collect();
    script = Command::new(bench.path("spread_margin/ci/check"));
    for (name, value) in environment {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let flags = if cfg!(debug_assertions) { "--offline" } else { "--offline --release" };
    script.args(["--zoo", &zoo]).env("PGDL", pgdl).env("CARGO_FLAGS", flags).current_dir(&bench.folder);
    let answer = Answer::expect(script, 0);
    assert!(answer.stdout.contains("test result: ok. 3 passed"), "{}", answer.stdout);
    for check in [
        "crate",
        "builds",
        "registers",
        "runs",
        "documentation",
        "finite values",
        "determinism",
        "batch independence",
        "declared needs",
        "counted cost",
        "deadline",
        "invariances",
        "smoke run",
        "budget",
    ] {
        assert!(line(&answer, "ok", check).is_some(), "{check} in\n{}", answer.stdout);
    }
    assert!(!answer.stdout.contains("FAIL"), "{}", answer.stdout);

    let score = [
        "score",
        "--plugin",
        "spread_margin",
        "--measure",
        "spread_margin,margin",
        "--zoo",
        &zoo,
        "--format",
        "json",
    ];
    let before = bench.run(&score, 0);
    assert!(!before.stderr.contains("Compiling"), "nothing has changed: {}", before.stderr);
    let explained = bench.run(&["explain", "spread_margin", "--plugin", "spread_margin"], 0);
    assert!(
        explained.stdout.starts_with("spread_margin (family my_family, version 1)"),
        "{}",
        explained.stdout
    );

    // An edit: the value turns its sign, and with it every rank correlation.
    let source = "spread_margin/src/spread_margin.rs";
    let text = fs::read_to_string(bench.path(source)).unwrap();
    let edited =
        text.replace("version: 1,", "version: 2,").replace("Measured::value(-mean", "Measured::value(mean");
    assert_ne!(text, edited);
    bench.write(source, &edited);
    let after = bench.run(&score, 0);
    let tau = |answer: &Answer| answer.json()["scores"][0]["kendall_tau_b"].as_f64().unwrap();
    assert_eq!(tau(&before), -tau(&after));
    assert_eq!(before.json()["scores"][1]["kendall_tau_b"], after.json()["scores"][1]["kendall_tau_b"]);

    // The compiler's own words, the plugin's name, and the exit code of plugins.
    bench.write(source, &edited.replace("Measured::value(mean", "Measured::worth(mean"));
    let broken = bench.run(&score, 7);
    assert!(
        broken.stderr.contains("error[E0599]") && broken.stderr.contains("src/spread_margin.rs"),
        "{}",
        broken.stderr
    );
    assert!(broken.stderr.contains("error: plugin spread_margin does not compile"), "{}", broken.stderr);
}

#[test]
fn the_example_is_kept_listed_and_removed_and_built_by_hand() {
    let bench = Bench::new("example");
    let zoo = bench.zoo();
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/active_share").canonicalize().unwrap();
    let example = example.to_str().unwrap();
    bench.run(&["plugin", "add", example], 0);
    bench.run(&["plugin", "check", example, "--zoo", &zoo], 0);
    let listed = bench.run(&["plugin", "list", "--format", "json"], 0).json();
    assert_eq!(listed[0]["plugin"], "active_share");
    assert_eq!(listed[0]["measures"], "active_share");
    let score = ["score", "--measure", "active_share:layers=last", "--zoo", &zoo, "--format", "json"];
    let kept = bench.run(&score, 0).json();
    assert_eq!(kept["scores"][0]["covered"], 8);

    // The three lines of the documentation, as a program of one's own.
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins.md")).unwrap();
    let lines = page.split("```rust\n").find_map(|block| block.strip_prefix("fn main()")).unwrap();
    let lines =
        format!("fn main(){}", lines.split("```").next().unwrap().replace("my_measure", "active_share"));
    let folders: Vec<_> = fs::read_dir(bench.path("cache/pgdl/hosts")).unwrap().flatten().collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let host = folders[0].path();
    bench.write("by_hand/src/main.rs", &lines);
    for file in ["Cargo.toml", "Cargo.lock", "build.rs"] {
        let text = fs::read_to_string(host.join(file)).unwrap();
        let name = format!("pgdl-host-{}", host.file_name().unwrap().to_str().unwrap());
        bench.write(&format!("by_hand/{file}"), &text.replace(&name, "by_hand"));
    }
    bench.run(&["plugin", "setup", "by_hand"], 0);
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = Command::new(cargo);
    build.args(if cfg!(debug_assertions) { &["run"][..] } else { &["run", "--release"] });
    build.args(["--quiet", "--offline", "--", "measures", "active_share", "--format", "json"]);
    build.current_dir(bench.path("by_hand")).env("XDG_DATA_HOME", bench.path("nothing"));
    let by_hand = Answer::expect(build, 0).json();
    assert_eq!(by_hand[0]["family"], "activity");

    let answer = bench.run(&["plugin", "remove", "active_shares"], 2);
    assert!(answer.stderr.contains("hint: did you mean `active_share`?"), "{}", answer.stderr);
    bench.run(&["plugin", "remove", "active_share"], 0);
    let answer = bench.run(&score, 2);
    assert!(answer.stderr.contains("unknown measure `active_share`"), "{}", answer.stderr);
}

#[test]
fn measures_that_panic_hang_or_have_no_finite_value_cost_their_lines_and_not_the_check() {
    let bench = Bench::new("bad_measures");
    let bodies = [
        ("panics", "panic!(\"out of luck\")"),
        ("hangs", "loop { std::thread::sleep(std::time::Duration::from_secs(1)) }"),
        ("not_a_number", "Ok(Measured::value(f64::NAN))"),
    ];
    bench.write_crate("bad_measures", MEASURE, &plugin_of(&bodies));
    let zoo = bench.zoo();
    let answer = bench.run(&["plugin", "check", "bad_measures", "--time-limit", "10s", "--zoo", &zoo], 7);
    let fails = |check: &str, words: &str| {
        let found = answer
            .stdout
            .lines()
            .any(|line| line.starts_with("FAIL") && line.contains(check) && line.contains(words));
        assert!(found, "{check}: {words} in\n{}", answer.stdout);
    };
    fails("runs", "panics panicked at");
    fails("runs", "out of luck");
    fails("runs", "hangs did not end within 10 s");
    fails(
        "finite values",
        "not_a_number: is failed on tiny_conv, which has all that a measure may need: the measure gave value NaN",
    );
    fails("smoke run", "panics on network");
    fails("smoke run", "hangs on network 0 of tiny: timeout");
    assert!(line(&answer, "ok", "documentation").is_some(), "{}", answer.stdout);
    assert!(answer.stderr.contains("checks failed"), "{}", answer.stderr);
}

#[test]
fn ids_that_are_taken_or_malformed_and_a_missing_register_are_said() {
    let bench = Bench::new("register");
    let check = |library: &str, finding: &str, hint: &str| {
        bench.write_crate("strange", MEASURE, library);
        let answer = bench.run(&["plugin", "check", "strange", "--no-smoke-run"], 7);
        assert!(answer.stdout.contains(finding), "{}", answer.stdout);
        assert!(answer.stderr.contains(hint), "{}", answer.stderr);
    };
    let taken = plugin_of(&[("margin", "Ok(Measured::value(1.0))")]);
    check(&taken, "measure `margin` is registered twice (families `margin` and `examples`)", "hint: ");
    let malformed = plugin_of(&[("MyMeasure", "Ok(Measured::value(1.0))")]);
    check(&malformed, "measure id `MyMeasure` is not usable", "hint: ");
    check(&plugin_of(&[]), "`register` adds no measure", "1 of 3 checks failed");
    check("pub fn enlist() {}", "plugin strange has no public function `register`", "pub fn register");
    check("pub fn register() {}", "`register` of plugin strange is another function", "pub fn register");
}

#[test]
fn what_is_no_plugin_is_refused_with_a_way_out() {
    let bench = Bench::new("refused");
    let refused = |folder: &str, message: &str, hint: &str| {
        let answer = bench.run(&["measures", "--plugin", folder], 7);
        assert!(answer.stderr.contains(message), "`{message}` in {}", answer.stderr);
        assert!(answer.stderr.contains(hint), "`{hint}` in {}", answer.stderr);
    };
    refused("./nowhere", "no plugin in ./nowhere", "hint: `pgdl plugin new NAME`");
    bench.write("empty/README.md", "");
    refused("./empty", "there is no Cargo.toml", "hint: `pgdl plugin new NAME`");
    bench.write("broken/Cargo.toml", "[package\n");
    refused("./broken", "cargo cannot read", "unclosed table");
    bench.write("program/Cargo.toml", "[package]\nname = \"program\"\nedition = \"2024\"\n[workspace]\n");
    bench.write("program/src/main.rs", "fn main() {}\n");
    refused("./program", "program is no library", "hint: a plugin is a library crate");
    bench.write("workspace/Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"inner\"]\n");
    bench.write("workspace/inner/Cargo.toml", "[package]\nname = \"inner\"\nedition = \"2024\"\n");
    bench.write("workspace/inner/src/lib.rs", "");
    refused("./workspace", "is a workspace, not a crate", "workspace/inner");
    bench.write_crate("pgdl-score", MEASURE, "");
    refused("./pgdl-score", "the name pgdl-score is one of pgdl's own crates", "another name");
    bench.write_crate("idle", "", "");
    refused("./idle", "idle does not depend on pgdl-measure", "pgdl-measure = \"0.1.0\"");
    let tch = format!("{MEASURE}\ntch = \"0.26\"");
    bench.write_crate("other_tch", &tch, "");
    refused("./other_tch", "wants tch ^0.26, this pgdl has 0.24.0", "pgdl_measure::tch");
    bench.write_crate("newer", "pgdl-measure = \"7\"", "");
    refused("./newer", "wants pgdl-measure ^7, this pgdl has 0.1.0", "pgdl-measure = \"0.1.0\"");
    bench.write_crate("pgdl-measure", "", "");
    fs::rename(bench.path("pgdl-measure"), bench.path("another")).unwrap();
    bench.write_crate("elsewhere", "pgdl-measure = { path = \"../another\" }", "");
    refused("./elsewhere", "wants pgdl-measure in", "its host then uses pgdl-measure of this pgdl");
    bench.write_crate("by_git", "pgdl-measure = { git = \"https://example.org/pgdl\" }", "");
    refused("./by_git", "wants pgdl-measure from git+https://example.org/pgdl", "hint: write");
    // By way of another crate, which only the whole graph shows.
    bench.write_crate("middle", "pgdl-measure = { path = \"../another\" }", "");
    bench.write_crate("indirect", &format!("{MEASURE}\nmiddle = {{ path = \"../middle\" }}"), "");
    refused(
        "./indirect",
        "indirect wants another pgdl-measure, by way of a crate that it uses",
        "hint: write",
    );
    let manifest = fs::read_to_string(bench.path("another/Cargo.toml")).unwrap();
    bench.write("another/Cargo.toml", &manifest.replace("0.1.0", "0.2.0"));
    refused("./indirect", "middle wants another pgdl-measure: 0.2.0 in", "hint: write");
}

#[test]
fn names_of_new_plugins_are_ids_that_nobody_has() {
    let bench = Bench::new("names");
    let refused = |name: &str, message: &str, hint: &str| {
        let answer = bench.run(&["plugin", "new", name], 2);
        assert!(answer.stderr.contains(message) && answer.stderr.contains(hint), "{}", answer.stderr);
        assert!(!bench.path(name).exists(), "{name}");
    };
    refused("My-Measure", "`My-Measure` cannot be a measure's id", "hint: how about `my_measure`?");
    refused("margin", "there is a measure `margin` already", "hint: choose another name");
    refused("serde", "`serde` is a crate that pgdl is made of", "hint: ");
    refused("match", "`match` is a reserved word", "hint: ");
    bench.write("full/file", "");
    let answer = bench.run(&["plugin", "new", "mine", "full"], 2);
    assert!(answer.stderr.contains("full is not empty: nothing is overwritten"), "{}", answer.stderr);
}

#[test]
fn a_machine_that_cannot_build_is_told_what_it_lacks() {
    let bench = Bench::new("machine");
    bench.write_crate("plain", MEASURE, "");
    let with = |name: &str, value: &str, message: &str, hint: &str| {
        let mut command = bench.pgdl(&["measures", "--plugin", "./plain"]);
        command.env(name, value);
        let answer = Answer::expect(command, 7);
        assert!(answer.stderr.contains(message), "`{message}` in {}", answer.stderr);
        assert!(answer.stderr.contains(hint), "`{hint}` in {}", answer.stderr);
    };
    with("CARGO", "/nowhere/cargo", "cannot run /nowhere/cargo", "hint: a plugin is compiled: install Rust");
    bench.write("file", "");
    let no_folder = bench.path("file/cache");
    with(
        "PGDL_CACHE_DIR",
        no_folder.to_str().unwrap(),
        "cannot write the host of the plugin",
        "hint: set PGDL_CACHE_DIR",
    );
    with(
        "PGDL_SOURCE_DIR",
        "/nowhere",
        "PGDL_SOURCE_DIR names no source of pgdl",
        "hint: set PGDL_SOURCE_DIR",
    );
}

#[test]
fn a_plugin_comes_from_a_git_repository() {
    let bench = Bench::new("git");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"])
            .arg(bench.path("from_git"))
            .args(arguments);
        git.output().is_ok_and(|output| output.status.success())
    };
    bench.write_crate("from_git", MEASURE, &plugin_of(&[("from_afar", "Ok(Measured::value(1.0))")]));
    if !(git(&["init", "--quiet"]) && git(&["add", "."]) && git(&["commit", "--quiet", "-m", "a plugin"])) {
        println!("skipped: no git");
        return;
    }
    let address = format!("file://{}", bench.path("from_git").display());
    let mut add = bench.pgdl(&["plugin", "add", &address]);
    // At the same path in every run, as all that hosts are named after.
    add.env("XDG_DATA_HOME", bench.path("share"));
    Answer::expect(add, 0);
    let copy = bench.path("share/pgdl/plugins/from_git");
    assert!(copy.join("Cargo.toml").exists());
    let mut measures = bench.pgdl(&["measures", "from_afar"]);
    measures.env("XDG_DATA_HOME", bench.path("share"));
    assert!(Answer::expect(measures, 0).stdout.contains("examples"));
    let mut remove = bench.pgdl(&["plugin", "remove", "from_git"]);
    remove.env("XDG_DATA_HOME", bench.path("share"));
    Answer::expect(remove, 0);
    assert!(!copy.exists());
    let answer = bench.run(&["plugin", "add", "file:///nowhere/nothing"], 7);
    assert!(answer.stderr.contains("git cannot copy file:///nowhere/nothing"), "{}", answer.stderr);
}

#[test]
fn a_crate_of_the_registry_is_added_like_any_other_if_it_is_a_plugin() {
    let bench = Bench::new("registry");
    // One that is no plugin is told before anything is compiled; of one that nobody has, cargo tells.
    let answer = bench.run(&["plugin", "add", "serde"], 7);
    assert!(answer.stderr.contains("the crate serde is no plugin"), "{}", answer.stderr);
    assert!(answer.stderr.contains("hint: ") && !answer.stderr.contains("building"), "{}", answer.stderr);
    let answer = bench.run(&["plugin", "add", "a-measure-that-nobody-made@0.3"], 7);
    assert!(
        answer.stderr.contains("no matching package named `a-measure-that-nobody-made`"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("hint: PGDL_OFFLINE is set"), "{}", answer.stderr);
    assert!(!bench.path("share/pgdl/plugins.toml").exists());

    // A registry of our own for one crate: cargo looks for it here in place of the registry.
    bench.write_crate("registered", MEASURE, &plugin_of(&[("from_registry", "Ok(Measured::value(1.0))")]));
    let settings = format!("[patch.crates-io]\nregistered = {{ path = {:?} }}\n", bench.path("registered"));
    bench.write(".cargo/config.toml", &settings);
    let run = |arguments: &[&str], exit: i32| {
        let mut command = bench.pgdl(arguments);
        command.env("XDG_DATA_HOME", bench.path("share"));
        Answer::expect(command, exit)
    };
    let answer = run(&["plugin", "add", "registered@7"], 7);
    assert!(
        answer.stderr.contains("no versions of crates fit both pgdl and registered"),
        "{}",
        answer.stderr
    );
    let answer = run(&["plugin", "add", "registered@0.1"], 0);
    assert!(answer.stderr.contains("added registered: from_registry"), "{}", answer.stderr);
    assert_eq!(run(&["plugin", "list", "--format", "json"], 0).json()[0]["source"], "registered@0.1");
    assert!(run(&["measures", "from_registry"], 0).stdout.contains("examples"));
    run(&["plugin", "remove", "registered"], 0);
    run(&["measures", "from_registry"], 2);
}
