//! What the whole-program tests share: running the program, and finding the reference data.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for one test, with every folder of the user's inside it.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, in this place.
    pub fn pgdl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdl"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_DATA_HOME", self.path("share"))
            .env("PGDL_OFFLINE", "1")
            .env_remove("PGDL_ZOO_PATH")
            .env_remove("PGDL_RUNS_DIR");
        command
    }

    /// Runs the program and checks its exit code.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], exit: i32) -> Answer {
        Answer::expect(self.pgdl(arguments), exit)
    }
}

/// What the program said.
pub struct Answer {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// Runs a command and checks its exit code.
    #[track_caller]
    pub fn expect(mut command: Command, exit: i32) -> Self {
        let answer = Self::of(command.output().expect("the program starts"));
        let (stdout, stderr) = (&answer.stdout, &answer.stderr);
        assert_eq!(answer.exit, Some(exit), "{command:?}\nstdout:\n{stdout}\nstderr:\n{stderr}");
        answer
    }

    fn of(output: Output) -> Self {
        Self {
            exit: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{}", self.stdout))
    }
}

/// A file or folder of the reference data, or `None` and a plain word that the test is skipped.
pub fn reference(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let root = std::env::var_os("PGDL_REFERENCE").map_or(beside, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}
