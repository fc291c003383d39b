//! Whole builds: the same bytes each time, also after an interruption or a killed process, and clear ends.
//!
//! This program has no test harness, since builds start it again with [`WORKER_ARGUMENT`].

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use pgdl_train::train::evaluate;
use pgdl_train::{Build, BuildEvent, Recipe, Summary, TrainError, WORKER_ARGUMENT, train_worker_main};
use pgdl_zoo::Zoo;
use tempfile::TempDir;

const RECIPE: &str = r#"
schema = 1
name = "tiny"
seed = 5
family = "vgg"
stored_precision = "bfloat16"

[synthetic]
shape = [8, 8, 3]
classes = 3
train = 60
test = 30
noise = 0.5

[fixed]
lr = 0.01
bs = 10
num_conv_blocks = 1
num_dense_layers = 1
dense_width = 8

[[axis]]
name = "convwidth"
values = [4, 8]

[[axis]]
name = "dropout_p"
values = [0.0, 0.3]

[training]
optimizer = "adam"
max_epochs = 12
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == WORKER_ARGUMENT) {
        return train_worker_main(arguments.into_iter().skip(1));
    }
    let tests: [(&str, fn()); 9] = [
        ("a_build_is_a_zoo_that_says_the_truth", a_build_is_a_zoo_that_says_the_truth),
        ("networks_keep_the_random_labels_they_were_trained_on", networks_keep_their_labels),
        ("two_builds_give_the_same_bytes", two_builds_give_the_same_bytes),
        ("an_interrupted_build_goes_on_and_gives_the_same_bytes", an_interrupted_build_goes_on),
        ("a_killed_process_leaves_a_zoo_that_can_be_completed", a_killed_process),
        ("a_folder_belongs_to_one_recipe", a_folder_belongs_to_one_recipe),
        ("networks_that_are_no_chains_are_refused_before_they_are_trained", networks_that_are_no_chains),
        ("a_network_that_diverges_is_named_and_the_others_are_kept", a_network_that_diverges),
        ("a_training_process_ends_with_its_standard_input", a_training_process_ends_with_its_input),
    ];
    let wanted = |name: &str| {
        arguments.iter().filter(|word| !word.starts_with('-')).all(|word| name.contains(word.as_str()))
    };
    for (name, test) in tests.into_iter().filter(|(name, _)| wanted(name)) {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// A folder with a recipe file in it, and a build of that recipe into `zoo` beside it.
fn prepared(recipe: &str) -> (TempDir, Build) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recipe.toml");
    fs::write(&path, recipe).unwrap();
    let build = Build {
        recipe: path,
        root: folder.path().join("zoo"),
        jobs: 2,
        threads: 1,
        device: "cpu".into(),
        program: env::current_exe().unwrap(),
    };
    (folder, build)
}

fn run(build: &Build) -> Result<Summary, TrainError> {
    build.run(&AtomicBool::new(false), &mut |_, _| {})
}

