//! What recipes mean, and what is said of those that mean nothing.

use std::path::Path;

use pgdl_train::{Recipe, TrainError};

const GOOD: &str = r#"
schema = 1
name = "toy"
seed = 1
family = "mlp"

[synthetic]
shape = [2, 2, 1]
classes = 2
train = 8
test = 8
noise = 0.1

[fixed]
lr = 0.1
depth = 1

[[axis]]
name = "width"
values = [4, 8, 16]

[[axis]]
name = "bs"
values = [2, 4]

[training]
optimizer = "sgd"
max_epochs = 2
"#;

fn with(from: &str, to: &str) -> Result<Recipe, TrainError> {
    assert!(GOOD.contains(from), "{from}");
    Recipe::parse(&GOOD.replace(from, to))
}

#[test]
fn the_last_axis_varies_fastest() {
    let recipe = Recipe::parse(GOOD).unwrap();
    let grid: Vec<Vec<f64>> = recipe.ids().map(|id| recipe.axis_values(id).unwrap()).collect();
    let expected = [[4.0, 2.0], [4.0, 4.0], [8.0, 2.0], [8.0, 4.0], [16.0, 2.0], [16.0, 4.0]];
    assert_eq!(grid, expected);
    let settings = recipe.settings(4).unwrap();
    let all: Vec<(&str, f64)> = settings.iter().collect();
    let expected = [
        ("bs", 2.0),
        ("depth", 1.0),
        ("dropout_p", 0.0),
        ("lr", 0.1),
        ("weight_decay", 0.0),
        ("width", 16.0),
    ];
    assert_eq!(all, expected);
    let error = recipe.settings(6).unwrap_err().to_string();
    assert!(error.contains("no network 6: the last one is 5"), "{error}");
}

#[test]
fn the_digest_depends_on_content_not_on_layout() {
    let digest = |recipe: Recipe| recipe.digest().unwrap();
    let base = digest(Recipe::parse(GOOD).unwrap());
    assert_eq!(base, digest(with("seed = 1", "seed    = 1 # a comment").unwrap()));
    assert_eq!(base, digest(with("optimizer", "momentum = 0.9\noptimizer").unwrap()), "0.9 is the default");
    assert_ne!(base, digest(with("seed = 1", "seed = 2").unwrap()));
    assert_ne!(base, digest(with("noise = 0.1", "noise = 0.2").unwrap()));
    assert_ne!(base, digest(with("values = [2, 4]", "values = [4, 2]").unwrap()));
}

#[test]
fn seeds_differ_by_purpose_and_network_and_survive_a_larger_grid() {
    let recipe = Recipe::parse(GOOD).unwrap();
    let larger = with("values = [4, 8, 16]", "values = [2, 4, 8, 16]").unwrap();
    let mut seeds = Vec::new();
    for id in recipe.ids() {
        for purpose in ["initial weights", "order"] {
            let seed = recipe.seed_of(id, purpose).unwrap();
            assert_eq!(seed, larger.seed_of(id + 2, purpose).unwrap());
            seeds.push(seed);
        }
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 12);
}

