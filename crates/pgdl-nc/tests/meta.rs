//! Meta-training: that it learns, that it goes on where it stopped, and what it refuses.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pgdl_nc::bank::{Bank, Column};
use pgdl_nc::{Checkpoint, MetaTraining, NcError, Recipe};
use tch::{Device, Kind, Tensor};

const RECIPE: &str = r#"
    schema = 1
    name = "tiny"
    seed = 4
    form = "regression"
    [model]
    width = 32
    heads = 4
    [learner]
    hidden = [10]
    [meta]
    steps = 60
    batch = 32
    lr = 0.002
    parallel = 8
    every = 10
    fill = 1024
    bank = 1100
    lambda_steps = 30
    [watch]
    every = 20
    tasks = 32
    save = 20
"#;

fn recipe() -> Recipe {
    Recipe::parse(RECIPE).unwrap()
}

fn open(recipe: Recipe, folder: &Path) -> Result<MetaTraining, NcError> {
    tch::set_num_threads(1);
    MetaTraining::open(recipe, folder, Device::Cpu)
}

fn run(training: &mut MetaTraining) -> Result<Checkpoint, NcError> {
    training.run(&AtomicBool::new(false), &mut |_| {})
}

/// Interrupted twice, once between saved states; the bank is in its second round. Every file is the same to the byte.
#[test]
fn interrupted_training_comes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    run(&mut open(recipe(), &whole).unwrap()).unwrap();

    let interrupt = AtomicBool::new(false);
    let mut training = open(recipe(), &parts).unwrap();
    let stopped = training.run(&interrupt, &mut |point| interrupt.store(point.step == 20, Ordering::Relaxed));
    assert!(matches!(stopped, Err(NcError::Interrupted { step: 20, total: 60 })));
    let mut training = open(recipe(), &parts).unwrap();
    assert_eq!(training.step(), 20);
    for _ in 0..13 {
        training.meta_step().unwrap();
    }
    training.keep().unwrap();
    let mut training = open(recipe(), &parts).unwrap();
    assert_eq!(training.step(), 33);
    let checkpoint = run(&mut training).unwrap();

    for name in ["state.safetensors", "checkpoint.safetensors", "curve.csv", "recipe.toml"] {
        assert!(fs::read(whole.join(name)).unwrap() == fs::read(parts.join(name)).unwrap(), "{name} differs");
    }
    let description = checkpoint.description;
    assert_eq!((description.steps, description.left_out), (60, 0));
    assert_eq!(description.recipe, recipe());
    // 1,024 to fill it, and 8 learners of 16 steps before steps 10, 20, … 50.
    assert_eq!((description.episodes, description.snapshots), (8 + 5, 1024 + 5 * 128));
}

#[test]
fn it_learns() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.meta.steps = 300;
    recipe.meta.lambda_steps = 30_000;
    recipe.watch.every = 100;
    let mut training = open(recipe, folder.path()).unwrap();
    run(&mut training).unwrap();
    let r2: Vec<f64> = training.curve().iter().map(|point| point.plain.r2).collect();
    assert_eq!(r2.len(), 3);
    assert!(r2[2] > 0.25 && r2[2] > r2[0], "R² on held-out tasks: {r2:?}");
}

#[test]
fn a_checkpoint_is_what_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.meta.steps = 3;
    let written = run(&mut open(recipe, folder.path()).unwrap()).unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let read = Checkpoint::read(&path, Device::Cpu).unwrap();
    assert_eq!(read.description, written.description);
    assert_eq!(read.model.parameters(), written.model.parameters());
    assert!(read.description.trained_on.contains("no stored network"));
}

/// A second training from the first one's end: its first loss is where the first one's was, and its description holds both.
#[test]
fn beginning_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(&mut open(recipe(), &folder.path().join("first")).unwrap()).unwrap();
    let mut second = recipe();
    second.start = Some(folder.path().join("first/checkpoint.safetensors"));
    second.seed = 5;
    second.meta.steps = 2;
    second.meta.lr = 1e-6;
    let trained = run(&mut open(second.clone(), &folder.path().join("second")).unwrap()).unwrap();
    let moved = (trained.model.parameters() - first.model.parameters()).abs().max().double_value(&[]);
    assert!(moved > 0.0 && moved < 1e-5, "{moved}");
    assert_eq!(trained.description.begun_from.as_deref(), Some(&first.description));
    let again = open(second.clone(), &folder.path().join("second")).unwrap().checkpoint().unwrap();
    assert_eq!(again.description, trained.description);
    second.model.width = 16;
    let error = open(second, &folder.path().join("third")).unwrap_err().to_string();
    assert!(error.ends_with("it is of another model than the recipe's"), "{error}");
}

/// Changes the description in a file's header.
fn reword(path: &Path, from: &str, to: &str) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    assert!(header.contains(from), "{header}");
    let header = header.replace(from, to);
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend(header.as_bytes());
    changed.extend(&bytes[8 + length..]);
    fs::write(path, changed).unwrap();
}

