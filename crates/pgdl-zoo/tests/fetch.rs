//! Fetching from a server of our own on this machine: resumption, checksums, users' files, errors.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use pgdl_zoo::fetch::catalogue::{DataFile, Format};
use pgdl_zoo::fetch::{FetchEvent, NamedData, Source, ensure_in};
use pgdl_zoo::{Result, Split, ZooError};

/// How the server behaves.
#[derive(Default)]
struct Manners {
    /// Path → body.
    bodies: HashMap<String, Vec<u8>>,
    /// As many answers break off after this many bytes.
    cuts: Vec<usize>,
    /// Answers every request from the first byte.
    ignores_ranges: bool,
    /// Path and range of each request so far.
    requests: Vec<(String, Option<String>)>,
}

struct Server {
    address: String,
    manners: Arc<Mutex<Manners>>,
}

impl Server {
    fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let manners = Arc::new(Mutex::new(manners));
        let shared = Arc::clone(&manners);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                answer(connection, &mut shared.lock().unwrap());
            }
        });
        Server { address, manners }
    }

    fn requests(&self) -> Vec<(String, Option<String>)> {
        self.manners.lock().unwrap().requests.clone()
    }
}

fn answer(mut connection: TcpStream, manners: &mut Manners) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(|line| line.ok());
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or("/").to_owned();
    let range = lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    manners.requests.push((path.clone(), range.clone()));
    let Some(body) = manners.bodies.get(&path) else {
        let _ =
            connection.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
    };
    let start = range
        .filter(|_| !manners.ignores_ranges)
        .map_or(0, |range| range.trim_end_matches('-').parse::<usize>().unwrap());
    let total = body.len();
    let head = if start == 0 {
        format!("200 OK\r\ncontent-length: {total}\r\n")
    } else if start < total {
        let last = total - 1;
        let length = total - start;
        format!(
            "206 Partial Content\r\ncontent-length: {length}\r\ncontent-range: bytes {start}-{last}/{total}\r\n"
        )
    } else {
        format!("416 Range Not Satisfiable\r\ncontent-length: 0\r\ncontent-range: bytes */{total}\r\n")
    };
    let rest = body.get(start..).unwrap_or_default();
    let count = if manners.cuts.is_empty() { rest.len() } else { manners.cuts.remove(0).min(rest.len()) };
    let _ = connection.write_all(format!("HTTP/1.1 {head}connection: close\r\n\r\n").as_bytes());
    let _ = connection.write_all(&rest[..count]);
    let _ = connection.flush();
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = connection.read(&mut [0]);
}

fn contents(file: u8) -> Vec<u8> {
    (0..50_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8 ^ file).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("some/folder/{name}"), bytes.as_slice()).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

/// Two files, `a.bin` and `b.bin`, from these sources.
fn data(sources: Vec<Source>) -> NamedData {
    let file = |name, contents: Vec<u8>, split| DataFile {
        name,
        md5: Md5::digest(&contents).iter().map(|byte| format!("{byte:02x}")).collect::<String>().leak(),
        at_most: contents.len() as u64,
        split,
    };
    NamedData {
        name: "made",
        title: "Made up",
        shape: [1, 1, 1],
        classes: 2,
        files: vec![file("a.bin", contents(1), Split::Train), file("b.bin", contents(2), Split::Test)].leak(),
        sources: sources.leak(),
        format: Format::Cifar,
    }
}

fn files_at(server: &Server) -> Source {
    Source::Files { base: server.address.clone().leak(), suffix: ".gz" }
}

fn archive_at(server: &Server) -> Source {
    Source::Archive(format!("{}all.tar.gz", server.address).leak())
}

fn both_files() -> HashMap<String, Vec<u8>> {
    HashMap::from([("/a.bin.gz".into(), gzip(&contents(1))), ("/b.bin.gz".into(), gzip(&contents(2)))])
}

fn whole_archive() -> HashMap<String, Vec<u8>> {
    HashMap::from([(
        "/all.tar.gz".into(),
        archive(&[("readme", vec![7; 99]), ("a.bin", contents(1)), ("b.bin", contents(2))]),
    )])
}

fn ensure(folder: &Path, data: &NamedData) -> Result<()> {
    ensure_in(folder, data, false, &mut |_| {}).map(|_| ())
}

