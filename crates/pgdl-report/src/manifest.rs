//! Manifests of reproductions: all that determines the tables of a results folder, as TOML.
//!
//! ```
//! let manifest = pgdl_report::Manifest::parse(r#"
//!     schema = 1
//!     name = "cifar_vgg"
//!     measures = ["vc_dim", "margin:p=5", "family:controls"]
//!
//!     [[zoo]]
//!     name = "cifar_vgg"
//!     digest = "0000000000000000000000000000000000000000000000000000000000000000"
//!
//!     [evaluation]               # how networks are evaluated; all of it may be left out
//!     seeds = [0]
//!     device = "cpu"
//!     threads = 1
//!     batch_size = 256
//!
//!     [scoring]
//!     gap = "accuracy"
//!     bootstrap = 1000
//!
//!     [tolerance]
//!     level = "balanced"
//!     score = 0.005
//! "#, std::path::Path::new("cifar_vgg.toml"))?;
//! assert_eq!(manifest.zoos[0].name, "cifar_vgg");
//! # Ok::<(), pgdl_report::ReportError>(())
//! ```

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::error::{ReportError, Result};

/// The version of the form that is read.
pub const MANIFEST_SCHEMA: u32 = 1;

/// A checked manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file it was read from.
    pub path: PathBuf,
    /// The name of the results: that of their folder beside the manifest.
    pub name: String,
    /// A heading for the board; the name where there is none.
    pub title: String,
    /// The zoos, at least one.
    pub zoos: Vec<ManifestZoo>,
    /// Measures as a user writes them, families and composites included; at least one.
    pub measures: Vec<String>,
    /// How networks are evaluated.
    pub evaluation: Evaluation,
    /// How measures are scored.
    pub scoring: Scoring,
    /// What counts as the same.
    pub tolerance: Tolerance,
}

/// A zoo that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestZoo {
    /// Its name.
    pub name: String,
    /// SHA-256 of all of it, hexadecimal: what `Zoo::digest` says.
    pub digest: String,
    /// Its folder, from the manifest's own; left out, it is found by its name.
    pub path: Option<PathBuf>,
}

/// How networks are evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Seeds, each of which makes a table of its own; at least one.
    pub seeds: Vec<u64>,
    /// The device: `cpu`, `cuda`, `cuda:0`, or `auto`.
    pub device: String,
    /// The floating-point type of weights and inputs: `float32` or `float64`.
    pub dtype: String,
    /// Training samples the measures see; left out, all.
    pub sample: Option<u64>,
    /// Samples per forward pass.
    pub batch_size: u32,
    /// Threads within each worker. The same bytes need the same number.
    pub threads: u32,
}

impl Default for Evaluation {
    fn default() -> Self {
        Evaluation {
            seeds: vec![0],
            device: "cpu".to_owned(),
            dtype: "float32".to_owned(),
            sample: None,
            batch_size: 256,
            threads: 1,
        }
    }
}

/// How measures are scored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scoring {
    /// What the measures are to predict: `accuracy` or `loss`.
    pub gap: String,
    /// Resamples behind each interval.
    pub bootstrap: u32,
    /// Least effective sample size of an environment of the sign error.
    pub ess_floor: f64,
}

impl Default for Scoring {
    fn default() -> Self {
        Scoring { gap: "accuracy".to_owned(), bootstrap: 1000, ess_floor: 0.0 }
    }
}

/// How much must agree for a reproduction to be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every value and every score, byte for byte. Needs the same libtorch, kind of device, processor and threads.
    Strict,
    /// Values and scores within the stated tolerance.
    #[default]
    Balanced,
    /// The order of the measures on the board, as far as their scores are apart.
    Loose,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 3] = [Level::Strict, Level::Balanced, Level::Loose];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Strict => "strict",
            Level::Balanced => "balanced",
            Level::Loose => "loose",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self> {
        Level::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| ReportError::Invalid {
            message: format!("`{text}` is no level of reproduction"),
            hint: Some("strict, balanced or loose".to_owned()),
        })
    }
}

/// What counts as the same at the level `balanced`; at `loose` only `score` counts.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// The level, where the command line names none.
    pub level: Level,
    /// Of a score: |a − b| ≤ score · max(1, |a|). Conditional mutual information and correlations are fractions here.
    pub score: f64,
    /// Of a value: |a − b| ≤ value · max(|a|, |b|) + standard_errors · √(se_a² + se_b²).
    pub value: f64,
    /// How many standard errors values may be apart, where a measure states a Monte-Carlo standard error.
    pub standard_errors: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { level: Level::Balanced, score: 0.005, value: 1e-4, standard_errors: 4.0 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Checked before; named so that no other key is taken for it.
    #[serde(rename = "schema")]
    _schema: u32,
    name: String,
    title: Option<String>,
    #[serde(rename = "zoo", default)]
    zoos: Vec<ManifestZoo>,
    #[serde(default)]
    measures: Vec<String>,
    #[serde(default)]
    evaluation: Evaluation,
    #[serde(default)]
    scoring: Scoring,
    #[serde(default)]
    tolerance: Tolerance,
}

