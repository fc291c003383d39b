//! `import_competition`: archives as downloaded, and archives that nobody should unpack.

mod small_zoo;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use pgdl_zoo::{
    CheckOptions, ImportEvent, Imported, Result, Zoo, ZooError, check, export, import_competition,
};
use small_zoo::{IDS, files, small_zoo};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

struct Place {
    folder: tempfile::TempDir,
    zoo: Zoo,
}

impl Place {
    /// A zoo `task1_v4`, exported to `public`.
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let zoo = small_zoo(&folder.path().join("made/task1_v4"));
        export(&zoo, &folder.path().join("public"), &mut |_| {}).unwrap();
        Place { folder, zoo }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything below `public/<inner>` as an archive, under `prefix`.
    fn archive(&self, name: &str, inner: &str, prefix: &str, extra: &[(&str, &[u8])]) -> PathBuf {
        let from = self.path("public");
        let entries: Vec<(String, Vec<u8>)> = files(&from.join(inner))
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(&from).unwrap().to_str().unwrap();
                (format!("{prefix}{name}"), fs::read(&path).unwrap())
            })
            .chain(extra.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())))
            .collect();
        let path = self.path(name);
        fs::write(&path, zipped(&entries)).unwrap();
        path
    }

    fn import(&self, archives: &[PathBuf], to: &str) -> Result<Imported> {
        import_competition(archives, &self.path(to), &mut |_| {})
    }

    fn refused(&self, archive: &Path, signs: &[&str]) {
        let error = self.import(&[archive.to_path_buf()], "refused").unwrap_err().to_string();
        for sign in signs {
            assert!(error.contains(sign), "`{sign}` in {error}");
        }
        assert!(!self.path("refused").exists(), "nothing was written");
    }
}

fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn the_two_halves_of_a_task_may_come_in_two_archives() {
    let place = Place::new();
    let inputs = place.archive(
        "public_data.zip",
        "input_data",
        "public_data/",
        &[
            ("public_data/.DS_Store", b"litter"),
            ("__MACOSX/public_data/input_data/task1_v4/model_3/config.json", b"litter"),
            ("public_data/input_data/task1_v4/model_3/._weights.hdf5", b"litter"),
            ("public_data/README.md", b"words"),
            ("public_data/more.zip", b"PK"),
        ],
    );
    let mut last = 0;
    let archives = [inputs, place.path("public/reference_data")];
    let imported = import_competition(&archives, &place.path("zoos"), &mut |event| {
        let ImportEvent::Bytes { done, total, .. } = event else { panic!("bytes are counted") };
        assert!(last < done && done <= total);
        last = done;
    })
    .unwrap();
    assert_eq!(imported.nested, ["public_data/public_data/more.zip"]);
    let [task] = imported.tasks.as_slice() else { panic!("one task") };
    assert_eq!((task.zoo.name(), task.kept, task.findings.as_slice()), ("task1_v4", 0, [].as_slice()));
    assert_eq!(task.written, files(place.zoo.root()).len());
    assert_eq!(task.zoo.digest().unwrap(), place.zoo.digest().unwrap());
    assert_eq!(files(&place.path("zoos")).len(), task.written, "no litter");
    let opened = Zoo::open(place.path("zoos/task1_v4")).unwrap();
    assert!(check(&opened, &CheckOptions::default(), &mut |_| {}).unwrap().is_sound());
}

#[test]
fn tasks_are_found_at_any_depth_and_in_folders() {
    let place = Place::new();
    let digest = place.zoo.digest().unwrap();
    for (to, archive) in [
        ("a", place.archive("deep.zip", "", "some/where/else/", &[])),
        ("b", place.archive("flat.zip", "", "", &[])),
        ("c", place.path("public")),
        ("d", place.path("made")),
        ("e", place.path("made/task1_v4")),
    ] {
        let imported = place.import(&[archive], to).unwrap();
        assert_eq!(imported.tasks[0].zoo.digest().unwrap(), digest, "{to}");
        assert_eq!(imported.tasks[0].zoo.name(), "task1_v4");
    }
}

