//! `check`: what it finds in zoos that are sound, damaged, and wrong about themselves.

mod small_zoo;

use std::fs;
use std::path::{Path, PathBuf};

use pgdl_network::Network;
use pgdl_zoo::hdf5::Storage;
use pgdl_zoo::writer::write_network;
use pgdl_zoo::{
    CheckEvent, CheckOptions, CheckReport, CheckStatus, Dataset, Listing, Split, Zoo, ZooWriter, check, keras,
};
use small_zoo::{IDS, architecture, files, small_zoo, test, train};
use tch::{Device, Kind, Tensor};

fn checked(zoo: &Zoo) -> CheckReport {
    check(zoo, &CheckOptions::default(), &mut |_| {}).unwrap()
}

fn findings(report: &CheckReport) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

fn only_finding(zoo: &Zoo) -> String {
    let found = findings(&checked(zoo));
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

fn statuses(report: &CheckReport) -> Vec<CheckStatus> {
    report.networks.iter().map(|network| network.status).collect()
}

/// Changes the zoo's listing.
fn relist(root: &Path, change: impl FnOnce(&mut Listing)) -> Zoo {
    let path = root.join("model_configs.json");
    let mut listing = Listing::read(&path).unwrap();
    change(&mut listing);
    listing.write(&path).unwrap();
    Zoo::open(root).unwrap()
}

/// Writes the final weights of network 20 anew.
fn rewrite(zoo: &Zoo, change: impl FnOnce(Vec<Vec<Tensor>>) -> Vec<Vec<Tensor>>) {
    let network = zoo.load(20).unwrap();
    let initial = zoo.load_initial(20).unwrap();
    let weights = network.weights().iter().map(|node| node.iter().map(Tensor::copy).collect()).collect();
    let changed = network.with_weights(change(weights)).unwrap();
    write_network(&zoo.root().join("model_20"), &changed, initial.as_ref(), Storage::Plain).unwrap();
}

fn reference(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let path = std::env::var_os("PGDL_REFERENCE").map_or(beside, PathBuf::from).join(name);
    if !path.exists() {
        println!("skipped: {} not found", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_sound_zoo_is_sound_whatever_the_batch_size() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    for batch_size in [1, 7, 64] {
        let options = CheckOptions { batch_size, ..CheckOptions::default() };
        let mut done = Vec::new();
        let report = check(&zoo, &options, &mut |event| {
            if let CheckEvent::Network { id, .. } = event {
                done.push(id);
            }
        })
        .unwrap();
        assert!(report.is_sound(), "{:#?}", findings(&report));
        assert_eq!((done.as_slice(), report.notes.len()), (IDS.as_slice(), 0));
        for network in report.networks {
            let listed = network.listed.unwrap();
            assert_eq!((network.status, &network.reason), (CheckStatus::Ok, &None));
            for (fit, accuracy, loss) in [
                (network.train.unwrap(), listed.train_acc, listed.train_loss.unwrap()),
                (network.test.unwrap(), listed.test_acc, listed.test_loss.unwrap()),
            ] {
                assert_eq!(fit.accuracy(), accuracy);
                assert!((fit.loss - loss).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn the_sample_task_of_the_competition_checks_out() {
    let (Some(toy), Some(expected)) = (reference("pgdl_toy"), reference("pgdl_toy_expected.json")) else {
        return;
    };
    let expected: serde_json::Value = serde_json::from_slice(&fs::read(expected).unwrap()).unwrap();
    let report = checked(&Zoo::open(toy).unwrap());
    assert!(report.is_sound(), "{:#?}", findings(&report));
    assert_eq!(report.networks.len(), 18);
    for network in &report.networks {
        let expected = &expected[format!("model_{}", network.id)];
        for (fit, accuracy, loss) in
            [(network.train, "train_acc", "train_ce"), (network.test, "test_acc", "test_ce")]
        {
            let fit = fit.unwrap();
            assert!((fit.accuracy() - expected[accuracy].as_f64().unwrap()).abs() < 1e-12);
            assert!((fit.loss - expected[loss].as_f64().unwrap()).abs() < 1e-6, "{}", network.id);
        }
    }
}

#[test]
fn a_zoo_of_listings_only_says_so() {
    let folder = tempfile::tempdir().unwrap();
    small_zoo(folder.path());
    for id in IDS {
        fs::remove_dir_all(folder.path().join(format!("model_{id}"))).unwrap();
    }
    let zoo = relist(folder.path(), |listing| {
        listing.networks[3].hyperparameters = listing.networks[0].hyperparameters.clone();
    });
    let report = checked(&zoo);
    let found = findings(&report);
    assert!(found[0].contains("no network files"), "{found:#?}");
    assert_eq!(found.len(), 3, "its grid is checked all the same: {found:#?}");
    assert_eq!(statuses(&report), [CheckStatus::Failed; 4]);
    if let Some(public) = reference("pgdl_public/task2_v1") {
        assert!(only_finding(&Zoo::open(public).unwrap()).contains("no network files"));
    }
}

#[test]
fn a_wrong_accuracy_or_loss_is_named() {
    let folder = tempfile::tempdir().unwrap();
    small_zoo(folder.path());
    let zoo = relist(folder.path(), |listing| {
        let metrics = |at: usize| listing.networks[at].metrics.unwrap();
        let (mut off_by_one, mut rounded, mut loss) = (metrics(0), metrics(1), metrics(2));
        off_by_one.test_acc = (off_by_one.test_acc - 1.0 / 30.0).abs();
        rounded.test_acc = (rounded.test_acc * 100.0).round() / 100.0;
        loss.train_loss = loss.train_loss.map(|loss| loss * 1.001);
        for (at, metrics) in [off_by_one, rounded, loss].into_iter().enumerate() {
            listing.networks[at].metrics = Some(metrics);
        }
    });
    let report = checked(&zoo);
    assert_eq!(
        statuses(&report),
        [CheckStatus::Differs, CheckStatus::Ok, CheckStatus::Differs, CheckStatus::Ok]
    );
    let found = findings(&report);
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("network 3: test_acc is listed as") && found[0].contains("of 30 samples"));
    assert!(found[1].contains("network 100: train_loss is listed as"));
    assert!(report.networks[0].reason.as_ref().unwrap().contains("test_acc"));
    let options = CheckOptions { accuracy: false, ..CheckOptions::default() };
    let report = check(&zoo, &options, &mut |_| {}).unwrap();
    assert!(report.is_sound() && report.networks.iter().all(|network| network.train.is_none()));
}

#[test]
fn ties_count_either_way_and_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    rewrite(&zoo, |mut weights| {
        weights[2] = weights[2].iter().map(Tensor::zeros_like).collect();
        weights
    });
    let listed = |accuracy: f64| {
        relist(folder.path(), |listing| {
            let metrics = listing.networks[1].metrics.as_mut().unwrap();
            (metrics.train_acc, metrics.test_acc) = (accuracy, accuracy);
            (metrics.train_loss, metrics.test_loss) = (Some(3f64.ln()), Some(3f64.ln()));
        })
    };
    for accuracy in [0.0, 0.3, 1.0] {
        let report = checked(&listed(accuracy));
        assert!(report.is_sound(), "{:#?}", findings(&report));
        assert_eq!(report.notes.len(), 1);
        assert!(report.notes[0].starts_with("80 answers"), "{}", report.notes[0]);
        let train = report.networks[1].train.unwrap();
        assert_eq!((train.at_least, train.at_most), (0, 50));
        // Among equals the first class counts: every third label is 0.
        assert_eq!(train.correct, 17);
    }
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    rewrite(&zoo, |weights| {
        let _ = weights[1][0].view([-1]).get(4).fill_(f64::NAN);
        weights
    });
    let found = only_finding(&zoo);
    assert!(found.contains("network 20: ") && found.contains("model_20/weights.hdf5"), "{found}");
    assert!(found.contains("kernel") && found.contains("NaN"), "{found}");
    // The same in the initial weights; the network itself is still looked at.
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    let other = zoo.load(100).unwrap();
    let nan: Vec<Vec<Tensor>> = other
        .weights()
        .iter()
        .map(|node| node.iter().map(|tensor| tensor * f64::INFINITY).collect())
        .collect();
    let initial = other.with_weights(nan).unwrap();
    write_network(&folder.path().join("model_100"), &other, Some(&initial), Storage::Plain).unwrap();
    let report = checked(&zoo);
    assert_eq!(statuses(&report)[2], CheckStatus::Failed);
    assert!(findings(&report)[0].contains("weights_init.hdf5"));
    assert!(report.networks[2].train.is_some());
}

#[test]
fn finite_weights_whose_logits_are_not_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    rewrite(&zoo, |weights| {
        weights.into_iter().map(|node| node.iter().map(|w| w.sign() * 3e38).collect()).collect()
    });
    let report = checked(&zoo);
    let found = findings(&report);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("network 20: ") && found[0].contains("train samples: the logits of sample"));
    assert_eq!(statuses(&report)[1], CheckStatus::Failed);
}

#[test]
fn every_damaged_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    for shard in ["dataset_1/train/shard_0.tfrecord", "dataset_1/train/shard_2.tfrecord"] {
        let path = folder.path().join(shard);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).unwrap();
    }
    let report = checked(&zoo);
    let found = findings(&report);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("train/shard_0.tfrecord") && found[1].contains("train/shard_2.tfrecord"));
    // The test samples are sound: what can be recomputed is.
    assert_eq!(statuses(&report), [CheckStatus::Failed; 4]);
    assert!(report.networks.iter().all(|network| network.train.is_none() && network.test.is_some()));
}

#[test]
fn samples_that_do_not_fit_the_networks_are_named() {
    let replaced = |train: Dataset| {
        let folder = tempfile::tempdir().unwrap();
        let zoo = small_zoo(folder.path());
        fs::remove_dir_all(folder.path().join("dataset_1/train")).unwrap();
        ZooWriter::create(folder.path()).unwrap().write_shards(Split::Train, &train, 20).unwrap();
        let report = checked(&zoo);
        assert_eq!(report.findings.len(), 4, "one per network: {:#?}", findings(&report));
        assert_eq!(statuses(&report), [CheckStatus::Failed; 4]);
        findings(&report)[0].clone()
    };
    let four = Dataset::new(train().inputs, train().labels.remainder(2) * 3).unwrap();
    assert!(replaced(four).contains("network 3: train samples: the data have a label 3"));
    let wide = Dataset::new(train().inputs.reshape([50, 4, 1, 1]), train().labels).unwrap();
    assert!(replaced(wide).contains("inputs of shape [4, 1, 1]"));
}

#[test]
fn a_network_of_another_interface_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    fs::remove_dir_all(folder.path().join("dataset_1")).unwrap();
    let odd = Network::initialize(architecture(&[2, 2, 1], 5, 4), 1, Device::Cpu).unwrap();
    write_network(&folder.path().join("model_101"), &odd, Some(&odd), Storage::Plain).unwrap();
    let found = findings(&checked(&zoo));
    assert_eq!(found.len(), 3, "two halves of the data are missing: {found:#?}");
    assert!(found[0].contains("dataset_1/train: ") && found[1].contains("dataset_1/test: "));
    assert!(found[2].contains("network 101: ") && found[2].contains("4 classes, where network 3 has"));
}