#[derive(Deserialize)]
struct Envelope {
    schema: u32,
}

/// A manifest is written by hand; a larger file is something else.
const LARGEST_FILE: u64 = 1 << 20;

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// When there is no such file, it is not TOML, comes from a later version, has a key that is none, or a value that is
    /// not legal.
    pub fn read(path: &Path) -> Result<Manifest> {
        let failed = |source| ReportError::io(path, source);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() || metadata.len() > LARGEST_FILE {
            return Err(invalid(path, "is no manifest", "name a TOML file such as results/cifar_vgg.toml"));
        }
        Manifest::parse(&std::fs::read_to_string(path).map_err(failed)?, path)
    }

    /// Reads and checks the text of a manifest; `path` is where it comes from.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Manifest> {
        let syntax = |error: toml::de::Error| {
            invalid(path, format!("not a manifest: {}", error.to_string().trim_end()), FORM)
        };
        // First the schema alone: a later one may have other keys.
        let envelope: Envelope = toml::from_str(text).map_err(syntax)?;
        if envelope.schema > MANIFEST_SCHEMA {
            let message = format!(
                "schema {} is newer than {MANIFEST_SCHEMA}, the newest this version of pgdl reads",
                envelope.schema
            );
            return Err(invalid(path, message, "update pgdl; nothing was changed"));
        }
        let Written { _schema, name, title, zoos, measures, evaluation, scoring, tolerance } =
            toml::from_str(text).map_err(syntax)?;
        let title = title.unwrap_or_else(|| name.clone());
        let manifest =
            Manifest { path: path.to_owned(), name, title, zoos, measures, evaluation, scoring, tolerance };
        manifest.check()?;
        Ok(manifest)
    }

    /// The folder of the results: beside the manifest, by its name.
    pub fn results_folder(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(&self.name)
    }

    /// Where a zoo is: its folder where the manifest names one, else its name.
    pub fn place_of(&self, zoo: &ManifestZoo) -> PathBuf {
        match &zoo.path {
            Some(path) => self.path.parent().unwrap_or(Path::new("")).join(path),
            None => PathBuf::from(&zoo.name),
        }
    }

    /// An error about this manifest.
    pub fn error(&self, message: impl fmt::Display, hint: impl Into<String>) -> ReportError {
        invalid(&self.path, message, hint)
    }

    fn check(&self) -> Result<()> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '-' | '.'))
        };
        let bad = |message: String, hint: &str| Err(self.error(message, hint));
        if !is_name(&self.name) {
            let message = format!("`{}` is no name for a folder of results", self.name);
            return bad(message, "a name has letters, digits, `_`, `-` and `.`");
        }
        if self.zoos.is_empty() {
            return bad("names no zoo".to_owned(), "add [[zoo]] with name and digest");
        }
        if self.measures.is_empty() {
            return bad("names no measure".to_owned(), "add measures = [\"margin\", …]");
        }
        let mut names = HashSet::new();
        for zoo in &self.zoos {
            if !is_name(&zoo.name) {
                return bad(format!("`{}` is no name of a zoo", zoo.name), "its folder goes under `path`");
            }
            if !names.insert(&zoo.name) {
                return bad(format!("names the zoo {} twice", zoo.name), "name each zoo once");
            }
            if zoo.digest.len() != 64 || !zoo.digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message = format!("zoo {}: `{}` is no SHA-256 digest", zoo.name, zoo.digest);
                return bad(
                    message,
                    "64 hexadecimal digits; with any such number the error names the right one",
                );
            }
        }
        let Evaluation { seeds, dtype, sample, batch_size, threads, .. } = &self.evaluation;
        if seeds.is_empty() || seeds.iter().collect::<HashSet<_>>().len() < seeds.len() {
            return bad("evaluation.seeds is empty or names a seed twice".to_owned(), "seeds = [0]");
        }
        if !matches!(dtype.as_str(), "float32" | "float64") {
            return bad(format!("evaluation.dtype = `{dtype}`"), "float32 or float64");
        }
        if *sample == Some(0) || *batch_size == 0 || *threads == 0 {
            return bad(
                "evaluation.sample, batch_size and threads are at least 1".to_owned(),
                "leave `sample` out to use all training samples",
            );
        }
        if !matches!(self.scoring.gap.as_str(), "accuracy" | "loss") {
            return bad(format!("scoring.gap = `{}`", self.scoring.gap), "accuracy or loss");
        }
        let not_negative = |number: f64| number.is_finite() && number >= 0.0;
        if !not_negative(self.scoring.ess_floor) || self.scoring.bootstrap > MOST_RESAMPLES {
            return bad(
                "scoring: ess_floor is a number of at least 0, bootstrap at most 10 million".to_owned(),
                "leave them out for their defaults",
            );
        }
        let Tolerance { score, value, standard_errors, .. } = self.tolerance;
        if ![score, value, standard_errors].into_iter().all(not_negative) {
            return bad("tolerances are numbers of at least 0".to_owned(), "score = 0.005, value = 1e-4");
        }
        Ok(())
    }
}