#[test]
fn a_second_import_keeps_what_is_there() {
    let place = Place::new();
    let archive = place.archive("public.zip", "", "", &[]);
    let count = files(place.zoo.root()).len();
    place.import(std::slice::from_ref(&archive), "zoos").unwrap();
    let lost = place.path("zoos/task1_v4/model_20/weights.hdf5");
    fs::remove_file(&lost).unwrap();
    let imported = place.import(std::slice::from_ref(&archive), "zoos").unwrap();
    assert_eq!((imported.tasks[0].written, imported.tasks[0].kept), (1, count - 1));
    assert!(lost.exists());
    let imported = place.import(&[archive.clone(), archive.clone()], "zoos").unwrap();
    assert_eq!((imported.tasks[0].written, imported.tasks[0].kept), (0, count));
    // A file of the same length with other bytes is somebody's.
    let mut bytes = fs::read(&lost).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&lost, &bytes).unwrap();
    let error = place.import(&[archive], "zoos").unwrap_err().to_string();
    assert!(error.contains("model_20/weights.hdf5 differs") && error.contains("not overwritten"), "{error}");
    assert_eq!(fs::read(&lost).unwrap(), bytes);
}

#[test]
fn an_interrupted_import_goes_on_where_it_stopped() {
    let place = Place::new();
    let archive = place.archive("public.zip", "", "", &[]);
    let whole = fs::read(&archive).unwrap();
    // The bytes of one entry in the middle are damaged: what came before it stays.
    let mut damaged = whole.clone();
    let name = b"input_data/task1_v4/model_20/weights.hdf5";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    damaged[at + 300..at + 310].fill(0x55);
    fs::write(&archive, damaged).unwrap();
    let error = place.import(std::slice::from_ref(&archive), "zoos").unwrap_err().to_string();
    assert!(error.contains("public.zip") && error.contains("model_20/weights.hdf5"), "{error}");
    assert!(!place.path("zoos/task1_v4").exists(), "an incomplete zoo has no name yet");
    assert!(Zoo::open(place.path("zoos")).is_err());
    fs::write(&archive, whole).unwrap();
    let imported = place.import(&[archive], "zoos").unwrap();
    let task = &imported.tasks[0];
    assert!(task.kept > 3 && task.written > 3, "{} kept, {} written", task.kept, task.written);
    assert_eq!(task.zoo.digest().unwrap(), place.zoo.digest().unwrap());
    assert_eq!(fs::read_dir(place.path("zoos")).unwrap().count(), 1);
}

#[test]
fn archives_that_contradict_each_other_are_refused() {
    let place = Place::new();
    let first = place.archive("first.zip", "", "", &[]);
    fs::write(place.path("public/input_data/task1_v4/model_3/config.json"), b"{}").unwrap();
    let second = place.archive("second.zip", "", "", &[]);
    let error = place.import(&[first, second], "zoos").unwrap_err().to_string();
    assert!(
        error.contains("second.zip") && error.contains("model_3/config.json") && error.contains("first.zip")
    );
}

#[test]
fn names_that_lead_out_of_the_archive_are_refused() {
    let place = Place::new();
    for name in
        ["../evil/model_1/config.json", "task/../../../model_1/config.json", "/etc/model_1/config.json"]
    {
        let path = place.path("evil.zip");
        fs::write(&path, zipped(&[(name.to_owned(), b"{}".to_vec())])).unwrap();
        let outcome = place.import(&[path], "zoos/inner");
        // An absolute name loses its root or is refused; nothing is ever written outside.
        if let Err(error) = &outcome {
            assert!(error.to_string().contains("evil.zip"), "{error}");
        }
        assert!(name.starts_with('/') || outcome.is_err(), "{name}");
        let outside =
            files(place.folder.path()).into_iter().filter(|path| path.to_string_lossy().contains("evil"));
        assert_eq!(outside.count(), 1, "the archive itself");
        assert!(!Path::new("/etc/model_1").exists());
    }
    // A link to a file elsewhere.
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("t/model_1/config.json", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let path = place.path("link.zip");
    fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();
    place.refused(&path, &["link.zip", "t/model_1/config.json", "a link"]);
}

#[test]
fn implausibly_large_archives_are_refused() {
    let place = Place::new();
    let bomb = |name: &str| vec![(format!("t/model_1/{name}"), vec![0; 8 << 20])];
    let path = place.path("bomb.zip");
    fs::write(&path, zipped(&bomb("weights.hdf5"))).unwrap();
    place.refused(&path, &["bomb.zip", "weights.hdf5", "implausibly large"]);
    // What does not belong to a task is never unpacked, however large.
    let mut entries = bomb("movie.mpg");
    entries.push(("t/model_1/config.json".to_owned(), b"{}".to_vec()));
    fs::write(&path, zipped(&entries)).unwrap();
    assert_eq!(place.import(&[path], "zoos").unwrap().tasks[0].written, 1);
}

#[test]
fn a_length_that_lies_is_found_out() {
    let place = Place::new();
    let content: Vec<u8> = (0..2000u32).flat_map(u32::to_le_bytes).collect();
    let whole = zipped(&[("t/model_1/config.json".to_owned(), content.clone())]);
    let length = (content.len() as u32).to_le_bytes();
    for claimed in [100u32, 7999, 8001, 100_000] {
        let mut bytes = whole.clone();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == length).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
        }
        let path = place.path("liar.zip");
        fs::write(&path, bytes).unwrap();
        let error = place.import(&[path], "zoos").unwrap_err().to_string();
        assert!(error.contains("liar.zip"), "{error}");
        assert!(!place.path("zoos/t").exists());
    }
}