#[test]
fn folders_and_listing_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    fs::remove_dir_all(folder.path().join("model_101")).unwrap();
    fs::create_dir(folder.path().join("model_7")).unwrap();
    fs::remove_file(folder.path().join("model_20/weights_init.hdf5")).unwrap();
    fs::remove_file(folder.path().join("model_100/weights.hdf5")).unwrap();
    fs::write(folder.path().join("model_3/config.json"), "{").unwrap();
    let report = checked(&zoo);
    let found = findings(&report);
    for sign in [
        "model_7: a network that is not listed",
        "network 101: ",
        "network 20: ",
        "model_100/weights.hdf5: ",
        "model_3/config.json: ",
    ] {
        assert!(found.iter().any(|finding| finding.contains(sign)), "no `{sign}` in {found:#?}");
    }
    let reasons: Vec<&str> =
        report.networks.iter().map(|network| network.reason.as_deref().unwrap()).collect();
    assert!(
        reasons[0].starts_with("config.json: ") && reasons[1].starts_with("weights_init.hdf5: "),
        "{reasons:#?}"
    );
    // The damaged configuration serves final and initial weights, and is told once.
    assert_eq!(found.len(), 5, "{found:#?}");
    assert_eq!(
        statuses(&report),
        [CheckStatus::Failed, CheckStatus::Failed, CheckStatus::Failed, CheckStatus::Failed]
    );
}

