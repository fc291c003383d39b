//! A zoo of four small networks, trained once per test process and copied from then on.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::Place;

const RECIPE: &str = r#"
schema = 1
name = "small"
seed = 7
family = "vgg"

[synthetic]
shape = [8, 8, 3]
classes = 3
train = 96
test = 60
noise = 1.0

[fixed]
dense_width = 6
num_dense_layers = 1
weight_decay = 0.0
dropout_p = 0.0
bs = 16
lr = 0.01

[[axis]]
name = "convwidth"
values = [4, 8]

[[axis]]
name = "num_conv_blocks"
values = [1, 2]

[training]
optimizer = "adam"
max_epochs = 6
"#;

/// The number of its networks.
pub const NETWORKS: usize = 4;

/// A place with the zoo `small` in it.
pub fn place() -> Place {
    let place = Place::new();
    copy_to(&place.path("small"));
    place
}

/// A copy of the zoo, as this folder.
pub fn copy_to(folder: &Path) {
    static BUILT: OnceLock<Place> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let place = Place::new();
        std::fs::write(place.path("recipe.toml"), RECIPE).unwrap();
        place.run(&["zoo", "build", "recipe.toml", "--output", "small", "--device", "cpu"], 0);
        place
    });
    copy(&built.path("small"), folder);
}

/// The records of all runs in a place.
pub fn records(place: &Place) -> Vec<Value> {
    let mut records = Vec::new();
    for folder in std::fs::read_dir(place.path("share/pgdl/runs")).unwrap() {
        let file = folder.unwrap().path().join("records.jsonl");
        let text = std::fs::read_to_string(file).unwrap();
        records.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    records
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
