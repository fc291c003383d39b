//! A tiny zoo, trained once for all tests of a process, and manifests that name it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::Place;

/// Eight dense networks on drawn data; a second of training.
const RECIPE: &str = r#"
schema = 1
name = "tiny"
seed = 3
family = "mlp"

[synthetic]
shape = [4, 4, 1]
classes = 3
train = 90
test = 150
noise = 1.5

[fixed]
lr = 0.02

[[axis]]
name = "width"
values = [8, 16]

[[axis]]
name = "depth"
values = [1, 2]

[[axis]]
name = "bs"
values = [10, 30]

[training]
optimizer = "adam"
max_epochs = 60
"#;

/// The number of networks of the tiny zoo.
pub const NETWORKS: usize = 8;

/// Measures with draws and without, cheap ones; the last one is a composite.
pub const MEASURES: &str = r#"["l2_norm", "margin", "random", "jacobian_norm", "noise_response", "weight_per_width = l2_norm / params"]"#;

/// How many of them have records: the composite's ingredients instead of it.
pub const EVALUATED: usize = 6;

/// A copy of the tiny zoo in a place, and a manifest `results/tiny.toml` that names it.
pub fn with_manifest() -> Place {
    with_manifest_of(MEASURES)
}

pub fn with_manifest_of(measures: &str) -> Place {
    let place = Place::new();
    copy(trained(), &place.path("zoos/tiny"));
    std::fs::create_dir(place.path("results")).unwrap();
    write_manifest(&place, measures, &"0".repeat(64));
    // The error about a digest names the right one.
    let stderr = place.run(&["reproduce", "results/tiny.toml", "--dry-run"], 6).stderr;
    let digest = stderr.split("its digest is ").nth(1).unwrap_or_else(|| panic!("{stderr}"));
    write_manifest(&place, measures, &digest[..64]);
    place
}

/// Writes the manifest. One thread, no bootstrap to speak of.
pub fn write_manifest(place: &Place, measures: &str, digest: &str) {
    let text = format!(
        "schema = 1\nname = \"tiny\"\nmeasures = {measures}\n\n\
         [[zoo]]\nname = \"tiny\"\ndigest = \"{digest}\"\npath = \"../zoos/tiny\"\n\n\
         [scoring]\nbootstrap = 10\n"
    );
    std::fs::write(place.path("results/tiny.toml"), text).unwrap();
}

fn trained() -> &'static Path {
    static ZOO: OnceLock<(Place, PathBuf)> = OnceLock::new();
    let (_place, zoo) = ZOO.get_or_init(|| {
        let place = Place::new();
        std::fs::write(place.path("recipe.toml"), RECIPE).unwrap();
        place.run(&["zoo", "build", "recipe.toml", "--output", "tiny", "--device", "cpu"], 0);
        let zoo = place.path("tiny");
        (place, zoo)
    });
    zoo
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::write(target, std::fs::read(path).unwrap()).unwrap();
        }
    }
}

/// The records of a run without what differs from run to run, as sorted lines: the same bytes for the same results.
pub fn essences(records: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(records).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut record: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
            for cost in ["seconds", "peak_memory_bytes", "utc"] {
                record.as_object_mut().unwrap().remove(cost).unwrap();
            }
            record.to_string()
        })
        .collect();
    lines.sort();
    lines
}
