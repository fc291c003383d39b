//! Manifests that name the small zoo, and what reproductions of them leave behind.

use std::path::Path;

use crate::small_zoo;
use crate::support::Place;

/// Measures with draws and without, cheap ones; the last one is a composite.
pub const MEASURES: &str = r#"["l2_norm", "margin", "random", "jacobian_norm", "noise_response", "weight_per_width = l2_norm / params"]"#;

/// How many of them have records: the composite's ingredients instead of it.
pub const EVALUATED: usize = 6;

/// A copy of the small zoo in a place, and a manifest `results/small.toml` that names it.
pub fn with_manifest() -> Place {
    with_manifest_of(MEASURES)
}

pub fn with_manifest_of(measures: &str) -> Place {
    let place = Place::new();
    small_zoo::copy_to(&place.path("zoos/small"));
    std::fs::create_dir(place.path("results")).unwrap();
    write_manifest(&place, measures, &"0".repeat(64));
    // The error about a digest names the right one.
    let stderr = place.run(&["reproduce", "results/small.toml", "--dry-run"], 6).stderr;
    let digest = stderr.split("its digest is ").nth(1).unwrap_or_else(|| panic!("{stderr}"));
    write_manifest(&place, measures, &digest[..64]);
    place
}

/// Writes the manifest. One thread, no bootstrap to speak of.
pub fn write_manifest(place: &Place, measures: &str, digest: &str) {
    let text = format!(
        "schema = 1\nname = \"small\"\nmeasures = {measures}\n\n\
         [[zoo]]\nname = \"small\"\ndigest = \"{digest}\"\npath = \"../zoos/small\"\n\n\
         [scoring]\nbootstrap = 10\n"
    );
    std::fs::write(place.path("results/small.toml"), text).unwrap();
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
