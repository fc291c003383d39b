//! Submissions as the competition of 2020 took them: a folder with a `complexity.py` for Keras.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::digest::digest;
use crate::error::{ExternalError, Result};
use crate::program::Program;
use crate::protocol::{Description, ProgramNeed};
use crate::sandbox::Policy;
use crate::staging::publish;

/// The file that a submission has to hold.
pub const COMPLEXITY: &str = "complexity.py";

/// The runner, which hands a submission its model and its data.
const RUNNER: &str = include_str!("../../../scripts/run_submission.py");

/// The variable that names a Python with TensorFlow, as the tests against Keras use it.
const PYTHON_VARIABLE: &str = "PGDL_KERAS_PYTHON";

/// A submission that is to become a program.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The folder.
    pub folder: PathBuf,
    /// A Python with TensorFlow; none: the one that `scripts/interchange` makes in the user's cache folder.
    pub python: Option<PathBuf>,
    /// The sandbox to run it in, if in any.
    pub sandbox: Option<Policy>,
    /// Whether the zoo keeps initial weights: the model then has them.
    pub initial_weights: bool,
}

/// The id of a submission's measure: `submission_` and the folder's name, made snake_case.
pub fn measure_id(folder: &Path) -> String {
    let full = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = full.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let words = name.split(|each: char| !each.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold("submission".to_owned(), |id, word| format!("{id}_{word}"))
}

impl Submission {
    /// The submission as a program. Its files are copied into `staging`: what is edited meanwhile does not matter.
    ///
    /// # Errors
    /// The folder holds no `complexity.py`, there is no Python with TensorFlow, or no sandbox can be made.
    pub fn program(&self, staging: &Path) -> Result<Program> {
        let shown = self.folder.display();
        if !self.folder.join(COMPLEXITY).is_file() {
            return Err(ExternalError::new(format!("{shown} holds no {COMPLEXITY}")).hint(
                "a submission is a folder with a complexity.py that defines complexity(model, dataset)",
            ));
        }
        let about = |error: std::io::Error| ExternalError::new(format!("{shown}: {error}"));
        // Before anything is copied: this bounds what there is to copy.
        digest(std::slice::from_ref(&self.folder)).map_err(|error| ExternalError::new(error.to_string()))?;
        let id = measure_id(&self.folder);
        let place = staging.join(&id);
        let code = place.join("submission");
        copy(&self.folder, &code).map_err(about)?;
        let runner = place.join("run_submission.py");
        fs::write(&runner, RUNNER).and_then(|()| publish(&place)).map_err(about)?;

        if let Some(policy) = &self.sandbox {
            policy.try_out(staging)?;
        }
        let python = Python::find(self.python.as_deref())?;
        let parts = vec![runner.clone(), code.clone()];
        Ok(Program {
            name: id.clone(),
            digest: digest(&parts).map_err(about)?,
            command: vec![python.program, "-u".into(), runner, code],
            parts,
            libraries: python.libraries,
            environment: [
                ("PYTHONDONTWRITEBYTECODE", "1"),
                ("PYTHONNOUSERSITE", "1"),
                ("TF_CPP_MIN_LOG_LEVEL", "3"),
                ("TF_ENABLE_ONEDNN_OPTS", "0"),
                ("PYTHONHASHSEED", "0"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            sandbox: self.sandbox.clone(),
            staging: staging.to_owned(),
            measures: vec![Description {
                title: format!("The submission {}: what its complexity(model, dataset) returns.", id),
                formula: "complexity(model, dataset)".to_owned(),
                needs: if self.initial_weights {
                    vec![ProgramNeed::Labels, ProgramNeed::InitialWeights]
                } else {
                    vec![ProgramNeed::Labels]
                },
                // Nobody can know; it gets a seed.
                stochastic: true,
                shapes: "model: a built tf.keras.Sequential; dataset: a tf.data.Dataset of single samples (x, y)"
                    .to_owned(),
                paper: "a submission in the form of the competition Predicting Generalization in Deep Learning 2020"
                    .to_owned(),
                cost: String::new(),
                behaviour: String::new(),
                id,
            }],
        })
    }
}

/// A Python with TensorFlow, and where its libraries are.
struct Python {
    program: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Python {
    fn find(named: Option<&Path>) -> Result<Python> {
        const HINT: &str = "`scripts/interchange` installs TensorFlow into the user's cache folder; or name a Python \
             that has it with --python";
        let variable = std::env::var_os(PYTHON_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        let program = match named.map(Path::to_owned).or(variable) {
            Some(program) => program,
            None => installed().ok_or_else(|| {
                ExternalError::new("submissions need Python with TensorFlow, and none is installed for pgdl")
                    .hint(HINT)
            })?,
        };
        // Not through the link that a virtual environment's interpreter is: it knows its libraries by where it lies.
        let program = std::path::absolute(&program).unwrap_or(program);
        let shown = program.display();
        // Not imported, which takes seconds.
        const ASK: &str = "import importlib.util as u, sys; \
             assert u.find_spec('tensorflow'), 'no module named tensorflow'; \
             print(sys.prefix, sys.base_prefix, sep='\\n')";
        let asked = Command::new(&program).args(["-c", ASK]).stdin(Stdio::null()).output();
        let answer = asked
            .map_err(|error| ExternalError::new(format!("{shown} cannot be started: {error}")).hint(HINT))?;
        if !answer.status.success() {
            let words = String::from_utf8_lossy(&answer.stderr);
            let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            return Err(ExternalError::new(format!("{shown} has no TensorFlow: {last}")).hint(HINT));
        }
        let mut libraries: Vec<PathBuf> =
            String::from_utf8_lossy(&answer.stdout).lines().map(PathBuf::from).collect();
        libraries.retain(|folder| folder.is_absolute() && folder.parent().is_some());
        Ok(Python { program, libraries })
    }
}

/// The virtual environment that `scripts/interchange` makes.
fn installed() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("PGDL_CACHE_DIR").or_else(|| {
        let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("pgdl"))
    })?;
    let mut environments: Vec<PathBuf> = fs::read_dir(cache)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("keras-"))
        .map(|entry| entry.path())
        .filter(|folder| folder.join("complete").exists())
        .collect();
    environments.sort();
    environments.pop().map(|folder| folder.join("bin/python"))
}

/// Copies a folder: files and folders as they are, links as links.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, place) = (entry.file_type()?, to.join(entry.file_name()));
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if kind.is_dir() {
            copy(&entry.path(), &place)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_its_measure() {
        for (folder, id) in [
            ("/x/l2_norm", "submission_l2_norm"),
            ("/x/My  Best-Try 2", "submission_my_best_try_2"),
            ("/x/__a__", "submission_a"),
            ("/x/été", "submission_t"),
            ("/", "submission"),
        ] {
            assert_eq!(measure_id(Path::new(folder)), id);
        }
    }

    #[test]
    fn what_is_no_submission_and_what_is_no_python_are_told() {
        let place = tempfile::tempdir().unwrap();
        let submission = |python: &str| Submission {
            folder: place.path().join("mine"),
            python: Some(python.into()),
            sandbox: None,
            initial_weights: false,
        };
        let error = submission("/bin/sh").program(place.path()).unwrap_err();
        assert!(error.message.contains("holds no complexity.py"), "{error}");
        fs::create_dir(place.path().join("mine")).unwrap();
        fs::write(place.path().join("mine/complexity.py"), "").unwrap();
        let error = submission("/nowhere/python").program(place.path()).unwrap_err();
        assert!(error.message.contains("cannot be started"), "{error}");
        let error = submission("/bin/false").program(place.path()).unwrap_err();
        assert!(error.message.contains("has no TensorFlow"), "{error}");
        assert!(error.hint.unwrap().contains("scripts/interchange"));
    }
}
