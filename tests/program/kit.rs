//! A zoo of ours in the hands of real Keras, by the steps of the competition's kit. Needs a Python with TensorFlow and
//! tf-keras in `PGDL_KERAS_PYTHON`; `scripts/interchange` makes one and runs this.

use std::path::Path;
use std::process::Command;

use crate::small_zoo;

#[test]
#[ignore = "needs TensorFlow: run scripts/interchange"]
fn the_competitions_kit_reads_a_zoo_of_ours() {
    let python =
        std::env::var_os("PGDL_KERAS_PYTHON").expect("PGDL_KERAS_PYTHON names a Python with TensorFlow");
    let place = small_zoo::place();
    place.run(&["zoo", "check", "small"], 0);
    place.run(&["zoo", "export", "small", "exported"], 0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/keras/evaluate_zoo.py");
    let output = Command::new(python)
        .arg(script)
        .arg(place.path("exported/input_data/small"))
        .arg(place.path("exported/reference_data/small/model_configs.json"))
        .arg(place.path("report.json"))
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("report.json")).unwrap()).unwrap();
    let networks = report.as_object().unwrap();
    assert_eq!(networks.len(), small_zoo::NETWORKS);
    for (network, row) in networks {
        for (split, samples) in [("train", 96.0), ("test", 60.0)] {
            let (found, listed) = (&row[format!("{split}_acc")], &row[format!("listed_{split}_acc")]);
            let difference = (found.as_f64().unwrap() - listed.as_f64().unwrap()).abs();
            // Not one sample may fall on the other side.
            assert!(difference < 0.5 / samples, "network {network}, {split}: {found} against {listed}");
        }
    }
}