/// More resamples are a slip of the pen.
const MOST_RESAMPLES: u32 = 10_000_000;

const FORM: &str = "docs/reproduction.md describes manifests";

fn invalid(path: &Path, message: impl fmt::Display, hint: impl Into<String>) -> ReportError {
    ReportError::Invalid { message: format!("{}: {message}", path.display()), hint: Some(hint.into()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const EXAMPLE: &str = r#"
schema = 1
name = "tiny"
measures = ["margin", "l2_norm"]

[[zoo]]
name = "tiny"
digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
path = "../zoos/tiny"
"#;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(text, Path::new("results/tiny.toml"))
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let manifest = parse(EXAMPLE).unwrap();
        assert_eq!(manifest.title, "tiny");
        assert_eq!(manifest.evaluation, Evaluation::default());
        assert_eq!(manifest.tolerance.level, Level::Balanced);
        assert_eq!(manifest.results_folder(), Path::new("results/tiny"));
        assert_eq!(manifest.place_of(&manifest.zoos[0]), Path::new("results/../zoos/tiny"));
    }

    #[test]
    fn what_is_not_legal_is_named_with_the_file_and_a_way_out() {
        type Change = (&'static str, &'static str);
        let changes: [(Change, &str); 13] = [
            (("measures = [\"margin\", \"l2_norm\"]", "measures = []"), "names no measure"),
            (("measures", "measure"), "unknown field `measure`"),
            (("name = \"tiny\"\nmeasures", "name = \"../x\"\nmeasures"), "no name for a folder"),
            (("digest = \"0", "digest = \"x"), "no SHA-256"),
            (("schema = 1", "schema = \"1\""), "not a manifest"),
            (("schema = 1", ""), "missing field `schema`"),
            (("schema = 1", "schema = 2"), "newer than 1"),
            (("\n[[zoo]]", "\n[evaluation]\nseeds = []\n[[zoo]]"), "seeds"),
            (("\n[[zoo]]", "\n[evaluation]\ndtype = \"bfloat16\"\n[[zoo]]"), "bfloat16"),
            (("\n[[zoo]]", "\n[evaluation]\nthreads = 0\n[[zoo]]"), "at least 1"),
            (("\n[[zoo]]", "\n[scoring]\ngap = \"size\"\n[[zoo]]"), "gap"),
            (("\n[[zoo]]", "\n[tolerance]\nscore = nan\n[[zoo]]"), "tolerances"),
            (("\n[[zoo]]", "\n[tolerance]\nlevel = \"lax\"\n[[zoo]]"), "lax"),
        ];
        for ((from, to), sign) in changes {
            assert!(EXAMPLE.contains(from), "{from}");
            let error = parse(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
            let message = error.to_string();
            assert!(
                message.starts_with("results/tiny.toml: ") && message.contains(sign),
                "{sign}: {message}"
            );
            assert!(error.hint().is_some(), "{message}");
        }
    }

    #[test]
    fn a_later_schema_is_named_even_with_keys_that_are_unknown() {
        let error = parse("schema = 9\nsuites = [\"a\"]\n").unwrap_err();
        assert!(error.to_string().contains("schema 9 is newer"), "{error}");
    }

    #[test]
    fn a_zoo_is_named_once() {
        let zoo = EXAMPLE.split_once("[[zoo]]").unwrap().1;
        let error = parse(&format!("{EXAMPLE}[[zoo]]{zoo}")).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }

    #[test]
    fn a_folder_is_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Manifest::read(folder.path()).unwrap_err().to_string().contains("no manifest"));
        assert!(Manifest::read(&folder.path().join("absent.toml")).is_err());
    }
}
