//! `pgdl train`: one network of a recipe, with the recipe's regularizer or another.

use crate::support::Place;

fn place() -> Place {
    let place = Place::new();
    let toy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../model_zoo/toy_mlp/recipe.toml");
    let recipe = std::fs::read_to_string(toy).unwrap().replace("max_epochs = 200", "max_epochs = 3");
    std::fs::write(place.path("recipe.toml"), recipe).unwrap();
    place
}

const TRAIN: [&str; 8] = ["train", "recipe.toml", "--network", "2", "--device", "cpu", "--format", "csv"];

#[test]
fn one_network_is_the_one_that_a_build_trains() {
    let place = place();
    let trained = place.run(&TRAIN, 0);
    let lines: Vec<&str> = trained.stdout.lines().collect();
    assert_eq!(lines[0], "split,accuracy,cross_entropy");
    assert!(lines[1].starts_with("train,") && lines[2].starts_with("test,") && lines[3].starts_with("gap,"));
    assert!(trained.stderr.contains("weight_decay 0.001") && trained.stderr.contains("3 epochs"));
    place.run(&["zoo", "build", "recipe.toml", "--output", "built", "--device", "cpu"], 0);
    let configs = std::fs::read_to_string(place.path("built/model_configs.json")).unwrap();
    let configs: serde_json::Value = serde_json::from_str(&configs).unwrap();
    let accuracy = configs["2"]["metrics"]["test_acc"].as_f64().unwrap();
    let found: f64 = lines[2].split(',').nth(1).unwrap().parse().unwrap();
    assert!((found - accuracy).abs() < 1e-4, "{found} instead of {accuracy}");
}

#[test]
fn regularizers_change_the_network_and_wrong_ones_are_refused() {
    let place = place();
    let of = |name: &str| place.run(&[&TRAIN[..], &["--regularizer", name]].concat(), 0).stdout;
    let plain = place.run(&TRAIN, 0).stdout;
    assert_eq!(of("none"), plain);
    let (smoothed, mixed) = (of("label_smoothing"), of("mixup"));
    assert!(smoothed != plain && mixed != plain && mixed != smoothed);

    let unknown = place.run(&[&TRAIN[..], &["--regularizer", "prayer"]].concat(), 2);
    assert!(unknown.stderr.contains("prayer"), "{}", unknown.stderr);
    let alone = place.run(&[&TRAIN[..], &["--regularizer", "nc"]].concat(), 2);
    assert!(alone.stderr.contains("--checkpoint"), "{}", alone.stderr);
    let nc = ["--regularizer", "nc", "--checkpoint", "none.safetensors", "--queries", "0-9"];
    let drawn = place.run(&[&TRAIN[..], &nc].concat(), 2);
    assert!(drawn.stderr.contains("takes [data], not [synthetic]"), "{}", drawn.stderr);
    let missing = place.run(&["train", "recipe.toml", "--network", "99", "--device", "cpu"], 2);
    assert!(missing.stderr.contains("no network 99"), "{}", missing.stderr);
}