#[test]
fn files_that_are_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.meta.steps = 1;
    run(&mut open(recipe.clone(), folder.path()).unwrap()).unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let original = fs::read(&path).unwrap();
    let message = || Checkpoint::read(&path, Device::Cpu).unwrap_err().to_string();

    reword(&path, r#"\"schema\":1"#, r#"\"schema\":2"#);
    assert!(message().ends_with("it is a checkpoint of version 2, but this program reads 1"));
    fs::write(&path, &original).unwrap();
    reword(&path, r#"\"width\":32"#, r#"\"width\":16"#);
    assert!(
        message()
            .ends_with("tensor `encoder.0.weight` is Float [32, 2], but its description wants Float [16, 2]")
    );
    fs::write(&path, &original).unwrap();
    reword(&path, r#"\"decoder_layers\":2"#, r#"\"decoder_layers\":3"#);
    assert!(message().contains("decoder.1.weight"));
    fs::write(&path, &original[..original.len() - 9]).unwrap();
    assert!(message().contains("it is no whole safetensors file"));
    let plain = [("x", Tensor::from_slice(&[1.0f32]))];
    Tensor::write_safetensors(&plain, &path).unwrap();
    assert!(message().contains("it is no file of Neural Complexity"));
    fs::copy(folder.path().join("state.safetensors"), &path).unwrap();
    assert!(message().ends_with("it is a state, but a checkpoint is wanted"));
}

#[test]
fn a_bank_or_folder_of_another_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = recipe();
    first.meta.steps = 1;
    run(&mut open(first.clone(), folder.path()).unwrap()).unwrap();
    let mut other = first.clone();
    other.tasks.as_mut().unwrap().amplitude = [1.0, 2.0];
    let error = open(other.clone(), folder.path()).unwrap_err();
    assert!(matches!(error, NcError::OtherRecipe { .. }) && error.hint().is_some());
    // A state that someone put beside the other recipe.
    let elsewhere = tempfile::tempdir().unwrap();
    drop(open(other.clone(), elsewhere.path()).unwrap());
    fs::copy(folder.path().join("state.safetensors"), elsewhere.path().join("state.safetensors")).unwrap();
    let error = open(other, elsewhere.path()).unwrap_err();
    assert!(matches!(error, NcError::OtherRecipe { .. }), "{error}");
    // How a training is watched is no part of what it makes.
    first.watch.every = 7;
    assert_eq!(open(first, folder.path()).unwrap().step(), 1);
}

#[test]
fn diverging_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut learners = recipe();
    learners.learner.as_mut().unwrap().lr = 1e30;
    let error = open(learners, folder.path()).and_then(|mut training| run(&mut training)).unwrap_err();
    assert!(error.to_string().contains("the learners diverge"), "{error}");
}

#[test]
fn a_bank_is_a_ring() {
    let columns = vec![
        Column { name: "index", shape: vec![2], kind: Kind::Int64 },
        Column { name: "gap", shape: vec![], kind: Kind::Float },
    ];
    let mut bank = Bank::new(columns, 5, Device::Cpu).unwrap();
    let group = |from: i64, count: i64| {
        let index: Vec<i64> = (from..from + count).flat_map(|i| [i, -i]).collect();
        let gaps: Vec<f32> = (from..from + count).map(|i| i as f32).collect();
        [Tensor::from_slice(&index).reshape([count, 2]), Tensor::from_slice(&gaps)]
    };
    let held = |bank: &Bank| {
        let all = bank.take(&Tensor::arange(bank.len(), (Kind::Int64, Device::Cpu))).unwrap();
        assert_eq!(all[0].select(1, 0).to_kind(Kind::Float), all[1]);
        Vec::<f32>::try_from(&all[1]).unwrap()
    };
    assert!(bank.is_empty());
    bank.push(&group(0, 3)).unwrap();
    assert_eq!(held(&bank), [0.0, 1.0, 2.0]);
    bank.push(&group(3, 4)).unwrap();
    assert_eq!((held(&bank), bank.received()), (vec![5.0, 6.0, 2.0, 3.0, 4.0], 7));
    bank.push(&group(7, 13)).unwrap();
    assert_eq!((held(&bank), bank.received()), (vec![15.0, 16.0, 17.0, 18.0, 19.0], 20));
    let wrong = [Tensor::from_slice(&[1i64]), Tensor::from_slice(&[1.0f32])];
    assert!(bank.push(&wrong).is_err());
    assert!(Bank::new(Vec::new(), 0, Device::Cpu).is_err());
}

#[test]
fn recipes_that_are_refused() {
    let refused = |from: &str, to: &str| {
        assert!(RECIPE.contains(from), "{from}");
        Recipe::parse(&RECIPE.replace(from, to)).unwrap_err().to_string()
    };
    assert!(refused("schema = 1", "schema = 3").starts_with("schema is 3"));
    assert!(refused("heads = 4", "heads = 5").starts_with("model.heads is 5, but must be a divisor"));
    assert!(refused("bank = 1100", "bank = 100").starts_with("meta.fill is 1024, but must be at most"));
    assert!(refused("lr = 0.002", "lr = nan").starts_with("meta.lr is NaN"));
    assert!(refused("batch = 32", "batches = 32").contains("unknown field `batches`"));
    assert!(refused("hidden = [10]", "hidden = [0]").starts_with("learner.hidden is 0"));
    assert!(refused("\"regression\"", "\"ranking\"").contains("unknown variant"));
    assert!(refused("name = \"tiny\"", "name = \"Tiny Model\"").starts_with("name is Tiny Model"));
}