fn assert_complete(folder: &Path) {
    assert_eq!(fs::read(folder.join("a.bin")).unwrap(), contents(1));
    assert_eq!(fs::read(folder.join("b.bin")).unwrap(), contents(2));
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", ".verified.json", "a.bin", "b.bin"]);
}

#[test]
fn files_are_fetched_once_and_verified_once() {
    let server = Server::start(Manners { bodies: both_files(), ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("new/made");
    let data = data(vec![files_at(&server)]);
    ensure(&folder, &data).unwrap();
    assert_complete(&folder);
    let mut events = 0;
    ensure_in(&folder, &data, true, &mut |_| events += 1).unwrap();
    assert_eq!((server.requests().len(), events), (2, 0));
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let bodies = whole_archive();
    let server = Server::start(Manners { cuts: vec![1000, 0, 3000], bodies, ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let data = data(vec![archive_at(&server)]);
    // The second answer brings nothing: given up, but what came is kept.
    let error = ensure(place.path(), &data).unwrap_err().to_string();
    assert!(error.contains("broke off after 1000 bytes"), "{error}");
    ensure(place.path(), &data).unwrap();
    assert_complete(place.path());
    let ranges: Vec<_> = server.requests().into_iter().map(|(_, range)| range.unwrap_or_default()).collect();
    assert_eq!(ranges, ["", "1000-", "1000-", "4000-"]);
}

#[test]
fn servers_without_ranges_start_again() {
    let server = Server::start(Manners {
        bodies: both_files(),
        cuts: vec![500],
        ignores_ranges: true,
        ..Manners::default()
    });
    let place = tempfile::tempdir().unwrap();
    ensure(place.path(), &data(vec![files_at(&server)])).unwrap();
    assert_complete(place.path());
}

#[test]
fn a_part_that_is_complete_or_too_long_is_no_obstacle() {
    for extra in [0, 5] {
        let bodies = whole_archive();
        let mut part = bodies["/all.tar.gz"].clone();
        part.extend(vec![0; extra]);
        let server = Server::start(Manners { bodies, ..Manners::default() });
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join(".fetch")).unwrap();
        fs::write(place.path().join(".fetch/all.tar.gz.part"), part).unwrap();
        ensure(place.path(), &data(vec![archive_at(&server)])).unwrap();
        assert_complete(place.path());
    }
}

#[test]
fn a_wrong_file_is_refused_and_a_right_one_kept() {
    let mut bodies = both_files();
    bodies.insert("/b.bin.gz".into(), gzip(&contents(3)));
    let server = Server::start(Manners { bodies, ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let data = data(vec![files_at(&server)]);
    let error = ensure(place.path(), &data).unwrap_err();
    assert!(
        error.to_string().contains("lacks b.bin") && error.to_string().contains("wrong checksum"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("put b.bin into"));
    assert_eq!(fs::read(place.path().join("a.bin")).unwrap(), contents(1));
    assert!(!place.path().join("b.bin").exists());
    server.manners.lock().unwrap().bodies = both_files();
    ensure(place.path(), &data).unwrap();
    assert_complete(place.path());
    let paths: Vec<_> = server.requests().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/a.bin.gz", "/b.bin.gz", "/b.bin.gz"]);
}

#[test]
fn what_is_larger_than_it_may_be_is_refused() {
    let bodies =
        HashMap::from([("/a.bin.gz".into(), gzip(&vec![0; 50_001])), ("/b.bin.gz".into(), vec![0; 2 << 20])]);
    let server = Server::start(Manners { bodies, ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let error = ensure(place.path(), &data(vec![files_at(&server)])).unwrap_err().to_string();
    assert!(error.contains("a.bin is larger than 50000 bytes"), "{error}");
    fs::write(place.path().join("a.bin"), contents(1)).unwrap();
    let error = ensure(place.path(), &data(vec![files_at(&server)])).unwrap_err().to_string();
    assert!(error.contains("larger than the"), "{error}");
}

#[test]
fn sources_are_tried_in_order_and_each_says_why_not() {
    let server = Server::start(Manners { bodies: whole_archive(), ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    // Nobody listens at the second address, once its listener is gone.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Source::Archive(format!("http://{closed}/all.tar.gz").leak());
    let nowhere = Source::Folder("/nowhere");
    let failing = data(vec![nowhere, nobody, files_at(&server)]);
    let error = ensure(place.path(), &failing).unwrap_err().to_string();
    for part in ["/nowhere: holds no a.bin, b.bin", "refused", "404"] {
        assert!(error.contains(part), "`{error}` does not contain `{part}`");
    }
    let mut failed = Vec::new();
    let data = data(vec![nowhere, nobody, archive_at(&server)]);
    ensure_in(place.path(), &data, false, &mut |event| {
        if let FetchEvent::SourceFailed { source, .. } = event {
            failed.push(source.to_owned());
        }
    })
    .unwrap();
    assert_eq!(failed, [nowhere.to_string(), nobody.to_string()]);
    assert_complete(place.path());
}

#[test]
fn what_the_user_put_there_is_taken() {
    let nothing = || data(vec![Source::Archive("http://127.0.0.1:9/all.tar.gz")]);
    for (name, bytes) in
        [("all.tar.gz", whole_archive().remove("/all.tar.gz").unwrap()), ("a.bin.gz", gzip(&contents(1)))]
    {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(name), bytes).unwrap();
        fs::create_dir(place.path().join("inner")).unwrap();
        fs::write(place.path().join("inner/b.bin"), contents(2)).unwrap();
        ensure_in(place.path(), &nothing(), true, &mut |_| {}).unwrap();
        assert_eq!(fs::read(place.path().join("a.bin")).unwrap(), contents(1));
        assert_eq!(fs::read(place.path().join("b.bin")).unwrap(), contents(2));
    }
    let place = tempfile::tempdir().unwrap();
    let error = ensure_in(place.path(), &nothing(), true, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("PGDL_OFFLINE"), "{error}");
}

#[test]
fn a_file_that_changed_is_fetched_again_and_stays_until_then() {
    let server = Server::start(Manners { bodies: both_files(), ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let data = data(vec![files_at(&server)]);
    ensure(place.path(), &data).unwrap();
    let damaged = [&contents(1)[..100], &[0; 7]].concat();
    fs::write(place.path().join("a.bin"), &damaged).unwrap();
    server.manners.lock().unwrap().bodies.clear();
    let mut differs = false;
    let error = ensure_in(place.path(), &data, false, &mut |event| {
        differs |= event == FetchEvent::Differs { file: "a.bin" }
    });
    assert!(error.is_err() && differs);
    assert_eq!(fs::read(place.path().join("a.bin")).unwrap(), damaged);
    server.manners.lock().unwrap().bodies = both_files();
    ensure(place.path(), &data).unwrap();
    assert_complete(place.path());
}

#[test]
fn damaged_archives_are_errors_and_leave_nothing_behind() {
    let sound = whole_archive().remove("/all.tar.gz").unwrap();
    for position in (0..sound.len()).step_by(sound.len() / 12) {
        let mut damaged = sound.clone();
        damaged[position] ^= 0xff;
        for bytes in [damaged, sound[..position].to_vec()] {
            let server = Server::start(Manners {
                bodies: HashMap::from([("/all.tar.gz".into(), bytes)]),
                ..Manners::default()
            });
            let place = tempfile::tempdir().unwrap();
            let outcome = ensure(place.path(), &data(vec![archive_at(&server)]));
            // A changed byte in the compressed head (time, system) or in a tar header's unused parts does no harm.
            if outcome.is_ok() {
                assert_complete(place.path());
                continue;
            }
            assert!(matches!(outcome, Err(ZooError::Fetch { .. })), "{outcome:?}");
            assert!(!place.path().join(".fetch").exists());
            for (name, file) in [("a.bin", 1), ("b.bin", 2)] {
                if let Ok(found) = fs::read(place.path().join(name)) {
                    assert_eq!(found, contents(file));
                }
            }
        }
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named_with_the_way_out() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), b"").unwrap();
    let folder = place.path().join("file/made");
    let error = ensure(&folder, &data(vec![Source::Folder("/nowhere")])).unwrap_err();
    assert!(error.to_string().contains("file/made"), "{error}");
    assert!(error.hint().unwrap().contains("PGDL_DATA_DIR"));
}

#[test]
fn many_at_once_fetch_once() {
    let server = Server::start(Manners { bodies: both_files(), ..Manners::default() });
    let place = tempfile::tempdir().unwrap();
    let data = data(vec![files_at(&server)]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ensure(place.path(), &data).unwrap());
        }
    });
    assert_complete(place.path());
    assert_eq!(server.requests().len(), 2);
}
