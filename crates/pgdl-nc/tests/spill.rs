//! Meta-training whose memory bank is in a file: the same to the bit, and it goes on wherever it ended.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use pgdl_nc::{MetaTraining, NcError, Recipe};
use tch::{Device, Tensor};

/// A snapshot has 244 bytes: 40 each of train inputs, targets and outputs, 60 each of test inputs and outputs, and the gap.
const RECIPE: &str = r#"
    schema = 1
    name = "tiny"
    seed = 4
    form = "regression"
    [model]
    width = 16
    heads = 2
    [learner]
    hidden = [10]
    [meta]
    steps = 60
    batch = 32
    lr = 0.002
    parallel = 8
    every = 5
    fill = 512
    bank = 600
    lambda_steps = 30
    [watch]
    every = 30
    tasks = 8
    save = 1000
"#;

fn recipe(memory: Option<u64>) -> Recipe {
    let mut recipe = Recipe::parse(RECIPE).unwrap();
    if let Some(memory) = memory {
        recipe.watch.bank_memory = memory;
    }
    recipe
}

fn open(memory: Option<u64>, folder: &Path) -> Result<MetaTraining, NcError> {
    tch::set_num_threads(1);
    MetaTraining::open(recipe(memory), folder, Device::Cpu)
}

fn finish(mut training: MetaTraining) -> (Tensor, MetaTraining) {
    let checkpoint = training.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    (checkpoint.model.parameters().copy(), training)
}

#[test]
fn a_bank_in_a_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, whole) = finish(open(None, &folder.path().join("memory")).unwrap());
    assert!(!folder.path().join("memory/bank.spill").exists());
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    // All of it, and all but the gaps, targets, inputs and outputs of the train rows.
    for (name, memory, record) in [("all", 0, 244), ("half", 600 * 124, 120)] {
        let (parameters, training) = finish(open(Some(memory), &folder.path().join(name)).unwrap());
        assert_eq!(parameters, expected, "{name}");
        assert_eq!(training.curve(), whole.curve());
        assert_eq!(training.checkpoint().unwrap().description.snapshots, 512 + 11 * 128);
        // Room for 600 snapshots and 150 more.
        assert_eq!(size(&format!("{name}/bank.spill")), 4096 + 750 * record);
        // A kept state has nothing of it; its header is as much shorter as names and lengths make it.
        let saved = size("memory/state.safetensors") - size(&format!("{name}/state.safetensors"));
        assert!((600 * record..600 * record + 1000).contains(&(saved + 200)), "{saved}");
    }
}

/// Ended without a word at all kinds of steps: after states that were kept on time, or because the file was full, and before
/// the first one.
#[test]
fn it_goes_on_from_the_kept_state() {
    let folder = tempfile::tempdir().unwrap();
    let (expected, _) = finish(open(None, &folder.path().join("memory")).unwrap());
    let path = folder.path().join("file");
    let mut steps = Vec::new();
    for (on_time, more) in [(0, 3), (0, 9), (7, 6), (2, 19), (0, 8)] {
        let mut training = open(Some(0), &path).unwrap();
        steps.push(training.step());
        for _ in 0..on_time {
            training.meta_step().unwrap();
        }
        if on_time > 0 {
            training.keep().unwrap();
        }
        for _ in 0..more {
            training.meta_step().unwrap();
        }
    }
    let training = open(Some(0), &path).unwrap();
    steps.push(training.step());
    // The limit is that of the beginning: another one later changes nothing.
    drop(training);
    let training = open(None, &path).unwrap();
    let (parameters, _) = finish(training);
    assert_eq!(parameters, expected);
    // Some went on from the beginning, and every one later than the one before, or there.
    assert!(steps[0] == 0 && steps[1] == 0 && steps.is_sorted() && steps[5] >= 20, "{steps:?}");
}

#[test]
fn files_of_other_trainings_and_full_disks() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let keep = |recipe: Recipe, path: &Path| {
        let mut training = MetaTraining::open(recipe, path, Device::Cpu).unwrap();
        training.meta_step().unwrap();
        training.keep().unwrap();
    };
    keep(recipe(Some(0)), &one);
    let mut another = recipe(Some(0));
    another.seed = 5;
    keep(another, &other);
    let spill = one.join("bank.spill");
    let whole = fs::read(&spill).unwrap();
    fs::copy(other.join("bank.spill"), &spill).unwrap();
    let error = open(Some(0), &one).unwrap_err();
    assert!(matches!(error, NcError::OtherRecipe { .. }) && error.to_string().contains("bank.spill"));
    fs::write(&spill, &whole[..whole.len() - 5000]).unwrap();
    let error = open(Some(0), &one).unwrap_err().to_string();
    assert!(error.contains("bank.spill") && error.contains("it was cut off"), "{error}");
    fs::write(&spill, &whole).unwrap();
    assert_eq!(open(Some(0), &one).unwrap().step(), 1);

    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    std::os::unix::fs::symlink("/dev/full", full.join("bank.spill")).unwrap();
    let error = open(Some(0), &full).unwrap_err();
    assert!(error.to_string().contains("bank.spill: No space left"), "{error}");
    assert!(error.hint().unwrap().contains("make room"));
}