#[test]
fn more_than_the_disk_holds_is_refused_before_anything_is_written() {
    let place = Place::new();
    let folder = place.path("huge/t/model_1");
    fs::create_dir_all(&folder).unwrap();
    // A file with a hole: long, and taking no room.
    let sparse = File::create(folder.join("weights.hdf5")).unwrap();
    if sparse.set_len(1 << 43).is_err() {
        println!("skipped: this file system has no files of 8 TiB");
        return;
    }
    let error = place.import(&[place.path("huge")], "zoos").unwrap_err();
    assert!(
        matches!(&error, ZooError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
    );
    assert!(error.hint().is_some());
    assert_eq!(fs::read_dir(place.path("zoos")).unwrap().count(), 0);
}

#[test]
fn what_holds_no_task_says_so() {
    let place = Place::new();
    let path = place.path("other.zip");
    fs::write(&path, zipped(&[("README.md".to_owned(), b"words".to_vec())])).unwrap();
    place.refused(&path, &["other.zip", "any task"]);
    fs::write(&path, b"no zip at all").unwrap();
    place.refused(&path, &["other.zip", "no zip archive"]);
    fs::write(&path, b"").unwrap();
    place.refused(&path, &["other.zip"]);
    place.refused(&place.path("absent.zip"), &["absent.zip"]);
}

#[test]
fn what_a_task_lacks_is_named() {
    let place = Place::new();
    let inputs = place.archive("inputs.zip", "input_data", "", &[]);
    let imported = place.import(&[inputs], "a").unwrap();
    let findings: Vec<String> = imported.tasks[0].findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].contains("model_configs.json not found"));
    // The other half, later.
    let reference = place.path("public/reference_data");
    let imported = place.import(std::slice::from_ref(&reference), "a").unwrap();
    assert_eq!((imported.tasks[0].written, imported.tasks[0].findings.len()), (1, 0));
    let imported = place.import(&[reference], "b").unwrap();
    assert!(imported.tasks[0].findings[0].to_string().contains("no network files"));
    assert_eq!(imported.tasks[0].zoo.networks().len(), IDS.len());
}

#[test]
fn an_archive_damaged_anywhere_never_gives_wrong_files() {
    let place = Place::new();
    let archive = place.archive("public.zip", "", "", &[]);
    let whole = fs::read(&archive).unwrap();
    let sound: HashSet<Vec<u8>> =
        files(&place.path("public")).iter().map(|path| fs::read(path).unwrap()).collect();
    let to = place.path("zoos");
    let try_with = |bytes: &[u8], cut: bool| {
        fs::write(&archive, bytes).unwrap();
        let outcome = place.import(std::slice::from_ref(&archive), "zoos");
        assert!(!cut || outcome.is_err());
        if to.exists() {
            for path in files(&to) {
                // A changed name is a changed name; a changed byte is found out.
                assert!(sound.contains(&fs::read(&path).unwrap()), "{}", path.display());
            }
            fs::remove_dir_all(&to).unwrap();
        }
    };
    for part in 0..12 {
        try_with(&whole[..whole.len() * part / 12], true);
    }
    for step in 0..60 {
        let mut bytes = whole.clone();
        // More of them in the directory at the end.
        let at = if step % 2 == 0 { whole.len() * step / 60 } else { whole.len() - 1 - 37 * step };
        bytes[at] ^= 0x10;
        try_with(&bytes, false);
    }
}
