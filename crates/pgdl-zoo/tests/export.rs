//! `export`: complete competition directories.

mod fake_mnist;
mod small_zoo;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use fake_mnist::fake_mnist;
use pgdl_zoo::data::shards;
use pgdl_zoo::data_reference::{DataReference, Indices};
use pgdl_zoo::fetch::{DATA_DIR_VARIABLE, OFFLINE_VARIABLE};
use pgdl_zoo::{CheckOptions, ExportEvent, Gap, Split, Zoo, ZooError, check, export};
use small_zoo::{files, networks, small_zoo};

#[test]
fn an_exported_zoo_is_complete_and_has_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(&folder.path().join("small"));
    let to = folder.path().join("new/exported");
    let mut events = Vec::new();
    let exported = export(&zoo, &to, &mut |event| events.push(format!("{event:?}"))).unwrap();
    assert_eq!(events.len(), 4 + 2);
    let task = to.join("input_data/small");
    for path in [&to, &task, &to.join("reference_data/small")] {
        let opened = Zoo::open(path).unwrap();
        assert_eq!((opened.name(), opened.root()), ("small", exported.root()));
        assert_eq!(opened.digest().unwrap(), zoo.digest().unwrap());
        assert_eq!(opened.gaps(Gap::Accuracy).unwrap(), zoo.gaps(Gap::Accuracy).unwrap());
    }
    // Byte for byte, and nothing else: every file of the zoo, the listing in its own half.
    let content = |root: &Path| -> BTreeMap<String, Vec<u8>> {
        let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        files(root).iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
    };
    let mut expected = content(zoo.root());
    let listing = expected.remove("model_configs.json").unwrap();
    assert_eq!(content(&task), expected);
    assert_eq!(fs::read(to.join("reference_data/small/model_configs.json")).unwrap(), listing);
    assert_eq!(files(&to).len(), expected.len() + 1);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(&folder.path().join("small"));
    let to = folder.path().join("exported");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("precious"), b"").unwrap();
    let error = export(&zoo, &to, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("not empty"), "{error}");
    fs::remove_file(to.join("precious")).unwrap();
    // A shard that is missing is found out late.
    fs::remove_dir_all(zoo.root().join("dataset_1/train")).unwrap();
    assert!(matches!(export(&zoo, &to, &mut |_| {}), Err(ZooError::Missing { .. })));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
}

#[test]
fn what_is_lacking_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(&folder.path().join("small"));
    let to = folder.path().join("exported");
    fs::remove_file(zoo.root().join("model_100/weights.hdf5")).unwrap();
    let error = export(&zoo, &to, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("model_100/weights.hdf5"), "{error}");
    fs::remove_dir_all(zoo.root().join("model_100")).unwrap();
    let error = export(&zoo, &to, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("network 100"), "{error}");
    fs::remove_file(zoo.root().join("model_configs.json")).unwrap();
    let error = export(&Zoo::open(zoo.root()).unwrap(), &to, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("model_configs.json"), "{error}");
    assert!(!to.exists());
}

/// The data directory is named by the environment, which belongs to the whole process: this test runs itself again
/// with another one.
#[test]
fn named_data_become_shards() {
    const INNER: &str = "PGDL_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        return in_a_data_directory_of_its_own();
    }
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "named_data_become_shards", "--nocapture"])
        .env(INNER, "1")
        .env(DATA_DIR_VARIABLE, data.path())
        .env(OFFLINE_VARIABLE, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn in_a_data_directory_of_its_own() {
    let data = pgdl_zoo::fetch::data_dir().unwrap();
    fake_mnist(&data, 2345, 30);
    let transform = pgdl_zoo::data::Transform { scale: 1.0 / 255.0, mean: vec![0.5], std: vec![0.25] };
    let positions = |range: std::ops::Range<usize>| Indices::new(range).unwrap();
    let (reference, train, test) = DataReference::new(
        "mnist",
        transform,
        (Split::Train, positions(100..2345)),
        Some((Split::Test, positions(0..30))),
        &mut |_| {},
    )
    .unwrap();
    let (train, test) = (train, test.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mnist_small");
    networks(&root, &train, &test);
    fs::create_dir(root.join("dataset_1")).unwrap();
    reference.write(&root.join("dataset_1/data.json")).unwrap();
    let zoo = Zoo::open(&root).unwrap();
    let to = folder.path().join("exported");
    let mut writing = 0;
    let exported =
        export(&zoo, &to, &mut |event| writing += usize::from(matches!(event, ExportEvent::Writing(_))))
            .unwrap();
    assert_eq!(writing, 2);
    assert!(exported.data_reference().is_none());
    let paths = shards::paths(&exported.root().join("dataset_1/train")).unwrap();
    assert_eq!(paths.len(), 3, "2,245 samples in shards of 1,000");
    assert_eq!(exported.train_data().unwrap().digest().unwrap(), train.digest().unwrap());
    assert_eq!(exported.test_data().unwrap().digest().unwrap(), test.digest().unwrap());
    for zoo in [&zoo, &exported] {
        let report = check(zoo, &CheckOptions::default(), &mut |_| {}).unwrap();
        assert!(report.is_sound(), "{:#?}", report.findings);
    }
    // Data that are not those that the zoo was made with say so.
    fake_mnist(&data, 2345, 29);
    let report = check(&zoo, &CheckOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert!(report.findings[0].to_string().contains("no") && report.findings[0].to_string().contains("29"));
}