#[test]
fn bad_values_name_the_key_and_what_is_allowed() {
    let cases = [
        ("schema = 1", "schema = 2", "schema is 2, but must be 1"),
        ("\"toy\"", "\"To y\"", "name is To y, but must be lower-case letters"),
        ("lr = 0.1", "lr = -1", "fixed.lr is -1, but must be a number from"),
        ("lr = 0.1", "lr = nan", "fixed.lr is NaN"),
        ("lr = 0.1", "lr = 0.1\nbs = 4", "`bs` is given twice"),
        (
            "lr = 0.1",
            "lr = 0.1\nwdith = 4",
            "a key of fixed is wdith, but must be one of this family's settings",
        ),
        ("lr = 0.1", "", "`lr` is missing"),
        ("values = [2, 4]", "values = []", "axis `bs` has no value"),
        ("values = [2, 4]", "values = [2, 2]", "the value 2 twice"),
        ("values = [2, 4]", "values = [0]", "a value of axis bs is 0, but must be a whole number from 1"),
        ("values = [2, 4]", "values = [2.5]", "a value of axis bs is 2.5, but must be a whole number"),
        ("classes = 2", "classes = 1", "synthetic.classes is 1, but must be from 2 to 1000"),
        ("shape = [2, 2, 1]", "shape = [2, 0, 1]", "synthetic.shape is [2, 0, 1]"),
        ("train = 8", "train = 0", "synthetic.train is 0"),
        ("max_epochs = 2", "max_epochs = 0", "training.max_epochs is 0"),
        (
            "max_epochs = 2",
            "max_epochs = 2\nmomentum = 1",
            "training.momentum is 1, but must be a number from 0 to 0.9999",
        ),
        (
            "max_epochs = 2",
            "max_epochs = 2\ntarget_cross_entropy = nan",
            "training.target_cross_entropy is NaN",
        ),
        ("max_epochs = 2", "max_epochs = 2\nepochs = 3", "unknown field `epochs`"),
        ("\"sgd\"", "\"sdg\"", "unknown variant `sdg`"),
        (
            "[synthetic]",
            "[data]\ndataset = \"cifar10\"\ntrain = \"0-9\"\ntest = \"0-9\"\n[synthetic]",
            "one of the tables",
        ),
        ("family = \"mlp\"", "family = \"vgg\"", "must be one of this family's settings"),
        ("[[axis]]", "[[axis", "recipe text"),
    ];
    for (from, to, expected) in cases {
        let error = with(from, to).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn data_must_exist_and_be_indexed_sensibly() {
    let synthetic = GOOD.find("[synthetic]").unwrap()..GOOD.find("[fixed]").unwrap();
    let named = |data: &str| {
        let mut text = GOOD.to_owned();
        text.replace_range(synthetic.clone(), data);
        Recipe::parse(&text)
    };
    let good = "[data]\ndataset = \"mnist\"\ntrain = \"0-9,20\"\ntest = \"5\"\n\n";
    let recipe = named(good).unwrap();
    assert_eq!(recipe.input().unwrap(), (vec![28, 28, 1], 10));
    for (from, to, expected) in [
        ("mnist", "minst", "minst"),
        ("0-9,20", "9-0", "9-0"),
        ("0-9,20", "", "data.train is "),
        ("0-9,20", "0-9,4", "occurs twice"),
        ("test = \"5\"", "test = \"5\"\ntransform = { scale = 1.0, mean = [1, 2, 3] }", "channels"),
    ] {
        let error = named(&good.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn half_precision_and_batch_normalization_do_not_go_together() {
    let all_conv = GOOD
        .replace("\"mlp\"", "\"all_conv\"")
        .replace("name = \"width\"\nvalues = [4, 8, 16]", "name = \"nparams\"\nvalues = [9000]")
        .replace("depth = 1", "depth = 3")
        .replace("shape = [2, 2, 1]", "shape = [8, 8, 1]");
    assert!(Recipe::parse(&all_conv).is_ok());
    let half = all_conv.replace("max_epochs = 2", "max_epochs = 2\ncompute = \"bfloat16\"");
    let error = Recipe::parse(&half).unwrap_err().to_string();
    assert!(error.contains("training.compute must be float32"), "{error}");
    assert!(Recipe::parse(&half.replace("lr = 0.1", "lr = 0.1\nbatch_norm = 0")).is_ok());
}

#[test]
fn the_recipes_of_the_model_zoo_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../model_zoo");
    let mut found = 0;
    for zoo in std::fs::read_dir(&folder).unwrap() {
        let path = zoo.unwrap().path().join("recipe.toml");
        if path.exists() {
            let recipe = Recipe::read(&path).unwrap();
            assert_eq!(path.parent().unwrap().file_name().unwrap().to_str().unwrap(), recipe.name);
            found += 1;
        }
    }
    assert!(found > 0, "no recipe below {}", folder.display());
}