#[test]
fn holes_duplicates_and_missing_metrics_are_named() {
    let folder = tempfile::tempdir().unwrap();
    small_zoo(folder.path());
    let zoo = relist(folder.path(), |listing| {
        listing.networks[2].hyperparameters = listing.networks[0].hyperparameters.clone();
        listing.networks[1].metrics = None;
    });
    let found = findings(&checked(&zoo));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("networks 3, 100") && found[0].contains("width = 5, run = 0"));
    assert!(found[1].contains("width = 5, run = 1"));
    assert!(found[2].contains("network 20: no accuracies"));
    fs::remove_file(folder.path().join("model_configs.json")).unwrap();
    let report = checked(&Zoo::open(folder.path()).unwrap());
    assert!(findings(&report)[0].contains("model_configs.json not found"));
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_zoo_damaged_anywhere_is_reported_and_nothing_panics() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    let options = CheckOptions { accuracy: true, ..CheckOptions::default() };
    for path in files(folder.path()) {
        let whole = fs::read(&path).unwrap();
        let shard = path.extension().is_some_and(|extension| extension == "tfrecord");
        for part in 1..6 {
            fs::write(&path, &whole[..whole.len() * part / 6]).unwrap();
            match Zoo::open(folder.path()) {
                Ok(zoo) => {
                    let report = check(&zoo, &options, &mut |_| {}).unwrap();
                    assert!(!report.is_sound(), "{} cut to {part}/6", path.display());
                    let here = |finding: &&pgdl_zoo::Finding| finding.file.as_ref() == Some(&path);
                    assert!(shard || report.findings.iter().any(|finding| here(&finding)));
                }
                Err(error) => assert!(error.to_string().contains("model_configs.json"), "{error}"),
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(checked(&zoo).is_sound());
}

#[test]
fn a_named_data_set_is_not_needed_without_accuracies() {
    let folder = tempfile::tempdir().unwrap();
    small_zoo(folder.path());
    fs::remove_dir_all(folder.path().join("dataset_1")).unwrap();
    fs::create_dir(folder.path().join("dataset_1")).unwrap();
    let digest = "0".repeat(64);
    let reference = format!(
        r#"{{"schema":1,"dataset":"cifar10","train":{{"split":"train","indices":"0-9","count":10,"sha256":"{digest}"}},
            "transform":{{"scale":1,"mean":[0],"std":[1]}}}}"#
    );
    fs::write(folder.path().join("dataset_1/data.json"), reference).unwrap();
    let options = CheckOptions { accuracy: false, ..CheckOptions::default() };
    let report = check(&Zoo::open(folder.path()).unwrap(), &options, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:#?}", findings(&report));
}

#[test]
fn final_weights_are_those_of_the_file_asked_for() {
    // `load` reads weights.hdf5, not the initial ones: the fits of the two differ.
    let folder = tempfile::tempdir().unwrap();
    let zoo = small_zoo(folder.path());
    let initial = keras::read_network(
        &folder.path().join("model_3"),
        Some(&folder.path().join("model_3/weights_init.hdf5")),
    )
    .unwrap();
    let at = |network: &Network| check::evaluate(network, &test(), 8).unwrap().loss;
    assert!((at(&initial) - at(&zoo.load(3).unwrap())).abs() > 1e-3);
    let empty = Dataset::new(
        Tensor::zeros([0, 2, 2, 1], (Kind::Float, Device::Cpu)),
        Tensor::zeros([0], (Kind::Int64, Device::Cpu)),
    );
    assert!(check::evaluate(&initial, &empty.unwrap(), 8).is_err());
}
