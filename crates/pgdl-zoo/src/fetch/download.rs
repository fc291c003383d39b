//! Downloads that go on where they broke off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};

use super::SourceError;

/// Where there is no network, this is how long each step of a connection may take to say so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that is silent for so long is given up, and tried again from where it was.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a download that makes progress may break off.
const INTERRUPTIONS: usize = 20;

/// Downloads `url` into `part`, going on after the bytes that `part` already holds. `progress` gets the bytes so far
/// and, where the server says so, in all.
pub(super) fn with_part(
    url: &str,
    part: &Path,
    at_most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), SourceError> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let agent: Agent = Agent::config_builder()
        .tls_config(tls)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(SILENCE_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT))
        .http_status_as_error(false)
        .user_agent(concat!("pgdl/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut interruptions = 0;
    loop {
        let before = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let broken = match attempt(&agent, url, part, before, at_most, progress)? {
            Outcome::Complete => return Ok(()),
            Outcome::Restart => {
                fs::remove_file(part).map_err(|error| SourceError::local(part, error))?;
                "the server has other bytes than before".to_owned()
            }
            Outcome::BrokeOff(reason) => reason,
        };
        let after = fs::metadata(part).map_or(0, |metadata| metadata.len());
        interruptions += 1;
        if after == before || interruptions > INTERRUPTIONS {
            return Err(SourceError::Remote(format!("broke off after {after} bytes: {broken}")));
        }
    }
}

enum Outcome {
    Complete,
    /// The bytes in the part are not the beginning of what the server has.
    Restart,
    BrokeOff(String),
}

fn attempt(
    agent: &Agent,
    url: &str,
    part: &Path,
    start: u64,
    at_most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Outcome, SourceError> {
    let mut request = agent.get(url);
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
    }
    let response = request.call().map_err(|error| SourceError::Remote(error.to_string()))?;
    let (from, total) = match response.status() {
        StatusCode::OK => (0, header_number(&response, "content-length")),
        StatusCode::PARTIAL_CONTENT => {
            let Some((from, total)) = content_range(&response) else {
                return Err(SourceError::Remote("a partial answer without its range".into()));
            };
            if from != Some(start) {
                return Ok(Outcome::Restart);
            }
            (start, total)
        }
        StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => {
            let total = content_range(&response).and_then(|(_, total)| total);
            return Ok(if total == Some(start) { Outcome::Complete } else { Outcome::Restart });
        }
        status => return Err(SourceError::Remote(format!("the server answers {status}"))),
    };
    if total.is_some_and(|total| total > at_most) {
        return Err(SourceError::Remote(format!("larger than the {at_most} bytes it may have")));
    }
    let local = |error: io::Error| SourceError::local(part, error);
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(part).map_err(local)?;
    file.set_len(from).map_err(local)?;
    file.seek(SeekFrom::Start(from)).map_err(local)?;
    receive(&mut response.into_body().into_reader(), &mut file, part, from, total, at_most, progress)
}

fn receive(
    body: &mut dyn Read,
    file: &mut File,
    part: &Path,
    mut done: u64,
    total: Option<u64>,
    at_most: u64,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Outcome, SourceError> {
    let mut block = vec![0; 1 << 16];
    loop {
        match body.read(&mut block) {
            Ok(0) => break,
            Ok(count) => {
                done += count as u64;
                if done > at_most {
                    return Err(SourceError::Remote(format!("larger than the {at_most} bytes it may have")));
                }
                file.write_all(&block[..count]).map_err(|error| SourceError::local(part, error))?;
                progress(done, total);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(Outcome::BrokeOff(error.to_string())),
        }
    }
    match total {
        Some(total) if total != done => Ok(Outcome::BrokeOff("the connection was closed".into())),
        _ => Ok(Outcome::Complete),
    }
}

fn header_number<B>(response: &Response<B>, name: &str) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `bytes 10-99/100` → (10, 100); `bytes */100` → (none, 100).
fn content_range<B>(response: &Response<B>) -> Option<(Option<u64>, Option<u64>)> {
    let text = response.headers().get("content-range")?.to_str().ok()?.trim();
    let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let from = range.split_once('-').and_then(|(from, _)| from.trim().parse().ok());
    Some((from, total.trim().parse().ok()))
}