/// All files of a zoo, without the logs.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("logs") {
                folders.push(path);
            } else if path.is_file() {
                found.insert(path.strip_prefix(root).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn assert_same(found: &BTreeMap<PathBuf, Vec<u8>>, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, bytes) in found {
        assert!(*bytes == expected[path], "{} differs", path.display());
    }
}

fn reference() -> (TempDir, Build, BTreeMap<PathBuf, Vec<u8>>) {
    let (folder, build) = prepared(RECIPE);
    assert_eq!(run(&build).unwrap(), Summary { kept: 0, trained: 4 });
    let files = files(&build.root);
    (folder, build, files)
}

fn a_build_is_a_zoo_that_says_the_truth() {
    let (_folder, build, files) = reference();
    let recipe = Recipe::parse(RECIPE).unwrap();
    let zoo = Zoo::open(&build.root).unwrap();
    let names: Vec<&str> = zoo.hyperparameters().iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(names, ["convwidth", "dropout_p"]);
    let (train, test) = (zoo.train_data().unwrap(), zoo.test_data().unwrap());
    assert_eq!((train.len(), test.len()), (60, 30));
    assert_eq!(zoo.networks().iter().map(|network| network.id).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for entry in zoo.networks() {
        let values: Vec<f64> = entry.hyperparameters.iter().filter_map(|value| value.number()).collect();
        assert_eq!(values, recipe.axis_values(entry.id).unwrap());
        let network = zoo.load(entry.id).unwrap();
        let count = recipe.architecture(entry.id).unwrap().parameter_count().unwrap();
        assert_eq!(network.architecture().parameter_count().unwrap(), count);
        let listed = entry.metrics.unwrap();
        let (train, test) = (evaluate(&network, &train).unwrap(), evaluate(&network, &test).unwrap());
        assert_eq!((listed.train_acc, listed.test_acc), (train.accuracy, test.accuracy));
        for (listed, found) in [(listed.train_loss, train), (listed.test_loss, test)] {
            assert!((listed.unwrap() - found.cross_entropy).abs() < 1e-6);
        }
        // Twelve epochs on three separate clouds: learned, and not what it started from.
        let initial = zoo.load_initial(entry.id).unwrap().unwrap();
        assert!(evaluate(&initial, &zoo.train_data().unwrap()).unwrap().accuracy < train.accuracy);
        assert!(build.root.join(format!("logs/{}.jsonl", entry.id)).exists());
    }
    assert!(files.contains_key(Path::new("recipe.toml")));
    // A finished zoo is left as it is.
    assert_eq!(run(&build).unwrap(), Summary { kept: 4, trained: 0 });
    assert_same(&self::files(&build.root), &files);
}

fn networks_keep_their_labels() {
    let noisy = RECIPE
        .replace("name = \"dropout_p\"\nvalues = [0.0, 0.3]", "name = \"label_noise\"\nvalues = [0.0, 0.5]");
    assert_ne!(noisy, RECIPE);
    let (_folder, build) = prepared(&noisy);
    run(&build).unwrap();
    let zoo = Zoo::open(&build.root).unwrap();
    let train = zoo.train_data().unwrap();
    let clean = Vec::<i64>::try_from(&train.labels).unwrap();
    for entry in zoo.networks() {
        let own = Vec::<i64>::try_from(&zoo.as_trained(entry.id, &train).unwrap().labels).unwrap();
        let changed = own.iter().zip(&clean).filter(|(own, clean)| own != clean).count();
        // Ids count through the grid with the noise last: odd ones have it. A third of 30 random labels comes out right.
        assert_eq!(zoo.train_labels(entry.id).unwrap().is_some(), entry.id % 2 == 1);
        assert_eq!(changed > 8, entry.id % 2 == 1, "network {}: {changed}", entry.id);
        let part = zoo.as_trained(entry.id, &train.take(7).unwrap()).unwrap();
        assert_eq!(Vec::<i64>::try_from(&part.labels).unwrap(), own[..7]);
    }
    // The listed accuracies are those on the network's own labels.
    let check = || {
        pgdl_zoo::check::check(&Zoo::open(&build.root).unwrap(), &Default::default(), &mut |_| {}).unwrap()
    };
    assert!(check().is_sound(), "{:?}", check().findings);
    let digest = zoo.weights_digest(1).unwrap();
    let path = build.root.join("model_1/train_labels.idx");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(!check().is_sound());
    fs::remove_file(&path).unwrap();
    assert!(check().findings.iter().all(|finding| finding.network == Some(1)) && !check().is_sound());
    assert_ne!(Zoo::open(&build.root).unwrap().weights_digest(1).unwrap(), digest);
}

fn two_builds_give_the_same_bytes() {
    let (_folder, _, expected) = reference();
    let (_other, mut build) = prepared(RECIPE);
    build.jobs = 3;
    run(&build).unwrap();
    assert_same(&files(&build.root), &expected);
}

fn an_interrupted_build_goes_on() {
    let (_folder, _, expected) = reference();
    let (_other, mut build) = prepared(RECIPE);
    build.jobs = 1;
    let stop = AtomicBool::new(false);
    // Twice stopped in the middle of a training, after another network was finished.
    for least in [1, 2] {
        stop.store(false, Ordering::Relaxed);
        let mut trained = 0;
        let result = build.run(&stop, &mut |event, _| match event {
            BuildEvent::Finished { .. } => trained += 1,
            BuildEvent::Epoch { .. } if trained > 0 => stop.store(true, Ordering::Relaxed),
            _ => {}
        });
        match result.unwrap_err() {
            TrainError::Interrupted { finished, total: 4 } => assert!(finished >= least),
            other => panic!("{other}"),
        }
        assert!(!build.root.join("model_configs.json").exists());
    }
    let summary = run(&build).unwrap();
    assert!(summary.kept >= 2 && summary.kept + summary.trained == 4, "{summary:?}");
    assert_same(&files(&build.root), &expected);
}

fn a_killed_process() {
    // Long enough that the process is still at work when it is killed.
    let long = RECIPE.replace("max_epochs = 12", "max_epochs = 200\ntarget_cross_entropy = 0");
    let long = long.replace("convwidth\"\nvalues = [4, 8]", "convwidth\"\nvalues = [4]");
    let (_folder, reference) = prepared(&long);
    run(&reference).unwrap();
    let expected = files(&reference.root);
    let (_other, build) = prepared(&long);
    // The first process dies, and an earlier one had left a network without a record.
    let half = build.root.join("model_0");
    let mut once = true;
    let result = build.run(&AtomicBool::new(false), &mut |event, _| {
        if let BuildEvent::Epoch { id: 0, .. } = event
            && once
        {
            once = false;
            fs::create_dir_all(&half).unwrap();
            fs::write(half.join("weights.hdf5"), b"half").unwrap();
            kill_process_of(&build.root, 0);
        }
    });
    match result.unwrap_err() {
        TrainError::Failed { failed, total: 2 } => {
            assert_eq!(failed.len(), 1);
            assert!(failed[0].0 == 0 && failed[0].1.contains("signal: 9"), "{failed:?}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(run(&build).unwrap(), Summary { kept: 1, trained: 1 });
    assert_same(&files(&build.root), &expected);
}

/// Kills the process that trains network `id` of the zoo at `root`.
fn kill_process_of(root: &Path, id: u64) {
    let arguments = format!("{WORKER_ARGUMENT}\0");
    let place = format!("{}\0{id}\0", root.display());
    let pid = fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains(&arguments) && line.contains(&place)).then(|| entry.file_name())
    });
    let pid = pid.unwrap().into_string().unwrap();
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap().success());
}

fn a_folder_belongs_to_one_recipe() {
    let (_folder, build, before) = reference();
    fs::write(&build.recipe, RECIPE.replace("seed = 5", "seed = 6")).unwrap();
    match run(&build).unwrap_err() {
        error @ TrainError::OtherContent { .. } => assert!(error.hint().is_some()),
        other => panic!("{other}"),
    }
    assert_same(&files(&build.root), &before);
    // A comment makes no other recipe.
    fs::write(&build.recipe, format!("# The same.\n{RECIPE}")).unwrap();
    assert_eq!(run(&build).unwrap(), Summary { kept: 4, trained: 0 });
}

fn networks_that_are_no_chains() {
    let recipe = RECIPE
        .replace("\"vgg\"", "\"resnet\"")
        .replace("num_conv_blocks = 1\nnum_dense_layers = 1\ndense_width = 8", "");
    let recipe = recipe
        .replace("convwidth", "width")
        .replace("name = \"dropout_p\"\nvalues = [0.0, 0.3]", "name = \"blocks\"\nvalues = [1, 2]");
    let (_folder, build) = prepared(&recipe);
    let error = run(&build).unwrap_err().to_string();
    assert!(error.contains("no chains of layers"), "{error}");
    assert!(!build.root.exists());
}

fn a_network_that_diverges() {
    let wild = RECIPE.replace("lr = 0.01\n", "weight_decay = 1\n").replace("\"adam\"", "\"sgd\"");
    let wild =
        wild.replace("name = \"dropout_p\"\nvalues = [0.0, 0.3]", "name = \"lr\"\nvalues = [0.01, 100]");
    let wild = wild.replace("convwidth\"\nvalues = [4, 8]", "convwidth\"\nvalues = [4]");
    let (_folder, build) = prepared(&wild);
    let error = run(&build).unwrap_err();
    match &error {
        TrainError::Failed { failed, total: 2 } => {
            assert_eq!(failed.len(), 1);
            assert!(failed[0].0 == 1 && failed[0].1.contains("diverged in epoch"), "{failed:?}");
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("network 1"), "{error}");
    assert!(build.root.join("model_0/training.json").exists());
    assert!(!build.root.join("model_1").exists());
}

fn a_training_process_ends_with_its_input() {
    let (_folder, build) =
        prepared(&RECIPE.replace("max_epochs = 12", "max_epochs = 1000000\ntarget_cross_entropy = 0"));
    fs::create_dir_all(build.root.join("logs")).unwrap();
    let mut child = Command::new(&build.program)
        .arg(WORKER_ARGUMENT)
        .args([&build.recipe, &build.root])
        .args(["0", "cpu", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success());
    assert!(!build.root.join("model_0").exists());
}
